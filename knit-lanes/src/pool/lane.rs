//! One lane of a pool: the host's end, the calls that are with its worker, its phase.

mod buffers;
mod counts;
mod death;
mod given_up;
mod hand_over;
mod kept;
mod withdraw;

pub(super) use death::MOST_DEATHS;

use super::call::{CallState, Outcome, Wakes, outcome};
use super::incarnation::Ender;
use super::shared::{Offer, Shared};
use super::turn::Turn;
use crate::buffer::link::Link;
use crate::debug::say;
use crate::error::{CallError, StartError};
use crate::{CallId, HostLane, ProtocolViolation, SendError};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use counts::Counts;
use kept::Kept;
use knit_proto::{Features, LaneKind, Layout, SLOTS};
use knit_ring::{Doorbell, FutexBell, FutexPair, Mapped, Mapping, Relax};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

pub(super) type Memory = Mapped<Mapping>;

/// Most answers that one poll reads: a poll ends even when the worker answers without end.
const ANSWERS_PER_POLL: u32 = SLOTS;

/// How often a thread that waits polls before it lets others have the lane: taking the lock costs a
/// third of a poll.
pub(super) const GLANCES_PER_LOCK: u32 = 4;

/// One lane of a pool.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) index: usize,
    pub(super) kind: LaneKind,
    pub(super) turn: Turn,
    /// What threads sleep on: the worker's bell, and a word of this process that is rung when the
    /// phase changes.
    pub(super) bell: FutexPair,
    core: Mutex<Core>,
    /// How many calls the worker has; `u32::MAX` when it takes none. A hint, as of when the lock was last held.
    load: AtomicU32,
    /// 1 while a worker starts.
    starting: AtomicU32,
    /// Notified when the worker's process has ended, and when the pool closes.
    changed: Condvar,
    /// How often a thread has slept for this lane.
    parks: AtomicU64,
}

#[derive(Debug)]
struct Core {
    phase: Phase,
    /// The shared buffers that this worker and the host have from each other; there while it lives.
    link: Option<Arc<Link>>,
    /// The same channel, also where it is not used: its end is the end of the worker.
    channel: Option<Arc<Link>>,
    /// The worker's process id, if it is a process, and what ends it; there while it lives.
    worker: Option<(Option<u32>, Ender)>,
    /// Whether this worker has ever taken calls.
    was_open: bool,
    /// The calls that are with the worker, by their place.
    calls: [Option<WithWorker>; SLOTS as usize],
    /// What it takes to make those calls again.
    kept: Kept,
    counts: Counts,
    /// How far the worker was at the driver's last look.
    progress: withdraw::Progress,
}

/// A call that is with a worker.
#[derive(Debug)]
struct WithWorker {
    id: CallId,
    call: Arc<CallState>,
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
    /// The call has ended before.
    Ended,
    /// It has no room now, or no worker.
    Declined,
}

/// What one poll is asked for, and what it finds.
struct Poll<'c> {
    /// Whether it must miss nothing.
    thorough: bool,
    /// The call whose outcome goes to `outcome` rather than to its state.
    call: Option<&'c Arc<CallState>>,
    outcome: Option<Outcome>,
    wakes: Wakes,
}

impl<'c> Poll<'c> {
    fn thorough() -> Self {
        Self { thorough: true, ..Self::glance(None) }
    }

    #[inline]
    fn glance(call: Option<&'c Arc<CallState>>) -> Self {
        Self { thorough: false, call, outcome: None, wakes: Wakes::default() }
    }
}

/// How an incarnation of a worker ended.
pub(super) struct Ended {
    /// Whether it ever took calls.
    pub(super) was_open: bool,
    /// What it did wrong, if that is why it was killed.
    pub(super) violation: Option<ProtocolViolation>,
}

