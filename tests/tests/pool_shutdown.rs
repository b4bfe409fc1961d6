//! Dropping a pool, and hosts that die: calls end, processes end.

mod pool_support;

use knit_lanes::CallError;
use pool_support::futures::{block_on, poll_once};
use pool_support::gate::Gate;
use pool_support::process::{is_gone, kill, this_thread, until_asleep, until_gone};
use pool_support::worker::{WORKER, builder, pool, start};
use pool_support::{until, within_deadline};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// How long a drop may take that waits for nothing but the end of idle workers.
const PROMPT: Duration = Duration::from_secs(5);

#[track_caller]
fn assert_closed(outcome: Result<f64, CallError>) {
    match outcome {
        Err(CallError::Closed) => {}
        other => panic!("expected a pool that was shut down, found {other:?}"),
    }
}

#[test]
fn dropping_a_pool_lets_calls_finish() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let workers = pool.worker_ids();
        let gate = Gate::new();
        let inside = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        // More than both lanes take: some wait in the queue.
        let others: Vec<_> =
            (0..100_u32).map(|n| (n, pool.call(remote.square, f64::from(n)))).collect();
        let (started, thread) = channel();
        let dropping = std::thread::spawn(move || {
            started.send(this_thread()).unwrap();
            drop(pool);
        });
        until_asleep(&thread.recv().unwrap());
        drop(held);
        dropping.join().unwrap();
        assert!(workers.iter().all(|pid| is_gone(*pid)));
        for (n, call) in others {
            assert_eq!(call.wait().unwrap(), f64::from(n * n));
        }
        assert!(workers.contains(&inside.wait().unwrap()));
    });
}

#[test]
fn dropping_an_idle_pool_is_prompt() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        assert_eq!(pool.call(remote.square, 2.0).wait().unwrap(), 4.0);
        let workers = pool.worker_ids();
        let start = Instant::now();
        drop(pool);
        assert!(start.elapsed() < PROMPT, "{:?}", start.elapsed());
        assert!(workers.into_iter().all(is_gone));
    });
}

/// Drops a pool while `wait` waits for its only call, then lets the call end. The drop must see it.
fn drop_beside(
    wait: impl FnOnce(knit_lanes::Call<u32>) -> Result<u32, CallError> + Send + 'static,
) {
    let (pool, remote) = pool(1);
    let worker = pool.worker_ids()[0];
    let gate = Gate::new();
    let call = pool.call(remote.hold, gate.path());
    let held = gate.entered();
    let (started, threads) = channel();
    let waits = started.clone();
    let waiting = std::thread::spawn(move || {
        waits.send(this_thread()).unwrap();
        wait(call)
    });
    until_asleep(&threads.recv().unwrap());
    let dropping = std::thread::spawn(move || {
        started.send(this_thread()).unwrap();
        drop(pool);
    });
    until_asleep(&threads.recv().unwrap());
    let start = Instant::now();
    drop(held);
    assert_eq!(waiting.join().unwrap().unwrap(), worker);
    dropping.join().unwrap();
    assert!(start.elapsed() < PROMPT, "the drop took {:?} after the last call", start.elapsed());
    assert!(is_gone(worker));
}

#[test]
fn a_drop_ends_when_the_last_call_ends_that_a_thread_waits_for() {
    within_deadline(|| drop_beside(knit_lanes::Call::wait));
}

#[test]
fn a_drop_ends_when_the_last_call_ends_that_a_future_waits_for() {
    within_deadline(|| drop_beside(block_on));
}

#[test]
fn a_drop_ends_when_the_last_call_ends_that_a_lost_future_had_asked_for() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let gate = Gate::new();
        let mut call = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        assert!(poll_once(&mut call).is_pending());
        let (started, thread) = channel();
        let dropping = std::thread::spawn(move || {
            started.send(this_thread()).unwrap();
            drop(pool);
        });
        until_asleep(&thread.recv().unwrap());
        let start = Instant::now();
        drop(held);
        dropping.join().unwrap();
        assert!(start.elapsed() < PROMPT, "the drop took {:?}", start.elapsed());
        assert!(call.wait().is_ok());
    });
}

#[test]
fn a_task_that_never_ends_is_ended_after_the_drain_timeout() {
    within_deadline(|| {
        let (pool, remote) = start(builder(1).drain_timeout(Duration::from_millis(200)));
        let worker = pool.worker_ids()[0];
        let call = pool.call(remote.never, ());
        let behind: Vec<_> = (0..40).map(|_| pool.call(remote.square, 2.0)).collect();
        let start = Instant::now();
        drop(pool);
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(200) && took < PROMPT, "{took:?}");
        assert!(is_gone(worker));
        assert_closed(call.wait());
        for call in behind {
            assert_closed(call.wait());
        }
    });
}

#[test]
fn a_thread_that_waits_learns_that_the_pool_was_closed() {
    within_deadline(|| {
        let (pool, remote) = start(builder(1).drain_timeout(Duration::from_millis(200)));
        let calls = [pool.call(remote.never, ()), pool.call(remote.never, ())];
        let threads = calls.map(|call| std::thread::spawn(move || call.wait()));
        drop(pool);
        for thread in threads {
            assert_closed(thread.join().unwrap());
        }
    });
}

#[test]
fn a_worker_that_dies_while_the_pool_is_dropped_ends_the_drop() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let worker = pool.worker_ids()[0];
        let gate = Gate::new();
        let call = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let (started, thread) = channel();
        let dropping = std::thread::spawn(move || {
            started.send(this_thread()).unwrap();
            drop(pool);
        });
        until_asleep(&thread.recv().unwrap());
        let start = Instant::now();
        kill(worker);
        dropping.join().unwrap();
        assert!(start.elapsed() < PROMPT, "{:?}", start.elapsed());
        assert!(matches!(call.wait(), Err(CallError::WorkerDied { .. })));
        drop(held);
    });
}

/// Starts a host with two workers in endless tasks; returns it with the ids of its workers.
fn host(mode: &str) -> (Child, Vec<u32>) {
    let mut host = Command::new(env!("CARGO_BIN_EXE_knit-test-host"))
        .args([mode, WORKER])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(host.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let workers: Vec<_> = line.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(workers.len(), 2, "{line}");
    (host, workers)
}

/// LANE-20, WAKE-7.
#[test]
fn a_killed_host_leaves_no_worker() {
    // KD-12: workers lived on after the SIGKILL of their host.
    within_deadline(|| {
        let (mut host, workers) = host("serve");
        assert!(!workers.iter().any(|pid| is_gone(*pid)));
        host.kill().unwrap();
        host.wait().unwrap();
        until_gone(&workers);
    });
}

#[test]
fn a_host_that_exits_without_dropping_its_pool_leaves_no_worker() {
    // KD-12 with `process::exit`.
    within_deadline(|| {
        let (mut host, workers) = host("exit");
        assert!(host.wait().unwrap().success());
        until_gone(&workers);
    });
}

#[test]
fn a_call_outlives_its_pool() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let call = pool.call(remote.square, 3.0);
        until("the call is done", || call.is_done());
        drop(pool);
        assert!(call.is_done());
        assert_eq!(call.wait().unwrap(), 9.0);
    });
}
