//! Whose turn it is to sleep on a lane's bell.
//!
//! One thread at a time sleeps on the bell. The others that wait for the same lane sleep until their
//! own call is done; whoever stops sleeping on the bell wakes one of them to take the turn.

use super::call::CallState;
use super::lane::Memory;
use knit_ring::Waiter;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// The turn of one lane.
#[derive(Debug)]
pub(super) struct Turn {
    lane: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Here while nobody sleeps on the bell.
    bell: Option<BellTurn>,
    /// Epoch of the lane's segment. A turn of an older one ends when it comes back.
    epoch: u32,
    followers: VecDeque<Arc<CallState>>,
}

/// The right to sleep on the bell.
#[derive(Debug)]
pub(super) struct BellTurn {
    pub(super) waiter: Waiter<Memory>,
    pub(super) epoch: u32,
}

impl Turn {
    pub(super) fn new(lane: usize) -> Self {
        Self { lane, inner: Mutex::default() }
    }

    /// The lane has a new segment.
    pub(super) fn replace(&self, waiter: Waiter<Memory>, epoch: u32) {
        let mut inner = self.lock();
        inner.epoch = epoch;
        inner.bell = Some(BellTurn { waiter, epoch });
    }

    /// The lane has no segment any more.
    pub(super) fn retire(&self) {
        let mut inner = self.lock();
        // Supervisors count epochs from 1 on: no turn that comes back has this one.
        inner.epoch = 0;
        inner.bell = None;
    }

    /// Takes the turn; or, when another thread has it, notes down `call` as one to wake later.
    pub(super) fn take_or_follow(&self, call: &Arc<CallState>) -> Option<BellTurn> {
        let mut inner = self.lock();
        let turn = inner.bell.take();
        inner.followers.retain(|other| self.is_for(other));
        let known = inner.followers.iter().any(|other| Arc::ptr_eq(other, call));
        if turn.is_none() && !known {
            inner.followers.push_back(Arc::clone(call));
        }
        turn
    }

    /// Takes the turn if nobody has it.
    pub(super) fn try_take(&self) -> Option<BellTurn> {
        self.lock().bell.take()
    }

    /// Gives the turn back.
    pub(super) fn give_back(&self, turn: BellTurn) {
        let mut inner = self.lock();
        if turn.epoch == inner.epoch {
            inner.bell = Some(turn);
        }
    }

    /// If nobody has the turn, wakes the next thread that waits for it. Returns whether somebody has
    /// the turn or was woken to take it.
    ///
    /// Call it when a thread that slept for this lane leaves: it may have been woken to take the turn
    /// and have got its answer at the same moment, and must wake another one.
    pub(super) fn pass_on(&self) -> bool {
        loop {
            let next = {
                let mut inner = self.lock();
                if inner.bell.is_none() {
                    return true;
                }
                inner.followers.pop_front()
            };
            match next {
                // Threads that are awake look after themselves before they sleep again. Whose call went elsewhere
                // sleeps for that lane.
                Some(call) if self.is_for(&call) && call.wake_sleeper() => return true,
                Some(_) => {}
                None => return false,
            }
        }
    }

    /// Whether the thread that waits for this call waits for this lane.
    fn is_for(&self, call: &CallState) -> bool {
        !call.is_done() && call.lane() == Some(self.lane)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::call::Sleeper;
    use knit_proto::{CreatorId, ExtensionBytes, Features, HeaderFields, LaneKind, Version};
    use knit_ring::{Mapping, create_segment};
    use std::thread::{current, park_timeout};
    use std::time::Duration;

    /// The right to sleep on the bell of a lane.
    fn bell() -> BellTurn {
        let builder = crate::Pool::builder();
        let geometry = builder.check().unwrap();
        let bytes = ExtensionBytes::MIN.lane_block_at() + geometry.block_bytes();
        let memory = Mapping::create(bytes).unwrap();
        let fields = HeaderFields {
            version: Version::CURRENT,
            required: Features::FUTEX_BELLS,
            optional: Features::STAMPS,
            epoch: 1,
            creator: CreatorId { pid: 1, start_time: 1, boot: 1 },
            kind: LaneKind::Thread,
            geometry,
            extension: ExtensionBytes::MIN,
            tasks: 0,
            request_reserved: 0,
            response_reserved: 0,
        };
        let layout = create_segment(&memory, &fields).unwrap();
        BellTurn { waiter: crate::HostLane::waiter(&memory, &layout).unwrap(), epoch: 1 }
    }

    /// A call that is with this lane, for which this thread sleeps.
    fn call(lane: usize) -> Arc<CallState> {
        let call = CallState::new(None);
        call.set_lane(lane);
        assert!(call.sleep_as(Sleeper::Parked(current())));
        call
    }

    /// Whose call has moved to another lane sleeps for that one: waking it wakes nobody who would listen here.
    #[test]
    fn the_turn_is_passed_over_who_waits_for_another_lane() {
        let BellTurn { waiter, epoch } = bell();
        let turn = Turn::new(3);
        turn.replace(waiter, epoch);
        let held = turn.try_take().unwrap();
        let (moved, awake, asleep) = (call(3), call(3), call(3));
        for call in [&moved, &awake, &asleep] {
            assert!(turn.take_or_follow(call).is_none());
        }
        moved.set_lane(1);
        awake.awake();
        assert!(turn.pass_on(), "somebody has it");
        turn.give_back(held);
        assert!(turn.pass_on());
        // This thread was told once, for the third call: it is the last one that was asked.
        park_timeout(Duration::from_secs(20));
        assert!(turn.lock().followers.is_empty());
        // Nobody is left to take the turn, though the first call still has a sleeper.
        assert!(!turn.pass_on());
        assert!(moved.wake_sleeper());
    }
}
