//! The allocating end of an arena.

use super::loan::{Loan, OwnedLoan};
use super::places::{Place, Places};
use crate::{AttachError, OutOfBounds, ReserveError, SharedBytes, SharedMemory, SharedWord};
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use knit_proto::{ARENA_GRANULE, ArenaLayout, BlockIndex, ProtocolViolation, Span};

/// Smallest step by which the reserved part of an arena grows, in bytes.
const RESERVE_STEP: u32 = 64 << 10;

/// From this size on, in bytes, every loan looks at the free word first. A lane that was busy has
/// many warm blocks, of which the one that the receiver has just read is the hottest; the others may
/// lie beyond the caches (32 of them are more than half of a second-level cache of 1 MiB), and to
/// fetch the word costs less than to walk through them. Smaller blocks all stay in the cache.
const LOOK_FROM: u32 = 16 << 10;

/// The allocating end of an arena.
///
/// Its state is private: a hostile receiver can at worst free blocks early that were committed, or
/// never. Blocks that are loaned and not committed it cannot free.
pub struct ArenaSender<M: SharedMemory> {
    memory: M,
    allocate: M::Word,
    free: M::Word,
    pub(super) data: M::Bytes,
    span: Span,
    /// The allocate word, as this end stored it last.
    mine: u32,
    /// The free word, as this end loaded it last. Live blocks are those where the two differ; all
    /// of them are taken in `places`, and so are the loans.
    seen: u32,
    places: Places,
    /// Bytes from the start of the data that have memory behind them.
    reserved: u32,
    /// Owned loans that were dropped: a bit for each block. Private to this process.
    dropped: Arc<AtomicU32>,
}

