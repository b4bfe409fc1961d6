//! A lane for an event loop: which calls are where, what a look does, and what comes before a sleep.
//!
//! Nothing here waits. The loop waits, for [`LaneProcess::bell`] and [`LaneProcess::pidfd`]:
//!
//! ```text
//! loop {
//!     lane.work()                   answers are read, calls are sent
//!     lane.announce()               says that the host sleeps, and looks again
//!     wait for the descriptors      not at all if something came meanwhile
//!     lane.awake(bell is readable)
//!     if pidfd is readable: lane.ended()
//! }
//! ```

use crate::{Function, LIMITS, LaneProcess, Memory, StartError};
use knit_lanes::codec::Payload;
use knit_lanes::{CallId, Decode, ErrorValue, HostLane, LaneError, ProtocolViolation, SendError};
use knit_proto::{Features, SLOTS};
use knit_ring::{Doorbell, FutexBell, Waiter};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// A worker and its calls. `C` is what the program knows of a call: who waits for it, and how.
#[derive(Debug)]
pub struct Lane<C> {
    process: LaneProcess,
    program: PathBuf,
    waiter: Waiter<Memory>,
    state: State,
    /// Whether this worker has ever taken calls.
    was_open: bool,
    epoch: u32,
    /// Calls that the lane has had no room for.
    queue: VecDeque<Queued<C>>,
    /// Calls that are with the worker, by their place.
    with_worker: [Option<WithWorker<C>>; SLOTS as usize],
    next_number: u64,
    closing: bool,
}

#[derive(Debug)]
enum State {
    /// The worker has not said that it is ready.
    Starting,
    Open(Box<HostLane<Memory>>),
    /// The worker broke the protocol, or cannot be used. It was killed, and nothing is read from it any more.
    Refused(Refusal),
    /// Its process has ended.
    Ended,
}

#[derive(Debug)]
struct Queued<C> {
    number: u64,
    function: Function,
    payload: Payload<'static>,
    caller: C,
}

#[derive(Debug)]
struct WithWorker<C> {
    id: CallId,
    number: u64,
    /// `None` once it was given up: the place is taken until the worker answers.
    caller: Option<C>,
}

/// A call that is over.
#[derive(Debug)]
pub struct Done<C> {
    /// What [`Lane::call`] returned.
    pub number: u64,
    /// What it was given.
    pub caller: C,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a call ended.
#[derive(Debug)]
pub enum Outcome {
    /// With this value.
    Value(Payload<'static>),
    /// The task failed.
    Failed(ErrorValue),
    /// It can never be sent.
    NotSent(SendError),
    /// The worker ended before it answered. The task may have run.
    Lost(ExitStatus),
}

/// A call that nobody waits for any more.
#[derive(Debug)]
pub struct GivenUp<C> {
    /// What [`Lane::call`] was given.
    pub caller: C,
    /// Whether its task may have run, or still runs.
    pub may_have_run: bool,
}

/// How a worker ended.
#[derive(Debug)]
pub struct End {
    /// Its exit status.
    pub status: ExitStatus,
    /// Whether it ever took calls.
    pub was_open: bool,
    /// What it did wrong, if that is why it was killed.
    pub refusal: Option<Refusal>,
}

/// Why a worker was killed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum Refusal {
    /// It broke the protocol.
    #[error("it broke the protocol: {0}")]
    Violation(#[from] ProtocolViolation),
    /// It rings no eventfd, so that an event loop would not hear of its answers.
    #[error("it does not know the feature `eventfd`")]
    NoEventfd,
}

impl<C> Lane<C> {
    /// Starts the first worker, a process of this program.
    ///
    /// # Errors
    ///
    /// As [`LaneProcess::start`].
    pub fn start(program: impl Into<PathBuf>) -> Result<Self, StartError> {
        let program = program.into();
        let epoch = 1;
        let process = LaneProcess::start(&program, epoch)?;
        Ok(Self {
            program,
            waiter: process.waiter()?,
            process,
            state: State::Starting,
            was_open: false,
            epoch,
            queue: VecDeque::new(),
            with_worker: [const { None }; SLOTS as usize],
            next_number: 1,
            closing: false,
        })
    }

