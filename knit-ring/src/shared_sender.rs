//! A sending end that threads of one process share.
//!
//! On the wire it is a sender like any other: one publish word, slots, stamps. How the threads share
//! it is private: each slot has an *owner word* in memory of this process,
//!
//! ```text
//! bit  0        claimed: some thread fills the slot
//! bits 1 .. 31  generation: how often the slot was published
//! ```
//!
//! whose lowest generation bit is the slot's bit of the publish word. A slot is free when it is not
//! claimed and the release word has that same bit. A thread claims a free slot by one
//! compare-and-exchange of its owner word, from the value with which it saw the slot free: if that
//! succeeds, nobody has published the slot since, so it is still free. It flips the publish word by
//! one atomic exclusive-or, stamps, and gives the slot up with the next generation.
//!
//! A handle that is the only one left needs neither: it stores what it would compare or flip, as a
//! [`Sender`](crate::Sender) does.
//!
//! Nobody waits for anybody: a thread that stops anywhere keeps at most the slots that it has claimed,
//! one for each open [`SharedClaim`].

use crate::mailbox::{AttachError, Slots, Stamps};
use crate::{BatchError, ClaimError, OutOfBounds, SharedMemory, SharedWord, SharedWordRmw};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use knit_proto::{
    MailboxLayout, ProtocolViolation, RawSlotHeader, SLOTS, SlotHeader, SlotIndex, SlotMask, Span,
    Toggle,
};

/// Distance between the owner words of two slots, in bytes: a cache line each, so that threads that
/// fill different slots do not take lines from each other.
const OWNER_STRIDE: u32 = 64;
/// Owner word, from the start of a slot's line.
const OWNER_AT: u32 = 0;
/// How often the slot was published, modulo 2^32, from the start of its line. Touched by the thread
/// that has claimed the slot.
const COUNT_AT: u32 = 4;
/// Bit of an owner word: some thread fills the slot.
const CLAIMED: u32 = 1;
/// Looks at the release word for one claim. More than one is only of use when other threads have
/// taken every free slot in between.
const LOOKS: u32 = 2;

/// The sending end of a mailbox that threads of one process share: each thread has a clone.
///
/// The messages of one thread may overtake each other, as all messages of a mailbox may: which slot is
/// free next depends on the other threads.
///
/// `M` is the memory of the mailbox, `P` memory of this process in which the threads keep track of the
/// slots. Of a mailbox there is one [`Sender`](crate::Sender), or clones of one `SharedSender`.
pub struct SharedSender<M, P>
where
    M: SharedMemory<Word: SharedWordRmw>,
    P: SharedMemory<Word: SharedWordRmw>,
{
    publish: M::Word,
    release: M::Word,
    slots: Slots<M>,
    stamps: Stamps,
    owners: Box<[Owner<P>]>,
    /// Owner words as this clone loaded them last, before it loaded the release word.
    view: Box<[u32; SLOTS as usize]>,
    /// Slots that were free then.
    seen_free: SlotMask,
    /// Those of them that this clone has not tried to claim since.
    untried: SlotMask,
    /// The slot to try first.
    cursor: u32,
    /// While this is the only handle.
    sole: Option<Sole>,
    /// One strong count for each handle; counts the clones that were ever made.
    handles: Arc<AtomicU32>,
    source: Source<M, P>,
}

/// What the only handle knows.
#[derive(Clone, Copy)]
struct Sole {
    /// The publish word.
    publish: Toggle,
    /// How many clones had been made when this became the only handle. One more, and it is not, or
    /// has not been all the time.
    clones: u32,
}

/// What a clone is made of.
struct Source<M, P> {
    memory: M,
    private: P,
    layout: MailboxLayout,
}

struct Owner<P: SharedMemory> {
    word: P::Word,
    count: P::Word,
}

/// Bytes of process-private memory that a [`SharedSender`] needs, zero at first.
pub const SHARED_SENDER_BYTES: u32 = SLOTS * OWNER_STRIDE;

