//! Many calls at once: each gets its own answer, none is lost, whoever waits is woken.

mod pool_support;

use core::task::{Context, Poll, Waker};
use knit_lanes::Pool;
use pool_support::futures::{block_on, join_all, poll_once};
use pool_support::gate::Gate;
use pool_support::worker::{Remote, builder, pool, start, unwatched};
use pool_support::{DEADLINE, Random, bytes, fresh_path, until, within, within_deadline};
use std::sync::{Arc, Mutex};
use std::task::Wake;
use std::time::{Duration, Instant};

#[test]
fn eight_threads_get_their_own_answers() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        std::thread::scope(|scope| {
            for thread in 0..8_u32 {
                let pool = &pool;
                scope.spawn(move || {
                    for call in 0..2000_u32 {
                        let number = f64::from(thread * 10_000 + call);
                        let squared = pool.call(remote.square, number).wait().unwrap();
                        assert_eq!(squared, number * number);
                    }
                });
            }
        });
        assert_eq!(pool.in_flight(), 0);
    });
}

/// Sends payloads of these sizes all at once and holds every answer against what was sent.
fn echo_at_once(pool: &Pool, remote: Remote, sizes: impl Iterator<Item = usize>) {
    let calls: Vec<_> = sizes
        .enumerate()
        .map(|(seed, len)| (seed, len, pool.call(remote.bytes, bytes(seed as u64, len))))
        .collect();
    for (seed, len, call) in calls {
        let back = call.wait().unwrap();
        assert!(back == bytes(seed as u64, len), "call {seed} of {len} bytes: other bytes");
    }
}

#[test]
fn two_hundred_payloads_of_one_size_keep_apart() {
    // KD-1: above 32 calls with dynamic payloads, answers carried the bytes of other calls.
    within_deadline(|| {
        for processes in [1, 2] {
            let (pool, remote) = pool(processes);
            for _ in 0..3 {
                echo_at_once(&pool, remote, core::iter::repeat_n(4096, 200));
            }
            // KD-1: after one burst, a few calls at a time were wrong too.
            for _ in 0..20 {
                echo_at_once(&pool, remote, core::iter::repeat_n(4096, 8));
            }
        }
    });
}

#[test]
fn two_hundred_payloads_of_random_sizes_keep_apart() {
    // KD-1 with random sizes.
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let mut random = Random::new(1);
        for _ in 0..2 {
            echo_at_once(&pool, remote, (0..200).map(|_| random.below(64 << 10)));
        }
    });
}

#[test]
fn sixteen_calls_of_8_mib_all_succeed() {
    // KD-10: payload space was not back-pressured, half of them were refused.
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let sent = bytes(1, 8 << 20);
        let calls: Vec<_> = (0..16).map(|_| pool.call(remote.bytes, sent.clone())).collect();
        for call in calls {
            assert!(call.wait().unwrap() == sent);
        }
    });
}

/// KD-29: 32 slots of a lane are no limit of what a caller may have under way.
#[test]
fn thousands_of_calls_can_be_made_before_any_wait() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let calls: Vec<_> =
            (0..5000_u32).map(|n| (n, pool.call(remote.square, f64::from(n)))).collect();
        // The last first, so that most of the handles wait while others are answered.
        for (n, call) in calls.into_iter().rev() {
            assert_eq!(call.wait().unwrap(), f64::from(n) * f64::from(n));
        }
        assert_eq!(pool.in_flight(), 0);
    });
}

#[test]
fn futures_are_woken_from_several_threads() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        assert_eq!(block_on(pool.call(remote.square, 3.0)).unwrap(), 9.0);
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let pool = &pool;
                scope.spawn(move || {
                    let numbers: Vec<_> = (0..100).map(|n| f64::from(thread * 100 + n)).collect();
                    let calls = numbers.iter().map(|n| pool.call(remote.square, *n));
                    let squares: Vec<_> = join_all(calls).into_iter().map(Result::unwrap).collect();
                    let expected: Vec<_> = numbers.iter().map(|n| n * n).collect();
                    assert_eq!(squares, expected);
                });
            }
        });
    });
}

#[test]
fn futures_and_waiting_threads_share_a_lane() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        std::thread::scope(|scope| {
            for thread in 0..6_u32 {
                let pool = &pool;
                scope.spawn(move || {
                    for call in 0..300 {
                        let n = f64::from(thread * 1000 + call);
                        let squared = match thread % 3 {
                            0 => pool.call(remote.square, n).wait(),
                            1 => block_on(pool.call(remote.square, n)),
                            _ => {
                                let mut call = pool.call(remote.square, n);
                                loop {
                                    match call.wait_timeout(Duration::from_micros(20)) {
                                        Ok(outcome) => break outcome,
                                        Err(back) => call = back,
                                    }
                                }
                            }
                        };
                        assert_eq!(squared.unwrap(), n * n);
                    }
                });
            }
        });
    });
}

