//! Room in the queue: calls that find it full fail, or wait in a line behind it.
//!
//! Such a call stands in the queue already, behind those that have room, and its caller waits until it has moved up: so whatever
//! happens to calls of the queue happens to it, and nobody overtakes anybody. The line says which calls those are.

use super::call::{CallState, Sleeper, Wakes};
use super::shared::Shared;
use super::wait::{Spin, park};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use knit_ring::Relax;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What becomes of a call that finds every lane full, and as many calls waiting as
/// [`Builder::queue_limit`](crate::Builder::queue_limit) permits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueuePolicy {
    /// It fails with [`CallError::QueueFull`](crate::CallError::QueueFull).
    #[default]
    Fail,
    /// Its caller waits for room, first come first served: [`Pool::call`](crate::Pool::call) blocks its thread, which
    /// looks for answers meanwhile, and [`Pool::call_async`](crate::Pool::call_async) is a future, for callers whose thread must not be blocked; streams
    /// (`Map::into_stream`) block nobody either. The time
    /// that a call has begins before that. Of a pool that closes, or has no worker any more, the wait ends as the call does, with an error.
    ///
    /// A task of a worker thread that calls its own pool can wait for itself.
    Wait,
}

/// The calls of the queue whose callers wait for room: its last ones, in their order.
#[derive(Debug)]
pub(super) struct Line {
    policy: QueuePolicy,
    /// Most calls in the queue that are not in the line.
    pub(super) limit: usize,
    inner: Mutex<Inner>,
    /// Number of the first caller; that of the next one to come while there is none.
    first: AtomicU64,
    /// How many there are.
    len: AtomicUsize,
}

#[derive(Debug, Default)]
struct Inner {
    callers: VecDeque<(u64, Arc<CallState>)>,
    next: u64,
}

/// Where a call is that goes to the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// It has room.
    Queue,
    /// It is in the queue, and its caller has to wait.
    Line,
    /// Nowhere: there is no room.
    Refused,
}

impl Line {
    pub(super) fn new(policy: QueuePolicy, limit: usize) -> Self {
        let (first, len) = (AtomicU64::new(0), AtomicUsize::new(0));
        Self { policy, limit, inner: Mutex::default(), first, len }
    }

    /// How many callers wait. Who has just put a call into the line sees it, unless that has moved up.
    #[inline]
    pub(super) fn len(&self) -> usize {
        // Relaxed: a hint, but for a thread's own call.
        self.len.load(Ordering::Relaxed)
    }

    /// Counts a call in `queued`, unless it is refused. The queue is locked, and has so many calls.
    pub(super) fn enter(
        &self,
        in_queue: usize,
        queued: &AtomicUsize,
        call: &Arc<CallState>,
    ) -> Entered {
        if self.policy == QueuePolicy::Fail {
            if in_queue >= self.limit {
                return Entered::Refused;
            }
            // Release: see `Shared::has_queue`.
            queued.fetch_add(1, Ordering::Release);
            return Entered::Queue;
        }
        let mut inner = self.lock();
        // Counted behind the lock: whoever lets callers in sees call and caller, or neither.
        let before = queued.fetch_add(1, Ordering::AcqRel);
        if inner.callers.is_empty() && before < self.limit {
            return Entered::Queue;
        }
        let number = inner.next;
        inner.next += 1;
        inner.callers.push_back((number, Arc::clone(call)));
        self.note(&inner);
        Entered::Line
    }

    /// Lets callers in for whom there is room, now that a call has left the queue and is no longer in `queued`.
    pub(super) fn let_in(&self, queued: &AtomicUsize, wakes: &mut Wakes) {
        if self.policy == QueuePolicy::Fail {
            return;
        }
        while let Some(call) = self.next_with_room(queued) {
            call.rouse(wakes);
        }
    }

