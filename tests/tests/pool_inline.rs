//! The inline lane: threads that wait run calls themselves.

mod pool_support;

use knit_lanes::{Builder, CallError, Inline, Pool, Position, Task, TaskContext, Tasks};
use pool_support::futures::block_on;
use pool_support::{until, within_deadline};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread::ThreadId;
use std::time::Duration;

const FIRST: Inline = Inline { position: Position::First, batch: 4, threshold: 0 };

fn threads(inline: Inline) -> Builder {
    Pool::builder().threads(1).inline(inline)
}

/// A task that says which lane it runs on, and in which thread it last ran.
fn lanes(tasks: &mut Tasks) -> (Task<f64, f64>, Arc<std::sync::Mutex<Option<ThreadId>>>) {
    let last = Arc::new(std::sync::Mutex::new(None));
    let noted = Arc::clone(&last);
    let task = tasks.add_with_context("lane", move |context: &TaskContext<'_>, _: f64| {
        *noted.lock().unwrap() = Some(std::thread::current().id());
        context.lane() as f64
    });
    (task, last)
}

#[test]
fn in_the_first_place_the_thread_that_waits_runs_the_call() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let (lane, last) = lanes(&mut tasks);
        let pool = threads(FIRST).start(tasks).unwrap();
        let mut inline = 0;
        for _ in 0..100 {
            let ran_on = pool.call(lane, 0.0).wait().unwrap();
            let here = last.lock().unwrap().take() == Some(std::thread::current().id());
            // A thread that is kept from waiting for long loses its call to the worker.
            assert_eq!(ran_on == 1.0, here);
            inline += u32::from(here);
        }
        assert!(inline > 50, "{inline}");
        // More than a batch: the others go to the worker.
        let calls: Vec<_> = (0..20).map(|_| pool.call(lane, 0.0)).collect();
        let ran_on: Vec<_> = calls.into_iter().map(|call| call.wait().unwrap()).collect();
        assert!(ran_on.contains(&0.0), "{ran_on:?}");
        assert_eq!((pool.lanes(), pool.in_flight()), (1, 0));
    });
}

#[test]
fn calls_that_nobody_waits_for_go_to_the_workers() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let (lane, _) = lanes(&mut tasks);
        let (ran, runs) = channel();
        let tell = tasks.add("tell", move |n: f64| ran.send(n).unwrap());
        let pool = threads(FIRST).start(tasks).unwrap();
        // Polled as a future: not on the executor's thread.
        assert_eq!(block_on(pool.call(lane, 0.0)).unwrap(), 0.0);
        // The handle is dropped.
        drop(pool.call(tell, 1.0));
        assert_eq!(runs.recv().unwrap(), 1.0);
        // The handle is kept, and nobody waits.
        let call = pool.call(tell, 2.0);
        assert_eq!(runs.recv().unwrap(), 2.0);
        call.wait().unwrap();
        // The pool closes.
        let call = pool.call(tell, 3.0);
        drop(pool);
        call.wait().unwrap();
        assert_eq!(runs.recv().unwrap(), 3.0);
    });
}

#[test]
fn in_the_last_place_it_takes_what_comes_while_the_workers_are_busy() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let (lane, _) = lanes(&mut tasks);
        let (enter, entered) = channel();
        let (go, going) = channel::<()>();
        let going = std::sync::Mutex::new(going);
        let block = tasks.add("block", move |(): ()| {
            enter.send(()).unwrap();
            let _ = going.lock().unwrap().recv();
        });
        let pool = threads(Inline::default()).start(tasks).unwrap();
        assert_eq!(pool.call(lane, 0.0).wait().unwrap(), 0.0);
        let long = pool.call(block, ());
        entered.recv().unwrap();
        let (mut inline, mut behind) = (0, None);
        while inline < 10 && behind.is_none() {
            match pool.call(lane, 0.0).wait_timeout(Duration::from_secs(2)) {
                Ok(ran_on) => {
                    assert_eq!(ran_on.unwrap(), 1.0);
                    inline += 1;
                }
                // This thread was kept from waiting for so long that the driver gave the call to the worker.
                Err(call) => behind = Some(call),
            }
        }
        assert!(inline > 0);
        go.send(()).unwrap();
        long.wait().unwrap();
        assert!(behind.is_none_or(|call| call.wait().unwrap() == 0.0));
        // With a threshold that is never reached it takes nothing.
        let mut tasks = Tasks::new();
        let (lane, _) = lanes(&mut tasks);
        let never = Inline { threshold: 33, ..FIRST };
        let pool = threads(never).start(tasks).unwrap();
        assert_eq!(pool.call(lane, 0.0).wait().unwrap(), 0.0);
    });
}

