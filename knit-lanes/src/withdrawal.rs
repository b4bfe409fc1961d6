//! Both ends of a lane's withdrawn word: the host takes back calls that the worker has not begun, although the worker is at a
//! task and answers nothing.
//!
//! ```text
//! host                                worker
//! 1 store the bits of the calls       1 store *taken* of a request into the journal
//! 2 full fence, F3                    2 full fence, F4
//! 3 load the journal                  3 load the bits
//! ```
//!
//! Of the host's step 3 and the worker's step 3 at least one sees the other side's store. A call that the host does not find
//! taken then is one whose bit the worker finds: it does not run, and the host may hand it to another worker at once.
//!
//! A worker that has one task at a time needs no fence of its own for that, as it has executed one since it was last at a
//! task: the notifier's, after each answer (F1). The host has to look for one thing more: some call that the worker is
//! at *after* the host's fence. That call is not answered, so the fence after its answer is still to come, and the worker
//! takes nothing before. Where a worker takes a request while another one is open, it executes the fence of step 2.

use core::fmt;
use knit_proto::{Layout, SlotIndex, SlotMask};
use knit_ring::{AttachError, SharedMemory, SharedWord};

/// The host's end. LANE-38.
pub(crate) struct WithdrawalSender<M: SharedMemory> {
    memory: M,
    word: M::Word,
    /// The bits, as this end stored them last.
    withdrawn: SlotMask,
    /// Those of them whose call the worker has not begun, and does not.
    certain: SlotMask,
}

impl<M: SharedMemory> WithdrawalSender<M> {
    pub(crate) fn new(memory: &M, layout: &Layout) -> Result<Self, AttachError> {
        let word = memory.word(layout.withdrawn())?;
        let (withdrawn, certain) = (SlotMask::EMPTY, SlotMask::EMPTY);
        Ok(Self { memory: memory.clone(), word, withdrawn, certain })
    }

    /// Withdraws the calls in these places.
    ///
    /// # Ordering
    ///
    /// F3.
    pub(crate) fn withdraw(&mut self, places: SlotMask) {
        self.withdrawn = self.withdrawn.or(places);
        // Relaxed: the fence orders it.
        self.word.store_relaxed(self.withdrawn.bits());
        // F3: full fence. Orders the store before every look at the journal from here on; pairs with F4.
        self.memory.full_fence();
    }

    /// Places whose call is withdrawn, and of which nobody knows yet whether the worker has begun.
    pub(crate) fn uncertain(&self) -> SlotMask {
        self.withdrawn.minus(self.certain)
    }

    /// The journal said, as LANE-41 wants it, that the call in this place was not begun.
    pub(crate) fn is_not_begun(&mut self, place: SlotIndex) {
        self.certain = self.certain.with(place);
    }

    /// Whether the call in this place is withdrawn, and if so, whether it is certain that it does not run.
    #[inline]
    pub(crate) fn state(&self, place: SlotIndex) -> Option<bool> {
        self.withdrawn.contains(place).then(|| self.certain.contains(place))
    }

    /// Whether any call is withdrawn and not answered.
    #[inline]
    pub(crate) fn is_under_way(&self) -> bool {
        !self.withdrawn.is_empty()
    }

    /// The call in this place has been answered, and no other one is published yet. LANE-42.
    #[cold]
    pub(crate) fn clear(&mut self, place: SlotIndex) {
        self.withdrawn = self.withdrawn.without(place);
        self.certain = self.certain.without(place);
        // Relaxed: E1 of the next request in the place orders it.
        self.word.store_relaxed(self.withdrawn.bits());
    }
}

/// The worker's end. LANE-39, LANE-40.
pub(crate) struct WithdrawalReceiver<M: SharedMemory> {
    memory: M,
    word: M::Word,
    /// Calls that were taken, and after whose answer no full fence has been executed.
    open: u32,
}

impl<M: SharedMemory> WithdrawalReceiver<M> {
    pub(crate) fn new(memory: &M, layout: &Layout) -> Result<Self, AttachError> {
        Ok(Self { memory: memory.clone(), word: memory.word(layout.withdrawn())?, open: 0 })
    }

    /// Whether the host has withdrawn a call. To be asked once, after *taken* was stored for it.
    ///
    /// # Ordering
    ///
    /// F4.
    #[inline]
    pub(crate) fn is_withdrawn(&mut self, call: u32) -> bool {
        if self.open > 0 {
            // F4: full fence. Orders *taken* before the load; pairs with F3. Where no call is open, the one after the last
            // answer does: the host believes the journal only while some call is open.
            self.memory.full_fence();
        }
        self.open += 1;
        // Relaxed: the fence orders it, and nothing is read on the strength of its value.
        SlotIndex::new(call % knit_proto::SLOTS)
            .is_some_and(|place| SlotMask::from_bits(self.word.load_relaxed()).contains(place))
    }

    /// A call was answered, and a full fence executed after that: F1 of the answer is F4 of the calls after it.
    #[inline]
    pub(crate) fn answered(&mut self) {
        self.open = self.open.saturating_sub(1);
    }
}

impl<M: SharedMemory> fmt::Debug for WithdrawalSender<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("WithdrawalSender");
        let Self { withdrawn, certain, .. } = self;
        debug.field("withdrawn", withdrawn).field("certain", certain).finish_non_exhaustive()
    }
}

impl<M: SharedMemory> fmt::Debug for WithdrawalReceiver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithdrawalReceiver").field("open", &self.open).finish_non_exhaustive()
    }
}
