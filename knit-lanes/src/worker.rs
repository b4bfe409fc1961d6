//! What a worker process does: attach, serve, sleep, end.

use crate::buffer::context::{Parcel, decoding, encoding};
use crate::buffer::link::Link;
use crate::tasks::{Bound, Tasks};
use crate::worker_lane::{Request, WorkerLane};
use crate::{Boot, BootError, GiveError, LaneError, SendError, TaskContext, TaskFailure};
use core::time::Duration;
use knit_codec::{Encode, ErrorValue, Limits, Payload};
use knit_proto::{Features, LaneState, ProtocolViolation};
use knit_ring::{
    AbortReceiver, Doorbell, FutexBell, Mapped, Mapping, MemfdError, Relax, SegmentError,
    SpinBudget, SystemClock, Waiter, attach_segment,
};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use std::io::Write;
use std::sync::Arc;

/// Exit status of a worker that could not attach to its segment (`EX_CONFIG` of sysexits).
pub const EXIT_BOOT_FAILED: i32 = 78;
/// Exit status of a worker whose host broke the protocol (`EX_PROTOCOL` of sysexits).
pub const EXIT_VIOLATION: i32 = 76;

/// Exit status of a worker that had no memory left even for an error value (`EX_OSERR` of sysexits).
pub const EXIT_NO_ANSWER: i32 = 71;

type Memory = Mapped<Mapping>;

/// Serves calls until the host closes the lane. Returns the exit status.
pub(crate) fn serve(tasks: &Tasks) -> i32 {
    let mut worker = match Worker::boot(tasks) {
        Ok(worker) => worker,
        Err(error) => {
            complain(&error);
            return EXIT_BOOT_FAILED;
        }
    };
    match worker.run() {
        Ok(()) => 0,
        Err(violation) => {
            complain(&format_args!("the host broke the protocol: {violation}"));
            EXIT_VIOLATION
        }
    }
}

/// Says what went wrong on standard error. That it may be closed does not matter.
pub(crate) fn complain(what: &dyn core::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "knit worker: {what}");
}

struct Worker<'t> {
    lane: WorkerLane<Memory>,
    waiter: Waiter<Memory>,
    /// There when the host has a control channel, which is then descriptor 3.
    link: Option<Arc<Link>>,
    aborts: AbortReceiver<Memory>,
    tasks: Bound<'t>,
    limits: Limits,
    /// Number of the lane in its pool.
    number: usize,
    spin: SpinBudget<SystemClock>,
    /// Requests since the last look at the channel.
    since_look: u32,
}

/// A worker that never sleeps looks at the channel once in so many requests: buffers that the host has
/// dropped are not kept for longer.
const REQUESTS_PER_LOOK: u32 = 256;

/// A worker that spins looks at its host's control line once in so many polls. The default spin of 50 us has about
/// two thousand: it looks once or not at all.
const POLLS_PER_LOOK: u32 = 2048;

impl<'t> Worker<'t> {
    fn boot(tasks: &'t Tasks) -> Result<Self, ServeError> {
        let boot = Boot::from_env()?;
        follow_host(&boot)?;
        if !boot.new_privileges {
            rustix::thread::set_no_new_privs(true)
                .map_err(ServeError::system("give up new privileges"))?;
        }
        let memory = take_segment()?;
        let layout = attach_segment(&memory)?;
        let fields = layout.fields();
        if fields.epoch != boot.epoch {
            return Err(ServeError::Epoch { segment: fields.epoch, boot: boot.epoch });
        }
        if fields.tasks != crate::boot::hash_names(&boot.tasks) {
            return Err(ServeError::Names);
        }
        if !fields.required.or(fields.optional).contains(Features::FUTEX_BELLS) {
            return Err(ServeError::NoBells);
        }
        let waiter = WorkerLane::waiter(&memory, &layout).map_err(LaneError::from)?;
        let offered = fields.required.or(fields.optional);
        let link = offered
            .contains(Features::BUFFER_HANDLES)
            .then(|| Link::inherited(boot.max_buffers))
            .flatten();
        let handles = link.as_ref().map_or(Features::NONE, |_| Features::BUFFER_HANDLES);
        let supported = Features::SUPPORTED.or(handles);
        let pid = std::process::id();
        let lane = WorkerLane::open_with(&memory, &layout, boot.max_payload, pid, supported)?;
        FutexBell.wake(lane.bell());
        Ok(Self {
            lane,
            waiter,
            link,
            aborts: WorkerLane::aborts(&memory, &layout).map_err(LaneError::from)?,
            limits: boot.limits(),
            number: boot.lane,
            tasks: tasks.bind(boot.tasks),
            spin: spin_budget(Duration::from_micros(boot.spin_us.into())),
            since_look: 0,
        })
    }

    fn run(&mut self) -> Result<(), ProtocolViolation> {
        while self.lane.host_state()? != LaneState::Closing {
            self.serve_while_busy()?;
            let (lane, link) = (&mut self.lane, self.link.as_ref());
            let mut drained = Ok(false);
            // An error ends the sleep and is returned by the next look.
            self.waiter.park(&FutexBell, None, || {
                drained = link.map_or(Ok(false), |link| link.drain());
                drained != Ok(false)
                    || !matches!(lane.host_state(), Ok(LaneState::Open))
                    || !matches!(lane.is_pending(), Ok(false))
            });
            self.after_look(drained?);
            self.spin.slept();
        }
        // The host closes only when no call is in flight, or when it gives those up.
        self.lane.close();
        FutexBell.wake(self.lane.bell());
        Ok(())
    }