#[test]
fn an_inline_call_fails_and_ends_as_one_of_a_worker() {
    std::panic::set_hook(Box::new(|_| {}));
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let panics = tasks.add("panics", |(): ()| -> f64 { panic!("here") });
        let fails = tasks.add("fails", |(): ()| Err::<f64, _>(std::io::Error::other("no")));
        let counter = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&counter);
        let count = tasks.add("count", move |(): ()| counted.fetch_add(1, Ordering::SeqCst));
        let remote: Task<(), ()> = tasks.declare("remote");
        let soon = tasks.add_async("soon", |n: f64| async move { n });
        let pool = threads(FIRST).start(tasks).unwrap();
        assert!(matches!(pool.call(panics, ()).wait(), Err(CallError::Task(_))));
        let error = pool.call(fails, ()).wait().unwrap_err();
        assert!(error.to_string().contains("no"), "{error}");
        assert_eq!(pool.call(soon, 2.0).wait().unwrap(), 2.0);
        // A task that only workers of another program have is none of this thread's.
        assert!(matches!(pool.call(remote, ()).wait(), Err(CallError::Task(_))));
        // Given up before anybody runs it: it never runs.
        loop {
            let ran = pool.call(count, ()).wait().unwrap();
            let call = pool.call(count, ());
            call.abort();
            let outcome = call.wait();
            if matches!(outcome, Err(CallError::Aborted { may_have_run: false })) {
                assert_eq!(pool.call(count, ()).wait().unwrap(), ran + 1);
                break;
            }
            // This thread was kept from giving it up for so long that the worker had it.
            assert!(matches!(outcome, Ok(_) | Err(CallError::Aborted { .. })), "{outcome:?}");
            until("it has ended", || pool.in_flight() == 0);
        }
    });
}

#[test]
fn an_inline_task_sees_that_it_is_aborted() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let (enter, entered) = channel();
        let aborted =
            tasks.add_with_context("aborted", move |context: &TaskContext<'_>, (): ()| {
                enter.send(context.lane()).unwrap();
                while !context.is_aborted() {
                    std::thread::yield_now();
                }
            });
        let pool = threads(FIRST).start(tasks).unwrap();
        let timeout = Duration::from_millis(20);
        loop {
            let outcome = pool.call(aborted.with_timeout(timeout), ()).wait();
            let Err(CallError::TimedOut { may_have_run, .. }) = outcome else {
                panic!("{outcome:?}");
            };
            until("it has ended", || pool.in_flight() == 0);
            // This thread was in the task until the driver said that the time was over.
            if entered.try_recv() == Ok(1) {
                assert!(may_have_run);
                break;
            }
            // It was kept from waiting for so long that the worker had the call, or nobody.
        }
    });
}

#[test]
fn an_inline_task_that_calls_the_pool_has_its_answer_from_a_worker() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let square = tasks.add("square", |n: f64| n * n);
        let shared: Arc<std::sync::OnceLock<Pool>> = Arc::default();
        let inner = Arc::clone(&shared);
        let inline = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&inline);
        let nested = tasks.add_with_context("nested", move |context: &TaskContext<'_>, n: f64| {
            // A thread that is kept from waiting for long loses its call to the worker.
            counter.fetch_add(u32::from(context.lane() == 1), Ordering::SeqCst);
            inner.get().unwrap().call(square, n).wait().unwrap()
        });
        shared.set(threads(FIRST).start(tasks).unwrap()).unwrap();
        let pool = shared.get().unwrap();
        for n in 0..50 {
            let n = f64::from(n);
            assert_eq!(pool.call(nested, n).wait().unwrap(), n * n);
        }
        assert!(inline.load(Ordering::SeqCst) > 0);
    });
}

/// Without a queue too: it goes to the worker that is idle.
#[test]
fn a_call_that_leaves_the_inline_lane_needs_no_queue() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let (lane, _) = lanes(&mut tasks);
        let pool = threads(FIRST).queue_limit(0).start(tasks).unwrap();
        for _ in 0..100 {
            assert_eq!(block_on(pool.call(lane, 0.0)).unwrap(), 0.0);
        }
    });
}

/// While they go to the workers other threads give them up: each of them ends once, as one or the other.
#[test]
fn a_call_that_leaves_the_inline_lane_may_be_given_up() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let (lane, _) = lanes(&mut tasks);
        let pool = threads(FIRST).queue_limit(0).start(tasks).unwrap();
        let mut ran = 0;
        for _ in 0..500 {
            let (call, start) = (pool.call(lane, 0.0), std::sync::Barrier::new(2));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    start.wait();
                    call.abort();
                });
                start.wait();
                // The future of another call sends both to the worker.
                assert_eq!(block_on(pool.call(lane, 0.0)).unwrap(), 0.0);
            });
            match call.wait() {
                Ok(on) => {
                    assert_eq!(on, 0.0);
                    ran += 1;
                }
                Err(CallError::Aborted { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        println!("{ran} of 500 ran before they were given up");
        until("nothing is left", || pool.in_flight() == 0);
    });
}
