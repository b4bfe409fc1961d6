//! The bars of a pool: what a call costs when many are queued or many lanes are there, how long a worker
//! takes to start, and how much memory a lane holds that has nothing to do.
//!
//! [`scaling`] has rows as those of the ring, with the same run and the same table; [`spawn`] and [`memory`] are no
//! times of calls and say themselves what they found.

pub mod bare;
pub mod memory;
pub mod scaling;
pub mod spawn;

/// Names of what has no rows, in the order of the report.
pub const NAMES: [&str; 2] = [memory::NAME, spawn::NAME];