#[test]
fn threads_asleep_on_one_lane_are_all_woken() {
    within_deadline(|| {
        let (pool, remote) = start(unwatched(1).spin(Duration::ZERO));
        let gate = Gate::new();
        let first = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        std::thread::scope(|scope| {
            let (started, threads) = std::sync::mpsc::channel();
            for n in 0..12_u32 {
                let (pool, started) = (&pool, started.clone());
                scope.spawn(move || {
                    let call = pool.call(remote.square, f64::from(n));
                    started.send(pool_support::process::this_thread()).unwrap();
                    let squared = if n % 2 == 0 { call.wait() } else { block_on(call) };
                    assert_eq!(squared.unwrap(), f64::from(n * n));
                });
            }
            for thread in threads.iter().take(12) {
                pool_support::process::until_asleep(&thread);
            }
            drop(held);
        });
        first.wait().unwrap();
    });
}

#[test]
fn calls_whose_handle_is_dropped_still_run() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let path = fresh_path("count");
        for _ in 0..300 {
            drop(pool.call(remote.count, path.clone()));
        }
        let len = || std::fs::metadata(&path).map_or(0, |file| file.len());
        until("300 dropped calls have run", || len() == 300);
        assert_eq!(pool.call(remote.square, 2.0).wait().unwrap(), 4.0);
        assert_eq!(len(), 300);
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn dropped_calls_with_large_answers_run_though_nobody_reads_them() {
    // Seven answers of 8 MiB fill the arena: somebody has to take them, or the ninth call never runs.
    within_deadline(|| {
        // Nothing that happens once, when the time to get ready is over, may be what takes them.
        let (pool, remote) = start(builder(1).ready_timeout(2 * DEADLINE));
        let path = fresh_path("count");
        for _ in 0..20 {
            drop(pool.call(remote.count_filled, path.clone()));
        }
        let len = || std::fs::metadata(&path).map_or(0, |file| file.len());
        until("20 dropped calls have run", || len() == 20);
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn calls_with_large_answers_run_though_their_handles_only_lie_there() {
    // As above, but the caller keeps the handles and is busy with something else.
    within_deadline(|| {
        let (pool, remote) = start(builder(1).ready_timeout(2 * DEADLINE));
        let path = fresh_path("count");
        let calls: Vec<_> = (0..20).map(|_| pool.call(remote.count_filled, path.clone())).collect();
        let len = || std::fs::metadata(&path).map_or(0, |file| file.len());
        until("20 calls have run", || len() == 20);
        for call in calls {
            assert_eq!(call.wait().unwrap().len(), 8 << 20);
        }
        std::fs::remove_file(path).unwrap();
    });
}

/// WAKE-4, KD-27: no clock makes up for a wake-up that is lost.
#[test]
fn no_wake_up_is_lost_when_nobody_spins() {
    within_deadline(|| {
        for processes in [1, 2] {
            let (pool, remote) = start(unwatched(processes).spin(Duration::ZERO));
            std::thread::scope(|scope| {
                for thread in 0..6_u32 {
                    let pool = &pool;
                    scope.spawn(move || {
                        for call in 0..400 {
                            let n = f64::from(thread * 1000 + call);
                            let call = pool.call(remote.square, n);
                            let squared =
                                if thread % 2 == 0 { call.wait() } else { block_on(call) };
                            assert_eq!(squared.unwrap(), n * n);
                        }
                    });
                }
            });
        }
    });
}

/// WAKE-4, KD-27. The answer comes while its thread is about to sleep, sometimes after its last look and before its bell is armed.
#[test]
fn no_answer_is_missed_by_a_thread_that_just_goes_to_sleep() {
    // Sixty thousand calls that mostly sleep.
    within(5 * DEADLINE, || {
        let mut random = Random::new(1);
        // Where a worker runs, and with it how long an answer takes, mostly stays as it is.
        for _ in 0..6 {
            let (pool, remote) = start(unwatched(1).spin(Duration::ZERO));
            let mut pause = 0_usize;
            for n in (0..10_000).map(f64::from) {
                let call = pool.call(remote.square, n);
                for _ in 0..pause + random.below(64) {
                    core::hint::spin_loop();
                }
                // Waits begin about when the answer comes.
                pause = if call.is_done() { pause.saturating_sub(8) } else { pause + 8 };
                assert_eq!(call.wait().unwrap(), n * n);
            }
        }
    });
}

#[test]
fn a_wait_that_times_out_gives_the_handle_back() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let gate = Gate::new();
        let call = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        assert!(!call.is_done());
        let call = call.wait_timeout(Duration::from_millis(30)).unwrap_err();
        let call = call.wait_timeout(Duration::ZERO).unwrap_err();
        assert_eq!(pool.in_flight(), 1);
        drop(held);
        until("the call is done", || call.is_done());
        assert_eq!(call.wait_timeout(Duration::ZERO).unwrap().unwrap(), pool.worker_ids()[0]);
    });
}

