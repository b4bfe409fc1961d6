//! What a worker process of a Knitting pool does: attach, serve, sleep, end.

use super::answer::Fit;
use super::host::{Object, end_with_host};
use super::signals::Signals;
use super::{BOOT_ENV, Boot, BootError, NODE_VERSION, SharedObject};
use crate::debug::{self, say};
use crate::tasks::{Bound, Tasks};
use crate::transfer::{Received, SendError};
use crate::way::Way;
use crate::worker::{complain, error_payload, imports, spin_budget};
use crate::worker_ends::WorkerEnds;
use crate::{EXIT_BOOT_FAILED, EXIT_NO_ANSWER, EXIT_VIOLATION, TaskContext, TaskFailure};
use core::time::Duration;
use knit_codec::{ErrorValue, Limits};
use knit_proto::{Direction, INLINE_BYTES, ProtocolViolation, Region, Word0};
use knit_ring::{
    AbortReceiver, FutexBell, Mapped, Mapping, MemfdError, Origin, OutOfBounds, Relax,
    ReserveError, SharedArenaReceiver, SharedMemory, SpinBudget, SystemClock,
};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsString;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

/// How much longer a worker spins while its host says that it is at work. Upstream spins as long as the
/// host says so, which on a shared core keeps the host from taking it back (KD-20).
const BUSY_SPIN: Duration = Duration::from_micros(100);

/// What a worker of Knitting rejects a call with that was aborted before it ran.
const ABORTED: &str = "Task aborted";

type Memory = Mapped<Mapping>;

/// Turns this process into a worker when a pool of Knitting started it as one, and answers the host that
/// asks for the version of its runtime; never returns then. Otherwise returns at once.
///
/// The process serves until it is ended: Knitting hosts send SIGTERM. It is killed when the host's or its
/// parent process ends. Other ends are those of [`serve`].
///
/// A host asks for the version with the arguments `node --version` after the command's prefix, or with
/// another program's name before `--version`. A program that wants `--version` alone for itself has it.
///
/// A program that a task starts inherits the worker's environment. Remove [`BOOT_ENV`] when that
/// program calls this function too.
pub fn serve_if_worker(tasks: &Tasks) {
    // First: a host may have inherited the variable. The command of a worker never ends like that.
    if asks_for_version(std::env::args_os().skip(1)) {
        // A host that does not want to know any more is none of our business.
        let _ = writeln!(std::io::stdout(), "{NODE_VERSION}");
        std::process::exit(0);
    }
    if std::env::var_os(BOOT_ENV).is_some() {
        std::process::exit(serve(tasks));
    }
}

/// Serves the calls of a pool of Knitting, whose boot description is in the environment. Arguments of the
/// process are ignored.
///
/// Returns the status with which the process should end: [`EXIT_BOOT_FAILED`] when the description or the
/// memory is refused, [`EXIT_VIOLATION`] when the host broke the protocol. The reason is
/// printed to standard error. There is no other way to return, since a Knitting host ends its workers by
/// a signal; the process ends with [`EXIT_NO_ANSWER`] where there is no memory for any answer.
#[must_use]
pub fn serve(tasks: &Tasks) -> i32 {
    let mut worker = match Worker::boot(tasks) {
        Ok(worker) => worker,
        Err(error) => {
            complain(&format_args!("cannot serve a Knitting pool: {error}"));
            return EXIT_BOOT_FAILED;
        }
    };
    let violation = worker.run();
    complain(&format_args!("the Knitting host broke the protocol: {violation}"));
    EXIT_VIOLATION
}

/// Whether these arguments are those of a host that asks for the version of its runtime: a program of the
/// runtime, then `--version`.
fn asks_for_version(arguments: impl Iterator<Item = OsString>) -> bool {
    let arguments: Vec<_> = arguments.collect();
    matches!(&arguments[..], [.., _, last] if last == "--version")
}

struct Worker<'t> {
    ends: WorkerEnds<Memory, SharedArenaReceiver<Memory>>,
    signals: Signals<Memory>,
    aborts: Arc<AbortReceiver<Memory>>,
    tasks: Bound<'t>,
    /// Of arguments and results.
    limits: Limits,
    /// Of errors, which are in the arena whole.
    error_limits: Limits,
    spin: SpinBudget<SystemClock>,
    park: Duration,
    /// The process that attached.
    origin: Origin,
}

