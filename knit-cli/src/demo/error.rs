//! Why a demo stopped.

use core::error::Error;
use core::fmt::{Debug, Write};
use knit_cli::floor::FloorError;
use knit_lanes::CallError;
use std::io;

/// Why a demo stopped.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// There is nowhere to write to.
    #[error("cannot write to the standard output")]
    Print(#[source] io::Error),
    /// The pool did not start.
    #[error("cannot start the workers")]
    Start(#[source] knit_lanes::Error),
    /// A worker could not be pinned to a processor.
    #[error("cannot pin the worker to a processor")]
    Pin(#[source] io::Error),
    /// A call that should have a value has none.
    #[error("a call of `{task}` failed")]
    Call {
        /// Name of the task.
        task: &'static str,
        /// Why.
        source: CallError,
    },
    /// A measurement of a floor failed.
    #[error("cannot measure a floor")]
    Floor(#[from] FloorError),
    /// A result is not what it has to be.
    #[error("wrong result: {what}: {found}, expected {expected}")]
    Wrong {
        /// What was checked.
        what: &'static str,
        /// What came.
        found: String,
        /// What should have come.
        expected: String,
    },
}

impl DemoError {
    /// Whether the reader of the output went away.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Print(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// For `map_err`: the call of this task failed.
pub fn call(task: &'static str) -> impl FnOnce(CallError) -> DemoError {
    move |source| DemoError::Call { task, source }
}

/// Compares a result with what it has to be.
///
/// # Errors
///
/// [`DemoError::Wrong`].
pub fn check<T: PartialEq + Debug>(
    what: &'static str,
    found: &T,
    expected: &T,
) -> Result<(), DemoError> {
    if found == expected {
        return Ok(());
    }
    Err(DemoError::Wrong { what, found: format!("{found:?}"), expected: format!("{expected:?}") })
}

/// The error and its sources in one line.
///
/// Some errors end with the text of their source, and name the source too; such a source is not
/// repeated.
pub fn one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !line.ends_with(&text) {
            // Writing to a string does not fail.
            let _ = write!(line, ": {text}");
        }
        source = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_follow_once() {
        let inner = || io::Error::other("no space");
        let error = DemoError::Print(inner());
        assert_eq!(one_line(&error), "cannot write to the standard output: no space");
        let error = FloorError::System { action: "spawn", source: inner() };
        assert_eq!(
            one_line(&DemoError::from(error)),
            "cannot measure a floor: cannot spawn: no space"
        );
    }

    #[test]
    fn wrong_result_says_what_was_expected() {
        assert!(check("x", &1, &1).is_ok());
        let error = check("square(2)", &5, &4).unwrap_err();
        assert_eq!(one_line(&error), "wrong result: square(2): 5, expected 4");
    }
}
