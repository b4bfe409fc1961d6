//! The tasks of a program, by name and by typed handle.

use crate::TaskContext;
use crate::caught::drop_caught;
use crate::error::{StartError, TaskFailure};
use crate::worker::{Running, block_on};
use core::fmt;
use core::future::Future;
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
    warm_up: Vec<WarmUp>,
}

/// What a worker does before it says that it is ready, and why it could not.
type WarmUp = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

struct Entry {
    name: String,
    run: Option<Runner>,
}

/// A task with its types erased: payload in, payload out.
enum Runner {
    /// A function.
    Call(Box<Function>),
    /// A function that returns a future.
    Begin(Box<AsyncFunction>),
}

type Function = dyn Fn(&TaskContext<'_>, Payload<'static>, &Limits) -> Outcome + Send + Sync;
type AsyncFunction =
    dyn Fn(TaskContext<'static>, Payload<'static>, Limits) -> Running + Send + Sync;

/// What a task came to: its value, or its error value and how it failed.
/// Errors are boxed: they are large and rare.
pub(crate) type Outcome = Result<Payload<'static>, Box<(TaskFailure, ErrorValue)>>;

/// Why a task that has just begun has no value.
pub(crate) enum NotYet {
    /// It failed.
    Failed(Box<(TaskFailure, ErrorValue)>),
    /// It is a future, to be polled.
    Running(Running),
}

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

impl Runner {
    #[inline]
    fn begin(
        &self,
        context: &TaskContext<'_>,
        payload: Payload<'static>,
        limits: &Limits,
    ) -> Result<Payload<'static>, NotYet> {
        match self {
            Self::Call(run) => run(context, payload, limits).map_err(NotYet::Failed),
            Self::Begin(begin) => Err(NotYet::Running(begin(context.detached(), payload, *limits))),
        }
    }
}

