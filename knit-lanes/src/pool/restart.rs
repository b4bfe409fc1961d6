//! When a worker that has ended is replaced, and when its lane is given up.

use crate::error::StartError;
use crate::process::WorkerExit;
use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant;

/// When a worker that has ended is replaced, and when its lane is given up; see [`Builder::restart`](crate::Builder::restart).
///
/// The first replacement of a worker that had settled comes at once, and so does the next one. After that there is a pause before each:
/// [`first_delay`](Self::first_delay), then [`factor`](Self::factor) times as long each time, up to
/// [`max_delay`](Self::max_delay), until a worker settles.
///
/// A lane that is given up has no worker any more. The pool goes on with the others: what that lane had not begun goes to them. When
/// none is left, calls fail with [`CallError::NoWorkers`](crate::CallError::NoWorkers).
///
/// ```
/// use knit_lanes::{Pool, Restart, Tasks};
/// use std::time::Duration;
///
/// # fn main() -> knit_lanes::Result<()> {
/// let mut tasks = Tasks::new();
/// let square = tasks.add("square", |n: f64| n * n);
/// // Five deaths within a minute are four too many.
/// let restart = Restart { most: 4, window: Duration::from_secs(60), ..Restart::default() };
/// let pool = Pool::builder().threads(2).restart(restart).start(tasks)?;
/// assert_eq!(pool.call(square, 3.0).wait()?, 9.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// The shortest pause before a replacement. Default: 10 ms.
    pub first_delay: Duration,
    /// How much longer each pause is than the one before it. At least 1. Default: 2.
    pub factor: u32,
    /// The longest pause. At least `first_delay`. Default: 1 s.
    pub max_delay: Duration,
    /// A worker that has lived for so long has settled: the pauses begin anew. Default: 1 s.
    pub settled: Duration,
    /// After so many starts in a row that failed the lane is given up. At least 1; the first start of a pool is none of them, as
    /// [`Builder::start`](crate::Builder::start) reports that one. Default: 9, with the pauses above those of some two seconds.
    pub failed_starts: u32,
    /// Most replacements of one lane within `window`, whether they start or not. When another one would be needed the lane is given
    /// up. Default: `u32::MAX`, no limit.
    pub most: u32,
    /// How long a replacement counts against `most`. `Duration::MAX`: for ever. Default: 60 s.
    pub window: Duration,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(10),
            factor: 2,
            max_delay: Duration::from_secs(1),
            settled: Duration::from_secs(1),
            failed_starts: 9,
            most: u32::MAX,
            window: Duration::from_secs(60),
        }
    }
}

impl Restart {
    /// No worker is replaced: its lane is given up when it ends.
    #[must_use]
    pub fn never() -> Self {
        Self { most: 0, ..Self::default() }
    }

    /// What cannot work about it.
    pub(super) fn problem(&self) -> Option<&'static str> {
        if self.factor == 0 {
            return Some("a factor of 0: at least 1");
        }
        if self.first_delay > self.max_delay {
            return Some("the first delay is longer than the longest");
        }
        (self.failed_starts == 0).then_some("0 failed starts: at least 1")
    }
}

/// What the supervisor of one lane knows of the workers that it has had.
#[derive(Debug)]
pub(super) struct Restarts {
    policy: Restart,
    /// The pause before the replacement after the next one.
    pause: Duration,
    failed_starts: u32,
    /// When those replacements began that are within the window. Empty where there is no limit.
    recent: VecDeque<Instant>,
}

impl Restarts {
    pub(super) fn new(policy: Restart) -> Self {
        Self { policy, pause: Duration::ZERO, failed_starts: 0, recent: VecDeque::new() }
    }

    /// A worker that had begun to start at `since` has ended by `now`, or did not start. How long to wait before the next one starts;
    /// an error when there is to be none.
    pub(super) fn next(
        &mut self,
        life: Result<WorkerExit, StartError>,
        since: Instant,
        now: Instant,
    ) -> Result<Duration, StartError> {
        let exit = match &life {
            Ok(exit) | Err(StartError::Exited { exit } | StartError::NotReady { exit, .. }) => {
                Some(*exit)
            }
            Err(_) => None,
        };
        let settled = match life {
            Ok(_) => {
                self.failed_starts = 0;
                now.duration_since(since) >= self.policy.settled
            }
            Err(error) => {
                self.failed_starts += 1;
                if self.failed_starts >= self.policy.failed_starts {
                    return Err(error);
                }
                false
            }
        };
        self.count(exit, now)?;
        if settled {
            self.pause = Duration::ZERO;
            return Ok(Duration::ZERO);
        }
        let Restart { first_delay, factor, max_delay, .. } = self.policy;
        let next = self.pause.saturating_mul(factor).clamp(first_delay, max_delay);
        Ok(core::mem::replace(&mut self.pause, next))
    }

