//! The numbers of a pool agree with what was done.

mod pool_support;

use knit_lanes::{CallError, LaneMetrics, Metrics, Pool, Tasks};
use pool_support::futures::join_all;
use pool_support::gate::Gate;
use pool_support::process::{kill, until_gone};
use pool_support::worker::{builder, only_worker, pool, start};
use pool_support::{DEADLINE, fresh_path, until, within_deadline};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const VILLAIN: &str = env!("CARGO_BIN_EXE_knit-test-villain");

fn only_lane(pool: &Pool) -> LaneMetrics {
    let metrics = pool.metrics();
    assert_eq!(metrics.lanes.len(), 1);
    metrics.lanes[0].clone()
}

/// Every call is answered, or has failed, or has returned, or is in flight.
#[track_caller]
fn assert_whole(lane: &LaneMetrics) {
    let ended = lane.answers + lane.failed + lane.returned + lane.withdrawn;
    assert_eq!(lane.calls, ended + lane.in_flight, "{lane:?}");
    assert!(lane.rejected <= lane.answers, "{lane:?}");
}

#[test]
fn calls_and_bytes_are_those_that_were_made() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let fresh = only_lane(&pool);
        assert_eq!((fresh.calls, fresh.answers, fresh.bytes_out, fresh.bytes_in), (0, 0, 0, 0));
        assert_eq!((fresh.restarts, fresh.poisonings, fresh.in_flight), (0, 0, 0));
        assert!(fresh.latency.is_none());
        // A number is in the slot header.
        pool.call(remote.square, 3.0).wait().unwrap();
        let lane = only_lane(&pool);
        assert_eq!((lane.calls, lane.answers, lane.bytes_out, lane.bytes_in), (1, 1, 0, 0));
        // Inline, and in the arena.
        for len in [100, 100_000] {
            pool.call(remote.bytes, vec![1; len]).wait().unwrap();
        }
        pool.call(remote.filled, 5000).wait().unwrap();
        let lane = only_lane(&pool);
        assert_eq!((lane.calls, lane.answers), (4, 4));
        assert_eq!((lane.bytes_out, lane.bytes_in), (100_100, 105_100));
        assert_eq!(lane.rejected, 0);
        pool.call(remote.fail, ()).wait().unwrap_err();
        pool.call(remote.panic_text, ()).wait().unwrap_err();
        let lane = only_lane(&pool);
        assert_eq!((lane.calls, lane.answers, lane.rejected), (6, 6, 2));
        assert!(lane.bytes_in > 105_100, "errors have a text");
        assert_whole(&lane);
    });
}

#[test]
fn what_is_in_flight_and_in_the_queue_is_seen() {
    within_deadline(|| {
        let (pool, remote) = start(builder(1).queue_limit(5));
        let gate = Gate::new();
        let first = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let others: Vec<_> = (0..36).map(|_| pool.call(remote.square, 2.0)).collect();
        let refused = pool.call(remote.square, 2.0);
        let metrics = pool.metrics();
        assert_eq!((metrics.lanes[0].calls, metrics.lanes[0].in_flight), (32, 32));
        let queue = metrics.queue;
        assert_eq!((queue.depth, queue.queued, queue.refused), (5, 5, 1));
        assert!(matches!(refused.wait(), Err(CallError::QueueFull { limit: 5 })));
        // One that a worker has, and one in the queue.
        others[3].abort();
        others[3].abort();
        others[35].abort();
        let metrics = pool.metrics();
        assert_eq!((metrics.lanes[0].given_up, metrics.queue.given_up), (1, 1));
        assert_eq!(metrics.lanes[0].in_flight, 32, "its place is still taken");
        drop(held);
        first.wait().unwrap();
        for outcome in join_all(others) {
            if let Err(error) = outcome {
                assert!(matches!(error, CallError::Aborted { .. }), "{error}");
            }
        }
        // The answer to the one that was given up may be the last.
        until("every call has ended", || pool.in_flight() == 0);
        let metrics = pool.metrics();
        let lane = &metrics.lanes[0];
        assert_eq!((lane.calls, lane.answers, lane.failed, lane.in_flight), (36, 36, 0, 0));
        assert_eq!((metrics.queue.depth, metrics.queue.queued, metrics.queue.failed), (0, 5, 0));
    });
}

