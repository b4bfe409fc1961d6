//! Tasks that are futures: what a worker has begun and not finished.

use super::{Memory, Parcel, encoding};
use crate::TaskFailure;
use crate::caught::drop_caught;
use crate::parker::Parker;
use crate::tasks::Outcome;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::{Context, Poll, Waker};
use knit_codec::ErrorValue;
use knit_proto::SLOTS;
use knit_ring::{AbortReceiver, FutexPair};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Wake;

/// A task that has begun. It stays on the thread on which it began.
pub(crate) type Running = Pin<Box<dyn Future<Output = Outcome>>>;

/// The futures of one worker, at most as many as a lane can have calls: a host that sends more waits until one has ended.
pub(super) struct RunningTasks {
    tasks: [Option<RunningTask>; SLOTS as usize],
    count: u32,
    woken: Arc<Woken>,
    /// Places that are to be polled in this round. One that is woken in its poll has its turn in the next.
    due: u32,
    /// One for each place, made when the first task runs.
    wakers: Vec<Waker>,
}

struct RunningTask {
    call: u32,
    abort: Option<u16>,
    future: Running,
}

/// Places whose future was woken. Any thread sets bits, the worker takes them.
struct Woken {
    places: AtomicU32,
    /// Ends the worker's sleep. A worker that has futures has one.
    bell: Option<FutexPair>,
}

struct WakePlace {
    place: u32,
    woken: Arc<Woken>,
}

impl Wake for WakePlace {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.wake(self.place);
    }
}

impl Woken {
    fn wake(&self, place: u32) {
        // Release: what the waker's thread did is visible to the next poll. Where the bit was set already, the worker has yet to
        // take it, and was told.
        if self.places.fetch_or(1 << place, Ordering::Release) & 1 << place == 0
            && let Some(bell) = &self.bell
        {
            bell.ring_local();
        }
    }
}

impl RunningTasks {
    pub(super) fn new(bell: Option<FutexPair>) -> Self {
        Self {
            tasks: [const { None }; SLOTS as usize],
            count: 0,
            woken: Arc::new(Woken { places: AtomicU32::new(0), bell }),
            due: 0,
            wakers: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether one more task can begin.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.count < SLOTS
    }

    /// Whether a future was woken, or its call was given up.
    pub(super) fn wants_attention(&self, aborts: &AbortReceiver<Memory>) -> bool {
        // Acquire: as in `begin_round`.
        !self.is_empty()
            && (self.woken.places.load(Ordering::Acquire) != 0 || self.aborted(aborts).is_some())
    }

    /// Takes a task that has begun. There must be room. It is polled by the next look.
    pub(super) fn add(&mut self, call: u32, abort: Option<u16>, future: Running) {
        if self.wakers.is_empty() {
            let woken = &self.woken;
            let waker =
                |place| Waker::from(Arc::new(WakePlace { place, woken: Arc::clone(woken) }));
            self.wakers = (0..SLOTS).map(waker).collect();
        }
        if let Some(place) = self.tasks.iter().position(Option::is_none) {
            self.tasks[place] = Some(RunningTask { call, abort, future });
            self.count += 1;
            // Relaxed: it is this thread that takes it.
            self.woken.places.fetch_or(1 << place, Ordering::Relaxed);
        }
    }

    /// Begins a round: every task that was woken by now has a turn in it.
    pub(super) fn begin_round(&mut self) {
        // Acquire: pairs with `wake`. A wake-up that comes after this is one for the next round.
        self.due |= self.woken.places.swap(0, Ordering::Acquire);
    }

    /// Looks after one task of the round, or one that was given up. Its call, and what it came to if it has ended.
    /// `None` when the round is over.
    pub(super) fn next(&mut self, aborts: &AbortReceiver<Memory>) -> Option<(u32, Option<Ended>)> {
        if let Some(place) = self.aborted(aborts) {
            let task = self.take(place)?;
            let call = task.call;
            let text = "the call was aborted while its task ran";
            drop_caught(task.future);
            return Some((call, Some(Err(failure(TaskFailure::Aborted, text)))));
        }
        loop {
            if self.due == 0 {
                return None;
            }
            let place = self.due.trailing_zeros();
            self.due &= self.due - 1;
            let mut context = Context::from_waker(self.wakers.get(place as usize)?);
            // A waker of a task that has ended already may still be about.
            let Some(task) = &mut self.tasks[place as usize] else { continue };
            let call = task.call;
            let ended = match encoding(|| poll_once(&mut task.future, &mut context)) {
                Ok(parcel) => Ok(parcel),
                Err(None) => return Some((call, None)),
                Err(Some(failed)) => Err(failed),
            };
            if let Some(task) = self.take(place as usize) {
                drop_caught(task.future);
            }
            return Some((call, Some(ended)));
        }
    }

    fn aborted(&self, aborts: &AbortReceiver<Memory>) -> Option<usize> {
        let is_set = |task: &RunningTask| task.abort.is_some_and(|signal| aborts.is_set(signal));
        self.tasks.iter().position(|task| task.as_ref().is_some_and(is_set))
    }

    fn take(&mut self, place: usize) -> Option<RunningTask> {
        let task = self.tasks[place].take()?;
        self.count -= 1;
        Some(task)
    }
}

impl Drop for RunningTasks {
    fn drop(&mut self) {
        for task in self.tasks.iter_mut().filter_map(Option::take) {
            drop_caught(task.future);
        }
    }
}

/// What a task came to.
type Ended = Result<Parcel, Box<(TaskFailure, ErrorValue)>>;

/// The payload of a future that is ready; the error of one that failed; `None` for one that goes on.
fn poll_once(
    future: &mut Running,
    context: &mut Context<'_>,
) -> Result<knit_codec::Payload<'static>, Option<Box<(TaskFailure, ErrorValue)>>> {
    match poll_caught(future, context) {
        Poll::Ready(Ok(payload)) => Ok(payload),
        Poll::Ready(Err(failed)) => Err(Some(failed)),
        Poll::Pending => Err(None),
    }
}

/// Polls a task; its panic is an outcome.
fn poll_caught(future: &mut Running, context: &mut Context<'_>) -> Poll<Outcome> {
    catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))).unwrap_or_else(|panic| {
        let error = ErrorValue::from_panic(&*panic);
        drop_caught(panic);
        Poll::Ready(Err(Box::new((TaskFailure::Panicked, error))))
    })
}

/// Runs a task to its end on the calling thread, which sleeps while there is nothing to do.
pub(crate) fn block_on(mut future: Running) -> Outcome {
    let parker = Parker::new();
    let mut context = Context::from_waker(parker.waker());
    let outcome = loop {
        match poll_caught(&mut future, &mut context) {
            Poll::Ready(outcome) => break outcome,
            Poll::Pending => parker.park(),
        }
    };
    drop_caught(future);
    outcome
}

fn failure(failure: TaskFailure, text: &str) -> Box<(TaskFailure, ErrorValue)> {
    Box::new((failure, ErrorValue::new(failure.name().unwrap_or("Error"), text)))
}