impl<'t> Worker<'t> {
    fn boot(tasks: &'t Tasks) -> Result<Self, ServeError> {
        let boot = Boot::from_env()?;
        // Such a host does not count the workers of a lane.
        debug::begin_worker(debug::Worker { lane: boot.lane() as usize, epoch: 0 });
        let file = open(boot.object())?;
        let object = Object::of(&file)?;
        let memory = Mapping::attach_unsealed(file, boot.len())?;
        end_with_host(object)?;
        let layout = boot.layout();
        // What this worker writes apart from the arena, which reserves as it grows.
        for region in
            [Region::Signals, Region::RequestSector, Region::ResponseSector, Region::ResponseSlots]
        {
            memory.reserve(layout.region(region))?;
        }
        let way = |direction| Way::of_bare(layout, direction, boot.max_payload());
        let ends = WorkerEnds::new(&memory, &way(Direction::Request), &way(Direction::Response))?;
        // Upstream's limit is for what is in a payload region: a slot may hold the head of an envelope
        // besides, or text where that limit is lower.
        let limits =
            Limits::default().with_payload(boot.max_payload().saturating_add(INLINE_BYTES));
        let tasks = tasks.bind(boot.names().to_vec());
        imports(&tasks, &limits, true);
        say!(DEBUG, LIFECYCLE, "is ready", pid = std::process::id());
        Ok(Self {
            // A host takes an encoding that failed back by flips of the free word.
            ends: ends.freeing_by_flips(),
            aborts: Arc::new(AbortReceiver::new(&memory, layout.region(Region::AbortBits))?),
            tasks,
            limits,
            error_limits: Limits::default().with_payload(boot.max_payload()),
            spin: spin_budget(boot.spin()),
            park: boot.park(),
            origin: Origin::here(),
            signals: Signals::attach(&memory, layout.region(Region::Signals))?,
        })
    }

    /// Serves until the host breaks the protocol.
    fn run(&mut self) -> ProtocolViolation {
        loop {
            if let Err(violation) = self.serve_while_busy() {
                return violation;
            }
            let ends = &mut self.ends;
            // A violation ends the sleep and is returned by the next look.
            self.signals.park(&FutexBell, self.park, || ends.is_pending() != Ok(false));
            self.spin.slept();
        }
    }

    /// Serves requests until none has come for as long as the worker spins.
    fn serve_while_busy(&mut self) -> Result<(), ProtocolViolation> {
        let mut relax = Relax::new();
        let mut over: Option<Instant> = None;
        loop {
            match self.ends.poll()? {
                Some(request) => {
                    self.spin.found();
                    over = None;
                    self.answer(request)?;
                    relax = Relax::new();
                }
                None if self.spin.is_over() => {
                    let since = *over.get_or_insert_with(Instant::now);
                    if !self.signals.host_is_busy() || since.elapsed() >= BUSY_SPIN {
                        return Ok(());
                    }
                }
                None => relax.moment(),
            }
        }
    }

