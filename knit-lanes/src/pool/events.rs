//! What a pool counts beside its lanes, and says of calls in debug output.

use super::call::CallState;
use super::metrics::QueueMetrics;
use crate::buffer::context::Parcel;
use crate::debug::{self, say};
use crate::error::CallError;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use tracing::field::display;

/// What has gone through the queue. Calls come here when every lane is full: never on the fast path.
#[derive(Debug, Default)]
pub(super) struct Queue {
    queued: AtomicU64,
    refused: AtomicU64,
    waited: AtomicU64,
    given_up: AtomicU64,
    failed: AtomicU64,
}

impl Queue {
    pub(super) fn metrics(&self, depth: usize, waiting: usize) -> QueueMetrics {
        // Relaxed, here and below: only the numbers matter.
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        QueueMetrics {
            depth: depth as u64,
            queued: load(&self.queued),
            refused: load(&self.refused),
            waiting: waiting as u64,
            waited: load(&self.waited),
            given_up: load(&self.given_up),
            failed: load(&self.failed),
        }
    }

    /// A call is in the queue now, with so many before it, and perhaps without room: then its caller waits.
    pub(super) fn queued(&self, call: &Arc<CallState>, before: usize, waits: bool) {
        self.queued.fetch_add(1, Ordering::Relaxed);
        self.waited.fetch_add(waits.into(), Ordering::Relaxed);
        say!(TRACE, HOST, "queued", call = display(CallName(call)), before = before, waits = waits);
    }

    /// The queue is full.
    pub(super) fn refused(&self, call: &Arc<CallState>) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        say!(DEBUG, HOST, "refused by a full queue", call = display(CallName(call)));
    }

    /// Nobody wants the answer to a call in the queue.
    pub(super) fn gave_up(&self, call: &Arc<CallState>, error: &CallError) {
        self.given_up.fetch_add(1, Ordering::Relaxed);
        say!(DEBUG, HOST, "given up", call = display(CallName(call)), error = display(error));
    }

    /// A call has failed in the queue, unless it had ended before.
    pub(super) fn failed(&self, call: &Arc<CallState>, error: &CallError) {
        if !call.is_done() {
            self.failed.fetch_add(1, Ordering::Relaxed);
            say!(DEBUG, HOST, "failed", call = display(CallName(call)), error = display(error));
        }
    }
}

/// Somebody has made a call.
#[inline]
pub(super) fn submitted(names: &[String], function: u16, parcel: &Parcel, call: &Arc<CallState>) {
    if debug::on() {
        say_submitted(names, function, parcel, call);
    }
}

#[cold]
fn say_submitted(names: &[String], function: u16, parcel: &Parcel, call: &Arc<CallState>) {
    let task = Quoted(names.get(usize::from(function)).map_or("", String::as_str));
    let bytes = parcel.payload.len();
    let call = display(CallName(call));
    say!(TRACE, HOST, "submitted", call = call, task = display(task), bytes = bytes);
}

/// What a call is called in debug output, while it lasts: its place in the memory of the host.
pub(super) struct CallName<'c>(pub(super) &'c Arc<CallState>);

impl fmt::Display for CallName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", Arc::as_ptr(self.0).addr())
    }
}

/// A text of somebody else, in one line.
struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