    fn next_with_room(&self, queued: &AtomicUsize) -> Option<Arc<CallState>> {
        let mut inner = self.lock();
        // Those that are not in the line are fewer than the limit.
        let most = inner.callers.len().saturating_add(self.limit);
        if queued.load(Ordering::Acquire) >= most {
            return None;
        }
        let (_, call) = inner.callers.pop_front()?;
        self.note(&inner);
        Some(call)
    }

    /// The number of a call that is in the line; it has come a moment ago.
    pub(super) fn number_of(&self, call: &Arc<CallState>) -> Option<u64> {
        let inner = self.lock();
        let mut latest_first = inner.callers.iter().rev();
        latest_first.find(|(_, other)| Arc::ptr_eq(other, call)).map(|(number, _)| *number)
    }

    /// Whether the caller with this number waits.
    pub(super) fn has(&self, number: u64) -> bool {
        // Acquire: pairs with the release in `note`.
        number >= self.first.load(Ordering::Acquire)
    }

    /// Takes a caller out, wherever it stands.
    fn remove(&self, number: u64) {
        let mut inner = self.lock();
        inner.callers.retain(|(other, _)| *other != number);
        self.note(&inner);
    }

    /// As [`Self::remove`], for a call of the queue that may stand in the line.
    pub(super) fn forget(&self, call: &Arc<CallState>) {
        if self.len() != 0
            && let Some(number) = self.number_of(call)
        {
            self.remove(number);
        }
    }

