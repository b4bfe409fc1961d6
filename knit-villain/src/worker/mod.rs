//! The hostile worker: the program that a host under test starts as its worker.
//!
//! The first process of a case is the villain; every other one, another lane's or its replacement, serves
//! honestly. Which is the first, a file in a folder of the case tells, which no pool has to know about.

mod actor;
mod log;

pub use actor::{Actor, Call};
pub use log::{Log, Traces, is_gone};

use crate::case::{Case, Deed};
use crate::wire::Fate;
use knit_lanes::{Boot, Tasks, Value};
use rustix::process::Signal;
use std::path::Path;

/// Exit status of a worker that was started in a wrong way.
const MISUSED: i32 = 64;
/// How many calls are answered badly in a case that fails calls.
const BAD_ANSWERS: u32 = 3;

/// Serves as the worker of a case. Does not return.
pub fn serve(case: &Case, folder: &Path) -> i32 {
    // A villain does not outlive the thread of the host that started it.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let log = match Log::first(folder) {
        Ok(Some(log)) => log,
        Ok(None) => return honest(),
        Err(error) => {
            eprintln!("knit-villain: {}: {error}", folder.display());
            return MISUSED;
        }
    };
    let boot = match Boot::from_env() {
        Ok(boot) => boot,
        Err(error) => {
            log.note(&format!("host {error}"));
            eprintln!("knit-villain: {error}");
            return MISUSED;
        }
    };
    let mut actor = match Actor::attach(&boot, log) {
        Ok(actor) => actor,
        Err(error) => {
            eprintln!("knit-villain: {error}");
            return MISUSED;
        }
    };
    match &case.deed {
        Deed::Worker(misdeed) => misdeed(&mut actor),
        Deed::Answer(forged) => {
            let count = if forged.fate == Fate::Poison { 1 } else { BAD_ANSWERS };
            for _ in 0..count {
                let call = actor.next_call();
                actor.answer_badly(&call, &forged.body);
            }
        }
        Deed::Host(..) | Deed::Orphan(_) | Deed::Request(_) => {
            eprintln!("knit-villain: {} is no case for a worker", case.id());
            return MISUSED;
        }
    }
    actor.serve()
}

/// Serves as every worker does.
fn honest() -> i32 {
    let mut tasks = Tasks::new();
    tasks.add("echo", |value: Value| value);
    tasks.serve_if_worker();
    eprintln!("knit-villain: KNIT_BOOT is not set: a host has to start this");
    MISUSED
}
