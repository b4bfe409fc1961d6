//! The receiving end of a mailbox.

use crate::mailbox::{AttachError, Slots, Stamps};
use crate::{OutOfBounds, SharedMemory, SharedWord};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use knit_proto::{
    MailboxLayout, ProtocolViolation, RawSlotHeader, SLOTS, SlotIndex, SlotMask, Toggle,
};

/// Polls of the expected stamp, since the last message, before a look at the publish word.
///
/// A look makes the sender's next store to the publish word miss its cache; never looking would
/// leave a sender that does not stamp, or fills slots in another order, unheard.
const POLLS_PER_LOOK: u32 = 64;

/// The receiving end of a mailbox: take a pending message, snapshot, release.
///
/// The truth about what is pending is the publish word. Where the sender stamps, [`Receiver::poll`]
/// watches the header line of the slot that it expects next instead, and gets flag and message in
/// one cache-line transfer.
pub struct Receiver<M: SharedMemory> {
    publish: M::Word,
    release: M::Word,
    slots: Slots<M>,
    stamps: Stamps,
    /// The release word as it will be when everything taken is released: differs from the publish
    /// word on the slots that are pending and not taken.
    taken: Toggle,
    /// The release word, as this end stored it last.
    released: Toggle,
    /// Slots taken and finished, to be released by the next store.
    finished: SlotMask,
    /// Slots seen pending and not taken.
    known: SlotMask,
    /// How often each slot was taken, modulo 2^32.
    counts: Box<[u32; SLOTS as usize]>,
    /// The slot that the sender is expected to fill next.
    cursor: u32,
    /// Polls since a message was taken or the publish word was looked at.
    polls: u32,
    /// One thread at a time uses an endpoint.
    _not_sync: PhantomData<Cell<()>>,
}

impl<M: SharedMemory> Receiver<M> {
    /// The receiving end of a mailbox that was not used yet.
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
            taken: Toggle::START,
            released: Toggle::START,
            finished: SlotMask::EMPTY,
            known: SlotMask::EMPTY,
            counts: Box::new([0; SLOTS as usize]),
            cursor: 0,
            polls: 0,
            _not_sync: PhantomData,
        })
    }

    /// Takes a pending message if it is cheap to see one: for spinning. A message can stay unseen
    /// for some polls; [`Self::take`] misses nothing.
    ///
    /// # Errors
    ///
    /// The sender published a slot that was not free.
    ///
    /// # Ordering
    ///
    /// E3 for a message found by its stamp, E1 otherwise.
    #[inline(always)]
    pub fn poll(&mut self) -> Result<Option<Taken<'_, M>>, ProtocolViolation> {
        if self.known.is_empty() {
            if self.stamps == Stamps::On {
                if let Some(slot) = self.stamped() {
                    return Ok(Some(self.begin(slot)));
                }
                self.polls += 1;
                if self.polls < POLLS_PER_LOOK {
                    return Ok(None);
                }
            }
            return self.poll_word();
        }
        Ok(self.known.next_from(self.cursor).map(|slot| self.begin(slot)))
    }

    #[inline(never)]
    fn poll_word(&mut self) -> Result<Option<Taken<'_, M>>, ProtocolViolation> {
        self.look()?;
        Ok(self.known.next_from(self.cursor).map(|slot| self.begin(slot)))
    }

    /// Takes a pending message; `None` when there is none.
    ///
    /// # Errors
    ///
    /// The sender published a slot that was not free.
    ///
    /// # Ordering
    ///
    /// E1.
    #[inline(always)]
    pub fn take(&mut self) -> Result<Option<Taken<'_, M>>, ProtocolViolation> {
        if self.known.is_empty() {
            self.look()?;
        }
        Ok(self.known.next_from(self.cursor).map(|slot| self.begin(slot)))
    }

    /// Whether a message is pending. Looks at the publish word: this is the re-check before parking.
    ///
    /// # Errors
    ///
    /// The sender published a slot that was not free.
    #[inline(always)]
    pub fn is_pending(&mut self) -> Result<bool, ProtocolViolation> {
        if self.known.is_empty() {
            self.look()?;
        }
        Ok(!self.known.is_empty())
    }

    /// How many messages are pending: for schedulers. Looks at the publish word.
    ///
    /// # Errors
    ///
    /// The sender published a slot that was not free.
    ///
    /// # Ordering
    ///
    /// E1.
    pub fn len(&mut self) -> Result<u32, ProtocolViolation> {
        self.look()?;
        Ok(self.known.len())
    }

    /// Whether no message is pending; as [`Receiver::len`].
    ///
    /// # Errors
    ///
    /// The sender published a slot that was not free.
    pub fn is_empty(&mut self) -> Result<bool, ProtocolViolation> {
        Ok(!self.is_pending()?)
    }

    /// Copies the header of the message that [`Receiver::take`] takes next, and leaves it pending.
    ///
    /// A hint for schedulers, to be decided by and not to be read by: a hostile sender may change the
    /// header before it is taken, and what is taken is copied and checked again.
    ///
    /// # Errors
    ///
    /// The sender published a slot that was not free.
    ///
    /// # Ordering
    ///
    /// E1.
    pub fn peek(&mut self) -> Result<Option<RawSlotHeader>, ProtocolViolation> {
        if self.known.is_empty() {
            self.look()?;
        }
        Ok(self.known.next_from(self.cursor).map(|slot| self.slots.header(slot)))
    }

    /// Releases every finished slot with one store. Does nothing when there is none.
    ///
    /// # Ordering
    ///
    /// E2.
    #[inline(always)]
    pub fn release(&mut self) {
        if self.finished.is_empty() {
            return;
        }
        self.released = self.released.flip(self.finished);
        self.finished = SlotMask::EMPTY;
        // E2: release store, pairs with the acquire load in `Sender::refresh`. Our reads of the
        // slots happen before the sender fills them again.
        self.release.store_release(self.released.bits());
    }

    /// Whether finished slots wait for [`Receiver::release`].
    pub(crate) fn has_finished(&self) -> bool {
        !self.finished.is_empty()
    }

    /// As if each slot had been taken so often.
    #[cfg(test)]
    pub(crate) fn has_taken(&mut self, times: u32) {
        self.counts.fill(times);
    }

    /// The expected slot, when its stamp says that it was published once more than it was taken.
    #[inline(always)]
    fn stamped(&self) -> Option<SlotIndex> {
        let slot = SlotIndex::new(self.cursor)?;
        // A slot that we hold cannot have been published again: the publish word tells.
        if self.taken.differs(self.released).contains(slot) {
            return None;
        }
        let next = self.counts[slot.index()].wrapping_add(1);
        // E3: acquire load, pairs with the release store in `Sender::publish`. Zero also stands for
        // "never stamped", so the one in 2^32 publications that is numbered 0 goes by the word. MBX-10.
        (next != 0 && self.slots.stamp(slot).load_acquire() == next).then_some(slot)
    }

    fn look(&mut self) -> Result<(), ProtocolViolation> {
        self.polls = 0;
        // E1: acquire load, pairs with the release store in `Sender::publish`.
        let publish = Toggle::from_bits(self.publish.load_acquire());
        let pending = publish.differs(self.taken);
        let held = self.taken.differs(self.released);
        let republished = pending.and(held);
        if !republished.is_empty() {
            return Err(ProtocolViolation::Republished { slots: republished });
        }
        let absent = pending.minus(self.slots.all());
        if !absent.is_empty() {
            return Err(ProtocolViolation::NoSuchSlot { slots: absent });
        }
        self.known = pending;
        Ok(())
    }

    #[inline(always)]
    fn begin(&mut self, slot: SlotIndex) -> Taken<'_, M> {
        self.known = self.known.without(slot);
        self.taken = self.taken.flip(slot.mask());
        self.counts[slot.index()] = self.counts[slot.index()].wrapping_add(1);
        self.cursor = self.slots.after(slot);
        self.polls = 0;
        Taken { receiver: self, slot, release: true }
    }
}

