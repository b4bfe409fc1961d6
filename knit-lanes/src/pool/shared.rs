//! What the threads of a pool share: lanes, queue, settings.

mod given_up;

use super::balancer::Picker;
use super::builder::Builder;
use super::call::{CallState, Wakes};
use super::deadlines::{Deadlines, Due, TimeLimit};
use super::events;
use super::inline::InlineLane;
use super::lane::{Lane, MOST_DEATHS, Offered};
use super::metrics::Metrics;
use super::restart::Restart;
use super::room::{Entered, Line};
use crate::Isolation;
use crate::buffer::context::Parcel;
use crate::error::{CallError, StartError};
use crate::process::{Program, creator};
use crate::tasks::{Table, Tasks};
use core::sync::atomic::{AtomicIsize, AtomicU32, AtomicUsize, Ordering};
use core::time::Duration;
use knit_codec::Limits;
use knit_proto::{ARENA_DATA_AT, CreatorId, Geometry};
use knit_ring::{FutexPair, Origin};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How long the driver leaves a queue to the threads that wait for calls.
const GRACE: Duration = Duration::from_micros(200);

/// What the threads of a pool share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) lanes: Vec<Lane>,
    /// The process whose pool it is: no other one may touch it.
    pub(super) origin: Origin,
    pub(super) names: Vec<String>,
    /// What worker threads serve.
    pub(super) tasks: Arc<Tasks>,
    pub(super) table: Table,
    pub(super) limits: Limits,
    pub(super) geometry: Geometry,
    pub(super) arena_reserved: u32,
    pub(super) max_buffers: u32,
    pub(super) program: Program,
    pub(super) isolation: Isolation,
    pub(super) named_lanes: Option<PathBuf>,
    pub(super) creator: CreatorId,
    /// Held while a worker is started.
    pub(super) starts: Mutex<()>,
    pub(super) spin: Duration,
    pub(super) retry: bool,
    pub(super) restart: Restart,
    pub(super) ready_timeout: Duration,
    drain_timeout: Mutex<Duration>,
    hard_timeout: Duration,
    /// Time between two looks of the driver at calls that somebody is expected to wait for.
    pub(super) looks_every: Duration,
    deadlines: Deadlines,
    /// Wakes the driver.
    pub(super) driver: FutexPair,
    picker: Picker,
    pub(super) inline: Option<InlineLane>,
    queue: Mutex<VecDeque<Queued>>,
    seen: events::Queue,
    /// Who waits for room in the queue.
    pub(super) line: Line,
    /// How many calls were given up in the queue since those last left it, about.
    given_up: AtomicUsize,
    /// Calls that no lane has: those in the queue, and one that is just being offered to a lane.
    queued: AtomicUsize,
    /// How often a call came back from a lane whose worker had died.
    returned: AtomicUsize,
    /// How often a lane took a call from the queue.
    moved: AtomicUsize,
    /// Calls that no thread blocks for: futures, and calls whose handle was dropped. Counted when
    /// that begins and when the call is done, in either order: it can be -1 for a moment.
    unattended: AtomicIsize,
    /// Lanes that have or will have a worker.
    alive: AtomicUsize,
    /// Why the last lane gave up.
    last_error: Mutex<Option<StartError>>,
    /// 1 while the driver sleeps without end, because no call was with a worker.
    driver_rests: AtomicU32,
    /// 1 once the pool waits for the last calls to end.
    draining: AtomicU32,
    /// 1 once workers must end.
    closing: AtomicU32,
}

/// A call as lanes are offered it: one that no lane has taken yet, or that goes to another lane.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) function: u16,
    /// How many more workers may die before they begin with it; 0: it is not made again.
    pub(super) retries: u8,
    pub(super) parcel: Parcel,
    pub(super) state: Arc<CallState>,
}

impl Queued {
    pub(super) fn offer(&mut self) -> Offer<'_> {
        let Self { function, retries, parcel, state } = self;
        Offer { function: *function, retries: *retries, parcel, state }
    }
}