impl<M: SharedMemory> ArenaSender<M> {
    /// The allocating end of an arena that was not used yet, of which the first `reserved` bytes
    /// have memory behind them.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn new(memory: &M, layout: &ArenaLayout, reserved: u32) -> Result<Self, AttachError> {
        Ok(Self {
            allocate: memory.word(layout.allocate())?,
            free: memory.word(layout.free())?,
            data: memory.bytes(layout.data())?,
            span: layout.data(),
            memory: memory.clone(),
            mine: 0,
            seen: 0,
            places: Places::new(layout.data().len()),
            reserved: reserved.min(layout.data().len()) & !(ARENA_GRANULE - 1),
            dropped: Arc::default(),
        })
    }

    /// Bytes that blocks are made of.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.span.len()
    }

    /// Lends a block of `len` bytes, to be filled in place. Nothing shared changes until
    /// [`Loan::commit`].
    ///
    /// The block that was given back last is lent first, if it has about the right size: its bytes
    /// are still in a cache. Otherwise the lowest gap that fits is used, so that a lane that moves
    /// few payloads at a time writes the same bytes again and again. The free word is loaded when no
    /// block is known that would do, and for loans of 16 KiB and more. O(1) for a block that is known
    /// or has just come back, never worse than O(32).
    ///
    /// # Errors
    ///
    /// [`ArenaError::Full`] when 32 blocks are live or loaned, or no gap is large enough: try again
    /// when the receiver has freed one. [`ArenaError::TooLong`] when `len` fits no empty arena
    /// either. [`ArenaError::Reserve`] when the machine has no memory. [`ArenaError::Violation`] when
    /// the receiver freed a block that was not live; a block that is loaned is not.
    ///
    /// # Ordering
    ///
    /// E4, when the free word is loaded.
    #[inline]
    pub fn loan(&mut self, len: u32) -> Result<Loan<'_, M>, ArenaError> {
        let block = self.take(len)?;
        Ok(Loan::new(self, block, len))
    }

    /// As [`Self::loan`], but the loan does not borrow the arena: several can be filled at a time,
    /// by other threads too. [`Self::commit`] makes its block live.
    ///
    /// # Errors
    ///
    /// As [`Self::loan`].
    ///
    /// # Ordering
    ///
    /// As [`Self::loan`].
    pub fn loan_owned(&mut self, len: u32) -> Result<OwnedLoan<M>, ArenaError> {
        let block = self.take(len)?;
        let place = self.places.place(block);
        let span = self.span.part(place.start, place.size).expect("blocks lie inside the data");
        match self.memory.bytes(span) {
            Ok(bytes) => Ok(OwnedLoan::new(bytes, block, place, len, Arc::clone(&self.dropped))),
            Err(error) => {
                self.places.give_back(block.bit());
                Err(ArenaError::Reserve(ReserveError::OutOfBounds(error)))
            }
        }
    }

    /// Makes the block of an owned loan live. Publish a slot that names it, or it stays live for
    /// ever.
    ///
    /// Returns the block's index and its start, in bytes from the start of the arena's data.
    ///
    /// # Panics
    ///
    /// The loan is another arena's.
    pub fn commit(&mut self, loan: OwnedLoan<M>) -> (BlockIndex, u32) {
        assert!(loan.is_of(&self.dropped), "a loan is committed to the arena that lent it");
        let block = loan.into_block();
        self.make_live(block)
    }

    /// Looks at the free word now, and forgets the blocks that the receiver has freed. A loan does
    /// that when it has to.
    ///
    /// # Errors
    ///
    /// The receiver freed a block that was not live.
    ///
    /// # Ordering
    ///
    /// E4.
    pub fn reclaim(&mut self) -> Result<(), ProtocolViolation> {
        // E4: acquire load, pairs with the release store in `ArenaReceiver::free` and the release
        // flip in `SharedArenaReceiver::free`. The receiver's reads of a freed block happen before
        // this end fills its bytes again.
        let free = self.free.load_acquire();
        let freed = free ^ self.seen;
        let dead = freed & !self.live();
        if dead != 0 {
            return Err(ProtocolViolation::FreedDead { blocks: dead });
        }
        self.seen = free;
        self.places.give_back(freed);
        Ok(())
    }

    /// Copies `bytes` into a block that is taken, `at` bytes from its start.
    #[inline]
    pub(super) fn deposit(
        &self,
        block: BlockIndex,
        at: u32,
        bytes: &[u8],
    ) -> Result<(), OutOfBounds> {
        let place = self.places.place(block);
        crate::mem::check(at, bytes.len(), place.size)?;
        self.data.deposit(place.start + at, bytes)
    }

    /// Makes a loaned block live.
    #[inline]
    pub(super) fn make_live(&mut self, block: BlockIndex) -> (BlockIndex, u32) {
        debug_assert_eq!(self.places.taken() & !self.live() & block.bit(), block.bit());
        self.mine ^= block.bit();
        // No edge: nobody decides by this word. E1 publishes it together with the slot.
        self.allocate.store_release(self.mine);
        (block, self.place(block).start)
    }

    /// Gives a loaned block back.
    pub(super) fn cancel(&mut self, block: BlockIndex) {
        self.places.give_back(block.bit());
    }

    pub(super) fn place(&self, block: BlockIndex) -> Place {
        self.places.place(block)
    }

    /// Blocks that were committed and, as far as this end knows, not freed.
    fn live(&self) -> u32 {
        self.mine ^ self.seen
    }

    #[inline]
    fn take(&mut self, len: u32) -> Result<BlockIndex, ArenaError> {
        let size = match len.max(1).checked_next_multiple_of(ARENA_GRANULE) {
            Some(size) if size <= self.capacity() => size,
            _ => return Err(ArenaError::TooLong { len, capacity: self.capacity() }),
        };
        // A warm block lies where a block was before: memory stands behind it.
        if size < LOOK_FROM
            && let Some(block) = self.places.reuse(size)
        {
            return Ok(block);
        }
        self.look(size)
    }

    /// Looks at what came back, then takes a block.
    fn look(&mut self, size: u32) -> Result<BlockIndex, ArenaError> {
        // Also where nothing is live: a receiver that frees nevertheless is found out, and the word
        // that it leaves alone is in this end's cache.
        self.reclaim()?;
        // Relaxed: a drop that is overlooked now is seen next time.
        if self.dropped.load(Ordering::Relaxed) != 0 {
            // Acquire, pairs with the release in the drop of `OwnedLoan`: its deposits happen before
            // the next ones. This word is private to the process: no edge of the protocol.
            let dropped = self.dropped.swap(0, Ordering::Acquire);
            self.places.give_back(dropped);
        }
        if let Some(block) = self.places.reuse(size) {
            return Ok(block);
        }
        let block = self.places.lowest(size).ok_or(ArenaError::Full)?;
        if let Err(error) = self.back(self.places.place(block).end()) {
            self.places.forget(block);
            return Err(error.into());
        }
        Ok(block)
    }

    /// Makes sure that memory stands behind the first `end` bytes: grows by doubling, or by what is
    /// needed where the machine has no more.
    fn back(&mut self, end: u32) -> Result<(), ReserveError> {
        if end <= self.reserved {
            return Ok(());
        }
        let wanted = end.max(self.reserved.saturating_mul(2)).max(RESERVE_STEP);
        let wanted = wanted.min(self.capacity() & !(ARENA_GRANULE - 1));
        self.back_to(wanted).or_else(
            |error| {
                if wanted > end { self.back_to(end) } else { Err(error) }
            },
        )
    }

    fn back_to(&mut self, target: u32) -> Result<(), ReserveError> {
        let more = self.span.part(self.reserved, target - self.reserved);
        self.memory.reserve(more.expect("reserved and target are granules inside the data"))?;
        self.reserved = target;
        Ok(())
    }
}

impl<M: SharedMemory> fmt::Debug for ArenaSender<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaSender")
            .field("places", &self.places)
            .field("live", &format_args!("{:#010x}", self.live()))
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