impl<M: SharedMemory> fmt::Debug for Receiver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("taken", &self.taken)
            .field("released", &self.released)
            .field("known", &self.known)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

/// A message that this end owns until it releases it. Dropping it releases it, together with every
/// finished one.
#[must_use = "a message that is dropped is released unread"]
#[derive(Debug)]
pub struct Taken<'r, M: SharedMemory> {
    receiver: &'r mut Receiver<M>,
    slot: SlotIndex,
    release: bool,
}

impl<M: SharedMemory> Taken<'_, M> {
    /// The slot.
    #[must_use]
    pub fn slot(&self) -> SlotIndex {
        self.slot
    }

    /// Copies the header words into private memory. Untrusted, and to be asked for once: a hostile
    /// sender may change the words, so that a second copy says something else than the first.
    ///
    /// The copy is not kept in this guard: a guard that moves with it costs more than the copy.
    #[inline(always)]
    #[must_use]
    pub fn header(&self) -> RawSlotHeader {
        self.receiver.slots.header(self.slot)
    }

    /// Copies the start of the inline area into private memory.
    ///
    /// # Errors
    ///
    /// More than 512 bytes.
    #[inline]
    pub fn snapshot(&self, into: &mut [u8]) -> Result<(), OutOfBounds> {
        self.receiver.slots.snapshot(self.slot, into)
    }

    /// Copies the first `len` bytes of the inline area into a vector.
    ///
    /// # Errors
    ///
    /// More than 512 bytes.
    #[inline]
    pub fn to_vec(&self, len: u32) -> Result<Vec<u8>, OutOfBounds> {
        self.receiver.slots.to_vec(self.slot, len)
    }

    /// Keeps the slot for good: nothing is stored any more for a peer that broke the protocol. LANE-15.
    pub fn keep(self) {
        core::mem::forget(self);
    }

    /// Releases the message, and with the same store every finished one.
    #[inline(always)]
    pub fn release(self) {}

    /// Leaves the release to the next one: [`Receiver::release`] stores for all finished messages
    /// at once. Release before parking: a sender may wait for the slots. MBX-19.
    #[inline(always)]
    pub fn finish(mut self) {
        self.release = false;
    }
}

impl<M: SharedMemory> Drop for Taken<'_, M> {
    #[inline(always)]
    fn drop(&mut self) {
        self.receiver.finished = self.receiver.finished.with(self.slot);
        if self.release {
            self.receiver.release();
        }
    }
}
