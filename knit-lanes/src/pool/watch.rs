//! Sees to it that no call waits behind a long task, or in the inline lane, while another lane is idle.
//!
//! A call goes to a lane that has room, and a lane has room for 32: who is handed over while a worker is at a short task may
//! find itself behind a long one. The driver looks at the lanes now and then. A worker that was at the same task at the last look
//! is asked to leave the calls behind it to the lanes that have nothing to do.

use super::shared::Shared;
use core::time::Duration;
use knit_proto::SLOTS;
use std::time::Instant;

/// When the lanes were looked at. A task is long when it is there at two looks.
#[derive(Debug)]
pub(super) struct Watch {
    last: Instant,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { last: Instant::now() }
    }

    /// Looks at the lanes, unless the last look was a moment ago.
    pub(super) fn look(&mut self, shared: &Shared) {
        if !is_wanted(shared) && !shared.has_inline() {
            return;
        }
        let now = Instant::now();
        if now.duration_since(self.last) < shared.looks_every {
            return;
        }
        self.last = now;
        shared.look_after_inline();
        if !is_wanted(shared) {
            return;
        }
        // Idle lanes take what is in the queue first.
        let idle = if shared.has_queue() {
            0
        } else {
            shared.lanes.iter().filter(|it| it.load() == 0).count()
        };
        // As many lanes as there are, at most; the product of two small numbers.
        let mut room = u32::try_from(idle).unwrap_or(u32::MAX).saturating_mul(SLOTS);
        for lane in &shared.lanes {
            // One that is answered by now is none that stands.
            lane.poll(shared);
            room = room.saturating_sub(lane.withdraw(shared, room));
        }
        if shared.has_queue() {
            for lane in &shared.lanes {
                lane.poll(shared);
            }
        }
    }

    /// How long a driver may sleep that others wake when there is an answer. Nobody wakes it when a call is handed over meanwhile:
    /// to a lane that is at a long task, or to the inline lane.
    pub(super) fn pause(shared: &Shared) -> Option<Duration> {
        let may_follow = shared.lanes.len() > 1
            && shared.lanes.iter().any(|lane| (1..=SLOTS).contains(&lane.load()));
        (may_follow || shared.inline.is_some()).then_some(shared.looks_every)
    }
}

/// Whether any call is behind another one, and there are lanes that it could go to.
fn is_wanted(shared: &Shared) -> bool {
    shared.lanes.len() > 1 && shared.lanes.iter().any(|lane| (2..=SLOTS).contains(&lane.load()))
}
