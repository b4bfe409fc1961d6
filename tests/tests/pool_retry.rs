//! Calls whose worker dies before it has begun with them: they are made again, unless somebody does not
//! want that or it does not help.

mod pool_support;

use knit_lanes::{CallError, Pool, Tasks, WorkerExit};
use pool_support::gate::Gate;
use pool_support::process::{is_gone, kill};
use pool_support::worker::{WORKER, only_worker, pool, tasks};
use pool_support::{fresh_path, within_deadline};

#[track_caller]
fn assert_died<T: core::fmt::Debug>(outcome: Result<T, CallError>) {
    let died = matches!(outcome, Err(CallError::WorkerDied { may_have_run: true, .. }));
    assert!(died, "{outcome:?}");
}

/// LANE-37. The tasks write down which of them runs.
#[test]
fn calls_that_did_not_start_are_made_again_once_and_in_their_order() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let worker = only_worker(&pool);
        let gate = Gate::new();
        let first = pool.call(remote.hold, gate.path());
        let file = fresh_path("order");
        // 31 are with the worker, and what is in the queue comes after them.
        let calls: Vec<_> =
            (0..80).map(|n| pool.call(remote.append, format!("{file} {n}"))).collect();
        let held = gate.entered();
        kill(worker);
        assert_died(first.wait());
        for call in calls {
            call.wait().unwrap();
        }
        let expected: String = (0..80).map(|n| format!("{n}\n")).collect();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
        std::fs::remove_file(file).unwrap();
        drop(held);
    });
}

#[test]
fn a_task_that_opts_out_is_told_that_it_did_not_run() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let worker = only_worker(&pool);
        let gate = Gate::new();
        let first = pool.call(remote.hold, gate.path());
        let once = pool.call(remote.square.without_retry(), 2.0);
        let again = pool.call(remote.square, 2.0);
        let held = gate.entered();
        kill(worker);
        assert_died(first.wait());
        let outcome = once.wait();
        assert!(outcome.as_ref().unwrap_err().to_string().contains("did not run"));
        assert!(
            matches!(outcome, Err(CallError::WorkerDied { may_have_run: false, .. })),
            "{outcome:?}"
        );
        assert_eq!(again.wait().unwrap(), 4.0);
        drop(held);
    });
}

/// A call that was given up is not made again; one that runs out of time in the queue is told that it did not run.
#[test]
fn calls_that_are_given_up_are_not_made_again() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let worker = only_worker(&pool);
        let gate = Gate::new();
        let first = pool.call(remote.hold, gate.path());
        let path = fresh_path("count");
        let aborted = pool.call(remote.count, path.clone());
        let other = pool.call(remote.square, 2.0);
        let held = gate.entered();
        aborted.abort();
        kill(worker);
        assert_died(first.wait());
        assert!(matches!(aborted.wait(), Err(CallError::Aborted { may_have_run: true })));
        assert_eq!(other.wait().unwrap(), 4.0);
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
        assert!(!std::fs::exists(path).unwrap(), "the aborted call was made again");
        drop(held);
    });
}

/// A worker that ends before it has begun, again and again: the call is given back.
#[test]
fn a_call_is_not_made_again_for_ever() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let text = tasks.declare::<String, String>("text");
        let program = env!("CARGO_BIN_EXE_knit-test-villain");
        let pool = Pool::builder().command(program, ["leaves"]).processes(1).start(tasks).unwrap();
        match pool.call(text, "x".to_owned()).wait() {
            Err(CallError::WorkerDied {
                exit: WorkerExit::Code(7), may_have_run: false, ..
            }) => {}
            other => panic!("{other:?}"),
        }
    });
}

/// LANE-36: the process that was started is not the last one that has the worker's descriptors. It could be a sandbox
/// whose worker lives on for a moment.
#[test]
fn nothing_is_made_again_while_the_worker_may_live_on() {
    within_deadline(|| {
        let file = fresh_path("afterlife");
        let script = "sleep 1000 & echo $! >> \"$1\"; exec \"$0\"";
        let (tasks, remote) = tasks();
        let builder = Pool::builder().command("sh", ["-c", script, WORKER, &file]).processes(1);
        let pool = builder.start(tasks).unwrap();
        let worker = only_worker(&pool);
        let gate = Gate::new();
        let calls: Vec<_> = (0..4).map(|_| pool.call(remote.hold, gate.path())).collect();
        let held = gate.entered();
        kill(worker);
        for call in calls {
            assert_died(call.wait());
        }
        drop(held);
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
        drop(pool);
        let left = std::fs::read_to_string(&file).unwrap();
        for sleeper in left.lines().map(|line| line.parse().unwrap()) {
            assert!(!is_gone(sleeper), "it had the descriptors all the time");
            kill(sleeper);
        }
        std::fs::remove_file(file).unwrap();
    });
}
