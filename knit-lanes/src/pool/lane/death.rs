//! What becomes of the calls of a worker that has died: finished, made again, or failed.

use super::{Core, Ended, Lane, Phase, Poll, WithWorker};
use crate::debug::say;
use crate::error::CallError;
use crate::pool::call::Wakes;
use crate::pool::shared::Shared;
use crate::process::WorkerExit;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::collections::VecDeque;

/// How many workers may die while a call is the next one that they would begin with. A call that ends its worker
/// as soon as it is looked at, because its argument does not fit into the worker's memory for instance, must
/// not end workers for ever.
pub(in crate::pool) const MOST_DEATHS: u8 = 8;

/// How long after the end of the process that was started the worker may live on, where that process was a sandbox
/// around it. When it does for longer, nobody knows what it has begun.
const AFTERLIFE: Duration = Duration::from_millis(100);

impl Lane {
    /// The worker's process has ended: reads the answers that it had published, ends the calls that it had or
    /// queues them again.
    pub(in crate::pool) fn ended(&self, shared: &Shared, exit: WorkerExit) -> Ended {
        let mut poll = Poll::thorough();
        let channel = self.lock().channel.take();
        // A thread that was let go of may be at any of its calls.
        let abandoned = exit == WorkerExit::Abandoned;
        let gone = !abandoned && channel.is_some_and(|channel| channel.hangs_up_within(AFTERLIFE));
        if !gone && !abandoned {
            say!(WARN, LIFECYCLE, "the worker may live on", lane = self.index);
        }
        let mut core = self.lock();
        // At most 32 calls can have an answer.
        core.connect(self.index, shared, &mut poll.wakes);
        core.read(self.index, shared, &mut poll);
        core.leave_calls(self.index, shared, exit, gone, &mut poll.wakes);
        let was = core::mem::replace(&mut core.phase, Phase::Down);
        let was_open = core.was_open;
        core.worker = None;
        // What the worker had is forgotten; what callers have of it lives on. LANE-30.
        let link = core.link.take();
        self.starting.store(0, Ordering::Release);
        self.note_load(&core);
        drop(core);
        // Unmaps what only the table held, which takes its time.
        drop(link);
        shared.wake(poll.wakes);
        self.changed.notify_all();
        self.bell.ring_local();
        let violation = match was {
            Phase::Poisoned(violation) => Some(violation),
            _ => None,
        };
        Ended { was_open, violation }
    }
}

impl Core {
    /// Ends the calls of a worker whose process has ended and whose answers have been read. Those of which
    /// nothing has happened go back to the front of the queue, in their order, when the worker is `gone` for sure: the
    /// process that was started may have been a sandbox around it. LANE-36, LANE-37.
    #[cold]
    fn leave_calls(
        &mut self,
        lane: usize,
        shared: &Shared,
        exit: WorkerExit,
        gone: bool,
        wakes: &mut Wakes,
    ) {
        let Phase::Open(host) = &self.phase else {
            // Nothing is known of a worker that broke the protocol, and nothing is wanted of a pool that closes.
            let error = CallError::WorkerDied { lane, exit, may_have_run: true };
            let error = if shared.is_closing() { CallError::Closed } else { error };
            return self.fail_calls(shared, &error, wakes);
        };
        let mut again = Vec::new();
        let mut began = false;
        for WithWorker { id, call } in self.calls.iter_mut().filter_map(Option::take) {
            let may_have_run = !gone || host.may_have_run(id);
            wakes.drained |= shared.is_draining();
            began |= may_have_run;
            let kept = self.kept.take(id);
            if call.is_done() {
                // Its caller gave it up.
                let error = CallError::WorkerDied { lane, exit, may_have_run };
                self.counts.failed(&call, &error);
                continue;
            }
            let error = if shared.is_closing() {
                CallError::Closed
            } else if let Some(kept) = kept.filter(|_| !may_have_run) {
                again.push((kept.order, kept.queued(call)));
                continue;
            } else {
                CallError::WorkerDied { lane, exit, may_have_run }
            };
            self.counts.failed(&call, &error);
            call.complete(Err(Box::new(error)), wakes);
        }
        again.sort_unstable_by_key(|(order, _)| *order);
        let mut again: VecDeque<_> = again.into_iter().map(|(_, call)| call).collect();
        // A worker that died in a task did not die of the call behind it.
        if !began && let Some(mut next) = again.pop_front() {
            next.retries -= 1;
            if next.retries == 0 {
                let error = CallError::WorkerDied { lane, exit, may_have_run: false };
                self.counts.failed(&next.state, &error);
                next.state.complete(Err(Box::new(error)), wakes);
            } else {
                again.push_front(next);
            }
        }
        again.iter().for_each(|call| self.counts.returned(&call.state));
        shared.queue_again(again.into_iter());
    }
}
