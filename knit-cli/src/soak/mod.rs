//! `knit soak`: calls of every kind for a long time, while workers are killed, and an account of each.
//!
//! - `tasks`: what the workers do. `noise`, `values`: what is sent.
//! - `ledger`: memory in which workers count the runs of each call.
//! - `caller`, `outcome`: a thread that calls, and what it thinks of an outcome.
//! - `reaper`: kills workers. `leaks`: what this process has, before and after.
//! - `tally`: the table.

mod caller;
mod error;
mod leaks;
mod ledger;
mod noise;
mod outcome;
mod reaper;
mod tally;
mod tasks;
mod values;

pub use error::SoakError;

use crate::demo::grouped;
use caller::{Caller, Ended, Shared};
use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use console::Term;
use knit_lanes::{BOOT_ENV, Isolation, Pool, Tasks};
use leaks::Resources;
use ledger::Ledger;
use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};
use tally::Tally;

/// Options of `knit soak`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Options {
    /// How long
    #[arg(long, value_name = "N", default_value_t = 600)]
    seconds: u64,

    /// End earlier, after so many calls
    #[arg(long, value_name = "N")]
    calls: Option<u64>,

    /// What everything random follows from; the time of day if none is given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Worker processes
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=64))]
    workers: usize,

    /// Threads that call; every second one waits for futures
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = RangedU64ValueParser::<u32>::new().range(1..=ledger::MOST_CALLERS))]
    callers: u32,

    /// Milliseconds between two kills of a worker, on average; 0: none is killed
    #[arg(long, value_name = "MS", default_value_t = 500)]
    kill_every: u64,

    /// Seconds after which a call without an outcome is lost
    #[arg(long, value_name = "N", default_value_t = 120)]
    patience: u64,

    /// Make one call in a thousand go wrong in the worker, to see that the soak finds it
    #[arg(long, value_name = "HOW")]
    inject: Option<Mischief>,
}

/// What a worker does wrong on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mischief {
    /// Another value
    Wrong,
    /// Counts two runs
    Twice,
}

/// Environment variable with the descriptor of the ledger, and what to do wrong.
const LEDGER_ENV: &str = "KNIT_SOAK_LEDGER";
/// Time between two lines of progress where they scroll, and where a line is written over.
const LINES: Duration = Duration::from_secs(10);
const REDRAWS: Duration = Duration::from_millis(500);
/// Time between two looks at the clock.
const LOOK: Duration = Duration::from_millis(50);

/// Turns this process into a worker of a soak when it was started as one; never returns then.
pub fn serve_if_worker() {
    let Some(text) = std::env::var(LEDGER_ENV).ok() else { return };
    if std::env::var_os(BOOT_ENV).is_none() {
        return;
    }
    // Tasks panic on purpose.
    std::panic::set_hook(Box::new(|_| {}));
    let (number, mischief) = text.split_once(' ').unwrap_or((&text, ""));
    let mischief = Mischief::from_str(mischief, false).ok();
    match Ledger::inherited(number.parse().unwrap_or(-1)) {
        Ok(ledger) => tasks::serve(&ledger, mischief).serve_if_worker(),
        // Ends with the status of an error, before the worker has said that it is ready.
        Err(error) => refuse(&error),
    }
}

fn refuse(error: &SoakError) {
    eprintln!("knit soak: {error}");
    std::process::exit(1);
}

/// Runs a soak, and writes what came of it.
///
/// # Errors
///
/// It could not begin, or something was wrong: [`SoakError::Faults`].
pub fn run(options: Options) -> Result<(), SoakError> {
    let seed = options.seed.unwrap_or_else(time_of_day);
    let line = format!(
        "soak: seed {seed}, {} s, {} workers, {} callers",
        options.seconds, options.workers, options.callers
    );
    print(&line)?;
    let ledger = Ledger::create(options.callers)?;
    let before = Resources::now()?;

    let shared = start(options, &ledger)?;
    let begin = Instant::now();
    let (ended, kills) = call(options, seed, &shared)?;
    let took = begin.elapsed();
    let notes = shared.notes.into_inner().unwrap_or_else(|poison| poison.into_inner());
    let unfinished = shared.pool.in_flight();
    drop(shared.pool);

    let mut tally = Tally::default();
    ended.iter().for_each(|ended| tally.add(&ended.tally));
    let late: u64 = ended.iter().map(|ended| ended.late_faults(&ledger)).sum();
    let left = before.left_behind()?;
    print(&tally.to_string())?;
    let (calls, seconds) = (tally.calls(), took.as_secs_f64());
    print(&format!(
        "{} calls in {seconds:.1} s, {} a second; {kills} workers killed; {late} calls whose runs \
         were not as reported when all was over; {unfinished} places still taken by calls that were given up",
        grouped(calls),
        // A rate that is too large saturates.
        grouped((calls as f64 / seconds) as u64),
    ))?;
    print(&match left.is_empty() {
        true => "left behind: nothing".to_owned(),
        false => format!("left behind: {}", left.join(", ")),
    })?;
    for note in notes {
        print(&format!("fault: {note}"))?;
    }
    match tally.faults() + late + left.len() as u64 {
        0 => print("no faults"),
        faults => Err(SoakError::Faults { faults, calls }),
    }
}

