//! Estimates pi on all cores: batches of random points go through `Pool::map`, and the host adds up how many lie
//! in the quarter circle.
//!
//! ```sh
//! cargo run --release -p knit-examples --bin monte_carlo_pi -- --samples 1000000000
//! ```
//!
//! The result depends on `--samples` and `--seed` alone: each batch has its own random numbers, whichever worker
//! gets it, and counts add up to the same in any order.

use clap::Parser;
use console::Term;
use core::f64::consts::PI;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use knit_lanes::{CallError, Json, Pool, Task, Tasks};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::num::NonZero;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Estimates pi from random points in the unit square, on worker processes.
#[derive(Debug, Parser)]
#[command(name = "monte_carlo_pi")]
struct Arguments {
    /// How many points.
    #[arg(long, default_value_t = 200_000_000, value_parser = clap::value_parser!(u64).range(1..=MOST_SAMPLES))]
    samples: u64,
    /// How many worker processes. By default one for each core that this process may use.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Where the random numbers begin. The same seed gives the same result, whatever the number of workers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// More points than a year of any machine of today; their number is exact as an `f64`.
const MOST_SAMPLES: u64 = 1 << 52;
/// Points of one batch: about a millisecond, thousands of times what a call costs.
const BATCH: u64 = 1 << 19;
/// How long one thread runs to compare with.
const COMPARED: Duration = Duration::from_millis(500);
const REDRAWS_PER_SECOND: u8 = 10;

/// What a worker is told: any serde type can be an argument.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Batch {
    seed: u64,
    number: u64,
    points: u64,
}

fn main() -> ExitCode {
    let mut tasks = Tasks::new();
    let count = tasks.add("points_in_circle", |Json(batch)| points_in_circle(batch));
    tasks.serve_if_worker(); // in a worker process this never returns
    match run(&Arguments::parse(), tasks, count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("monte_carlo_pi: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, tasks: Tasks, count: Task<Json<Batch>, u64>) -> Result<(), Failure> {
    let Arguments { samples, workers, seed } = *arguments;
    let workers = match workers {
        Some(workers) => workers.into(),
        None => std::thread::available_parallelism().map_or(1, NonZero::get),
    };
    let batches = samples.div_ceil(BATCH);

    let begin = Instant::now();
    let pool = Pool::builder().processes(workers).start(tasks)?;
    let started = begin.elapsed();

    let bar = progress(batches);
    let begin = Instant::now();
    let mut inside = 0;
    let mut firsts = Vec::new();
    for counted in pool.map(count, (0..batches).map(|number| Json(batch(seed, number, samples)))) {
        let counted = counted?;
        inside += counted;
        if firsts.len() < MOST_COMPARED {
            firsts.push(counted);
        }
        bar.inc(1);
    }
    let taken = begin.elapsed();
    bar.finish_and_clear();
    drop(pool);

    // When the workers are gone: the core is this thread's alone.
    let alone = one_thread(seed, samples, &firsts)?;
    let rate = per_second(samples, taken);
    let (estimate, deviation) = estimate(inside, samples);
    let mut out = io::stdout();
    writeln!(out, "pi        {estimate:.10}")?;
    writeln!(out, "error     {:+.2e} (expected: about {deviation:.2e})", estimate - PI)?;
    writeln!(out, "samples   {samples} in {batches} batches, {inside} inside, seed {seed}")?;
    writeln!(out, "time      {taken:.3?}, after {started:.3?} to start {workers} workers")?;
    writeln!(out, "speed     {:.1} million samples/s", rate / 1e6)?;
    let speed_up = rate / alone;
    writeln!(
        out,
        "speed-up  {speed_up:.2} against one thread ({:.1} million samples/s)",
        alone / 1e6
    )?;
    Ok(())
}

/// Batch `number` of so many points in all. The last one may be shorter.
fn batch(seed: u64, number: u64, samples: u64) -> Batch {
    Batch { seed, number, points: BATCH.min(samples - number * BATCH) }
}

/// The task: how many points of a batch lie in the quarter circle.
fn points_in_circle(Batch { seed, number, points }: Batch) -> u64 {
    // A key first, so that batches of seeds that lie close together have nothing in common.
    let key = Xoshiro256PlusPlus::seed_from_u64(seed).next_u64();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(key.wrapping_add(number));
    let mut inside = 0;
    for _ in 0..points {
        let bits = random.next_u64();
        // Both halves. The middle of each of the 2^64 cells of the square.
        let x = f64::from(bits as u32) + 0.5;
        let y = f64::from((bits >> 32) as u32) + 0.5;
        inside += u64::from(x * x + y * y < SQUARE);
    }
    inside
}

/// The square of the radius, in cells.
const SQUARE: f64 = (1_u64 << 32) as f64 * (1_u64 << 32) as f64;

/// Pi, and the standard deviation of the estimate.
fn estimate(inside: u64, samples: u64) -> (f64, f64) {
    // Both are exact below 2^53.
    let (inside, samples) = (inside as f64, samples as f64);
    let share = PI / 4.0;
    (4.0 * inside / samples, 4.0 * (share * (1.0 - share) / samples).sqrt())
}

/// Most batches that one thread repeats.
const MOST_COMPARED: usize = 4096;

/// Points per second of one thread of this process, which repeats the first batches. They must come to what the
/// workers said.
fn one_thread(seed: u64, samples: u64, firsts: &[u64]) -> Result<f64, Failure> {
    let begin = Instant::now();
    let mut points = 0;
    for (number, counted) in (0..).zip(firsts) {
        let batch = batch(seed, number, samples);
        if points_in_circle(batch) != *counted {
            return Err(Failure::Differs { number });
        }
        points += batch.points;
        if begin.elapsed() >= COMPARED {
            break;
        }
    }
    Ok(per_second(points, begin.elapsed()))
}

fn per_second(points: u64, time: Duration) -> f64 {
    points as f64 / time.as_secs_f64().max(1e-9)
}

/// A bar on standard error, where that is a terminal; nothing otherwise.
fn progress(batches: u64) -> ProgressBar {
    let target = ProgressDrawTarget::term(Term::stderr(), REDRAWS_PER_SECOND);
    let bar = ProgressBar::with_draw_target(Some(batches), target);
    let look = ProgressStyle::with_template("{bar:40.cyan} {pos}/{len} batches, {eta} left");
    bar.with_style(look.expect("the template is well-formed").progress_chars("━╸ "))
}

/// Why there is no estimate.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the workers cannot be started: {0}")]
    Pool(#[from] knit_lanes::Error),
    #[error("a batch failed: {0}")]
    Call(#[from] CallError),
    #[error("batch {number} came to something else in a worker than in this process")]
    Differs { number: u64 },
    #[error("the result cannot be printed: {0}")]
    Print(#[from] io::Error),
}
