//! Drives what no thread waits for: futures, calls whose handle was dropped, the queue, workers that
//! start, and the drain of a closing pool.

use super::shared::Shared;
use super::watch::Watch;
use crate::worker::spin_budget;
use core::time::Duration;
use knit_ring::{FutexBell, Relax, SpinBudget, SystemClock};
use std::time::Instant;

/// How often the driver looks at the lanes between two looks at the clock, while there are deadlines.
const LOOKS_PER_DEADLINE: u32 = 32;

/// The driver thread: serves what no thread waits for until the pool is dropped, then everything
/// until the last call has ended or the drain timeout is over.
pub(super) fn run(shared: &Shared) {
    let mut spin = spin_budget(shared.spin);
    let mut watch = Watch::new();
    while !shared.is_draining() {
        let local = shared.driver.local();
        shared.keep_deadlines();
        watch.look(shared);
        if shared.needs_driver_now() || shared.queue_stands_still() {
            drive(shared, &mut spin, &mut watch, None, || {
                shared.needs_driver() && !shared.is_draining()
            });
        } else if !shared.needs_driver() && !shared.is_draining() {
            rest(shared, local);
        }
    }
    shared.flush_inline();
    let end = Instant::now().checked_add(shared.drain_timeout());
    drive(shared, &mut spin, &mut watch, end, || shared.unfinished() > 0 && shared.has_workers());
}

/// Sleeps until there is something to do. While calls are with workers, looks after them now and
/// then: a worker whose answers fill its arena, and which nobody waits for, would stand still.
fn rest(shared: &Shared, local: u32) {
    shared.set_driver_rests(true);
    // A call that is submitted after this look finds the driver resting, and rings.
    if shared.lanes.iter().all(|lane| lane.in_flight() == 0) && !shared.has_inline_now() {
        shared.driver.wait_local(local, shared.until_deadline());
        shared.set_driver_rests(false);
    } else {
        shared.set_driver_rests(false);
        let pause = shared.until_deadline().into_iter().chain([shared.looks_every]).min();
        shared.driver.wait_local(local, pause);
        for lane in &shared.lanes {
            lane.poll(shared);
        }
    }
}

/// Drives every lane while `wanted` and until `deadline`.
fn drive(
    shared: &Shared,
    spin: &mut SpinBudget<SystemClock>,
    watch: &mut Watch,
    deadline: Option<Instant>,
    wanted: impl Fn() -> bool,
) {
    let mut relax = Relax::new();
    let mut looks = 0_u32;
    loop {
        let local = shared.driver.local();
        let remaining = deadline.map(|end| end.saturating_duration_since(Instant::now()));
        if !wanted() || remaining == Some(Duration::ZERO) {
            // The next wait begins anew.
            spin.found();
            return;
        }
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(LOOKS_PER_DEADLINE) {
            shared.keep_deadlines();
            watch.look(shared);
        }
        if shared.lanes.iter().fold(false, |any, lane| lane.glance(shared) | any) {
            spin.found();
            relax = Relax::new();
        } else if spin.is_over() {
            shared.keep_deadlines();
            watch.look(shared);
            let pauses = shared.until_deadline().into_iter().chain(Watch::pause(shared));
            let timeout = pauses.chain(remaining).min();
            sleep(shared, local, timeout, &wanted);
            spin.slept();
        } else {
            relax.moment();
        }
    }
}

/// Sleeps on the bells of all lanes that no waiting thread sleeps on.
fn sleep(shared: &Shared, local: u32, timeout: Option<Duration>, wanted: &impl Fn() -> bool) {
    let mut turns: Vec<_> = shared
        .lanes
        .iter()
        .filter_map(|lane| lane.turn.try_take().map(|turn| (lane, turn)))
        .collect();
    let tickets: Vec<_> =
        turns.iter_mut().map(|(_, turn)| turn.waiter.announce(&FutexBell)).collect();
    let progress = shared.lanes.iter().fold(false, |any, lane| lane.poll(shared) | any);
    if !progress && wanted() {
        let bells: Vec<_> = turns
            .iter()
            .zip(&tickets)
            .map(|((_, turn), ticket)| (turn.waiter.bell(), *ticket))
            .collect();
        let woken = shared.driver.wait_bells(&bells, local, timeout.into());
        turns.iter().for_each(|(lane, _)| lane.parked(woken));
    }
    for (lane, mut turn) in turns {
        turn.waiter.retract();
        lane.turn.give_back(turn);
        lane.turn.pass_on();
    }
}
