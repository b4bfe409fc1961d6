//! `knit demo`: the whole of the library in ten seconds.
//!
//! - `tasks`: the functions that run in the workers, and their table.
//! - `work`: two jobs, each split into chunks over all workers.
//! - `failures`: an error and a panic, seen from the caller.
//! - `latency`: what a round trip costs, beside a limit and a rival.
//! - `table`, `screen`: how that is shown.

mod error;
mod failures;
mod latency;
mod screen;
mod table;
mod tasks;
mod work;

pub use error::{DemoError, one_line};
pub use screen::grouped;
pub use tasks::serve_if_worker;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use error::{call, check};
use knit_lanes::Pool;
use screen::Screen;
use std::path::Path;
use std::time::Duration;
use tasks::Demo;

/// Options of `knit demo`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Options {
    /// Worker processes to start
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=MAX_WORKERS)
    )]
    workers: usize,

    /// Do everything, but less of it: about two seconds
    #[arg(long)]
    quick: bool,
}

/// Most workers of a demo: each takes a process and a thread.
const MAX_WORKERS: u64 = 64;

/// How long the pool of a demo that has failed may go on.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs the demo.
///
/// # Errors
///
/// The first thing that could not be done, or whose result was wrong.
pub fn run(options: Options) -> Result<(), DemoError> {
    let mut screen = Screen::new();
    let demo = tasks::table();
    let pool = Pool::builder()
        .processes(options.workers)
        .drain_timeout(DRAIN_TIMEOUT)
        .start(demo.tasks)
        .map_err(DemoError::Start)?;
    let workers = pool.worker_ids();
    screen.heading(format_args!("{}", screen::processes("Worker", &workers)))?;

    first_calls(&pool, &demo.handles, &mut screen)?;
    work::run(&pool, &demo.handles, options.quick, &mut screen)?;
    failures::run(&pool, &demo.handles, &mut screen)?;

    drop(pool);
    let left: Vec<_> = workers.into_iter().filter(|id| is_running(*id)).collect();
    check("workers that are left", &left, &Vec::new())?;
    screen.line(format_args!("  the pool is dropped: no worker is left"))?;

    latency::run(options.quick, &mut screen)
}

/// A number and a text there and back.
fn first_calls(pool: &Pool, demo: &Demo, screen: &mut Screen) -> Result<(), DemoError> {
    screen.heading(format_args!("Calls"))?;
    // Both calls are on their way before either is waited for.
    let square = pool.call(demo.square, 12.0);
    let greeting = pool.call(demo.greet, "knit".to_owned());

    let square = square.wait().map_err(call("square"))?;
    check("square(12)", &square, &144.0)?;
    screen.line(format_args!("  square(12) = {square}"))?;

    let greeting = greeting.wait().map_err(call("greet"))?;
    let known = |id: &u32| greeting == tasks::greeting("knit", *id);
    check("who greets is a worker", &pool.worker_ids().iter().any(known), &true)?;
    screen.line(format_args!("  greet(\"knit\") = {greeting:?}"))
}

fn is_running(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}
