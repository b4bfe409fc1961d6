//! The event loop: an epoll set with the worker's eventfd and pidfd, a timer for all deadlines, and whatever the
//! program adds.

use knit_examples::{Done, End, Function, Lane, Outcome, StartError};
use knit_lanes::codec::{DecodeError, Payload};
use knit_lanes::{Decode, ErrorValue, SendError};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// What a readable descriptor of the epoll set means.
const BELL: u64 = 0;
const WORKER: u64 = 1;
const TIMER: u64 = 2;
const INPUT: u64 = 3;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// A call that was given up: its worker is killed after that.
    pub grace: Duration,
    /// The start of a worker.
    pub ready: Duration,
}

/// A host with one worker at a time.
#[derive(Debug)]
pub struct Host {
    epoll: OwnedFd,
    timer: OwnedFd,
    lane: Lane<Caller>,
    times: Times,
    deadlines: BTreeSet<(Instant, Deadline)>,
    /// When the timer will fire.
    armed: Option<Instant>,
    /// Until when the worker has to be ready, while it is not.
    ready_until: Option<Instant>,
    reports: Vec<Report>,
    end: Option<ExitStatus>,
    sleeps: u64,
}

/// Who waits for a call.
#[derive(Debug)]
struct Caller {
    text: String,
    timeout: Duration,
    deadline: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deadline {
    /// The worker has to be ready.
    Ready,
    /// The call of this number has to be over.
    Call(u64),
    /// The worker has to have done with the call of this number, which was given up.
    GivenUp(u64),
}

/// What became of a call.
#[derive(Debug)]
pub struct Report {
    /// Its number, from 1 on.
    pub number: u64,
    /// The text that it came with.
    pub text: String,
    /// How it ended.
    pub result: Result<f64, Failure>,
}

/// Why a call has no value.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The task failed.
    #[error("{}: {}", .0.name(), .0.message())]
    Task(ErrorValue),
    /// The time is over.
    #[error("not within {timeout:?}; {}", if *.may_have_run { "may have run" } else { "has not run" })]
    TimedOut {
        /// The time.
        timeout: Duration,
        /// Whether the task may have run.
        may_have_run: bool,
    },
    /// The worker ended.
    #[error("the worker ended ({0}); may have run")]
    Lost(ExitStatus),
    /// It can never be sent.
    #[error("not sent: {0}")]
    NotSent(SendError),
    /// The answer is no number.
    #[error("the answer cannot be read: {0}")]
    Answer(DecodeError),
}

