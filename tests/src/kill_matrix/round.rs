//! Rounds with one pool: its workers are ended from outside, or end themselves.

use super::leaks::{Holdings, is_gone, until_gone};
use super::ledger::Truth;
use super::load::{Load, Outcome, builder, tasks};
use super::report::Report;
use super::{DEADLINE, Plan, Random, Way};
use crate::overheard::Overheard;
use knit_lanes::Pool;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Threads that make calls.
const CALLERS: u64 = 3;
/// Ended workers of one pool. A lane waits longer before each new worker; a new pool begins anew.
const KILLS: u32 = 6;

/// What callers have seen.
#[derive(Default)]
struct Seen {
    outcomes: BTreeMap<u32, Outcome>,
    /// When a call failed last because its worker died.
    failed: Option<Instant>,
    /// When a worker's first answer came.
    answered: BTreeMap<u32, Instant>,
    wrong: Vec<String>,
}

/// One pool of steady workers that are ended from outside (`dying` false), or of workers that end themselves.
pub fn run(plan: &Plan, report: &mut Report, overheard: &Overheard, seed: u64, dying: bool) {
    let before = Holdings::now();
    let path = plan.directory.join(format!("ledger-{}-{seed}", std::process::id()));
    let role = if dying { "dying" } else { "steady" };
    let (tasks, mark) = tasks();
    let pool = match builder(&path, role, seed).start(tasks) {
        Ok(pool) => pool,
        Err(error) => return report.wrong.push(format!("round {seed}: {error}")),
    };
    let (next, over) = (AtomicU32::new(0), AtomicU32::new(0));
    let seen = Mutex::new(Seen::default());
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (pool, next, over, seen) = (&pool, &next, &over, &seen);
            scope.spawn(move || {
                let ended = |call: u32, outcome: Result<Outcome, String>, at: Instant| {
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.note(call, outcome, at);
                };
                let load =
                    Load { pool, mark, small: dying, next, over, made: &|_| {}, ended: &ended };
                load.run(seed ^ caller << 48);
            });
        }
        let done = if dying {
            let starts = || Truth::read(&path).map_or(0, |truth| truth.starts);
            until("workers end themselves", || starts() >= 2 + KILLS)
        } else {
            kill_workers(&pool, &seen, report, overheard, seed)
        };
        over.store(1, Ordering::Relaxed);
        if let Err(error) = done {
            report.wrong.push(format!("round {seed}: {error}"));
        }
    });
    drop(pool);
    settle(report, seed, &path, next.into_inner(), seen, dying);
    for left in [before.until_back(), until_gone(&path.display().to_string())] {
        report.wrong.extend(left.err().map(|left| format!("round {seed}: {left}")));
    }
    let _ = std::fs::remove_file(path);
}

/// Every call has one outcome, and it is the true one.
fn settle(report: &mut Report, seed: u64, path: &Path, made: u32, seen: Mutex<Seen>, dying: bool) {
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let truth = match Truth::read(path) {
        Ok(truth) => truth,
        Err(error) => return report.wrong.push(format!("round {seed}: {error}")),
    };
    if seen.outcomes.len() != made as usize {
        report.wrong.push(format!("round {seed}: {} of {made} outcomes", seen.outcomes.len()));
    }
    let wrong = report.wrong.len();
    for (call, outcome) in &seen.outcomes {
        report.hold(&truth, *call, *outcome);
    }
    report.wrong.extend(seen.wrong);
    for wrong in &mut report.wrong[wrong..] {
        *wrong = format!("round {seed}, {}: {wrong}", if dying { "inside" } else { "outside" });
    }
    if dying {
        report.kill("worker, at its n-th store", None, truth.starts.saturating_sub(2));
    }
}