#[test]
fn a_wait_in_the_queue_times_out_too() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let gate = Gate::new();
        let first = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let lane: Vec<_> = (0..31).map(|_| pool.call(remote.square, 1.0)).collect();
        let queued = pool.call(remote.square, 3.0);
        assert_eq!(pool.in_flight(), 33);
        assert!(!queued.is_done());
        let queued = queued.wait_timeout(Duration::from_millis(30)).unwrap_err();
        drop(held);
        assert_eq!(queued.wait().unwrap(), 9.0);
        first.wait().unwrap();
        for call in lane {
            assert_eq!(call.wait().unwrap(), 1.0);
        }
    });
}

#[test]
fn a_timeout_holds_while_the_waiter_still_spins() {
    within_deadline(|| {
        let (pool, remote) = start(builder(1).spin(Duration::from_secs(1)));
        let gate = Gate::new();
        let call = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let mut call = Some(call);
        // The best of some: a thread that is not scheduled is late as well.
        let is_quick = (0..10).any(|_| {
            let start = Instant::now();
            call = call.take().unwrap().wait_timeout(Duration::from_millis(20)).err();
            start.elapsed() < Duration::from_millis(600)
        });
        assert!(is_quick, "ten timeouts of 20 ms took 600 ms and more");
        drop(held);
        call.unwrap().wait().unwrap();
    });
}

/// Makes another call when it is woken.
struct CallsAgain {
    pool: Mutex<Option<Arc<Pool>>>,
    remote: Remote,
    made: Mutex<Vec<knit_lanes::Call<f64>>>,
}

impl Wake for CallsAgain {
    fn wake(self: Arc<Self>) {
        let pool = self.pool.lock().unwrap().clone();
        if let Some(pool) = pool {
            self.made.lock().unwrap().push(pool.call(self.remote.square, 5.0));
        }
    }
}

#[test]
fn a_waker_may_make_calls() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let pool = Arc::new(pool);
        let gate = Gate::new();
        let mut call = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let waker = Arc::new(CallsAgain {
            pool: Mutex::new(Some(Arc::clone(&pool))),
            remote,
            made: Mutex::default(),
        });
        let task = Waker::from(Arc::clone(&waker));
        let polled = core::pin::Pin::new(&mut call).poll(&mut Context::from_waker(&task));
        assert!(matches!(polled, Poll::Pending));
        drop(held);
        until("the waker has made a call", || {
            // Somebody who has the lock while calling must not keep this test from ending.
            waker.made.try_lock().is_ok_and(|made| !made.is_empty())
        });
        assert_eq!(call.wait().unwrap(), pool.worker_ids()[0]);
        for call in waker.made.lock().unwrap().drain(..) {
            assert_eq!(call.wait().unwrap(), 25.0);
        }
        *waker.pool.lock().unwrap() = None;
    });
}

/// Panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker of the test panics");
    }
}

#[test]
fn a_waker_that_panics_takes_no_thread_of_the_pool_along() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let gate = Gate::new();
        let mut call = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let waker = Waker::from(Arc::new(Panics));
        let polled = core::pin::Pin::new(&mut call).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop(held);
        // The driver wakes the first one and has to be there for the second one.
        assert_eq!(block_on(pool.call(remote.square, 3.0)).unwrap(), 9.0);
        assert_eq!(call.wait().unwrap(), pool.worker_ids()[0]);
        assert_eq!(block_on(pool.call(remote.square, 4.0)).unwrap(), 16.0);
    });
}

#[test]
fn a_future_that_was_polled_can_be_waited_for_by_a_thread() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let gate = Gate::new();
        let mut call = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        assert!(poll_once(&mut call).is_pending());
        assert!(poll_once(&mut call).is_pending());
        drop(held);
        assert_eq!(call.wait().unwrap(), pool.worker_ids()[0]);
        // Dropped while the pool has its waker.
        let gate = Gate::new();
        let mut call = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        assert!(poll_once(&mut call).is_pending());
        drop(call);
        drop(held);
        assert_eq!(pool.call(remote.square, 2.0).wait().unwrap(), 4.0);
    });
}
