//! The sending end of a mailbox.

use crate::mailbox::{AttachError, Slots, Stamps};
use crate::{OutOfBounds, SharedMemory, SharedWord};
use alloc::boxed::Box;
use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use knit_proto::{
    MailboxLayout, ProtocolViolation, RawSlotHeader, SLOTS, SlotHeader, SlotIndex, SlotMask,
    Toggle, free, pending,
};

/// The sending end of a mailbox: claim a free slot, deposit, publish.
///
/// Slots are filled in ascending cyclic order, so that a receiver can guess the next one. What the
/// sender wrote it keeps privately and never reads back.
pub struct Sender<M: SharedMemory> {
    publish: M::Word,
    release: M::Word,
    slots: Slots<M>,
    stamps: Stamps,
    /// The publish word, as this end stored it last.
    mine: Toggle,
    /// The release word, as this end loaded it last. Stale values hide free slots, they never show
    /// a pending one as free.
    seen: Toggle,
    /// How often each slot was published, modulo 2^32.
    counts: Box<[u32; SLOTS as usize]>,
    /// The slot to look at first for the next claim.
    cursor: u32,
    /// One thread at a time uses an endpoint.
    _not_sync: PhantomData<Cell<()>>,
}

impl<M: SharedMemory> Sender<M> {
    /// The sending end of a mailbox that was not used yet.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn new(memory: &M, layout: MailboxLayout, stamps: Stamps) -> Result<Self, AttachError> {
        Ok(Self {
            publish: memory.word(layout.publish())?,
            release: memory.word(layout.release())?,
            slots: Slots::new(memory, &layout)?,
            stamps,
            mine: Toggle::START,
            seen: Toggle::START,
            counts: Box::new([0; SLOTS as usize]),
            cursor: 0,
            _not_sync: PhantomData,
        })
    }

    /// Claims a free slot. Nothing shared changes.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Full`] when every slot is pending; [`ClaimError::Violation`] when the receiver
    /// released a slot that was not published.
    ///
    /// # Ordering
    ///
    /// E2, when the release word is loaded: only when the cached copy shows no free slot.
    #[inline(always)]
    pub fn claim(&mut self) -> Result<Claimed<'_, M>, ClaimError> {
        let slot = self.next_free(SlotMask::EMPTY)?;
        Ok(Claimed { sender: self, slot })
    }

    /// Starts a batch: several claims, published by one store.
    #[inline]
    pub fn batch(&mut self) -> Batch<'_, M> {
        Batch { sender: self, ready: SlotMask::EMPTY }
    }

    /// How many messages the receiver has not released, as far as this end knows: never too few.
    #[must_use]
    pub fn len(&self) -> u32 {
        pending(self.mine, self.seen).and(self.slots.all()).len()
    }

    /// Whether every slot is pending, as far as this end knows. [`Sender::claim`] looks again.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// How many messages can be under way at a time.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.slots.all().len()
    }

    /// Whether this end knows of no message that the receiver still has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As if each slot had been published so often.
    #[cfg(test)]
    pub(crate) fn has_published(&mut self, times: u32) {
        self.counts.fill(times);
    }

    #[inline(always)]
    fn next_free(&mut self, claimed: SlotMask) -> Result<SlotIndex, ClaimError> {
        let usable = self.slots.all().minus(claimed);
        if let Some(slot) = free(self.mine, self.seen).and(usable).next_from(self.cursor) {
            return Ok(slot);
        }
        self.refresh()?;
        free(self.mine, self.seen).and(usable).next_from(self.cursor).ok_or(ClaimError::Full)
    }

    #[cold]
    fn refresh(&mut self) -> Result<(), ProtocolViolation> {
        // E2: acquire load, pairs with the release store in `Receiver::release`. The receiver's
        // reads of a released slot happen before this end fills it again.
        let release = Toggle::from_bits(self.release.load_acquire());
        let changed = release.differs(self.seen);
        let wrong = changed.minus(pending(self.mine, self.seen));
        if !wrong.is_empty() {
            return Err(match wrong.minus(self.slots.all()) {
                SlotMask::EMPTY => ProtocolViolation::ReleasedFree { slots: wrong },
                slots => ProtocolViolation::NoSuchSlot { slots },
            });
        }
        self.seen = release;
        Ok(())
    }

    #[inline(always)]
    fn publish(&mut self, slots: SlotMask) {
        self.mine = self.mine.flip(slots);
        // E1: release store, pairs with the acquire load in `Receiver::look`. The slots' bytes and
        // headers are visible before their bits.
        self.publish.store_release(self.mine.bits());
    }

    #[inline(always)]
    fn stamp(&mut self, slot: SlotIndex) {
        self.cursor = self.slots.after(slot);
        let count = self.counts[slot.index()].wrapping_add(1);
        self.counts[slot.index()] = count;
        if self.stamps == Stamps::On {
            // E3: release store, pairs with the acquire load in `Receiver::stamped`. It comes after
            // the toggle, so that whoever sees the stamp sees the toggle too. MBX-9.
            self.slots.stamp(slot).store_release(count);
        }
    }
}

