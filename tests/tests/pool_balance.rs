//! Which lane gets a call, and what waits for what.

mod pool_support;

use knit_lanes::{Balancer, CallError, Limits};
use pool_support::gate::Gate;
use pool_support::worker::{builder, start};
use pool_support::{fresh_path, until, within_deadline};

#[test]
fn round_robin_takes_one_lane_after_the_other() {
    within_deadline(|| {
        let (pool, remote) = start(builder(3).balancer(Balancer::RoundRobin));
        let pids: Vec<_> = (0..9).map(|_| pool.call(remote.pid, ()).wait().unwrap()).collect();
        assert!(pids[0] != pids[1] && pids[1] != pids[2] && pids[2] != pids[0], "{pids:?}");
        assert_eq!((&pids[3..6], &pids[6..]), (&pids[..3], &pids[..3]));
    });
}

/// KD-22: more lanes make no call slower whose caller waits for one at a time.
#[test]
fn a_caller_that_waits_for_each_call_stays_with_a_warm_worker() {
    within_deadline(|| {
        let (pool, remote) = start(builder(3));
        let first = pool.call(remote.pid, ()).wait().unwrap();
        for _ in 0..50 {
            assert_eq!(pool.call(remote.pid, ()).wait().unwrap(), first);
        }
    });
}

/// KD-22: so many calls that a look at the other lanes of some milliseconds before each answer would not be over in time.
#[test]
fn a_caller_does_not_wait_for_looks_at_other_lanes() {
    within_deadline(|| {
        let (pool, remote) = start(builder(4));
        for n in 0..10_000 {
            let n = f64::from(n);
            assert_eq!(pool.call(remote.square, n).wait().unwrap(), n * n);
        }
    });
}

/// KD-25: a long task holds no call up while another lane is idle.
#[test]
fn calls_go_around_a_long_task() {
    for balancer in [Balancer::Warm, Balancer::FirstIdle, Balancer::LeastLoaded] {
        within_deadline(move || {
            let (pool, remote) = start(builder(3).balancer(balancer));
            let gates = [Gate::new(), Gate::new()];
            let long = gates.each_ref().map(|gate| pool.call(remote.hold, gate.path()));
            let held = gates.each_ref().map(Gate::entered);
            // Two of three lanes are busy; each of these would wait for ever behind them.
            for n in 0..200 {
                assert_eq!(
                    pool.call(remote.square, f64::from(n)).wait().unwrap(),
                    f64::from(n * n)
                );
            }
            drop(held);
            let [one, other] = long.map(|call| call.wait().unwrap());
            assert_ne!(one, other);
        });
    }
}

#[test]
fn every_balancer_loses_no_call() {
    for balancer in [
        Balancer::Warm,
        Balancer::RoundRobin,
        Balancer::FirstIdle,
        Balancer::Random,
        Balancer::FirstIdleOrRandom,
        Balancer::LeastLoaded,
    ] {
        within_deadline(move || {
            let (pool, remote) = start(builder(3).balancer(balancer));
            let calls: Vec<_> = (0..1000).map(|n| pool.call(remote.square, f64::from(n))).collect();
            for (n, call) in (0..).zip(calls) {
                assert_eq!(call.wait().unwrap(), f64::from(n * n), "{balancer:?}");
            }
            assert_eq!(pool.in_flight(), 0);
        });
    }
}

/// Thirty-two calls are with the only worker, ten wait, and no more.
#[test]
fn a_queue_has_its_limit() {
    within_deadline(|| {
        let (pool, remote) = start(builder(1).queue_limit(10));
        let gate = Gate::new();
        let long = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let calls: Vec<_> = (0..50).map(|_| pool.call(remote.square, 2.0)).collect();
        let refused = calls.iter().filter(|call| call.is_done()).count();
        assert_eq!(refused, 50 - 31 - 10);
        drop(held);
        long.wait().unwrap();
        let outcomes: Vec<_> = calls.into_iter().map(|call| call.wait()).collect();
        for (at, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok(value) => assert!(at < 41 && value == 4.0, "call {at}"),
                Err(CallError::QueueFull { limit: 10 }) => assert!(at >= 41, "call {at}"),
                Err(error) => panic!("{error}"),
            }
        }
        // There is room again.
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
        until("every place is free", || pool.in_flight() == 0);
    });
}

/// A call that would fit goes behind one that waits for room in the arena: the tasks write down their order.
#[test]
fn no_call_overtakes_the_queue() {
    within_deadline(|| {
        let limits = Limits::default().with_payload(128 << 10);
        let (pool, remote) = start(builder(1).limits(limits).arena_bytes(1 << 20));
        let gate = Gate::new();
        let long = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let file = fresh_path("order");
        let wide = format!("{file} {}", "w".repeat(120 << 10));
        let mut calls = Vec::new();
        while pool.metrics().queue.queued == 0 {
            assert!(calls.len() < 31, "there is always a place in the mailbox");
            calls.push(pool.call(remote.append, wide.clone()));
        }
        let wide = calls.len();
        calls.push(pool.call(remote.append, format!("{file} n")));
        let metrics = pool.metrics();
        assert_eq!((metrics.queue.depth, metrics.lanes[0].in_flight), (2, wide as u64));
        drop(held);
        long.wait().unwrap();
        for call in calls {
            call.wait().unwrap();
        }
        let lines = std::fs::read_to_string(&file).unwrap();
        let firsts: String = lines.lines().map(|line| &line[..1]).collect();
        assert_eq!(firsts, format!("{}n", "w".repeat(wide)));
        std::fs::remove_file(file).unwrap();
    });
}

/// A call that is given up in the queue has left it: neither its place nor its argument is kept, whatever the workers do.
#[test]
fn calls_that_are_given_up_in_the_queue_make_room() {
    within_deadline(|| {
        let (pool, remote) = start(builder(1).queue_limit(100));
        let gate = Gate::new();
        let long = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let with_worker: Vec<_> = (0..31).map(|_| pool.call(remote.square, 2.0)).collect();
        let kept: Vec<_> = (0..30).map(|_| pool.call(remote.square, 3.0)).collect();
        for _ in 0..50 {
            let given_up: Vec<_> = (0..70).map(|_| pool.call(remote.square, 4.0)).collect();
            for call in given_up {
                assert!(!call.is_done(), "there is room");
                call.abort();
                let outcome = call.wait();
                assert!(
                    matches!(outcome, Err(CallError::Aborted { may_have_run: false })),
                    "{outcome:?}"
                );
            }
            // As many as wait, and once more as many that leave together.
            assert!(pool.metrics().queue.depth <= 200);
        }
        drop(held);
        long.wait().unwrap();
        with_worker.into_iter().for_each(|call| assert_eq!(call.wait().unwrap(), 4.0));
        kept.into_iter().for_each(|call| assert_eq!(call.wait().unwrap(), 9.0));
        until("nothing is left", || pool.in_flight() == 0);
        assert_eq!(pool.metrics().queue.depth, 0);
    });
}
