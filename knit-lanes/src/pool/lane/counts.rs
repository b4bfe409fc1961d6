//! What a lane counts, and says in debug output.
//!
//! The numbers stand behind the lane's lock, which whoever hands a call over or reads an answer holds anyway: plain
//! additions, no atomics, and a snapshot in which they fit each other.

use super::Lane;
use crate::buffer::context::Parcel;
use crate::debug::{self, say};
use crate::error::CallError;
use crate::pool::call::CallState;
use crate::pool::events::CallName;
use crate::pool::metrics::{LaneMetrics, Latency};
use crate::{CallId, ProtocolViolation, Submitted};
use core::sync::atomic::Ordering;
use knit_proto::SLOTS;
use knit_ring::Woken;
use std::sync::Arc;
use std::time::Instant;
use tracing::field::display;

/// The numbers of one lane, across all of its workers.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Apart from what is in flight, and from what stands elsewhere.
    numbers: LaneMetrics,
    /// There where times are measured.
    times: Option<Box<Times>>,
    /// Whether there was a worker before.
    has_started: bool,
    /// Workers in a row that had no channel any more when they should have been given a buffer.
    closed: u8,
    /// Whether this worker is one of them.
    is_closed: bool,
}

/// When calls were handed to the worker, and how long they took.
#[derive(Debug)]
struct Times {
    /// By the call's place.
    since: [Instant; SLOTS as usize],
    latency: Latency,
}

impl Lane {
    /// What the lane has done.
    pub(in crate::pool) fn metrics(&self) -> LaneMetrics {
        let core = self.lock();
        LaneMetrics {
            in_flight: core.calls.iter().flatten().count() as u64,
            // Relaxed: only the number matters.
            parks: self.parks.load(Ordering::Relaxed),
            latency: core.counts.times.as_ref().map(|times| times.latency.clone()),
            ..core.counts.numbers.clone()
        }
    }

    /// From now on times are measured. To be said before the first call.
    pub(in crate::pool) fn measure_latency(&self) {
        let since = [Instant::now(); SLOTS as usize];
        self.lock().counts.times = Some(Box::new(Times { since, latency: Latency::new() }));
    }

    /// A thread has slept to wait for something of the lane, unless there was no need to.
    pub(in crate::pool) fn parked(&self, woken: Woken) {
        if woken != Woken::Ready {
            self.parks.fetch_add(1, Ordering::Relaxed);
            say!(TRACE, SIGNALS, "a thread has slept", lane = self.index, until = until(woken));
        }
    }
}

impl Counts {
    /// A worker has been given a call.
    #[inline]
    pub(super) fn handed(
        &mut self,
        lane: usize,
        submitted: Submitted,
        function: u16,
        parcel: &Parcel,
        call: &Arc<CallState>,
    ) {
        let bytes = parcel.payload.len() as u64;
        self.numbers.calls += 1;
        self.numbers.bytes_out += bytes;
        if debug::on() {
            say_handed(lane, function, bytes, call);
        }
        if submitted.wake {
            self.woke(lane);
        }
        if let Some(times) = &mut self.times {
            times.since[submitted.call.place()] = Instant::now();
        }
    }

    /// A worker has answered a call.
    #[inline]
    pub(super) fn answered(
        &mut self,
        lane: usize,
        id: CallId,
        rejected: bool,
        parcel: &Parcel,
        call: &Arc<CallState>,
    ) {
        let bytes = parcel.payload.len() as u64;
        self.numbers.answers += 1;
        self.numbers.rejected += u64::from(rejected);
        self.numbers.bytes_in += bytes;
        if let Some(times) = &mut self.times {
            times.latency.record(times.since[id.place()].elapsed());
        }
        if debug::on() {
            say_answered(lane, rejected, bytes, call);
        }
    }

    /// Somebody has looked for answers.
    #[inline]
    pub(super) fn looked(&mut self, found: bool) {
        self.numbers.spins += u64::from(!found);
    }

