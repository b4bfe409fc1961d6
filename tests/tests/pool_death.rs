//! Workers that die: their calls fail at once with a typed error, and other workers take over. KD-6.

mod pool_support;

use knit_lanes::{Boot, CallError, Pool, StartError, Tasks, WorkerExit};
use pool_support::futures::{block_on, join_all};
use pool_support::gate::Gate;
use pool_support::process::{
    is_gone, kill, signal, this_thread, until_asleep, until_gone, until_stopped,
};
use pool_support::worker::{Remote, builder, only_worker, pool, start};
use pool_support::{DEADLINE, until, within_deadline};
use rustix::process::Signal;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const KILLED: WorkerExit = WorkerExit::Signal(9);

/// The call's worker died, and the task may have run.
#[track_caller]
fn assert_died<T: core::fmt::Debug>(outcome: Result<T, CallError>, expected: WorkerExit) {
    match outcome {
        Err(CallError::WorkerDied { exit, may_have_run: true, .. }) if exit == expected => {}
        other => panic!("expected a worker that {expected}, found {other:?}"),
    }
}

/// The call's worker was killed. Where workers are killed as soon as they are ready, eight can die before they
/// begin with one call.
#[track_caller]
fn assert_killed<T: core::fmt::Debug>(outcome: Result<T, CallError>) {
    let killed = matches!(outcome, Err(CallError::WorkerDied { exit: KILLED, .. }));
    assert!(killed, "{outcome:?}");
}

/// The call's worker was killed, and the task did not run.
#[track_caller]
fn assert_not_run<T: core::fmt::Debug>(outcome: Result<T, CallError>) {
    match outcome {
        Err(CallError::WorkerDied { exit: KILLED, may_have_run: false, .. }) => {}
        other => panic!("expected a worker that {KILLED}, found {other:?}"),
    }
}

/// The next call after a death succeeds, on another process.
#[track_caller]
fn assert_replaced(pool: &Pool, remote: Remote, dead: u32) {
    let worker = pool.call(remote.pid, ()).wait().unwrap();
    assert_ne!(worker, dead);
    assert_eq!(pool.worker_ids(), [worker]);
    assert!(is_gone(dead));
}

/// LANE-36, LANE-37.
#[test]
fn a_kill_in_the_middle_of_32_calls_fails_the_one_that_ran() {
    // C9: for each call it is known whether it finished, may have run, or did not start.
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let worker = only_worker(&pool);
        let gate = Gate::new();
        let first = pool.call(remote.hold, gate.path());
        let others: Vec<_> = (0..31).map(|_| pool.call(remote.pid, ())).collect();
        let held = gate.entered();
        assert_eq!(pool.in_flight(), 32);
        let start = Instant::now();
        kill(worker);
        assert_died(first.wait(), KILLED);
        println!("from SIGKILL to the error: {:?}", start.elapsed());
        for call in others {
            assert_ne!(call.wait().unwrap(), worker);
        }
        println!("from SIGKILL to the 31st answer: {:?}", start.elapsed());
        drop(held);
        assert_replaced(&pool, remote, worker);
    });
}

#[test]
fn a_kill_in_the_middle_of_32_calls_without_retries_fails_all_32() {
    within_deadline(|| {
        let (pool, remote) = start(builder(1).retry(false));
        let worker = only_worker(&pool);
        let gate = Gate::new();
        let first = pool.call(remote.hold, gate.path());
        let others: Vec<_> = (0..31).map(|_| pool.call(remote.square, 2.0)).collect();
        let held = gate.entered();
        assert_eq!(pool.in_flight(), 32);
        let start = Instant::now();
        kill(worker);
        assert_died(first.wait(), KILLED);
        for call in others {
            assert_not_run(call.wait());
        }
        println!("from SIGKILL to the 32nd error: {:?}", start.elapsed());
        drop(held);
        assert_replaced(&pool, remote, worker);
        println!("from SIGKILL to the next answer: {:?}", start.elapsed());
    });
}

/// LANE-24.
#[test]
fn calls_that_were_answered_before_the_kill_keep_their_values() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let worker = only_worker(&pool);
        let gate = Gate::new();
        // A lane is first in, first out: the worker answers these before it enters `hold`, and no
        // thread of the host reads the answers.
        let answered: Vec<_> = (0..16).map(|n| pool.call(remote.square, f64::from(n))).collect();
        let inside = pool.call(remote.hold, gate.path());
        let behind: Vec<_> = (0..15).map(|_| pool.call(remote.square, 2.0)).collect();
        let held = gate.entered();
        kill(worker);
        until_gone(&[worker]);
        assert_died(inside.wait(), KILLED);
        for (n, call) in answered.into_iter().enumerate() {
            assert_eq!(call.wait().unwrap(), (n * n) as f64);
        }
        for call in behind {
            assert_eq!(call.wait().unwrap(), 4.0);
        }
        drop(held);
        assert_replaced(&pool, remote, worker);
    });
}

