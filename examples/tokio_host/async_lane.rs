//! A lane whose calls are futures: any task may call, one task drives.

use knit_examples::{Done, End, Function, LIMITS, Lane, LaneProcess, Outcome, StartError};
use knit_lanes::codec::{DecodeError, EncodeError, Payload};
use knit_lanes::{Decode, Encode, ErrorValue, SendError};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

/// How long a worker may take to become ready.
const READY: Duration = Duration::from_secs(10);

/// The callers' side. Clones are one lane.
#[derive(Clone, Debug)]
pub struct AsyncLane(Arc<Mutex<Core>>);

type Answer = oneshot::Sender<Outcome>;

#[derive(Debug)]
struct Core {
    lane: Lane<Answer>,
    /// There will be no worker any more: calls fail at once.
    is_over: bool,
}

/// The driver: it has to run for any call to be answered.
#[derive(Debug)]
pub struct Driver(AsyncLane);

/// Why a call has no value.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The argument cannot be sent.
    #[error("the argument cannot be sent: {0}")]
    Argument(#[from] EncodeError),
    /// It can never be sent.
    #[error("the argument cannot be sent: {0}")]
    NotSent(SendError),
    /// The task failed.
    #[error("{}: {}", .0.name(), .0.message())]
    Task(ErrorValue),
    /// The answer is of another type.
    #[error("the answer cannot be read: {0}")]
    Answer(#[from] DecodeError),
    /// The worker ended. The task may have run.
    #[error("the worker ended ({0}); the task may have run")]
    Lost(ExitStatus),
    /// There is no worker any more.
    #[error("there is no worker any more")]
    Closed,
}

impl AsyncLane {
    /// Starts a worker. Call it on a thread that lives as long as the host, such as the one that runs a
    /// `current_thread` runtime: the worker ends with it.
    ///
    /// # Errors
    ///
    /// The system refuses descriptors, memory or a process.
    pub fn start() -> Result<(Self, Driver), StartError> {
        let core = Core { lane: Lane::start(LaneProcess::THIS_PROGRAM)?, is_over: false };
        let lane = Self(Arc::new(Mutex::new(core)));
        Ok((lane.clone(), Driver(lane)))
    }

    /// Calls a task. A future that is dropped before it is ready gives the call up.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    pub async fn call<In: Encode, Out: Decode>(
        &self,
        function: Function,
        argument: In,
    ) -> Result<Out, CallError> {
        let payload = argument.encode(&LIMITS)?.into_owned();
        let (answer, answered) = oneshot::channel();
        let number = self.begin(function, payload, answer)?;
        let mut guard = GiveUp { lane: self, number: Some(number) };
        let outcome = answered.await;
        guard.number = None;
        match outcome.map_err(|_| CallError::Closed)? {
            Outcome::Value(value) => Ok(Out::decode(value, &LIMITS)?),
            Outcome::Failed(error) => Err(CallError::Task(error)),
            Outcome::NotSent(error) => Err(CallError::NotSent(error)),
            Outcome::Lost(status) => Err(CallError::Lost(status)),
        }
    }

    fn begin(
        &self,
        function: Function,
        payload: Payload<'static>,
        answer: Answer,
    ) -> Result<u64, CallError> {
        let mut core = self.lock();
        if core.is_over || core.lane.is_closing() {
            return Err(CallError::Closed);
        }
        let number = core.lane.call(function, payload, answer);
        // It goes out now. The driver need not be awake for that: it sleeps on, and the worker rings.
        let done = core.lane.work();
        drop(core);
        tell(done);
        Ok(number)
    }

    /// Asks the worker to end. The driver is ready when it has.
    pub fn close(&self) {
        self.lock().lane.close();
    }

    /// Kills the worker, which was asked to end and does not.
    pub fn kill(&self) {
        self.lock().lane.process().kill();
    }

    /// How many workers there have been.
    pub fn workers(&self) -> u32 {
        self.lock().lane.workers()
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What can be done now, and then the announcement of a sleep. Whether the driver may sleep, and whether the
    /// worker is ready.
    fn work(&self) -> (bool, bool) {
        let mut core = self.lock();
        let done = core.lane.work();
        let (may_sleep, is_open) = (core.lane.announce(), core.lane.is_open());
        drop(core);
        tell(done);
        (may_sleep, is_open)
    }
}

/// Gives up a call whose future is dropped.
struct GiveUp<'l> {
    lane: &'l AsyncLane,
    number: Option<u64>,
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            // Who waited for it is not there to be told.
            let given_up = self.lane.lock().lane.give_up(number);
            drop(given_up);
        }
    }
}