    /// Counts a replacement, unless there were too many.
    fn count(&mut self, exit: Option<WorkerExit>, now: Instant) -> Result<(), StartError> {
        let Restart { most, window, .. } = self.policy;
        if most == u32::MAX {
            return Ok(());
        }
        while self.recent.front().is_some_and(|then| now.duration_since(*then) >= window) {
            self.recent.pop_front();
        }
        if self.recent.len() >= most as usize {
            return Err(StartError::RestartLimit { restarts: most, window, exit });
        }
        self.recent.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const DIED: Result<WorkerExit, StartError> = Ok(WorkerExit::Signal(9));
    const FAILED: Result<WorkerExit, StartError> =
        Err(StartError::Exited { exit: WorkerExit::Code(3) });

    /// The pauses before so many replacements of workers that each live for so long.
    fn pauses(restarts: &mut Restarts, lives: &[Duration]) -> Vec<u128> {
        let start = Instant::now();
        let mut pause = |lived: &Duration| restarts.next(DIED, start, start + *lived).unwrap();
        lives.iter().map(|lived| pause(lived).as_millis()).collect()
    }

    #[test]
    fn pauses_grow_until_a_worker_settles() {
        let mut restarts = Restarts::new(Restart::default());
        let lives = [2000 * MS, MS, MS, MS, 999 * MS, 1000 * MS, MS, MS];
        assert_eq!(pauses(&mut restarts, &lives), [0, 0, 10, 20, 40, 0, 0, 10]);
        assert_eq!(pauses(&mut restarts, &[MS; 8]), [20, 40, 80, 160, 320, 640, 1000, 1000]);
        let policy = Restart {
            first_delay: 7 * MS,
            factor: 3,
            max_delay: 30 * MS,
            settled: 5 * MS,
            ..Restart::default()
        };
        let lives = [MS, MS, MS, MS, 5 * MS, MS, 4 * MS];
        assert_eq!(pauses(&mut Restarts::new(policy), &lives), [0, 7, 21, 30, 0, 0, 7]);
        // A steady pause, and the longest that there is.
        let policy = Restart { factor: 1, ..Restart::default() };
        assert_eq!(pauses(&mut Restarts::new(policy), &[MS; 4]), [0, 10, 10, 10]);
        let policy = Restart { factor: u32::MAX, max_delay: Duration::MAX, ..Restart::default() };
        let mut restarts = Restarts::new(policy);
        assert_eq!(pauses(&mut restarts, &[MS; 12])[11], Duration::MAX.as_millis());
    }

    #[test]
    fn the_last_of_too_many_failed_starts_is_the_error() {
        let mut restarts = Restarts::new(Restart { failed_starts: 3, ..Restart::default() });
        let now = Instant::now();
        let mut next = |life| restarts.next(life, now, now);
        for life in [FAILED, FAILED, DIED, FAILED, FAILED] {
            next(life).unwrap();
        }
        let error = next(FAILED).unwrap_err();
        assert!(matches!(error, StartError::Exited { exit: WorkerExit::Code(3) }), "{error}");
    }

    #[test]
    fn replacements_count_for_as_long_as_the_window() {
        let policy = Restart { most: 2, window: 100 * MS, ..Restart::default() };
        let mut restarts = Restarts::new(policy);
        let start = Instant::now();
        let mut next = |life, at: u32| restarts.next(life, start, start + at * MS).map(drop);
        next(DIED, 0).unwrap();
        next(FAILED, 50).unwrap();
        // The first one no longer counts.
        next(DIED, 100).unwrap();
        let error = next(DIED, 149).unwrap_err();
        let StartError::RestartLimit { restarts, window, exit } = error else { panic!("{error}") };
        assert_eq!((restarts, window, exit), (2, 100 * MS, Some(WorkerExit::Signal(9))));
        let error = Restarts::new(Restart::never()).next(DIED, start, start).unwrap_err();
        assert!(matches!(error, StartError::RestartLimit { restarts: 0, .. }), "{error}");
    }

    #[test]
    fn what_cannot_work_is_named() {
        let fine = Restart::default();
        assert_eq!((fine.problem(), Restart::never().problem()), (None, None));
        for wrong in [
            Restart { factor: 0, ..fine },
            Restart { first_delay: 2 * fine.max_delay, ..fine },
            Restart { failed_starts: 0, ..fine },
        ] {
            assert!(wrong.problem().is_some(), "{wrong:?}");
        }
    }
}
