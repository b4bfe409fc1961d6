//! What a pool is in a process that was forked from the one that started it: nothing.
//!
//! The child has the parent's segments mapped, its pidfds and its locks, which threads may hold that the child does
//! not have. So every way in asks [`Shared::origin`](super::shared::Shared) before it takes a lock.

use super::call::Outcome;
use super::{Pool, Unfinished};
use crate::error::CallError;
use core::fmt;

/// The outcome of every call in such a process.
#[cold]
pub(super) fn forked() -> Outcome {
    Err(Box::new(CallError::Forked))
}

impl Pool {
    /// Drops this process's copy of the handle, and nothing else.
    #[cold]
    pub(super) fn leave_to_parent(&mut self) {
        // Dropping the handle of a thread detaches it. These threads do not exist here, and the C library may have
        // given their memory to others.
        core::mem::forget(self.threads.take());
    }
}

impl Unfinished {
    pub(super) fn reason(self) -> impl fmt::Display {
        fmt::from_fn(move |f| match self {
            Self { forked: true, .. } => {
                f.write_str("the pool belongs to the process that this one was forked from")
            }
            Self { calls, .. } => {
                write!(f, "{calls} calls had not ended when the pool was shut down")
            }
        })
    }
}
