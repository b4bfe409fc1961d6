//! A queue with a limit whose callers wait for room: threads, futures, and what becomes of them whatever happens to the pool.

mod pool_support;

use knit_lanes::{
    Builder, Call, CallError, Inline, Pool, Position, QueuePolicy, Restart, Tasks, Unfinished,
};
use pool_support::futures::{block_on, join_all, poll_once};
use pool_support::gate::{Gate, Held};
use pool_support::process::{kill, this_thread, until_asleep};
use pool_support::worker::{Remote, builder, only_worker, start};
use pool_support::{fresh_path, until, within_deadline};
use std::sync::mpsc::channel;
use std::time::Duration;

/// A timeout that passes while the test looks on.
const SHORT: Duration = Duration::from_millis(30);

fn waits(builder: Builder, limit: usize) -> Builder {
    builder.queue_limit(limit).queue_policy(QueuePolicy::Wait)
}

/// Calls that fill the lane and the queue of a pool of one process.
struct Full {
    long: Call<u32>,
    held: Held,
    others: Vec<Call<f64>>,
}

impl Full {
    fn of(pool: &Pool, remote: Remote, limit: usize) -> Self {
        let gate = Gate::new();
        let long = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let others = (0..31 + limit).map(|_| pool.call(remote.square, 2.0)).collect();
        assert_eq!(depth_and_waiting(pool), (limit as u64, 0));
        Self { long, held, others }
    }

    /// Lets the worker go on.
    fn release(self) {
        drop(self.held);
        self.long.wait().unwrap();
        for call in self.others {
            assert_eq!(call.wait().unwrap(), 4.0);
        }
    }
}

fn depth_and_waiting(pool: &Pool) -> (u64, u64) {
    let queue = pool.metrics().queue;
    (queue.depth, queue.waiting)
}

fn until_waiting(pool: &Pool, callers: u64) {
    until("so many callers wait", || pool.metrics().queue.waiting == callers);
}

#[test]
fn a_thread_waits_until_the_queue_has_room() {
    within_deadline(|| {
        for limit in [0, 3] {
            let (pool, remote) = start(waits(builder(1), limit));
            let full = Full::of(&pool, remote, limit);
            std::thread::scope(|scope| {
                let (pool, (started, thread)) = (&pool, channel());
                let caller = scope.spawn(move || {
                    started.send(this_thread()).unwrap();
                    pool.call(remote.square, 3.0).wait()
                });
                until_waiting(pool, 1);
                until_asleep(&thread.recv().unwrap());
                assert_eq!(depth_and_waiting(pool), (limit as u64 + 1, 1));
                assert!(!caller.is_finished());
                full.release();
                assert_eq!(caller.join().unwrap().unwrap(), 9.0);
            });
            let queue = pool.metrics().queue;
            assert_eq!((queue.queued, queue.waited), (limit as u64 + 1, 1));
            assert_eq!((queue.depth, queue.waiting, queue.refused), (0, 0, 0));
        }
    });
}

/// One by one, as soon as there is room, not only when their calls run.
#[test]
fn callers_are_let_in_as_the_queue_moves_up() {
    within_deadline(|| {
        let (pool, remote) = start(waits(builder(1), 2));
        let gates = [(); 3].map(|()| Gate::new());
        let inside = gates.each_ref().map(|gate| pool.call(remote.hold, gate.path()));
        let first = gates[0].entered();
        let others: Vec<_> = (0..31).map(|_| pool.call(remote.square, 2.0)).collect();
        std::thread::scope(|scope| {
            let (pool, (let_in, callers)) = (&pool, channel());
            let told = let_in.clone();
            let thread = scope.spawn(move || {
                let call = pool.call(remote.square, 3.0);
                told.send("thread").unwrap();
                call.wait()
            });
            until_waiting(pool, 1);
            let future = scope.spawn(move || {
                let call = block_on(pool.call_async(remote.square, 5.0));
                let_in.send("future").unwrap();
                call.wait()
            });
            until_waiting(pool, 2);
            assert!(callers.try_recv().is_err());
            drop(first);
            let second = gates[1].entered();
            assert_eq!(callers.recv(), Ok("thread"));
            assert_eq!(depth_and_waiting(pool), (3, 1));
            drop(second);
            let third = gates[2].entered();
            assert_eq!(callers.recv(), Ok("future"));
            assert_eq!(depth_and_waiting(pool), (2, 0));
            drop(third);
            assert_eq!(thread.join().unwrap().unwrap(), 9.0);
            assert_eq!(future.join().unwrap().unwrap(), 25.0);
        });
        for call in others {
            assert_eq!(call.wait().unwrap(), 4.0);
        }
        for call in inside {
            call.wait().unwrap();
        }
    });
}

