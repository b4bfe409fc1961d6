//! A pool of two workers that has nothing to do.

use crate::{Failure, work};
use knit_lanes::Pool;
use std::fmt;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Name of the experiment.
pub const NAME: &str = "idle";

/// How many workers the pool has.
pub const WORKERS: usize = 2;

/// Idle time for figures that are written down, in seconds.
pub const SECONDS: u64 = 10;

/// Time for everything to fall asleep: far more than anything spins.
const SETTLE: Duration = Duration::from_millis(200);

/// What each process used.
#[derive(Clone, Debug)]
pub struct Idle {
    /// How long the pool was watched.
    pub time: Duration,
    /// What the processor time is counted in: a tick of the kernel.
    pub tick: Duration,
    /// The host, then the workers.
    pub processes: Vec<Usage>,
}

/// What one process used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Which one.
    pub name: String,
    /// Ticks of processor time, user and system.
    pub ticks: u64,
    /// Voluntary context switches of all its threads: how often one went to sleep.
    pub switches: u64,
}

/// Watches a pool for `time` that has answered a call on each worker and then gets no more.
///
/// # Errors
///
/// The pool did not start, or the kernel does not tell.
pub fn run(time: Duration) -> Result<Idle, Failure> {
    let (pool, work) = work::start(Pool::builder().processes(WORKERS))?;
    let calls: Vec<_> = (0..WORKERS).map(|_| pool.call(work.sleep, 20.0)).collect();
    for call in calls {
        call.wait()?;
    }
    let ids = pool.worker_ids();
    if ids.len() != WORKERS {
        return Err("a worker has ended".into());
    }
    thread::sleep(SETTLE);
    // This process is read last here and first below, so that reading the others does not count.
    let workers_before = workers(&ids)?;
    let host_before = usage("host", "self")?;
    let start = Instant::now();
    thread::sleep(time);
    let time = start.elapsed();
    let host_after = usage("host", "self")?;
    let workers_after = workers(&ids)?;
    if pool.worker_ids() != ids {
        return Err("a worker has ended".into());
    }

    let before = [host_before].into_iter().chain(workers_before);
    let after = [host_after].into_iter().chain(workers_after);
    let processes = before.zip(after).map(|(before, after)| after.since(&before)).collect();
    let ticks_per_second = rustix::param::clock_ticks_per_second();
    Ok(Idle { time, tick: Duration::from_secs(1).div_f64(ticks_per_second as f64), processes })
}

fn workers(ids: &[u32]) -> Result<Vec<Usage>, Failure> {
    ids.iter()
        .enumerate()
        .map(|(index, id)| usage(&format!("worker {index}"), &id.to_string()))
        .collect()
}

/// What the process with this directory below `/proc` has used so far.
fn usage(name: &str, id: &str) -> Result<Usage, Failure> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let ticks = ticks(&stat).ok_or_else(|| format!("/proc/{id}/stat has no times: {stat}"))?;
    let mut switches = 0;
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        let path = thread?.path().join("status");
        let status = fs::read_to_string(&path)?;
        switches += self::switches(&status)
            .ok_or_else(|| format!("{} has no context switches", path.display()))?;
    }
    Ok(Usage { name: name.to_owned(), ticks, switches })
}

/// Fields 14 and 15 of proc_pid_stat(5), user and system time. The command in field 2 may hold
/// spaces and parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let (_, from_third) = stat.rsplit_once(')')?;
    let mut times = from_third.split_whitespace().skip(11);
    let (user, system) = (times.next()?, times.next()?);
    Some(user.parse::<u64>().ok()? + system.parse::<u64>().ok()?)
}

fn switches(status: &str) -> Option<u64> {
    let mut lines = status.lines();
    lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
}

impl Usage {
    fn since(self, before: &Self) -> Self {
        Self {
            ticks: self.ticks.saturating_sub(before.ticks),
            switches: self.switches.saturating_sub(before.switches),
            ..self
        }
    }
}

impl Idle {
    /// Whether no process used more than one tick. One says nothing: time before the watch, shorter
    /// than a tick, is rounded up during it.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.processes.iter().all(|usage| usage.ticks <= 1)
    }

    /// The most that a process used.
    #[must_use]
    pub fn most(&self) -> Duration {
        let ticks = self.processes.iter().map(|usage| usage.ticks).max().unwrap_or_default();
        self.tick.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tick = self.tick.as_secs_f64() * 1e3;
        write!(
            f,
            "idle: a pool of {WORKERS} workers without calls for {:.1} s; one tick is {tick} ms",
            self.time.as_secs_f64()
        )?;
        for Usage { name, ticks, switches } in &self.processes {
            let time = *ticks as f64 * tick;
            write!(
                f,
                "\n    {name:<10}{time:>8} ms of processor time{switches:>8} times to sleep"
            )?;
        }
        // The sleep of the thread that measures.
        write!(f, "\n    the host's include one of the thread that measures")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_look_like_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 30 12 5 6 20 0 1 0 99";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn only_voluntary_switches_count() {
        let status = "Threads:\t1\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(switches(status), Some(12));
        assert_eq!(switches("nonvoluntary_ctxt_switches:\t3\n"), None);
    }
}
