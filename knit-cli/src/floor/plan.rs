//! How much is measured.

use super::Cpus;
use std::time::Duration;

/// How much is measured, and where.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Repetitions; each gives one mean, and the figure is the median of them. At least 1.
    pub repetitions: u32,
    /// Most round trips of a repetition.
    pub rounds: u32,
    /// Time for warm-up and all repetitions, starting the peer not included. Slow floors make fewer
    /// rounds to keep to it.
    pub budget: Duration,
    /// Round trips between two readings of the clock; `None`: one, or for the fast ones as few as
    /// keep the reading below half a percent.
    pub stretch: Option<u32>,
    /// Processors.
    pub cpus: Cpus,
}

impl Plan {
    /// A fifth of a second for each floor: enough for a demo.
    #[must_use]
    pub const fn quick(cpus: Cpus) -> Self {
        Self {
            repetitions: 5,
            rounds: 20_000,
            budget: Duration::from_millis(200),
            stretch: None,
            cpus,
        }
    }

    /// One second for each floor: for figures that are written down.
    #[must_use]
    pub const fn thorough(cpus: Cpus) -> Self {
        Self {
            repetitions: 7,
            rounds: 200_000,
            budget: Duration::from_secs(1),
            stretch: None,
            cpus,
        }
    }
}
