//! What the driver looks after now and then, also while it sleeps for a future: calls behind a long task, calls of the inline lane,
//! deadlines while a waker takes its time.

mod pool_support;
use core::pin::Pin;
use core::task::{Context, Waker};
use knit_lanes::{Balancer, Inline, Pool, Position, Task, Tasks};
use pool_support::futures::block_on;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::Wake;
use std::time::{Duration, Instant};

/// A task that waits for the test, one that does not.
fn tasks() -> (Tasks, Task<u32, u32>, Task<f64, f64>, Sender<()>) {
    let (go, going) = channel::<()>();
    let going = Mutex::new(going);
    let mut tasks = Tasks::new();
    let held = tasks.add("held", move |n: u32| {
        let _ = going.lock().unwrap().recv();
        n
    });
    let quick = tasks.add("quick", |n: f64| n * n);
    (tasks, held, quick, go)
}

fn poll(call: &mut knit_lanes::Call<u32>) {
    assert!(Pin::new(call).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// `future`: whether the long call is polled (the driver drives), or only held (the driver rests, with its tick).
fn behind_a_long_task(future: bool) -> bool {
    let (tasks, held, quick, go) = tasks();
    let pool = Pool::builder().threads(2).balancer(Balancer::RoundRobin).start(tasks).unwrap();
    let mut long = pool.call(held, 1);
    if future {
        poll(&mut long);
    }
    assert_eq!(pool.call(quick, 2.0).wait().unwrap(), 4.0);
    std::thread::sleep(Duration::from_millis(300));
    // Behind the long one; the other lane is idle.
    let moved = pool.call(quick, 3.0).wait_timeout(Duration::from_secs(3)).is_ok();
    drop(go);
    block_on(long).unwrap();
    moved
}

#[test]
fn a_call_leaves_a_long_task_that_is_held() {
    assert!(behind_a_long_task(false));
}

#[test]
fn a_call_leaves_a_long_task_that_is_polled() {
    assert!(behind_a_long_task(true), "still behind the long task after 3 s, other lane idle");
}

fn held_inline_call(future: bool) -> bool {
    let (tasks, held, quick, go) = tasks();
    let inline = Inline { position: Position::First, batch: 4, threshold: 0 };
    let pool = Pool::builder().threads(2).inline(inline).start(tasks).unwrap();
    let mut long = pool.call(held, 1);
    if future {
        poll(&mut long);
    } else {
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_millis(300));
    let call = pool.call(quick, 3.0);
    let since = Instant::now();
    while !call.is_done() && since.elapsed() < Duration::from_secs(3) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let done = call.is_done();
    drop(go);
    block_on(long).unwrap();
    done
}

#[test]
fn an_inline_call_goes_to_a_worker_beside_a_held_call() {
    assert!(held_inline_call(false));
}

#[test]
fn an_inline_call_goes_to_a_worker_beside_a_polled_one() {
    assert!(held_inline_call(true), "inline call not handed to an idle worker within 3 s");
}

/// The inline lane behind the workers, one of which (or none) was given up for good.
fn inline_last(lanes: usize) -> bool {
    let (tasks, held, quick, go) = tasks();
    let inline = Inline { position: Position::Last, batch: 4, threshold: 0 };
    let pool = Pool::builder()
        .threads(lanes)
        .inline(inline)
        .hard_timeout(Duration::from_millis(50))
        .restart(knit_lanes::Restart::never())
        .start(tasks)
        .unwrap();
    if lanes > 1 {
        let lost = pool.call(held, 1);
        std::thread::sleep(Duration::from_millis(50));
        lost.abort();
        while pool.lanes_alive() == lanes {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let long = pool.call(held, 1);
    std::thread::sleep(Duration::from_millis(50));
    let ran = pool.call(quick, 3.0).wait_timeout(Duration::from_secs(2)).is_ok();
    drop(go);
    let _ = long.wait();
    ran
}

#[test]
fn the_last_inline_lane_runs_calls_when_workers_are_busy() {
    assert!(inline_last(1));
}

#[test]
fn the_last_inline_lane_runs_calls_when_a_lane_is_lost() {
    assert!(
        inline_last(2),
        "every worker is busy, and the thread that waits does not run the call"
    );
}

struct Does<F: Fn() + Send + Sync>(F);
impl<F: Fn() + Send + Sync> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}
fn leave(call: &mut knit_lanes::Call<u32>, then: impl Fn() + Send + Sync + 'static) {
    let waker = Waker::from(Arc::new(Does(then)));
    assert!(Pin::new(call).poll(&mut Context::from_waker(&waker)).is_pending());
}

/// A waker that takes its time, on the thread that has read the answer of its own call meanwhile, whose time is over then. The
/// waits before make it so; where they do not, nothing is shown.
#[test]
fn a_slow_waker_keeps_no_deadline_of_others_up() {
    const MS: Duration = Duration::from_millis(1);
    let (mut tasks, held, _, go) = tasks();
    let slow = tasks.add("slow", |n: u32| {
        std::thread::sleep(50 * MS);
        n
    });
    let pool = Pool::builder().threads(1).spin(MS).start(tasks).unwrap();
    let mut first = pool.call(held, 1);
    let mut woken = pool.call(slow, 2);
    let own = pool.call(slow.with_timeout(1000 * MS), 3);
    let mut late = pool.call(held.with_timeout(1200 * MS), 4);
    leave(&mut first, || std::thread::sleep(600 * MS));
    let (over, is_over) = channel();
    let (told, outcome) = channel();
    let (is_over, over) = (Mutex::new(is_over), Mutex::new(over));
    leave(&mut woken, move || {
        let _ = told.send(is_over.lock().unwrap().recv_timeout(Duration::from_secs(30)));
    });
    leave(&mut late, move || {
        let _ = over.lock().unwrap().send(());
    });
    go.send(()).unwrap();
    std::thread::sleep(300 * MS);
    // In time or not: both are fine.
    let _ = own.wait();
    let seen = outcome.recv().expect("the waker ran");
    drop(go);
    assert!(seen.is_ok(), "a time limit was not kept while a waker ran");
}