/// A call that is offered to a lane, which may take the argument out of it.
#[derive(Debug)]
pub(super) struct Offer<'c> {
    pub(super) function: u16,
    /// As of [`Queued`].
    pub(super) retries: u8,
    pub(super) parcel: &'c mut Parcel,
    pub(super) state: &'c Arc<CallState>,
}

impl Shared {
    pub(super) fn new(builder: &Builder, tasks: Tasks) -> Result<Self, StartError> {
        let geometry = builder.check()?;
        FutexPair::check().map_err(StartError::system("wait for several futexes at once"))?;
        let names = tasks.check()?;
        let lanes: Vec<_> =
            builder.kinds().enumerate().map(|(index, kind)| Lane::new(index, kind)).collect();
        let alive = lanes.len();
        Ok(Self {
            lanes,
            origin: Origin::here(),
            names,
            table: tasks.table(),
            tasks: Arc::new(tasks),
            limits: builder.limits,
            geometry,
            arena_reserved: builder.arena_reserved.min(builder.arena - ARENA_DATA_AT),
            max_buffers: builder.max_buffers,
            program: builder.program.clone().unwrap_or_else(Program::current),
            isolation: builder.isolation.clone(),
            named_lanes: builder.named_lanes.clone(),
            creator: creator(),
            starts: Mutex::default(),
            spin: builder.spin,
            retry: builder.retry,
            restart: builder.restart,
            ready_timeout: builder.ready_timeout,
            drain_timeout: Mutex::new(builder.drain_timeout),
            hard_timeout: builder.hard_timeout,
            looks_every: builder.looks_every,
            deadlines: Deadlines::default(),
            driver: FutexPair::default(),
            picker: Picker::new(builder.balancer),
            inline: builder.inline.map(InlineLane::new),
            line: Line::new(builder.queue_policy, builder.queue_limit),
            queue: Mutex::default(),
            seen: events::Queue::default(),
            given_up: AtomicUsize::new(0),
            queued: AtomicUsize::new(0),
            returned: AtomicUsize::new(0),
            moved: AtomicUsize::new(0),
            unattended: AtomicIsize::new(0),
            alive: AtomicUsize::new(alive),
            last_error: Mutex::default(),
            driver_rests: AtomicU32::new(0),
            draining: AtomicU32::new(0),
            closing: AtomicU32::new(0),
        })
    }

    /// Hands a call to a lane that has room; to the queue when none has.
    ///
    /// The inline lane comes first when it wants the call. The balancer says which lane is asked next; the others
    /// follow in rotation.
    #[inline]
    pub(super) fn submit(
        &self,
        function: u16,
        retry: bool,
        mut parcel: Parcel,
        state: &Arc<CallState>,
    ) {
        let retries = if retry { MOST_DEATHS } else { 0 };
        events::submitted(&self.names, function, &parcel, state);
        if self.inline.is_some() {
            let call = Queued { function, retries, parcel, state: Arc::clone(state) };
            match self.offer_inline(call) {
                Ok(()) => return self.look_out(),
                Err(back) => parcel = back.parcel,
            }
        }
        // Calls that already wait go first.
        if !self.has_queue() {
            let mut call = Offer { function, retries, parcel: &mut parcel, state };
            if self.any_lane(|lane| lane.offer(self, &mut call)) {
                return self.look_out();
            }
        }
        self.enqueue(Queued { function, retries, parcel, state: Arc::clone(state) });
    }

    /// As [`Self::submit`], of a call that was somewhere else before, where somebody may wait for it or give it up.
    #[cold]
    pub(super) fn submit_again(&self, mut call: Queued) {
        if !self.has_queue() && self.any_lane(|lane| lane.hand_over(self, &mut call)) {
            return self.look_out();
        }
        self.enqueue(call);
    }