/// Wakes the callers, when the lock is free: a waker is anybody's code.
fn tell(done: Vec<Done<Answer>>) {
    for Done { caller, outcome, .. } in done {
        // The future may have been dropped just now.
        let _ = caller.send(outcome);
    }
}

impl Driver {
    /// Drives the lane until the worker has ended after [`AsyncLane::close`]. Returns how.
    ///
    /// # Errors
    ///
    /// A worker ended before it took calls, or was not ready in time, or cannot be started.
    pub async fn run(self) -> Result<ExitStatus, DriveError> {
        let ended = self.drive().await;
        let left = {
            let mut core = self.0.lock();
            core.is_over = true;
            core.lane.take_callers()
        };
        // Whoever waits for an answer learns that none comes, when the lock is free.
        drop(left);
        ended
    }

    async fn drive(&self) -> Result<ExitStatus, DriveError> {
        loop {
            let end = self.live().await?;
            let mut core = self.0.lock();
            if core.lane.is_closing() {
                return Ok(end.status);
            }
            if !end.was_open {
                return Err(DriveError::NotOpened(end));
            }
            core.lane.restart()?;
        }
    }

    /// One worker, to its end.
    async fn live(&self) -> Result<End, DriveError> {
        let (bell, pidfd) = {
            let core = self.0.lock();
            let process = core.lane.process();
            (readable(process.bell())?, readable(process.pidfd())?)
        };
        let ready = tokio::time::sleep(READY);
        tokio::pin!(ready);
        loop {
            // 1. Look; announce the sleep; look again.
            let (may_sleep, is_open) = self.0.work();
            if !may_sleep {
                // A busy worker keeps no other task waiting.
                tokio::task::yield_now().await;
                continue;
            }
            // 2. Sleep.
            let mut rung = false;
            let mut has_ended = false;
            tokio::select! {
                guard = bell.readable() => {
                    // Before the bell itself is cleared: a ring that comes in between makes it ready again.
                    guard?.clear_ready();
                    rung = true;
                }
                guard = pidfd.readable() => {
                    guard?.retain_ready();
                    has_ended = true;
                }
                () = &mut ready, if !is_open => {
                    return Err(DriveError::NotReady { within: READY });
                }
            }
            // 3. Awake, before anything is looked at.
            let mut core = self.0.lock();
            core.lane.awake(rung);
            if has_ended {
                let (end, done) = core.lane.ended()?;
                drop(core);
                tell(done);
                return Ok(end);
            }
        }
    }
}

/// A copy of the descriptor, for the runtime's own set. It is closed, and so leaves the set, with the worker.
#[expect(
    deprecated,
    reason = "tokio 1.54 makes it unsafe for the sake of types whose descriptor changes; that of an `OwnedFd` does not"
)]
fn readable(fd: impl AsFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd.as_fd().try_clone_to_owned()?, Interest::READABLE)
}

/// Why the driver cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// No worker can be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A worker ended before it took calls.
    #[error(
        "the worker ended before it took calls ({}){}",
        .0.status,
        .0.refusal.map(|why| format!(": {why}")).unwrap_or_default()
    )]
    NotOpened(End),
    /// A worker is not ready in time.
    #[error("the worker was not ready within {within:?}")]
    NotReady {
        /// The time.
        within: Duration,
    },
    /// The system refuses.
    #[error(transparent)]
    System(#[from] io::Error),
}