impl Seen {
    fn note(&mut self, call: u32, outcome: Result<Outcome, String>, at: Instant) {
        match outcome {
            Ok(outcome) => {
                match outcome {
                    Outcome::Finished(worker) => drop(self.answered.entry(worker).or_insert(at)),
                    Outcome::NotRun | Outcome::MayHaveRun => self.failed = Some(at),
                }
                if self.outcomes.insert(call, outcome).is_some() {
                    self.wrong.push(format!("call {call} ended twice"));
                }
            }
            Err(error) => self.wrong.push(error),
        }
    }
}

fn kill_workers(
    pool: &Pool,
    seen: &Mutex<Seen>,
    report: &mut Report,
    overheard: &Overheard,
    seed: u64,
) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut killed = BTreeSet::new();
    for n in 0..KILLS {
        let mut alive = Vec::new();
        until("both workers are ready", || {
            alive = pool.worker_ids();
            alive.retain(|worker| !killed.contains(worker));
            alive.len() == 2
        })?;
        // The first two are the first of each lane.
        let worker = if n < 2 { alive[n as usize] } else { random.pick(&alive) };
        let known: BTreeSet<u32> = {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.answered.keys().copied().chain(alive.iter().copied()).collect()
        };
        // Not to wait for anything: any moment will do.
        std::thread::sleep(Duration::from_micros(random.below(3000).into()));
        let way = random.pick(&Way::OUTSIDE);
        let (since, dead) = end(worker, way, &mut random)?;
        killed.insert(worker);
        report.kill("worker, from outside", Some(way), 1);
        until("the worker is gone", || is_gone(worker))?;
        let mut answered = None;
        until("a new worker answers", || {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let new = seen.answered.iter().filter(|(worker, _)| !known.contains(worker));
            answered = new.map(|(_, at)| *at).min();
            answered.is_some()
        })?;
        if n < 2 {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let after = |at: Option<Instant>| at.and_then(|at| at.checked_duration_since(since));
            report.failed.extend(after(seen.failed));
            report.answered.extend(after(answered));
            let noticed = overheard.first_after(since, "worker died");
            report.noticed.extend(after(noticed));
            report.dead.extend(after(Some(dead)));
            // The pool may have been told before this thread.
            report.own.extend(noticed.map(|noticed| noticed.saturating_duration_since(dead)));
        }
    }
    Ok(())
}

/// Ends a worker from outside. Returns when that was, and when the kernel had told this thread of its end, which
/// asks for nothing else.
fn end(worker: u32, way: Way, random: &mut Random) -> Result<(Instant, Instant), String> {
    let pid = i32::try_from(worker).ok().and_then(Pid::from_raw).ok_or("no process id")?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())
        .map_err(|error| format!("{worker}: {error}"))?;
    let signal = |signal| {
        rustix::process::kill_process(pid, signal).map_err(|error| format!("{worker}: {error}"))
    };
    if way == Way::Stop {
        signal(Signal::STOP)?;
        std::thread::sleep(Duration::from_micros(random.below(4000).into()));
    }
    let since = Instant::now();
    signal(match way {
        Way::Abort => Signal::ABORT,
        Way::Terminate => Signal::TERM,
        _ => Signal::KILL,
    })?;
    let mut ends = [PollFd::new(&pidfd, PollFlags::IN)];
    let limit = Timespec::try_from(DEADLINE).map_err(|error| error.to_string())?;
    match rustix::event::poll(&mut ends, Some(&limit)) {
        Ok(1) => Ok((since, Instant::now())),
        Ok(_) => Err(format!("not within {DEADLINE:?}: the end of {worker}")),
        Err(error) => Err(format!("{worker}: {error}")),
    }
}

/// Looks until it holds.
pub(super) fn until(what: &str, mut condition: impl FnMut() -> bool) -> Result<(), String> {
    let since = Instant::now();
    while !condition() {
        if since.elapsed() > DEADLINE {
            return Err(format!("not within {DEADLINE:?}: {what}"));
        }
        // Leaves the processors to those that are watched.
        std::thread::sleep(Duration::from_micros(50));
    }
    Ok(())
}
