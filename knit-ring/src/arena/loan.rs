//! Blocks that are lent to be filled in place.

use super::places::Place;
use super::sender::ArenaSender;
use crate::{CooperativeBytes, OutOfBounds, SharedBytes, SharedMemory};
use alloc::sync::Arc;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};
use knit_proto::BlockIndex;

/// A block for one payload. Dropping it gives the room back without a trace.
///
/// Over memory of [`Mapped::assume_cooperative`](crate::Mapped::assume_cooperative) it derefs to the
/// bytes asked for, which hold what was left there. While such a slice is alive nothing is deposited:
///
/// ```compile_fail,E0502
/// # use knit_ring::{HeapBlock, Loan, Mapped, Plain};
/// fn aliased(loan: &mut Loan<'_, Mapped<HeapBlock, Plain>>) -> u8 {
///     let view: &[u8] = &**loan;
///     loan.deposit(0, b"other").unwrap();
///     view[0]
/// }
/// ```
#[must_use = "room that is dropped is given back"]
pub struct Loan<'a, M: SharedMemory> {
    arena: &'a mut ArenaSender<M>,
    block: BlockIndex,
    len: u32,
}

impl<'a, M: SharedMemory> Loan<'a, M> {
    #[inline]
    pub(super) fn new(arena: &'a mut ArenaSender<M>, block: BlockIndex, len: u32) -> Self {
        Self { arena, block, len }
    }

    /// Bytes asked for.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether no bytes were asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies `bytes` into the block, `at` bytes from its start.
    ///
    /// # Errors
    ///
    /// `at` is not a multiple of four, or the end lies outside the block's granules.
    #[inline]
    pub fn deposit(&mut self, at: u32, bytes: &[u8]) -> Result<(), OutOfBounds> {
        self.arena.deposit(self.block, at, bytes)
    }

    /// Makes the block live. Publish a slot that names it, or it stays live for ever.
    ///
    /// Returns the block's index and its start, in bytes from the start of the arena's data.
    #[inline]
    pub fn commit(self) -> (BlockIndex, u32) {
        let mut loan = ManuallyDrop::new(self);
        let block = loan.block;
        loan.arena.make_live(block)
    }
}

impl<M: SharedMemory> Drop for Loan<'_, M> {
    fn drop(&mut self) {
        self.arena.cancel(self.block);
    }
}

impl<M: SharedMemory> Deref for Loan<'_, M>
where
    M::Bytes: CooperativeBytes,
{
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let place = self.arena.place(self.block);
        self.arena.data.slice(place.start, self.len).expect("blocks lie inside the data")
    }
}

impl<M: SharedMemory> DerefMut for Loan<'_, M>
where
    M::Bytes: CooperativeBytes,
{
    fn deref_mut(&mut self) -> &mut [u8] {
        let place = self.arena.place(self.block);
        self.arena.data.slice_mut(place.start, self.len).expect("blocks lie inside the data")
    }
}

impl<M: SharedMemory> fmt::Debug for Loan<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan")
            .field("block", &self.block)
            .field("place", &self.arena.place(self.block))
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// A block for one payload that does not borrow its arena: several can be filled over time, on any
/// thread, and given to [`ArenaSender::commit`] in any order. No two of them overlap, and the
/// receiver cannot free them. Dropping one gives the room back without a trace.
///
/// Over memory of [`Mapped::assume_cooperative`](crate::Mapped::assume_cooperative) it derefs to the
/// bytes asked for, which hold what was left there.
#[must_use = "room that is dropped is given back"]
pub struct OwnedLoan<M: SharedMemory> {
    /// The granules of the block.
    bytes: M::Bytes,
    block: BlockIndex,
    place: Place,
    len: u32,
    /// Where the arena looks for loans that were dropped; `None` when this one was committed.
    arena: Option<Arc<AtomicU32>>,
}

impl<M: SharedMemory> OwnedLoan<M> {
    pub(super) fn new(
        bytes: M::Bytes,
        block: BlockIndex,
        place: Place,
        len: u32,
        arena: Arc<AtomicU32>,
    ) -> Self {
        Self { bytes, block, place, len, arena: Some(arena) }
    }

    /// Bytes asked for.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether no bytes were asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Start of the block, in bytes from the start of the arena's data.
    #[must_use]
    pub fn start(&self) -> u32 {
        self.place.start
    }

    /// Copies `bytes` into the block, `at` bytes from its start.
    ///
    /// # Errors
    ///
    /// `at` is not a multiple of four, or the end lies outside the block's granules.
    #[inline]
    pub fn deposit(&mut self, at: u32, bytes: &[u8]) -> Result<(), OutOfBounds> {
        self.bytes.deposit(at, bytes)
    }

    pub(super) fn is_of(&self, arena: &Arc<AtomicU32>) -> bool {
        self.arena.as_ref().is_some_and(|mine| Arc::ptr_eq(mine, arena))
    }

    /// The block, which is not given back any more.
    pub(super) fn into_block(mut self) -> BlockIndex {
        self.arena = None;
        self.block
    }
}

impl<M: SharedMemory> Drop for OwnedLoan<M> {
    fn drop(&mut self) {
        if let Some(arena) = &self.arena {
            // Release, pairs with the acquire in `ArenaSender::look`. Private to the process.
            arena.fetch_or(self.block.bit(), Ordering::Release);
        }
    }
}

impl<M: SharedMemory> Deref for OwnedLoan<M>
where
    M::Bytes: CooperativeBytes,
{
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.slice(0, self.len).expect("the block has the bytes asked for")
    }
}

impl<M: SharedMemory> DerefMut for OwnedLoan<M>
where
    M::Bytes: CooperativeBytes,
{
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes.slice_mut(0, self.len).expect("the block has the bytes asked for")
    }
}

impl<M: SharedMemory> fmt::Debug for OwnedLoan<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedLoan")
            .field("block", &self.block)
            .field("place", &self.place)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
