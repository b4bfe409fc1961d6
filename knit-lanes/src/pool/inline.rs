//! The inline lane: threads that wait for calls run some of them themselves.

use super::call::{CallState, Outcome, Wakes};
use super::lane::Lane;
use super::shared::{Queued, Shared};
use crate::TaskContext;
use crate::buffer::context::{decoding, encoding};
use crate::error::{CallError, TaskError};
use core::cell::Cell;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A lane without a worker: its calls are run by threads that wait for calls, see [`Builder::inline`](crate::Builder::inline).
///
/// A thread runs a batch of them when it begins to wait, and another one each time that it has looked for its answer. Calls that
/// nobody comes to wait for go to the workers, within some ten milliseconds when one of those is idle and a hundred otherwise, at once when they are polled
/// as futures: an executor's thread is never kept by a task.
///
/// Tasks run with the same rules as in a worker: arguments and results are encoded, limits hold, a panic
/// is an error. What a worker adds is missing: a task that takes long keeps the waiting thread for as
/// long, whatever the timeouts say, and nothing can kill it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inline {
    /// Whether a call goes here before the workers are asked, or when each of them has a call already.
    pub position: Position,
    /// Most calls that are here at a time, and that a thread runs before it looks for its own answer again. At least 1.
    pub batch: usize,
    /// How many calls must be with the workers before one goes here.
    pub threshold: usize,
}

/// Where the inline lane stands among the lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Position {
    /// Before the workers: a call of a short task costs no more than its encoding.
    First,
    /// After them: no processor idles while every worker is busy.
    #[default]
    Last,
}

impl Default for Inline {
    /// After the workers, one call at a time, without a threshold.
    fn default() -> Self {
        Self { position: Position::Last, batch: 1, threshold: 0 }
    }
}

/// What the threads of a pool share of the inline lane.
#[derive(Debug)]
pub(super) struct InlineLane {
    settings: Inline,
    calls: Mutex<VecDeque<Queued>>,
    /// How many calls are in `calls`, or have just left it and are not yet claimed.
    waiting: AtomicUsize,
    /// How many calls are being run.
    running: AtomicUsize,
    /// How often the driver has found calls here since a thread last took one.
    found: AtomicU32,
}

/// So often the driver leaves calls here while no worker is idle: behind its calls they would wait longer.
const PATIENCE: u32 = 10;

thread_local! {
    /// The pool of the inline call that this thread runs, or null. Another one would be run on top of it, without end.
    static RUNS: Cell<*const Shared> = const { Cell::new(core::ptr::null()) };
}

impl InlineLane {
    pub(super) fn new(settings: Inline) -> Self {
        Self {
            settings,
            calls: Mutex::default(),
            waiting: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            found: AtomicU32::new(0),
        }
    }

    /// Whether a call may go here, as far as the workers are concerned, which have these loads.
    pub(super) fn wants(&self, mut loads: impl Iterator<Item = u32>) -> bool {
        let mut busy = true;
        let with_workers: usize = loads
            .by_ref()
            .inspect(|load| busy &= *load > 0)
            // A lane without a worker has the highest load: it takes nothing, and has nothing.
            .map(|load| if load == u32::MAX { 0 } else { load as usize })
            .sum();
        with_workers >= self.settings.threshold
            && (busy || self.settings.position == Position::First)
            && RUNS.get().is_null()
    }

    /// Takes a call; gives it back when there is no room.
    pub(super) fn put(&self, call: Queued) -> Result<(), Queued> {
        let mut calls = self.lock();
        if calls.len() >= self.settings.batch.max(1) {
            return Err(call);
        }
        // Release: whoever sees it finds the call.
        self.waiting.fetch_add(1, Ordering::Release);
        calls.push_back(call);
        Ok(())
    }