impl<M, P> SharedSender<M, P>
where
    M: SharedMemory<Word: SharedWordRmw>,
    P: SharedMemory<Word: SharedWordRmw>,
{
    /// The sending end of a mailbox that was not used yet. `private` is [`SHARED_SENDER_BYTES`] of
    /// zeroed memory that no other party can write, such as a
    /// [`HeapMemory`](crate::HeapMemory).
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory, or `private` is too short.
    pub fn new(
        memory: &M,
        private: &P,
        layout: MailboxLayout,
        stamps: Stamps,
    ) -> Result<Self, AttachError> {
        Self::handle(memory, private, layout, stamps, Arc::default())
    }

    fn handle(
        memory: &M,
        private: &P,
        layout: MailboxLayout,
        stamps: Stamps,
        handles: Arc<AtomicU32>,
    ) -> Result<Self, AttachError> {
        let owners = (0..layout.slot_count())
            .map(|slot| {
                let word = |at| private.word(private_word(slot * OWNER_STRIDE + at));
                Ok(Owner { word: word(OWNER_AT)?, count: word(COUNT_AT)? })
            })
            .collect::<Result<Vec<_>, OutOfBounds>>()?;
        Ok(Self {
            publish: memory.word(layout.publish())?,
            release: memory.word(layout.release())?,
            slots: Slots::new(memory, &layout)?,
            stamps,
            owners: owners.into_boxed_slice(),
            view: Box::new([CLAIMED; SLOTS as usize]),
            seen_free: SlotMask::EMPTY,
            untried: SlotMask::EMPTY,
            cursor: 0,
            sole: None,
            handles,
            source: Source { memory: memory.clone(), private: private.clone(), layout },
        })
    }

    /// Claims a free slot. Nothing shared with the receiver changes.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Full`] when no slot is free, or other threads took every one that was;
    /// [`ClaimError::Violation`] when the receiver released a slot that was not published.
    ///
    /// # Ordering
    ///
    /// E2, when the release word is loaded; P1.
    #[inline]
    pub fn claim(&mut self) -> Result<SharedClaim<'_, M, P>, ClaimError> {
        let slot = self.claim_slot()?;
        Ok(SharedClaim { sender: self, slot })
    }

    /// Starts a batch: several claims, published by one flip of the publish word.
    #[inline]
    pub fn batch(&mut self) -> SharedBatch<'_, M, P> {
        SharedBatch { sender: self, ready: SlotMask::EMPTY }
    }

    #[inline]
    fn claim_slot(&mut self) -> Result<SlotIndex, ClaimError> {
        for _ in 0..LOOKS {
            while let Some(slot) = self.untried.next_from(self.cursor) {
                self.untried = self.untried.without(slot);
                let seen = self.view[slot.index()];
                if self.is_sole() {
                    // Relaxed: no other thread looks at it.
                    self.owners[slot.index()].word.store_relaxed(seen | CLAIMED);
                    self.cursor = self.slots.after(slot);
                    return Ok(slot);
                }
                // P1: acquire, pairs with the release store in `give_up` of the thread that had the
                // slot last: its stamp and its count come before ours.
                let owner = &self.owners[slot.index()].word;
                if owner.compare_exchange_acquire(seen, seen | CLAIMED).is_ok() {
                    self.cursor = self.slots.after(slot);
                    return Ok(slot);
                }
            }
            self.look()?;
            if self.untried.is_empty() {
                return Err(ClaimError::Full);
            }
        }
        Err(ClaimError::Full)
    }

    /// Finds out whether this is the only handle, loads the owner words, then the release word.
    #[cold]
    fn look(&mut self) -> Result<(), ProtocolViolation> {
        // First of all: a handle that has become the only one claims without comparing, so what it
        // claims from must have been loaded after the others were gone.
        self.find_sole();
        let (mut unclaimed, mut published, mut same) = (SlotMask::EMPTY, 0, SlotMask::EMPTY);
        for (index, owner) in self.owners.iter().enumerate() {
            // P1: acquire load, pairs with the release store in `give_up`, and keeps the load of the
            // release word after it: what that one shows is not older than this generation.
            let word = owner.word.load_acquire();
            let bit = 1 << index;
            if word & CLAIMED == 0 {
                unclaimed = unclaimed.or(SlotMask::from_bits(bit));
            }
            if word & CLAIMED << 1 != 0 {
                published |= bit;
            }
            if word == self.view[index] {
                same = same.or(SlotMask::from_bits(bit));
            }
            self.view[index] = word;
        }
        // E2: acquire load, pairs with the release store in `Receiver::release`.
        let release = Toggle::from_bits(self.release.load_acquire());
        let pending = release.differs(Toggle::from_bits(published));
        let absent = pending.minus(self.slots.all());
        if !absent.is_empty() {
            return Err(ProtocolViolation::NoSuchSlot { slots: absent });
        }
        // A slot that was free, and that nobody has touched since, is still free. Another thread may
        // have claimed and published it between the two loads; then its claim is visible by now,
        // through E1 and the release word.
        let untouched = |slot: SlotIndex| {
            self.owners[slot.index()].word.load_acquire() == self.view[slot.index()]
        };
        let mut suspect = self.seen_free.and(same).and(pending);
        while let Some(slot) = suspect.next_from(0) {
            if untouched(slot) {
                return Err(ProtocolViolation::ReleasedFree { slots: slot.mask() });
            }
            suspect = suspect.without(slot);
        }
        self.seen_free = unclaimed.minus(pending);
        self.untried = self.seen_free;
        Ok(())
    }

    fn find_sole(&mut self) {
        if self.is_sole() {
            return;
        }
        // The other handles are gone, and `get_mut` orders all that their threads did before this. Then
        // no other thread changes an owner word, nor the publish word, which has the lowest generation
        // bits.
        // Not while any slot is claimed, by this handle or by a claim that was forgotten: whether that
        // one was published, its owner word does not tell.
        self.sole = Arc::get_mut(&mut self.handles)
            .map(|clones| *clones.get_mut())
            .and_then(|clones| Some(Sole { publish: self.published()?, clones }));
    }

    /// Whether this has been the only handle since it found that it was.
    #[inline(always)]
    fn is_sole(&self) -> bool {
        // Relaxed: a clone is made from a shared reference to a handle. If it was this one, its exclusive
        // reference came after that; and while this is the only one, there is no other to clone.
        self.sole.is_some_and(|sole| sole.clones == self.handles.load(Ordering::Relaxed))
    }

    /// The publish word, when no other handle exists and no slot is claimed.
    fn published(&self) -> Option<Toggle> {
        let mut bits = 0;
        for (slot, owner) in self.owners.iter().enumerate() {
            // P1: acquire load, as in `look`.
            let word = owner.word.load_acquire();
            if word & CLAIMED != 0 {
                return None;
            }
            bits |= (word >> 1 & 1) << slot;
        }
        Some(Toggle::from_bits(bits))
    }

    /// Publishes slots that this clone has claimed.
    #[inline]
    fn publish(&mut self, slots: SlotMask) {
        if self.is_sole()
            && let Some(sole) = &mut self.sole
        {
            sole.publish = sole.publish.flip(slots);
            let publish = sole.publish;
            // E1: release store, as in `Sender::publish`.
            return self.publish.store_release(publish.bits());
        }
        // E1: pairs with the acquire load in `Receiver::look`. Flips of other threads that come later
        // continue the release sequence, so whoever loads their value sees these slots' bytes too.
        self.publish.fetch_xor_release(slots.bits());
    }

    /// Stamps a published slot and gives it up: other threads may claim it once it is released.
    #[inline]
    fn finish(&mut self, slot: SlotIndex) {
        let owner = &self.owners[slot.index()];
        // Relaxed, both: P1 hands the count from claim to claim.
        let count = owner.count.load_relaxed().wrapping_add(1);
        owner.count.store_relaxed(count);
        if self.stamps == Stamps::On {
            // E3: release store, pairs with the acquire load in `Receiver::stamped`. MBX-9.
            self.slots.stamp(slot).store_release(count);
        }
        self.give_up(slot, self.claimed_as(slot).wrapping_add(CLAIMED << 1));
    }

    #[inline]
    fn give_up(&self, slot: SlotIndex, owner: u32) {
        // P1: release store, pairs with the acquire accesses in `claim_slot` and `look`.
        self.owners[slot.index()].word.store_release(owner);
    }

    /// Gives a claimed slot up as it was.
    fn abandon(&self, slot: SlotIndex) {
        self.give_up(slot, self.claimed_as(slot));
    }

    /// The owner word from which this clone has claimed a slot. A look in between has seen its claim.
    #[inline]
    fn claimed_as(&self, slot: SlotIndex) -> u32 {
        self.view[slot.index()] & !CLAIMED
    }
}

