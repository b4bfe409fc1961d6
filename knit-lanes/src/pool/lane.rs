//! One lane of a pool: the host's end, the calls that are with its worker, its phase.

use super::call::{CallState, outcome};
use super::shared::{Queued, Shared};
use super::turn::Turn;
use crate::error::{CallError, StartError};
use crate::process::{Killer, WorkerExit};
use crate::{HostLane, ProtocolViolation, SendError};
use core::time::Duration;
use knit_proto::{Layout, SLOTS};
use knit_ring::{Doorbell, FutexBell, FutexPair, Mapped, Mapping};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

pub(super) type Memory = Mapped<Mapping>;

/// Most answers that one poll reads: a poll ends even when the worker answers without end.
const ANSWERS_PER_POLL: u32 = SLOTS;

/// One lane of a pool.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) index: usize,
    pub(super) turn: Turn,
    /// What threads sleep on: the worker's bell, and a word of this process that is rung when the
    /// phase changes.
    pub(super) bell: FutexPair,
    core: Mutex<Core>,
    /// Notified when the worker's process has ended, and when the pool closes.
    changed: Condvar,
}

#[derive(Debug)]
struct Core {
    phase: Phase,
    /// Ends the worker's process; there while it lives.
    worker: Option<(u32, Killer)>,
    /// The calls that are with the worker, by their place.
    calls: [Option<Arc<CallState>>; SLOTS as usize],
}

/// Where a lane is in its life. Only the supervisor leaves `Down` and `Poisoned`.
#[derive(Debug)]
enum Phase {
    /// There is no process.
    Down,
    /// The process has started and did not say that it is ready.
    Starting { memory: Memory, layout: Layout },
    /// The worker takes calls.
    Open(Box<HostLane<Memory>>),
    /// The worker broke the protocol and was killed.
    Poisoned(ProtocolViolation),
    /// The pool asked the worker to end.
    Closing,
    /// There will be no process any more.
    Failed(StartError),
}

/// Whether a lane took a call.
pub(super) enum Offered {
    /// It has the call, or the call has failed for good.
    Taken,
    /// It has no room now, or no worker.
    Declined,
}

/// How an incarnation of a worker ended.
pub(super) struct Ended {
    /// Whether it ever took calls.
    pub(super) was_open: bool,
    /// What it did wrong, if that is why it was killed.
    pub(super) violation: Option<ProtocolViolation>,
}

impl Lane {
    pub(super) fn new(index: usize) -> Self {
        Self {
            index,
            turn: Turn::default(),
            bell: FutexPair::default(),
            core: Mutex::new(Core {
                phase: Phase::Down,
                worker: None,
                calls: [const { None }; SLOTS as usize],
            }),
            changed: Condvar::new(),
        }
    }

    /// Hands a call to the worker.
    #[inline]
    pub(super) fn offer(&self, shared: &Shared, call: &Queued) -> Offered {
        self.lock().offer(self.index, shared, call)
    }

    /// Reads answers and fills the lane from the queue. A thorough poll misses nothing; the other kind
    /// is for spinning, and gives up when another thread has the lane. Returns whether anything
    /// happened.
    #[inline]
    pub(super) fn poll(&self, shared: &Shared, thorough: bool) -> bool {
        let mut core = if thorough {
            self.lock()
        } else {
            match self.core.try_lock() {
                Ok(core) => core,
                Err(TryLockError::Poisoned(core)) => core.into_inner(),
                Err(TryLockError::WouldBlock) => return false,
            }
        };
        core.poll(self.index, shared, thorough)
    }

    /// Waits until the first worker is ready, or could not be started.
    pub(super) fn wait_until_started(&self, shared: &Shared) -> Result<(), StartError> {
        let started = || {
            let mut core = self.lock();
            core.poll(self.index, shared, true);
            match &core.phase {
                Phase::Open(_) => Some(Ok(())),
                Phase::Failed(error) => Some(Err(error.clone())),
                _ => None,
            }
        };
        loop {
            let local = self.bell.local();
            if let Some(result) = started() {
                return result;
            }
            match self.turn.try_take() {
                Some(mut turn) => {
                    turn.waiter.park(&self.bell, None, || started().is_some());
                    self.turn.give_back(turn);
                }
                None => {
                    self.bell.wait_any::<Mapping>(&[], local, None);
                }
            }
        }
    }

    /// A worker process has started.
    pub(super) fn started(&self, memory: Memory, layout: Layout, pid: u32, killer: Killer) {
        let mut core = self.lock();
        core.phase = Phase::Starting { memory, layout };
        core.worker = Some((pid, killer));
        drop(core);
        self.bell.ring_local();
    }

    /// Whether the worker has said by now that it is ready, or is past that.
    pub(super) fn is_started(&self, shared: &Shared) -> bool {
        let mut core = self.lock();
        core.poll(self.index, shared, true);
        !matches!(core.phase, Phase::Starting { .. })
    }

    /// The worker's process has ended: reads the answers that it had published, fails the calls that
    /// it had.
    pub(super) fn ended(&self, shared: &Shared, exit: WorkerExit) -> Ended {
        let mut core = self.lock();
        while core.poll(self.index, shared, true) {}
        let was = core::mem::replace(&mut core.phase, Phase::Down);
        core.worker = None;
        let error = if shared.is_closing() {
            CallError::Closed
        } else {
            CallError::WorkerDied { lane: self.index, exit }
        };
        core.fail_calls(shared, &error);
        drop(core);
        self.changed.notify_all();
        self.bell.ring_local();
        match was {
            Phase::Poisoned(violation) => Ended { was_open: false, violation: Some(violation) },
            Phase::Open(_) | Phase::Closing => Ended { was_open: true, violation: None },
            _ => Ended { was_open: false, violation: None },
        }
    }

