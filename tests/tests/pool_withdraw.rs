//! Calls behind a long task go to a lane that has nothing to do. KD-25.

mod pool_support;

use knit_lanes::{Balancer, Builder, Call, CallError, Pool, Tasks, WorkerExit};
use pool_support::futures::join_all;
use pool_support::gate::Held;
use pool_support::process::{kill, signal, state, until_stopped};
use pool_support::worker::{Remote, builder, held, start};
use pool_support::{fresh_path, until, within_deadline};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Two lanes, each of which is at a task that the test ends, with half of the calls behind each.
struct Stuck {
    // First, so that a test that fails does not wait for the pool.
    held: Vec<Held>,
    pool: Pool,
    remote: Remote,
    long: Vec<Call<u32>>,
    calls: Vec<Call<()>>,
    file: String,
}

impl Stuck {
    fn new(calls: u32) -> Self {
        let (pool, remote, long, held) = held::<2>();
        let (long, held) = (long.into(), held.into());
        let file = fresh_path("ledger");
        let call = |n| pool.call(remote.append, format!("{file} {n}"));
        let calls = (0..calls).map(call).collect();
        Self { held, pool, remote, long, calls, file }
    }

    /// Lets the second long task end, and then its lane be idle.
    /// Returns the process of the other one.
    fn let_one_go(&mut self) -> u32 {
        let workers = self.pool.worker_ids();
        drop(self.held.pop());
        let idle = self.long.pop().unwrap().wait().unwrap();
        let others: Vec<_> = workers.into_iter().filter(|worker| *worker != idle).collect();
        assert_eq!(others.len(), 1, "each had one of the long tasks");
        others[0]
    }

    fn assert_ran_once(&self, calls: u32) {
        assert_ran_once(&self.file, calls);
    }
}

/// Each call ran once, as it wrote down itself.
#[track_caller]
fn assert_ran_once(file: &str, calls: u32) {
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(lines.len(), calls as usize, "{lines:?}");
    assert_eq!(lines.into_iter().collect::<BTreeSet<_>>(), (0..calls).collect());
    std::fs::remove_file(file).unwrap();
}

/// KD-25, LANE-38: the calls are all answered while the long task runs.
#[test]
fn calls_behind_a_long_task_move_to_an_idle_lane() {
    within_deadline(|| {
        let mut stuck = Stuck::new(20);
        stuck.let_one_go();
        for call in stuck.calls.drain(..) {
            call.wait().unwrap();
        }
        stuck.assert_ran_once(20);
        assert!(!stuck.long[0].is_done());
        let lanes = stuck.pool.metrics().lanes;
        let withdrawn: Vec<_> = lanes.iter().map(|lane| lane.withdrawn).collect();
        assert_eq!(withdrawn.iter().sum::<u64>(), 10, "{withdrawn:?}");
        for lane in &lanes {
            let sum = lane.answers + lane.failed + lane.returned + lane.withdrawn + lane.in_flight;
            assert_eq!(sum, lane.calls);
        }
        // New calls are not put behind it.
        for n in 0..50 {
            assert_eq!(
                stuck.pool.call(stuck.remote.square, f64::from(n)).wait().unwrap(),
                f64::from(n * n)
            );
        }
        stuck.held.clear();
        stuck.long.pop().unwrap().wait().unwrap();
        // Every place is free again, on both lanes.
        until("both lanes take calls", || {
            let pids: BTreeSet<_> =
                (0..4).map(|_| stuck.pool.call(stuck.remote.pid, ()).wait().unwrap()).collect();
            pids.len() == 2
        });
        let total = stuck.pool.metrics().total();
        assert_eq!((total.in_flight, total.withdrawn, total.poisonings), (0, 10, 0));
    });
}

