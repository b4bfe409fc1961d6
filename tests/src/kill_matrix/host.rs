//! A host that is ended with its pool: its workers end, and no task has run twice.

use super::leaks::{Holdings, until_gone};
use super::ledger::{Event, Ledger, Truth};
use super::load::{Load, Outcome, builder, tasks};
use super::report::Report;
use super::round::until;
use super::{Plan, Random, Way};
use rustix::process::{Pid, Signal};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

/// What a host process does: it makes calls, notes what became of them, and ends itself after that many
/// (`u32::MAX`: it is ended).
///
/// # Panics
///
/// The pool does not start, or a call ends as none may.
pub fn serve(path: &Path, seed: u64, own_end: u32) -> ! {
    let ledger = Ledger::open(path).expect("the ledger can be opened");
    let (tasks, mark) = tasks();
    let pool = builder(path, "steady", seed).start(tasks).expect("the workers start");
    let (next, over, ended) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let way = if seed.is_multiple_of(2) { Way::Exit } else { Way::Abort };
    let note = |call: u32, outcome: Result<Outcome, String>, _: Instant| {
        ledger.note(call, outcome.expect("no call fails in another way").event());
        if ended.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == own_end {
            super::worker::end(way);
        }
    };
    let made = |call| ledger.note(call, Event::Made);
    std::thread::scope(|scope| {
        for caller in 0..2_u64 {
            let (pool, next, over) = (&pool, &next, &over);
            let (made, ended) = (&made, &note);
            scope.spawn(move || {
                Load { pool, mark, small: false, next, over, made, ended }.run(seed ^ caller << 48)
            });
        }
    });
    unreachable!("calls are made until this process ends")
}

/// Starts a host, ends it, and looks at what is left.
pub fn run(plan: &Plan, report: &mut Report, seed: u64) {
    let path = plan.directory.join(format!("ledger-{}-host-{seed}", std::process::id()));
    let before = Holdings::now();
    let way = match end(&path, seed) {
        Ok(way) => way,
        Err(error) => return report.wrong.push(format!("host {seed}: {error}")),
    };
    let gone = until_gone(&path.display().to_string());
    for left in [gone, before.until_back()] {
        report.wrong.extend(left.err().map(|left| format!("host {seed}: {left}")));
    }
    report.kill("host", Some(way), 1);
    match Truth::read(&path) {
        Ok(truth) => settle(report, seed, &truth),
        Err(error) => report.wrong.push(format!("host {seed}: {error}")),
    }
    let _ = std::fs::remove_file(path);
}

/// Starts a host that makes calls.
///
/// # Errors
///
/// The system refuses.
pub fn start(path: &Path, seed: u64, own_end: u32) -> Result<Child, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    // What a host says while it is ended is its own business.
    let host = Command::new(program)
        .arg("host")
        .arg(path)
        .args([seed.to_string(), own_end.to_string()])
        .stderr(Stdio::null())
        .spawn();
    host.map_err(|error| error.to_string())
}

fn end(path: &Path, seed: u64) -> Result<Way, String> {
    let mut random = Random::new(seed);
    let way = random.pick(&[Way::Kill, Way::Stop, Way::Abort, Way::Terminate, Way::Exit]);
    let own_end = if way == Way::Exit { random.below(300) } else { u32::MAX };
    let mut host = start(path, seed, own_end)?;
    let pid = Pid::from_child(&host);
    let outcome = (|| {
        if own_end != u32::MAX {
            return Ok(());
        }
        let began = || Truth::read(path).is_ok_and(|truth| truth.count(0, Event::Began) > 0);
        until("the host makes calls", began)?;
        // Not to wait for anything: any moment will do.
        std::thread::sleep(Duration::from_micros(random.below(5000).into()));
        let signal =
            |signal| rustix::process::kill_process(pid, signal).map_err(|error| error.to_string());
        if way == Way::Stop {
            signal(Signal::STOP)?;
            std::thread::sleep(Duration::from_micros(random.below(5000).into()));
        }
        signal(match way {
            Way::Abort => Signal::ABORT,
            Way::Terminate => Signal::TERM,
            _ => Signal::KILL,
        })
    })();
    if outcome.is_err() {
        let _ = host.kill();
    }
    host.wait().map_err(|error| error.to_string())?;
    outcome.map(|()| way)
}

/// What the dead host had been told is true, and no task ran twice.
pub(super) fn settle(report: &mut Report, seed: u64, truth: &Truth) {
    let wrong = report.wrong.len();
    for call in truth.calls.keys() {
        let told = [Outcome::Finished(0), Outcome::NotRun, Outcome::MayHaveRun];
        let told: Vec<_> =
            told.into_iter().filter(|outcome| truth.count(*call, outcome.event()) > 0).collect();
        match told[..] {
            [outcome] => report.hold(truth, *call, outcome),
            [] => {
                report.with_host += 1;
                if truth.count(*call, Event::Began) > 1 || truth.count(*call, Event::Made) != 1 {
                    report.wrong.push(format!("call {call} ran twice or was never made"));
                }
            }
            _ => report.wrong.push(format!("call {call} was told {told:?}")),
        }
    }
    for wrong in &mut report.wrong[wrong..] {
        *wrong = format!("host {seed}: {wrong}");
    }
}
