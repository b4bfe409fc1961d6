//! What a worker does, in a process of its own or in a thread: attach, serve, sleep, end.

mod bell;
mod events;
mod process;
mod running;
mod thread;

pub(crate) use events::imports;
pub(crate) use process::serve;
pub(crate) use running::{Running, block_on};
pub(crate) use thread::{ThreadEnd, WorkerThread, is_worker_thread, serves_here};

use crate::buffer::context::{Parcel, decoding, encoding};
use crate::buffer::link::Link;
use crate::clock;
use crate::debug::say;
use crate::tasks::{Bound, NotYet, Tasks};
use crate::worker_lane::{Request, WorkerLane};
use crate::{Boot, GiveError, LaneError, SendError, TaskContext, TaskFailure};
use bell::Bell;
use core::time::Duration;
use knit_codec::{Encode, ErrorValue, Limits, Payload};
use knit_proto::{Features, LaneKind, LaneState, ProtocolViolation};
use knit_ring::{
    AbortReceiver, Mapped, Mapping, Origin, Relax, SegmentError, SpinBudget, SystemClock, Waiter,
    attach_segment,
};
use running::RunningTasks;
use std::io::Write;
use std::sync::Arc;

/// Exit status of a worker that could not attach to its segment (`EX_CONFIG` of sysexits).
pub const EXIT_BOOT_FAILED: i32 = 78;
/// Exit status of a worker whose host broke the protocol (`EX_PROTOCOL` of sysexits).
pub const EXIT_VIOLATION: i32 = 76;
/// Exit status of a worker that had no memory left even for an error value (`EX_OSERR` of sysexits).
pub const EXIT_NO_ANSWER: i32 = 71;
/// Exit status of a worker whose [warm-up](crate::Tasks::warm_up) failed (`EX_SOFTWARE` of sysexits).
pub const EXIT_WARM_UP_FAILED: i32 = 70;

type Memory = Mapped<Mapping>;

/// Says what went wrong on standard error. That it may be closed does not matter.
pub(crate) fn complain(what: &dyn core::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "knit worker: {what}");
}

struct Worker<'t> {
    lane: WorkerLane<Memory>,
    waiter: Waiter<Memory>,
    bell: Bell,
    /// There when the host has a control channel.
    link: Option<Arc<Link>>,
    aborts: Arc<AbortReceiver<Memory>>,
    tasks: Bound<'t>,
    running: RunningTasks,
    limits: Limits,
    /// Number of the lane in its pool.
    number: usize,
    spin: SpinBudget<SystemClock>,
    /// Requests since the last look at the channel.
    since_look: u32,
    /// Tells a worker in a thread that its pool has let go of it.
    end: Option<Arc<ThreadEnd>>,
    /// The process that attached.
    origin: Origin,
}

/// A worker that never sleeps looks at the channel once in so many requests: buffers that the host has
/// dropped are not kept for longer.
const REQUESTS_PER_LOOK: u32 = 256;

/// A worker that spins looks at its host's control line once in so many polls. The default spin of 50 us has about
/// two thousand: it looks once or not at all.
const POLLS_PER_LOOK: u32 = 2048;

/// Why a worker stops before its host closes the lane.
enum Stop {
    Violation(ProtocolViolation),
    /// Not even an error value could be sent.
    NoAnswer,
    /// The pool has let go of this worker, which is a thread.
    Abandoned,
    /// A task has forked and come back in the child, whose lane it is not.
    Forked,
}

impl From<ProtocolViolation> for Stop {
    fn from(violation: ProtocolViolation) -> Self {
        Self::Violation(violation)
    }
}

