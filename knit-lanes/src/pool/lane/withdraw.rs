//! Calls behind a long task: taken back from the worker, for lanes that are idle.

use super::{Core, Lane, Phase, WithWorker};
use crate::CallId;
use crate::pool::shared::Shared;
use knit_proto::{SlotIndex, SlotMask};

/// How far a worker was at the last look. Where nothing has changed since, it has neither begun a call nor ended one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Progress {
    /// Answers, and workers: each only grows.
    answers: u64,
    restarts: u64,
    begun: SlotMask,
}

impl Lane {
    /// Takes up to `room` calls back from a worker that was at the same task at the last look: those that it has not begun.
    /// They go to the front of the queue, in their order. Returns how many were, or may be, taken back.
    #[cold]
    pub(in crate::pool) fn withdraw(&self, shared: &Shared, room: u32) -> u32 {
        let mut core = self.lock();
        let withdrawn = core.withdraw(self.index, shared, room);
        self.note_load(&core);
        withdrawn
    }
}

impl Core {
    fn withdraw(&mut self, lane: usize, shared: &Shared, room: u32) -> u32 {
        let Phase::Open(host) = &mut self.phase else { return 0 };
        let Some(begun) = host.begun() else { return 0 };
        let (answers, restarts) = self.counts.progress();
        let now = Progress { answers, restarts, begun };
        let stands = core::mem::replace(&mut self.progress, now) == now;
        let mut asked = 0;
        // What was asked for before may have become certain.
        let mut settled = host.settle();
        if stands && !begun.is_empty() && room > 0 {
            let mut behind: Vec<_> = self
                .calls
                .iter()
                .flatten()
                .filter(|with| !with.call.is_done() && !contains(begun, with.id))
                .filter_map(|with| Some((self.kept.order(with.id)?, with.id)))
                .collect();
            behind.sort_unstable_by_key(|(order, _)| *order);
            behind.truncate(room as usize);
            if !behind.is_empty() {
                let calls: Vec<_> = behind.into_iter().map(|(_, call)| call).collect();
                // Below 32.
                asked = calls.len() as u32;
                settled.extend(host.withdraw(&calls));
            }
        }
        self.queue_withdrawn(lane, shared, &settled);
        asked
    }

    /// The worker says that it has not run this call. False when the call was given up, and ends with this answer.
    #[cold]
    pub(super) fn was_withdrawn(&mut self, lane: usize, shared: &Shared, call: CallId) -> bool {
        self.queue_withdrawn(lane, shared, &[call]);
        self.calls[call.place()].is_none()
    }

    /// Queues calls again that were withdrawn and do not run, unless they were given up meanwhile: those end with their answer.
    #[cold]
    fn queue_withdrawn(&mut self, lane: usize, shared: &Shared, calls: &[CallId]) {
        let mut again = Vec::new();
        for id in calls {
            let place = &mut self.calls[id.place()];
            let Some(WithWorker { call, .. }) =
                place.take_if(|with| with.id == *id && !with.call.is_done())
            else {
                continue;
            };
            match self.kept.take(*id) {
                Some(kept) => again.push((kept.order, kept.queued(call))),
                // Nothing was withdrawn that is not kept.
                None => *place = Some(WithWorker { id: *id, call }),
            }
        }
        again.sort_unstable_by_key(|(order, _)| *order);
        again.iter().for_each(|(_, call)| self.counts.withdrawn(lane, &call.state));
        if !again.is_empty() {
            shared.queue_again(again.into_iter().map(|(_, call)| call));
            // Idle lanes have nobody who looks.
            shared.driver.ring_local();
        }
    }
}

fn contains(places: SlotMask, call: CallId) -> bool {
    // Below 32.
    SlotIndex::new(call.place() as u32).is_some_and(|place| places.contains(place))
}
