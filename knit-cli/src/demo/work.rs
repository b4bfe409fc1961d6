//! Two jobs, each split into chunks over all workers.

use super::error::{DemoError, call, check};
use super::screen::{Progress, Screen, checked, grouped};
use super::tasks::{Demo, NUMBERS_PER_CHUNK, POINTS_PER_CHUNK, Part};
use core::f64::consts::PI;
use core::time::Duration;
use knit_lanes::{Json, Pool, Task};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Chunks of the prime search and how many primes they hold: the numbers of primes below 16 million
/// and below 1 million (OEIS A006880 has the second).
const PRIMES: (u32, u64) = (400, 1_031_130);
const PRIMES_QUICK: (u32, u64) = (25, 78_498);

/// Chunks of the search for pi.
const PI_CHUNKS: u32 = 200;
const PI_CHUNKS_QUICK: u32 = 8;

/// Runs both jobs.
///
/// # Errors
///
/// A call failed, a result is wrong, or one worker did everything.
pub fn run(pool: &Pool, demo: &Demo, quick: bool, screen: &mut Screen) -> Result<(), DemoError> {
    screen.heading(format_args!("Work split over the workers"))?;
    let mut took_part = count_primes(pool, demo, quick, screen)?.processes();
    took_part.extend(estimate_pi(pool, demo, quick, screen)?.processes());

    // With more workers than chunks, or one processor for all, some may have had nothing to do.
    let several = pool.lanes().min(2);
    check("workers that took part, two at least", &took_part.len().min(2), &several)
}

fn count_primes(
    pool: &Pool,
    demo: &Demo,
    quick: bool,
    screen: &mut Screen,
) -> Result<Job, DemoError> {
    let (chunks, known) = if quick { PRIMES_QUICK } else { PRIMES };
    let limit = u64::from(chunks) * u64::from(NUMBERS_PER_CHUNK);
    let what = format!("primes below {}", grouped(limit));

    let job = split(pool, "primes", demo.primes, chunks, screen.progress(&what, chunks)?)?;
    check("number of primes", &job.count, &known)?;
    let found = grouped(job.count);
    screen.line(format_args!("  {what}: {found}, as it should be: {}", checked()))?;
    job.show(pool, screen)?;
    Ok(job)
}

fn estimate_pi(
    pool: &Pool,
    demo: &Demo,
    quick: bool,
    screen: &mut Screen,
) -> Result<Job, DemoError> {
    let chunks = if quick { PI_CHUNKS_QUICK } else { PI_CHUNKS };
    let points = u64::from(chunks) * u64::from(POINTS_PER_CHUNK);
    let what = format!("pi from {} random points", grouped(points));

    let job = split(pool, "points", demo.points, chunks, screen.progress(&what, chunks)?)?;
    let pi = 4.0 * job.count as f64 / points as f64;
    let (off, allowed) = ((pi - PI).abs(), 5.0 * standard_error(points));
    if off > allowed {
        check("pi", &pi, &PI)?;
    }
    screen.line(format_args!(
        "  {what}: {pi:.6}, off by {off:.6} where {allowed:.6} are allowed: {}",
        checked()
    ))?;
    job.show(pool, screen)?;
    Ok(job)
}

/// Standard deviation of the estimate of pi from so many points.
fn standard_error(points: u64) -> f64 {
    let inside = PI / 4.0;
    4.0 * (inside * (1.0 - inside) / points as f64).sqrt()
}

/// What came of a job.
struct Job {
    /// The counts of all chunks together.
    count: u64,
    /// Chunks by the process that did them.
    chunks: BTreeMap<u32, u32>,
    time: Duration,
}

/// Calls `task` for every chunk and adds up. All calls are made before the first is waited for: the
/// workers have 32 each, the rest queues in the pool. The last chunks go first: of primes they are
/// the longest, and a long one at the end would leave the other workers idle.
fn split(
    pool: &Pool,
    name: &'static str,
    task: Task<u32, Part>,
    chunks: u32,
    progress: Progress,
) -> Result<Job, DemoError> {
    let start = Instant::now();
    let mut job = Job { count: 0, chunks: BTreeMap::new(), time: Duration::ZERO };
    let calls: Vec<_> = (0..chunks).rev().map(|chunk| pool.call(task, chunk)).collect();
    for one in calls {
        let Json((process, count)) = one.wait().map_err(call(name))?;
        job.count += u64::from(count);
        *job.chunks.entry(process).or_default() += 1;
        progress.step();
    }
    job.time = start.elapsed();
    Ok(job)
}

impl Job {
    /// Processes that did a chunk.
    fn processes(&self) -> BTreeSet<u32> {
        self.chunks.keys().copied().collect()
    }

    /// Shows who did it, and checks that they are workers of the pool.
    fn show(&self, pool: &Pool, screen: &mut Screen) -> Result<(), DemoError> {
        let workers = pool.worker_ids().into_iter().collect();
        let strangers: Vec<_> = self.processes().difference(&workers).copied().collect();
        check("processes that are no workers", &strangers, &Vec::new())?;
        let shares: Vec<_> =
            self.chunks.iter().map(|(id, chunks)| format!("process {id} {chunks}")).collect();
        let seconds = self.time.as_secs_f64();
        screen.line(format_args!("    {seconds:.1} s; chunks: {}", shares.join(", ")))
    }
}
