//! A process that is stopped is slow, not dead, however long it is stopped.

use super::leaks::{Holdings, is_stopped, until_gone};
use super::ledger::{Event, Truth};
use super::load::{builder, numbers, tasks};
use super::report::Report;
use super::round::until;
use super::{Plan, host};
use crate::overheard::Overheard;
use rustix::process::{Pid, Signal};
use std::path::Path;
use std::process::Child;
use std::time::Duration;

/// Stops a worker with calls under way, and a whole host, for so long. Both go on, with the same processes. Returns the number of rounds.
pub fn run(plan: &Plan, report: &mut Report, overheard: &Overheard, time: Duration) -> u64 {
    println!("a worker and a host are stopped for {time:?}");
    let before = Holdings::now();
    let path = |what| plan.directory.join(format!("ledger-{}-stopped-{what}", std::process::id()));
    let (for_worker, for_host) = (path("worker"), path("host"));
    std::thread::scope(|scope| {
        let host = scope.spawn(|| stop_host(&for_host, time));
        let worker = stop_worker(&for_worker, overheard, time);
        let host = host.join().unwrap_or_else(|_| Err("it panicked".to_owned()));
        report.wrong.extend(worker.err().map(|error| format!("stopped worker: {error}")));
        report.wrong.extend(host.err().map(|error| format!("stopped host: {error}")));
    });
    for path in [for_worker, for_host] {
        report.wrong.extend(until_gone(&path.display().to_string()).err());
        let _ = std::fs::remove_file(path);
    }
    report.wrong.extend(before.until_back().err());
    1
}

/// Its calls neither end nor go elsewhere; they are answered when it goes on.
fn stop_worker(path: &Path, overheard: &Overheard, time: Duration) -> Result<(), String> {
    let (tasks, mark) = tasks();
    let pool = builder(path, "steady", 1).processes(1).start(tasks);
    let pool = pool.map_err(|error| error.to_string())?;
    let argument = |call: u32| [call.to_le_bytes(), [0; 4]].concat();
    pool.call(mark, argument(0)).wait().map_err(|error| error.to_string())?;
    let workers = pool.worker_ids();
    let [worker] = workers[..] else { return Err(format!("workers {workers:?}")) };
    signal(worker, Signal::STOP)?;
    until("the worker is stopped", || is_stopped(worker))?;
    // More than a lane takes.
    let calls: Vec<_> = (1..=40).map(|call| pool.call(mark, argument(call))).collect();
    std::thread::sleep(time);
    let done = calls.iter().filter(|call| call.is_done()).count();
    let died = overheard.count("worker died");
    signal(worker, Signal::CONT)?;
    if (done, died, pool.worker_ids()) != (0, 0, workers) {
        return Err(format!("{done} calls ended, {died} workers died, {:?}", pool.worker_ids()));
    }
    for (call, wanted) in calls.into_iter().zip(1..) {
        let answer = call.wait().map_err(|error| error.to_string())?;
        if numbers(&answer)? != [wanted, worker] {
            return Err(format!("call {wanted}: {answer:?}"));
        }
    }
    let truth = Truth::read(path)?;
    if truth.starts != 1 || (0..=40).any(|call| truth.count(call, Event::Began) != 1) {
        return Err(format!("{truth:?}"));
    }
    Ok(())
}

/// Its workers wait for it, and it makes calls again when it goes on.
fn stop_host(path: &Path, time: Duration) -> Result<(), String> {
    let mut child = host::start(path, 1, u32::MAX)?;
    let outcome = stop_child(path, &child, time);
    child.kill().map_err(|error| error.to_string())?;
    child.wait().map_err(|error| error.to_string())?;
    outcome
}

fn stop_child(path: &Path, child: &Child, time: Duration) -> Result<(), String> {
    let over = || Truth::read(path).map_or(0, |truth| truth.calls.len());
    until("the host makes calls", || over() > 100)?;
    signal(child.id(), Signal::STOP)?;
    until("the host is stopped", || is_stopped(child.id()))?;
    std::thread::sleep(time);
    let (before, truth) = (over(), Truth::read(path)?);
    let gone: Vec<_> =
        truth.workers.iter().filter(|worker| super::leaks::is_gone(**worker)).collect();
    if truth.starts != 2 || !gone.is_empty() {
        return Err(format!("{} workers were started, {gone:?} are gone", truth.starts));
    }
    signal(child.id(), Signal::CONT)?;
    until("the host makes calls again", || over() > before + 100)?;
    let starts = Truth::read(path)?.starts;
    if starts == 2 { Ok(()) } else { Err(format!("{starts} workers were started")) }
}

fn signal(process: u32, signal: Signal) -> Result<(), String> {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw).ok_or("no process id")?;
    rustix::process::kill_process(pid, signal).map_err(|error| format!("{process}: {error}"))
}