impl<M: SharedMemory> fmt::Debug for Sender<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("mine", &self.mine)
            .field("seen", &self.seen)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

/// Why no slot could be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// Every slot is pending: try again when the receiver has released one.
    #[error("every slot of the mailbox is pending")]
    Full,
    /// The receiver broke the protocol.
    #[error(transparent)]
    Violation(#[from] ProtocolViolation),
}

/// A claimed slot, not visible to the receiver. Dropping it abandons the claim without a trace.
#[must_use = "a claim that is dropped sends nothing"]
#[derive(Debug)]
pub struct Claimed<'s, M: SharedMemory> {
    sender: &'s mut Sender<M>,
    slot: SlotIndex,
}

impl<M: SharedMemory> Claimed<'_, M> {
    /// The slot.
    #[must_use]
    pub fn slot(&self) -> SlotIndex {
        self.slot
    }

    /// Copies `bytes` into the inline area, from its start.
    ///
    /// # Errors
    ///
    /// More than 512 bytes.
    #[inline]
    pub fn deposit(&self, bytes: &[u8]) -> Result<(), OutOfBounds> {
        self.sender.slots.deposit(self.slot, bytes)
    }

    /// Hands the slot to the receiver. From here on this end must not touch its bytes.
    ///
    /// # Ordering
    ///
    /// E1, then E3.
    #[inline(always)]
    pub fn publish(self, message: &SlotHeader) -> SlotIndex {
        self.sender.slots.set_header(self.slot, &RawSlotHeader::encode(message));
        self.sender.publish(self.slot.mask());
        self.sender.stamp(self.slot);
        self.slot
    }
}

/// Claims that become visible together. Dropping it before [`Batch::publish`] abandons them all.
#[must_use = "a batch that is dropped sends nothing"]
#[derive(Debug)]
pub struct Batch<'s, M: SharedMemory> {
    sender: &'s mut Sender<M>,
    ready: SlotMask,
}

impl<M: SharedMemory> Batch<'_, M> {
    /// Adds one message, whose inline payload is `inline`.
    ///
    /// # Errors
    ///
    /// As [`Sender::claim`]; [`BatchError::OutOfBounds`] for more than 512 bytes. The messages added
    /// before stay in the batch.
    #[inline]
    pub fn add(&mut self, message: &SlotHeader, inline: &[u8]) -> Result<SlotIndex, BatchError> {
        let slot = self.sender.next_free(self.ready)?;
        self.sender.slots.deposit(slot, inline)?;
        self.sender.slots.set_header(slot, &RawSlotHeader::encode(message));
        self.ready = self.ready.with(slot);
        Ok(slot)
    }

    /// How many messages are in the batch.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.ready.len()
    }

    /// Whether the batch has no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Hands all slots of the batch to the receiver with one store.
    ///
    /// # Ordering
    ///
    /// E1 once, then E3 for each slot.
    #[inline(always)]
    pub fn publish(self) -> SlotMask {
        if self.ready.is_empty() {
            return SlotMask::EMPTY;
        }
        self.sender.publish(self.ready);
        let mut rest = self.ready;
        while let Some(slot) = rest.next_from(self.sender.cursor) {
            rest = rest.without(slot);
            self.sender.stamp(slot);
        }
        self.ready
    }
}

/// Why a message could not be added to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// No slot.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The payload does not fit inline.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
}