    /// Offers a call to one lane after the other, the one first that the balancer says. Returns whether a lane took it, or it has ended.
    #[inline]
    fn any_lane(&self, mut offer: impl FnMut(&Lane) -> Offered) -> bool {
        let lanes = self.lanes.len();
        let first = self.picker.pick(lanes, |lane| self.lanes[lane].load());
        (0..lanes).map(|n| (first + n) % lanes).any(|lane| match offer(&self.lanes[lane]) {
            Offered::Taken => {
                self.picker.took(lane);
                true
            }
            Offered::Ended => true,
            Offered::Declined => false,
        })
    }

    /// The driver looks at the lanes now and then from now on.
    #[inline]
    fn look_out(&self) {
        // Relaxed: the lock of the lane, or of the inline lane, orders it after the driver's look there.
        if self.driver_rests.load(Ordering::Relaxed) != 0 {
            self.rouse_driver();
        }
    }

    #[cold]
    fn rouse_driver(&self) {
        if self.driver_rests.swap(0, Ordering::Relaxed) != 0 {
            self.driver.ring_local();
        }
    }

    pub(super) fn set_driver_rests(&self, rests: bool) {
        // Relaxed: see `submit`.
        self.driver_rests.store(rests.into(), Ordering::Relaxed);
    }

    #[cold]
    pub(super) fn enqueue(&self, call: Queued) {
        let mut queue = self.queue();
        // Counted first: the count may be too high for a moment, never too low.
        let mut entered = self.line.enter(queue.len(), &self.queued, &call.state);
        if entered == Entered::Refused {
            drop(queue);
            self.make_room();
            queue = self.queue();
            entered = self.line.enter(queue.len(), &self.queued, &call.state);
        }
        if entered == Entered::Refused {
            drop(queue);
            self.seen.refused(&call.state);
            let mut wakes = Wakes::default();
            let full = CallError::QueueFull { limit: self.line.limit };
            call.state.complete(Err(Box::new(full)), &mut wakes);
            return self.wake(wakes);
        }
        self.seen.queued(&call.state, queue.len(), entered == Entered::Line);
        queue.push_back(call);
        drop(queue);
        if !self.has_workers() {
            self.fail_queue(&self.no_workers());
        }
        // Answers that nobody has read yet make room.
        for lane in &self.lanes {
            lane.poll(self);
        }
        if self.has_queue() {
            self.driver.ring_local();
        }
    }

    #[inline]
    pub(super) fn has_queue(&self) -> bool {
        // Acquire: pairs with the release of `enqueue` and `left_queue`.
        self.queued.load(Ordering::Acquire) != 0
    }

    pub(super) fn next_queued(&self) -> Option<Queued> {
        self.queue().pop_front()
    }

    pub(super) fn put_back(&self, call: Queued) {
        self.queue().push_front(call);
    }

    /// Calls whose worker has died before it had begun with them: they go first, in this order. Their lane still
    /// counts them: its lock is held.
    pub(super) fn queue_again(&self, calls: impl DoubleEndedIterator<Item = Queued>) {
        for call in calls.rev() {
            // Release, both: see `unfinished` and `enqueue`.
            self.returned.fetch_add(1, Ordering::Release);
            self.queued.fetch_add(1, Ordering::Release);
            // Before a lane can see it, as in `Core::fill`.
            call.state.unclaim();
            // A thread that sleeps because of the lane now sleeps because of the queue.
            call.state.wake_sleeper();
            self.put_back(call);
        }
    }

    /// A call from the queue is with a lane, or has failed.
    pub(super) fn left_queue(&self, wakes: &mut Wakes) {
        // Relaxed: a hint for the driver.
        self.moved.fetch_add(1, Ordering::Relaxed);
        // Release: whoever no longer counts it here finds it with its lane.
        self.queued.fetch_sub(1, Ordering::Release);
        self.line.let_in(&self.queued, wakes);
    }

    /// Takes a call that has ended out of the queue; false when a lane is about to pass over it.
    pub(super) fn remove_queued(&self, call: &Arc<CallState>) -> bool {
        let mut queue = self.queue();
        let at = queue.iter().rposition(|queued| Arc::ptr_eq(&queued.state, call));
        at.and_then(|at| queue.remove(at)).is_some()
    }

