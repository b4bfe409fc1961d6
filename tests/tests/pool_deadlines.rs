//! What tasks are told of the time that they have: on worker processes and threads, in the thread that waits, in futures.

mod pool_support;

use knit_lanes::{Builder, Inline, Pool, Position, Task, Tasks};
use knit_tests::deadline_tasks::{Remote, Told, add, clock};
use pool_support::within_deadline;
use std::ffi::OsString;
use std::time::Duration;

const WORKER: &str = env!("CARGO_BIN_EXE_knit-test-async-worker");

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(600);

fn process(builder: Builder) -> Builder {
    builder.command(WORKER, [] as [OsString; 0]).processes(1)
}

fn thread(builder: Builder) -> Builder {
    builder.threads(1)
}

fn inline(builder: Builder) -> Builder {
    builder.threads(1).inline(Inline { position: Position::First, batch: 1, threshold: 0 })
}

/// Runs the same on a worker process, on a worker thread, and with an inline lane.
fn on_all(body: impl Fn(&Pool, Remote) + Send + Clone + 'static) {
    for kind in [process, thread, inline] {
        let body = body.clone();
        within_deadline(move || {
            let mut tasks = Tasks::new();
            let remote = add(&mut tasks);
            let pool = kind(Pool::builder()).start(tasks).unwrap();
            body(&pool, remote);
        });
    }
}

/// Calls a task; the clock before and after.
#[track_caller]
fn call(pool: &Pool, task: Task<(), Vec<u64>>) -> (u64, Told, u64) {
    let before = clock();
    let words = pool.call(task, ()).wait().unwrap();
    (before, Told::from_words(&words), clock())
}

/// The task knows its deadline and has the clock of this process.
#[track_caller]
fn assert_told(pool: &Pool, task: Task<(), Vec<u64>>, timeout: Duration) {
    let (before, told, after) = call(pool, task.with_timeout(timeout));
    let timeout = u64::try_from(timeout.as_nanos()).unwrap();
    let deadline = told.deadline.expect("a deadline");
    assert!((before + timeout..=after + timeout).contains(&deadline), "{before} {told:?} {after}");
    assert!((before..=after).contains(&told.now), "{before} {told:?} {after}");
    let remaining = told.remaining.expect("there is a deadline");
    assert!(remaining <= deadline - told.now, "{told:?}");
    assert!(remaining >= deadline.saturating_sub(after), "{told:?} {after}");
}

#[track_caller]
fn assert_not_told(pool: &Pool, task: Task<(), Vec<u64>>) {
    let (before, told, after) = call(pool, task);
    assert_eq!((told.deadline, told.remaining), (None, None));
    assert!((before..=after).contains(&told.now), "{before} {told:?} {after}");
}

/// LANE-46, LANE-47: also in a place whose last call had another deadline, or none.
#[test]
fn a_task_knows_what_is_left_of_its_time() {
    on_all(|pool, remote| {
        for task in [remote.told, remote.told_later] {
            for timeout in [LONG, LONG * 2] {
                assert_not_told(pool, task);
                assert_not_told(pool, task);
                assert_told(pool, task, timeout);
                assert_told(pool, task, LONG);
            }
            assert_not_told(pool, task);
        }
    });
}

/// The calls of an inline lane run in the thread that waits.
#[test]
fn a_call_that_its_caller_runs_has_the_same_deadline() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let remote = add(&mut tasks);
        let pool = inline(Pool::builder()).start(tasks).unwrap();
        let mut ran_inline = 0;
        for _ in 0..100 {
            let (_, told, _) = call(&pool, remote.told.with_timeout(LONG));
            assert!(told.deadline.is_some());
            ran_inline += u32::from(told.lane == 1);
        }
        // A thread that is kept from waiting for long loses its call to the worker.
        assert!(ran_inline > 50, "{ran_inline}");
    });
}

/// Thirty-two calls in flight, each with a deadline of its own or with none, in turns.
#[test]
fn each_call_has_its_own_deadline() {
    for kind in [process, thread] {
        within_deadline(move || {
            let mut tasks = Tasks::new();
            let remote = add(&mut tasks);
            let pool = kind(Pool::builder()).start(tasks).unwrap();
            for round in 0..20_u32 {
                let timeout = |n: u32| {
                    (!(n + round).is_multiple_of(3))
                        .then(|| LONG + Duration::from_secs(u64::from(n) * 1000))
                };
                let before = clock();
                let task = |n| match timeout(n) {
                    Some(timeout) => remote.told_later.with_timeout(timeout),
                    None => remote.told_later,
                };
                let calls: Vec<_> = (0..40).map(|n| pool.call(task(n), ())).collect();
                let after = clock();
                for (n, call) in (0..).zip(calls) {
                    let told = Told::from_words(&call.wait().unwrap());
                    match timeout(n) {
                        None => assert_eq!(told.deadline, None, "call {n} of round {round}"),
                        Some(timeout) => {
                            let timeout = u64::try_from(timeout.as_nanos()).unwrap();
                            let deadline = told.deadline.expect("a deadline");
                            let range = before + timeout..=after + timeout;
                            assert!(range.contains(&deadline), "call {n} of round {round}");
                        }
                    }
                }
            }
        });
    }
}

/// A timeout that has no end in 64 bits of nanoseconds is none.
#[test]
fn a_time_limit_of_centuries_is_no_deadline() {
    on_all(|pool, remote| {
        assert_not_told(pool, remote.told.with_timeout(Duration::MAX));
        assert_not_told(pool, remote.told.with_timeout(Duration::from_secs(600 * 31_557_600)));
        assert_told(pool, remote.told, Duration::from_secs(500 * 31_557_600));
    });
}

/// A context that outlives its call still has the deadline of that call, whoever has its place by then.
#[test]
fn a_context_that_is_kept_has_the_deadline_of_its_own_call() {
    on_all(|pool, remote| {
        let (_, kept, _) = call(pool, remote.keep.with_timeout(LONG));
        assert!(kept.deadline.is_some());
        for next in [remote.told, remote.told.with_timeout(LONG * 2)] {
            assert_ne!(call(pool, next).1.deadline, kept.deadline);
            assert_eq!(call(pool, remote.told_by_kept).1.deadline, kept.deadline);
        }
    });
}
