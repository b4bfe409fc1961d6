//! What became of every call.

use crate::demo::grouped;
use core::fmt;

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Number,
    Bytes,
    Value,
    Buffer,
    Failure,
    Aborted,
    Timed,
}

/// What became of a call. From [`Self::Lost`] on it is a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub enum Verdict {
    /// The value, or the error, that was expected.
    Right,
    /// The abort that its caller asked for.
    Aborted,
    /// The timeout that its caller set.
    TimedOut,
    /// Its worker was killed.
    Died,
    /// No outcome at all.
    Lost,
    /// It ran twice.
    Duplicated,
    /// Another value, or an argument that did not arrive as it was sent.
    Corrupted,
    /// A value though no worker ran it, or a run though none was reported.
    Misreported,
    /// An error that nobody caused.
    Unexpected,
}

const KINDS: [(Kind, &str); 7] = [
    (Kind::Number, "numbers"),
    (Kind::Bytes, "bytes"),
    (Kind::Value, "values of any kind"),
    (Kind::Buffer, "shared buffers"),
    (Kind::Failure, "failing tasks"),
    (Kind::Aborted, "long tasks, half aborted"),
    (Kind::Timed, "with a short timeout"),
];

const VERDICTS: [(Verdict, &str); 9] = [
    (Verdict::Right, "right"),
    (Verdict::Aborted, "aborted"),
    (Verdict::TimedOut, "timed out"),
    (Verdict::Died, "killed"),
    (Verdict::Lost, "lost"),
    (Verdict::Duplicated, "duplicated"),
    (Verdict::Corrupted, "corrupted"),
    (Verdict::Misreported, "misreported"),
    (Verdict::Unexpected, "unexpected"),
];

impl Verdict {
    /// Whether it must not happen.
    pub fn is_fault(self) -> bool {
        self >= Self::Lost
    }
}

/// Counts of calls made and of verdicts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    made: [u64; KINDS.len()],
    verdicts: [[u64; VERDICTS.len()]; KINDS.len()],
}

impl Tally {
    /// So many calls were made.
    pub fn make(&mut self, kind: Kind, calls: u64) {
        self.made[kind as usize] += calls;
    }

    /// One of them is over.
    pub fn judge(&mut self, kind: Kind, verdict: Verdict) {
        self.verdicts[kind as usize][verdict as usize] += 1;
    }

    /// What another caller counted, too.
    pub fn add(&mut self, other: &Self) {
        let sum = |all: &mut [u64], more: &[u64]| {
            all.iter_mut().zip(more).for_each(|(one, more)| *one += more);
        };
        sum(&mut self.made, &other.made);
        self.verdicts.iter_mut().zip(&other.verdicts).for_each(|(all, more)| sum(all, more));
    }

    /// Calls that were made.
    pub fn calls(&self) -> u64 {
        self.made.iter().sum()
    }

    /// Verdicts that are faults, and calls without a verdict.
    pub fn faults(&self) -> u64 {
        let judged: u64 = self.verdicts.iter().flatten().sum();
        let faults = VERDICTS.iter().filter(|(verdict, _)| verdict.is_fault());
        let faults: u64 = faults.map(|(verdict, _)| self.all(*verdict)).sum();
        faults + self.calls().abs_diff(judged)
    }

    /// Calls of all kinds with this verdict.
    pub fn all(&self, verdict: Verdict) -> u64 {
        self.verdicts.iter().map(|row| row[verdict as usize]).sum()
    }
}

impl fmt::Display for Tally {
    /// A line for each kind, one for all, one for the faults. No line break at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = || VERDICTS.iter().filter(|(verdict, _)| !verdict.is_fault());
        write!(f, "{:26}{:>17}", "", "calls")?;
        shown().try_for_each(|(_, name)| write!(f, "{name:>17}"))?;
        for (kind, name) in KINDS {
            write!(f, "\n{name:26}{:>17}", grouped(self.made[kind as usize]))?;
            let row = &self.verdicts[kind as usize];
            shown().try_for_each(|(verdict, _)| {
                write!(f, "{:>17}", grouped(row[*verdict as usize]))
            })?;
        }
        write!(f, "\n{:26}{:>17}", "all", grouped(self.calls()))?;
        shown().try_for_each(|(verdict, _)| write!(f, "{:>17}", grouped(self.all(*verdict))))?;
        let faults = VERDICTS.iter().filter(|(verdict, _)| verdict.is_fault());
        let faults = faults.map(|(verdict, name)| format!("{} {name}", self.all(*verdict)));
        write!(f, "\nfaults: {}", faults.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_without_a_verdict_and_each_bad_verdict_is_a_fault() {
        let mut tally = Tally::default();
        tally.make(Kind::Number, 9);
        assert_eq!(tally.faults(), 9);
        for (verdict, _) in VERDICTS {
            tally.judge(Kind::Number, verdict);
        }
        assert_eq!((tally.calls(), tally.faults()), (9, 5));
        let mut two = tally.clone();
        two.add(&tally);
        assert_eq!((two.calls(), two.faults(), two.all(Verdict::Lost)), (18, 10, 2));
        // More verdicts than calls.
        tally.judge(Kind::Bytes, Verdict::Right);
        assert_eq!(tally.faults(), 6);
    }

    #[test]
    fn every_kind_and_every_verdict_has_its_place() {
        for (at, (kind, _)) in KINDS.iter().enumerate() {
            assert_eq!(*kind as usize, at);
        }
        for (at, (verdict, _)) in VERDICTS.iter().enumerate() {
            assert_eq!(*verdict as usize, at);
        }
    }
}