    /// Starts another worker after [`Self::ended`]. The calls of the queue go to it. Its descriptors are other
    /// ones: take the old ones out of the loop before.
    ///
    /// # Errors
    ///
    /// As [`LaneProcess::start`].
    pub fn restart(&mut self) -> Result<(), StartError> {
        // Another worker, another segment, another epoch. LANE-14.
        self.epoch += 1;
        let process = LaneProcess::start(&self.program, self.epoch)?;
        self.waiter = process.waiter()?;
        self.state = State::Starting;
        self.was_open = false;
        self.process = process;
        Ok(())
    }

    /// The worker's process, with the descriptors to wait for.
    #[must_use]
    pub fn process(&self) -> &LaneProcess {
        &self.process
    }

    /// How many workers there have been.
    #[must_use]
    pub fn workers(&self) -> u32 {
        self.epoch
    }

    /// Whether the worker takes calls.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether somebody waits for a call.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        let is_awaited = |call: &WithWorker<C>| call.caller.is_some();
        !self.queue.is_empty() || self.with_worker.iter().flatten().any(is_awaited)
    }

    /// Notes down a call. [`Self::work`] sends it as soon as there is room. Returns its number.
    pub fn call(&mut self, function: Function, payload: Payload<'static>, caller: C) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.queue.push_back(Queued { number, function, payload, caller });
        number
    }

    /// Does all that can be done now: sees whether the worker is ready, reads answers, sends calls. Returns the
    /// calls that are over.
    pub fn work(&mut self) -> Vec<Done<C>> {
        let mut done = Vec::new();
        if matches!(self.state, State::Starting) {
            self.connect();
        }
        self.read(&mut done);
        self.send(&mut done);
        done
    }

    /// Says to the worker that the host is about to sleep, and looks once more. Returns whether it may sleep: if
    /// not, something came meanwhile, and [`Self::work`] finds it. WAKE-1.
    #[must_use]
    pub fn announce(&mut self) -> bool {
        // The bell is loaded, the flag is stored, and a full fence keeps the look below behind that store.
        self.waiter.announce(self.process.bell());
        // From here on the worker rings. What it did before it could see the flag, this look sees.
        let is_new = match &mut self.state {
            State::Starting => !matches!(self.process.connect(), Ok(None)),
            // A violation is new too.
            State::Open(host) => !matches!(host.is_pending(), Ok(false)),
            State::Refused(_) | State::Ended => false,
        };
        if is_new {
            self.waiter.retract();
        }
        !is_new
    }

    /// The host is awake again. `rung` says whether the bell's descriptor is readable: it is cleared before the
    /// next look, never after it. WAKE-3.
    pub fn awake(&mut self, rung: bool) {
        self.waiter.retract();
        if rung {
            self.process.bell().clear();
        }
    }

    /// Nobody waits for this call any more. `None` when it is over.
    pub fn give_up(&mut self, number: u64) -> Option<GivenUp<C>> {
        if let Some(at) = self.queue.iter().position(|call| call.number == number) {
            let call = self.queue.remove(at)?;
            return Some(GivenUp { caller: call.caller, may_have_run: false });
        }
        let call = self.with_worker.iter_mut().flatten().find(|call| call.number == number)?;
        let caller = call.caller.take()?;
        if let State::Open(host) = &mut self.state {
            host.abort(call.id);
            // A worker that waits for futures of its own sleeps meanwhile.
            if host.notify() {
                FutexBell.wake(host.bell());
            }
        }
        Some(GivenUp { caller, may_have_run: true })
    }

    /// Takes everybody out who waits for a call, when there will be no worker any more.
    pub fn take_callers(&mut self) -> Vec<C> {
        let with_worker = self.with_worker.iter_mut().flatten();
        let with_worker = with_worker.filter_map(|call| call.caller.take());
        with_worker.chain(self.queue.drain(..).map(|call| call.caller)).collect()
    }

    /// Kills the worker if it still has this call, whatever else it has.
    pub fn kill_if_it_has(&self, number: u64) {
        if self.with_worker.iter().flatten().any(|call| call.number == number) {
            self.process.kill();
        }
    }

