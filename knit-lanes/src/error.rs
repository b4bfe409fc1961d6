//! What can go wrong with a pool and with a call.

use crate::process::WorkerExit;
use crate::{BootError, ProtocolViolation, SendError};
use core::time::Duration;
use knit_codec::{DecodeError, EncodeError, ErrorValue};
use knit_ring::{MemfdError, ReserveError, SegmentError};
use std::sync::Arc;

/// Result of this crate's operations.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Anything that can go wrong, for programs that do not tell the cases apart.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The pool did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Why a pool did not start, or a worker was not replaced.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// This process is a worker itself.
    #[error(
        "this is a worker of another pool ({env} is set, or it is a worker thread): call \
         `Tasks::serve_if_worker` before starting a pool, or allow it with `Builder::inside_worker`",
        env = crate::BOOT_ENV
    )]
    InsideWorker,
    /// A pool without workers.
    #[error("a pool needs at least one worker")]
    NoWorkers,
    /// Two tasks have the same name.
    #[error("two tasks are called `{name}`")]
    DuplicateTask {
        /// The name.
        name: String,
    },
    /// More tasks than function indexes.
    #[error("{tasks} tasks, at most {max} have an index")]
    TooManyTasks {
        /// How many.
        tasks: usize,
        /// How many are possible.
        max: usize,
    },
    /// The boot description does not fit an environment variable.
    #[error(
        "the boot description takes {bytes} bytes, at most {max} fit: use fewer or shorter task names"
    )]
    BootTooLong {
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// A setting that cannot work.
    #[error("{setting}: {problem}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The segment could not be made.
    #[error("cannot make the worker's segment: {0}")]
    Memfd(MemfdError),
    /// The segment could not be laid out.
    #[error("cannot lay out the worker's segment: {0}")]
    Segment(SegmentError),
    /// The worker's program could not be started.
    #[error("cannot start the worker program {program}: {error}")]
    Spawn {
        /// The program.
        program: String,
        /// What the system said.
        error: Arc<std::io::Error>,
    },
    /// The worker's process ended before it said that it was ready.
    #[error("the worker {exit} before it was ready{hint}", hint = boot_hint(*exit))]
    Exited {
        /// How it ended.
        exit: WorkerExit,
    },
    /// The worker's process lives but did not say that it was ready.
    #[error(
        "the worker did not say that it was ready within {deadline:?} (it was killed and {exit}): \
         does its `main` call `Tasks::serve_if_worker`?"
    )]
    NotReady {
        /// How long it had.
        deadline: Duration,
        /// How it ended: by the signal that killed it, unless it was quicker.
        exit: WorkerExit,
    },
    /// The worker broke the protocol while it started.
    #[error("the worker broke the protocol while it started: {0}")]
    Violation(ProtocolViolation),
    /// The worker has ended, and its lane has had as many new ones as [`Restart`](crate::Restart) permits: it is given up.
    #[error(
        "the worker {}, and {restarts} restarts within {window:?} are the limit",
        ending(*.exit)
    )]
    RestartLimit {
        /// Most restarts.
        restarts: u32,
        /// Within which time.
        window: Duration,
        /// How the last one ended; `None` when it could not be started.
        exit: Option<WorkerExit>,
    },
    /// The pool was shut down while the worker started.
    #[error("the pool was shut down while the worker started")]
    Closed,
    /// Another system call failed.
    #[error("cannot {action}: {error}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        error: Arc<std::io::Error>,
    },
}

impl StartError {
    pub(crate) fn system(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::System { action, error: Arc::new(error) }
    }
}

fn ending(exit: Option<WorkerExit>) -> String {
    exit.map_or_else(|| "could not be started".to_owned(), |exit| exit.to_string())
}

fn boot_hint(exit: WorkerExit) -> &'static str {
    match exit {
        WorkerExit::Code(0) => ": does its `main` call `Tasks::serve_if_worker`?",
        WorkerExit::Code(crate::EXIT_BOOT_FAILED) => {
            ": it could not attach to its segment, see its standard error"
        }
        WorkerExit::Code(crate::EXIT_WARM_UP_FAILED) => {
            ": its warm-up failed, see its standard error"
        }
        _ => "",
    }
}

