//! Calls whose argument is a future, and pools that are shut down with a time of their own.

mod pool_support;

use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use knit_lanes::{CallError, Pool, Tasks};
use pool_support::futures::block_on;
use pool_support::{until, within_deadline};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An argument that another thread brings.
fn brought(value: f64) -> impl Future<Output = Result<f64, Infallible>> {
    let there = Arc::new(AtomicU32::new(0));
    poll_fn(move |context| {
        if there.load(Ordering::Acquire) == 1 {
            return Poll::Ready(Ok(value));
        }
        let (there, waker) = (Arc::clone(&there), context.waker().clone());
        std::thread::spawn(move || {
            there.store(1, Ordering::Release);
            waker.wake();
        });
        Poll::Pending
    })
}

#[test]
fn a_call_is_made_when_its_argument_is_there() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let square = tasks.add("square", |n: f64| n * n);
        let pool = Pool::builder().threads(1).start(tasks).unwrap();
        assert_eq!(pool.call_when(square, brought(3.0)).wait().unwrap(), 9.0);
        assert_eq!(block_on(pool.call_when(square, brought(4.0))).unwrap(), 16.0);
    });
}

#[test]
fn an_argument_that_fails_is_an_error_and_no_call() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let count = tasks.add("count", move |_: f64| counted.fetch_add(1, Ordering::SeqCst));
        let pool = Pool::builder().threads(1).start(tasks).unwrap();
        let broken = || async { Err::<f64, _>(std::io::Error::other("the body broke off")) };
        for error in [
            pool.call_when(count, broken()).wait().unwrap_err(),
            block_on(pool.call_when(count, broken())).unwrap_err(),
        ] {
            assert!(matches!(&error, CallError::Input(_)), "{error:?}");
            assert!(error.to_string().contains("the body broke off"), "{error}");
        }
        // Dropped before its argument is there.
        let mut call = pool.call_when(count, core::future::pending::<Result<f64, Infallible>>());
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut call).poll(&mut context).is_pending());
        drop(call);
        assert_eq!((pool.in_flight(), runs.load(Ordering::SeqCst)), (0, 0));
    });
}

#[test]
fn a_call_with_a_future_argument_is_aborted_with_its_handle_on_request() {
    within_deadline(|| {
        let (tasks, remote) = knit_tests::async_tasks::table();
        let pool = Pool::builder().threads(1).start(tasks).unwrap();
        let key = pool_support::fresh_path("input");
        let argument = key.clone();
        let argument = async move { Ok::<_, Infallible>(argument) };
        let mut call = pool.call_when(remote.wait, argument).abort_on_drop();
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut call).poll(&mut context).is_pending());
        // The worker has begun with it when it answers this.
        pool.call(remote.square, 1.0).wait().unwrap();
        drop(call);
        until("its future is dropped", || {
            pool.call(remote.dropped, key.clone()).wait().unwrap() == 1
        });
    });
}

#[test]
fn a_shutdown_says_how_many_calls_it_did_not_wait_for() {
    within_deadline(|| {
        let table = || {
            let mut tasks = Tasks::new();
            let (enter, entered) = channel();
            let (go, going) = channel::<()>();
            let going = Mutex::new(going);
            let block = tasks.add("block", move |(): ()| {
                enter.send(()).unwrap();
                let _ = going.lock().unwrap().recv();
            });
            (tasks, block, entered, go)
        };
        let (tasks, block, entered, go) = table();
        let pool = Pool::builder().threads(1).start(tasks).unwrap();
        let calls = [pool.call(block, ()), pool.call(block, ())];
        entered.recv().unwrap();
        let error = pool.shutdown(Duration::ZERO).unwrap_err();
        assert_eq!(error.calls, 2);
        for call in calls {
            assert!(matches!(call.wait(), Err(CallError::Closed)));
        }
        drop(go);
        // With time enough, calls end first.
        let (tasks, block, entered, go) = table();
        let pool = Pool::builder().threads(1).start(tasks).unwrap();
        let call = pool.call(block, ());
        entered.recv().unwrap();
        let closing = std::thread::spawn(move || pool.shutdown(Duration::from_secs(600)));
        go.send(()).unwrap();
        closing.join().unwrap().unwrap();
        call.wait().unwrap();
    });
}
