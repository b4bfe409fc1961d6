//! A value for calls that take too long.

use super::Pool;
use super::call::Call;
use crate::error::CallError;
use crate::tasks::Task;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use knit_codec::{Decode, Encode};

/// A task, the time that each call of it has, and what a call comes to that takes longer. Made by [`Task::with_timeout_or`], for
/// [`Pool::call_or`]. As cheap to copy as its value.
pub struct TaskOr<In, Out> {
    task: Task<In, Out>,
    value: Out,
}

/// A call under way that comes to a value of its caller's when its time is over: a future, and [`CallOr::wait`] blocks. Made by
/// [`Pool::call_or`] and [`Call::or_on_timeout`].
///
/// All else is as with a [`Call`]: other errors are errors, and the task of a call that took too long may have run.
#[must_use = "the answer of a call that is dropped is lost; use `.wait()` or `.await`"]
pub struct CallOr<T> {
    call: Call<T>,
    /// There until it is the outcome.
    value: Option<T>,
}

impl<In, Out> Task<In, Out> {
    /// The same task, for calls that come to `value` when there is no answer after `timeout`: as [`Self::with_timeout`], without the
    /// error. For a single call there is [`Call::or_on_timeout`].
    ///
    /// ```no_run
    /// # use knit_lanes::{CallError, Pool, Task};
    /// # use std::time::Duration;
    /// # fn call(pool: &Pool, guess: Task<u32, f64>) -> Result<(), CallError> {
    /// let guess = guess.with_timeout_or(Duration::from_millis(50), f64::NAN);
    /// for n in 0..100 {
    ///     println!("{}", pool.call_or(&guess, n).wait()?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_timeout_or(self, timeout: Duration, value: Out) -> TaskOr<In, Out> {
        TaskOr { task: self.with_timeout(timeout), value }
    }
}

impl<In, Out> TaskOr<In, Out> {
    /// The task with its time, without the value.
    pub fn task(&self) -> Task<In, Out> {
        self.task
    }

    /// What a call comes to that takes too long.
    pub fn value(&self) -> &Out {
        &self.value
    }
}

impl Pool {
    /// Calls a task that has a value for calls that take too long, of which each call gets a copy. Otherwise as [`Self::call`].
    pub fn call_or<In, Out>(&self, task: &TaskOr<In, Out>, argument: In) -> CallOr<Out>
    where
        In: Encode,
        Out: Decode + Clone,
    {
        self.call(task.task, argument).or_on_timeout(task.value.clone())
    }
}

impl<T> Call<T> {
    /// The same call, which comes to `value` instead of [`CallError::TimedOut`] when the time of its task's handle
    /// ([`Task::with_timeout`]) is over. Without such a time this changes nothing.
    ///
    /// ```
    /// use knit_lanes::{Pool, Tasks};
    /// use std::time::Duration;
    ///
    /// # fn main() -> knit_lanes::Result<()> {
    /// let mut tasks = Tasks::new();
    /// let answer = tasks.add_async("answer", |(): ()| std::future::pending::<u32>());
    /// let pool = Pool::builder().threads(1).start(tasks)?;
    /// let answer = answer.with_timeout(Duration::from_millis(5));
    /// assert_eq!(pool.call(answer, ()).or_on_timeout(42).wait()?, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn or_on_timeout(self, value: T) -> CallOr<T> {
        CallOr { call: self, value: Some(value) }
    }
}

impl<T> CallOr<T> {
    /// As [`Call::abort`].
    pub fn abort(&self) {
        self.call.abort();
    }

    /// As [`Call::abort_on_drop`].
    pub fn abort_on_drop(self) -> Self {
        Self { call: self.call.abort_on_drop(), ..self }
    }
}

impl<T: Decode> CallOr<T> {
    /// Blocks until the call has ended or its time is over.
    ///
    /// # Errors
    ///
    /// Why there is no value, apart from [`CallError::TimedOut`].
    pub fn wait(self) -> Result<T, CallError> {
        or(self.call.wait(), || self.value)
    }

    /// As [`Call::wait_timeout`]. The value is for the time of the call, not for that of the wait.
    ///
    /// # Errors
    ///
    /// The handle, when the time of the wait was over.
    pub fn wait_timeout(self, timeout: Duration) -> Result<Result<T, CallError>, Self> {
        match self.call.wait_timeout(timeout) {
            Ok(outcome) => Ok(or(outcome, || self.value)),
            Err(call) => Err(Self { call, value: self.value }),
        }
    }

    /// As [`Call::is_done`].
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.call.is_done()
    }
}

/// Nothing in it is pinned.
impl<T> Unpin for CallOr<T> {}

impl<T: Decode> Future for CallOr<T> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { call, value } = &mut *self;
        Pin::new(call).poll(context).map(|outcome| or(outcome, || value.take()))
    }
}

fn or<T>(outcome: Result<T, CallError>, value: impl FnOnce() -> Option<T>) -> Result<T, CallError> {
    match outcome {
        Err(error @ CallError::TimedOut { .. }) => value().ok_or(error),
        outcome => outcome,
    }
}

impl<In, Out: Clone> Clone for TaskOr<In, Out> {
    fn clone(&self) -> Self {
        Self { task: self.task, value: self.value.clone() }
    }
}

impl<In, Out: Copy> Copy for TaskOr<In, Out> {}

impl<In, Out: fmt::Debug> fmt::Debug for TaskOr<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskOr").field("task", &self.task).field("value", &self.value).finish()
    }
}

impl<T> fmt::Debug for CallOr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOr").field("call", &self.call).finish_non_exhaustive()
    }
}