impl<'t> Worker<'t> {
    /// Attaches to a segment, gets ready, and says so.
    fn open(
        memory: &Memory,
        boot: Boot,
        link: impl FnOnce() -> Option<Arc<Link>>,
        bell: Bell,
        tasks: &'t Tasks,
    ) -> Result<Self, OpenError> {
        let layout = attach_segment(memory)?;
        let fields = layout.fields();
        if fields.epoch != boot.epoch {
            return Err(OpenError::Epoch { segment: fields.epoch, boot: boot.epoch });
        }
        if fields.tasks != boot.tasks_hash() {
            return Err(OpenError::Names);
        }
        let offered = fields.required.or(fields.optional);
        if !offered.contains(Features::FUTEX_BELLS) {
            return Err(OpenError::NoBells);
        }
        let waiter = WorkerLane::waiter(memory, &layout).map_err(LaneError::from)?;
        let link = offered.contains(Features::BUFFER_HANDLES).then(link).flatten();
        let handles = link.as_ref().map_or(Features::NONE, |_| Features::BUFFER_HANDLES);
        let bell = bell.of_segment(offered);
        let deadlines = clock::deadlines(&boot, fields.kind);
        let needs_more = Features::WITHDRAW.or(handles).or(bell.features()).or(deadlines);
        let supported = Features::SUPPORTED.or(needs_more);
        let pid = std::process::id();
        // Before code of the user's runs: a child that it forks is not who attached.
        let origin = Origin::here();
        tasks.run_warm_up().map_err(OpenError::WarmUp)?;
        let (limits, tasks) = (boot.limits(), tasks.bind(boot.tasks));
        imports(&tasks, &limits, fields.kind == LaneKind::Process);
        let lane = WorkerLane::open_with(memory, &layout, boot.max_payload, pid, supported)?;
        say!(DEBUG, LIFECYCLE, "is ready", pid = pid);
        events::wake_host(&bell, &lane);
        Ok(Self {
            lane,
            waiter,
            link,
            aborts: Arc::new(WorkerLane::aborts(memory, &layout).map_err(LaneError::from)?),
            running: RunningTasks::new(bell.threads().cloned()),
            bell,
            limits,
            number: boot.lane,
            tasks,
            spin: spin_budget(Duration::from_micros(boot.spin_us.into())),
            since_look: 0,
            end: None,
            origin,
        })
    }

    /// Serves calls until the host closes the lane. Returns the exit status.
    fn serve(&mut self) -> i32 {
        match self.run() {
            Ok(()) | Err(Stop::Abandoned | Stop::Forked) => 0,
            Err(Stop::NoAnswer) => EXIT_NO_ANSWER,
            Err(Stop::Violation(violation)) => {
                complain(&format_args!("the host broke the protocol: {violation}"));
                EXIT_VIOLATION
            }
        }
    }

    fn run(&mut self) -> Result<(), Stop> {
        while self.lane.host_state()? != LaneState::Closing {
            self.serve_while_busy()?;
            if self.end.as_deref().is_some_and(ThreadEnd::is_abandoned) {
                return Err(Stop::Abandoned);
            }
            let (lane, link) = (&mut self.lane, self.link.as_ref());
            let (running, aborts, end) = (&self.running, &*self.aborts, self.end.as_deref());
            let mut drained = None;
            events::parks();
            // An error ends the sleep and is returned by the next look.
            let woken = self.waiter.park(&self.bell, None, || {
                let awake = !matches!(lane.host_state(), Ok(LaneState::Open))
                    || running.wants_attention(aborts)
                    || end.is_some_and(ThreadEnd::is_abandoned)
                    || (running.has_room() && !matches!(lane.is_pending(), Ok(false)));
                awake || {
                    // Last: it is a system call, and there is time for it now.
                    let found = link.map_or(Ok(false), |link| link.drain());
                    *drained.insert(found) != Ok(false)
                }
            });
            events::has_slept(woken);
            if let Some(drained) = drained {
                self.after_look(drained?);
            }
            self.spin.slept();
        }
        // The host closes only when no call is in flight, or when it gives those up.
        say!(DEBUG, LIFECYCLE, "ends, as the host asked for");
        self.lane.close();
        events::wake_host(&self.bell, &self.lane);
        Ok(())
    }