#[test]
fn a_kill_counts_its_calls_as_failed_or_returned_and_one_restart() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        for round in 1..=2 {
            let worker = only_worker(&pool);
            let gate = Gate::new();
            let first = pool.call(remote.hold, gate.path());
            let others: Vec<_> = (0..9).map(|_| pool.call(remote.square, 2.0)).collect();
            let held = gate.entered();
            kill(worker);
            first.wait().unwrap_err();
            // On the next worker, as is what follows.
            others.into_iter().for_each(|call| assert_eq!(call.wait().unwrap(), 4.0));
            drop(held);
            pool.call(remote.pid, ()).wait().unwrap();
            let lane = only_lane(&pool);
            assert_eq!((lane.restarts, lane.poisonings), (round, 0));
            assert_eq!((lane.calls, lane.failed), (20 * round, round));
            assert_eq!((lane.returned, lane.answers), (9 * round, 10 * round));
            assert_whole(&lane);
        }
    });
}

#[test]
fn a_hostile_worker_is_counted_as_poisoned() {
    within_deadline(|| {
        let marker = fresh_path("metrics-villain");
        let mut tasks = Tasks::new();
        let text = tasks.declare::<String, String>("text");
        let builder = Pool::builder().command(VILLAIN, ["unknown-call", &marker]).processes(2);
        let pool = builder.start(tasks).unwrap();
        let villain = pool.worker_ids()[0];
        let calls: Vec<_> = (0..64).map(|_| pool.call(text, "x".repeat(700))).collect();
        let outcomes: Vec<_> = calls.into_iter().map(|call| call.wait()).collect();
        until_gone(&[villain]);
        let violations = outcomes.iter().filter(|outcome| outcome.is_err()).count() as u64;
        until("the villain is replaced", || pool.metrics().lanes[0].restarts == 1);
        let [bad, good] = &pool.metrics().lanes[..] else { panic!("two lanes") };
        assert_eq!((bad.poisonings, good.poisonings), (1, 0));
        assert_eq!((bad.failed, good.failed), (violations, 0));
        assert_eq!((bad.restarts, good.restarts), (1, 0));
        assert_whole(bad);
        assert_whole(good);
        let total = pool.metrics().total();
        assert_eq!((total.poisonings, total.restarts, total.failed), (1, 1, violations));
        // A call that was withdrawn is given to a lane once more.
        assert_eq!(total.calls, total.answers + violations + total.withdrawn);
        drop(pool);
        let _ = std::fs::remove_file(marker);
    });
}

/// A host and a worker that do not spin sleep and are woken; a host that waits for a held call spins first.
#[test]
fn sleeping_and_waking_is_counted() {
    within_deadline(|| {
        let (pool, remote) = start(builder(1).spin(Duration::ZERO));
        // Nobody answers within that time: this thread sleeps at least once.
        let gate = Gate::new();
        let first = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let first = first.wait_timeout(Duration::from_millis(5)).unwrap_err();
        assert!(only_lane(&pool).parks >= 1);
        drop(held);
        first.wait().unwrap();
        // Sooner or later the worker sleeps when a call comes.
        until("the worker was woken", || {
            pool.call(remote.square, 2.0).wait().unwrap();
            only_lane(&pool).wakes >= 1
        });
        let (pool, remote) = start(builder(1).spin(Duration::from_millis(1)));
        let gate = Gate::new();
        let first = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let before = only_lane(&pool).spins;
        let first = first.wait_timeout(Duration::from_millis(5)).unwrap_err();
        assert!(only_lane(&pool).spins > before);
        drop(held);
        first.wait().unwrap();
    });
}

