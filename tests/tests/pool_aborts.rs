//! Calls that nobody waits for to the end: aborted, out of time, dropped. The place of such a call comes free,
//! its task can see it, and nothing of it reaches another call.

mod pool_support;

use knit_lanes::{CallError, TaskFailure};
use pool_support::futures::{block_on, poll_once};
use pool_support::gate::{Gate, Held};
use pool_support::process::until_gone;
use pool_support::worker::{Remote, builder, pool, start};
use pool_support::{fresh_path, until, within_deadline};
use std::fs::read_to_string;
use std::time::{Duration, Instant};

/// A timeout that passes while the test looks on.
const SHORT: Duration = Duration::from_millis(30);
/// One that does not.
const LONG: Duration = Duration::from_secs(600);

/// A call that keeps the only worker busy until the second value is dropped.
fn occupy(pool: &knit_lanes::Pool, remote: Remote) -> (knit_lanes::Call<u32>, Held) {
    let gate = Gate::new();
    let call = pool.call(remote.hold, gate.path());
    let held = gate.entered();
    (call, held)
}

/// LANE-16. KD-9: abort signals do not run out.
#[test]
fn an_aborted_task_sees_it_and_its_place_comes_free() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        for _ in 0..100 {
            let gate = Gate::new();
            let call = pool.call(remote.until_aborted, gate.path());
            drop(gate.entered());
            call.abort();
            assert!(call.is_done());
            let error = call.wait().unwrap_err();
            assert!(matches!(error, CallError::Aborted { may_have_run: true }), "{error}");
        }
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
        until("every place is free", || pool.in_flight() == 0);
    });
}

/// LANE-23.
#[test]
fn a_later_call_in_the_same_place_is_not_aborted() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let gates: Vec<_> = (0..3).map(|_| Gate::new()).collect();
        for gate in &gates {
            let call = pool.call(remote.until_aborted, gate.path());
            drop(gate.entered());
            drop(call.abort_on_drop());
            let calls: Vec<_> = (0..64).map(|_| pool.call(remote.is_aborted, ())).collect();
            for call in calls {
                assert!(!call.wait().unwrap());
            }
        }
    });
}

#[test]
fn a_call_that_is_aborted_before_its_task_begins_never_runs() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let (first, held) = occupy(&pool, remote);
        let path = fresh_path("aborted");
        // Thirty-one are with the worker, behind the first; the others wait in the queue.
        let calls: Vec<_> = (0..40).map(|_| pool.call(remote.count, path.clone())).collect();
        for call in &calls {
            call.abort();
        }
        let last = pool.call(remote.square, 2.0);
        let with_worker = calls.into_iter().map(|call| match call.wait() {
            Err(CallError::Aborted { may_have_run }) => may_have_run,
            other => panic!("{other:?}"),
        });
        assert_eq!(with_worker.filter(|with_worker| *with_worker).count(), 31);
        drop(held);
        first.wait().unwrap();
        assert_eq!(last.wait().unwrap(), 4.0);
        // None of them has run.
        assert!(read_to_string(&path).is_err());
        until("every place is free", || pool.in_flight() == 0);
    });
}

#[test]
fn a_call_that_is_over_cannot_be_aborted() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let call = pool.call(remote.square, 3.0);
        until("it is answered", || call.is_done());
        call.abort();
        assert_eq!(call.wait().unwrap(), 9.0);
        let refused = pool.call(remote.missing, 1.0);
        until("it is answered", || refused.is_done());
        refused.abort();
        let Err(CallError::Task(error)) = refused.wait() else { panic!("it has no such task") };
        assert_eq!(error.failure, TaskFailure::Unknown);
    });
}

/// KD-2, C18: no answer after the time that the call had, whoever waits for it and how.
#[test]
fn a_call_ends_with_its_time() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let (first, held) = occupy(&pool, remote);
        let square = remote.square.with_timeout(SHORT);
        let timed_out = |outcome: Result<f64, CallError>, expected: bool| {
            let error = outcome.unwrap_err();
            let CallError::TimedOut { timeout, may_have_run } = error else { panic!("{error}") };
            assert_eq!((timeout, may_have_run), (SHORT, expected));
        };
        // With the worker, waited for by a thread, as a future, and by nobody.
        timed_out(pool.call(square, 1.0).wait(), true);
        timed_out(block_on(pool.call(square, 1.0)), true);
        let call = pool.call(square, 1.0);
        until("it is over", || call.is_done());
        timed_out(call.wait(), true);
        // In the queue.
        let others: Vec<_> = (0..28).map(|_| pool.call(remote.square, 5.0)).collect();
        timed_out(pool.call(square, 1.0).wait(), false);
        timed_out(block_on(pool.call(square, 1.0)), false);
        drop(held);
        first.wait().unwrap();
        for call in others {
            assert_eq!(call.wait().unwrap(), 25.0);
        }
        until("every place is free", || pool.in_flight() == 0);
    });
}

