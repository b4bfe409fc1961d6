//! Calls that the host takes back before the worker has begun with them.

use super::HostLane;
use crate::call_table::CallId;
use crate::transfer::Received;
use knit_proto::{ProtocolViolation, SlotIndex, SlotMask, Word0};
use knit_ring::SharedMemory;

impl<M: SharedMemory> HostLane<M> {
    /// The places of calls that the worker has begun with, by its journal; `None` when nothing can be withdrawn, as the
    /// features are not in force or the lane is poisoned. A look at how things are going, of which nothing follows for any
    /// call.
    #[must_use]
    pub fn begun(&self) -> Option<SlotMask> {
        let journal = self.journal.as_ref()?;
        self.withdrawal.as_ref().filter(|_| self.poisoned.is_none())?;
        let begun = |call: &CallId| journal.may_have_begun(call.word(), self.calls.before(*call));
        Some(places(self.calls.in_flight().filter(begun)))
    }

    /// Tells the worker not to run these calls unless it has begun with them. It answers them all the same, with their result or
    /// with [`Answer::withdrawn`](super::Answer::withdrawn). Returns those that it does not run for certain: they can be handed
    /// to another worker at once. Of the others nobody knows before their answer has come, or [`Self::settle`] names them.
    ///
    /// Nothing happens where [`Self::begun`] is `None`, and to calls that are not in flight.
    ///
    /// # Ordering
    ///
    /// F3, E8.
    #[must_use = "calls that are named here are never named again"]
    pub fn withdraw(&mut self, calls: &[CallId]) -> Vec<CallId> {
        if self.poisoned.is_some() || self.journal.is_none() {
            return Vec::new();
        }
        let Some(withdrawal) = &mut self.withdrawal else { return Vec::new() };
        let in_flight = calls.iter().copied().filter(|call| self.calls.place(*call).is_some());
        withdrawal.withdraw(places(in_flight));
        self.settle()
    }

    /// The withdrawn calls of which it has become certain since the last look that the worker does not run them.
    ///
    /// # Ordering
    ///
    /// E8.
    #[must_use = "calls that are named here are never named again"]
    pub fn settle(&mut self) -> Vec<CallId> {
        let (Some(journal), Some(withdrawal)) = (&self.journal, &mut self.withdrawal) else {
            return Vec::new();
        };
        let uncertain = withdrawal.uncertain();
        if self.poisoned.is_some() || uncertain.is_empty() {
            return Vec::new();
        }
        // LANE-41. First a call that the worker is at: before it has answered that one it executes no fence, and takes nothing
        // without one.
        if !self.calls.in_flight().any(|call| journal.is_open(call.word())) {
            return Vec::new();
        }
        let mut settled = Vec::new();
        for call in self.calls.in_flight() {
            let Some(place) = SlotIndex::new(call.place() as u32) else { continue };
            if uncertain.contains(place)
                && !journal.may_have_begun(call.word(), self.calls.before(call))
            {
                withdrawal.is_not_begun(place);
                settled.push(call);
            }
        }
        settled
    }

    /// Whether a withdrawn call is not answered yet. What is submitted meanwhile waits for the same task that those had
    /// waited for.
    #[inline]
    #[must_use]
    pub fn is_withdrawing(&self) -> bool {
        self.withdrawal.as_ref().is_some_and(super::WithdrawalSender::is_under_way)
    }

    /// Whether the answer to a call that is not in flight any more says that it was withdrawn. LANE-39, LANE-41.
    #[cold]
    pub(super) fn end_withdrawal(
        &mut self,
        call: CallId,
        received: &Received,
    ) -> Result<bool, ProtocolViolation> {
        let says = received.word0 == Word0::Withdrawn;
        let state = SlotIndex::new(call.place() as u32).zip(self.withdrawal.as_mut()).and_then(
            |(place, withdrawal)| withdrawal.state(place).inspect(|_| withdrawal.clear(place)),
        );
        match (says, state) {
            (true, None) | (false, Some(true)) => {
                Err(ProtocolViolation::Withdrawn { slot: received.slot, call: call.word(), says })
            }
            _ => Ok(says),
        }
    }
}

/// Their places as a mask.
fn places(calls: impl Iterator<Item = CallId>) -> SlotMask {
    // Places are below 32.
    let place = |call: CallId| SlotIndex::new(call.place() as u32);
    calls.filter_map(place).fold(SlotMask::EMPTY, SlotMask::with)
}