fn start(options: Options, ledger: &Ledger) -> Result<Shared, SoakError> {
    let mischief = options.inject.and_then(|mischief| mischief.to_possible_value());
    let mischief = mischief.as_ref().map_or("", |mischief| mischief.get_name());
    let told = format!("{} {mischief}", ledger::DESCRIPTOR);
    let isolation = Isolation::default().env(LEDGER_ENV, told);
    let mut tasks = Tasks::new();
    let handles = tasks::declare(&mut tasks);
    let program = std::env::current_exe().map_err(SoakError::Begin)?;
    let pool = Pool::builder()
        .processes(options.workers)
        .command(program, [] as [OsString; 0])
        .isolation(isolation.descriptor(ledger::DESCRIPTOR, ledger.descriptor()?))
        .start(tasks)
        .map_err(SoakError::Start)?;
    Ok(Shared {
        pool,
        handles,
        ledger: ledger.clone(),
        kills: options.kill_every > 0,
        calls: AtomicU64::new(0),
        stop: AtomicU32::new(0),
        notes: Mutex::default(),
    })
}

/// Calls, from all threads, until it is time to end. Gives what they leave, and how many workers were killed.
fn call(options: Options, seed: u64, shared: &Shared) -> Result<(Vec<Ended>, u64), SoakError> {
    std::thread::scope(|scope| {
        let patience = Duration::from_secs(options.patience);
        let start = |caller| {
            let thread = std::thread::Builder::new().name(format!("soak-{caller}"));
            thread.spawn_scoped(scope, move || Caller::new(shared, caller, seed, patience).run())
        };
        let callers: Result<Vec<_>, _> = (0..options.callers).map(start).collect();
        let reaper = shared.kills.then(|| {
            let every = Duration::from_millis(options.kill_every);
            scope.spawn(move || reaper::run(&shared.pool, &shared.stop, every, seed))
        });
        if callers.is_ok() {
            watch(options, shared);
        }
        shared.stop.store(1, Ordering::Relaxed);
        let kills = reaper.map_or(0, join);
        Ok((callers.map_err(SoakError::Begin)?.into_iter().map(join).collect(), kills))
    })
}

/// Waits for the end, and shows how far it is.
fn watch(options: Options, shared: &Shared) {
    let (start, term) = (Instant::now(), Term::stderr());
    let every = if term.is_term() { REDRAWS } else { LINES };
    let (end, mut next) = (Duration::from_secs(options.seconds), every);
    let calls = || shared.calls.load(Ordering::Relaxed);
    while start.elapsed() < end && options.calls.is_none_or(|most| calls() < most) {
        std::thread::sleep(LOOK);
        if start.elapsed() >= next {
            next += every;
            let faults = shared.notes.lock().map_or(0, |notes| notes.len());
            let bad = if faults > 0 { "FAULTS" } else { "no faults" };
            let seconds = start.elapsed().as_secs();
            let line = format!("soak: {seconds} s, {} calls, {bad}", grouped(calls()));
            // A terminal that is gone does not end the soak.
            let _ = match term.is_term() {
                true => term.clear_line().and_then(|()| term.write_str(&line)),
                false => term.write_line(&line),
            };
        }
    }
    if term.is_term() {
        let _ = term.clear_line();
    }
}

/// The value of a thread; its panic goes on here.
fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn print(line: &str) -> Result<(), SoakError> {
    writeln!(io::stdout(), "{line}").map_err(SoakError::Print)
}

fn time_of_day() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
    since.map_or(0, |since| since.as_secs())
}
