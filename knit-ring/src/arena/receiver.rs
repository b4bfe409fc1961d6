//! The reading ends of an arena: one that a thread owns, one that threads share.

use super::held::Held;
use crate::{AttachError, OutOfBounds, SharedBytes, SharedMemory, SharedWord, SharedWordRmw};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use knit_proto::{ArenaLayout, BlockIndex};

/// The reading end of an arena that one thread owns: payloads are copied and freed at once.
pub struct ArenaReceiver<M: SharedMemory> {
    free: M::Word,
    data: M::Bytes,
    /// The free word, as this end stored it last.
    mine: u32,
}

impl<M: SharedMemory> ArenaReceiver<M> {
    /// The reading end of an arena that was not used yet.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn new(memory: &M, layout: &ArenaLayout) -> Result<Self, AttachError> {
        Ok(Self { free: memory.word(layout.free())?, data: memory.bytes(layout.data())?, mine: 0 })
    }

    /// Bytes that blocks are made of.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.data.len()
    }

    /// Copies from `start`, counted from the start of the arena's data, into private memory.
    ///
    /// # Errors
    ///
    /// `start` is not a multiple of four, or the end lies outside.
    #[inline]
    pub fn snapshot(&self, start: u32, into: &mut [u8]) -> Result<(), OutOfBounds> {
        self.data.snapshot(start, into)
    }

    /// Copies `len` bytes from `start` on into a vector.
    ///
    /// # Errors
    ///
    /// As [`Self::snapshot`].
    #[inline]
    pub fn to_vec(&self, start: u32, len: u32) -> Result<Vec<u8>, OutOfBounds> {
        self.data.to_vec(start, len)
    }

    /// Gives a block back to the sender. Call it once for each message that names the block.
    ///
    /// # Ordering
    ///
    /// E4.
    #[inline]
    pub fn free(&mut self, block: BlockIndex) {
        self.mine ^= block.bit();
        // E4: release store, pairs with the acquire load in `ArenaSender::reclaim`.
        self.free.store_release(self.mine);
    }

    /// The same end for several threads, which can hold messages in place.
    #[must_use]
    pub fn into_shared(self) -> SharedArenaReceiver<M>
    where
        M::Word: SharedWordRmw,
    {
        // The word is what this end stored last: the flips of the shared end go on from there.
        SharedArenaReceiver { end: Arc::new(SharedEnd { free: self.free, data: self.data }) }
    }
}

impl<M: SharedMemory> fmt::Debug for ArenaReceiver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaReceiver").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

/// The reading end of an arena that threads of one process share. Messages can stay where they are
/// until nobody needs them any more.
///
/// A block that is held takes room in the sender's arena. A receiver that holds many large messages
/// stops its sender.
///
/// ```
/// use knit_proto::{ArenaLayout, Span};
/// use knit_ring::{ArenaReceiver, ArenaSender, HeapMemory};
///
/// let memory = HeapMemory::zeroed(256 + 64 + 4096)?;
/// let layout = ArenaLayout::new(Span::new(0, 256).unwrap(), Span::new(256, 64 + 4096).unwrap());
/// let mut sender = ArenaSender::new(&memory, &layout.unwrap(), 0)?;
/// let receiver = ArenaReceiver::new(&memory, &layout.unwrap())?.into_shared();
///
/// let mut loan = sender.loan(1000)?;
/// loan.deposit(0, b"written in place")?;
/// let (block, start) = loan.commit();
/// // A message carries block, start and length to the receiver.
/// let held = receiver.hold(block, start, 1000)?;
/// let reader = std::thread::spawn(move || held.read::<5>(11));
/// assert_eq!(reader.join().unwrap()?, *b"place");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SharedArenaReceiver<M: SharedMemory> {
    end: Arc<SharedEnd<M>>,
}

/// What the clones of a shared end and its held messages have in common.
pub(super) struct SharedEnd<M: SharedMemory> {
    free: M::Word,
    pub(super) data: M::Bytes,
}

impl<M: SharedMemory> SharedArenaReceiver<M>
where
    M::Word: SharedWordRmw,
{
    /// The reading end of an arena that was not used yet. Threads use clones of it, and there is no
    /// other reading end.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn new(memory: &M, layout: &ArenaLayout) -> Result<Self, AttachError> {
        ArenaReceiver::new(memory, layout).map(ArenaReceiver::into_shared)
    }

    /// Bytes that blocks are made of.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.end.data.len()
    }

    /// Copies from `start`, counted from the start of the arena's data, into private memory.
    ///
    /// # Errors
    ///
    /// `start` is not a multiple of four, or the end lies outside.
    #[inline]
    pub fn snapshot(&self, start: u32, into: &mut [u8]) -> Result<(), OutOfBounds> {
        self.end.data.snapshot(start, into)
    }

    /// Copies `len` bytes from `start` on into a vector.
    ///
    /// # Errors
    ///
    /// As [`Self::snapshot`].
    #[inline]
    pub fn to_vec(&self, start: u32, len: u32) -> Result<Vec<u8>, OutOfBounds> {
        self.end.data.to_vec(start, len)
    }

    /// Keeps `len` bytes from `start` on where they are. The block is freed when the message is
    /// dropped: call it once for each message that names the block, and do not free it besides.
    ///
    /// # Errors
    ///
    /// `start` is not a multiple of four, or the end lies outside. The block is not freed.
    #[inline]
    pub fn hold(&self, block: BlockIndex, start: u32, len: u32) -> Result<Held<M>, OutOfBounds> {
        crate::mem::check(start, len as usize, self.capacity())?;
        Ok(Held::new(Arc::clone(&self.end), block, start, len))
    }

    /// Gives a block back to the sender. Call it once for each message that names the block and is
    /// not held.
    ///
    /// # Ordering
    ///
    /// E4.
    #[inline]
    pub fn free(&self, block: BlockIndex) {
        self.end.free(block);
    }
}

impl<M: SharedMemory> SharedEnd<M>
where
    M::Word: SharedWordRmw,
{
    #[inline]
    pub(super) fn free(&self, block: BlockIndex) {
        // E4: release flip, pairs with the acquire load in `ArenaSender::reclaim`. Flips by several
        // threads follow each other, so a load that sees a later one synchronises with all of them.
        self.free.fetch_xor_release(block.bit());
    }
}

impl<M: SharedMemory> Clone for SharedArenaReceiver<M> {
    fn clone(&self) -> Self {
        Self { end: Arc::clone(&self.end) }
    }
}

impl<M: SharedMemory> fmt::Debug for SharedArenaReceiver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedArenaReceiver")
            .field("capacity", &self.end.data.len())
            .finish_non_exhaustive()
    }
}