    /// Serves requests until none has come for as long as the worker spins.
    fn serve_while_busy(&mut self) -> Result<(), ProtocolViolation> {
        let mut relax = Relax::new();
        let mut polls = 0_u32;
        loop {
            match self.lane.poll()? {
                Some(request) => {
                    self.spin.found();
                    self.answer(request)?;
                    relax = Relax::new();
                }
                None if self.spin.is_over() => {
                    // What polling may have missed, the publish word tells.
                    let Some(request) = self.lane.take()? else { return Ok(()) };
                    self.spin.found();
                    self.answer(request)?;
                }
                None => {
                    relax.moment();
                    // A host may ask for a spin without end, and is heard all the same.
                    polls = polls.wrapping_add(1);
                    if polls.is_multiple_of(POLLS_PER_LOOK)
                        && self.lane.host_state()? == LaneState::Closing
                    {
                        return Ok(());
                    }
                }
            }
        }
    }

    #[inline]
    fn answer(&mut self, request: Request) -> Result<(), ProtocolViolation> {
        if request.wake {
            FutexBell.wake(self.lane.bell());
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
        let context = TaskContext::new(self.number, &self.aborts, request.abort);
        let run = || self.tasks.run(&context, request.function, request.payload, &self.limits);
        let (rejected, parcel) = match decoding(buffer, || encoding(run)) {
            Ok(parcel) => (false, parcel),
            Err(failed) => (true, Parcel::from(self.error_payload(failed.0, &failed.1))),
        };
        match self.send(request.call, rejected, &parcel)? {
            Ok(()) => Ok(()),
            Err(error) => {
                let error = ErrorValue::new(
                    TaskFailure::Result.name().unwrap_or("Error"),
                    error.to_string(),
                );
                let parcel = Parcel::from(self.error_payload(TaskFailure::Result, &error));
                // A text of a hundred bytes fits every arena; if the machine has no memory even for
                // that, the caller learns it from the end of this process.
                match self.send(request.call, true, &parcel)? {
                    Ok(()) => Ok(()),
                    Err(error) => {
                        complain(&format_args!("cannot answer: {error}"));
                        std::process::exit(EXIT_NO_ANSWER)
                    }
                }
            }
        }
    }

    /// After a look at the channel: the host may wait for room in it.
    fn after_look(&mut self, drained: bool) {
        self.since_look = 0;
        if drained && self.lane.notify() {
            FutexBell.wake(self.lane.bell());
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
        match respond(&mut self.lane, self.link.as_ref(), call, rejected, parcel) {
            Ok(false) => Ok(Ok(())),
            Ok(true) => {
                FutexBell.wake(self.lane.bell());
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
            let (lane, link) = (&mut self.lane, self.link.as_ref());
            let mut drained = Ok(false);
            let mut closing = false;
            self.waiter.park(&FutexBell, None, || {
                closing = !matches!(lane.host_state(), Ok(LaneState::Open));
                drained = link.map_or(Ok(false), |link| link.drain());
                sent = respond(lane, link, call, rejected, parcel);
                closing || drained != Ok(false) || sent != Err(SendError::Full)
            });
            // Both channels may be full, and then both sides wait for room.
            self.after_look(drained?);
            match sent {
                Ok(wake) => {
                    if wake {
                        FutexBell.wake(self.lane.bell());
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
            FutexBell.wake(lane.bell());
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

/// The part of the longest spin that is left when waits are long. An eighth of
/// the default is 6 us, a small part of what a wake-up costs.
const SHORTEST_SPIN: u32 = 8;

/// Makes the kernel end this process when its parent ends, and refuses to begin when the host has
/// ended already.
fn follow_host(boot: &Boot) -> Result<(), ServeError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(ServeError::system("follow the host's process"))?;
    let host = i32::try_from(boot.host_pid).ok().and_then(Pid::from_raw);
    let Some(host) = host else { return Err(ServeError::HostGone { host: boot.host_pid }) };
    // The host may have ended before the line above. Its id tells, unless it is our parent, or means
    // nothing here because it is of another pid namespace.
    let same_namespace = crate::process::pid_namespace() == boot.host_pid_namespace;
    let gone = same_namespace
        && rustix::process::getppid() != Some(host)
        && crate::process::has_ended(host);
    if gone { Err(ServeError::HostGone { host: boot.host_pid }) } else { Ok(()) }
}

/// Takes the segment off standard input and puts `/dev/null` in its place.
fn take_segment() -> Result<Memory, ServeError> {
    let file = rustix::stdio::stdin().try_clone_to_owned().map_err(|error| ServeError::System {
        action: "take the segment from standard input",
        error,
    })?;
    let memory = Mapping::attach(file)?;
    let null = std::fs::File::open("/dev/null")
        .map_err(|error| ServeError::System { action: "open /dev/null", error })?;
    rustix::stdio::dup2_stdin(&null).map_err(ServeError::system("replace standard input"))?;
    Ok(memory)
}

/// Why a worker process could not begin to serve.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Boot(#[from] BootError),
    #[error("standard input is not a segment of this pool: {0}")]
    Memfd(#[from] MemfdError),
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
    #[error("the host (process {host}) has ended already")]
    HostGone { host: u32 },
    #[error("cannot {action}: {error}")]
    System { action: &'static str, error: std::io::Error },
}

impl ServeError {
    fn system(action: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::System { action, error: errno.into() }
    }
}
