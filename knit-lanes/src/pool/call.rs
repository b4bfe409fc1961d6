//! One call: its state, and the handle that waits for it.

use super::deadlines::TimeLimit;
use super::shared::Shared;
use crate::buffer::context::{Parcel, decoding, encoding};
use crate::error::{CallError, TaskError, TaskFailure};
use crate::tasks::Task;
use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use knit_codec::{Decode, Encode, ErrorValue};
use knit_proto::MonotonicTime;
use knit_ring::FutexPair;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Instant;

/// What a call came to. Errors are boxed: they are large and rare.
pub(super) type Outcome = Result<Parcel, Box<CallError>>;

/// State of one call, shared by its handle, its lane and the queue.
#[derive(Debug)]
pub(crate) struct CallState {
    /// 0 until the outcome is there, then 1.
    done: AtomicU32,
    /// The lane that has the call; `QUEUED` before that.
    lane: AtomicUsize,
    /// 1 once the call is the driver's business too: see `Inner::unattended`.
    watched: AtomicU32,
    /// When its time is over.
    deadline: Option<MonotonicTime>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
    sleeper: Option<Sleeper>,
    /// Whether the call is counted as one that no thread blocks for: a future has left a waker, or
    /// the handle was dropped.
    unattended: bool,
}

/// How the thread that waits for a call sleeps.
#[derive(Debug)]
pub(super) enum Sleeper {
    /// Parked.
    Parked(Thread),
    /// On a lane's bell.
    Bell(FutexPair),
}

impl Sleeper {
    fn wake(&self) {
        match self {
            Self::Parked(thread) => thread.unpark(),
            Self::Bell(bell) => bell.ring_local(),
        }
    }
}

/// Whom to wake once no lock is held: a waker may run any code, and waking is a system call.
#[derive(Debug, Default)]
#[must_use = "whoever waits must be woken"]
pub(super) struct Wakes {
    wakers: Vec<Waker>,
    sleepers: Vec<Sleeper>,
    /// How many unattended calls are done.
    pub(super) unattended: usize,
    /// Whether a closing pool must be told that calls have ended.
    pub(super) drained: bool,
}

impl Wakes {
    /// Wakes the threads and futures.
    #[inline]
    pub(super) fn wake(self) {
        for sleeper in &self.sleepers {
            sleeper.wake();
        }
        for waker in self.wakers {
            // A waker is somebody else's code: its panic must not take a thread of the pool along.
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }
}

const QUEUED: usize = usize::MAX;
/// In place of a lane: the call has ended and no lane may take it.
const ENDED: usize = usize::MAX - 1;
/// In place of a lane: a thread that waits runs it.
const INLINE: usize = usize::MAX - 2;

impl CallState {
    pub(super) fn new(outcome: Option<Outcome>) -> Arc<Self> {
        Self::with_deadline(outcome, None)
    }

    fn with_deadline(outcome: Option<Outcome>, deadline: Option<MonotonicTime>) -> Arc<Self> {
        Arc::new(Self {
            done: AtomicU32::new(outcome.is_some().into()),
            lane: AtomicUsize::new(QUEUED),
            watched: AtomicU32::new(0),
            deadline,
            inner: Mutex::new(Inner { outcome, ..Inner::default() }),
        })
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        // Acquire: pairs with the release store in `complete`.
        self.done.load(Ordering::Acquire) != 0
    }

    /// When the time of the call is over, for its task.
    #[inline]
    pub(crate) fn deadline(&self) -> Option<MonotonicTime> {
        self.deadline
    }

    /// The lane that has the call, unless it is still queued.
    #[inline]
    pub(super) fn lane(&self) -> Option<usize> {
        // Relaxed: a hint where to look; the outcome is what counts.
        Some(self.lane.load(Ordering::Relaxed)).filter(|lane| *lane < INLINE)
    }

    /// Takes a call of the queue for a lane, before the lane's worker is given it. False when the call has ended.
    pub(super) fn claim(&self, lane: usize) -> bool {
        // Relaxed, here and below: one of two claims wins, and nothing else is read on the strength of it.
        let claim = self.lane.compare_exchange(QUEUED, lane, Ordering::Relaxed, Ordering::Relaxed);
        claim.is_ok()
    }

    /// Takes a call of the queue for the calling thread, which runs it. False when the call has ended.
    pub(super) fn claim_inline(&self) -> bool {
        self.claim(INLINE)
    }

    /// Whether a thread that waits runs it, or has run it.
    pub(super) fn is_inline(&self) -> bool {
        self.lane.load(Ordering::Relaxed) == INLINE
    }

