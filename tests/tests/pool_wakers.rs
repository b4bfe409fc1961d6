//! Wakers and futures are code of others: it may use the pool, park its thread, or panic, wherever it is run.

mod pool_support;

use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use knit_lanes::{Call, Inline, Pool, Position, Tasks};
use pool_support::futures::{block_on, poll_once};
use pool_support::gate::Gate;
use pool_support::worker::{builder, pool, start};
use pool_support::{until, within_deadline};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Wake;
use std::time::Duration;

/// A waker that does something when it is dropped, as one does that has the last handle of a task.
struct Dropped(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Dropped {
    fn waker(then: impl FnOnce() + Send + 'static) -> Waker {
        Waker::from(Arc::new(Self(Mutex::new(Some(Box::new(then))))))
    }
}

impl Wake for Dropped {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Dropped {
    fn drop(&mut self) {
        let then = self.0.get_mut().unwrap().take();
        then.expect("dropped once")();
    }
}

/// A call that a worker has begun, and that has a waker which lets it end and waits for the call behind it. Whoever waits for that one reads
/// the answer of the first one.
fn call_with_busy_waker(pool: &Pool, remote: &pool_support::worker::Remote) -> Call<u32> {
    let gate = Gate::new();
    let mut first = pool.call(remote.hold, gate.path());
    let second = pool.call(remote.square, 3.0);
    let held = gate.entered();
    let waker = Dropped::waker(move || {
        drop(held);
        assert_eq!(second.wait().unwrap(), 9.0);
    });
    let polled = Pin::new(&mut first).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    first
}

#[test]
fn a_waker_that_is_replaced_may_use_the_pool() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let mut first = call_with_busy_waker(&pool, &remote);
        // Another one takes its place.
        let _ = poll_once(&mut first);
        assert!(block_on(first).is_ok());
    });
}

#[test]
fn a_waker_that_goes_with_its_call_may_use_the_pool() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        drop(call_with_busy_waker(&pool, &remote));
        assert_eq!(pool.call(remote.square, 2.0).wait().unwrap(), 4.0);
    });
}

/// Is woken in its first poll, and parks its thread after that, as a lock or a channel may do.
#[derive(Default)]
struct ParksItself {
    polls: u32,
}

impl Future for ParksItself {
    type Output = Result<f64, std::io::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.polls += 1;
        if self.polls > 1 {
            return Poll::Ready(Ok(3.0));
        }
        context.waker().wake_by_ref();
        // Returns at once where waking is unparking, and takes that along.
        std::thread::park_timeout(Duration::from_millis(1));
        Poll::Pending
    }
}

#[test]
fn an_argument_that_parks_its_thread_loses_no_wake_up() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let call = pool.call_when(remote.square, ParksItself::default());
        assert_eq!(call.wait().unwrap(), 9.0);
    });
}

#[test]
fn an_inline_task_that_parks_its_thread_loses_no_wake_up() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let parks = tasks.add_async("parks", |(): ()| async {
            ParksItself::default().await.map_err(|error| error.to_string())
        });
        let inline = Inline { position: Position::First, batch: 1, threshold: 0 };
        let pool = Pool::builder().threads(1).inline(inline).start(tasks).unwrap();
        for _ in 0..20 {
            assert_eq!(pool.call(parks, ()).wait().unwrap(), 3.0);
        }
    });
}

/// Panics with a payload whose drop panics again.
struct PanicsTwice;

/// How often one was woken.
static WOKEN: AtomicU32 = AtomicU32::new(0);

impl Wake for PanicsTwice {
    fn wake(self: Arc<Self>) {
        WOKEN.fetch_add(1, Ordering::Relaxed);
        std::panic::panic_any(Self);
    }
}

impl Drop for PanicsTwice {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("the payload's drop");
        }
    }
}

#[test]
fn a_panic_whose_payload_panics_takes_no_thread_of_the_pool_along() {
    within_deadline(|| {
        // The supervisor looks at the lane when this is over.
        let (pool, remote) = start(builder(1).ready_timeout(Duration::from_secs(600)));
        let gate = Gate::new();
        let mut first = pool.call(remote.hold, gate.path());
        // Not dropped by this test.
        let waker = core::mem::ManuallyDrop::new(Waker::from(Arc::new(PanicsTwice)));
        let polled = Pin::new(&mut first).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop(gate.entered());
        // The driver wakes it, and goes on.
        until("it was woken", || WOKEN.load(Ordering::Relaxed) == 1);
        assert!(block_on(first).is_ok());
        let gate = Gate::new();
        let mut second = pool.call(remote.hold, gate.path());
        let mut held = Some(gate.entered());
        let second = poll_fn(|context| {
            let polled = Pin::new(&mut second).poll(context);
            // The answer comes after a look that found none: somebody else has to see it.
            drop(held.take());
            polled
        });
        assert!(block_on(second).is_ok());
    });
}
