//! How cases are run.

use std::time::Duration;

/// What holds for every case of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long an implementation may take for one step.
    pub deadline: Duration,
    /// Whether a violation must be named, by its clause or its name, where a case knows which it is.
    pub named: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(20), named: false }
    }
}