/// The driver wakes up by itself, also where it serves futures and sleeps on the lanes.
#[test]
fn futures_move_as_calls_do_that_a_thread_waits_for() {
    within_deadline(|| {
        let mut stuck = Stuck::new(20);
        let calls = std::mem::take(&mut stuck.calls);
        let waits = std::thread::spawn(|| join_all(calls));
        stuck.let_one_go();
        for outcome in waits.join().unwrap() {
            outcome.unwrap();
        }
        stuck.assert_ran_once(20);
        assert_eq!(stuck.pool.metrics().total().withdrawn, 10);
    });
}

/// Nobody waits at all: the handles are dropped.
#[test]
fn calls_without_a_handle_move_too() {
    within_deadline(|| {
        let mut stuck = Stuck::new(20);
        stuck.calls.clear();
        stuck.let_one_go();
        until("only the long call is left", || stuck.pool.in_flight() == 1);
        stuck.assert_ran_once(20);
    });
}

/// A full mailbox, a queue, and three idle lanes.
#[test]
fn a_full_lane_is_emptied() {
    within_deadline(|| {
        let (pool, remote, long, held) = held::<4>();
        let mut held = Vec::from(held);
        let file = fresh_path("ledger");
        let calls: Vec<_> =
            (0..200).map(|n| pool.call(remote.append, format!("{file} {n}"))).collect();
        held.truncate(1);
        for call in calls {
            call.wait().unwrap();
        }
        assert!(!long[0].is_done());
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 200);
        // More, when a worker that is not scheduled looks as if it were at a long task.
        assert!(pool.metrics().total().withdrawn >= 31);
        held.clear();
        for call in long {
            call.wait().unwrap();
        }
        std::fs::remove_file(file).unwrap();
    });
}

/// A task that opts out of being made again stays: its argument is not kept.
#[test]
fn a_call_that_is_not_made_again_stays_behind_the_long_task() {
    within_deadline(|| {
        let (pool, remote, long, [first, second]) = held();
        let once = [(); 2].map(|()| pool.call(remote.square.without_retry(), 2.0));
        let again: Vec<_> = (0..10).map(|_| pool.call(remote.square, 3.0)).collect();
        drop(second);
        for call in again {
            assert_eq!(call.wait().unwrap(), 9.0);
        }
        // That of the other lane has gone by.
        until("one is left", || once.iter().filter(|call| !call.is_done()).count() == 1);
        assert_eq!((pool.metrics().total().withdrawn, pool.in_flight()), (5, 2));
        drop(first);
        for call in once {
            assert_eq!(call.wait().unwrap(), 4.0);
        }
        for call in long {
            call.wait().unwrap();
        }
    });
}

/// A shared buffer is given to the other worker, and both count the messages that named it.
#[test]
fn calls_with_shared_buffers_move() {
    within_deadline(|| {
        let mut stuck = Stuck::new(0);
        let workers = stuck.pool.worker_ids();
        let calls: Vec<_> = (1..=10_u8)
            .map(|n| {
                let buffer = knit_lanes::SharedBuffer::new(4096).unwrap();
                buffer.write(0, &[n; 4096]).unwrap();
                stuck.pool.call(stuck.remote.sum, buffer)
            })
            .collect();
        stuck.let_one_go();
        for (n, call) in (1..).zip(calls) {
            assert_eq!(call.wait().unwrap(), f64::from(n) * 4096.0);
        }
        stuck.held.clear();
        stuck.long.pop().unwrap().wait().unwrap();
        for _ in 0..4 {
            let buffer = knit_lanes::SharedBuffer::new(4096).unwrap();
            assert_eq!(stuck.pool.call(stuck.remote.sum, buffer).wait().unwrap(), 0.0);
        }
        let total = stuck.pool.metrics().total();
        assert_eq!((total.withdrawn, total.poisonings, total.restarts), (5, 0, 0));
        assert_eq!(stuck.pool.worker_ids(), workers);
    });
}

