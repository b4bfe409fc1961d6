//! Threads that wait for a call: they poll their lane, then sleep on its bell or behind whoever does.

use super::call::{CallState, Outcome, Sleeper};
use super::forked::forked;
use super::lane::Lane;
use super::shared::Shared;
use crate::worker::copying;
use core::time::Duration;
use knit_ring::{Relax, Woken};
use std::sync::Arc;
use std::time::Instant;

impl Shared {
    /// Blocks until the call, whose argument has `bytes` bytes, is done or `deadline` has come; takes the outcome. `None` after the
    /// deadline, or when somebody took the outcome before.
    #[inline]
    pub(super) fn wait(
        &self,
        call: &Arc<CallState>,
        bytes: u32,
        deadline: Option<Instant>,
    ) -> Option<Outcome> {
        if !self.origin.is_here() {
            return Some(forked());
        }
        let mut relax = Relax::new();
        let longest = match self.spin {
            Duration::ZERO => Duration::ZERO,
            // The worker copies them, and very likely answers as many.
            spin => spin + copying(bytes as usize),
        };
        let mut spin = Spin::new(longest.min(remaining(deadline).unwrap_or(Duration::MAX)));
        while !call.is_done() {
            if self.run_inline() {
                return Some(forked());
            }
            match call.lane() {
                Some(lane) if call.is_unwatched() => {
                    if let Some(outcome) = self.lanes[lane].glance_for(self, call, &mut relax) {
                        return Some(outcome);
                    }
                }
                _ => self.poll_for(call),
            }
            if spin.over() {
                self.wait_asleep(call, deadline);
                break;
            }
            relax.moment();
        }
        call.take_outcome()
    }

    #[cold]
    fn wait_asleep(&self, call: &Arc<CallState>, deadline: Option<Instant>) {
        let mut slept_for = None;
        loop {
            let lane = call.lane();
            if slept_for.is_some() && slept_for != lane {
                self.leave_lane(slept_for);
            }
            slept_for = lane;
            match lane {
                Some(lane) => {
                    self.lanes[lane].poll(self);
                    self.sleep(&self.lanes[lane], call, deadline);
                }
                None => self.sleep_queued(call, deadline),
            }
            if call.is_done() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return self.leave_lane(lane);
            }
        }
    }

    /// A thread that has slept for this lane does not any more: somebody has to listen for the calls of others that are with it.
    fn leave_lane(&self, lane: Option<usize>) {
        if let Some(lane) = lane
            && !self.lanes[lane].turn.pass_on()
            && self.needs_driver()
        {
            self.driver.ring_local();
        }
    }

    /// Sleeps until something happened that may concern a call that is with `lane`.
    fn sleep(&self, lane: &Lane, call: &Arc<CallState>, deadline: Option<Instant>) {
        if !call.sleep_as(Sleeper::Parked(std::thread::current())) {
            return;
        }
        // A call that goes back to the queue wakes its sleeper: who has noted how it sleeps before it looks here
        // misses nothing.
        let gone = || call.lane() != Some(lane.index);
        match lane.turn.take_or_follow(call) {
            Some(mut turn) => {
                if call.sleep_as(Sleeper::Bell(lane.bell.clone())) {
                    let ready = || lane.poll(self) || call.is_done() || gone();
                    lane.parked(turn.waiter.park(&lane.bell, remaining(deadline), ready));
                }
                lane.turn.give_back(turn);
            }
            None if gone() => {}
            None => {
                park(deadline);
                lane.parked(Woken::Rung);
            }
        }
        call.awake();
    }

    /// Sleeps until a call leaves the queue.
    fn sleep_queued(&self, call: &Arc<CallState>, deadline: Option<Instant>) {
        if !call.sleep_as(Sleeper::Parked(std::thread::current())) {
            return;
        }
        // A lane that takes the call sets its number before it wakes the sleeper.
        if call.lane().is_none() {
            self.driver.ring_local();
            park(deadline);
        }
        call.awake();
    }
}

/// The spin of one wait for one call. It has the whole limit each time: any thread may wait for any
/// call, so none has a history that would tell how long the next wait lasts. Counts polls, and looks at
/// the clock only now and then.
pub(super) struct Spin {
    polls: u32,
    limit: Duration,
    since: Option<Instant>,
}

impl Spin {
    /// Polls between two looks at the clock: reading it costs as much as a poll.
    const POLLS_PER_LOOK: u32 = 64;

    pub(super) fn new(limit: Duration) -> Self {
        Self { polls: 0, limit, since: None }
    }

    /// Counts a poll. True once polling has gone on for the limit.
    #[inline]
    pub(super) fn over(&mut self) -> bool {
        self.polls = self.polls.wrapping_add(1);
        if !self.polls.is_multiple_of(Self::POLLS_PER_LOOK) && !self.limit.is_zero() {
            return false;
        }
        self.since.get_or_insert_with(Instant::now).elapsed() >= self.limit
    }
}

fn remaining(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
}

pub(super) fn park(deadline: Option<Instant>) {
    match remaining(deadline) {
        Some(remaining) => std::thread::park_timeout(remaining),
        None => std::thread::park(),
    }
}