    fn note(&self, inner: &Inner) {
        let first = inner.callers.front().map_or(inner.next, |(number, _)| *number);
        self.first.store(first, Ordering::Release);
        self.len.store(inner.callers.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a call in the line, whose caller does not block. Dropped, the caller waits no more.
pub(super) struct InLine {
    shared: Arc<Shared>,
    call: Arc<CallState>,
    number: u64,
}

impl InLine {
    /// The place of a call that has just been submitted; `None` when it has room, or has ended.
    pub(super) fn of(shared: &Arc<Shared>, call: &Arc<CallState>) -> Option<Self> {
        if shared.line.len() == 0 || !shared.origin.is_here() {
            return None;
        }
        let number = shared.line.number_of(call)?;
        Some(Self { shared: Arc::clone(shared), call: Arc::clone(call), number })
    }

    /// Whether the call still stands in the line. In a child of a fork nobody is let in any more.
    pub(super) fn waits(&self) -> bool {
        self.shared.line.has(self.number) && !self.call.is_done() && self.shared.origin.is_here()
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        self.shared.leave_line(&self.call, self.number);
    }
}

impl Shared {
    /// Blocks while a call that has just been submitted is in the line. The thread looks for answers, as whoever waits for a
    /// call does: it may be the only one that would.
    #[cold]
    pub(super) fn wait_for_room(&self, call: &Arc<CallState>) {
        if !self.origin.is_here() {
            return;
        }
        let Some(number) = self.line.number_of(call) else { return };
        let waits = || self.line.has(number) && !call.is_done();
        let mut relax = Relax::new();
        let mut spin = Spin::new(self.spin);
        while waits() {
            if self.run_inline() {
                // A child of a fork has come back from its task: the next use of the pool says so.
                return;
            }
            self.poll_for(call);
            if spin.over() {
                while waits() {
                    self.sleep_in_line(call, waits);
                }
            }
            relax.moment();
        }
        self.leave_line(call, number);
    }

    /// Sleeps until the call has moved up or ended. The driver looks for answers meanwhile, as long as there is a queue.
    fn sleep_in_line(&self, call: &Arc<CallState>, waits: impl Fn() -> bool) {
        // Noted before the look: who lets the caller in after it wakes this thread.
        if !call.sleep_as(Sleeper::Parked(std::thread::current())) {
            return;
        }
        if waits() {
            self.driver.ring_local();
            park(None);
        }
        call.awake();
    }

    /// The caller does not wait any more. A call that has ended in the line leaves the queue at once: callers that give up would fill
    /// it without end.
    fn leave_line(&self, call: &Arc<CallState>, number: u64) {
        if !call.is_done() || !self.line.has(number) || !self.origin.is_here() {
            return;
        }
        self.line.remove(number);
        if self.remove_queued(call) {
            let mut wakes = Wakes::default();
            self.left_queue(&mut wakes);
            wakes.drained |= self.is_draining();
            self.wake(wakes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue of which only the counts are there.
    struct Model {
        line: Line,
        queued: AtomicUsize,
    }

    impl Model {
        fn new(limit: usize) -> Self {
            let line = Line::new(QueuePolicy::Wait, limit);
            Self { line, queued: AtomicUsize::new(0) }
        }

        /// The call's number, where it has to wait.
        fn enter(&self) -> (Arc<CallState>, Option<u64>) {
            let call = CallState::new(None);
            let entered = self.line.enter(0, &self.queued, &call);
            let number = self.line.number_of(&call);
            assert_eq!(entered == Entered::Line, number.is_some());
            (call, number)
        }

        fn leave(&self) {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            self.line.let_in(&self.queued, &mut Wakes::default());
        }

        /// Which of these callers wait.
        fn waiting(&self, numbers: &[u64]) -> Vec<bool> {
            numbers.iter().map(|number| self.line.has(*number)).collect()
        }
    }

    #[test]
    fn each_call_that_leaves_lets_the_first_caller_in() {
        for limit in [1, 2, 7] {
            let model = Model::new(limit);
            for _ in 0..limit {
                assert_eq!(model.enter().1, None);
            }
            let numbers: Vec<_> = (0..3).map(|_| model.enter().1.unwrap()).collect();
            assert_eq!(model.waiting(&numbers), [true, true, true]);
            model.leave();
            assert_eq!(model.waiting(&numbers), [false, true, true]);
            // Nobody overtakes those that wait.
            let last = model.enter().1.unwrap();
            model.leave();
            model.leave();
            assert_eq!((model.waiting(&numbers), model.line.has(last)), (vec![false; 3], true));
            model.leave();
            assert_eq!((model.line.has(last), model.line.len()), (false, 0));
            model.leave();
            assert_eq!((model.enter().1, model.enter().1.is_some()), (None, true));
        }
    }

    #[test]
    fn without_a_queue_a_caller_waits_until_its_call_has_left() {
        let model = Model::new(0);
        let numbers = [(); 2].map(|()| model.enter().1.unwrap());
        assert_eq!(model.waiting(&numbers), [true, true]);
        model.leave();
        assert_eq!(model.waiting(&numbers), [false, true]);
        model.leave();
        assert_eq!(model.waiting(&numbers), [false, false]);
    }

    #[test]
    fn a_caller_that_goes_away_makes_no_room_and_takes_none() {
        let model = Model::new(1);
        model.enter();
        let numbers = [(); 3].map(|()| model.enter().1.unwrap());
        for gone in [numbers[1], numbers[0]] {
            model.line.remove(gone);
            model.leave();
        }
        assert_eq!((model.line.has(numbers[2]), model.line.len()), (true, 1));
        model.leave();
        assert!(!model.line.has(numbers[2]));
    }

    /// Calls of a worker that has died are in the queue again: they take the room that there is.
    #[test]
    fn calls_that_come_back_go_first() {
        let model = Model::new(1);
        model.enter();
        let (_, number) = model.enter();
        model.queued.fetch_add(2, Ordering::Relaxed);
        for _ in 0..2 {
            model.leave();
            assert!(model.line.has(number.unwrap()));
        }
        model.leave();
        assert!(!model.line.has(number.unwrap()));
    }

    #[test]
    fn a_queue_without_a_line_refuses() {
        let (line, queued) = (Line::new(QueuePolicy::Fail, 2), AtomicUsize::new(0));
        let mut enter = |in_queue| line.enter(in_queue, &queued, &CallState::new(None));
        assert_eq!([0, 1, 2].map(&mut enter), [Entered::Queue, Entered::Queue, Entered::Refused]);
        assert_eq!((queued.into_inner(), line.len()), (2, 0));
    }
}