/// What was given up is left where it is; what has moved can be given up there.
#[test]
fn calls_that_were_given_up_are_not_moved() {
    within_deadline(|| {
        let mut stuck = Stuck::new(20);
        // Two with each worker.
        for call in &stuck.calls[..4] {
            call.abort();
        }
        let timed = stuck.remote.append.with_timeout(Duration::from_millis(1));
        let late = stuck.pool.call(timed, format!("{} 20", stuck.file));
        assert!(matches!(late.wait(), Err(CallError::TimedOut { may_have_run: true, .. })));
        stuck.let_one_go();
        for (n, call) in stuck.calls.drain(..).enumerate() {
            match call.wait() {
                Ok(()) => assert!(n >= 4, "call {n}"),
                Err(CallError::Aborted { may_have_run: true }) => assert!(n < 4, "call {n}"),
                other => panic!("call {n}: {other:?}"),
            }
        }
        assert_eq!(stuck.pool.metrics().total().withdrawn, 8);
        stuck.held.clear();
        stuck.long.pop().unwrap().wait().unwrap();
        until("every place is free", || stuck.pool.in_flight() == 0);
        // Each ran at most once, those that were given up as well.
        let text = std::fs::read_to_string(&stuck.file).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), lines.len(), "{lines:?}");
        std::fs::remove_file(&stuck.file).unwrap();
    });
}

/// C12: nobody ends a worker that is stopped. The calls behind its task move, though it answers nothing, and it runs none of them when it
/// goes on.
#[test]
fn calls_behind_a_task_of_a_stopped_worker_move() {
    within_deadline(|| {
        let mut stuck = Stuck::new(0);
        let workers = stuck.pool.worker_ids();
        let stopped = stuck.let_one_go();
        signal(stopped, Signal::STOP);
        until_stopped(stopped);
        let call = |n| stuck.pool.call(stuck.remote.append, format!("{} {n}", stuck.file));
        // In turn, to both.
        let calls: Vec<_> = (0..20).map(call).collect();
        for call in calls {
            call.wait().unwrap();
        }
        // New calls are not put behind it.
        for _ in 0..50 {
            assert_ne!(stuck.pool.call(stuck.remote.pid, ()).wait().unwrap(), stopped);
        }
        assert_eq!(state(&stopped.to_string()), Some('T'));
        signal(stopped, Signal::CONT);
        stuck.held.clear();
        assert_eq!(stuck.long.pop().unwrap().wait().unwrap(), stopped);
        // It has answered all that was taken from it.
        until("both lanes take calls", || {
            stuck.pool.call(stuck.remote.pid, ()).wait().unwrap() == stopped
        });
        stuck.assert_ran_once(20);
        assert_eq!(stuck.pool.worker_ids(), workers);
        let total = stuck.pool.metrics().total();
        assert!((1..=10).contains(&total.withdrawn), "{total:?}");
        assert_eq!((total.restarts, total.returned, total.failed, total.poisonings), (0, 0, 0, 0));
    });
}

/// C12: what is given to a worker that is stopped at no task waits for it.
#[test]
fn calls_of_a_stopped_worker_that_was_idle_run_once() {
    within_deadline(|| {
        let (pool, remote) = start(builder(2).balancer(Balancer::RoundRobin));
        until("both workers are ready", || pool.worker_ids().len() == 2);
        let workers = pool.worker_ids();
        signal(workers[0], Signal::STOP);
        until_stopped(workers[0]);
        let file = fresh_path("ledger");
        let call = |n| pool.call(remote.append, format!("{file} {n}"));
        let calls: Vec<_> = (0..20).map(call).collect();
        until("those of the other lane have ended", || {
            calls.iter().filter(|call| call.is_done()).count() >= 10
        });
        assert_eq!(
            (state(&workers[0].to_string()), pool.worker_ids()),
            (Some('T'), workers.clone())
        );
        signal(workers[0], Signal::CONT);
        for call in calls {
            call.wait().unwrap();
        }
        assert_ran_once(&file, 20);
        assert_eq!(pool.worker_ids(), workers);
        let total = pool.metrics().total();
        assert_eq!((total.restarts, total.returned, total.poisonings), (0, 0, 0));
    });
}