    #[inline]
    fn answer(&mut self, request: Received) -> Result<(), ProtocolViolation> {
        let Received { word0, call, payload, .. } = request;
        // Requests are parsed as calls.
        let Word0::Call { function, abort } = word0 else { return Ok(()) };
        // The last thing before the task: it may have been aborted while it waited for earlier ones.
        if abort.is_some_and(|signal| self.aborts.is_set(signal)) {
            return self.reject(call, TaskFailure::Returned, &ErrorValue::new("Error", ABORTED));
        }
        let context = TaskContext::of_worker(0, &self.aborts, abort);
        let outcome = self.tasks.run(&context, function, payload, &self.limits);
        if !self.origin.is_here() {
            // The task has forked and come back in the child, whose lane it is not.
            std::process::exit(0)
        }
        let value = match outcome {
            Ok(value) => value,
            Err(failed) => return self.reject(call, failed.0, &failed.1),
        };
        let problem = match Fit::check(value) {
            Ok(value) => match self.send(call, false, &value)? {
                Ok(()) => return Ok(()),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        let failure = TaskFailure::Result;
        let error = ErrorValue::new(failure.name().unwrap_or("Error"), problem);
        self.reject(call, failure, &error)
    }

    /// Answers a call with an error.
    #[cold]
    fn reject(
        &mut self,
        call: u32,
        failure: TaskFailure,
        error: &ErrorValue,
    ) -> Result<(), ProtocolViolation> {
        let Some(problem) = self.send_error(call, failure, error)? else { return Ok(()) };
        let short = ErrorValue::new("Error", format!("{failure}; {problem}"));
        if let Some(problem) = self.send_error(call, failure, &short)? {
            complain(&format_args!("cannot answer: {problem}"));
            std::process::exit(EXIT_NO_ANSWER)
        }
        Ok(())
    }

    /// Answers a call with an error, or says why that cannot be.
    fn send_error(
        &mut self,
        call: u32,
        failure: TaskFailure,
        error: &ErrorValue,
    ) -> Result<Option<String>, ProtocolViolation> {
        match Fit::check(error_payload(&self.error_limits, failure, error)) {
            Ok(payload) => {
                Ok(self.send(call, true, &payload)?.err().map(|error| error.to_string()))
            }
            Err(error) => Ok(Some(error.to_string())),
        }
    }

    /// Sends an answer, and waits for room when there is none. The inner error is one that waiting
    /// does not mend.
    #[inline]
    fn send(
        &mut self,
        call: u32,
        rejected: bool,
        payload: &Fit<'_>,
    ) -> Result<Result<(), SendError>, ProtocolViolation> {
        match self.ends.respond(Word0::Answer { rejected }, call, payload.payload()) {
            Err(SendError::Full) => self.send_when_room(call, rejected, payload),
            Err(SendError::Poisoned(violation)) => Err(violation),
            sent => Ok(sent),
        }
    }

    /// Nobody says that there is room: the wait ends by the clock, or for a new request.
    #[cold]
    fn send_when_room(
        &mut self,
        call: u32,
        rejected: bool,
        payload: &Fit<'_>,
    ) -> Result<Result<(), SendError>, ProtocolViolation> {
        loop {
            let mut relax = Relax::new();
            for _ in 0..ROOM_POLLS {
                match self.ends.respond(Word0::Answer { rejected }, call, payload.payload()) {
                    Err(SendError::Full) => relax.moment(),
                    Err(SendError::Poisoned(violation)) => return Err(violation),
                    sent => return Ok(sent),
                }
            }
            self.signals.park(&FutexBell, self.park, || false);
        }
    }
}

/// Tries to send between two sleeps: some ten microseconds.
const ROOM_POLLS: u32 = 256;

/// Takes the shared memory off standard input, or opens it by its name. Standard input is `/dev/null`
/// afterwards.
fn open(object: &SharedObject) -> Result<OwnedFd, ServeError> {
    if let SharedObject::Named(name) = object {
        return rustix::shm::open(format!("/{name}"), rustix::shm::OFlags::RDWR, Mode::empty())
            .map_err(ServeError::system("open the named shared memory"));
    }
    let file = rustix::stdio::stdin().try_clone_to_owned().map_err(|error| ServeError::System {
        action: "take the shared memory from standard input",
        error,
    })?;
    let null = rustix::fs::open("/dev/null", OFlags::RDONLY, Mode::empty())
        .map_err(ServeError::system("open /dev/null"))?;
    rustix::stdio::dup2_stdin(&null).map_err(ServeError::system("replace standard input"))?;
    Ok(file)
}

/// Why a worker process could not begin to serve.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    #[error(transparent)]
    Boot(#[from] BootError),
    #[error("{0} (hosts that cannot pass it on need `processSharedMemory: \"named\"`)")]
    Memory(#[from] MemfdError),
    #[error(transparent)]
    Reserve(#[from] ReserveError),
    #[error("the lane does not fit its memory: {0}")]
    OutOfBounds(#[from] OutOfBounds),
    #[error("the host has ended already")]
    HostGone,
    #[error("cannot {action}: {error}")]
    System { action: &'static str, error: std::io::Error },
}

impl ServeError {
    pub(super) fn system(action: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::System { action, error: errno.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_for_the_version_names_a_program_before_it() {
        let asks = |words: &[&str]| asks_for_version(words.iter().map(OsString::from));
        assert!(asks(&["node", "--version"]));
        assert!(asks(&["--quiet", "/opt/node/bin/node", "--version"]));
        assert!(!asks(&["--version"]));
        assert!(!asks(&["node", "--version", "x"]));
        assert!(!asks(&[]));
    }
}
