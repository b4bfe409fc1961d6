//! What a task can learn of the call that it runs for.

use crate::clock;
use crate::deadlines::DeadlineReader;
use crate::pool::CallState;
use core::fmt;
use core::time::Duration;
use knit_proto::MonotonicTime;
use knit_ring::{AbortReceiver, Mapped, Mapping};
use std::sync::Arc;

type Aborts = AbortReceiver<Mapped<Mapping>>;
type Deadlines = DeadlineReader<Mapped<Mapping>>;

/// The call that a task runs for: an argument of tasks that ask for it, see
/// [`Tasks::add_with_context`](crate::Tasks::add_with_context).
pub struct TaskContext<'w> {
    abort: Abort<'w>,
    deadline: Deadline<'w>,
    lane: usize,
}

/// Where it says that the answer is not wanted any more.
enum Abort<'w> {
    Never,
    /// A signal of a lane.
    Signal(&'w Arc<Aborts>, u16),
    /// The same, for a task that outlives the function which began it.
    Kept(Arc<Aborts>, u16),
    /// The call itself, which has ended when it was given up.
    Call(Arc<CallState>),
}

/// Where it says when the time of the call is over.
#[derive(Clone, Copy)]
enum Deadline<'w> {
    Known(Option<MonotonicTime>),
    /// In the entry of this call. Whoever has the context has the call.
    Stated(&'w Deadlines, u32),
}

impl Deadline<'_> {
    fn load(self) -> Option<MonotonicTime> {
        match self {
            Self::Known(deadline) => deadline,
            Self::Stated(deadlines, call) => deadlines.of_call(call),
        }
    }
}

impl<'w> TaskContext<'w> {
    /// The context of a call in this lane, which has this abort signal.
    #[inline]
    pub(crate) fn of_worker(lane: usize, aborts: &'w Arc<Aborts>, signal: Option<u16>) -> Self {
        let abort = signal.map_or(Abort::Never, |signal| Abort::Signal(aborts, signal));
        Self { abort, deadline: Deadline::Known(None), lane }
    }

    /// The same for the call with this id on a lane that states deadlines.
    #[inline]
    pub(crate) fn with_deadlines(self, deadlines: Option<&'w Deadlines>, call: u32) -> Self {
        match deadlines {
            Some(deadlines) => Self { deadline: Deadline::Stated(deadlines, call), ..self },
            None => self,
        }
    }

    /// The context of a call that its caller's thread runs.
    pub(crate) fn of_caller(lane: usize, call: &Arc<CallState>) -> Self {
        let deadline = Deadline::Known(call.deadline());
        Self { abort: Abort::Call(Arc::clone(call)), deadline, lane }
    }

    /// The same for a task that keeps it. It knows its deadline from now on: a context that is kept for too long does not speak of
    /// that of another call.
    pub(crate) fn detached(&self) -> TaskContext<'static> {
        let abort = match &self.abort {
            Abort::Never => Abort::Never,
            Abort::Signal(aborts, signal) => Abort::Kept(Arc::clone(aborts), *signal),
            Abort::Kept(aborts, signal) => Abort::Kept(Arc::clone(aborts), *signal),
            Abort::Call(call) => Abort::Call(Arc::clone(call)),
        };
        TaskContext { abort, deadline: Deadline::Known(self.deadline.load()), lane: self.lane }
    }

    /// Whether the caller does not want the answer any more: it has aborted the call, dropped a handle that
    /// aborts then, or the call's time is over. A task that takes long looks at it now and then, and ends early: until it
    /// does, its worker takes no other call. One load from memory that is in the cache.
    #[inline]
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        match &self.abort {
            Abort::Never => false,
            Abort::Signal(aborts, signal) => aborts.is_set(*signal),
            Abort::Kept(aborts, signal) => aborts.is_set(*signal),
            Abort::Call(call) => call.is_done(),
        }
    }

    /// The same, for `?`.
    ///
    /// # Errors
    ///
    /// [`Aborted`], when the answer is not wanted any more.
    #[inline]
    pub fn check(&self) -> Result<(), Aborted> {
        if self.is_aborted() { Err(Aborted) } else { Ok(()) }
    }

    /// When the time of the call is over ([`Task::with_timeout`](crate::Task::with_timeout)), by the clock of [`Self::now`]. From then on nobody
    /// waits for the answer. `None` when the call has no time limit, and where it is not known: the host does
    /// not say, or this worker is in another time namespace than its host, where clocks have another origin.
    #[must_use]
    pub fn deadline(&self) -> Option<MonotonicTime> {
        self.deadline.load()
    }

    /// What is left of the call's time: zero when it is over, `None` where there is no [deadline](Self::deadline).
    ///
    /// # Examples
    ///
    /// A task that makes calls itself passes on what is left of its time.
    ///
    /// ```no_run
    /// use knit_lanes::{CallError, Pool, Task, TaskContext, Tasks};
    /// use std::time::Duration;
    ///
    /// /// Halves a number with the help of another pool.
    /// fn half(context: &TaskContext<'_>, pool: &Pool, divide: Task<f64, f64>, n: f64) -> Result<f64, CallError> {
    ///     let divide = match context.remaining() {
    ///         Some(remaining) => divide.with_timeout(remaining),
    ///         None => divide,
    ///     };
    ///     pool.call(divide, n).wait()
    /// }
    /// ```
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        Some(self.deadline()?.saturating_duration_since(clock::now()))
    }

    /// The monotonic clock of this process (`CLOCK_MONOTONIC`), in which [`Self::deadline`] is stated.
    #[must_use]
    pub fn now(&self) -> MonotonicTime {
        clock::now()
    }

    /// Number of the lane in its pool, from 0: tells the workers of a pool apart. The inline lane has the number after the last
    /// worker's.
    #[must_use]
    pub fn lane(&self) -> usize {
        self.lane
    }
}

impl fmt::Debug for TaskContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContext").field("lane", &self.lane).finish_non_exhaustive()
    }
}

/// The caller does not want the answer any more. What a task returns on the strength of
/// it, this or anything else, is read by nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call was aborted")]
pub struct Aborted;
