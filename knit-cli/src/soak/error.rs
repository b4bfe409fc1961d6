//! Why a soak has failed.

use knit_lanes::BufferError;
use std::io;

/// Why a soak has failed, or a task of it.
#[derive(Debug, thiserror::Error)]
pub enum SoakError {
    /// There is nowhere to write to.
    #[error("cannot write to the standard output")]
    Print(#[source] io::Error),
    /// The pool did not start.
    #[error("cannot start the workers")]
    Start(#[source] knit_lanes::Error),
    /// There is no memory to count in.
    #[error("cannot make or find the memory in which workers count: {0}")]
    Ledger(String),
    /// A thread could not be started, or the program not be found.
    #[error("cannot begin: {0}")]
    Begin(io::Error),
    /// `/proc` could not be read.
    #[error("cannot look at this process in /proc: {error}")]
    Look {
        /// What the system said.
        error: io::Error,
    },
    /// Something that must not happen has happened.
    #[error("{faults} faults in {calls} calls")]
    Faults {
        /// How often.
        faults: u64,
        /// Of so many.
        calls: u64,
    },
    /// A task was sent something else than its caller had sent.
    #[error("the argument is damaged")]
    Damaged,
    /// A task cannot write to its buffer.
    #[error(transparent)]
    Buffer(BufferError),
}

impl SoakError {
    /// Whatever went wrong with the memory in which workers count.
    pub fn ledger(error: impl core::fmt::Display) -> Self {
        Self::Ledger(error.to_string())
    }

    /// Whether the reader of the output went away.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Print(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