/// Nobody else reads the answers that make room.
#[test]
fn one_thread_with_every_call_does_not_wait_for_itself() {
    within_deadline(|| {
        for (limit, spin) in [(0, 50), (1, 0), (5, 50), (5, 0)] {
            let (pool, remote) = start(waits(builder(2).spin(Duration::from_micros(spin)), limit));
            let mut calls = Vec::new();
            for n in 0..1000 {
                calls.push(pool.call(remote.square, f64::from(n)));
                let (depth, waiting) = depth_and_waiting(&pool);
                assert!(depth <= limit as u64 && waiting == 0, "{depth} of {limit}, {waiting}");
            }
            for (n, call) in (0..).zip(calls) {
                assert_eq!(call.wait().unwrap(), f64::from(n * n));
            }
            let squares = pool.map(remote.square, (0..500).map(f64::from));
            for (n, square) in (0..).zip(squares) {
                assert_eq!(square.unwrap(), f64::from(n * n));
            }
        }
    });
}

/// Threads and futures have one line. The tasks write down their order.
#[test]
fn who_comes_first_is_served_first() {
    within_deadline(|| {
        let (pool, remote) = start(waits(builder(1), 2));
        let full = Full::of(&pool, remote, 2);
        let file = fresh_path("order");
        std::thread::scope(|scope| {
            for n in 0..12 {
                let (pool, line) = (&pool, format!("{file} {n}"));
                let argument = async { Ok::<_, std::io::Error>(line) };
                scope.spawn(move || match n % 4 {
                    0 => pool.call(remote.append, block_on(argument).unwrap()).wait().unwrap(),
                    1 => pool.call_when(remote.append, argument).wait().unwrap(),
                    2 => block_on(pool.call_when(remote.append, argument)).unwrap(),
                    _ => {
                        let line = block_on(argument).unwrap();
                        let call = block_on(pool.call_async(remote.append, line));
                        call.wait().unwrap();
                    }
                });
                until_waiting(pool, n + 1);
            }
            assert_eq!(depth_and_waiting(&pool), (14, 12));
            full.release();
        });
        let expected: String = (0..12).map(|n| format!("{n}\n")).collect();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
        std::fs::remove_file(file).unwrap();
        assert_eq!(depth_and_waiting(&pool), (0, 0));
    });
}

#[test]
fn the_time_of_a_call_goes_on_in_the_line() {
    within_deadline(|| {
        for limit in [0, 2] {
            let (pool, remote) = start(waits(builder(1), limit));
            let full = Full::of(&pool, remote, limit);
            let square = remote.square.with_timeout(SHORT);
            let timed_out = |outcome: Result<f64, CallError>| {
                let error = outcome.unwrap_err();
                let expected = matches!(error, CallError::TimedOut { may_have_run: false, .. });
                assert!(expected, "{error}");
                // What was given up in the line leaves nothing behind.
                assert_eq!(depth_and_waiting(&pool), (limit as u64, 0));
            };
            for _ in 0..3 {
                timed_out(pool.call(square, 1.0).wait());
                timed_out(block_on(async { pool.call_async(square, 1.0).await.await }));
                let argument = async { Ok::<_, std::io::Error>(1.0) };
                timed_out(pool.call_when(square, argument).wait());
            }
            assert_eq!(pool.metrics().queue.given_up, 9);
            full.release();
            assert_eq!(pool.in_flight(), 0);
        }
    });
}