/// Why a call has no value.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The task ran, or could not be run, and the worker said why.
    #[error(transparent)]
    Task(TaskError),
    /// The argument cannot be sent.
    #[error("the argument cannot be sent: {0}")]
    Argument(EncodeError),
    /// The answer is not what the task's handle says.
    #[error("the answer is not what the task's type says: {0}")]
    Answer(DecodeError),
    /// The worker's process ended while the call was with it, and had published no answer.
    #[error("the worker of lane {lane} {exit} during the call; the task {}", trace_of_it(*.may_have_run))]
    WorkerDied {
        /// The lane.
        lane: usize,
        /// How the process ended.
        exit: WorkerExit,
        /// Whether the worker had begun with the call: then the task may have run, in part or whole. Else it did
        /// not, and the pool has not made the call again: it was told not to
        /// ([`Builder::retry`](crate::Builder::retry)), or eight workers have died with this call before them.
        may_have_run: bool,
    },
    /// The worker broke the protocol while the call was with it. It was killed.
    #[error(
        "the worker of lane {lane} broke the protocol and was killed; the task may have run: {violation}"
    )]
    Violation {
        /// The lane.
        lane: usize,
        /// What it did.
        violation: ProtocolViolation,
    },
    /// The call took longer than the time that its handle gave it.
    #[error("no answer after {timeout:?}; the task {}", trace_of_it(*.may_have_run))]
    TimedOut {
        /// The time that it had.
        timeout: Duration,
        /// Whether a worker had the call: then the task may have run, in part or whole. Else it did not.
        may_have_run: bool,
    },
    /// The call was aborted.
    #[error("the call was aborted; the task {}", trace_of_it(*.may_have_run))]
    Aborted {
        /// As in [`Self::TimedOut`].
        may_have_run: bool,
    },
    /// Every lane was full, and as many calls waited as the pool lets. The task did not run.
    #[error("every lane is full and {limit} calls wait already")]
    QueueFull {
        /// Most calls that wait.
        limit: usize,
    },
    /// No worker is left and none is started any more. The task did not run.
    #[error("no worker is left, and none is started any more: {0}")]
    NoWorkers(StartError),
    /// The future of the argument came to an error. The task did not run.
    #[error("there is no argument: {0}")]
    Input(Arc<dyn core::error::Error + Send + Sync>),
    /// The argument can never be sent; or, where it is a shared buffer, not now. The task did not run.
    #[error("the argument cannot be sent: {0}")]
    Unsendable(SendError),
    /// The machine has no memory for the argument. The task did not run.
    #[error(transparent)]
    Memory(#[from] ReserveError),
    /// The handle belongs to another table of tasks. The task did not run.
    #[error("the task handle belongs to another `Tasks` than the pool was started with")]
    ForeignTask,
    /// The pool was shut down before the call ended.
    #[error("the pool was shut down before the call ended")]
    Closed,
    /// The pool, and with it the call, belongs to the process from which this one was forked. A call that was made in this process did not
    /// run; what becomes of one that was made there, that process is told.
    #[error(
        "the pool belongs to the process that this one was forked from: start another one here"
    )]
    Forked,
    /// The value was taken before: the call was polled again after it was ready.
    #[error("the value of this call was taken before")]
    Taken,
}

fn trace_of_it(may_have_run: bool) -> &'static str {
    if may_have_run { "may have run" } else { "did not run" }
}

/// The error of a task, as its worker sent it.
///
/// Its [`source`](core::error::Error::source) chain is the chain of causes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TaskError {
    /// How the task failed.
    pub failure: TaskFailure,
    /// Message, stack and chain of causes.
    pub error: ErrorValue,
}

impl core::fmt::Display for TaskError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.failure {
            TaskFailure::Returned => write!(f, "{}: {}", self.failure, self.error),
            // The name is the failure.
            _ => write!(f, "{}: {}", self.failure, self.error.message()),
        }
    }
}

impl core::error::Error for TaskError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        // The display says what the error value says: its causes come next.
        self.error.source()
    }
}

/// How a task failed in its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskFailure {
    /// The task returned an error.
    Returned,
    /// The task panicked.
    Panicked,
    /// The worker has no such task.
    Unknown,
    /// The argument was not what the task takes.
    Argument,
    /// What the task returned cannot be sent.
    Result,
    /// The call was aborted before its task began.
    Aborted,
}

impl TaskFailure {
    /// Name of the error value that reports a failure the task did not choose.
    pub(crate) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Returned => None,
            Self::Panicked => Some(ErrorValue::PANIC),
            Self::Unknown => Some("knit.unknown-task"),
            Self::Argument => Some("knit.argument"),
            Self::Result => Some("knit.result"),
            Self::Aborted => Some("knit.aborted"),
        }
    }

    /// The failure that an error value of this name reports.
    pub(crate) fn from_name(name: &str) -> Self {
        [Self::Panicked, Self::Unknown, Self::Argument, Self::Result, Self::Aborted]
            .into_iter()
            .find(|failure| failure.name() == Some(name))
            .unwrap_or(Self::Returned)
    }
}

impl core::fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Returned => "the task failed",
            Self::Panicked => "the task panicked",
            Self::Unknown => "the worker has no such task",
            Self::Argument => "the worker refused the argument",
            Self::Result => "the result could not be sent",
            Self::Aborted => "the task did not run",
        })
    }
}

impl From<BootError> for StartError {
    fn from(error: BootError) -> Self {
        match error {
            BootError::TooLong { bytes, max } => Self::BootTooLong { bytes, max },
            other => Self::Setting { setting: "boot description", problem: other.to_string() },
        }
    }
}