impl Host {
    /// Starts a worker, a process of this program.
    ///
    /// # Errors
    ///
    /// The system refuses descriptors, memory or a process.
    pub fn start(program: PathBuf, times: Times) -> Result<Self, HostError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        add(&epoll, &timer, TIMER)?;
        let mut host = Self {
            epoll,
            timer,
            lane: Lane::start(program)?,
            times,
            deadlines: BTreeSet::new(),
            armed: None,
            ready_until: None,
            reports: Vec::new(),
            end: None,
            sleeps: 0,
        };
        host.watch_worker()?;
        Ok(host)
    }

    /// Adds the program's own descriptor. [`Self::wait`] says when it is readable.
    ///
    /// # Errors
    ///
    /// `EPERM` for a file that is always readable.
    pub fn watch_input(&self, input: impl AsFd) -> io::Result<()> {
        add(&self.epoll, input, INPUT)
    }

    /// Takes it out again.
    ///
    /// # Errors
    ///
    /// It was not added.
    pub fn forget_input(&self, input: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, input)?)
    }

    /// Begins a call, which is given up after `timeout`. `text` comes back with its report.
    pub fn call(
        &mut self,
        function: Function,
        argument: Payload<'static>,
        timeout: Duration,
        text: String,
    ) {
        // A time that no clock can show does not come.
        let deadline = Instant::now().checked_add(timeout);
        let number = self.lane.call(function, argument, Caller { text, timeout, deadline });
        self.deadlines.extend(deadline.map(|at| (at, Deadline::Call(number))));
    }

    /// Does all that can be done without waiting.
    ///
    /// # Errors
    ///
    /// The worker did not become ready in time; the timer cannot be set.
    pub fn work(&mut self) -> Result<(), HostError> {
        let done = self.lane.work();
        self.report(done);
        if self.lane.is_open() {
            let over = self.ready_until.take().map(|at| (at, Deadline::Ready));
            over.map(|deadline| self.deadlines.remove(&deadline));
        }
        self.expire()?;
        self.arm()
    }

    /// Sleeps until there is something to do. Returns whether the program's own descriptor is readable.
    ///
    /// # Errors
    ///
    /// The worker ended before it was ready, or another one cannot be started.
    pub fn wait(&mut self) -> Result<bool, HostError> {
        // 1. Announce the sleep; 2. look again.
        let may_sleep = self.lane.announce();
        // 3. Sleep. Without a timeout: everything that can happen makes a descriptor readable.
        let events = self.readable(may_sleep)?;
        let has = |token| events.iter().any(|event| event.data.u64() == token);
        // 4. Awake: retract the announcement and clear the bell, before anything is looked at.
        self.lane.awake(has(BELL));
        if has(TIMER) {
            // It was read or set anew meanwhile: nothing is lost.
            let _ = rustix::io::read(&self.timer, &mut [0; 8]);
            self.armed = None;
        }
        if has(WORKER) {
            self.worker_ended()?;
        }
        Ok(has(INPUT))
    }

    /// What became of the calls that have ended since the last time.
    pub fn take_reports(&mut self) -> Vec<Report> {
        core::mem::take(&mut self.reports)
    }

    /// Whether a call is under way or queued.
    pub fn is_busy(&self) -> bool {
        self.lane.is_awaited()
    }

    /// Asks the worker to end.
    pub fn close(&mut self) {
        self.lane.close();
    }

    /// How the last worker ended, after [`Self::close`].
    pub fn end(&self) -> Option<ExitStatus> {
        self.end
    }

    /// How many workers there have been, and how often the loop has slept.
    pub fn counts(&self) -> (u32, u64) {
        (self.lane.workers(), self.sleeps)
    }

    /// What is readable, once something is; at once when the host may not sleep, so that a busy worker keeps
    /// nobody else waiting.
    fn readable(&mut self, may_sleep: bool) -> Result<Vec<epoll::Event>, HostError> {
        self.sleeps += u64::from(may_sleep);
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let longest = if may_sleep { None } else { Some(&at_once) };
        let mut events = Vec::with_capacity(4);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), longest) {
            // A signal handler ran: look again.
            Ok(_) | Err(Errno::INTR) => Ok(events),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Takes a new worker's descriptors into the set, and gives it time to become ready.
    fn watch_worker(&mut self) -> Result<(), HostError> {
        let process = self.lane.process();
        add(&self.epoll, process.bell(), BELL)?;
        add(&self.epoll, process.pidfd(), WORKER)?;
        self.ready_until = Instant::now().checked_add(self.times.ready);
        self.deadlines.extend(self.ready_until.map(|at| (at, Deadline::Ready)));
        Ok(())
    }

    fn worker_ended(&mut self) -> Result<(), HostError> {
        let process = self.lane.process();
        // By name: a descriptor leaves the set by itself only when all its copies are closed.
        epoll::delete(&self.epoll, process.bell())?;
        epoll::delete(&self.epoll, process.pidfd())?;
        let (end, done) = self.lane.ended()?;
        self.report(done);
        if self.lane.is_closing() {
            self.end = Some(end.status);
            return Ok(());
        }
        // One that never took a call would not the next time either.
        if !end.was_open {
            return Err(HostError::NotOpened(end));
        }
        self.lane.restart()?;
        self.watch_worker()
    }

    fn report(&mut self, done: Vec<Done<Caller>>) {
        for Done { number, caller: Caller { text, deadline, .. }, outcome } in done {
            let over = deadline.map(|at| (at, Deadline::Call(number)));
            over.map(|deadline| self.deadlines.remove(&deadline));
            let result = match outcome {
                Outcome::Value(value) => {
                    f64::decode(value, &knit_examples::LIMITS).map_err(Failure::Answer)
                }
                Outcome::Failed(error) => Err(Failure::Task(error)),
                Outcome::NotSent(error) => Err(Failure::NotSent(error)),
                Outcome::Lost(status) => Err(Failure::Lost(status)),
            };
            self.reports.push(Report { number, text, result });
        }
    }

    /// Does what the deadlines say that are over.
    fn expire(&mut self) -> Result<(), HostError> {
        while let Some((at, deadline)) = self.deadlines.first().copied()
            && at <= Instant::now()
        {
            self.deadlines.pop_first();
            match deadline {
                Deadline::Ready => return Err(HostError::NotReady { within: self.times.ready }),
                Deadline::Call(number) => self.give_up(number),
                Deadline::GivenUp(number) => self.lane.kill_if_it_has(number),
            }
        }
        Ok(())
    }

    fn give_up(&mut self, number: u64) {
        let Some(given_up) = self.lane.give_up(number) else { return };
        if given_up.may_have_run {
            let until = Instant::now().checked_add(self.times.grace);
            self.deadlines.extend(until.map(|at| (at, Deadline::GivenUp(number))));
        }
        let Caller { text, timeout, .. } = given_up.caller;
        let failure = Failure::TimedOut { timeout, may_have_run: given_up.may_have_run };
        self.reports.push(Report { number, text, result: Err(failure) });
    }

    /// Sets the timer to the first deadline, or stops it.
    fn arm(&mut self) -> Result<(), HostError> {
        let first = self.deadlines.first().map(|(at, _)| *at);
        if first == self.armed {
            return Ok(());
        }
        // Zero stops the timer, so that what is over already fires after a nanosecond.
        let left = first.map_or(Duration::ZERO, |at| {
            at.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1))
        });
        let it_value = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let time = Itimerspec { it_interval, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &time)?;
        self.armed = first;
        Ok(())
    }
}

fn add(epoll: &OwnedFd, fd: impl AsFd, token: u64) -> io::Result<()> {
    Ok(epoll::add(epoll, fd, epoll::EventData::new_u64(token), epoll::EventFlags::IN)?)
}

/// Why the loop cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
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

impl From<Errno> for HostError {
    fn from(errno: Errno) -> Self {
        Self::System(errno.into())
    }
}
