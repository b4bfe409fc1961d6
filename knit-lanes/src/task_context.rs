//! What a task can learn of the call that it runs for.

use core::fmt;
use knit_ring::{AbortReceiver, Mapped, Mapping};

/// The call that a task runs for: an argument of tasks that ask for it, see
/// [`Tasks::add_with_context`](crate::Tasks::add_with_context).
pub struct TaskContext<'w> {
    abort: Option<(&'w AbortReceiver<Mapped<Mapping>>, u16)>,
    lane: usize,
}

impl<'w> TaskContext<'w> {
    /// The context of a call in this lane, which has this abort signal.
    pub(crate) fn new(
        lane: usize,
        aborts: &'w AbortReceiver<Mapped<Mapping>>,
        signal: Option<u16>,
    ) -> Self {
        Self { abort: signal.map(|signal| (aborts, signal)), lane }
    }

    /// Whether the caller does not want the answer any more: it has aborted the call, dropped a handle that
    /// aborts then, or the call's time is over. A task that takes long looks at it now and then, and ends early: until it
    /// does, its worker takes no other call. One load from memory that is in the cache.
    #[inline]
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.abort.is_some_and(|(aborts, signal)| aborts.is_set(signal))
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

    /// Number of the lane in its pool, from 0: tells the workers of a pool apart.
    #[must_use]
    pub fn lane(&self) -> usize {
        self.lane
    }
}

impl fmt::Debug for TaskContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signal = self.abort.map(|(_, signal)| signal);
        f.debug_struct("TaskContext").field("lane", &self.lane).field("signal", &signal).finish()
    }
}

/// The caller does not want the answer any more. What a task returns on the strength of
/// it, this or anything else, is read by nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call was aborted")]
pub struct Aborted;
