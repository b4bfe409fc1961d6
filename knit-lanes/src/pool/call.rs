//! One call: its state, and the handle that waits for it.

use super::deadlines::TimeLimit;
use super::shared::Shared;
use crate::buffer::context::{Parcel, decoding, encoding};
use crate::caught::drop_caught;
use crate::error::{CallError, TaskError, TaskFailure};
use crate::tasks::Task;
use core::cell::Cell;
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
        if !self.wakers.is_empty() {
            Self::run(self.wakers);
        }
    }

    /// Whether this thread is in a waker of a call.
    pub(super) fn run_here() -> bool {
        IN_WAKER.get()
    }

    fn run(wakers: Vec<Waker>) {
        // A waker may have the answers read that run others.
        let outer = IN_WAKER.replace(true);
        for waker in wakers {
            // A waker is somebody else's code: its panic must not take a thread of the pool along.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                drop_caught(panic);
            }
        }
        IN_WAKER.set(outer);
    }
}

thread_local! {
    static IN_WAKER: Cell<bool> = const { Cell::new(false) };
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

    /// Wakes whoever waits for this call: a thread at once, a future with the others.
    pub(super) fn rouse(&self, wakes: &mut Wakes) {
        let mut inner = self.lock();
        if let Some(sleeper) = &inner.sleeper {
            sleeper.wake();
        }
        wakes.wakers.extend(inner.waker.take());
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
        if inner.waker.as_ref().is_some_and(|left| left.will_wake(waker)) {
            return Some(self.leave_unattended(&mut inner));
        }
        drop(inner);
        // Cloned and dropped while no lock is held: a waker may run any code, and use this very pool.
        let mut waker = Some(waker.clone());
        let mut inner = self.lock();
        if self.is_done() {
            drop(inner);
            return None;
        }
        core::mem::swap(&mut inner.waker, &mut waker);
        let unattended = self.leave_unattended(&mut inner);
        drop(inner);
        drop(waker);
        Some(unattended)
    }

    /// Leaves the waker of a call that somebody looks after all the same. False when the outcome is there; it stays there.
    fn leave_waker_attended(&self, waker: &Waker) -> bool {
        // Cloned, and dropped where it is not wanted, while no lock is held.
        let waker = waker.clone();
        let mut inner = self.lock();
        if self.is_done() {
            drop(inner);
            return false;
        }
        let before = inner.waker.replace(waker);
        drop(inner);
        drop(before);
        true
    }

    /// The handle is gone: nobody wants the outcome. Returns whether the call has become unattended.
    fn abandon(&self) -> bool {
        let mut inner = self.lock();
        let waker = inner.waker.take();
        let unattended = inner.outcome.is_none() && self.leave_unattended(&mut inner);
        drop(inner);
        // As above.
        drop(waker);
        unattended
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
    pub(super) shared: Arc<Shared>,
    pub(super) state: Arc<CallState>,
    abort_on_drop: bool,
    /// Length of the argument.
    bytes: u32,
    value: PhantomData<fn() -> T>,
}

impl<T> Call<T> {
    /// Ends the call with [`CallError::Aborted`], unless it has ended. A call that is still in the queue
    /// never runs. When a worker has it, its task can see that
    /// ([`TaskContext::is_aborted`](crate::TaskContext::is_aborted)); the worker takes no other call until
    /// the task has returned, and is killed when that takes longer than
    /// [`Builder::hard_timeout`](crate::Builder::hard_timeout).
    pub fn abort(&self) {
        if !self.is_here() {
            return;
        }
        let aborted = |may_have_run| CallError::Aborted { may_have_run };
        self.shared.give_up(&self.state, aborted);
    }

    /// Whether this process may touch the call: it is no child of the one whose pool it is.
    #[inline]
    fn is_here(&self) -> bool {
        self.shared.origin.is_here()
    }

    /// The same handle, which aborts the call when it is dropped before the call has ended.
    pub fn abort_on_drop(mut self) -> Self {
        self.abort_on_drop = true;
        self
    }
}

impl<T> Call<T> {
    /// Leaves a waker that need not be told by the driver: whoever waits looks for the answer. False when the call has ended.
    pub(super) fn tell(&self, waker: &Waker) -> bool {
        self.state.leave_waker_attended(waker)
    }
}

impl<T: Decode> Call<T> {
    /// Makes a call. Blocks while it is in the line for the queue.
    #[inline]
    pub(super) fn start<In: Encode>(shared: &Arc<Shared>, task: Task<In, T>, argument: In) -> Self {
        let call = Self::begin(shared, task, argument);
        if shared.line.len() != 0 {
            shared.wait_for_room(&call.state);
        }
        call
    }

    /// Makes a call, which may be in the line for the queue.
    #[inline]
    pub(super) fn begin<In: Encode>(shared: &Arc<Shared>, task: Task<In, T>, argument: In) -> Self {
        let refused = |error| CallState::new(Some(Err(Box::new(error))));
        let mut bytes = 0;
        let state = if task.table() != shared.table {
            refused(CallError::ForeignTask)
        } else {
            match encoding(|| argument.encode_owned(&shared.limits)) {
                // After the encoding, which is somebody else's code and might fork.
                Ok(_) if !shared.origin.is_here() => refused(CallError::Forked),
                Ok(parcel) => {
                    // No lane takes longer ones.
                    bytes = u32::try_from(parcel.payload.len()).unwrap_or(0);
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
        let shared = Arc::clone(shared);
        Self { shared, state, abort_on_drop: false, bytes, value: PhantomData }
    }

    /// A call that has ended without a value.
    pub(super) fn failed(shared: &Arc<Shared>, error: CallError) -> Self {
        let state = CallState::new(Some(Err(Box::new(error))));
        Self {
            shared: Arc::clone(shared),
            state,
            abort_on_drop: false,
            bytes: 0,
            value: PhantomData,
        }
    }

    /// Blocks until the call has ended: spins for a while, then sleeps.
    ///
    /// # Errors
    ///
    /// Why there is no value.
    pub fn wait(self) -> Result<T, CallError> {
        let outcome = self.shared.wait(&self.state, self.bytes, None);
        self.decode(outcome.unwrap_or_else(|| Err(Box::new(CallError::Taken))))
    }

    /// Blocks until the call has ended or `timeout` has passed. The call goes on in the second case,
    /// and its handle comes back.
    ///
    /// # Errors
    ///
    /// The handle, when the time was over.
    pub fn wait_timeout(self, timeout: Duration) -> Result<Result<T, CallError>, Self> {
        match self.shared.wait(&self.state, self.bytes, Instant::now().checked_add(timeout)) {
            Some(outcome) => Ok(self.decode(outcome)),
            None => Err(self),
        }
    }

    /// Whether the call has ended. Looks for answers, does not block.
    #[must_use]
    pub fn is_done(&self) -> bool {
        if !self.is_here() {
            return true;
        }
        if !self.state.is_done() {
            self.shared.poll_for(&self.state);
        }
        self.state.is_done()
    }

    /// Whether the call has ended; leaves a waker when it has not.
    pub(super) fn is_done_or_wakes(&self, waker: &Waker) -> bool {
        if !self.is_here() {
            return true;
        }
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
        if !self.is_here() {
            return Poll::Ready(Err(CallError::Forked));
        }
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
        if self.state.is_done() || !self.is_here() {
            return;
        }
        if self.abort_on_drop {
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
