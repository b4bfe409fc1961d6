//! What a run has seen.

use super::Way;
use super::ledger::{Event, Truth};
use super::load::Outcome;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What a run has seen so far.
#[derive(Debug, Default)]
pub struct Report {
    /// Ended processes, by who they were and how it was done.
    pub kills: BTreeMap<(&'static str, Option<Way>), u32>,
    /// Calls whose answer came.
    pub finished: u64,
    /// Calls whose task did not run, as the caller was told.
    pub not_run: u64,
    /// Calls whose task may have run, as the caller was told.
    pub may_have_run: u64,
    /// Of those: the task had not begun; had begun; had come to its end.
    pub of_those: [u64; 3],
    /// Calls under way when their host died: nobody was told anything.
    pub with_host: u64,
    /// From the end of a worker to the last call that failed because of it, as its caller saw it.
    pub failed: Vec<Duration>,
    /// From the end of a worker to the first answer of its successor.
    pub answered: Vec<Duration>,
    /// From the end of a worker until its supervisor had noticed it and said so.
    pub noticed: Vec<Duration>,
    /// From the end of a worker until the kernel had told a thread that waits for nothing else: what no observer can be faster than.
    pub dead: Vec<Duration>,
    /// From there until its supervisor had noticed it and said so.
    pub own: Vec<Duration>,
    /// From the end of a host at its n-th store until its worker was gone.
    pub orphaned: Vec<Duration>,
    /// Deaths that were believed only when the wait for the hang-up of the channel was over.
    pub unsure: usize,
    /// What should not have been.
    pub wrong: Vec<String>,
}

impl Report {
    /// How many processes were ended.
    #[must_use]
    pub fn killed(&self) -> u32 {
        self.kills.values().sum()
    }

    /// Holds what a caller was told against what has happened.
    pub fn hold(&mut self, truth: &Truth, call: u32, outcome: Outcome) {
        let (began, over) = (truth.count(call, Event::Began), truth.count(call, Event::Over));
        // What is not known to have stayed away is never done again.
        let once = began <= 1 && over <= began;
        let right = match outcome {
            Outcome::Finished(_) => {
                self.finished += 1;
                began == 1 && over == 1
            }
            Outcome::NotRun => {
                self.not_run += 1;
                began == 0
            }
            Outcome::MayHaveRun => {
                self.may_have_run += 1;
                self.of_those[(began.min(1) + over.min(1)) as usize] += 1;
                true
            }
        };
        if !(once && right) {
            self.wrong.push(format!("call {call} began {began}, over {over}, told {outcome:?}"));
        }
    }

    /// Counts an ended process.
    pub fn kill(&mut self, who: &'static str, way: Option<Way>, count: u32) {
        *self.kills.entry((who, way)).or_default() += count;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} processes ended", self.killed())?;
        for ((who, way), count) in &self.kills {
            let way =
                way.map_or_else(|| "in one of three ways".to_owned(), |way| format!("{way:?}"));
            writeln!(f, "  {who:<28} {way:<22} {count:>8}")?;
        }
        let calls = self.finished + self.not_run + self.may_have_run;
        writeln!(f, "{calls} calls with an outcome, each as the tasks wrote it down")?;
        for (what, count) in [
            ("finished", self.finished),
            ("did not run", self.not_run),
            ("may have run", self.may_have_run),
            ("  of which had not begun", self.of_those[0]),
            ("  of which had begun", self.of_those[1]),
            ("  of which had come to the end", self.of_those[2]),
            ("lost with their host", self.with_host),
        ] {
            writeln!(f, "  {what:<51} {count:>8}")?;
        }
        writeln!(f, "recovery after the first death of a lane, from outside")?;
        for (what, times) in [
            ("until the kernel says so", &self.dead),
            ("from there until the pool has noticed", &self.own),
            ("until the pool has noticed", &self.noticed),
            ("until the last call has failed", &self.failed),
            ("until the new worker's first answer", &self.answered),
            ("from a host's end to its worker's", &self.orphaned),
        ] {
            if times.is_empty() {
                continue;
            }
            let mut times = times.clone();
            times.sort_unstable();
            let at = |part: f64| {
                let index = (times.len() as f64 * part) as usize;
                let time = times.get(index.min(times.len().saturating_sub(1)));
                time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
            };
            let count = times.len();
            writeln!(
                f,
                "  {what:<38} {count:>6} times  p50 {:>8.3} ms  p99 {:>8.3} ms  max {:>8.3} ms",
                at(0.5),
                at(0.99),
                at(1.0)
            )?;
        }
        writeln!(f, "{} deaths believed only after the wait for the channel", self.unsure)?;
        for wrong in self.wrong.iter().take(20) {
            writeln!(f, "WRONG: {wrong}")?;
        }
        write!(f, "{} wrong", self.wrong.len())
    }
}