    /// Ends a call with an error, which is told whether its task may have run. Nothing happens when the call
    /// has ended.
    pub(super) fn give_up(&self, call: &Arc<CallState>, error: impl Fn(bool) -> CallError) {
        loop {
            if call.is_done() {
                return;
            }
            match call.lane() {
                Some(lane) => {
                    if self.lanes[lane].give_up_call(self, call, error(true)) {
                        return self.kill_after_hard_timeout(lane, call);
                    }
                    // It has just ended, or is back in the queue, or is being handed over.
                    core::hint::spin_loop();
                }
                None if call.is_inline() => {
                    // The task sees it, if it looks.
                    let mut wakes = Wakes::default();
                    call.complete(Err(Box::new(error(true))), &mut wakes);
                    return self.wake(wakes);
                }
                None if call.end_queued() => {
                    let mut wakes = Wakes::default();
                    let error = error(false);
                    self.seen.gave_up(call, &error);
                    call.complete(Err(Box::new(error)), &mut wakes);
                    // Before anybody is woken, who may make another call: its place is free.
                    self.gave_up_queued();
                    return self.wake(wakes);
                }
                None => {}
            }
        }
    }

    /// Ends the call when there is no answer in its time.
    pub(super) fn expire(&self, limit: &TimeLimit, call: &Arc<CallState>) {
        if !call.is_done() {
            self.add_deadline(limit.at, Due::Expire(limit.timeout), call);
        }
    }

    fn kill_after_hard_timeout(&self, lane: usize, call: &Arc<CallState>) {
        if let Some(at) = Instant::now().checked_add(self.hard_timeout) {
            self.add_deadline(at, Due::Kill(lane), call);
        }
    }

    fn add_deadline(&self, at: Instant, due: Due, call: &Arc<CallState>) {
        if self.deadlines.add(at, due, Arc::downgrade(call)) {
            self.driver.ring_local();
        }
    }

    /// Does what is due by now.
    #[inline]
    pub(super) fn keep_deadlines(&self) {
        while let Some((due, call)) = self.deadlines.take_due() {
            let Some(call) = call.upgrade() else { continue };
            match due {
                Due::Expire(timeout) => {
                    // The answer may be there and nobody has looked.
                    self.poll_for(&call);
                    let error = |may_have_run| CallError::TimedOut { timeout, may_have_run };
                    self.give_up(&call, error);
                }
                Due::Kill(lane) => self.lanes[lane].kill_if_it_has(self, &call),
            }
        }
    }

    /// Time until something is due.
    pub(super) fn until_deadline(&self) -> Option<Duration> {
        self.deadlines.remaining()
    }

    pub(super) fn fail_queue(&self, error: &CallError) {
        let mut wakes = Wakes::default();
        while let Some(call) = self.next_queued() {
            self.seen.failed(&call.state, error);
            call.state.complete(Err(Box::new(error.clone())), &mut wakes);
            self.left_queue(&mut wakes);
            wakes.drained = true;
        }
        self.wake(wakes);
    }

    /// Wakes whoever waits for calls that are done now. No lock may be held.
    #[inline]
    pub(super) fn wake(&self, wakes: Wakes) {
        if wakes.unattended > 0 {
            // Relaxed: the driver looks again when it is woken, and one look too many is harmless.
            self.unattended.fetch_sub(wakes.unattended as isize, Ordering::Relaxed);
        }
        if wakes.drained {
            self.driver.ring_local();
        }
        wakes.wake();
    }

    /// A future has begun to wait for a call, or its handle was dropped.
    pub(super) fn left_unattended(&self) {
        self.flush_inline();
        // Relaxed: `ring_local` orders it before the driver's next look.
        self.unattended.fetch_add(1, Ordering::Relaxed);
        self.driver.ring_local();
    }

    /// Whether there is something to look after that no waiting thread does.
    pub(super) fn needs_driver(&self) -> bool {
        self.has_queue() || self.needs_driver_now()
    }

