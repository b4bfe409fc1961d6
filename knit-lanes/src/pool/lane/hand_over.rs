//! Calls that were somewhere else before: in the queue, or in the inline lane.

use super::{Core, Lane, Offered, Phase};
use crate::pool::call::Wakes;
use crate::pool::shared::{Queued, Shared};

impl Lane {
    /// As [`Self::offer`], of a call that somebody may wait for or give up meanwhile.
    #[cold]
    pub(in crate::pool) fn hand_over(&self, shared: &Shared, call: &mut Queued) -> Offered {
        let mut wakes = Wakes::default();
        let mut core = self.lock();
        let offered = core.hand_over(self.index, shared, call, &mut wakes);
        self.note_load(&core);
        drop(core);
        shared.wake(wakes);
        offered
    }
}

impl Core {
    /// Hands the first call of the queue to the worker; false when there is none or no room.
    #[cold]
    pub(super) fn fill(&mut self, lane: usize, shared: &Shared, wakes: &mut Wakes) -> bool {
        if !matches!(&self.phase, Phase::Open(host) if host.has_place() && !host.is_withdrawing()) {
            return false;
        }
        let Some(mut call) = shared.next_queued() else { return false };
        match self.hand_over(lane, shared, &mut call, wakes) {
            // It was given up in the queue, in the second case.
            Offered::Taken | Offered::Ended => {
                shared.left_queue(wakes);
                wakes.drained |= shared.is_draining();
                true
            }
            Offered::Declined => {
                shared.put_back(call);
                false
            }
        }
    }

    /// Hands a call to the worker that anybody may give up until then. Claimed first: who gives it up does that here or
    /// there.
    #[cold]
    fn hand_over(
        &mut self,
        lane: usize,
        shared: &Shared,
        call: &mut Queued,
        wakes: &mut Wakes,
    ) -> Offered {
        if !call.state.claim(lane) {
            return Offered::Ended;
        }
        let offered = self.offer(lane, shared, &mut call.offer(), wakes);
        match offered {
            // Whoever sleeps because no lane had the call waits for this one now.
            Offered::Taken => {
                call.state.wake_sleeper();
            }
            _ => call.state.unclaim(),
        }
        offered
    }
}