/// WAKE-7.
#[test]
fn death_wakes_every_thread_that_sleeps() {
    // C3: a wait at any point ends when the peer dies.
    within_deadline(|| {
        for retry in [false, true] {
            death_wakes_every_thread(retry);
        }
    });
}

fn death_wakes_every_thread(retry: bool) {
    let (pool, remote) = start(builder(1).spin(Duration::ZERO).retry(retry));
    let worker = only_worker(&pool);
    let gate = Gate::new();
    let first = pool.call(remote.hold, gate.path());
    let held = gate.entered();
    std::thread::scope(|scope| {
        let (started, threads) = std::sync::mpsc::channel();
        for n in 0..9 {
            let (pool, started) = (&pool, started.clone());
            scope.spawn(move || {
                let call = pool.call(remote.square, 2.0);
                started.send(this_thread()).unwrap();
                let outcome = match n % 3 {
                    0 => call.wait(),
                    1 => call.wait_timeout(Duration::from_secs(60)).unwrap(),
                    _ => block_on(call),
                };
                if retry {
                    assert_eq!(outcome.unwrap(), 4.0);
                } else {
                    assert_not_run(outcome);
                }
            });
        }
        for thread in threads.iter().take(9) {
            until_asleep(&thread);
        }
        kill(worker);
    });
    assert_died(first.wait(), KILLED);
    drop(held);
    assert_replaced(&pool, remote, worker);
}

#[test]
fn a_worker_that_ends_itself_fails_its_call_with_its_status() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        for code in [3, 0, 255] {
            let worker = only_worker(&pool);
            assert_died(pool.call(remote.exit, code).wait(), WorkerExit::Code(code));
            assert_replaced(&pool, remote, worker);
        }
        let worker = only_worker(&pool);
        let outcome = pool.call(remote.abort, ()).wait();
        let text = outcome.as_ref().unwrap_err().to_string();
        assert!(text.contains("signal 6") && text.contains("may have run"), "{text}");
        assert_died(outcome, WorkerExit::Signal(6));
        assert_replaced(&pool, remote, worker);
    });
}

#[test]
fn futures_end_with_the_worker() {
    within_deadline(|| {
        let (pool, remote) = start(builder(1).retry(false));
        let worker = only_worker(&pool);
        let gate = Gate::new();
        let inside = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        std::thread::scope(|scope| {
            let calls: Vec<_> = (0..20).map(|_| pool.call(remote.square, 2.0)).collect();
            let (started, thread) = std::sync::mpsc::channel();
            scope.spawn(move || {
                started.send(this_thread()).unwrap();
                for outcome in join_all(calls) {
                    assert_not_run(outcome);
                }
            });
            until_asleep(&thread.recv().unwrap());
            kill(worker);
        });
        assert_died(block_on(inside), KILLED);
        drop(held);
        assert_replaced(&pool, remote, worker);
    });
}

#[test]
fn queued_calls_survive_the_death_of_a_worker() {
    // KD-6: after a death every later call on that lane hung.
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let worker = only_worker(&pool);
        let gate = Gate::new();
        let first = pool.call(remote.hold, gate.path());
        let with_worker: Vec<_> = (0..31).map(|_| pool.call(remote.pid, ())).collect();
        let held = gate.entered();
        let queued: Vec<_> = (0..100).map(|_| pool.call(remote.pid, ())).collect();
        assert_eq!(pool.in_flight(), 132);
        kill(worker);
        assert_died(first.wait(), KILLED);
        let mut next = Vec::new();
        for call in with_worker.into_iter().chain(queued) {
            next.push(call.wait().unwrap());
        }
        drop(held);
        next.dedup();
        assert_eq!(next, pool.worker_ids());
        assert_ne!(next, [worker]);
    });
}

#[test]
fn threads_that_wait_in_the_queue_survive_the_death_of_a_worker() {
    within_deadline(|| {
        let (pool, remote) = start(builder(1).spin(Duration::ZERO));
        let worker = only_worker(&pool);
        let gate = Gate::new();
        let first = pool.call(remote.hold, gate.path());
        let with_worker: Vec<_> = (0..31).map(|_| pool.call(remote.pid, ())).collect();
        let held = gate.entered();
        std::thread::scope(|scope| {
            let (started, threads) = std::sync::mpsc::channel();
            for n in 0..8 {
                let (pool, started) = (&pool, started.clone());
                scope.spawn(move || {
                    let call = pool.call(remote.pid, ());
                    started.send(this_thread()).unwrap();
                    let pid = if n % 2 == 0 { call.wait() } else { block_on(call) };
                    assert_ne!(pid.unwrap(), worker);
                });
            }
            for thread in threads.iter().take(8) {
                until_asleep(&thread);
            }
            kill(worker);
        });
        assert_died(first.wait(), KILLED);
        for call in with_worker {
            assert_ne!(call.wait().unwrap(), worker);
        }
        drop(held);
    });
}