    /// Serves requests until none has come, and no future was woken, for as long as the worker spins.
    fn serve_while_busy(&mut self) -> Result<(), Stop> {
        let mut relax = Relax::new();
        let mut polls = 0_u32;
        loop {
            let advanced = !self.running.is_empty() && self.advance()?;
            let request = if self.running.has_room() { self.lane.poll()? } else { None };
            match request {
                Some(request) => {
                    self.spin.found();
                    self.answer(request)?;
                    relax = Relax::new();
                }
                None if advanced => {
                    self.spin.found();
                    if self.is_over(&mut polls)? {
                        return Ok(());
                    }
                }
                None if self.spin.is_over() => {
                    // What polling may have missed, the publish word tells.
                    if !self.running.has_room() {
                        return Ok(());
                    }
                    let Some(request) = self.lane.take()? else { return Ok(()) };
                    self.spin.found();
                    self.answer(request)?;
                }
                None => {
                    relax.moment();
                    if self.is_over(&mut polls)? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Counts a poll. Whether the worker's time is over, which is looked at now and then: a host may ask for a spin without end, a future
    /// may wake itself without end, and the end is heard all the same.
    #[inline]
    fn is_over(&mut self, polls: &mut u32) -> Result<bool, Stop> {
        *polls = polls.wrapping_add(1);
        if !polls.is_multiple_of(POLLS_PER_LOOK) {
            return Ok(false);
        }
        let abandoned = self.end.as_deref().is_some_and(ThreadEnd::is_abandoned);
        Ok(abandoned || self.lane.host_state()? == LaneState::Closing)
    }

    /// Lets the futures go on that were woken, and ends those that nobody waits for any more. Returns
    /// whether there were any.
    #[cold]
    fn advance(&mut self) -> Result<bool, Stop> {
        let mut any = false;
        self.running.begin_round();
        while let Some((call, outcome)) = self.running.next(&self.aborts) {
            any = true;
            if !self.origin.is_here() {
                return Err(Stop::Forked);
            }
            if let Some(outcome) = outcome {
                self.finish(call, outcome)?;
            }
        }
        Ok(any)
    }

    #[inline]
    fn answer(&mut self, request: Request) -> Result<(), Stop> {
        if request.wake {
            events::wake_host(&self.bell, &self.lane);
        }
        if self.end.as_deref().is_some_and(ThreadEnd::is_abandoned) {
            return Err(Stop::Abandoned);
        }
        let buffer = match &self.link {
            Some(link) => {
                let buffer = link.resolve(&request.payload)?;
                self.since_look += 1;
                if self.since_look == REQUESTS_PER_LOOK {
                    let drained = link.drain()?;
                    self.after_look(drained);
                }
                buffer
            }
            None => None,
        };
        if request.withdrawn {
            return self.give_back(request.call);
        }
        let context = TaskContext::of_worker(self.number, &self.aborts, request.abort)
            .with_deadlines(self.lane.deadlines(), request.call);
        let begin = || self.tasks.begin(&context, request.function, request.payload, &self.limits);
        let begun = decoding(buffer, || encoding(begin));
        if !self.origin.is_here() {
            return Err(Stop::Forked);
        }
        match begun {
            Ok(parcel) => self.finish(request.call, Ok(parcel)),
            Err(NotYet::Failed(failed)) => self.finish(request.call, Err(failed)),
            Err(NotYet::Running(future)) => {
                self.running.add(request.call, request.abort, future);
                Ok(())
            }
        }
    }

    /// Answers a call that the host has taken back. The task has not begun. LANE-39.
    #[cold]
    fn give_back(&mut self, call: u32) -> Result<(), Stop> {
        say!(TRACE, SIGNALS, "gives a withdrawn call back", id = call);
        match self.lane.respond_withdrawn(call) {
            Ok(wake) => {
                if wake {
                    events::wake_host(&self.bell, &self.lane);
                }
                Ok(())
            }
            Err(SendError::Poisoned(violation)) => Err(violation.into()),
            Err(error) => {
                complain(&format_args!("cannot give a call back: {error}"));
                Err(Stop::NoAnswer)
            }
        }
    }

    /// Sends what a task came to.
    #[inline]
    fn finish(
        &mut self,
        call: u32,
        outcome: Result<Parcel, Box<(TaskFailure, ErrorValue)>>,
    ) -> Result<(), Stop> {
        let (rejected, parcel) = match outcome {
            Ok(parcel) => (false, parcel),
            Err(failed) => (true, Parcel::from(self.error_payload(failed.0, &failed.1))),
        };
        let sent = self.send(call, rejected, &parcel)?;
        // The host copies it before it asks for more.
        self.spin.allow(copying(parcel.payload.len()));
        match sent {
            Ok(()) => Ok(()),
            Err(error) => self.finish_without_room(call, &error),
        }
    }

    #[cold]
    fn finish_without_room(&mut self, call: u32, error: &SendError) -> Result<(), Stop> {
        let name = TaskFailure::Result.name().unwrap_or("Error");
        let error = ErrorValue::new(name, error.to_string());
        let parcel = Parcel::from(self.error_payload(TaskFailure::Result, &error));
        // A text of a hundred bytes fits every arena; if the machine has no memory even for
        // that, the caller learns it from the end of this worker.
        self.send(call, true, &parcel)?.map_err(|error| {
            complain(&format_args!("cannot answer: {error}"));
            Stop::NoAnswer
        })
    }

    /// After a look at the channel: the host may wait for room in it.
    fn after_look(&mut self, drained: bool) {
        self.since_look = 0;
        if drained && self.lane.notify() {
            events::wake_host(&self.bell, &self.lane);
        }
    }

    /// The error as a payload. One that is over the limits is replaced by a short one that says so.
    #[cold]
    fn error_payload(&self, failure: TaskFailure, error: &ErrorValue) -> Payload<'static> {
        error_payload(&self.limits, failure, error)
    }

    /// Sends an answer, and waits for room when there is none. The inner error is one that waiting
    /// does not mend.
    #[inline]
    fn send(
        &mut self,
        call: u32,
        rejected: bool,
        parcel: &Parcel,
    ) -> Result<Result<(), SendError>, ProtocolViolation> {
        match respond(&mut self.lane, &self.bell, self.link.as_ref(), call, rejected, parcel) {
            Ok(false) => Ok(Ok(())),
            Ok(true) => {
                events::wake_host(&self.bell, &self.lane);
                Ok(Ok(()))
            }
            Err(SendError::Full) => self.send_when_room(call, rejected, parcel),
            Err(SendError::Poisoned(violation)) => Err(violation),
            Err(error) => Ok(Err(error)),
        }
    }

    #[cold]
    fn send_when_room(
        &mut self,
        call: u32,
        rejected: bool,
        parcel: &Parcel,
    ) -> Result<Result<(), SendError>, ProtocolViolation> {
        loop {
            let mut sent = Err(SendError::Full);
            let (lane, link, end) = (&mut self.lane, self.link.as_ref(), self.end.as_deref());
            let mut drained = Ok(false);
            let mut closing = false;
            self.waiter.park(&self.bell, None, || {
                closing = !matches!(lane.host_state(), Ok(LaneState::Open))
                    || end.is_some_and(ThreadEnd::is_abandoned);
                drained = link.map_or(Ok(false), |link| link.drain());
                sent = respond(lane, &self.bell, link, call, rejected, parcel);
                closing || drained != Ok(false) || sent != Err(SendError::Full)
            });
            // Both channels may be full, and then both sides wait for room.
            self.after_look(drained?);
            match sent {
                Ok(wake) => {
                    if wake {
                        events::wake_host(&self.bell, &self.lane);
                    }
                    return Ok(Ok(()));
                }
                // The host gave the call up.
                Err(SendError::Full) if closing => return Ok(Ok(())),
                Err(SendError::Full) => {}
                Err(SendError::Poisoned(violation)) => return Err(violation),
                Err(error) => return Ok(Err(error)),
            }
        }
    }
}

/// Publishes an answer, once the host has been given the buffer that it names.
#[inline]
fn respond(
    lane: &mut WorkerLane<Memory>,
    bell: &Bell,
    link: Option<&Arc<Link>>,
    call: u32,
    rejected: bool,
    parcel: &Parcel,
) -> Result<bool, SendError> {
    let Some(buffer) = &parcel.buffer else {
        return lane.respond(call, rejected, &parcel.payload);
    };
    let link = link.ok_or(GiveError::NoChannel)?;
    if !link.give(buffer)? {
        // The host reads the channel before it sleeps, and must be awake for that.
        if lane.notify() {
            events::wake_host(bell, lane);
        }
        return Err(SendError::Full);
    }
    let wake = lane.respond(call, rejected, &parcel.payload)?;
    link.published(buffer);
    Ok(wake)
}

/// The error as a payload. One that is over the limits is replaced by a short one that says so.
#[cold]
pub(crate) fn error_payload(
    limits: &Limits,
    failure: TaskFailure,
    error: &ErrorValue,
) -> Payload<'static> {
    let encode = |error: &ErrorValue| error.encode(limits).map(Payload::into_owned);
    encode(error).unwrap_or_else(|problem| {
        let short = ErrorValue::new(
            failure.name().unwrap_or("Error"),
            format!("{failure}; its error cannot be sent: {problem}"),
        );
        encode(&short).unwrap_or_else(|_| Payload::bare(knit_proto::Tag::UNDEFINED))
    })
}

/// How long a thread that serves waits spins, at most `longest`: less while waits last longer than
/// that, so that one that wakes up now and then does not burn its core.
pub(crate) fn spin_budget(longest: Duration) -> SpinBudget<SystemClock> {
    SpinBudget::new(longest / SHORTEST_SPIN, longest)
}

/// How long a thread that waits for the other side spins longer for a payload of `bytes` bytes, which that side copies: a
/// byte takes 0.1 to 0.4 ns, and each is copied out and in again.
#[inline]
pub(crate) fn copying(bytes: usize) -> Duration {
    Duration::from_nanos(bytes as u64 / 2)
}

/// The part of the longest spin that is left when waits are long. An eighth of
/// the default is 6 us, a small part of what a wake-up costs.
const SHORTEST_SPIN: u32 = 8;

/// Why a worker could not begin to serve a segment.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("the segment is refused: {0}")]
    Segment(#[from] SegmentError),
    #[error("the segment is refused: {0}")]
    Lane(#[from] LaneError),
    #[error("the segment has epoch {segment}, the boot description says {boot}")]
    Epoch { segment: u32, boot: u32 },
    #[error("the task names of the boot description are not those that the segment was made for")]
    Names,
    #[error(
        "the segment does not offer the feature `futex bells`: this worker sleeps by nothing else"
    )]
    NoBells,
    #[error("the warm-up failed: {0}")]
    WarmUp(String),
}