#[test]
fn a_future_that_is_dropped_in_the_line_makes_no_call() {
    within_deadline(|| {
        let (pool, remote) = start(waits(builder(1), 1));
        let full = Full::of(&pool, remote, 1);
        let path = fresh_path("dropped");
        let mut first = pool.call_async(remote.count, path.clone());
        let argument = async { Ok::<_, std::io::Error>(path.clone()) };
        let mut second = Box::pin(pool.call_when(remote.count, argument));
        let mut last = pool.call_async(remote.square, 5.0);
        let never_polled = pool.call_async(remote.count, path.clone());
        assert!(poll_once(&mut first).is_pending());
        assert!(poll_once(&mut second).is_pending());
        assert!(poll_once(&mut last).is_pending());
        assert_eq!(depth_and_waiting(&pool), (4, 3));
        drop((first, second, never_polled));
        assert_eq!(depth_and_waiting(&pool), (2, 1));
        assert!(poll_once(&mut last).is_pending());
        full.release();
        assert_eq!(block_on(block_on(last)).unwrap(), 25.0);
        until("every place is free", || pool.in_flight() == 0);
        assert!(!std::fs::exists(path).unwrap(), "a call was made");
    });
}

#[test]
fn callers_in_the_line_survive_the_death_of_a_worker() {
    within_deadline(|| {
        let (pool, remote) = start(waits(builder(1).spin(Duration::ZERO), 2));
        let worker = only_worker(&pool);
        let Full { long, held, others } = Full::of(&pool, remote, 2);
        std::thread::scope(|scope| {
            for n in 0..6 {
                let pool = &pool;
                scope.spawn(move || {
                    let pid = match n % 2 {
                        0 => pool.call(remote.pid, ()).wait(),
                        _ => block_on(async { pool.call_async(remote.pid, ()).await.await }),
                    };
                    assert_ne!(pid.unwrap(), worker);
                });
            }
            until_waiting(&pool, 6);
            kill(worker);
        });
        assert!(matches!(long.wait(), Err(CallError::WorkerDied { .. })));
        for call in others {
            assert_eq!(call.wait().unwrap(), 4.0);
        }
        drop(held);
        assert_eq!((depth_and_waiting(&pool), pool.in_flight()), ((0, 0), 0));
    });
}

#[test]
fn callers_in_the_line_fail_when_no_worker_is_left() {
    within_deadline(|| {
        let (pool, remote) = start(waits(builder(1).restart(Restart::never()), 2));
        let worker = only_worker(&pool);
        let Full { long, held, others } = Full::of(&pool, remote, 2);
        let no_workers = |outcome: Result<f64, CallError>| {
            assert!(matches!(outcome, Err(CallError::NoWorkers(_))), "{outcome:?}");
        };
        std::thread::scope(|scope| {
            for n in 0..6 {
                let (pool, no_workers) = (&pool, &no_workers);
                scope.spawn(move || {
                    no_workers(match n % 2 {
                        0 => pool.call(remote.square, 1.0).wait(),
                        _ => block_on(async { pool.call_async(remote.square, 1.0).await.await }),
                    });
                });
            }
            until_waiting(&pool, 6);
            kill(worker);
        });
        assert!(matches!(long.wait(), Err(CallError::WorkerDied { .. })));
        others.into_iter().map(Call::wait).for_each(no_workers);
        // And those that come later.
        no_workers(pool.call(remote.square, 1.0).wait());
        no_workers(block_on(async { pool.call_async(remote.square, 1.0).await.await }));
        drop(held);
        assert_eq!((depth_and_waiting(&pool), pool.in_flight()), ((0, 0), 0));
    });
}

/// The futures outlive the pool: nobody else can be in the line when it closes.
#[test]
fn the_line_ends_with_the_pool() {
    within_deadline(|| {
        let in_line = |pool: &Pool, remote: Remote| {
            let mut futures = [1.0, 2.0].map(|n| pool.call_async(remote.square, n));
            assert!(futures.iter_mut().all(|future| poll_once(future).is_pending()));
            (futures, pool.call_async(remote.square, 3.0))
        };
        // It ends in peace: all that wait are served.
        let (pool, remote) = start(waits(builder(1), 2));
        let full = Full::of(&pool, remote, 2);
        let (futures, late) = in_line(&pool, remote);
        drop(full.held);
        drop(pool);
        let values = join_all(futures.into_iter().map(async |future| future.await.await.unwrap()));
        assert_eq!(values, [1.0, 4.0]);
        assert!(matches!(block_on(block_on(late)), Err(CallError::Closed)));
        // It does not.
        let (pool, remote) = start(waits(builder(1), 2));
        let full = Full::of(&pool, remote, 2);
        let (futures, late) = in_line(&pool, remote);
        let unfinished: Unfinished = pool.shutdown(Duration::ZERO).unwrap_err();
        assert_eq!(unfinished.calls, 32 + 2 + 2);
        for future in futures.into_iter().chain([late]) {
            assert!(matches!(block_on(block_on(future)), Err(CallError::Closed)));
        }
        drop(full);
    });
}

