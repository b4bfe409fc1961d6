//! Defects of Knitting (KD-1 to KD-33) that no other test file is about: each test would fail if a pool had
//! the one that it names. `docs/hardening.md` has the whole list.

mod pool_support;

use knit_lanes::{Balancer, CallError, Isolation, SharedBuffer, Task};
use knit_tests::overheard::Overheard;
use knit_tests::skip;
use pool_support::futures::{join_all, poll_once};
use pool_support::gate::Gate;
use pool_support::process::{is_gone, kill, state, until_gone, with_argument};
use pool_support::worker::{WORKER, builder, pool, start, tasks, unwatched};
use pool_support::{bytes, until, within_deadline};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A timeout that passes while the test looks on.
const SHORT: Duration = Duration::from_millis(30);
/// One that does not.
const LONG: Duration = Duration::from_secs(600);

/// Runs a worker whose monotonic and boot clocks are ten days ahead.
const OTHER_CLOCK: [&str; 5] = ["--time", "--monotonic", "864000", "--boottime", "864000"];

/// KD-2, C18: a timeout is a stretch of the host's clock; none crosses the lane. With stamps of a clock that the two
/// did not share, calls timed out at once, or never; a task that did not yield was never timed out.
#[test]
fn timeouts_do_not_depend_on_the_clock_of_the_worker() {
    let mut there = Command::new("unshare");
    let there = there.args(OTHER_CLOCK).arg("/bin/true").stderr(Stdio::null()).status();
    if !there.as_ref().is_ok_and(std::process::ExitStatus::success) {
        return skip(&format!("no process has a clock of its own here ({there:?})"), &["unshare"]);
    }
    within_deadline(|| {
        let (tasks, remote) = tasks();
        let arguments = OTHER_CLOCK.into_iter().chain([WORKER]);
        let pool = builder(1).command("unshare", arguments).start(tasks).unwrap();
        let offsets = format!("/proc/{}/timens_offsets", pool.worker_ids()[0]);
        assert!(fs::read_to_string(offsets).unwrap().contains("864000"), "one clock for both");
        let in_time = remote.square.with_timeout(LONG);
        for n in 0..300 {
            assert_eq!(pool.call(in_time, f64::from(n)).wait().unwrap(), f64::from(n * n));
        }
        // A task that blocks its thread.
        let gate = Gate::new();
        let call = pool.call(remote.hold.with_timeout(SHORT), gate.path());
        let held = gate.entered();
        let error = call.wait().unwrap_err();
        assert!(matches!(error, CallError::TimedOut { timeout: SHORT, .. }), "{error}");
        drop(held);
        assert_eq!(pool.call(in_time, 3.0).wait().unwrap(), 9.0);
        // A deadline of another clock would be one that is over.
        let told = pool.call(remote.time_left.with_timeout(LONG), ()).wait().unwrap();
        assert_eq!(told, None);
    });
}

/// KD-3: tasks are found by name, whatever order a language or a side sorts names in.
#[test]
fn a_task_is_the_one_of_its_name_in_every_locale() {
    within_deadline(|| {
        for locale in ["C", "sv_SE.UTF-8", "et_EE.UTF-8", "tr_TR.UTF-8"] {
            for names in [["a1", "z1", "ä1", "Z1"], ["ä1", "Z1", "a1", "z1"]] {
                let (mut tasks, _) = tasks();
                let named = names.map(|name| (name, tasks.declare::<(), String>(name)));
                let isolation = Isolation::default()
                    .env("LANG", locale)
                    .env("LC_ALL", locale)
                    .env("LC_COLLATE", locale);
                let pool = builder(1).isolation(isolation).start(tasks).unwrap();
                for (name, task) in named {
                    assert_eq!(pool.call(task, ()).wait().unwrap(), name, "{locale}");
                }
            }
        }
    });
}

