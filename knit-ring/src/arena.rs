//! The arena: payloads that do not fit a slot.
//!
//! Up to 32 blocks are live at a time, each a whole number of 64-byte granules. Where a block is,
//! is the sender's private business; the wire knows its index, its start and two toggle words. The
//! sender flips a block's bit in *allocate* when the block becomes live, the receiver flips it in
//! *free* when it has read the block.

use crate::{AttachError, OutOfBounds, ReserveError, SharedBytes, SharedMemory, SharedWord};
use core::fmt;
use knit_proto::{ARENA_GRANULE, ArenaLayout, BlockIndex, ProtocolViolation, Span};

/// Smallest step by which the reserved part of an arena grows, in bytes.
const RESERVE_STEP: u32 = 64 << 10;

/// The allocating end of an arena.
///
/// Its state is private: a hostile receiver can at worst free blocks early, or never.
pub struct ArenaSender<M: SharedMemory> {
    memory: M,
    allocate: M::Word,
    free: M::Word,
    data: M::Bytes,
    span: Span,
    /// The allocate word, as this end stored it last.
    mine: u32,
    /// The free word, as this end loaded it last.
    seen: u32,
    /// Live blocks by ascending start, the first `live` of them.
    blocks: [Block; BlockIndex::COUNT as usize],
    live: usize,
    /// Bytes from the start of the data that have memory behind them.
    reserved: u32,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    start: u32,
    len: u32,
    index: BlockIndex,
}

impl<M: SharedMemory> ArenaSender<M> {
    /// The allocating end of an arena that was not used yet, of which the first `reserved` bytes
    /// have memory behind them.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn new(memory: &M, layout: &ArenaLayout, reserved: u32) -> Result<Self, AttachError> {
        let none = Block { start: 0, len: 0, index: BlockIndex::from_low_bits(0) };
        Ok(Self {
            allocate: memory.word(layout.allocate())?,
            free: memory.word(layout.free())?,
            data: memory.bytes(layout.data())?,
            span: layout.data(),
            memory: memory.clone(),
            mine: 0,
            seen: 0,
            blocks: [none; BlockIndex::COUNT as usize],
            live: 0,
            reserved: reserved.min(layout.data().len()) & !(ARENA_GRANULE - 1),
        })
    }

    /// Bytes that blocks are made of.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.span.len()
    }

    /// Finds room for `len` bytes. Nothing shared changes until [`Reserved::commit`].
    ///
    /// The lowest gap that fits is used, so that a lane that moves one payload at a time writes the
    /// same, cached bytes again and again.
    ///
    /// # Errors
    ///
    /// [`ArenaError::Full`] when 32 blocks are live or no gap is large enough: try again when the
    /// receiver has freed one. [`ArenaError::TooLong`] when `len` fits no empty arena either.
    /// [`ArenaError::Reserve`] when the machine has no memory. [`ArenaError::Violation`] when the
    /// receiver freed a block that was not live.
    ///
    /// # Ordering
    ///
    /// E4.
    pub fn reserve(&mut self, len: u32) -> Result<Reserved<'_, M>, ArenaError> {
        let size = match len.max(1).checked_next_multiple_of(ARENA_GRANULE) {
            Some(size) if size <= self.capacity() => size,
            _ => return Err(ArenaError::TooLong { len, capacity: self.capacity() }),
        };
        self.refresh()?;
        let (position, start) = self.gap(size).ok_or(ArenaError::Full)?;
        let used = self.mine ^ self.seen;
        if used == u32::MAX {
            return Err(ArenaError::Full);
        }
        self.back(start + size)?;
        let index = BlockIndex::from_low_bits(used.trailing_ones());
        Ok(Reserved { arena: self, position, block: Block { start, len: size, index } })
    }

    /// Where in the list, and at which offset, `size` bytes fit.
    fn gap(&self, size: u32) -> Option<(usize, u32)> {
        let mut start = 0;
        for (position, block) in self.blocks[..self.live].iter().enumerate() {
            if block.start - start >= size {
                return Some((position, start));
            }
            start = block.start + block.len;
        }
        (self.capacity() - start >= size).then_some((self.live, start))
    }

    fn refresh(&mut self) -> Result<(), ProtocolViolation> {
        // E4: acquire load, pairs with the release store in `ArenaReceiver::free`. The receiver's
        // reads of a freed block happen before this end fills its bytes again.
        let free = self.free.load_acquire();
        let freed = free ^ self.seen;
        let dead = freed & !(self.mine ^ self.seen);
        if dead != 0 {
            return Err(ProtocolViolation::FreedDead { blocks: dead });
        }
        self.seen = free;
        if freed != 0 {
            let mut kept = 0;
            for at in 0..self.live {
                let block = self.blocks[at];
                if freed & block.index.bit() == 0 {
                    self.blocks[kept] = block;
                    kept += 1;
                }
            }
            self.live = kept;
        }
        Ok(())
    }

    /// Makes sure that memory stands behind the first `end` bytes: grows by doubling.
    fn back(&mut self, end: u32) -> Result<(), ReserveError> {
        if end <= self.reserved {
            return Ok(());
        }
        let wanted = end.max(self.reserved.saturating_mul(2)).max(RESERVE_STEP);
        let target = wanted.min(self.capacity());
        let more = self.span.part(self.reserved, target - self.reserved);
        self.memory.reserve(more.expect("reserved and target are granules inside the data"))?;
        self.reserved = target;
        Ok(())
    }
}

