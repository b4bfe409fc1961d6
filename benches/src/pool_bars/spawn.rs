//! From the start of a pool of one worker until that is ready, beside a bare fork and exec.

use super::bare::Bare;
use crate::{Failure, work};
use knit_lanes::Pool;
use std::fmt;
use std::time::{Duration, Instant};

/// Name of the row.
pub const NAME: &str = "spawn";

/// Most that a worker may take longer than a bare process.
pub const BAR: Duration = Duration::from_millis(5);

/// How often each is started for figures that are written down.
pub const REPETITIONS: u32 = 40;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Spawns {
    /// From the start of a pool until its worker is ready, ascending.
    pub worker: Vec<Duration>,
    /// From fork and exec of this program until it has reached `main`, ascending.
    pub bare: Vec<Duration>,
}

/// Starts `repetitions` of each, in turns.
///
/// # Errors
///
/// A process does not start.
pub fn run(repetitions: u32) -> Result<Spawns, Failure> {
    let mut spawns = Spawns::default();
    // The first ones find the program's pages nowhere.
    drop(Bare::start()?);
    drop(work::start(Pool::builder().processes(1))?);
    for _ in 0..repetitions {
        let since = Instant::now();
        let bare = Bare::start()?;
        spawns.bare.push(since.elapsed());
        drop(bare);
        let since = Instant::now();
        let (pool, work) = work::start(Pool::builder().processes(1))?;
        spawns.worker.push(since.elapsed());
        let answer = pool.call(work.square, 3.0).wait()?;
        if answer != 9.0 {
            return Err(format!("wrong answer: {answer}, expected 9").into());
        }
    }
    spawns.worker.sort_unstable();
    spawns.bare.sort_unstable();
    Ok(spawns)
}

impl Spawns {
    /// How much longer a worker takes, by the medians.
    #[must_use]
    pub fn above(&self) -> Duration {
        percentile(&self.worker, 50).saturating_sub(percentile(&self.bare, 50))
    }

    /// Whether that is within the bar.
    #[must_use]
    pub fn passes(&self) -> bool {
        !self.worker.is_empty() && self.above() <= BAR
    }
}

/// Of ascending times; zero where there are none.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let last = times.len().saturating_sub(1);
    times.get(last * percent / 100).copied().unwrap_or_default()
}

impl fmt::Display for Spawns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{NAME}: one process, {} times each, in ms", self.worker.len())?;
        for (what, times) in
            [("worker, until it is ready", &self.worker), ("fork and exec, to main", &self.bare)]
        {
            write!(f, "    {what:<28}")?;
            for (name, percent) in [("median", 50), ("90 %", 90), ("longest", 100)] {
                let ms = percentile(times, percent).as_secs_f64() * 1e3;
                write!(f, "{ms:>9.2} {name}")?;
            }
            writeln!(f)?;
        }
        let verdict = if self.passes() { "pass" } else { "FAIL" };
        let (above, bar) = (self.above().as_secs_f64() * 1e3, BAR.as_millis());
        write!(f, "    {verdict}: {above:.2} ms above a bare process; bar: {bar} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_about_the_difference_of_medians() {
        let ms = |times: &[u64]| times.iter().map(|ms| Duration::from_millis(*ms)).collect();
        let found = |worker, bare| Spawns { worker: ms(worker), bare: ms(bare) };
        assert_eq!(found(&[1, 7, 90], &[1, 3, 4]).above(), Duration::from_millis(4));
        assert!(found(&[8], &[3]).passes());
        assert!(!found(&[9], &[3]).passes());
        assert!(!Spawns::default().passes(), "nothing was measured");
    }
}
