//! Workers that are started at the same moment. The only test of its program: any other one that starts processes
//! would lend them its descriptors for a moment.

mod pool_support;

use knit_lanes::Pool;
use knit_tests::overheard::Overheard;
use pool_support::process::{kill, signal, state};
use pool_support::worker::{WORKER, tasks};
use pool_support::{until, within};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const LANES: usize = 8;
/// How often a start is to be stopped.
const CATCHES: usize = 2;

/// A process that is being started has the descriptors of its parent until it runs its program. If the other end of
/// another worker's channel were among them, that worker's death would be believed only when the wait for it is over, and
/// each of its calls would be one that may have run. Here one is stopped in that moment, for as long as it takes.
#[test]
fn a_dead_worker_is_gone_whoever_else_is_being_started() {
    let overheard = Overheard::listen();
    let (pools, killed) = within(Duration::from_secs(120), {
        let overheard = overheard.clone();
        move || {
            let (mut pools, mut caught, mut killed) = (0, 0, 0);
            while caught < CATCHES {
                let dead = round(&overheard);
                pools += 1;
                caught += usize::from(dead.is_some());
                killed += dead.unwrap_or(0);
            }
            (pools, killed)
        }
    });
    println!("{CATCHES} starts stopped in {pools} pools, {killed} workers killed meanwhile");
    assert_eq!(overheard.count("the worker may live on"), 0, "of {killed} deaths");
}

/// All workers of a pool die and are replaced; one of the new ones is stopped before it runs its program, and those that are
/// ready meanwhile are killed. How many they were; `None` when nothing was stopped in time.
fn round(overheard: &Overheard) -> Option<usize> {
    let (tasks, _) = tasks();
    let pool = Pool::builder().command(WORKER, [""; 0]).processes(LANES);
    let pool = pool.start(tasks).unwrap();
    until("all are ready", || pool.worker_ids().len() == LANES);
    let first = pool.worker_ids();
    let known: BTreeSet<_> = first.iter().copied().collect();
    let died = || overheard.count("worker died");
    let before = died();
    let ready = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let hunter = scope.spawn(|| {
            ready.store(1, Ordering::Release);
            stop_one(&known, || pool.worker_ids().iter().any(|id| !known.contains(id)))
        });
        until("somebody watches", || ready.load(Ordering::Acquire) == 1);
        first.iter().for_each(|worker| kill(*worker));
        let stopped = hunter.join().unwrap();
        until("the first ones have ended", || died() == before + LANES);
        let guard = stopped?;
        let stopped = guard.0;
        // Whoever has started by now gets ready. Others start later, when they may.
        let new = || pool.worker_ids().into_iter().filter(|worker| !known.contains(worker));
        until("those that have started are ready", || {
            children().iter().all(|child| *child == stopped || new().any(|ready| ready == *child))
        });
        let ready: Vec<_> = new().collect();
        ready.iter().for_each(|worker| kill(*worker));
        until("their deaths are believed", || died() == before + LANES + ready.len());
        assert_eq!(state(&stopped.to_string()), Some('T'), "it was stopped all the time");
        Some(ready.len())
    })
}

/// A process that is stopped until this is dropped.
struct Stopped(u32);

impl Drop for Stopped {
    fn drop(&mut self) {
        signal(self.0, Signal::CONT);
    }
}

/// Stops a new child of this process before it runs its program. `None` when it is too late for that.
fn stop_one(known: &BTreeSet<u32>, too_late: impl Fn() -> bool) -> Option<Stopped> {
    let program = |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).ok();
    let mine = program("self");
    while !too_late() {
        for child in children().difference(known) {
            let pid = child.to_string();
            if program(&pid) != mine {
                continue;
            }
            signal(*child, Signal::STOP);
            until("it stops", || matches!(state(&pid), None | Some('T' | 'Z' | 'X')));
            if program(&pid) == mine {
                return Some(Stopped(*child));
            }
            signal(*child, Signal::CONT);
        }
    }
    None
}

/// Those children of this process that run.
fn children() -> BTreeSet<u32> {
    let threads = fs::read_dir("/proc/self/task").expect("Linux has /proc").flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let text: String = lists.collect();
    let ids = text.split_whitespace().filter_map(|id| id.parse().ok());
    ids.filter(|id: &u32| !matches!(state(&id.to_string()), None | Some('Z' | 'X'))).collect()
}
