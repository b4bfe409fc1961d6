//! Which calls of one map have ended: whoever waits for the next one looks at one word, however many are under way.
//!
//! Each call under way has a seat, and a waker that notes the seat on a board. Like any other waker it runs on the thread
//! that reads the answer; unlike that of a future it does not make the driver look for that answer. The driver is asked to by
//! whoever waits and does not look itself, once for all calls.

use crate::parker::Parker;
use crate::pool::call::{Call, Wakes};
use crate::pool::shared::Shared;
use crate::pool::wait::Spin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Waker;
use knit_ring::Relax;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

/// The calls of a map that are under way or whose outcome was not taken yet, each with the place of its argument.
///
/// Dropped, it wakes nobody any more, and the calls go the way of their handles.
pub(super) struct Calls<Out> {
    board: Arc<Board>,
    seats: Vec<Seat<Out>>,
    /// Seats without a call.
    free: Vec<usize>,
    /// The lane to look at next.
    lane: usize,
}

struct Seat<Out> {
    waker: Waker,
    call: Option<(usize, Call<Out>)>,
}

/// What the wakers and the one who waits share.
struct Board {
    shared: Arc<Shared>,
    /// How many calls were ever begun. Stored by the owner of the calls alone.
    begun: AtomicUsize,
    /// How many have ended and were not taken; as of when the lock was last held.
    there: AtomicUsize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Seats of calls that have ended, the first one first.
    ended: VecDeque<usize>,
    /// How many calls have ever ended.
    total: usize,
    /// Whom to wake with the next one.
    waker: Option<Waker>,
    /// Whether the driver was asked to look for answers.
    driven: bool,
}