impl Lane {
    pub(super) fn new(index: usize, kind: LaneKind) -> Self {
        Self {
            index,
            kind,
            turn: Turn::new(index),
            bell: FutexPair::default(),
            core: Mutex::new(Core {
                phase: Phase::Down,
                link: None,
                channel: None,
                worker: None,
                was_open: false,
                calls: [const { None }; SLOTS as usize],
                kept: Kept::default(),
                counts: Counts::default(),
                progress: withdraw::Progress::default(),
            }),
            load: AtomicU32::new(u32::MAX),
            starting: AtomicU32::new(0),
            changed: Condvar::new(),
            parks: AtomicU64::new(0),
        }
    }

    /// Hands a call to the worker.
    #[inline]
    pub(super) fn offer(&self, shared: &Shared, call: &mut Offer<'_>) -> Offered {
        let mut wakes = Wakes::default();
        let mut core = self.lock();
        let offered = core.offer(self.index, shared, call, &mut wakes);
        self.note_load(&core);
        drop(core);
        shared.wake(wakes);
        offered
    }

    /// How many calls the worker has, about.
    #[inline]
    pub(super) fn load(&self) -> u32 {
        // Relaxed: a hint. What a lane takes is decided under its lock.
        self.load.load(Ordering::Relaxed)
    }

    #[inline]
    fn note_load(&self, core: &Core) {
        let load = core.load();
        // Relaxed: see `load`. Stored by whoever has the lock.
        if self.load.load(Ordering::Relaxed) != load {
            self.load.store(load, Ordering::Relaxed);
        }
    }

    /// Reads answers and fills the lane from the queue. Misses nothing. Returns whether anything
    /// happened.
    pub(super) fn poll(&self, shared: &Shared) -> bool {
        self.poll_locked(shared, self.lock(), &mut Poll::thorough())
    }

    /// As [`Self::poll`], for spinning: sees most, and gives up when another thread has the lane.
    #[inline]
    pub(super) fn glance(&self, shared: &Shared) -> bool {
        self.try_lock().is_some_and(|core| self.poll_locked(shared, core, &mut Poll::glance(None)))
    }

    /// As [`Self::glance`]. When the answer to `call` is there, it is returned and not stored: nobody
    /// but the calling thread may wait for it.
    #[inline]
    pub(super) fn glance_for(
        &self,
        shared: &Shared,
        call: &Arc<CallState>,
        relax: &mut Relax,
    ) -> Option<Outcome> {
        let mut poll = Poll::glance(Some(call));
        let mut core = self.try_lock()?;
        for _ in 0..GLANCES_PER_LOCK {
            if core.poll(self.index, shared, &mut poll) {
                self.note_progress(&core);
                break;
            }
            relax.moment();
        }
        self.note_load(&core);
        if poll.outcome.is_some() {
            // Before wakers run: whoever ends calls whose time is over would wait for this one meanwhile.
            call.taken();
        }
        drop(core);
        shared.wake(core::mem::take(&mut poll.wakes));
        poll.outcome
    }

    #[inline]
    fn poll_locked(
        &self,
        shared: &Shared,
        mut core: MutexGuard<'_, Core>,
        poll: &mut Poll<'_>,
    ) -> bool {
        let progress = core.poll(self.index, shared, poll);
        if progress {
            self.note_progress(&core);
        }
        self.note_load(&core);
        drop(core);
        shared.wake(core::mem::take(&mut poll.wakes));
        progress
    }

    /// Something happened: a worker that was starting may be ready.
    #[inline]
    fn note_progress(&self, core: &Core) {
        // Relaxed: stored by whoever has the lock.
        let starting = self.starting.load(Ordering::Relaxed) != 0;
        if starting && !matches!(core.phase, Phase::Starting { .. }) {
            self.starting.store(0, Ordering::Release);
        }
    }