    /// Asks the worker to end. It answers the call that it is running first.
    pub fn close(&mut self) {
        if core::mem::replace(&mut self.closing, true) {
            return;
        }
        match &mut self.state {
            State::Open(host) => {
                host.close();
                FutexBell.wake(host.bell());
            }
            // It has nothing to finish.
            State::Starting | State::Refused(_) | State::Ended => self.process.kill(),
        }
    }

    /// Whether the worker was asked to end.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// The worker's process has ended, as its pidfd says: reads the answers that it had published, and gives up
    /// those of its calls that it had not answered.
    ///
    /// # Errors
    ///
    /// Somebody else has reaped the process.
    pub fn ended(&mut self) -> io::Result<(End, Vec<Done<C>>)> {
        let mut done = Vec::new();
        if matches!(self.state, State::Starting) {
            self.connect();
        }
        // A dead process stores nothing more: one look is enough. LANE-24.
        self.read(&mut done);
        let status = self.process.reap()?;
        for call in self.with_worker.iter_mut().filter_map(Option::take) {
            if let Some(caller) = call.caller {
                done.push(Done { number: call.number, caller, outcome: Outcome::Lost(status) });
            }
        }
        let refusal = match self.state {
            State::Refused(refusal) => Some(refusal),
            _ => None,
        };
        // Nothing is read from this segment any more.
        self.state = State::Ended;
        Ok((End { status, was_open: self.was_open, refusal }, done))
    }

    fn connect(&mut self) {
        match self.process.connect() {
            Ok(None) => {}
            Ok(Some(host)) if host.features().contains(Features::EVENTFD) => {
                self.state = State::Open(Box::new(host));
                self.was_open = true;
            }
            Ok(Some(_)) => self.refuse(Refusal::NoEventfd),
            Err(LaneError::Violation(violation)) => self.refuse(violation.into()),
            Err(error) => unreachable!("the layout was made for this memory: {error}"),
        }
    }

    fn read(&mut self, done: &mut Vec<Done<C>>) {
        // As many as are in flight: a worker cannot answer more often than it was asked.
        while let State::Open(host) = &mut self.state {
            match host.take() {
                Ok(Some(answer)) => {
                    if answer.wake {
                        // It may wait for the room that this answer took.
                        FutexBell.wake(host.bell());
                    }
                    let call = self.with_worker[answer.call.place()].take();
                    let Some(WithWorker { number, caller: Some(caller), .. }) = call else {
                        continue;
                    };
                    let outcome = outcome(answer.rejected, answer.payload);
                    done.push(Done { number, caller, outcome });
                }
                Ok(None) => return,
                Err(violation) => self.refuse(violation.into()),
            }
        }
    }

    fn send(&mut self, done: &mut Vec<Done<C>>) {
        while let State::Open(host) = &mut self.state
            && !self.closing
            && let Some(Queued { number, function, payload, caller }) = self.queue.pop_front()
        {
            match host.submit(function.index(), &payload) {
                Ok(submitted) => {
                    let call = WithWorker { id: submitted.call, number, caller: Some(caller) };
                    self.with_worker[submitted.call.place()] = Some(call);
                    if submitted.wake {
                        FutexBell.wake(host.bell());
                    }
                }
                Err(SendError::Full) => {
                    // The next answer makes room.
                    self.queue.push_front(Queued { number, function, payload, caller });
                    return;
                }
                Err(SendError::Poisoned(violation)) => {
                    self.queue.push_front(Queued { number, function, payload, caller });
                    self.refuse(violation.into());
                }
                Err(error) => {
                    done.push(Done { number, caller, outcome: Outcome::NotSent(error) });
                }
            }
        }
    }

    /// Reads and sends nothing more. The calls that the worker has end with its process.
    fn refuse(&mut self, refusal: Refusal) {
        self.state = State::Refused(refusal);
        self.process.kill();
    }
}

fn outcome(rejected: bool, payload: Payload<'static>) -> Outcome {
    if !rejected {
        return Outcome::Value(payload);
    }
    Outcome::Failed(ErrorValue::decode(payload, &LIMITS).unwrap_or_else(|error| {
        ErrorValue::new("Error", format!("the task failed, and its error cannot be read: {error}"))
    }))
}
