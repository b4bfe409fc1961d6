//! How cases are run.

use std::ffi::OsString;
use std::time::Duration;

/// What holds for every case of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long an implementation may take for one step.
    pub deadline: Duration,
    /// Whether a violation must be named, by its clause or its name, where a case knows which it is.
    pub named: bool,
    /// Path of `knit-villain`, for cases whose host is a process of its own.
    pub villain: Option<OsString>,
}

impl Default for Options {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(20), named: false, villain: None }
    }
}
