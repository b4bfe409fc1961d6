//! Workers that are threads, alone and beside processes.

mod pool_support;

use knit_lanes::{Builder, CallError, Pool, SharedBuffer, StartError, Tasks, WorkerExit};
use pool_support::futures::block_on;
use pool_support::worker::builder;
use pool_support::{Random, bytes, until, within_deadline};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn threads(count: usize) -> Builder {
    Pool::builder().threads(count)
}

#[test]
fn values_of_every_size_cross_a_thread_lane_unharmed() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let echo = tasks.add("echo", |value: Vec<u8>| value);
        let pool = threads(2).start(tasks).unwrap();
        let mut random = Random::new(7);
        for seed in 0..200 {
            let sent = bytes(seed, random.below(20_000));
            assert_eq!(pool.call(echo, sent.clone()).wait().unwrap(), sent, "seed {seed}");
        }
        assert!(pool.worker_ids().is_empty() && pool.lanes() == 2);
    });
}

#[test]
fn calls_from_many_threads_and_futures_get_their_own_answers() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let square = tasks.add("square", |n: f64| n * n);
        let pool = threads(2).start(tasks).unwrap();
        std::thread::scope(|scope| {
            for caller in 0..4 {
                let pool = &pool;
                scope.spawn(move || {
                    for n in 0..500 {
                        let n = f64::from(caller * 1000 + n);
                        let call = pool.call(square, n);
                        let outcome = if caller % 2 == 0 { call.wait() } else { block_on(call) };
                        assert_eq!(outcome.unwrap(), n * n);
                    }
                });
            }
        });
    });
}

#[test]
fn a_pool_of_both_kinds_uses_both() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let pid = tasks.add("pid", |(): ()| std::process::id());
        let pool = builder(1).threads(1).start(tasks).unwrap();
        let workers = pool.worker_ids();
        assert_eq!((pool.lanes(), workers.len()), (2, 1));
        // More than one lane can have at a time.
        let calls: Vec<_> = (0..64).map(|_| pool.call(pid, ())).collect();
        let mut ids: Vec<_> = calls.into_iter().map(|call| call.wait().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut expected = vec![workers[0], std::process::id()];
        expected.sort_unstable();
        assert_eq!(ids, expected);
    });
}

#[test]
fn a_shared_buffer_is_the_same_memory_for_a_thread() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let fill = tasks.add("fill", |buffer: SharedBuffer| buffer.write(1, &[7, 7]));
        let pool = threads(1).start(tasks).unwrap();
        let buffer = SharedBuffer::new(4).unwrap();
        pool.call(fill, buffer.clone()).wait().unwrap();
        assert_eq!(buffer.to_vec(), [0, 7, 7, 0]);
    });
}

#[test]
fn a_panic_comes_back_and_the_thread_goes_on() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let fail = tasks.add("fail", |n: f64| -> f64 {
            if n < 0.0 {
                panic!("negative")
            }
            n
        });
        let pool = threads(1).start(tasks).unwrap();
        assert!(matches!(pool.call(fail, -1.0).wait(), Err(CallError::Task(_))));
        assert_eq!(pool.call(fail, 1.0).wait().unwrap(), 1.0);
    });
}

/// A task that says that it runs, and then waits to be let go.
struct Blocker {
    entered: Receiver<()>,
    go: Sender<()>,
    runs: Arc<AtomicU32>,
}

fn blocker(tasks: &mut Tasks) -> (knit_lanes::Task<(), ()>, Blocker) {
    let (enter, entered) = channel();
    let (go, going) = channel();
    let going = Mutex::new(going);
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let task = tasks.add("block", move |(): ()| {
        counted.fetch_add(1, Ordering::SeqCst);
        enter.send(()).unwrap();
        let _ = going.lock().unwrap().recv();
    });
    (task, Blocker { entered, go, runs })
}

