//! What the examples share that drive a lane from an event loop of their own: a worker process with its segment,
//! the calls that are on it, and the tasks that it serves.

mod lane;
mod lane_process;
mod tasks;

pub use lane::{Done, End, GivenUp, Lane, Outcome, Refusal};
pub use lane_process::{LIMITS, LaneProcess, Memory, StartError};
pub use tasks::{Function, tasks};
