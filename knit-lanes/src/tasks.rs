//! The tasks of a program, by name and by typed handle.

use crate::TaskContext;
use crate::error::{StartError, TaskFailure};
use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use knit_codec::{Decode, ErrorValue, Limits, Payload, Reply, ReplyError};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Most tasks of one table: function indexes travel in sixteen bits.
const MAX_TASKS: usize = 1 << 16;

/// The tasks that a pool can call, or that a worker serves.
///
/// A program that is host and worker at once builds one table, first thing in `main`, and calls
/// [`Tasks::serve_if_worker`] on it before anything else. A host that only calls workers of another
/// program uses [`Tasks::declare`]. Tasks are known by name across programs: order does not matter.
#[derive(Default)]
pub struct Tasks {
    entries: Vec<Entry>,
    table: Table,
}

struct Entry {
    name: String,
    run: Option<Runner>,
}

/// A task with its types erased: payload in, payload out.
type Runner = Box<dyn Fn(&TaskContext<'_>, Payload<'static>, &Limits) -> Outcome + Send + Sync>;

/// What a task came to: its value, or its error value and how it failed.
/// Errors are boxed: they are large and rare.
pub(crate) type Outcome = Result<Payload<'static>, Box<(TaskFailure, ErrorValue)>>;

/// Tells handles of one table from those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Table(u32);

impl Default for Table {
    fn default() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Relaxed: only the value matters.
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Tasks {
    /// No tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a task. The handle says what `Pool::call` takes and returns.
    ///
    /// The function may return a value, or a `Result` whose error becomes an error value with its
    /// chain of causes. A panic becomes an error value too.
    ///
    /// A second task of the same name is an error when the pool starts.
    pub fn add<In, R>(
        &mut self,
        name: impl Into<String>,
        task: impl Fn(In) -> R + Send + Sync + 'static,
    ) -> Task<In, R::Value>
    where
        In: Decode,
        R: Reply,
    {
        self.add_with_context(name, move |_, argument| task(argument))
    }

    /// Adds a task that wants to know of the call it runs for, for instance whether it was aborted.
    ///
    /// # Examples
    ///
    /// ```
    /// use knit_lanes::{Aborted, TaskContext, Tasks};
    ///
    /// let mut tasks = Tasks::new();
    /// tasks.add_with_context("sum", |context: &TaskContext<'_>, numbers: Vec<f64>| {
    ///     let mut sum = 0.0;
    ///     for part in numbers.chunks(1024) {
    ///         context.check()?;
    ///         sum += part.iter().sum::<f64>();
    ///     }
    ///     Ok::<_, Aborted>(sum)
    /// });
    /// ```
    pub fn add_with_context<In, R>(
        &mut self,
        name: impl Into<String>,
        task: impl Fn(&TaskContext<'_>, In) -> R + Send + Sync + 'static,
    ) -> Task<In, R::Value>
    where
        In: Decode,
        R: Reply,
    {
        let run = move |context: &TaskContext<'_>, payload: Payload<'static>, limits: &Limits| {
            if context.is_aborted() {
                let text = "the call was aborted before its task began".to_owned();
                return Err(failed(TaskFailure::Aborted, text));
            }
            // Decoding and encoding may run the user's code too.
            let run = || {
                let argument = In::decode(payload, limits).map_err(|error| {
                    let text = format!("the argument is not {}: {error}", In::expected());
                    failed(TaskFailure::Argument, text)
                })?;
                task(context, argument).reply(limits).map_err(|error| match error {
                    ReplyError::Rejected(error) => Box::new((TaskFailure::Returned, error)),
                    error => failed(TaskFailure::Result, error.to_string()),
                })
            };
            catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
                let error = ErrorValue::from_panic(&*panic);
                // Its own drop may panic again, outside of any net.
                core::mem::forget(panic);
                Err(Box::new((TaskFailure::Panicked, error)))
            })
        };
        self.push(name.into(), Some(Box::new(run)))
    }

    /// Adds a task that only workers of another program have.
    pub fn declare<In, Out>(&mut self, name: impl Into<String>) -> Task<In, Out> {
        self.push(name.into(), None)
    }

    /// Turns this process into a worker when a pool started it as one; never returns then.
    /// Otherwise returns at once. Call it before anything else that has an effect.
    ///
    /// The process ends with status 0 when the pool asks it to, with
    /// [`EXIT_BOOT_FAILED`](crate::EXIT_BOOT_FAILED) when it cannot attach to the pool's segment,
    /// and with [`EXIT_VIOLATION`](crate::EXIT_VIOLATION) when the host breaks the protocol; the
    /// reason is printed to standard error. It is killed when the host's process ends.
    ///
    /// A program that a task starts inherits the worker's environment, [`BOOT_ENV`](crate::BOOT_ENV)
    /// included. Remove that variable when the other program uses this crate too: it would take
    /// itself for a worker and refuse to start, because its standard input is no segment.
    pub fn serve_if_worker(&self) {
        if std::env::var_os(crate::BOOT_ENV).is_some() {
            std::process::exit(crate::worker::serve(self));
        }
    }

