//! What the driver looks after now and then, also while it sleeps for a future: calls behind a long task, calls of the inline lane,
//! deadlines while a waker takes its time.

mod pool_support;

use core::pin::Pin;
use core::task::{Context, Waker};
use knit_lanes::{Balancer, Call, Inline, Pool, Position, Restart, Task, Tasks};
use pool_support::futures::block_on;
use pool_support::{until, within_deadline};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::Wake;
use std::time::Duration;

/// A task that waits for the test, one that does not.
struct Both {
    held: Task<u32, u32>,
    quick: Task<u32, u32>,
    /// Told when the first one begins.
    begun: Receiver<()>,
    /// Lets it go; all calls of it, once it is dropped.
    go: Sender<()>,
}

fn tasks() -> (Tasks, Both) {
    let ((go, going), (begins, begun)) = (channel::<()>(), channel());
    let going = Mutex::new(going);
    let mut tasks = Tasks::new();
    let held = tasks.add("held", move |n: u32| {
        let _ = begins.send(());
        let _ = going.lock().unwrap().recv();
        n
    });
    let quick = tasks.add("quick", |n: u32| n * n);
    (tasks, Both { held, quick, begun, go })
}

fn poll(call: &mut Call<u32>, waker: &Waker) {
    assert!(Pin::new(call).poll(&mut Context::from_waker(waker)).is_pending());
}

/// The drivers of this process sleep: what a call brings from now on has to wake them, or waits for their next look.
fn until_drivers_sleep() {
    let sleeps = |thread: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        !stat.contains("(knit-driver)") || stat.contains("(knit-driver) S")
    };
    until("the drivers sleep", || {
        std::fs::read_dir("/proc/self/task").unwrap().flatten().all(sleeps)
    });
}

/// A call that is handed to the lane of a long one, while the other lane is idle, is answered. The long one is polled, so that the driver
/// listens for it, or only held.
fn leaves_a_long_task(polled: bool) {
    within_deadline(move || {
        let (tasks, Both { held, quick, begun, go }) = tasks();
        let pool = Pool::builder().threads(2).balancer(Balancer::RoundRobin).start(tasks).unwrap();
        let mut long = pool.call(held, 1);
        begun.recv().unwrap();
        if polled {
            poll(&mut long, Waker::noop());
        }
        assert_eq!(pool.call(quick, 2).wait().unwrap(), 4);
        until_drivers_sleep();
        assert_eq!(pool.call(quick, 3).wait().unwrap(), 9);
        drop(go);
        block_on(long).unwrap();
    });
}

#[test]
fn a_call_leaves_a_long_task_that_is_held() {
    leaves_a_long_task(false);
}

#[test]
fn a_call_leaves_a_long_task_that_is_polled() {
    leaves_a_long_task(true);
}

/// A call in the inline lane that nobody waits for is run by an idle worker.
fn leaves_the_inline_lane(polled: bool) {
    within_deadline(move || {
        let (tasks, Both { held, quick, begun, go }) = tasks();
        let inline = Inline { position: Position::First, batch: 4, threshold: 0 };
        let pool = Pool::builder().threads(2).inline(inline).start(tasks).unwrap();
        let mut long = pool.call(held, 1);
        if polled {
            poll(&mut long, Waker::noop());
        }
        begun.recv().unwrap();
        until_drivers_sleep();
        let call = pool.call(quick, 3);
        until("a worker has run it", || call.is_done());
        drop(go);
        block_on(long).unwrap();
    });
}

#[test]
fn an_inline_call_goes_to_a_worker_beside_a_held_one() {
    leaves_the_inline_lane(false);
}

#[test]
fn an_inline_call_goes_to_a_worker_beside_a_polled_one() {
    leaves_the_inline_lane(true);
}

/// The inline lane behind so many workers, of which all but one are given up for good and that one is busy, runs a call.
fn last_runs(lanes: usize) {
    within_deadline(move || {
        let (tasks, Both { held, quick, begun, go }) = tasks();
        let inline = Inline { position: Position::Last, batch: 4, threshold: 0 };
        let pool = Pool::builder()
            .threads(lanes)
            .inline(inline)
            .hard_timeout(Duration::from_millis(50))
            .restart(Restart::never())
            .start(tasks)
            .unwrap();
        for left in (1..lanes).rev() {
            let lost = pool.call(held, 1);
            begun.recv().unwrap();
            lost.abort();
            until("the lane is given up", || pool.lanes_alive() == left);
        }
        let long = pool.call(held, 1);
        begun.recv().unwrap();
        assert_eq!(pool.call(quick, 3).wait().unwrap(), 9);
        drop(go);
        long.wait().unwrap();
    });
}

#[test]
fn the_last_inline_lane_runs_calls_when_workers_are_busy() {
    last_runs(1);
}

#[test]
fn the_last_inline_lane_runs_calls_when_a_lane_is_lost() {
    last_runs(2);
}

struct Does<F: Fn() + Send + Sync>(F);

impl<F: Fn() + Send + Sync> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn leave(call: &mut Call<u32>, then: impl Fn() + Send + Sync + 'static) {
    poll(call, &Waker::from(Arc::new(Does(then))));
}

/// A thread that waits reads its own answer and that of another call, whose waker takes its time. Its own time is over meanwhile: the
/// driver, which ends such calls, goes on with the deadlines of others.
#[test]
fn a_slow_waker_keeps_no_deadline_of_others_up() {
    within_deadline(|| {
        let mut time = Duration::from_millis(500);
        while !an_answer_is_read_beside_a_slow_waker(time) {
            // On this machine it takes longer until all stands as it should.
            time *= 2;
        }
    });
}

/// Its own call has so much time, and the one that the driver is to give up meanwhile a little more. False when that was over too soon: then
/// nothing is shown.
fn an_answer_is_read_beside_a_slow_waker(time: Duration) -> bool {
    let (tasks, Both { held, quick, begun, go }) = tasks();
    let pool = Pool::builder().threads(1).start(tasks).unwrap();
    let mut first = pool.call(held, 1);
    begun.recv().unwrap();
    let mut other = pool.call(held, 2);
    let own = pool.call(quick.with_timeout(time), 3);
    let mut late = pool.call(held.with_timeout(time + time / 5), 4);
    let ((comes, here), (runs, is_run), (over, is_over)) = (channel(), channel(), channel());
    let (run_all, over_all) = (runs.clone(), over.clone());
    let (is_run, is_over) = (Mutex::new(is_run), Mutex::new(is_over));
    // On the driver, which leaves the other answers to the thread that waits.
    leave(&mut first, move || {
        let _ = comes.send(());
        let _ = is_run.lock().unwrap().recv();
    });
    leave(&mut other, move || {
        let _ = runs.send(());
        let _ = is_over.lock().unwrap().recv();
    });
    let tells = Waker::from(Arc::new(Does(move || {
        let _ = over.send(());
    })));
    let mut is_late = Pin::new(&mut late).poll(&mut Context::from_waker(&tells)).is_ready();
    go.send(()).unwrap();
    here.recv().unwrap();
    // From here on the driver gives nothing up: it is in the waker of the first call.
    is_late |= own.is_done() || late.is_done();
    if !is_late {
        go.send(()).unwrap();
        // The worker has begun the other call, and the last one: the answers between are there.
        begun.recv().unwrap();
        begun.recv().unwrap();
        is_late = own.wait().is_err();
    }
    if is_late {
        let _ = (run_all.send(()), over_all.send(()));
    }
    drop(go);
    assert!(is_late || block_on(late).is_err(), "it was given up");
    !is_late
}