    /// The worker sleeps and is woken.
    #[cold]
    pub(super) fn woke(&mut self, lane: usize) {
        self.numbers.wakes += 1;
        say!(TRACE, SIGNALS, "worker is woken", lane = lane);
    }

    /// Nobody wants the answer to a call that the worker has, unless somebody else has said so before.
    #[cold]
    pub(super) fn gave_up(
        &mut self,
        lane: usize,
        call: &Arc<CallState>,
        error: &CallError,
        told: bool,
    ) {
        if call.is_done() {
            return;
        }
        self.numbers.given_up += 1;
        say!(
            DEBUG,
            HOST,
            "given up",
            call = display(CallName(call)),
            lane = lane,
            error = display(error)
        );
        if told {
            say!(
                TRACE,
                SIGNALS,
                "abort signal is set",
                lane = lane,
                call = display(CallName(call))
            );
        }
    }

    /// A call has ended with its worker. Nothing is said of one that was given up before.
    #[cold]
    pub(super) fn failed(&mut self, call: &Arc<CallState>, error: &CallError) {
        self.numbers.failed += 1;
        if call.is_done() {
            return;
        }
        say!(DEBUG, HOST, "failed", call = display(CallName(call)), error = display(error));
    }

    /// A call goes back into the queue, as the worker died before it began it.
    #[cold]
    pub(super) fn returned(&mut self, call: &Arc<CallState>) {
        self.numbers.returned += 1;
        say!(DEBUG, HOST, "goes back into the queue", call = display(CallName(call)));
    }

    /// A call goes back into the queue, as the worker is at a long task and has not begun it.
    #[cold]
    pub(super) fn withdrawn(&mut self, lane: usize, call: &Arc<CallState>) {
        self.numbers.withdrawn += 1;
        say!(DEBUG, HOST, "is withdrawn", call = display(CallName(call)), lane = lane);
    }

    /// Answers that were read, and workers that followed another one.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.numbers.answers, self.numbers.restarts)
    }

    #[cold]
    pub(super) fn poisoned(&mut self, lane: usize, violation: ProtocolViolation) {
        self.numbers.poisonings += 1;
        say!(
            WARN,
            LIFECYCLE,
            "worker broke the protocol and is killed",
            lane = lane,
            violation = display(violation)
        );
    }

    /// The worker has no channel any more. How many in a row were like that.
    #[cold]
    pub(super) fn found_closed(&mut self) -> u8 {
        if !core::mem::replace(&mut self.is_closed, true) {
            self.closed = self.closed.saturating_add(1);
        }
        self.closed
    }

    /// The worker was given a buffer.
    #[cold]
    pub(super) fn gave(&mut self) {
        self.closed = 0;
    }

    /// A worker has started.
    pub(super) fn started(&mut self, lane: usize, epoch: u32, pid: Option<u32>) {
        self.is_closed = false;
        self.numbers.restarts += u64::from(core::mem::replace(&mut self.has_started, true));
        match pid {
            Some(pid) => {
                say!(DEBUG, LIFECYCLE, "worker started", lane = lane, epoch = epoch, pid = pid)
            }
            None => say!(
                DEBUG,
                LIFECYCLE,
                "worker started",
                lane = lane,
                epoch = epoch,
                kind = "thread"
            ),
        }
    }
}

#[cold]
fn say_handed(lane: usize, function: u16, bytes: u64, call: &Arc<CallState>) {
    let call = display(CallName(call));
    say!(TRACE, HOST, "handed to a lane", call = call, lane = lane, id = function, bytes = bytes);
}

#[cold]
fn say_answered(lane: usize, rejected: bool, bytes: u64, call: &Arc<CallState>) {
    let call = display(CallName(call));
    say!(TRACE, HOST, "answered", call = call, lane = lane, rejected = rejected, bytes = bytes);
}

/// What ended a sleep, in a word.
fn until(woken: Woken) -> &'static str {
    match woken {
        Woken::Ready => "ready",
        Woken::Rung => "rung",
        Woken::PeerDied => "death",
        Woken::TimedOut => "timeout",
    }
}