#[test]
fn a_call_that_is_quick_enough_has_its_value() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let square = remote.square.with_timeout(LONG);
        assert_eq!(square.timeout(), Some(LONG));
        for n in 0..2000 {
            assert_eq!(pool.call(square, f64::from(n)).wait().unwrap(), f64::from(n * n));
        }
        // A timeout of no time: the value or the timeout, and the pool goes on.
        let at_once = remote.square.with_timeout(Duration::ZERO);
        for _ in 0..200 {
            match pool.call(at_once, 3.0).wait() {
                Ok(value) => assert_eq!(value, 9.0),
                Err(error) => assert!(matches!(error, CallError::TimedOut { .. }), "{error}"),
            }
        }
        until("every place is free", || pool.in_flight() == 0);
    });
}

/// A worker that never lets go of a call is replaced.
#[test]
fn a_worker_that_ignores_an_abort_is_killed() {
    within_deadline(|| {
        let (pool, remote) = start(builder(1).hard_timeout(SHORT));
        let before = pool.worker_ids();
        let stuck = pool.call(remote.never.with_timeout(SHORT), ());
        let behind = pool.call(remote.square, 3.0);
        let error = stuck.wait().unwrap_err();
        assert!(matches!(error, CallError::TimedOut { may_have_run: true, .. }), "{error}");
        // The worker had not begun with it: the next one runs it.
        assert_eq!(behind.wait().unwrap(), 9.0);
        until_gone(&before);
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
        assert_ne!(pool.worker_ids(), before);
    });
}

#[test]
fn a_worker_that_answers_in_time_is_not_killed() {
    within_deadline(|| {
        let (pool, remote) = start(builder(1).hard_timeout(LONG));
        let before = pool.worker_ids();
        let (first, held) = occupy(&pool, remote);
        first.abort();
        assert!(matches!(first.wait(), Err(CallError::Aborted { may_have_run: true })));
        let next = pool.call(remote.pid, ());
        drop(held);
        assert_eq!(vec![next.wait().unwrap()], before);
    });
}

#[test]
fn a_dropped_handle_aborts_when_it_was_asked_to() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let gate = Gate::new();
        let mut call = pool.call(remote.until_aborted, gate.path()).abort_on_drop();
        // A future that was polled, too.
        assert!(poll_once(&mut call).is_pending());
        drop(gate.entered());
        drop(call);
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
        // Without it the task runs to its end.
        let path = fresh_path("dropped");
        drop(pool.call(remote.count, path.clone()));
        until("the task has run", || read_to_string(&path).is_ok_and(|text| text == "."));
        std::fs::remove_file(path).unwrap();
    });
}

/// Aborts race with answers, from many threads: every call ends once, with its own value or as
/// aborted.
#[test]
fn aborts_race_with_answers() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let end = Instant::now() + Duration::from_secs(2);
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let pool = &pool;
                scope.spawn(move || {
                    let (mut values, mut aborted, mut number) = (0, 0, 0);
                    // A thread that comes late has one of each all the same.
                    while Instant::now() < end || values == 0 || aborted == 0 {
                        number += 1;
                        let n = f64::from(thread * 1_000_000 + number);
                        let calls: Vec<_> =
                            (0..8).map(|k| pool.call(remote.square, n + f64::from(k))).collect();
                        for (k, call) in (0..).zip(calls) {
                            if (number + k) % 3 == 0 {
                                call.abort();
                            }
                            match call.wait() {
                                Ok(value) => {
                                    let n = n + f64::from(k);
                                    assert_eq!(value, n * n);
                                    values += 1;
                                }
                                Err(CallError::Aborted { .. }) => aborted += 1,
                                Err(error) => panic!("{error}"),
                            }
                        }
                    }
                });
            }
        });
        until("every place is free", || pool.in_flight() == 0);
    });
}