/// KD-4: a buffer that one worker has been given is given to the others too, in whatever order they meet it.
#[test]
fn every_lane_is_given_a_buffer_before_it_is_named_there() {
    within_deadline(|| {
        let (pool, remote) = start(builder(3).balancer(Balancer::RoundRobin));
        let buffers: Vec<_> = (1..=20_u8)
            .map(|fill| {
                let buffer = SharedBuffer::new(100).unwrap();
                buffer.write(0, &[fill; 100]).unwrap();
                (f64::from(fill) * 100.0, buffer)
            })
            .collect();
        for _ in 0..5 {
            let calls: Vec<_> = buffers
                .iter()
                .flat_map(|(sum, buffer)| [(*sum, buffer.clone()), (*sum, buffer.clone())])
                .map(|(sum, buffer)| (sum, pool.call(remote.sum, buffer)))
                .collect();
            for (sum, call) in calls {
                assert_eq!(call.wait().unwrap(), sum);
            }
        }
    });
}

/// KD-8: a pool was taken down under calls that were pending, and the next look at them was into memory that
/// was gone.
#[test]
fn calls_in_every_state_can_be_used_after_their_pool() {
    within_deadline(|| {
        let (pool, remote) = start(builder(2).drain_timeout(SHORT));
        let gates = [Gate::new(), Gate::new()];
        let running = gates.each_ref().map(|gate| pool.call(remote.hold, gate.path()));
        let held = gates.each_ref().map(Gate::entered);
        let mut polled: Vec<_> = (0..30).map(|n| pool.call(remote.square, f64::from(n))).collect();
        for call in &mut polled {
            assert!(poll_once(call).is_pending());
        }
        let queued: Vec<_> = (0..60).map(|_| pool.call(remote.bytes, bytes(1, 5000))).collect();
        let buffer = SharedBuffer::new(64).unwrap();
        let mut with_buffer = pool.call(remote.sum, buffer.clone());
        assert!(poll_once(&mut with_buffer).is_pending());
        drop(pool);
        drop(held);
        let closed =
            |error: &CallError| matches!(error, CallError::Closed | CallError::WorkerDied { .. });
        for call in &queued {
            assert!(call.is_done());
            call.abort();
        }
        assert!(join_all(polled).into_iter().all(|outcome| closed(&outcome.unwrap_err())));
        assert!(queued.into_iter().all(|call| closed(&call.wait().unwrap_err())));
        assert!(running.into_iter().all(|call| closed(&call.wait().unwrap_err())));
        assert!(closed(&with_buffer.wait().unwrap_err()));
        buffer.write(0, &[1]).unwrap();
    });
}

/// KD-9: more calls than there are abort signals, each of which can be aborted, again and again.
#[test]
fn abort_signals_are_enough_for_any_number_of_calls() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let task = remote.square.with_timeout(LONG);
        for _ in 0..3 {
            let calls: Vec<_> =
                (0..500).map(|n| (n, pool.call(task, f64::from(n)).abort_on_drop())).collect();
            for (n, call) in calls {
                assert_eq!(call.wait().unwrap(), f64::from(n * n));
            }
            let calls: Vec<_> = (0..500).map(|n| pool.call(task, f64::from(n))).collect();
            calls.iter().for_each(knit_lanes::Call::abort);
            for call in calls {
                let outcome = call.wait();
                assert!(matches!(outcome, Ok(_) | Err(CallError::Aborted { .. })), "{outcome:?}");
            }
        }
        until("every place is free", || pool.in_flight() == 0);
    });
}

/// KD-19, KD-21: a worker that has nothing to do sleeps, and no clock wakes it to look.
#[test]
fn no_clock_wakes_an_idle_worker() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let calls: Vec<_> = (0..100).map(|n| pool.call(remote.square, f64::from(n))).collect();
        calls.into_iter().for_each(|call| assert!(call.wait().is_ok()));
        let workers = pool.worker_ids();
        for worker in &workers {
            until("the worker sleeps", || state(&worker.to_string()) == Some('S'));
        }
        let switches = || workers.iter().map(|worker| switches(*worker)).sum::<u64>();
        let before = switches();
        // Not to synchronise: one that looked each millisecond would wake 300 times in it.
        std::thread::sleep(Duration::from_millis(300));
        let woken = switches() - before;
        assert!(woken <= 6, "two idle workers woke {woken} times in 300 ms");
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
    });
}