    /// As [`Self::needs_driver`], the queue aside.
    pub(super) fn needs_driver_now(&self) -> bool {
        // Relaxed: see `left_unattended`.
        self.unattended.load(Ordering::Relaxed) > 0
            || self.is_draining()
            || self.lanes.iter().any(Lane::is_starting)
    }

    /// Whether the queue has calls that waiting threads do not move on: gives them a moment, in
    /// which a driver would only be in their way, and looks whether anything left the queue.
    pub(super) fn queue_stands_still(&self) -> bool {
        let moved = || self.moved.load(Ordering::Relaxed);
        if !self.has_queue() {
            return false;
        }
        let (before, local) = (moved(), self.driver.local());
        if self.needs_driver_now() {
            return true;
        }
        self.driver.wait_local(local, Some(GRACE));
        self.has_queue() && moved() == before
    }

    /// Looks for the answer to a call, where it can be.
    #[inline]
    pub(super) fn poll_for(&self, call: &CallState) {
        match call.lane() {
            Some(lane) => {
                self.lanes[lane].glance(self);
            }
            None => {
                for lane in &self.lanes {
                    lane.glance(self);
                }
            }
        }
    }

    pub(super) fn metrics(&self) -> Metrics {
        // Acquire: as in `unfinished`.
        let queue = self.seen.metrics(self.queued.load(Ordering::Acquire), self.line.len());
        Metrics { lanes: self.lanes.iter().map(Lane::metrics).collect(), queue }
    }

    /// How many calls are with workers or in the queue.
    pub(super) fn unfinished(&self) -> usize {
        loop {
            // Acquire: pairs with `queue_again`. When a lane has returned calls meanwhile, some may not have been seen.
            let returned = self.returned.load(Ordering::Acquire);
            // The queue first: a call that has left it is with its lane by then.
            // Before it the inline lane, whose calls may go there.
            let inline = self.inline.as_ref().map_or(0, InlineLane::unfinished);
            let queued = self.queued.load(Ordering::Acquire);
            let unfinished =
                inline + queued + self.lanes.iter().map(Lane::in_flight).sum::<usize>();
            if self.returned.load(Ordering::Acquire) == returned {
                return unfinished;
            }
        }
    }

    /// A lane will have no worker any more. When it was the last one, what is queued fails.
    pub(super) fn lane_gave_up(&self, error: StartError) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        // Release: whoever sees 0 finds the error.
        if self.alive.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.fail_queue(&self.no_workers());
        }
    }

    /// How many lanes have or will have a worker.
    pub(super) fn lanes_alive(&self) -> usize {
        // Acquire: pairs with the release in `lane_gave_up`.
        self.alive.load(Ordering::Acquire)
    }

    /// Whether any lane has or will have a worker.
    pub(super) fn has_workers(&self) -> bool {
        self.lanes_alive() != 0
    }

    fn no_workers(&self) -> CallError {
        let error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match error {
            None | Some(StartError::Closed) => CallError::Closed,
            Some(error) => CallError::NoWorkers(error),
        }
    }

    /// Whether somebody waits for the last calls to end.
    #[inline]
    pub(super) fn is_draining(&self) -> bool {
        // Relaxed: read under a lane's lock. Whoever drains sets it before it looks, under the same
        // lock, for calls that have not ended.
        self.draining.load(Ordering::Relaxed) != 0
    }

    pub(super) fn set_draining(&self) {
        self.draining.store(1, Ordering::Relaxed);
        self.driver.ring_local();
    }

    pub(super) fn drain_timeout(&self) -> Duration {
        *self.drain_timeout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before the pool begins to drain.
    pub(super) fn set_drain_timeout(&self, timeout: Duration) {
        *self.drain_timeout.lock().unwrap_or_else(PoisonError::into_inner) = timeout;
    }

    pub(super) fn is_closing(&self) -> bool {
        // Acquire: pairs with the release store in `set_closing`.
        self.closing.load(Ordering::Acquire) != 0
    }

    /// Keeps supervisors from starting workers.
    pub(super) fn set_closing(&self) {
        self.closing.store(1, Ordering::Release);
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Queued>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
