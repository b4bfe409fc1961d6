//! What a worker says of itself in debug output.

use super::Memory;
use super::bell::Bell;
use crate::debug::{self, say};
use crate::tasks::Bound;
use crate::worker_lane::WorkerLane;
use core::fmt;
use knit_codec::Limits;
use knit_ring::{Doorbell, Woken};
use std::ffi::OsString;
use tracing::field::display;

/// Wakes the host.
#[cold]
pub(super) fn wake_host(bell: &Bell, lane: &WorkerLane<Memory>) {
    bell.wake(lane.bell());
    say!(TRACE, SIGNALS, "host is woken");
}

/// The worker is about to sleep, unless there is something to do.
#[cold]
pub(crate) fn parks() {
    say!(TRACE, SIGNALS, "parks");
}

#[cold]
pub(crate) fn has_slept(woken: Woken) {
    if woken != Woken::Ready {
        say!(TRACE, SIGNALS, "is awake");
    }
}

/// What the worker has to work with. A thread shares the environment of its host.
#[cold]
pub(crate) fn imports(tasks: &Bound<'_>, limits: &Limits, is_process: bool) {
    for (id, (name, served)) in tasks.names().enumerate() {
        say!(DEBUG, IMPORTS, "task", id = id, name = display(Shown(name)), served = served);
    }
    let Limits { payload, text, elements, limbs, causes, fields, depth, .. } = *limits;
    say!(
        DEBUG,
        IMPORTS,
        "limits",
        payload = payload,
        text = text,
        elements = elements,
        limbs = limbs,
        causes = causes,
        fields = fields,
        depth = depth
    );
    if is_process
        && (debug::prints(debug::IMPORTS)
            || tracing::enabled!(target: debug::IMPORTS, tracing::Level::DEBUG))
    {
        // Values may be secret.
        let mut names: Vec<OsString> = std::env::vars_os().map(|(name, _)| name).collect();
        names.sort();
        say!(DEBUG, IMPORTS, "environment", names = display(Shown(&names)));
    }
}

/// As it is written in a program: what others have chosen stays in one line.
struct Shown<T>(T);

impl<T: fmt::Debug> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