#[test]
fn a_thread_that_keeps_an_aborted_call_is_let_go_of_and_runs_nothing_more() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let (block, blocker) = blocker(&mut tasks);
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let add = tasks.add("add", move |(): ()| counted.fetch_add(1, Ordering::SeqCst));
        let pool = threads(1).hard_timeout(Duration::ZERO).start(tasks).unwrap();
        let first = pool.call(block, ());
        blocker.entered.recv().unwrap();
        // It is with the same worker, which never begins it.
        let behind = pool.call(add, ());
        first.abort();
        assert!(matches!(first.wait(), Err(CallError::Aborted { may_have_run: true })));
        match behind.wait() {
            Err(CallError::WorkerDied {
                lane: 0,
                exit: WorkerExit::Abandoned,
                may_have_run: true,
            }) => {}
            other => panic!("{other:?}"),
        }
        // Another thread serves the lane, while the first one is still in its task.
        assert_eq!(pool.call(add, ()).wait().unwrap(), 0);
        blocker.go.send(()).unwrap();
        drop(pool);
        // The table lives as long as the last thread that serves it.
        until("the first thread has ended", || Arc::strong_count(&count) == 1);
        assert_eq!((count.load(Ordering::SeqCst), blocker.runs.load(Ordering::SeqCst)), (1, 1));
    });
}

#[test]
fn a_thread_that_is_let_go_of_ends_by_itself() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let (block, blocker) = blocker(&mut tasks);
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        tasks.add("held", move |(): ()| drop(Arc::clone(&held)));
        let pool = threads(1).hard_timeout(Duration::ZERO).start(tasks).unwrap();
        let call = pool.call(block, ());
        blocker.entered.recv().unwrap();
        call.abort();
        drop(call);
        until("it was replaced", || pool.in_flight() == 0);
        blocker.go.send(()).unwrap();
        drop(pool);
        until("the thread has ended", || Arc::strong_count(&alive) == 1);
    });
}

#[test]
fn dropping_a_pool_does_not_wait_for_a_thread_for_ever() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let (block, blocker) = blocker(&mut tasks);
        let pool = threads(1).drain_timeout(Duration::ZERO).start(tasks).unwrap();
        let call = pool.call(block, ());
        blocker.entered.recv().unwrap();
        drop(pool);
        assert!(matches!(call.wait(), Err(CallError::Closed)));
        drop(blocker.go);
    });
}

#[test]
fn a_pool_inside_of_a_worker_thread_is_refused_unless_it_is_allowed() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let nested = tasks.add("nested", |allowed: bool| {
            let mut tasks = Tasks::new();
            let square = tasks.add("square", |n: f64| n * n);
            match threads(1).inside_worker(allowed).start(tasks) {
                Ok(pool) => pool.call(square, 4.0).wait().unwrap(),
                Err(knit_lanes::Error::Start(StartError::InsideWorker)) => -1.0,
                Err(other) => panic!("{other}"),
            }
        });
        let pool = threads(1).start(tasks).unwrap();
        assert_eq!(pool.call(nested, false).wait().unwrap(), -1.0);
        assert_eq!(pool.call(nested, true).wait().unwrap(), 16.0);
    });
}

#[test]
fn a_warm_up_comes_before_the_first_call_and_its_failure_ends_the_start() {
    within_deadline(|| {
        let table = |fails: bool| {
            let mut tasks = Tasks::new();
            let warm = Arc::new(AtomicU32::new(0));
            let (first, second) = (Arc::clone(&warm), Arc::clone(&warm));
            tasks.warm_up(move || {
                first.fetch_add(1, Ordering::SeqCst);
                if fails { Err("no model") } else { Ok(()) }
            });
            let look = tasks.add("look", move |(): ()| second.load(Ordering::SeqCst));
            (tasks, look)
        };
        let (tasks, look) = table(false);
        let pool = threads(1).start(tasks).unwrap();
        assert_eq!(pool.call(look, ()).wait().unwrap(), 1);
        let error = threads(1).start(table(true).0).unwrap_err();
        assert!(error.to_string().contains("its warm-up failed"), "{error}");
    });
}