/// How often a process has gone to sleep.
fn switches(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

/// KD-20, KD-23, KD-27: a call wakes a worker that sleeps, every time, and its answer comes to a caller that sleeps, however
/// long both have slept. `boot_hosts` has a host without a driver.
#[test]
fn one_call_wakes_a_sleeping_worker_and_its_answer_a_sleeping_caller() {
    within_deadline(|| {
        let (pool, remote) = start(unwatched(1).spin(Duration::ZERO));
        let worker = pool.worker_ids()[0].to_string();
        // So many that a pause of some milliseconds in each would not be over in time.
        for n in 0..6000 {
            until("the worker sleeps", || state(&worker) == Some('S'));
            assert_eq!(pool.call(remote.square, f64::from(n)).wait().unwrap(), f64::from(n * n));
        }
        for _ in 0..20 {
            let gate = Gate::new();
            std::thread::scope(|scope| {
                let (told, thread) = std::sync::mpsc::channel();
                let call = pool.call(remote.hold, gate.path());
                let waiting = scope.spawn(move || {
                    told.send(pool_support::process::this_thread()).unwrap();
                    call.wait().unwrap()
                });
                let held = gate.entered();
                pool_support::process::until_asleep(&thread.recv().unwrap());
                drop(held);
                assert_eq!(waiting.join().unwrap().to_string(), worker);
            });
        }
    });
}

/// KD-26: the calls of one thread to one worker run in the order in which they were made, those that had to queue
/// among them.
#[test]
fn one_worker_runs_the_calls_of_a_thread_in_their_order() {
    within_deadline(|| {
        let (mut tasks, remote) = tasks();
        let turn: Task<(), u32> = tasks.declare("turn");
        let pool = builder(1).start(tasks).unwrap();
        for round in 0..20 {
            // Thirty-one go behind the first call, the others queue; more come while the queue gets shorter.
            let gate = Gate::new();
            let first = pool.call(remote.hold, gate.path());
            let held = gate.entered();
            let mut calls: Vec<_> = (0..200).map(|_| pool.call(turn, ())).collect();
            drop(held);
            first.wait().unwrap();
            calls.extend((0..300).map(|_| pool.call(turn, ())));
            for (n, call) in (round * 500..).zip(calls) {
                assert_eq!(call.wait().unwrap(), n);
            }
        }
    });
}

/// KD-6, C13: workers that are killed before they are ready, again and again, while their lane is being repaired.
#[test]
fn a_lane_recovers_from_deaths_in_its_recovery() {
    // No other test of this program ends a worker that is not ready.
    let overheard = Overheard::listen();
    within_deadline(move || {
        // Each worker takes a line from it before it runs its program. By this argument the workers of this pool are known.
        let gate = Gate::new();
        let mark = gate.path();
        let mut lines = fs::File::options().read(true).write(true).open(&mark).unwrap();
        lines.write_all(b"\n").unwrap();
        let script = format!(r#"read line < "$0"; exec "{WORKER}" "$0""#);
        let (tasks, remote) = tasks();
        let pool = builder(1).command("sh", ["-c", &script, &mark]).start(tasks).unwrap();
        let mut killed = BTreeSet::new();
        let first = pool.worker_ids()[0];
        kill(first);
        killed.insert(first);
        for _ in 0..4 {
            until("another worker is started", || {
                let fresh = with_argument(&mark).into_iter().find(|child| !killed.contains(child));
                if let Some(child) = fresh {
                    kill(child);
                    killed.insert(child);
                }
                fresh.is_some()
            });
        }
        let killed: Vec<_> = killed.into_iter().collect();
        until_gone(&killed);
        until("all that were not ready are missed", || {
            overheard.count("worker did not start") == 4
        });
        lines.write_all(b"\n").unwrap();
        // A call may be handed to a worker before its end is seen.
        until("a call is served", || match pool.call(remote.square, 3.0).wait() {
            Ok(value) => value == 9.0,
            Err(CallError::WorkerDied { .. }) => false,
            Err(error) => panic!("{error}"),
        });
        assert!(killed.iter().all(|worker| is_gone(*worker)));
        assert_eq!(overheard.count("worker did not start"), 4);
    });
}
