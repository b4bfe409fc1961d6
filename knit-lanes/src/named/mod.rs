//! Lanes for workers that inherit no descriptors, as in a container: a socket with a name in a directory that both
//! sides see, over which the worker is handed its lane. See [`Builder::named_lanes`](crate::Builder::named_lanes).
//!
//! What is handed over are descriptors: the sealed memfd and the worker's end of the control channel, the same as
//! other workers inherit. So nothing of the memory has a name, and nobody can truncate it. The name is gone before a worker is handed its
//! lane, and otherwise when that worker has ended or could not be started. Only a host that is killed in between leaves one behind:
//! [`sweep`] removes those.

mod name;
mod offer;
mod stale;
mod take;

pub(crate) use name::Name;
pub(crate) use offer::Offer;
pub use stale::{Swept, stale, sweep};
pub(crate) use take::{TakeError, end_with_host, take};
