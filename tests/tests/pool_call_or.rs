//! Calls that come to a value of their caller's when they take too long.

mod pool_support;

use knit_lanes::{CallError, CallOr, QueuePolicy, TaskFailure};
use pool_support::futures::{block_on, join_all};
use pool_support::gate::Gate;
use pool_support::worker::{builder, pool, start};
use pool_support::{DEADLINE, until, within_deadline};
use std::time::Duration;

/// A timeout that passes while the test looks on.
const SHORT: Duration = Duration::from_millis(30);
/// One that does not.
const LONG: Duration = Duration::from_secs(600);

/// With the worker, in the queue, and in the line for it; whoever waits and how.
#[test]
fn a_call_that_takes_too_long_comes_to_the_value() {
    within_deadline(|| {
        let (pool, remote) = start(builder(1).queue_limit(2).queue_policy(QueuePolicy::Wait));
        let gate = Gate::new();
        let long = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let square = remote.square.with_timeout_or(SHORT, -1.0);
        assert_eq!((square.task().timeout(), *square.value()), (Some(SHORT), -1.0));
        let wait = |call: CallOr<f64>| call.wait_timeout(DEADLINE).unwrap();
        let mut others = Vec::new();
        // First all four are with the worker, whose places are taken after that. Then two are in the queue and two in the line.
        for places in [32 - 1 - 4, 0] {
            assert_eq!(pool.call_or(&square, 2.0).wait().unwrap(), -1.0);
            assert_eq!(block_on(pool.call_or(&square, 2.0)).unwrap(), -1.0);
            assert_eq!(wait(pool.call_or(&square, 2.0)).unwrap(), -1.0);
            let call = pool.call(remote.square.with_timeout(SHORT), 2.0).or_on_timeout(7.5);
            until("it is over", || call.is_done());
            assert_eq!(call.wait().unwrap(), 7.5);
            others.extend((0..places).map(|_| pool.call(remote.square, 3.0)));
        }
        let metrics = pool.metrics();
        assert_eq!((metrics.lanes[0].given_up, metrics.queue.given_up), (4, 4));
        assert_eq!((metrics.queue.depth, metrics.queue.waited), (2, 2));
        drop(held);
        long.wait().unwrap();
        for call in others {
            assert_eq!(call.wait().unwrap(), 9.0);
        }
        // The answers that nobody wanted are no calls' values.
        let square = remote.square.with_timeout_or(LONG, -1.0);
        for n in 0..100 {
            let n = f64::from(n);
            assert_eq!(pool.call_or(&square, n).wait().unwrap(), n * n);
        }
        let calls = join_all((0..100).map(|n| pool.call_or(&square, f64::from(n))));
        for (n, value) in (0..).zip(calls) {
            assert_eq!(value.unwrap(), f64::from(n * n));
        }
        until("every place is free", || pool.in_flight() == 0);
    });
}

#[test]
fn other_errors_stay_errors() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let fail = remote.fail.with_timeout_or(LONG, 1.0);
        match pool.call_or(&fail, ()).wait() {
            Err(CallError::Task(error)) => assert_eq!(error.failure, TaskFailure::Returned),
            other => panic!("{other:?}"),
        }
        let gate = Gate::new();
        let call = pool.call(remote.hold, gate.path()).or_on_timeout(1);
        let held = gate.entered();
        // The time of a wait is not that of the call.
        let call = call.wait_timeout(SHORT).unwrap_err();
        assert!(!call.is_done());
        call.abort();
        assert!(matches!(call.wait(), Err(CallError::Aborted { may_have_run: true })));
        drop(held);
        let gate = Gate::new();
        let call = pool.call(remote.until_aborted, gate.path()).or_on_timeout(true);
        drop(gate.entered());
        drop(call.abort_on_drop());
        assert_eq!(pool.call(remote.square, 3.0).or_on_timeout(0.0).wait().unwrap(), 9.0);
        let exit = remote.exit.with_timeout_or(LONG, 1.0);
        assert!(matches!(pool.call_or(&exit, 3).wait(), Err(CallError::WorkerDied { .. })));
    });
}

/// A value that is no copy type is cloned for each call, and a handle can go to another thread.
#[test]
fn a_handle_serves_many_calls_and_threads() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let gate = Gate::new();
        let long = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let text = remote.text.with_timeout_or(SHORT, "late".to_owned());
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let (pool, text) = (&pool, text.clone());
                scope.spawn(move || {
                    for _ in 0..2 {
                        let call = pool.call_or(&text, "x".to_owned());
                        let waits = std::thread::spawn(move || call.wait().unwrap());
                        assert_eq!(waits.join().unwrap(), "late");
                    }
                });
            }
        });
        assert_eq!(pool.metrics().lanes[0].given_up, 6);
        drop(held);
        long.wait().unwrap();
        let text = remote.text.with_timeout_or(LONG, "late".to_owned());
        assert_eq!(pool.call_or(&text, "x".to_owned()).wait().unwrap(), "x");
    });
}