/// C9: the worker dies while it still has the places of the calls that have moved.
#[test]
fn calls_that_have_moved_are_not_made_again_when_their_first_worker_dies() {
    within_deadline(|| {
        let mut stuck = Stuck::new(20);
        let worker = stuck.let_one_go();
        until("ten calls have moved", || stuck.pool.metrics().total().withdrawn == 10);
        kill(worker);
        for call in stuck.calls.drain(..) {
            call.wait().unwrap();
        }
        let died = stuck.long.pop().unwrap().wait();
        assert!(matches!(died, Err(CallError::WorkerDied { may_have_run: true, .. })), "{died:?}");
        stuck.held.clear();
        stuck.assert_ran_once(20);
        let total = stuck.pool.metrics().total();
        // More, when the other worker is not scheduled for a moment and the new one is idle.
        assert!(total.withdrawn >= 10, "{total:?}");
        assert_eq!((total.returned, total.failed), (0, 1));
    });
}

/// A pool that closes waits for what has moved, and moves it while it closes.
#[test]
fn a_pool_that_drains_moves_calls() {
    within_deadline(|| {
        let mut stuck = Stuck::new(20);
        drop(stuck.held.pop());
        let (calls, mut held) = (stuck.calls, stuck.held);
        let waits = std::thread::spawn(move || {
            for call in calls {
                call.wait().unwrap();
            }
            // Only now the first long task may end.
            held.clear();
        });
        drop(stuck.pool);
        waits.join().unwrap();
        for call in stuck.long {
            call.wait().unwrap();
        }
        let text = std::fs::read_to_string(&stuck.file).unwrap();
        assert_eq!(text.lines().collect::<BTreeSet<_>>().len(), text.lines().count());
        assert_eq!(text.lines().count(), 20);
        std::fs::remove_file(&stuck.file).unwrap();
    });
}

/// The end of a pool whose worker still has the places.
#[test]
fn a_pool_is_shut_down_while_places_of_moved_calls_are_taken() {
    within_deadline(|| {
        let mut stuck = Stuck::new(20);
        stuck.let_one_go();
        for call in stuck.calls.drain(..) {
            call.wait().unwrap();
        }
        stuck.assert_ran_once(20);
        assert_eq!(stuck.pool.in_flight(), 1);
        // The long call alone has not ended.
        let unfinished = stuck.pool.shutdown(Duration::ZERO).unwrap_err();
        assert_eq!(unfinished.calls, 1);
        let outcome = stuck.long.pop().unwrap().wait();
        assert!(matches!(outcome, Err(CallError::Closed)), "{outcome:?}");
    });
}

/// Threads of the host's process serve as processes do; one that is let go of runs nothing of what has moved.
#[test]
fn calls_behind_a_long_task_of_a_thread_move() {
    within_deadline(|| {
        let mut tasks = Tasks::new();
        let (enter, entered) = channel();
        let hold = tasks.add("hold", move |gate: u32| {
            let (go, going) = channel::<()>();
            enter.send((gate, go)).unwrap();
            let _ = going.recv();
        });
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let add = tasks.add("add", move |(): ()| counted.fetch_add(1, Ordering::SeqCst));
        let builder = Pool::builder().threads(2).balancer(Balancer::RoundRobin);
        let pool = builder.hard_timeout(Duration::ZERO).start(tasks).unwrap();
        let long = [0, 1].map(|gate| pool.call(hold, gate));
        let mut gates = vec![entered.recv().unwrap(), entered.recv().unwrap()];
        gates.sort_by_key(|(gate, _)| *gate);
        let calls: Vec<_> = (0..20).map(|_| pool.call(add, ())).collect();
        // The second task ends.
        gates.truncate(1);
        let values: BTreeSet<_> = calls.into_iter().map(|call| call.wait().unwrap()).collect();
        assert_eq!(values, (0..20).collect());
        assert_eq!(pool.metrics().total().withdrawn, 10);
        let [long, other] = long;
        other.wait().unwrap();
        // Let go of, with ten places that are taken: nobody fails, and nothing runs.
        long.abort();
        assert!(matches!(long.wait(), Err(CallError::Aborted { may_have_run: true })));
        until("it was replaced", || pool.metrics().total().restarts == 1);
        gates.clear();
        assert_eq!(pool.call(add, ()).wait().unwrap(), 20);
        drop(pool);
        until("the first thread has ended", || Arc::strong_count(&runs) == 1);
        assert_eq!(runs.load(Ordering::SeqCst), 21);
    });
}

