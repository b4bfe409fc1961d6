//! The only worker of a pool is killed in the middle of 32 calls.

use crate::{Failure, work};
use knit_lanes::{Call, CallError, Pool, WorkerExit};
use rustix::process::{Signal, kill_process};
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

/// Name of the experiment.
pub const NAME: &str = "death";

/// Calls that are with the worker when it is killed.
pub const CALLS: u32 = 32;

/// The longest that the last of them may take to fail.
pub const BAR: Duration = Duration::from_millis(50);

/// How often it is done for figures that are written down.
pub const REPETITIONS: u32 = 20;

/// Length of a task: nobody waits for its end.
const TASK_MS: f64 = 1000.0;
/// Time for the worker to begin the first task. The other calls are in its mailbox.
const BEGIN: Duration = Duration::from_millis(5);
/// After this a call counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// What happened.
#[derive(Clone, Debug, Default)]
pub struct Deaths {
    /// From each kill to the last failure, ascending.
    pub failed: Vec<Duration>,
    /// From each kill to the first answer of the new worker, ascending.
    pub answered: Vec<Duration>,
    /// How many calls failed with [`CallError::WorkerDied`] by that signal.
    pub typed: u32,
    /// How many repetitions were there whose next call did not succeed, so that another one was made.
    pub retried: u32,
    /// How one of the calls ended that did not fail so.
    pub other: Option<String>,
}

/// Kills a worker `repetitions` times. Each time it is the first one of a new pool: a worker that
/// dies soon after another one is replaced after a pause, on purpose.
///
/// # Errors
///
/// A pool did not start, or a call did not end within 10 s.
pub fn run(repetitions: u32) -> Result<Deaths, Failure> {
    let mut deaths = Deaths::default();
    for _ in 0..repetitions {
        once(&mut deaths)?;
    }
    deaths.failed.sort_unstable();
    deaths.answered.sort_unstable();
    Ok(deaths)
}

fn once(deaths: &mut Deaths) -> Result<(), Failure> {
    // Without retries, so that every call fails and how fast can be seen.
    let builder = Pool::builder().processes(1).retry(false).drain_timeout(Duration::from_secs(1));
    let (pool, work) = work::start(builder)?;
    end(pool.call(work.square, 3.0))??;
    let before = pool.worker_ids();
    let [worker] = before[..] else { return Err("the pool has no worker".into()) };
    let worker = work::pid(worker)?;
    let calls: Vec<_> = (0..CALLS).map(|_| pool.call(work.sleep, TASK_MS)).collect();
    thread::sleep(BEGIN);

    let kill = Instant::now();
    kill_process(worker, Signal::KILL)?;
    for call in calls {
        let killed = WorkerExit::Signal(Signal::KILL.as_raw());
        match end(call)? {
            Err(CallError::WorkerDied { exit, .. }) if exit == killed => deaths.typed += 1,
            Err(error) => deaths.other = Some(error.to_string()),
            Ok(()) => deaths.other = Some("it succeeded".to_owned()),
        }
    }
    deaths.failed.push(kill.elapsed());
    let mut retried = false;
    let nine = loop {
        match end(pool.call(work.square, 3.0))? {
            Ok(value) => break value,
            Err(error) if kill.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => retried = true,
        }
    };
    deaths.answered.push(kill.elapsed());
    deaths.retried += u32::from(retried);
    if nine != 9.0 || pool.worker_ids() == before {
        return Err(format!("{nine} is no answer of a new worker").into());
    }
    Ok(())
}

/// How the call ended.
fn end<T: knit_lanes::Decode>(call: Call<T>) -> Result<Result<T, CallError>, Failure> {
    call.wait_timeout(PATIENCE)
        .map_err(|_| format!("a call did not end within {PATIENCE:?}").into())
}

impl Deaths {
    /// How many workers were killed.
    #[must_use]
    pub fn repetitions(&self) -> usize {
        self.failed.len()
    }

    /// Whether every call failed as it should.
    #[must_use]
    pub fn all_typed(&self) -> bool {
        self.typed as usize == self.repetitions() * CALLS as usize
    }

    /// Whether every call failed as it should and in time, and every next call succeeded.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.all_typed() && self.retried == 0 && self.failed.iter().all(|time| *time <= BAR)
    }
}

impl fmt::Display for Deaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.repetitions();
        writeln!(
            f,
            "death: SIGKILL of the only worker in the middle of {CALLS} calls, {count} times"
        )?;
        let ms = |time: Option<&Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
        for (what, times) in [
            ("until the last of the calls has failed", &self.failed),
            ("until the next call has succeeded", &self.answered),
        ] {
            let median = times.get(count.saturating_sub(1) / 2);
            writeln!(
                f,
                "    {what:<40} p50 {:>8.3} ms   max {:>8.3} ms",
                ms(median),
                ms(times.last())
            )?;
        }
        write!(
            f,
            "    {} of {} calls failed with WorkerDied; the next call failed {} times",
            self.typed,
            count * CALLS as usize,
            self.retried,
        )?;
        match &self.other {
            Some(other) => write!(f, "\n    a call ended otherwise: {other}"),
            None => Ok(()),
        }
    }
}