impl<Out> Calls<Out> {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let board = Board {
            shared: Arc::clone(shared),
            begun: AtomicUsize::new(0),
            there: AtomicUsize::new(0),
            inner: Mutex::default(),
        };
        Self { board: Arc::new(board), seats: Vec::new(), free: Vec::new(), lane: 0 }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.seats.len() - self.free.len()
    }

    /// Takes in a call that has just begun.
    pub(super) fn push(&mut self, place: usize, call: Call<Out>) {
        let seat = self.free.pop().unwrap_or_else(|| {
            let ending = Ending { board: Arc::clone(&self.board), seat: self.seats.len() };
            self.seats.push(Seat { waker: Waker::from(Arc::new(ending)), call: None });
            self.seats.len() - 1
        });
        if self.is_forked() {
            // It has ended, as every other one: see `any`. The board's lock may be nobody's.
            self.seats[seat].call = Some((place, call));
            return;
        }
        // Relaxed: whoever ends a call counts this one or does not. Too few, and the driver is let go of early: the owner asks
        // for it again before it waits.
        self.board.begun.store(self.board.begun.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        if !call.tell(&self.seats[seat].waker) {
            self.board.ended(seat);
        }
        self.seats[seat].call = Some((place, call));
    }

    /// Takes the call that has ended first, if one has and somebody has seen it.
    pub(super) fn take(&mut self) -> Option<(usize, Call<Out>)> {
        if self.is_forked() {
            return self.any();
        }
        // Relaxed: a hint; the list stands behind the lock.
        if self.board.there.load(Ordering::Relaxed) == 0 {
            return None;
        }
        loop {
            let seat = self.board.take(&mut self.board.lock())?;
            if self.has_ended(seat) {
                return self.leave(seat);
            }
        }
    }

    /// Whether the call of this seat has ended: its waker is also woken when the call comes out of the line for the queue.
    fn has_ended(&self, seat: usize) -> bool {
        let Seat { waker, call } = &self.seats[seat];
        let Some((_, call)) = call.as_ref().filter(|(_, call)| !call.state.is_done()) else {
            return true;
        };
        self.board.lock().total -= 1;
        if !call.tell(waker) {
            self.board.ended(seat);
        }
        false
    }

    /// Whether this is a child of the process whose pool it is.
    fn is_forked(&self) -> bool {
        !self.board.shared.origin.is_here()
    }

    /// Takes some call: in a child each of them says that it is none of the child's.
    #[cold]
    fn any(&mut self) -> Option<(usize, Call<Out>)> {
        let seat = self.seats.iter().position(|seat| seat.call.is_some())?;
        self.leave(seat)
    }

    /// As [`Self::take`]. When none has ended, leaves a waker and sees to it that the driver looks for answers.
    pub(super) fn take_or_wakes(&mut self, waker: &Waker) -> Option<(usize, Call<Out>)> {
        if self.is_forked() {
            return self.any();
        }
        // Cloned and dropped while no lock is held: it is anybody's code.
        let mut left = Some(waker.clone());
        loop {
            let mut inner = self.board.lock();
            match self.board.take(&mut inner) {
                Some(seat) => {
                    drop(inner);
                    if self.has_ended(seat) {
                        return self.leave(seat);
                    }
                }
                None => {
                    core::mem::swap(&mut inner.waker, &mut left);
                    break;
                }
            }
        }
        drop(left);
        self.board.drive();
        None
    }

    /// Looks for answers in one lane, the next one each time. Returns whether it was the last of a round.
    #[inline]
    pub(super) fn look(&mut self) -> bool {
        let lanes = &self.board.shared.lanes;
        lanes[self.lane].glance(&self.board.shared);
        self.lane += 1;
        if self.lane >= lanes.len() {
            self.lane = 0;
        }
        self.lane == 0
    }

    /// Blocks until a call has ended, and takes it. `None` when there are no calls.
    pub(super) fn wait(&mut self) -> Option<(usize, Call<Out>)> {
        if self.len() == 0 {
            return None;
        }
        let mut spin = Spin::new(self.board.shared.spin);
        let mut relax = Relax::new();
        loop {
            if let Some(found) = self.take() {
                return Some(found);
            }
            if self.board.shared.run_inline() {
                // A child has come back from its task.
                continue;
            }
            let round = self.look();
            if spin.over() {
                return Some(self.sleep());
            }
            if round {
                relax.moment();
            }
        }
    }

    #[cold]
    fn sleep(&mut self) -> (usize, Call<Out>) {
        let parker = Parker::new();
        let found = loop {
            match self.take_or_wakes(parker.waker()) {
                Some(found) => break found,
                None => parker.park(),
            }
        };
        // This thread looks itself from now on.
        self.board.let_go();
        found
    }

    fn leave(&mut self, seat: usize) -> Option<(usize, Call<Out>)> {
        self.free.push(seat);
        self.seats[seat].call.take()
    }
}

impl<Out> Drop for Calls<Out> {
    fn drop(&mut self) {
        if self.is_forked() {
            return;
        }
        self.board.let_go();
        // Dropped without the lock: it is anybody's code.
        let waker = self.board.lock().waker.take();
        drop(waker);
    }
}

impl Board {
    fn take(&self, inner: &mut Inner) -> Option<usize> {
        let seat = inner.ended.pop_front();
        // Relaxed: see `Calls::take`.
        self.there.store(inner.ended.len(), Ordering::Relaxed);
        seat
    }