    /// Names, in the order in which the tasks were added.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    pub(crate) fn table(&self) -> Table {
        self.table
    }

    /// Names of a table that a pool can use.
    pub(crate) fn check(&self) -> Result<Vec<String>, StartError> {
        if self.entries.len() > MAX_TASKS {
            return Err(StartError::TooManyTasks { tasks: self.entries.len(), max: MAX_TASKS });
        }
        let mut names: Vec<_> = self.names().map(str::to_owned).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(StartError::DuplicateTask { name: pair[0].clone() });
        }
        Ok(self.names().map(str::to_owned).collect())
    }

    /// For each of the host's names, the task of this table.
    pub(crate) fn bind(&self, names: Vec<String>) -> Bound<'_> {
        let known: HashMap<_, _> =
            self.entries.iter().map(|entry| (entry.name.as_str(), entry.run.as_ref())).collect();
        let runners = names.iter().map(|name| *known.get(name.as_str())?).collect();
        Bound { tasks: self, names, runners }
    }

    fn push<In, Out>(&mut self, name: String, run: Option<Runner>) -> Task<In, Out> {
        // A table with more entries than indexes is refused before any handle is used.
        let index = u16::try_from(self.entries.len()).unwrap_or(u16::MAX);
        self.entries.push(Entry { name, run });
        Task::new(index, self.table)
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// A typed handle to a task: takes `In`, returns `Out`.
pub struct Task<In, Out> {
    index: u16,
    table: Table,
    timeout: Option<Duration>,
    retry: bool,
    types: PhantomData<fn(In) -> Out>,
}

impl<In, Out> Task<In, Out> {
    pub(crate) fn new(index: u16, table: Table) -> Self {
        Self { index, table, timeout: None, retry: true, types: PhantomData }
    }

    /// The same task, for calls that end with [`CallError::TimedOut`](crate::CallError::TimedOut) when there
    /// is no answer after `timeout`. The time begins with the call, and time in the queue counts.
    ///
    /// A handle that is kept is a timeout for the task, one that is made for a call is one for the
    /// call:
    ///
    /// ```no_run
    /// # use knit_lanes::{CallError, Pool, Task};
    /// # use std::time::Duration;
    /// # fn call(pool: &Pool, resize: Task<u32, u32>) -> Result<u32, CallError> {
    /// match pool.call(resize.with_timeout(Duration::from_millis(50)), 7).wait() {
    ///     Err(CallError::TimedOut { .. }) => Ok(0),
    ///     outcome => outcome,
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// The same task, for calls that are not made again when their worker dies before the task has begun: they
    /// end with [`CallError::WorkerDied`](crate::CallError::WorkerDied), which says so. See
    /// [`Builder::retry`](crate::Builder::retry).
    #[must_use]
    pub fn without_retry(self) -> Self {
        Self { retry: false, ..self }
    }

    /// Whether calls by this handle may be made again.
    #[must_use]
    pub fn retries(self) -> bool {
        self.retry
    }

    /// Longest time of a call by this handle, if it has one.
    #[must_use]
    pub fn timeout(self) -> Option<Duration> {
        self.timeout
    }

    pub(crate) fn index(self) -> u16 {
        self.index
    }

    pub(crate) fn table(self) -> Table {
        self.table
    }
}

impl<In, Out> Clone for Task<In, Out> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<In, Out> Copy for Task<In, Out> {}

impl<In, Out> fmt::Debug for Task<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("index", &self.index)
            .field("timeout", &self.timeout)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// A pool has no task of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no task is called `{name}`; there are: {}", known.join(", "))]
pub struct UnknownTask {
    /// The name asked for.
    pub name: String,
    /// The names that there are.
    pub known: Vec<String>,
}

/// A worker's tasks by the host's function indexes.
pub(crate) struct Bound<'t> {
    tasks: &'t Tasks,
    names: Vec<String>,
    runners: Vec<Option<&'t Runner>>,
}

impl Bound<'_> {
    /// Runs the task with this index. Never unwinds.
    #[inline]
    pub(crate) fn run(
        &self,
        context: &TaskContext<'_>,
        function: u16,
        payload: Payload<'static>,
        limits: &Limits,
    ) -> Outcome {
        match self.runners.get(usize::from(function)) {
            Some(Some(run)) => run(context, payload, limits),
            found => Err(self.unknown(function, found.is_some())),
        }
    }

    #[cold]
    fn unknown(&self, function: u16, named: bool) -> Box<(TaskFailure, ErrorValue)> {
        let text = if named {
            let served = self.tasks.entries.iter().filter(|entry| entry.run.is_some());
            let known: Vec<_> = served.map(|entry| entry.name.as_str()).collect();
            let name = &self.names[usize::from(function)];
            format!("this worker has no task called `{name}`; it has: {}", known.join(", "))
        } else {
            format!("there is no task {function}; the pool has {} tasks", self.names.len())
        };
        failed(TaskFailure::Unknown, text)
    }
}

#[cold]
fn failed(failure: TaskFailure, text: String) -> Box<(TaskFailure, ErrorValue)> {
    Box::new((failure, ErrorValue::new(failure.name().unwrap_or("Error"), text)))
}