impl<M: SharedMemory> fmt::Debug for ArenaSender<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaSender")
            .field("blocks", &&self.blocks[..self.live])
            .field("capacity", &self.capacity())
            .field("reserved", &self.reserved)
            .finish_non_exhaustive()
    }
}

/// Why there is no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArenaError {
    /// No room until the receiver frees a block.
    #[error("the arena has no room until the receiver frees a block")]
    Full,
    /// No arena of this size could hold it.
    #[error("{len} bytes do not fit an arena of {capacity} bytes")]
    TooLong {
        /// Bytes asked for.
        len: u32,
        /// Bytes of the empty arena.
        capacity: u32,
    },
    /// No memory can be put behind the arena.
    #[error(transparent)]
    Reserve(#[from] ReserveError),
    /// The receiver broke the protocol.
    #[error(transparent)]
    Violation(#[from] ProtocolViolation),
}

/// Room for one payload. Dropping it gives the room back without a trace.
#[must_use = "room that is dropped is given back"]
#[derive(Debug)]
pub struct Reserved<'a, M: SharedMemory> {
    arena: &'a mut ArenaSender<M>,
    position: usize,
    block: Block,
}

impl<M: SharedMemory> Reserved<'_, M> {
    /// Copies `bytes` into the block, `at` bytes from its start.
    ///
    /// # Errors
    ///
    /// `at` is not a multiple of four, or the end lies outside the block.
    pub fn deposit(&self, at: u32, bytes: &[u8]) -> Result<(), OutOfBounds> {
        crate::mem::check(at, bytes.len(), self.block.len)?;
        self.arena.data.deposit(self.block.start + at, bytes)
    }

    /// Makes the block live. Publish a slot that names it, or it stays live for ever.
    ///
    /// Returns the block's index and its start, in bytes from the start of the arena's data.
    pub fn commit(self) -> (BlockIndex, u32) {
        let Self { arena, position, block } = self;
        arena.blocks.copy_within(position..arena.live, position + 1);
        arena.blocks[position] = block;
        arena.live += 1;
        arena.mine ^= block.index.bit();
        // No edge: nobody decides by this word. E1 publishes it together with the slot.
        arena.allocate.store_release(arena.mine);
        (block.index, block.start)
    }
}

/// The reading end of an arena.
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
    pub fn snapshot(&self, start: u32, into: &mut [u8]) -> Result<(), OutOfBounds> {
        self.data.snapshot(start, into)
    }

    /// Gives a block back to the sender. Call it once for each message that names the block.
    ///
    /// # Ordering
    ///
    /// E4.
    pub fn free(&mut self, block: BlockIndex) {
        self.mine ^= block.bit();
        // E4: release store, pairs with the acquire load in `ArenaSender::refresh`.
        self.free.store_release(self.mine);
    }
}

impl<M: SharedMemory> fmt::Debug for ArenaReceiver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaReceiver").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}
