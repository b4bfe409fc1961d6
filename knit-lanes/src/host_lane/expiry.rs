//! Calls whose time is over.

use super::HostLane;
use crate::call_table::CallId;
use knit_proto::{MonotonicTime, SLOTS, SlotIndex, SlotMask};
use knit_ring::SharedMemory;

/// Until when the callers of the calls in flight wait.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// Places whose call has a deadline that has not come yet.
    timed: SlotMask,
    deadlines: [Option<MonotonicTime>; SLOTS as usize],
}

impl Expiry {
    /// The call in this place has been published.
    #[cold]
    pub(super) fn begin(&mut self, place: usize, deadline: MonotonicTime) {
        let Some(slot) = SlotIndex::new(place as u32) else { return };
        self.timed = self.timed.with(slot);
        self.deadlines[slot.index()] = Some(deadline);
    }

    /// The call in this place has ended.
    #[inline]
    pub(super) fn end(&mut self, place: SlotIndex) {
        self.timed = self.timed.without(place);
    }

    fn of(&self, call: CallId) -> Option<MonotonicTime> {
        let place = SlotIndex::new(call.place() as u32)?;
        self.deadlines[place.index()].filter(|_| self.timed.contains(place))
    }
}

impl<M: SharedMemory> HostLane<M> {
    /// Aborts the calls whose deadline ([`Self::submit_until`]) has come at `now`, and names them, each once. What [`Self::abort`]
    /// says holds for them: they stay in flight until the worker answers, nobody wants that answer, and a worker whose tasks are
    /// futures may have to be woken ([`Self::notify`]).
    ///
    /// `now` and the deadlines are of one clock, whichever: this type reads none.
    #[must_use = "calls that are named here are never named again"]
    pub fn expire(&mut self, now: MonotonicTime) -> Vec<CallId> {
        let is_over = |call: &CallId| self.expiry.of(*call).is_some_and(|deadline| deadline <= now);
        let over: Vec<_> = self.calls.in_flight().filter(is_over).collect();
        for call in &over {
            if let Some(place) = self.calls.place(*call) {
                self.expiry.end(place);
            }
            // A lane may have no signal for it: the call is over for its caller all the same.
            self.abort(*call);
        }
        over
    }

    /// The first deadline of a call in flight that [`Self::expire`] has not named: for the timer of an event loop.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonotonicTime> {
        self.calls.in_flight().filter_map(|call| self.expiry.of(call)).min()
    }
}
