//! Memories and tools for the tests that cross crates.
//!
//! The endpoint code of `knit-ring` is generic over [`SharedMemory`](knit_ring::SharedMemory), so
//! the very same code runs over the memories of this crate:
//!
//! - [`LoomMemory`]: every schedule, every permitted stale load; races on copied bytes are errors;
//! - [`Weaken`]: one ordering of the protocol taken away, to prove that a model needs it;
//! - [`CrashMemory`]: the party that uses it dies after its n-th store;
//! - [`FetchCount`]: a second load of the same word in one operation is an error (H2);
//! - [`HostileMemory`]: every load may return what the peer liked to write just then;
//! - [`TraceMemory`]: every access is written down, with its ordering, party and step.
//!
//! [`reference`](mod@reference) reads headers, header lines and payloads slowly and plainly; [`differential`]
//! compares the crates with it, [`histories`] with plain models. [`knitting`] is a simulated host of Knitting 0.1.61.
//!
//! [`explore`] runs a model and holds it against a table of permitted outcomes; [`reject`] runs one
//! that must fail.

mod announced;
pub mod async_tasks;
mod crash;
pub mod deadline_tasks;
pub mod differential;
mod explore;
mod fetch_count;
pub mod fork;
mod geometry;
pub mod histories;
mod hostile;
mod intercept;
pub mod kill_matrix;
pub mod knitting;
mod loom_memory;
mod model;
pub mod overheard;
pub mod reference;
mod skip;
mod trace;
pub mod vector_files;
pub mod vectors;
mod weaken;
mod word_names;

pub use announced::Announced;
pub use crash::{CrashMemory, Stop, StopBehaviour, Stopped, until_stop};
pub use explore::{Bounds, Explored, Rejection, explore, reject};
pub use fetch_count::{FetchCount, Fetches};
pub use geometry::{Lane, arena_lane, header_fields, lane};
pub use hostile::{Accesses, EDGES, Hostile, HostileMemory, Noise};
pub use intercept::{Intercept, Intercepted, InterceptedBytes, InterceptedWord, Order};
pub use loom_memory::{LoomBell, LoomBytes, LoomMemory, LoomWord};
pub use model::{Seen, message, payload, read, receive, seen, send};
pub use skip::skip;
pub use trace::{Access, Op, Run, TraceBell, TraceLog, TraceMemory, Tracer, Who, Word};
pub use weaken::{WeakWord, Weaken, Weakening};
pub use word_names::WordNames;