    /// The lane had no room: the call is queued again.
    pub(super) fn unclaim(&self) {
        self.lane.store(QUEUED, Ordering::Relaxed);
    }

    /// Keeps lanes from taking a call of the queue. False when one has it.
    pub(super) fn end_queued(&self) -> bool {
        self.claim(ENDED)
    }

    pub(super) fn set_lane(&self, lane: usize) {
        // Relaxed: see `lane`.
        self.lane.store(lane, Ordering::Relaxed);
    }

    /// Whether nobody but the thread that asks can be waiting for this call.
    #[inline]
    pub(super) fn is_unwatched(&self) -> bool {
        self.watched.load(Ordering::Relaxed) == 0
    }

    /// Sets the outcome, unless there is one: a call that was given up has ended before its answer
    /// comes. Whoever waits for it is noted in `wakes`.
    #[inline]
    pub(super) fn complete(&self, outcome: Outcome, wakes: &mut Wakes) {
        let mut inner = self.lock();
        // Relaxed: stored under this lock, or by the only one who asks.
        if self.done.load(Ordering::Relaxed) != 0 {
            return;
        }
        inner.outcome = Some(outcome);
        // Release: whoever sees 1 finds the outcome.
        self.done.store(1, Ordering::Release);
        wakes.unattended += usize::from(inner.unattended);
        wakes.wakers.extend(inner.waker.take());
        wakes.sleepers.extend(inner.sleeper.take());
    }

    /// Notes how the calling thread is about to sleep; false when the call is done already.
    pub(super) fn sleep_as(&self, sleeper: Sleeper) -> bool {
        let mut inner = self.lock();
        if inner.outcome.is_some() {
            return false;
        }
        inner.sleeper = Some(sleeper);
        true
    }

    /// The calling thread is awake.
    pub(super) fn awake(&self) {
        self.lock().sleeper = None;
    }

    /// Wakes the thread that waits for this call. Returns whether one slept.
    pub(super) fn wake_sleeper(&self) -> bool {
        let inner = self.lock();
        if let Some(sleeper) = &inner.sleeper {
            sleeper.wake();
        }
        inner.sleeper.is_some()
    }

    #[inline]
    pub(super) fn take_outcome(&self) -> Option<Outcome> {
        if self.is_done() { self.lock().outcome.take() } else { None }
    }

    /// The outcome was handed to the calling thread, past this state.
    #[inline]
    pub(super) fn taken(&self) {
        // Relaxed: only the handle's owner asks from now on.
        self.done.store(1, Ordering::Relaxed);
    }

    /// Leaves a waker, unless the outcome is there. Returns whether the call has become unattended.
    fn leave_waker(&self, waker: &Waker) -> Result<bool, Outcome> {
        self.leave_waker_unless_done(waker).ok_or_else(|| {
            let outcome = self.lock().outcome.take();
            outcome.unwrap_or_else(|| Err(Box::new(CallError::Taken)))
        })
    }