fn private_word(bytes: u32) -> knit_proto::WordOffset {
    Span::new(0, SHARED_SENDER_BYTES)
        .and_then(|span| span.word(bytes))
        .expect("32 lines, a slot each")
}

impl<M, P> Clone for SharedSender<M, P>
where
    M: SharedMemory<Word: SharedWordRmw>,
    P: SharedMemory<Word: SharedWordRmw>,
{
    /// A handle for another thread. It begins half a mailbox further on, so that two threads do not
    /// reach for the same slots.
    fn clone(&self) -> Self {
        let Source { memory, private, layout } = &self.source;
        // Relaxed: see `is_sole`.
        self.handles.fetch_add(1, Ordering::Relaxed);
        let handles = Arc::clone(&self.handles);
        let clone = Self::handle(memory, private, *layout, self.stamps, handles);
        let mut clone = clone.expect("the layout fitted this memory before");
        clone.cursor = (self.cursor + layout.slot_count() / 2) % layout.slot_count();
        clone
    }
}

impl<M, P> fmt::Debug for SharedSender<M, P>
where
    M: SharedMemory<Word: SharedWordRmw>,
    P: SharedMemory<Word: SharedWordRmw>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSender")
            .field("untried", &self.untried)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

/// A claimed slot, not visible to the receiver. Dropping it abandons the claim without a trace.
#[must_use = "a claim that is dropped sends nothing"]
pub struct SharedClaim<'s, M, P>
where
    M: SharedMemory<Word: SharedWordRmw>,
    P: SharedMemory<Word: SharedWordRmw>,
{
    sender: &'s mut SharedSender<M, P>,
    slot: SlotIndex,
}

