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
//! Memory that is too large to copy for each call is a [`SharedBuffer`]: a task takes and returns it, and
//! only a number crosses the lane.
//!
//! ```no_run
//! use knit_lanes::{Pool, SharedBuffer, Tasks};
//!
//! fn double(samples: SharedBuffer) -> Result<(), knit_lanes::BufferError> {
//!     let numbers = samples.numbers::<f64>(0, samples.len() / 8)?;
//!     let doubled: Vec<_> = numbers.iter().map(|n| n * 2.0).collect();
//!     samples.put_numbers(0, &doubled)
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut tasks = Tasks::new();
//!     let double = tasks.add("double", double);
//!     tasks.serve_if_worker();
//!
//!     let pool = Pool::builder().processes(2).start(tasks)?;
//!     let samples = SharedBuffer::new(80_000)?;
//!     samples.put_numbers(0, &[1.0; 10_000])?;
//!     // Each worker has a half.
//!     let halves = [samples.slice(..40_000)?, samples.slice(40_000..)?];
//!     let calls = halves.map(|half| pool.call(double, half));
//!     calls.into_iter().try_for_each(|call| call.wait())?;
//!     assert_eq!(samples.number(8)?, 2.0);
//!     Ok(())
//! }
//! ```
//!
//! A call can have a time limit, and can be aborted. Its task can see that.
//!
//! ```no_run
//! use knit_lanes::{Aborted, CallError, Pool, TaskContext, Tasks};
//! use std::time::Duration;
//!
//! fn count(context: &TaskContext<'_>, to: u32) -> Result<f64, Aborted> {
//!     let mut sum = 0.0;
//!     for n in 0..to {
//!         context.check()?;
//!         sum += f64::from(n);
//!     }
//!     Ok(sum)
//! }
//!
//! fn main() -> knit_lanes::Result<()> {
//!     let mut tasks = Tasks::new();
//!     let count = tasks.add_with_context("count", count).with_timeout(Duration::from_secs(1));
//!     tasks.serve_if_worker();
//!
//!     let pool = Pool::builder().processes(1).start(tasks)?;
//!     match pool.call(count, u32::MAX).wait() {
//!         Ok(sum) => println!("{sum}"),
//!         Err(CallError::TimedOut { timeout, .. }) => println!("not within {timeout:?}"),
//!         Err(error) => return Err(error.into()),
//!     }
//!     pool.call(count, u32::MAX).abort();
//!     Ok(())
//! }
//! ```
//!
//! There are two layers. [`HostLane`] and [`WorkerLane`] are state machines over shared memory:
//! they never spawn, wait, or read a clock, and a binding drives them from its own event loop.
//! [`Pool`] is a runtime on top of them for Rust programs: it starts workers, processes or threads, hands calls
//! out, wakes callers, and replaces workers that die.
//!
//! With the feature `serde`, `Json<T>` passes any serde type as JSON text. What pools do is to be seen in debug output
//! ([`debug`]) and in [`Pool::metrics`]; with the feature `metrics` those go to the recorder of the `metrics` crate. With the feature `stream`,
//! [`Pool::map`] gives a `Stream` too.

#![deny(unsafe_code)]

mod boot;
mod buffer;
mod call_table;
mod caught;
mod clock;
mod deadlines;
pub mod debug;
mod descriptors;
mod error;
mod host_lane;
mod isolation;
mod journal;
pub mod knitting;
pub mod named;
mod parker;
mod passed;
mod peer_control;
mod pool;
mod process;
mod task_context;
mod tasks;
mod transfer;
mod way;
mod withdrawal;
mod worker;
mod worker_ends;
mod worker_lane;

pub use boot::{BOOT_ENV, Boot, BootError};
pub use buffer::link::GiveError;
pub use buffer::{
    BufferError, DEFAULT_MAX_BUFFERS, Element, EnvelopedBuffer, MoveError, MoveTable, MovedBuffer,
    SharedBuffer, ValueError,
};
pub use call_table::CallId;
pub use error::{CallError, Error, Result, StartError, TaskError, TaskFailure};
pub use host_lane::{Answer, HostLane, LaneError, Submitted};
pub use isolation::{Isolation, Output, ResourceLimit};
pub use pool::{
    Balancer, Builder, Call, CallAsync, CallOr, CallWhen, Inline, LaneMetrics, Latency, Map,
    Metrics, Pool, Position, QueueMetrics, QueuePolicy, Restart, TaskOr, Unfinished, Unordered,
};
#[cfg(feature = "stream")]
pub use pool::{MapStream, UnorderedStream};
pub use process::WorkerExit;
pub use task_context::{Aborted, TaskContext};
pub use tasks::{Task, Tasks, UnknownTask};
pub use transfer::SendError;
pub use worker::{EXIT_BOOT_FAILED, EXIT_NO_ANSWER, EXIT_VIOLATION, EXIT_WARM_UP_FAILED};
pub use worker_lane::{Request, WorkerLane};

/// Ends that only this crate drives, for the fuzz targets: no part of what the crate promises.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::buffer::fuzzing::{LinkEnd, number};
    pub use crate::knitting::fuzzing::KnittingEnds;
}

pub use knit_codec as codec;
#[cfg(feature = "serde")]
pub use knit_codec::Json;
pub use knit_codec::{Decode, Encode, ErrorValue, Limits, Reply, Value};
pub use knit_proto::{MonotonicTime, ProtocolViolation};
