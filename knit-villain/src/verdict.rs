//! What comes out of a case.

use std::fmt;

/// How an implementation did in one case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// It carried on, correctly.
    Pass,
    /// It refused, as the specification says: by its exit status, or by a violation that it named.
    Reject,
    /// It crashed, gave a wrong answer, took what it had to refuse, or refused what it had to take.
    Fail,
    /// It did not react within the deadline.
    Wedged,
    /// The case cannot be run here.
    Skip,
}

impl Verdict {
    /// Every verdict, in the order of a summary.
    pub const ALL: [Self; 5] = [Self::Pass, Self::Reject, Self::Fail, Self::Wedged, Self::Skip];

    /// The word in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Reject => "REJECT",
            Self::Fail => "FAIL",
            Self::Wedged => "WEDGED",
            Self::Skip => "SKIP",
        }
    }

    /// Whether an implementation that gets it is not as the specification says.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        matches!(self, Self::Fail | Self::Wedged)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A verdict and what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// What was seen, in one line.
    pub seen: String,
}

impl Outcome {
    /// A verdict because of what was seen.
    #[must_use]
    pub fn new(verdict: Verdict, seen: impl Into<String>) -> Self {
        let seen: String = seen.into();
        Self { verdict, seen: seen.trim_end().replace('\n', " | ") }
    }
}