impl<M, P> SharedClaim<'_, M, P>
where
    M: SharedMemory<Word: SharedWordRmw>,
    P: SharedMemory<Word: SharedWordRmw>,
{
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
    pub fn deposit(&mut self, bytes: &[u8]) -> Result<(), OutOfBounds> {
        self.sender.slots.deposit(self.slot, bytes)
    }

    /// Hands the slot to the receiver. From here on nobody must touch its bytes.
    ///
    /// # Ordering
    ///
    /// E1, then E3, then P1.
    #[inline]
    pub fn publish(self, message: &SlotHeader) -> SlotIndex {
        let mut claim = core::mem::ManuallyDrop::new(self);
        let slot = claim.slot;
        claim.sender.slots.set_header(slot, &RawSlotHeader::encode(message));
        claim.sender.publish(slot.mask());
        claim.sender.finish(slot);
        slot
    }
}

impl<M, P> Drop for SharedClaim<'_, M, P>
where
    M: SharedMemory<Word: SharedWordRmw>,
    P: SharedMemory<Word: SharedWordRmw>,
{
    fn drop(&mut self) {
        self.sender.abandon(self.slot);
    }
}

impl<M, P> fmt::Debug for SharedClaim<'_, M, P>
where
    M: SharedMemory<Word: SharedWordRmw>,
    P: SharedMemory<Word: SharedWordRmw>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedClaim").field("slot", &self.slot).finish_non_exhaustive()
    }
}

/// Claims that become visible together. Dropping it before [`SharedBatch::publish`] abandons them all.
#[must_use = "a batch that is dropped sends nothing"]
pub struct SharedBatch<'s, M, P>
where
    M: SharedMemory<Word: SharedWordRmw>,
    P: SharedMemory<Word: SharedWordRmw>,
{
    sender: &'s mut SharedSender<M, P>,
    ready: SlotMask,
}

impl<M, P> SharedBatch<'_, M, P>
where
    M: SharedMemory<Word: SharedWordRmw>,
    P: SharedMemory<Word: SharedWordRmw>,
{
    /// Adds one message, whose inline payload is `inline`.
    ///
    /// # Errors
    ///
    /// As [`SharedSender::claim`]; [`BatchError::OutOfBounds`] for more than 512 bytes. The messages
    /// added before stay in the batch.
    #[inline]
    pub fn add(&mut self, message: &SlotHeader, inline: &[u8]) -> Result<SlotIndex, BatchError> {
        let slot = self.sender.claim_slot()?;
        if let Err(error) = self.sender.slots.deposit(slot, inline) {
            self.sender.abandon(slot);
            return Err(error.into());
        }
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

    /// Hands all slots of the batch to the receiver with one flip.
    ///
    /// # Ordering
    ///
    /// E1 once, then E3 and P1 for each slot.
    #[inline]
    pub fn publish(mut self) -> SlotMask {
        let ready = core::mem::take(&mut self.ready);
        if ready.is_empty() {
            return ready;
        }
        self.sender.publish(ready);
        let mut rest = ready;
        while let Some(slot) = rest.next_from(0) {
            rest = rest.without(slot);
            self.sender.finish(slot);
        }
        ready
    }
}

impl<M, P> Drop for SharedBatch<'_, M, P>
where
    M: SharedMemory<Word: SharedWordRmw>,
    P: SharedMemory<Word: SharedWordRmw>,
{
    fn drop(&mut self) {
        let mut rest = self.ready;
        while let Some(slot) = rest.next_from(0) {
            rest = rest.without(slot);
            self.sender.abandon(slot);
        }
    }
}

impl<M, P> fmt::Debug for SharedBatch<'_, M, P>
where
    M: SharedMemory<Word: SharedWordRmw>,
    P: SharedMemory<Word: SharedWordRmw>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBatch").field("ready", &self.ready).finish_non_exhaustive()
    }
}