    /// No worker could be started, or none is wanted any more.
    pub(super) fn give_up(&self, error: StartError) {
        self.lock().phase = Phase::Failed(error);
        self.bell.ring_local();
    }

    /// Sleeps until `pause` is over or the pool closes.
    pub(super) fn pause(&self, shared: &Shared, pause: Duration) {
        let core = self.lock();
        // Whether the pause was cut short does not matter: the supervisor looks again.
        drop(self.changed.wait_timeout_while(core, pause, |_| !shared.is_closing()));
    }

    /// Asks the worker to end.
    pub(super) fn close(&self) {
        let mut core = self.lock();
        match core::mem::replace(&mut core.phase, Phase::Closing) {
            Phase::Open(mut host) => {
                host.close();
                FutexBell.wake(host.bell());
            }
            Phase::Failed(error) => core.phase = Phase::Failed(error),
            // A worker that is starting has nothing to finish.
            _ => core.kill(),
        }
        drop(core);
        self.changed.notify_all();
        self.bell.ring_local();
    }

    /// Kills the worker's process unless it ends within `grace`.
    pub(super) fn end(&self, grace: Duration) {
        let core = self.lock();
        let waited = self.changed.wait_timeout_while(core, grace, |core| core.worker.is_some());
        waited.unwrap_or_else(PoisonError::into_inner).0.kill();
    }

    /// Process id of the worker, while it takes calls.
    pub(super) fn worker_id(&self) -> Option<u32> {
        let core = self.lock();
        let open = matches!(core.phase, Phase::Open(_));
        core.worker.as_ref().filter(|_| open).map(|(pid, _)| *pid)
    }

    /// How many calls are with the worker.
    pub(super) fn in_flight(&self) -> usize {
        self.lock().calls.iter().flatten().count()
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    #[inline]
    fn offer(&mut self, lane: usize, shared: &Shared, call: &Queued) -> Offered {
        let Phase::Open(host) = &mut self.phase else { return Offered::Declined };
        match host.submit(call.function, &call.payload) {
            Ok(submitted) => {
                self.calls[submitted.call.place()] = Some(Arc::clone(&call.state));
                call.state.set_lane(lane);
                if submitted.wake {
                    FutexBell.wake(host.bell());
                }
            }
            Err(SendError::Full) => return Offered::Declined,
            Err(SendError::Poisoned(violation)) => {
                self.poison(lane, shared, violation);
                return Offered::Declined;
            }
            Err(error) => shared.complete(&call.state, Err(refused(error))),
        }
        Offered::Taken
    }

    #[inline]
    fn poll(&mut self, lane: usize, shared: &Shared, thorough: bool) -> bool {
        let mut progress = false;
        if let Phase::Starting { memory, layout } = &self.phase {
            match HostLane::connect(memory, layout, shared.limits.payload) {
                Ok(None) => return false,
                Ok(Some(host)) => self.phase = Phase::Open(Box::new(host)),
                Err(crate::LaneError::Violation(violation)) => self.poison(lane, shared, violation),
                Err(error) => unreachable!("the layout was made for this memory: {error}"),
            }
            progress = true;
        }
        for _ in 0..ANSWERS_PER_POLL {
            let Phase::Open(host) = &mut self.phase else { return progress };
            match if thorough { host.take() } else { host.poll() } {
                Ok(Some(answer)) => {
                    progress = true;
                    if answer.wake {
                        FutexBell.wake(host.bell());
                    }
                    if let Some(call) = self.calls[answer.call.place()].take() {
                        shared.complete(
                            &call,
                            outcome(answer.rejected, answer.payload, &shared.limits),
                        );
                    }
                }
                Ok(None) => break,
                Err(violation) => {
                    self.poison(lane, shared, violation);
                    return true;
                }
            }
        }
        while shared.has_queue() && self.fill(lane, shared) {
            progress = true;
        }
        progress
    }

    /// Hands the first call of the queue to the worker; false when there is none or no room.
    #[cold]
    fn fill(&mut self, lane: usize, shared: &Shared) -> bool {
        if !matches!(self.phase, Phase::Open(_)) {
            return false;
        }
        let Some(call) = shared.next_queued() else { return false };
        match self.offer(lane, shared, &call) {
            Offered::Taken => {
                // Whoever sleeps until the call leaves the queue now waits for this lane.
                call.state.wake_sleeper();
                true
            }
            Offered::Declined => {
                shared.put_back(call);
                false
            }
        }
    }

    #[cold]
    fn poison(&mut self, lane: usize, shared: &Shared, violation: ProtocolViolation) {
        tracing::warn!(target: "lifecycle", lane, %violation, "worker broke the protocol");
        self.phase = Phase::Poisoned(violation);
        self.kill();
        self.fail_calls(shared, &CallError::Violation { lane, violation });
    }

    fn fail_calls(&mut self, shared: &Shared, error: &CallError) {
        for call in self.calls.iter_mut().filter_map(Option::take) {
            shared.complete(&call, Err(error.clone()));
        }
    }

    fn kill(&self) {
        if let Some((_, killer)) = &self.worker {
            killer.kill();
        }
    }
}

/// The error of a call whose argument no worker can take.
fn refused(error: SendError) -> CallError {
    match error {
        SendError::Reserve(error) => CallError::Memory(error),
        other => CallError::Unsendable(other),
    }
}