    /// How many calls have not ended.
    pub(super) fn unfinished(&self) -> usize {
        // A call is counted as running before it is no longer counted as waiting.
        let waiting = self.waiting.load(Ordering::Acquire);
        waiting + self.running.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn has_calls(&self) -> bool {
        self.waiting.load(Ordering::Acquire) != 0
    }

    /// Misses no call that was put here before, and is seen by each that comes after: behind the lock.
    fn has_calls_now(&self) -> bool {
        let _calls = self.lock();
        self.has_calls()
    }

    /// Takes all calls out that no thread has begun.
    pub(super) fn take_all(&self) -> VecDeque<Queued> {
        core::mem::take(&mut *self.lock())
    }

    /// A call that was taken out is somewhere else now.
    pub(super) fn left(&self) {
        self.waiting.fetch_sub(1, Ordering::Release);
    }

    /// Runs a batch of calls on this thread. Returns whether a task has forked, and this is the child: then nothing of the
    /// pool may be touched any more.
    #[cold]
    pub(super) fn run(&self, shared: &Shared) -> bool {
        for _ in 0..self.settings.batch.max(1) {
            if !RUNS.get().is_null() {
                return false;
            }
            let Some(call) = self.lock().pop_front() else { return false };
            // Relaxed: a hint.
            self.found.store(0, Ordering::Relaxed);
            self.running.fetch_add(1, Ordering::Release);
            self.left();
            let mut wakes = Wakes::default();
            if call.state.claim_inline() {
                let Queued { function, parcel, state, .. } = call;
                let outcome = run_one(shared, function, parcel, &state);
                if !shared.origin.is_here() {
                    return true;
                }
                state.complete(outcome, &mut wakes);
            }
            self.running.fetch_sub(1, Ordering::Release);
            wakes.drained |= shared.is_draining();
            shared.wake(wakes);
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Queued>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Gives a call to the inline lane, if there is one and it takes it.
    #[cold]
    pub(super) fn offer_inline(&self, call: Queued) -> Result<(), Queued> {
        match &self.inline {
            Some(inline)
                // Calls that go on from here to a full queue have no caller to hold up: others are, until those have room.
                if self.line.len() == 0
                    && self.tasks.can_run(call.function)
                    && inline.wants(self.lanes.iter().map(Lane::load)) =>
            {
                inline.put(call)
            }
            _ => Err(call),
        }
    }

    /// Runs calls of the inline lane on this thread, which waits for a call. Returns what [`InlineLane::run`] does.
    #[inline]
    pub(super) fn run_inline(&self) -> bool {
        match &self.inline {
            Some(inline) if inline.has_calls() => inline.run(self),
            _ => false,
        }
    }

    /// Hands the calls of the inline lane that no thread has begun to the workers.
    pub(super) fn flush_inline(&self) {
        let Some(inline) = self.inline.as_ref().filter(|inline| inline.has_calls()) else { return };
        for call in inline.take_all() {
            self.submit_again(call);
            inline.left();
        }
    }

    /// The driver's look at the inline lane: calls that no thread has come to run go to the workers when one is idle, or
    /// when they have been here for long.
    pub(super) fn look_after_inline(&self) {
        let Some(inline) = self.inline.as_ref().filter(|inline| inline.has_calls()) else { return };
        let patient = inline.found.fetch_add(1, Ordering::Relaxed) < PATIENCE;
        if patient && self.lanes.iter().all(|lane| lane.load() > 0) {
            return;
        }
        inline.found.store(0, Ordering::Relaxed);
        self.flush_inline();
    }

    /// Whether this thread is in a task of the pool: as a worker of it, or for its inline lane.
    pub(super) fn runs_here(&self) -> bool {
        crate::worker::serves_here(&self.tasks) || core::ptr::eq(RUNS.get(), self)
    }

    /// Whether the inline lane has calls that no thread has begun.
    pub(super) fn has_inline(&self) -> bool {
        self.inline.as_ref().is_some_and(InlineLane::has_calls)
    }

    /// As [`Self::has_inline`]. Who puts a call there after this look sees what this thread has stored before it.
    pub(super) fn has_inline_now(&self) -> bool {
        self.inline.as_ref().is_some_and(InlineLane::has_calls_now)
    }
}

fn run_one(
    shared: &Shared,
    function: u16,
    parcel: crate::buffer::context::Parcel,
    state: &Arc<CallState>,
) -> Outcome {
    struct Runs;
    impl Drop for Runs {
        fn drop(&mut self) {
            RUNS.set(core::ptr::null());
        }
    }
    RUNS.set(shared);
    let _runs = Runs;
    let context = TaskContext::of_caller(shared.lanes.len(), state);
    let run = || shared.tasks.run_own(&context, function, parcel.payload, &shared.limits);
    decoding(parcel.buffer, || encoding(run)).map_err(|failed| {
        let (failure, error) = *failed;
        Box::new(CallError::Task(TaskError { failure, error }))
    })
}