const VILLAIN: &str = env!("CARGO_BIN_EXE_knit-test-villain");

/// Calls to a pool whose first lane has a worker that is odd about calls that are withdrawn. It begins with none before it has ten of them,
/// so that nine are withdrawn at once.
struct Odd {
    pool: Pool,
    calls: Vec<Call<String>>,
}

impl Odd {
    fn new(mode: &str) -> Self {
        let mut tasks = Tasks::new();
        let text = tasks.declare::<String, String>("text");
        let builder: Builder = Pool::builder().command(VILLAIN, [mode]).processes(2);
        let pool = builder.balancer(Balancer::RoundRobin).start(tasks).unwrap();
        until("both workers are ready", || pool.worker_ids().len() == 2);
        let calls = (0..20).map(|n| pool.call(text, n.to_string())).collect();
        Self { pool, calls }
    }

    /// All calls but the first one of that worker get their answers; what became of that one.
    fn all_but_one(&mut self) -> CallError {
        let mut errors = Vec::new();
        for (n, call) in self.calls.drain(..).enumerate() {
            match call.wait() {
                Ok(text) => assert_eq!(text, n.to_string()),
                Err(error) => errors.push(error),
            }
        }
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors.remove(0)
    }
}

/// LANE-41: of calls that may be begun at any moment the host learns from their answers.
#[test]
fn calls_that_are_given_back_by_their_answer_go_to_another_lane() {
    within_deadline(|| {
        let mut odd = Odd::new("withdrawn-gives-back");
        // The villain answers nothing with a text.
        let error = odd.all_but_one();
        assert!(matches!(error, CallError::Answer(_)), "{error}");
        let total = odd.pool.metrics().total();
        // More, when the other worker is not scheduled for a moment.
        assert!(total.withdrawn >= 9, "{total:?}");
        assert_eq!(total.poisonings, 0);
    });
}

/// LANE-36, C9: a call of which nothing is certain is made again when its worker has died before it began.
#[test]
fn calls_that_were_withdrawn_without_certainty_are_made_again_after_a_death() {
    within_deadline(|| {
        let mut odd = Odd::new("withdrawn-dies");
        match odd.all_but_one() {
            CallError::WorkerDied { lane: 0, exit: WorkerExit::Code(7), may_have_run: true } => {}
            other => panic!("{other:?}"),
        }
        // All ten that it had: none was withdrawn. What comes after it may be.
        let total = odd.pool.metrics().total();
        assert_eq!((total.returned, total.failed), (9, 1));
    });
}

/// LANE-39: a worker that answers what has moved is ended, and what has moved is not concerned.
#[test]
fn a_worker_that_runs_what_it_was_to_leave_is_ended() {
    within_deadline(|| {
        let mut odd = Odd::new("withdrawn-runs");
        let error = odd.all_but_one();
        assert!(matches!(error, CallError::Answer(_) | CallError::Violation { .. }), "{error}");
        // A pool without calls looks at no answers: the next call has it look.
        let text = odd.pool.task::<String, String>("text").unwrap();
        until("the lane is poisoned", || {
            assert_eq!(odd.pool.call(text, "more".to_owned()).wait().unwrap(), "more");
            odd.pool.metrics().total().poisonings == 1
        });
        let total = odd.pool.metrics().total();
        // More, when the other worker is not scheduled for a moment and the new one is idle.
        assert!(total.withdrawn >= 9, "{total:?}");
        assert_eq!(total.returned, 0);
    });
}
