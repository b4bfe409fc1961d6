//! Tasks that say what their context tells them of time. The same tasks serve worker processes, worker threads and inline calls.

use crate::async_tasks::yield_once;
use knit_lanes::{MonotonicTime, Task, TaskContext, Tasks};
use rustix::time::{ClockId, clock_gettime};
use std::sync::{Mutex, PoisonError};

/// Handles to the tasks of [`add`]. Each returns what [`Told`] has.
#[derive(Clone, Copy, Debug)]
pub struct Remote {
    /// Asks at once.
    pub told: Task<(), Vec<u64>>,
    /// Asks when its future is polled for the second time.
    pub told_later: Task<(), Vec<u64>>,
    /// Keeps its context for longer than it may.
    pub keep: Task<(), Vec<u64>>,
    /// Asks the context that was kept.
    pub told_by_kept: Task<(), Vec<u64>>,
}

/// What a task was told, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The deadline.
    pub deadline: Option<u64>,
    /// The clock, before the next one was asked for.
    pub now: u64,
    /// What is left.
    pub remaining: Option<u64>,
    /// Number of the lane.
    pub lane: u64,
}

impl Told {
    /// What one of the tasks has returned.
    ///
    /// # Panics
    ///
    /// It is something else.
    #[must_use]
    pub fn from_words(words: &[u64]) -> Self {
        let [deadline, now, has_remaining, remaining, lane] = words else { panic!("{words:?}") };
        Self {
            deadline: (*deadline != 0).then_some(*deadline),
            now: *now,
            remaining: (*has_remaining != 0).then_some(*remaining),
            lane: *lane,
        }
    }
}

/// Adds the tasks.
pub fn add(tasks: &mut Tasks) -> Remote {
    Remote {
        told: tasks.add_with_context("told", |context: &TaskContext<'_>, (): ()| told(context)),
        told_later: tasks.add_async_with_context("told_later", |context, (): ()| async move {
            yield_once().await;
            told(&context)
        }),
        keep: tasks.add_async_with_context("keep", |context, (): ()| async move {
            let words = told(&context);
            *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(context);
            words
        }),
        told_by_kept: tasks.add("told_by_kept", |(): ()| {
            KEPT.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(vec![], told)
        }),
    }
}

static KEPT: Mutex<Option<TaskContext<'static>>> = Mutex::new(None);

fn told(context: &TaskContext<'_>) -> Vec<u64> {
    let deadline = context.deadline().map_or(0, MonotonicTime::nanoseconds);
    let now = context.now().nanoseconds();
    let remaining = context.remaining();
    let left = remaining.map_or(0, |left| left.as_nanos().try_into().unwrap_or(u64::MAX));
    vec![deadline, now, u64::from(remaining.is_some()), left, context.lane() as u64]
}

/// The monotonic clock of this process in nanoseconds.
#[must_use]
pub fn clock() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