#[test]
fn calls_of_many_threads_all_come_through_a_narrow_queue() {
    within_deadline(|| {
        for limit in [0, 1, 3] {
            let (pool, remote) = start(waits(builder(2), limit));
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let pool = &pool;
                    scope.spawn(move || {
                        for round in 0..10 {
                            let n = f64::from(thread * 100 + round);
                            if thread % 2 == 0 {
                                let calls: Vec<_> =
                                    (0..50).map(|_| pool.call(remote.square, n)).collect();
                                for call in calls {
                                    assert_eq!(call.wait().unwrap(), n * n);
                                }
                            } else {
                                let call = async |_| pool.call_async(remote.square, n).await.await;
                                for outcome in join_all((0..50).map(call)) {
                                    assert_eq!(outcome.unwrap(), n * n);
                                }
                            }
                        }
                    });
                }
            });
            assert_eq!((depth_and_waiting(&pool), pool.in_flight()), ((0, 0), 0));
        }
    });
}

/// Futures send their calls on from the inline lane: that must not be a way around the limit.
#[test]
fn the_inline_lane_takes_no_call_while_the_queue_is_more_than_full() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let (enter, entered) = channel();
        let (leave, left) = channel::<()>();
        let left = std::sync::Mutex::new(left);
        let hold = tasks.add("hold", move |(): ()| {
            enter.send(()).unwrap();
            left.lock().unwrap().recv().unwrap();
        });
        let square = tasks.add("square", |n: f64| n * n);
        let inline = Inline { position: Position::First, batch: 1, threshold: 0 };
        let pool = waits(Pool::builder().threads(1).inline(inline), 1).start(tasks).unwrap();
        let mut long = pool.call(hold, ());
        assert!(poll_once(&mut long).is_pending());
        entered.recv().unwrap();
        // With the worker, in the queue, and one that waits for room there without a caller.
        let mut calls: Vec<_> = (0..31 + 1 + 1)
            .map(|_| {
                let mut call = pool.call(square, 2.0);
                assert!(poll_once(&mut call).is_pending());
                call
            })
            .collect();
        // The pool's own thread may have sent the first one on.
        until("each is where it belongs", || depth_and_waiting(&pool) == (2, 1));
        let mut next = pool.call_async(square, 2.0);
        assert!(poll_once(&mut next).is_pending());
        assert_eq!(depth_and_waiting(&pool), (3, 2));
        leave.send(()).unwrap();
        block_on(long).unwrap();
        calls.push(block_on(next));
        assert_eq!(join_all(calls).into_iter().map(Result::unwrap).sum::<f64>(), 34.0 * 4.0);
        assert_eq!((depth_and_waiting(&pool), pool.in_flight()), ((0, 0), 0));
    });
}

/// Calls that go on from the inline lane to a queue that is full are kept too.
#[test]
fn the_inline_lane_fills_a_narrow_queue_and_no_call_is_lost() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let square = tasks.add("square", |n: f64| n * n);
        let inline = Inline { position: Position::First, batch: 4, threshold: 0 };
        let pool = waits(Pool::builder().threads(1).inline(inline), 0).start(tasks).unwrap();
        let calls: Vec<_> = (0..500).map(|n| pool.call(square, f64::from(n))).collect();
        for (n, call) in (0..).zip(calls) {
            let expected = f64::from(n * n);
            // Polled as a future a call leaves the inline lane.
            let value = if n % 2 == 0 { call.wait() } else { block_on(call) };
            assert_eq!(value.unwrap(), expected);
        }
        assert_eq!((depth_and_waiting(&pool), pool.in_flight()), ((0, 0), 0));
    });
}