/// Every number that only grows.
fn growing(metrics: &Metrics) -> Vec<u64> {
    let lane = |lane: &LaneMetrics| {
        let latency = lane.latency.as_ref().map_or(0, |latency| latency.count());
        vec![
            lane.calls,
            lane.answers,
            lane.rejected,
            lane.failed,
            lane.returned,
            lane.withdrawn,
            lane.given_up,
            lane.bytes_out,
            lane.bytes_in,
            lane.spins,
            lane.parks,
            lane.wakes,
            lane.restarts,
            lane.poisonings,
            latency,
        ]
    };
    let queue = &metrics.queue;
    let mut numbers = vec![queue.queued, queue.refused, queue.given_up, queue.failed];
    numbers.extend(metrics.lanes.iter().flat_map(lane));
    numbers
}

#[test]
fn snapshots_only_grow_and_always_fit_while_threads_call_and_workers_die() {
    within_deadline(|| {
        let (pool, remote) = start(builder(2).measure_latency(true));
        let over = AtomicU32::new(0);
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..3_u32)
                .map(|thread| {
                    let pool = &pool;
                    scope.spawn(move || {
                        let mut killed = Vec::new();
                        for n in 0..600_u32 {
                            let call = pool.call(remote.bytes, vec![7; (n % 3 * 700) as usize]);
                            match n % 5 {
                                0 => call.abort(),
                                1 => drop(call),
                                _ => drop(call.wait()),
                            }
                            if thread == 0
                                && n % 200 == 100
                                // Those may still be listed, and are gone.
                                && let Some(worker) =
                                    pool.worker_ids().into_iter().find(|worker| !killed.contains(worker))
                            {
                                kill(worker);
                                killed.push(worker);
                            }
                        }
                    })
                })
                .collect();
            let watcher = scope.spawn(|| {
                let mut last = growing(&pool.metrics());
                let mut snapshots = 0;
                while over.load(Ordering::Relaxed) == 0 {
                    let metrics = pool.metrics();
                    metrics.lanes.iter().for_each(assert_whole);
                    let now = growing(&metrics);
                    let grows = last.iter().zip(&now).all(|(before, after)| before <= after);
                    assert!(grows, "{last:?}\n{now:?}");
                    last = now;
                    snapshots += 1;
                }
                snapshots
            });
            let outcomes: Vec<_> = callers.into_iter().map(|caller| caller.join()).collect();
            over.store(1, Ordering::Relaxed);
            println!("{} snapshots", watcher.join().unwrap());
            outcomes.into_iter().for_each(|outcome| outcome.unwrap());
        });
        until("every call has ended", || pool.in_flight() == 0);
        let metrics = pool.metrics();
        let total = metrics.total();
        assert_eq!(total.in_flight, 0);
        // Each call was with a lane in the end, or was given up in the queue.
        let last = total.calls - total.returned - total.withdrawn;
        assert_eq!(last + metrics.queue.given_up + metrics.queue.failed, 1800);
        assert!(total.restarts >= 1);
        assert_eq!(total.latency.unwrap().count(), total.answers);
        println!("{metrics}");
    });
}

#[test]
fn latency_is_measured_on_request() {
    within_deadline(|| {
        let (pool, remote) = start(builder(1).measure_latency(true));
        for n in 0..100 {
            pool.call(remote.square, f64::from(n)).wait().unwrap();
        }
        let short = only_lane(&pool).latency.unwrap();
        assert_eq!(short.count(), 100);
        assert!(short.min() > Duration::ZERO && short.max() < DEADLINE, "{short:?}");
        assert_eq!(short.buckets().map(|(_, count)| count).sum::<u64>(), 100);
        // A call that is held takes as long as it is held.
        let gate = Gate::new();
        let call = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let start = Instant::now();
        let call = call.wait_timeout(Duration::from_millis(20)).unwrap_err();
        let least = start.elapsed();
        drop(held);
        call.wait().unwrap();
        let long = only_lane(&pool).latency.unwrap();
        assert_eq!(long.count(), 101);
        // Two digits.
        assert!(long.max() >= least.mul_f64(0.98), "{long:?}, {least:?}");
        // The earlier copy is as it was.
        assert_eq!(short.count(), 100);
    });
}