    /// As [`Self::leave_waker`]; `None` when the outcome is there, and it stays there.
    fn leave_waker_unless_done(&self, waker: &Waker) -> Option<bool> {
        let mut inner = self.lock();
        if self.is_done() {
            return None;
        }
        match &mut inner.waker {
            Some(left) => left.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Some(self.leave_unattended(&mut inner))
    }

    /// The handle is gone: nobody wants the outcome. Returns whether the call has become unattended.
    fn abandon(&self) -> bool {
        let mut inner = self.lock();
        inner.waker = None;
        inner.outcome.is_none() && self.leave_unattended(&mut inner)
    }

    fn leave_unattended(&self, inner: &mut Inner) -> bool {
        // Relaxed: only the handle's owner reads it, and it is the owner who stores it.
        self.watched.store(1, Ordering::Relaxed);
        !core::mem::replace(&mut inner.unattended, true)
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way: a future, and [`Call::wait`] blocks.
///
/// The call runs whether anybody waits or not; dropping the handle drops the answer.
#[must_use = "the answer of a call that is dropped is lost; use `.wait()` or `.await`"]
pub struct Call<T> {
    shared: Arc<Shared>,
    state: Arc<CallState>,
    abort_on_drop: bool,
    value: PhantomData<fn() -> T>,
}

impl<T> Call<T> {
    /// Ends the call with [`CallError::Aborted`], unless it has ended. A call that is still in the queue
    /// never runs. When a worker has it, its task can see that
    /// ([`TaskContext::is_aborted`](crate::TaskContext::is_aborted)); the worker takes no other call until
    /// the task has returned, and is killed when that takes longer than
    /// [`Builder::hard_timeout`](crate::Builder::hard_timeout).
    pub fn abort(&self) {
        let aborted = |may_have_run| CallError::Aborted { may_have_run };
        self.shared.give_up(&self.state, aborted);
    }

    /// The same handle, which aborts the call when it is dropped before the call has ended.
    pub fn abort_on_drop(mut self) -> Self {
        self.abort_on_drop = true;
        self
    }
}

impl<T: Decode> Call<T> {
    #[inline]
    pub(super) fn start<In: Encode>(shared: &Arc<Shared>, task: Task<In, T>, argument: In) -> Self {
        let refused = |error| CallState::new(Some(Err(Box::new(error))));
        let state = if task.table() != shared.table {
            refused(CallError::ForeignTask)
        } else {
            match encoding(|| argument.encode_owned(&shared.limits)) {
                Ok(parcel) => {
                    let limit = task.timeout().and_then(TimeLimit::from_now);
                    let deadline = limit.as_ref().and_then(|limit| limit.deadline);
                    let state = CallState::with_deadline(None, deadline);
                    let retry = shared.retry && task.retries();
                    shared.submit(task.index(), retry, parcel, &state);
                    if let Some(limit) = limit {
                        shared.expire(&limit, &state);
                    }
                    state
                }
                Err(error) => refused(CallError::Argument(error)),
            }
        };
        Self { shared: Arc::clone(shared), state, abort_on_drop: false, value: PhantomData }
    }

    /// Blocks until the call has ended: spins for a while, then sleeps.
    ///
    /// # Errors
    ///
    /// Why there is no value.
    pub fn wait(self) -> Result<T, CallError> {
        let outcome = self.shared.wait(&self.state, None);
        self.decode(outcome.unwrap_or_else(|| Err(Box::new(CallError::Taken))))
    }

    /// Blocks until the call has ended or `timeout` has passed. The call goes on in the second case,
    /// and its handle comes back.
    ///
    /// # Errors
    ///
    /// The handle, when the time was over.
    pub fn wait_timeout(self, timeout: Duration) -> Result<Result<T, CallError>, Self> {
        match self.shared.wait(&self.state, Instant::now().checked_add(timeout)) {
            Some(outcome) => Ok(self.decode(outcome)),
            None => Err(self),
        }
    }

    /// Whether the call has ended. Looks for answers, does not block.
    #[must_use]
    pub fn is_done(&self) -> bool {
        if !self.state.is_done() {
            self.shared.poll_for(&self.state);
        }
        self.state.is_done()
    }

    /// Whether the call has ended; leaves a waker when it has not.
    pub(super) fn is_done_or_wakes(&self, waker: &Waker) -> bool {
        self.shared.poll_for(&self.state);
        match self.state.leave_waker_unless_done(waker) {
            Some(true) => self.shared.left_unattended(),
            Some(false) => {}
            None => return true,
        }
        false
    }

    fn decode(&self, outcome: Outcome) -> Result<T, CallError> {
        match outcome {
            Ok(Parcel { payload, buffer }) => {
                decoding(buffer, || T::decode(payload, &self.shared.limits))
                    .map_err(CallError::Answer)
            }
            Err(error) => Err(*error),
        }
    }
}

impl<T: Decode> Future for Call<T> {
    type Output = Result<T, CallError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.shared.poll_for(&self.state);
        match self.state.leave_waker(context.waker()) {
            Err(outcome) => Poll::Ready(self.decode(outcome)),
            Ok(unattended) => {
                if unattended {
                    self.shared.left_unattended();
                }
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        if self.abort_on_drop && !self.state.is_done() {
            self.abort();
        }
        if !self.state.is_done() && self.state.abandon() {
            self.shared.left_unattended();
        }
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("done", &self.state.is_done()).finish_non_exhaustive()
    }
}

/// The outcome that an answer stands for.
#[inline]
pub(super) fn outcome(rejected: bool, parcel: Parcel, limits: &knit_codec::Limits) -> Outcome {
    if !rejected {
        return Ok(parcel);
    }
    let payload = parcel.payload;
    // A rejected call carries an error value; anything else is some other language's thrown value.
    let tag = payload.tag();
    let error = ErrorValue::decode(payload, limits).unwrap_or_else(|error| {
        ErrorValue::new("Error", format!("the task's error, a {tag}, cannot be read: {error}"))
    });
    let failure = TaskFailure::from_name(error.name());
    Err(Box::new(CallError::Task(TaskError { failure, error })))
}
