//! How often a worker is replaced, and what becomes of the pool when one is not any more. The times are those of `Restarts`, whose
//! own tests bring their clock along.

mod pool_support;

use knit_lanes::{CallError, Pool, Restart, StartError, Tasks, WorkerExit};
use pool_support::gate::Gate;
use pool_support::process::{kill, until_gone};
use pool_support::worker::{builder, only_worker, start};
use pool_support::{until, within_deadline};
use std::time::Duration;

const VILLAIN: &str = env!("CARGO_BIN_EXE_knit-test-villain");

/// So many replacements in the life of a lane, without a pause.
fn at_most(most: u32) -> Restart {
    let (first_delay, max_delay) = (Duration::ZERO, Duration::ZERO);
    Restart { most, window: Duration::MAX, first_delay, max_delay, ..Restart::default() }
}

#[track_caller]
fn assert_limit<T: core::fmt::Debug>(outcome: Result<T, CallError>, most: u32, how: WorkerExit) {
    match outcome {
        Err(CallError::NoWorkers(StartError::RestartLimit { restarts, window, exit })) => {
            assert_eq!((restarts, window, exit), (most, Duration::MAX, Some(how)));
        }
        other => panic!("{other:?}"),
    }
}

fn restarts(pool: &Pool) -> Vec<u64> {
    pool.metrics().lanes.iter().map(|lane| lane.restarts).collect()
}

#[test]
fn a_lane_whose_worker_dies_at_each_call_is_given_up_at_its_limit() {
    within_deadline(|| {
        for most in [0, 2, 5] {
            let (pool, remote) = start(builder(1).restart(at_most(most)));
            for _ in 0..=most {
                assert_eq!(pool.lanes_alive(), 1);
                let outcome = pool.call(remote.exit, 7).wait();
                assert!(
                    matches!(outcome, Err(CallError::WorkerDied { exit: WorkerExit::Code(7), .. })),
                    "{outcome:?}"
                );
            }
            for _ in 0..3 {
                assert_limit(pool.call(remote.square, 2.0).wait(), most, WorkerExit::Code(7));
            }
            let text = pool.call(remote.square, 2.0).wait().unwrap_err().to_string();
            assert!(text.contains(&format!("status 7, and {most} restarts within")), "{text}");
            assert_eq!((pool.lanes(), pool.lanes_alive(), pool.in_flight()), (1, 0, 0));
            assert_eq!(restarts(&pool), [u64::from(most)]);
        }
    });
}

#[test]
fn a_lane_whose_worker_dies_at_each_start_is_given_up_at_its_limit() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let pid = tasks.declare::<(), u32>("pid");
        // A program that serves once: later workers end with status 9.
        let villain = Pool::builder().command(VILLAIN, ["mortal"]).processes(1);
        let pool = villain.restart(at_most(3)).start(tasks).unwrap();
        let worker = only_worker(&pool);
        assert_eq!(pool.call(pid, ()).wait().unwrap(), worker);
        kill(worker);
        until_gone(&[worker]);
        let calls: Vec<_> = (0..50).map(|_| pool.call(pid, ())).collect();
        for call in calls {
            // Those that the dead worker was given are made again, and wait in the queue with the others.
            assert_limit(call.wait(), 3, WorkerExit::Code(9));
        }
        assert_eq!((restarts(&pool), pool.lanes_alive(), pool.in_flight()), (vec![3], 0, 0));
    });
}

#[test]
fn the_pool_goes_on_with_the_lanes_that_are_left() {
    within_deadline(|| {
        let restart = Restart { window: Duration::MAX, ..Restart::never() };
        let (pool, remote) = start(builder(2).restart(restart));
        let workers = pool.worker_ids();
        let gates = [Gate::new(), Gate::new()];
        let inside = gates.each_ref().map(|gate| pool.call(remote.hold, gate.path()));
        let held = gates.each_ref().map(Gate::entered);
        // Both lanes have some of them, and the queue.
        let behind: Vec<_> = (0..100).map(|_| pool.call(remote.pid, ())).collect();
        kill(workers[0]);
        until("one lane is given up", || pool.lanes_alive() == 1);
        drop(held);
        let mut outcomes = inside.map(knit_lanes::Call::wait);
        outcomes.sort_by_key(Result::is_ok);
        let [died, lives] = outcomes;
        assert!(matches!(died, Err(CallError::WorkerDied { lane: 0, .. })), "{died:?}");
        assert_eq!(lives.unwrap(), workers[1]);
        for call in behind {
            assert_eq!(call.wait().unwrap(), workers[1]);
        }
        assert_eq!(pool.worker_ids(), workers[1..]);
        assert_eq!((restarts(&pool), pool.lanes(), pool.lanes_alive()), (vec![0, 0], 2, 1));
        kill(workers[1]);
        until("no lane is left", || pool.lanes_alive() == 0);
        assert_limit(pool.call(remote.square, 2.0).wait(), 0, WorkerExit::Signal(9));
        until_gone(&workers);
    });
}

/// Each lane has a limit of its own.
#[test]
fn replacements_of_one_lane_do_not_count_for_another() {
    within_deadline(|| {
        let (pool, remote) = start(builder(2).restart(at_most(1)));
        let first = pool.worker_ids();
        for worker in &first {
            kill(*worker);
        }
        until_gone(&first);
        until("both lanes have new workers", || {
            let now = pool.worker_ids();
            now.len() == 2 && !now.iter().any(|worker| first.contains(worker))
        });
        assert_eq!((restarts(&pool), pool.lanes_alive()), (vec![1, 1], 2));
        kill(pool.worker_ids()[0]);
        until("one lane is given up", || pool.lanes_alive() == 1);
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
        assert_eq!(restarts(&pool), [1, 1]);
    });
}