    /// Waits until the first worker is ready, or could not be started.
    pub(super) fn wait_until_started(&self, shared: &Shared) -> Result<(), StartError> {
        let started = || {
            self.poll(shared);
            match &self.lock().phase {
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
                    self.bell.wait_local(local, None);
                }
            }
        }
    }

    /// A worker process has started.
    pub(super) fn started(
        &self,
        memory: Memory,
        layout: Layout,
        link: Arc<Link>,
        pid: Option<u32>,
        ender: Ender,
    ) {
        let mut core = self.lock();
        core.channel = Some(Arc::clone(&link));
        core.counts.started(self.index, layout.fields().epoch, pid);
        core.link = Some(link);
        core.phase = Phase::Starting { memory, layout };
        core.worker = Some((pid, ender));
        core.was_open = false;
        // Release: whoever sees it finds the phase behind the lock.
        self.starting.store(1, Ordering::Release);
        drop(core);
        self.bell.ring_local();
    }

    /// Whether the worker has said by now that it is ready, or is past that.
    pub(super) fn is_started(&self, shared: &Shared) -> bool {
        self.poll(shared);
        !matches!(self.lock().phase, Phase::Starting { .. })
    }

    /// Whether a worker has started that nobody has heard of yet.
    pub(super) fn is_starting(&self) -> bool {
        self.starting.load(Ordering::Acquire) != 0
    }

    /// No worker could be started, or none is wanted any more.
    pub(super) fn give_up(&self, error: StartError) {
        self.lock().phase = Phase::Failed(error);
        self.turn.retire();
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
                core.counts.woke(self.index);
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

    /// Process id of the worker, while it is a process and takes calls.
    pub(super) fn worker_id(&self) -> Option<u32> {
        let core = self.lock();
        let open = matches!(core.phase, Phase::Open(_));
        core.worker.as_ref().filter(|_| open).and_then(|(pid, _)| *pid)
    }

    /// How many calls are with the worker.
    pub(super) fn in_flight(&self) -> usize {
        self.lock().calls.iter().flatten().count()
    }

    #[inline]
    fn try_lock(&self) -> Option<MutexGuard<'_, Core>> {
        match self.core.try_lock() {
            Ok(core) => Some(core),
            Err(TryLockError::Poisoned(core)) => Some(core.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    #[inline]
    fn load(&self) -> u32 {
        match &self.phase {
            Phase::Open(host) => host.in_flight(),
            _ => u32::MAX,
        }
    }

    #[inline]
    fn offer(
        &mut self,
        lane: usize,
        shared: &Shared,
        call: &mut Offer<'_>,
        wakes: &mut Wakes,
    ) -> Offered {
        let Phase::Open(host) = &mut self.phase else { return Offered::Declined };
        if host.is_withdrawing() {
            return Offered::Declined;
        }
        if call.parcel.buffer.is_some()
            && let Err(error) = buffers::give(host, self.link.as_ref(), call.parcel)
        {
            return self.not_given(lane, shared, error, call.state, wakes);
        }
        let deadline = call.state.deadline();
        match host.submit_until(call.function, &call.parcel.payload, deadline) {
            Ok(submitted) => {
                if let (Some(link), Some(buffer)) = (&self.link, &call.parcel.buffer) {
                    link.published(buffer);
                    self.counts.gave();
                }
                self.counts.handed(lane, submitted, call.function, call.parcel, call.state);
                let state = Arc::clone(call.state);
                let with_worker = WithWorker { id: submitted.call, call: state };
                self.calls[submitted.call.place()] = Some(with_worker);
                self.kept.keep(submitted.call, call);
                call.state.set_lane(lane);
                if submitted.wake {
                    FutexBell.wake(host.bell());
                }
            }
            Err(SendError::Full) => return Offered::Declined,
            Err(SendError::Poisoned(violation)) => {
                self.poison(lane, shared, violation, wakes);
                return Offered::Declined;
            }
            Err(error) => call.state.complete(Err(Box::new(refused(error))), wakes),
        }
        Offered::Taken
    }

    #[inline]
    fn poll(&mut self, lane: usize, shared: &Shared, poll: &mut Poll<'_>) -> bool {
        let mut progress = false;
        if matches!(self.phase, Phase::Starting { .. }) {
            progress |= self.connect(lane, shared, &mut poll.wakes);
        }
        progress |= self.read(lane, shared, poll);
        while shared.has_queue() && self.fill(lane, shared, &mut poll.wakes) {
            progress = true;
        }
        self.counts.looked(progress);
        progress
    }

    /// Looks whether a starting worker says that it is ready. Returns whether the phase changed.
    #[cold]
    fn connect(&mut self, lane: usize, shared: &Shared, wakes: &mut Wakes) -> bool {
        let Phase::Starting { memory, layout } = &self.phase else { return false };
        match HostLane::connect(memory, layout, shared.limits.payload) {
            Ok(None) => return false,
            Ok(Some(host)) => {
                if !host.features().contains(Features::BUFFER_HANDLES) {
                    // LANE-31.
                    self.link = None;
                }
                say!(DEBUG, LIFECYCLE, "worker is ready", lane = lane);
                self.phase = Phase::Open(Box::new(host));
                self.was_open = true;
            }
            Err(crate::LaneError::Violation(violation)) => {
                self.poison(lane, shared, violation, wakes);
            }
            Err(error) => unreachable!("the layout was made for this memory: {error}"),
        }
        true
    }

    /// Reads answers. Returns whether there were any.
    #[inline]
    fn read(&mut self, lane: usize, shared: &Shared, poll: &mut Poll<'_>) -> bool {
        let mut progress = false;
        for _ in 0..ANSWERS_PER_POLL {
            let Phase::Open(host) = &mut self.phase else { return progress };
            match if poll.thorough { host.take() } else { host.poll() } {
                Ok(Some(answer)) => {
                    progress = true;
                    if answer.wake {
                        FutexBell.wake(host.bell());
                        self.counts.woke(lane);
                    }
                    // Before anything else: an answer that nobody wants is counted too.
                    let parcel = match buffers::resolve(self.link.as_ref(), answer.payload) {
                        Ok(parcel) => parcel,
                        Err(violation) => {
                            // The call is still in its place: it fails with the others.
                            self.poison(lane, shared, violation, &mut poll.wakes);
                            return true;
                        }
                    };
                    if answer.withdrawn && self.was_withdrawn(lane, shared, answer.call) {
                        continue;
                    }
                    let Some(WithWorker { id, call }) = self.calls[answer.call.place()].take()
                    else {
                        continue;
                    };
                    self.kept.forget(answer.call);
                    self.counts.answered(lane, id, answer.rejected, &parcel, &call);
                    poll.wakes.drained |= shared.is_draining();
                    let outcome = outcome(answer.rejected, parcel, &shared.limits);
                    // One that was given up keeps the outcome that it has: `complete` sees to that.
                    if poll.call.is_some_and(|wanted| Arc::ptr_eq(wanted, &call)) && !call.is_done()
                    {
                        poll.outcome = Some(outcome);
                    } else {
                        call.complete(outcome, &mut poll.wakes);
                    }
                }
                Ok(None) => break,
                Err(violation) => {
                    self.poison(lane, shared, violation, &mut poll.wakes);
                    return true;
                }
            }
        }
        (poll.thorough && self.drain(lane, shared, !progress, &mut poll.wakes)) | progress
    }

    #[cold]
    fn poison(
        &mut self,
        lane: usize,
        shared: &Shared,
        violation: ProtocolViolation,
        wakes: &mut Wakes,
    ) {
        self.counts.poisoned(lane, violation);
        self.phase = Phase::Poisoned(violation);
        self.kill();
        self.fail_calls(shared, &CallError::Violation { lane, violation }, wakes);
    }

    fn fail_calls(&mut self, shared: &Shared, error: &CallError, wakes: &mut Wakes) {
        for WithWorker { id, call } in self.calls.iter_mut().filter_map(Option::take) {
            self.kept.forget(id);
            self.counts.failed(&call, error);
            call.complete(Err(Box::new(error.clone())), wakes);
            wakes.drained |= shared.is_draining();
        }
    }

    fn kill(&self) {
        if let Some((_, ender)) = &self.worker {
            ender.end();
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
