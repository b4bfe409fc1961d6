//! What a task can learn of the call that it runs for.

use crate::pool::CallState;
use core::fmt;
use knit_ring::{AbortReceiver, Mapped, Mapping};
use std::sync::Arc;

type Aborts = AbortReceiver<Mapped<Mapping>>;

/// The call that a task runs for: an argument of tasks that ask for it, see
/// [`Tasks::add_with_context`](crate::Tasks::add_with_context).
pub struct TaskContext<'w> {
    abort: Abort<'w>,
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

impl<'w> TaskContext<'w> {
    /// The context of a call in this lane, which has this abort signal.
    #[inline]
    pub(crate) fn of_worker(lane: usize, aborts: &'w Arc<Aborts>, signal: Option<u16>) -> Self {
        let abort = signal.map_or(Abort::Never, |signal| Abort::Signal(aborts, signal));
        Self { abort, lane }
    }

    /// The context of a call that its caller's thread runs.
    pub(crate) fn of_caller(lane: usize, call: &Arc<CallState>) -> Self {
        Self { abort: Abort::Call(Arc::clone(call)), lane }
    }

    /// The same for a task that keeps it.
    pub(crate) fn detached(&self) -> TaskContext<'static> {
        let abort = match &self.abort {
            Abort::Never => Abort::Never,
            Abort::Signal(aborts, signal) => Abort::Kept(Arc::clone(aborts), *signal),
            Abort::Kept(aborts, signal) => Abort::Kept(Arc::clone(aborts), *signal),
            Abort::Call(call) => Abort::Call(Arc::clone(call)),
        };
        TaskContext { abort, lane: self.lane }
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