/// Kills a worker that was not killed before, the pool's first one and last one in turn. The pool may
/// list a worker for a moment after its end.
fn kill_another(pool: &Pool, killed: &mut Vec<u32>) -> u32 {
    let mut alive = Vec::new();
    until("a worker is ready", || {
        alive = pool.worker_ids();
        alive.retain(|worker| !killed.contains(worker));
        !alive.is_empty()
    });
    let worker = alive[killed.len() % alive.len()];
    kill(worker);
    killed.push(worker);
    worker
}

/// Says that it is over when it is dropped.
struct Over<'a>(&'a AtomicU32);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(1, Ordering::Relaxed);
    }
}

#[test]
fn twenty_kills_in_a_row_are_survived() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let mut killed = Vec::new();
        for round in 0..20_u32 {
            let worker = kill_another(&pool, &mut killed);
            // A call may be handed to the worker before its end is seen; it then says so.
            let number = f64::from(round);
            let mut died = 0;
            loop {
                match pool.call(remote.square, number).wait() {
                    Ok(squared) => {
                        assert_eq!(squared, number * number);
                        break;
                    }
                    outcome => assert_killed(outcome),
                }
                died += 1;
                assert!(died < 1000, "every call is handed to a dead worker");
            }
            until_gone(&[worker]);
        }
        assert_eq!(pool.in_flight(), 0);
    });
}

/// LANE-14, SEG-18, LANE-22: the next worker has another segment, another epoch, and nothing of the old one.
#[test]
fn every_worker_has_a_segment_and_an_epoch_of_its_own() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let mut seen = Vec::new();
        for _ in 0..4 {
            let worker = pool.call(remote.pid, ()).wait().unwrap();
            let lane = (segment_of(worker), epoch_of(worker));
            let again = seen.iter().any(|(segment, epoch)| *segment == lane.0 || *epoch == lane.1);
            assert!(!again && lane.1 != 0, "{lane:?} after {seen:?}");
            seen.push(lane);
            kill(worker);
            until_gone(&[worker]);
            until("a new worker is ready", || pool.worker_ids().iter().any(|id| *id != worker));
        }
    });
}

/// Inode of the one segment that a worker has mapped.
fn segment_of(worker: u32) -> String {
    let maps = std::fs::read_to_string(format!("/proc/{worker}/maps")).unwrap();
    let mut inodes: Vec<_> = maps
        .lines()
        .filter(|line| line.contains("memfd:knit-lane"))
        .filter_map(|line| line.split_whitespace().nth(4))
        .collect();
    inodes.dedup();
    assert_eq!(inodes.len(), 1, "{maps}");
    inodes[0].to_owned()
}

/// The epoch that a worker was told.
fn epoch_of(worker: u32) -> u32 {
    let environment = std::fs::read(format!("/proc/{worker}/environ")).unwrap();
    let boot = environment.split(|byte| *byte == 0).find_map(|one| one.strip_prefix(b"KNIT_BOOT="));
    Boot::from_json(std::str::from_utf8(boot.expect("a worker")).unwrap()).unwrap().epoch
}

#[test]
fn an_idle_pool_puts_new_workers_to_service() {
    within_deadline(|| {
        // The end of the time to get ready must not be what makes the host look.
        let (pool, remote) = start(builder(2).ready_timeout(2 * DEADLINE));
        let workers = pool.worker_ids();
        for worker in &workers {
            kill(*worker);
        }
        until_gone(&workers);
        until("both lanes have new workers", || {
            let ids = pool.worker_ids();
            ids.len() == 2 && !ids.iter().any(|worker| workers.contains(worker))
        });
        let gates = [Gate::new(), Gate::new()];
        let calls = gates.each_ref().map(|gate| pool.call(remote.hold, gate.path()));
        drop(gates.each_ref().map(Gate::entered));
        for call in calls {
            assert!(!workers.contains(&call.wait().unwrap()));
        }
    });
}