    fn ended(&self, seat: usize) {
        let (waker, let_go) = {
            let mut inner = self.lock();
            inner.ended.push_back(seat);
            inner.total += 1;
            self.there.store(inner.ended.len(), Ordering::Relaxed);
            // Relaxed: see `Calls::push`.
            let all = inner.total == self.begun.load(Ordering::Relaxed);
            (inner.waker.take(), all && core::mem::take(&mut inner.driven))
        };
        if let_go {
            self.undriven();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Has the driver look for answers while calls are under way.
    fn drive(&self) {
        {
            let mut inner = self.lock();
            // Relaxed: the calling thread has stored it.
            if inner.driven || inner.total == self.begun.load(Ordering::Relaxed) {
                drop(inner);
                // Calls that have begun since are with the inline lane perhaps, and nobody comes to run them.
                return self.shared.flush_inline();
            }
            inner.driven = true;
        }
        self.shared.left_unattended();
    }

    fn let_go(&self) {
        if core::mem::take(&mut self.lock().driven) {
            self.undriven();
        }
    }

    /// Takes back what `drive` has said.
    fn undriven(&self) {
        let mut wakes = Wakes::default();
        wakes.unattended = 1;
        self.shared.wake(wakes);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waker of one seat.
struct Ending {
    board: Arc<Board>,
    seat: usize,
}

impl Wake for Ending {
    fn wake(self: Arc<Self>) {
        self.board.ended(self.seat);
    }
}

#[cfg(test)]
mod tests {
    use crate::{Pool, Task, Tasks};
    use core::task::Waker;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::{Duration, Instant};

    /// A pool whose task waits for a word of the test.
    fn held() -> (Pool, Task<u32, u32>, Sender<()>, Receiver<u32>) {
        let (enter, entered) = channel();
        let (go, going) = channel();
        let going = Mutex::new(going);
        let mut tasks = Tasks::new();
        let hold = tasks.add("hold", move |n: u32| {
            enter.send(n).unwrap();
            let _: Result<(), _> = going.lock().unwrap().recv();
            n
        });
        let pool = Pool::builder().threads(1).spin(Duration::ZERO).start(tasks).unwrap();
        (pool, hold, go, entered)
    }

    #[track_caller]
    fn until(condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(20));
            std::thread::yield_now();
        }
    }

    /// Who asks for the driver takes that back: when a call has ended for a thread, when all have for a future, and when the
    /// calls are dropped.
    #[test]
    fn the_driver_is_let_go_of() {
        let (pool, hold, go, entered) = held();
        let driven = || pool.shared.needs_driver_now();
        // A thread that sleeps.
        let mut map = pool.map(hold, 0..3).unordered();
        std::thread::scope(|scope| {
            let next = scope.spawn(|| map.next());
            assert_eq!(entered.recv(), Ok(0));
            until(driven);
            go.send(()).unwrap();
            assert_eq!(next.join().unwrap().unwrap().0, 0);
        });
        // Two are under way, and nobody waits for them.
        assert!(!driven());
        // One that is polled.
        for left in [2, 1] {
            assert!(map.calls.take_or_wakes(Waker::noop()).is_none());
            assert!(driven());
            go.send(()).unwrap();
            until(|| map.calls.board.lock().ended.len() == 1);
            if left == 2 {
                assert!(driven());
            } else {
                // A moment after the last call has ended.
                until(|| !driven());
            }
            map.calls.take().unwrap().1.wait().unwrap();
        }
        assert!(map.next().is_none());
        // One that is dropped.
        let mut map = pool.map(hold, 0..1).unordered();
        map.source.fill(0, |place, call| map.calls.push(place, call));
        assert!(map.calls.take_or_wakes(Waker::noop()).is_none() && driven());
        drop(map);
        assert!(!driven());
        drop(go);
    }

    /// Seats are used again: there are never more than calls at a time.
    #[test]
    fn there_are_no_more_seats_than_calls_at_a_time() {
        let mut tasks = Tasks::new();
        let same = tasks.add("same", |n: u32| n);
        let pool = Pool::builder().threads(1).start(tasks).unwrap();
        let mut map = pool.map(same, 0..1000).window(7).unordered();
        let mut places: Vec<_> = map.by_ref().map(|(place, _)| place).collect();
        places.sort_unstable();
        assert_eq!(places, (0..1000).collect::<Vec<_>>());
        assert_eq!((map.calls.seats.len(), map.calls.len()), (7, 0));
    }

    /// A call that has ended before it is taken in is there at once: this one belongs to another table.
    #[test]
    fn a_call_that_was_refused_is_there_at_once() {
        let (pool, _, _, _) = held();
        let foreign = Tasks::new().add("other", |n: u32| n);
        let outcomes: Vec<_> = pool.map(foreign, 0..40).window(4).unordered().collect();
        assert_eq!(outcomes.len(), 40);
        for (at, (place, outcome)) in outcomes.into_iter().enumerate() {
            assert_eq!(at, place);
            assert!(matches!(outcome, Err(crate::CallError::ForeignTask)));
        }
    }
}
