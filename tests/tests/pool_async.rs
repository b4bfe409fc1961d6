//! Tasks that are futures, on worker processes and on worker threads.

mod pool_support;

use knit_lanes::{Builder, CallError, Pool, TaskFailure};
use knit_tests::async_tasks::{Remote, table};
use pool_support::gate::Gate;
use pool_support::{fresh_path, within_deadline};
use std::ffi::OsString;

const WORKER: &str = env!("CARGO_BIN_EXE_knit-test-async-worker");

/// Runs the same on a worker process and on a worker thread.
fn on_both(body: impl Fn(&Pool, Remote) + Send + Clone + 'static) {
    let process = |builder: Builder| builder.command(WORKER, [] as [OsString; 0]).processes(1);
    for kind in [process, |builder: Builder| builder.threads(1)] {
        let body = body.clone();
        within_deadline(move || {
            let (tasks, remote) = table();
            let pool = kind(Pool::builder()).start(tasks).unwrap();
            body(&pool, remote);
        });
    }
}

fn key(name: &str) -> String {
    // Worker threads of all tests share the keys.
    fresh_path(name)
}

#[test]
fn thirty_one_futures_wait_on_one_worker_until_another_call_ends_them() {
    on_both(|pool, remote| {
        let keys: Vec<_> = (0..31).map(|n| key(&format!("many-{n}"))).collect();
        let waits: Vec<_> = keys.iter().map(|key| pool.call(remote.wait, key.clone())).collect();
        for key in keys.iter().rev() {
            assert!(pool.call(remote.fire, key.clone()).wait().unwrap());
        }
        for (key, wait) in keys.iter().zip(waits) {
            assert_eq!(wait.wait().unwrap(), *key);
        }
    });
}

/// KD-24: a future that waits holds up no other call of its lane. There are so many calls that a pause of some milliseconds before
/// each would not be over in time.
#[test]
fn a_function_is_called_while_a_future_waits() {
    on_both(|pool, remote| {
        let key = key("beside");
        let wait = pool.call(remote.wait, key.clone());
        for n in 0..10_000 {
            assert_eq!(pool.call(remote.square, f64::from(n)).wait().unwrap(), f64::from(n * n));
        }
        assert!(!wait.is_done());
        pool.call(remote.fire, key.clone()).wait().unwrap();
        assert_eq!(wait.wait().unwrap(), key);
    });
}

/// KD-24.
#[test]
fn a_worker_that_sleeps_is_woken_by_another_thread_of_its_own() {
    on_both(|pool, remote| {
        for _ in 0..20 {
            let gate = Gate::new();
            let read = pool.call(remote.read, gate.path());
            // The thread reads now, and the worker has nothing to do until the gate opens.
            let held = gate.entered();
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| read.wait());
                drop(held);
                assert_eq!(waiting.join().unwrap().unwrap(), 0);
            });
        }
    });
}

#[test]
fn a_future_goes_on_each_time_it_is_woken() {
    on_both(|pool, remote| {
        let yields: Vec<_> = (0..32).map(|n| pool.call(remote.yields, n * 10)).collect();
        for (n, call) in (0..).zip(yields) {
            assert_eq!(call.wait().unwrap(), n * 10);
        }
    });
}

#[test]
fn the_future_of_an_aborted_call_is_dropped_though_its_worker_sleeps() {
    on_both(|pool, remote| {
        let key = key("aborted");
        let wait = pool.call(remote.wait, key.clone());
        // The worker has begun the future when it answers this, and then goes to sleep.
        pool.call(remote.square, 1.0).wait().unwrap();
        wait.abort();
        assert!(matches!(wait.wait(), Err(CallError::Aborted { may_have_run: true })));
        // Its place comes free.
        pool_support::until("the place is free", || pool.in_flight() == 0);
        assert_eq!(pool.call(remote.dropped, key).wait().unwrap(), 1);
    });
}