#[test]
fn calls_of_many_threads_end_whenever_workers_die() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let mut killed = Vec::new();
        let over = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let (pool, over) = (&pool, &over);
                scope.spawn(move || {
                    let mut n = 0_u32;
                    while over.load(Ordering::Relaxed) == 0 {
                        n += 1;
                        let (number, bytes) = (f64::from(n), vec![n as u8; 1000]);
                        let (square, echo) =
                            (pool.call(remote.square, number), pool.call(remote.bytes, bytes));
                        let (square, echo) = match thread % 2 {
                            0 => (square.wait(), echo.wait()),
                            _ => (block_on(square), block_on(echo)),
                        };
                        match square {
                            Ok(squared) => assert_eq!(squared, number * number),
                            outcome => assert_killed(outcome),
                        }
                        match echo {
                            Ok(bytes) => assert_eq!(bytes, [n as u8; 1000]),
                            outcome => assert_killed(outcome),
                        }
                    }
                });
            }
            // Also when a check below fails: the threads must end, or the failure is not seen.
            let _over = Over(&over);
            for _ in 0..12 {
                let worker = kill_another(&pool, &mut killed);
                until_gone(&[worker]);
            }
        });
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
    });
}

#[test]
fn calls_fail_when_no_worker_can_be_started_any_more() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let pid = tasks.declare::<(), u32>("pid");
        // A program that serves once: later workers end with status 9.
        let program = env!("CARGO_BIN_EXE_knit-test-villain");
        let pool = Pool::builder().command(program, ["mortal"]).processes(1).start(tasks).unwrap();
        let worker = only_worker(&pool);
        assert_eq!(pool.call(pid, ()).wait().unwrap(), worker);
        kill(worker);
        until_gone(&[worker]);
        let assert_no_workers = |outcome: Result<u32, CallError>| match outcome {
            Err(CallError::NoWorkers(error @ StartError::Exited { exit })) => {
                assert_eq!(exit, WorkerExit::Code(9));
                assert!(error.to_string().contains("status 9"), "{error}");
            }
            // The host had not seen the end of the worker.
            outcome => assert_died(outcome, KILLED),
        };
        std::thread::scope(|scope| {
            for n in 0..6 {
                let pool = &pool;
                scope.spawn(move || {
                    let call = pool.call(pid, ());
                    assert_no_workers(if n % 2 == 0 { call.wait() } else { block_on(call) });
                });
            }
        });
        assert!(matches!(pool.call(pid, ()).wait(), Err(CallError::NoWorkers(_))));
        assert!(matches!(block_on(pool.call(pid, ())), Err(CallError::NoWorkers(_))));
        assert_eq!(pool.worker_ids(), [0; 0]);
        assert_eq!(pool.in_flight(), 0);
        let start = Instant::now();
        drop(pool);
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    });
}

#[test]
fn the_other_lane_serves_while_one_is_replaced() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let workers = pool.worker_ids();
        let gates = [Gate::new(), Gate::new()];
        let calls = gates.each_ref().map(|gate| pool.call(remote.hold, gate.path()));
        let held = gates.each_ref().map(Gate::entered);
        kill(workers[0]);
        until_gone(&[workers[0]]);
        drop(held);
        let mut outcomes: Vec<_> = calls.into_iter().map(knit_lanes::Call::wait).collect();
        let survivor = outcomes.iter().position(Result::is_ok).expect("one worker lives");
        assert_eq!(outcomes.swap_remove(survivor).unwrap(), workers[1]);
        assert_died(outcomes.pop().unwrap(), KILLED);
    });
}

/// LANE-13.
#[test]
fn a_stopped_worker_is_slow_not_dead() {
    // C1, C12: liveness comes from the kernel, never from a clock.
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let worker = only_worker(&pool);
        signal(worker, Signal::STOP);
        until_stopped(worker);
        let calls: Vec<_> = (0..40).map(|_| pool.call(remote.pid, ())).collect();
        let mut calls = calls.into_iter();
        let first = calls.next().unwrap();
        let first = first.wait_timeout(Duration::from_millis(1500)).unwrap_err();
        assert_eq!(pool.worker_ids(), [worker]);
        assert_eq!(pool.in_flight(), 40);
        signal(worker, Signal::CONT);
        assert_eq!(first.wait().unwrap(), worker);
        for call in calls {
            assert_eq!(call.wait().unwrap(), worker);
        }
        assert_eq!(pool.worker_ids(), [worker]);
    });
}

#[test]
fn a_stopped_worker_can_be_killed() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let worker = only_worker(&pool);
        signal(worker, Signal::STOP);
        until_stopped(worker);
        let call = pool.call(remote.pid, ());
        kill(worker);
        assert_ne!(call.wait().unwrap(), worker);
        assert_replaced(&pool, remote, worker);
    });
}
