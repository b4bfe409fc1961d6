//! One task over many arguments.

mod pool_support;

use knit_lanes::{CallError, TaskFailure};
use pool_support::gate::Gate;
use pool_support::worker::{builder, pool, start};
use pool_support::{fresh_path, until, within_deadline};
use std::cell::Cell;
use std::time::Duration;

#[test]
fn outcomes_come_in_the_order_of_the_arguments() {
    within_deadline(|| {
        for spin in [Duration::from_micros(50), Duration::ZERO] {
            let (pool, remote) = start(builder(2).spin(spin));
            for window in [1, 3, 64, 10_000] {
                let map = pool.map(remote.square, (0..2000).map(f64::from)).window(window);
                assert_eq!(map.size_hint(), (2000, Some(2000)));
                let squares: Result<Vec<_>, _> = map.collect();
                let expected: Vec<_> = (0..2000).map(|n| f64::from(n * n)).collect();
                assert_eq!(squares.unwrap(), expected);
            }
            assert!(pool.map(remote.square, []).next().is_none());
        }
    });
}

#[test]
fn no_more_arguments_are_taken_than_the_window_has_room_for() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let taken = Cell::new(0);
        let arguments = (0..).map(|n| {
            taken.set(taken.get() + 1);
            f64::from(n)
        });
        let mut map = pool.map(remote.square, arguments).window(5);
        assert_eq!(taken.get(), 0);
        for n in 0..10 {
            assert_eq!(map.next().unwrap().unwrap(), f64::from(n * n));
            assert_eq!(taken.get(), n + 5);
        }
    });
}

#[test]
fn the_first_to_end_comes_first_where_order_does_not_matter() {
    within_deadline(|| {
        for spin in [Duration::from_micros(50), Duration::ZERO] {
            let (pool, remote) = start(builder(2).spin(spin));
            let gates = [Gate::new(), Gate::new()];
            let mut held: Vec<_> = Vec::new();
            let paths = gates.iter().map(Gate::path);
            let mut map = pool.map(remote.hold, paths).window(2).unordered();
            // Both run, and the second ends first.
            std::thread::scope(|scope| {
                let entered = scope.spawn(|| {
                    let [first, second] = gates.each_ref().map(Gate::entered);
                    drop(second);
                    first
                });
                let (place, outcome) = map.next().unwrap();
                assert_eq!(place, 1);
                outcome.unwrap();
                held.push(entered.join().unwrap());
            });
            drop(held);
            assert_eq!(map.next().map(|(place, _)| place), Some(0));
            assert!(map.next().is_none());
        }
    });
}

#[test]
fn every_argument_has_one_outcome_in_any_order() {
    within_deadline(|| {
        for spin in [Duration::from_micros(50), Duration::ZERO] {
            let (pool, remote) = start(builder(2).spin(spin));
            let mut seen = vec![false; 2000];
            // Some are under way before the order is given up.
            let mut map = pool.map(remote.square, (0..2000).map(f64::from)).window(7);
            for (n, square) in map.by_ref().take(10).enumerate() {
                assert_eq!(square.unwrap(), (n * n) as f64);
                seen[n] = true;
            }
            for (place, square) in map.unordered() {
                assert_eq!(square.unwrap(), (place * place) as f64);
                assert!(!std::mem::replace(&mut seen[place], true), "{place} twice");
            }
            assert!(seen.into_iter().all(|seen| seen));
        }
    });
}

#[test]
fn failures_have_their_places() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let outcomes: Vec<_> = pool.map(remote.panic_string, [1.0, 2.0]).collect();
        for (outcome, n) in outcomes.into_iter().zip(1..) {
            let Err(CallError::Task(error)) = outcome else { panic!("it panics") };
            assert_eq!(error.failure, TaskFailure::Panicked);
            assert!(error.error.message().contains(&n.to_string()));
        }
    });
}

#[test]
fn what_is_under_way_is_aborted_when_nobody_wants_it() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let gate = Gate::new();
        let path = fresh_path("map");
        let long = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let mut map = pool.map(remote.count, std::iter::repeat(path.clone()));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| map.next());
            until("calls are under way", || pool.in_flight() > 10);
            drop(held);
            first.join().unwrap().unwrap().unwrap();
        });
        let ran = || std::fs::read(&path).map_or(0, |text| text.len());
        drop(map);
        long.wait().unwrap();
        until("every place is free", || pool.in_flight() == 0);
        let after = ran();
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
        assert_eq!(ran(), after);
        std::fs::remove_file(path).unwrap();
    });
}
