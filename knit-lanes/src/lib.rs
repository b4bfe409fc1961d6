//! Calls into worker processes through shared memory, at the price of a cache-line transfer.
//!
//! ```no_run
//! use knit_lanes::{Pool, Tasks};
//!
//! fn square(n: f64) -> f64 {
//!     n * n
//! }
//!
//! fn greet(name: String) -> String {
//!     format!("hello {name}")
//! }
//!
//! fn main() -> knit_lanes::Result<()> {
//!     let mut tasks = Tasks::new();
//!     let square = tasks.add("square", square);
//!     let greet = tasks.add("greet", greet);
//!     tasks.serve_if_worker(); // in a worker process this never returns
//!
//!     let pool = Pool::builder().processes(2).start(tasks)?;
//!     let nine = pool.call(square, 3.0);
//!     let hello = pool.call(greet, "knit".into());
//!     println!("{} {}", nine.wait()?, hello.wait()?);
//!     Ok(())
//! }
//! ```
//!
//! There are two layers. [`HostLane`] and [`WorkerLane`] are state machines over shared memory:
//! they never spawn, wait, or read a clock, and a binding drives them from its own event loop.
//! [`Pool`] is a runtime on top of them for Rust programs: it starts worker processes, hands calls
//! out, wakes callers, and replaces workers that die.
//!
//! With the feature `serde`, `Json<T>` passes any serde type as JSON text.

#![forbid(unsafe_code)]

mod boot;
mod call_table;
mod error;
mod host_lane;
pub mod knitting;
mod peer_control;
mod pool;
mod process;
mod tasks;
mod transfer;
mod way;
mod worker;
mod worker_ends;
mod worker_lane;

pub use boot::{BOOT_ENV, Boot, BootError};
pub use call_table::CallId;
pub use error::{CallError, Error, Result, StartError, TaskError, TaskFailure};
pub use host_lane::{Answer, HostLane, LaneError, Submitted};
pub use pool::{Builder, Call, Pool};
pub use process::WorkerExit;
pub use tasks::{Task, Tasks, UnknownTask};
pub use transfer::SendError;
pub use worker::{EXIT_BOOT_FAILED, EXIT_NO_ANSWER, EXIT_VIOLATION};
pub use worker_lane::{Request, WorkerLane};

pub use knit_codec as codec;
#[cfg(feature = "serde")]
pub use knit_codec::Json;
pub use knit_codec::{Decode, Encode, ErrorValue, Limits, Reply, Value};
pub use knit_proto::ProtocolViolation;
