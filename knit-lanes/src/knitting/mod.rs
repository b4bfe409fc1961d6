//! Serving a pool of Knitting 0.1.61, the JavaScript system whose lane block this project's is.
//!
//! A Rust program takes the place of one worker process: the pool's option `processCommandPrefix` names
//! it, and the host needs no other change.
//!
//! ```no_run
//! use knit_lanes::{Tasks, knitting};
//!
//! let mut tasks = Tasks::new();
//! tasks.add("square", |n: f64| n * n);
//! tasks.serve_if_worker(); // started by a pool of this crate: never returns
//! knitting::serve_if_worker(&tasks); // started by a pool of Knitting: never returns
//! println!("started by hand");
//! ```
//!
//! Tasks are bound by name to the host's function indexes. A name that this program lacks answers with a
//! rejected error that says so; a task that the host lacks is no error.
//!
//! `docs/knitting.md` says what is supported, and how it looks from JavaScript.

mod answer;
mod boot;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod host;
mod object;
mod serve;
mod signals;

pub use answer::AnswerError;
pub use boot::{Boot, BootError, SharedObject};
pub use serve::{serve, serve_if_worker};

/// Environment variable that holds the boot description of a worker process of Knitting.
pub const BOOT_ENV: &str = "KNITTING_PROCESS_WORKER_BOOT";

/// What answers a host that asks its worker command for a version of Node, which it does before it starts
/// workers of the runtime `node`.
///
/// Of the versions that hosts tell apart, 22 and 24 are those whose workers they wake by a shared futex;
/// 26 and later they do not wake, and give other flags.
pub const NODE_VERSION: &str = "v24.0.0";
