//! Why a floor could not be measured.

use knit_ring::{MemfdError, OutOfBounds, ReserveError};
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a floor could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FloorError {
    /// A system call failed.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// There is no shared memory.
    #[error(transparent)]
    Memfd(#[from] MemfdError),
    /// No memory can be put behind the shared memory.
    #[error(transparent)]
    Reserve(#[from] ReserveError),
    /// The shared memory is too short.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
    /// The second process ended.
    #[error("the second process ({role}) ended: {status}")]
    PeerEnded {
        /// Part that it played.
        role: &'static str,
        /// How it ended.
        status: ExitStatus,
    },
    /// The second process did not answer.
    #[error("the second process ({role}) did not answer within {} s", after.as_secs_f64())]
    Silent {
        /// Part that it played.
        role: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The second process answered something else than it was asked.
    #[error("wrong answer: {found:#x}, expected {expected:#x}")]
    WrongAnswer {
        /// What should have come.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// This process was started to play a part that it does not know.
    #[error("{name:?} is no part that a second process can play")]
    UnknownRole {
        /// Part that was asked for.
        name: String,
    },
}

impl FloorError {
    pub(super) fn system(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { action, source }
    }
}