impl NotYet {
    /// Runs the task to its end on this thread.
    fn wait(self) -> Outcome {
        match self {
            Self::Failed(failed) => Err(failed),
            Self::Running(future) => block_on(future),
        }
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
            // Decoding and encoding may run the user's code too.
            caught(|| {
                let argument = argument(context, payload, limits)?;
                reply(task(context, argument), limits)
            })
        };
        self.push(name.into(), Some(Runner::Call(Box::new(run))))
    }

    /// Adds a task that is an async function. While its future waits, its worker serves other calls: up to 32 of them
    /// run in turns on the worker's thread. The future of a call that is aborted, or whose time is over, is dropped.
    ///
    /// The worker polls the future when its waker is woken, from any thread. It brings no timers and no input or output:
    /// with tokio, for instance, enter a multi-threaded runtime (`let _guard = runtime.enter();`) before
    /// [`Tasks::serve_if_worker`].
    ///
    /// # Examples
    ///
    /// ```
    /// use knit_lanes::Tasks;
    ///
    /// async fn double(n: f64) -> f64 {
    ///     2.0 * std::future::ready(n).await
    /// }
    ///
    /// let mut tasks = Tasks::new();
    /// let double = tasks.add_async("double", double);
    /// ```
    pub fn add_async<In, Fut>(
        &mut self,
        name: impl Into<String>,
        task: impl Fn(In) -> Fut + Send + Sync + 'static,
    ) -> Task<In, <Fut::Output as Reply>::Value>
    where
        In: Decode,
        Fut: Future<Output: Reply> + 'static,
    {
        self.add_async_with_context(name, move |_, argument| task(argument))
    }

    /// Adds an async task that wants to know of the call it runs for. The context is worth asking until the task has ended;
    /// after that it may speak of another call.
    pub fn add_async_with_context<In, Fut>(
        &mut self,
        name: impl Into<String>,
        task: impl Fn(TaskContext<'static>, In) -> Fut + Send + Sync + 'static,
    ) -> Task<In, <Fut::Output as Reply>::Value>
    where
        In: Decode,
        Fut: Future<Output: Reply> + 'static,
    {
        let begin =
            move |context: TaskContext<'static>, payload: Payload<'static>, limits: Limits| {
                let mut future = None;
                let failed = caught(|| {
                    let argument = argument(&context, payload, &limits)?;
                    future = Some(task(context, argument));
                    Ok(())
                });
                let running: Running = match (failed, future) {
                    (Err(failed), _) => Box::pin(core::future::ready(Err(failed))),
                    (Ok(()), future) => Box::pin(async move {
                        let Some(future) = future else { unreachable!("the task was called") };
                        reply(future.await, &limits)
                    }),
                };
                running
            };
        self.push(name.into(), Some(Runner::Begin(Box::new(begin))))
    }

    /// Adds something that each worker does before it says that it is ready, in the order of these calls: load a model, fill a
    /// cache. When it fails, its text goes to standard error and the worker does not start: the pool's
    /// `start` ends with `StartError::Exited` and the status [`EXIT_WARM_UP_FAILED`](crate::EXIT_WARM_UP_FAILED).
    /// It counts towards [`Builder::ready_timeout`](crate::Builder::ready_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use knit_lanes::Tasks;
    /// use std::sync::OnceLock;
    ///
    /// static WORDS: OnceLock<Vec<String>> = OnceLock::new();
    ///
    /// let mut tasks = Tasks::new();
    /// tasks.warm_up(|| -> std::io::Result<()> {
    ///     let text = std::fs::read_to_string("/etc/hostname")?;
    ///     WORDS.get_or_init(|| text.split_whitespace().map(str::to_owned).collect());
    ///     Ok(())
    /// });
    /// ```
    pub fn warm_up<E: fmt::Display>(
        &mut self,
        warm_up: impl Fn() -> Result<(), E> + Send + Sync + 'static,
    ) {
        self.warm_up.push(Box::new(move || warm_up().map_err(|error| error.to_string())));
    }

    pub(crate) fn run_warm_up(&self) -> Result<(), String> {
        self.warm_up.iter().try_for_each(|warm_up| warm_up())
    }

    /// Whether any task is a future.
    pub(crate) fn has_futures(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.run, Some(Runner::Begin(_))))
    }

    /// Adds a task that only workers of another program have.
    pub fn declare<In, Out>(&mut self, name: impl Into<String>) -> Task<In, Out> {
        self.push(name.into(), None)
    }

    /// Turns this process into a worker when a pool started it as one; never returns then.
    /// Otherwise returns at once. Call it before anything else that has an effect.
    ///
    /// Call it before the program has another thread, too: what a worker gives up when it begins
    /// ([`Isolation::allow_new_privileges`](crate::Isolation::allow_new_privileges)) holds for the calling thread and those
    /// that are started later.
    ///
    /// The process ends with status 0 when the pool asks it to, with
    /// [`EXIT_BOOT_FAILED`](crate::EXIT_BOOT_FAILED) when it cannot attach to the pool's segment,
    /// and with [`EXIT_VIOLATION`](crate::EXIT_VIOLATION) when the host breaks the protocol; the
    /// reason is printed to standard error. It is killed when the host's process ends.
    ///
    /// A task may fork. A child that comes back from it answers nothing, and ends with status 0.
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

    /// Whether the task with this index can run here.
    pub(crate) fn can_run(&self, function: u16) -> bool {
        self.entries.get(usize::from(function)).is_some_and(|entry| entry.run.is_some())
    }

    /// Runs the task with this index, of this table, to its end. Never unwinds.
    pub(crate) fn run_own(
        &self,
        context: &TaskContext<'_>,
        function: u16,
        payload: Payload<'static>,
        limits: &Limits,
    ) -> Outcome {
        let entry = self.entries.get(usize::from(function));
        match entry.and_then(|entry| entry.run.as_ref()) {
            Some(run) => run.begin(context, payload, limits).or_else(NotYet::wait),
            None => Err(failed(TaskFailure::Unknown, format!("there is no task {function} here"))),
        }
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
    /// call. Where a value will do instead of the error there are [`Self::with_timeout_or`] and
    /// [`Call::or_on_timeout`](crate::Call::or_on_timeout).
    ///
    /// ```no_run
    /// # use knit_lanes::{CallError, Pool, Task};
    /// # use std::time::Duration;
    /// # fn call(pool: &Pool, resize: Task<u32, u32>) -> Result<u32, CallError> {
    /// match pool.call(resize.with_timeout(Duration::from_millis(50)), 7).wait() {
    ///     Err(CallError::TimedOut { may_have_run: false, .. }) => pool.call(resize, 7).wait(),
    ///     outcome => outcome,
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// The same task, for calls that are not made again when their worker dies before the task has begun: they
    /// end with [`CallError::WorkerDied`](crate::CallError::WorkerDied), which says so. They stay behind a long task, too. See
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
    /// The host's names in the order of their indexes, and whether there is such a task.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, bool)> {
        let served = self.runners.iter().map(Option::is_some);
        self.names.iter().map(String::as_str).zip(served)
    }

    /// Runs the task with this index to its end. Never unwinds.
    #[inline]
    pub(crate) fn run(
        &self,
        context: &TaskContext<'_>,
        function: u16,
        payload: Payload<'static>,
        limits: &Limits,
    ) -> Outcome {
        self.begin(context, function, payload, limits).or_else(NotYet::wait)
    }

    /// Runs the task with this index to its end, or begins it if it is a future. Never unwinds.
    #[inline]
    pub(crate) fn begin(
        &self,
        context: &TaskContext<'_>,
        function: u16,
        payload: Payload<'static>,
        limits: &Limits,
    ) -> Result<Payload<'static>, NotYet> {
        match self.runners.get(usize::from(function)) {
            Some(Some(run)) => run.begin(context, payload, limits),
            found => Err(NotYet::Failed(self.unknown(function, found.is_some()))),
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

/// The argument of a call that is still wanted.
#[inline]
fn argument<In: Decode>(
    context: &TaskContext<'_>,
    payload: Payload<'static>,
    limits: &Limits,
) -> Result<In, Box<(TaskFailure, ErrorValue)>> {
    if context.is_aborted() {
        let text = "the call was aborted before its task began".to_owned();
        return Err(failed(TaskFailure::Aborted, text));
    }
    In::decode(payload, limits).map_err(|error| {
        let text = format!("the argument is not {}: {error}", In::expected());
        failed(TaskFailure::Argument, text)
    })
}

/// What a task returned, as a payload.
#[inline]
fn reply<R: Reply>(value: R, limits: &Limits) -> Outcome {
    value.reply(limits).map_err(|error| match error {
        ReplyError::Rejected(error) => Box::new((TaskFailure::Returned, error)),
        error => failed(TaskFailure::Result, error.to_string()),
    })
}

/// A panic is a failure.
#[inline]
fn caught<T>(
    run: impl FnOnce() -> Result<T, Box<(TaskFailure, ErrorValue)>>,
) -> Result<T, Box<(TaskFailure, ErrorValue)>> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let error = ErrorValue::from_panic(&*panic);
        drop_caught(panic);
        Err(Box::new((TaskFailure::Panicked, error)))
    })
}

#[cold]
fn failed(failure: TaskFailure, text: String) -> Box<(TaskFailure, ErrorValue)> {
    Box::new((failure, ErrorValue::new(failure.name().unwrap_or("Error"), text)))
}
