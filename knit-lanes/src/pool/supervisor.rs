//! Keeps a worker in a lane: starts it, sleeps until it ends, starts another.

use super::incarnation::Incarnation;
use super::lane::Lane;
use super::restart::Restarts;
use super::shared::Shared;
use crate::buffer::link::Link;
use crate::debug::say;
use crate::error::StartError;
use crate::process::WorkerExit;
use crate::{Boot, HostLane};
use knit_proto::{ExtensionBytes, Features, HeaderFields, Version};
use knit_ring::{Mapping, SegmentError, create_segment};
use std::sync::PoisonError;
use std::time::Instant;
use tracing::field::display;

/// The supervisor thread of one lane.
pub(super) fn run(shared: &Shared, index: usize) {
    let lane = &shared.lanes[index];
    let mut epoch = 0;
    let mut restarts = Restarts::new(shared.restart);
    let error = loop {
        epoch += 1;
        let since = Instant::now();
        let life = live(shared, lane, epoch);
        if shared.is_closing() {
            let how = life.map_or_else(|error| error.to_string(), |exit| exit.to_string());
            say!(
                DEBUG,
                LIFECYCLE,
                "worker has ended",
                lane = index,
                epoch = epoch,
                how = display(how)
            );
            break StartError::Closed;
        }
        match &life {
            Ok(exit) => {
                say!(
                    WARN,
                    LIFECYCLE,
                    "worker died",
                    lane = index,
                    epoch = epoch,
                    exit = display(exit)
                );
            }
            Err(error) => {
                let shown = display(error);
                say!(
                    WARN,
                    LIFECYCLE,
                    "worker did not start",
                    lane = index,
                    epoch = epoch,
                    error = shown
                );
            }
        }
        match (epoch, life) {
            // The pool's `start` reports a first failure to its caller.
            (1, Err(error)) => break error,
            (_, life) => match restarts.next(life, since, Instant::now()) {
                Ok(pause) => {
                    say!(DEBUG, LIFECYCLE, "worker is replaced", lane = index, epoch = epoch + 1);
                    lane.pause(shared, pause);
                }
                Err(error) => break error,
            },
        }
    };
    if !matches!(error, StartError::Closed) {
        let why = display(&error);
        say!(WARN, LIFECYCLE, "lane is given up", lane = index, why = why);
    }
    lane.give_up(error.clone());
    shared.lane_gave_up(error);
    shared.driver.ring_local();
}

/// What a worker may accept.
const OFFERED: Features = Features::STAMPS
    .or(Features::JOURNAL)
    .or(Features::WITHDRAW)
    .or(Features::DEADLINES)
    .or(Features::BUFFER_HANDLES);

/// One incarnation of the worker, on a segment of its own. Returns when it has ended.
fn live(shared: &Shared, lane: &Lane, epoch: u32) -> Result<WorkerExit, StartError> {
    let bytes = ExtensionBytes::MIN.lane_block_at() + shared.geometry.block_bytes();
    let memory = Mapping::create(bytes).map_err(StartError::Memfd)?;
    let layout = create_segment(
        &memory,
        &HeaderFields {
            version: Version::CURRENT,
            required: Features::FUTEX_BELLS,
            optional: OFFERED,
            epoch,
            creator: shared.creator,
            kind: lane.kind,
            geometry: shared.geometry,
            extension: ExtensionBytes::MIN,
            tasks: crate::boot::hash_names(&shared.names),
            request_reserved: shared.arena_reserved,
            response_reserved: shared.arena_reserved,
        },
    )
    .map_err(StartError::Segment)?;
    let unmapped = |error| StartError::Segment(SegmentError::OutOfBounds(error));
    HostLane::announce(&memory, &layout, shared.creator.pid).map_err(unmapped)?;
    let waiter = HostLane::waiter(&memory, &layout).map_err(unmapped)?;
    // At most a second (`Builder::check`), so it fits.
    let spin = u32::try_from(shared.spin.as_micros()).unwrap_or(u32::MAX);
    let boot = Boot::new(epoch, lane.index, &shared.limits, spin, shared.names.clone())
        .with_max_buffers(shared.max_buffers)
        .with_new_privileges(shared.isolation.new_privileges);
    // One at a time: until a new process runs its program it has all descriptors of this one, and would hold the other
    // worker's end of its channel open.
    let one_at_a_time = shared.starts.lock().unwrap_or_else(PoisonError::into_inner);
    let (link, channel) = Link::pair(shared.max_buffers)
        .map_err(|errno| StartError::system("make the control channel")(errno.into()))?;
    let mut worker = Incarnation::start(shared, lane.kind, &memory, boot, channel)?;
    drop(one_at_a_time);
    let (pid, ender) = (worker.process_id(), worker.ender());
    lane.turn.replace(waiter, epoch);
    lane.started(memory, layout, link, pid, ender.clone());
    shared.driver.ring_local();
    // The pool may have begun to close before it could see this process.
    if shared.is_closing() {
        ender.end();
    }

    let exit = match worker.wait(Some(shared.ready_timeout)) {
        Some(exit) => exit,
        None if lane.is_started(shared) => wait(&mut worker),
        None => {
            ender.end();
            let exit = wait(&mut worker);
            let ended = lane.ended(shared, exit);
            shared.driver.ring_local();
            // It may have become ready at the last moment.
            let late = StartError::NotReady { deadline: shared.ready_timeout, exit };
            return if ended.was_open { Ok(exit) } else { Err(late) };
        }
    };
    let ended = lane.ended(shared, exit);
    shared.driver.ring_local();
    match ended.violation {
        Some(violation) if !ended.was_open => Err(StartError::Violation(violation)),
        _ if !ended.was_open => Err(StartError::Exited { exit }),
        _ => Ok(exit),
    }
}

fn wait(worker: &mut Incarnation) -> WorkerExit {
    worker.wait(None).unwrap_or_else(|| unreachable!("a wait without end ends with the worker"))
}