#[test]
fn the_future_of_a_call_whose_time_is_over_is_dropped() {
    on_both(|pool, remote| {
        let key = key("late");
        let timeout = std::time::Duration::from_millis(1);
        let call = pool.call(remote.wait.with_timeout(timeout), key.clone());
        assert!(matches!(call.wait(), Err(CallError::TimedOut { .. })));
        pool_support::until("the place is free", || pool.in_flight() == 0);
        // It may have ended in the queue, before there was a future.
        assert!(pool.call(remote.dropped, key).wait().unwrap() <= 1);
    });
}

#[test]
fn errors_and_panics_of_futures_come_back_and_the_worker_goes_on() {
    std::panic::set_hook(Box::new(|_| {}));
    on_both(|pool, remote| {
        let failure = |outcome: Result<f64, CallError>| match outcome {
            Err(CallError::Task(error)) => (error.failure, error.error.message().to_owned()),
            other => panic!("{other:?}"),
        };
        let panicked = TaskFailure::Panicked;
        let outcome = failure(pool.call(remote.panics, ()).wait());
        assert_eq!(outcome, (panicked, "in a future".to_owned()));
        let outcome = failure(pool.call(remote.panics_at_once, ()).wait());
        assert_eq!(outcome, (panicked, "at once".to_owned()));
        let outcome = failure(pool.call(remote.fails, ()).wait());
        assert_eq!(outcome, (TaskFailure::Returned, "after a moment".to_owned()));
        let call = pool.call(remote.panics_in_drop, ());
        call.abort();
        pool_support::until("the place is free", || pool.in_flight() == 0);
        assert_eq!(pool.call(remote.square, 2.0).wait().unwrap(), 4.0);
    });
}

#[test]
fn a_future_takes_and_returns_a_shared_buffer() {
    on_both(|pool, remote| {
        let buffer = knit_lanes::SharedBuffer::new(100).unwrap();
        let same = pool.call(remote.bump, buffer.clone()).wait().unwrap();
        assert_eq!((buffer.to_vec(), same.to_vec()), (vec![1; 100], vec![1; 100]));
    });
}

#[test]
fn a_future_that_wakes_itself_without_end_ends_with_its_pool() {
    within_deadline(|| {
        let (mut tasks, remote) = table();
        let alive = std::sync::Arc::new(());
        let held = std::sync::Arc::clone(&alive);
        tasks.add("held", move |(): ()| drop(std::sync::Arc::clone(&held)));
        let builder = Pool::builder().threads(1).drain_timeout(std::time::Duration::ZERO);
        let pool = builder.start(tasks).unwrap();
        let call = pool.call(remote.yields, u32::MAX);
        // It does not keep the others from having their turns.
        pool.call(remote.square, 1.0).wait().unwrap();
        assert_eq!(pool.call(remote.yields, 100).wait().unwrap(), 100);
        drop(pool);
        assert!(matches!(call.wait(), Err(CallError::Closed)));
        // The thread has the table for as long as it runs.
        pool_support::until("the thread has ended", || std::sync::Arc::strong_count(&alive) == 1);
    });
}

#[test]
fn futures_that_wait_when_the_pool_closes_are_dropped() {
    within_deadline(|| {
        let (tasks, remote) = table();
        let key = key("closing");
        let builder = Pool::builder().threads(1).drain_timeout(std::time::Duration::ZERO);
        let pool = builder.start(tasks).unwrap();
        let wait = pool.call(remote.wait, key.clone());
        pool.call(remote.square, 1.0).wait().unwrap();
        drop(pool);
        assert!(matches!(wait.wait(), Err(CallError::Closed)));
        let (tasks, remote) = table();
        let pool = Pool::builder().threads(1).start(tasks).unwrap();
        // The thread that was let go of has seen the end of its lane by itself.
        pool_support::until("the future is dropped", || {
            pool.call(remote.dropped, key.clone()).wait().unwrap() == 1
        });
    });
}
