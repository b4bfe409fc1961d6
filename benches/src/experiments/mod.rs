//! What is no round trip: the death of a worker, and a pool that has nothing to do.

pub mod death;
pub mod idle;

/// Names of the experiments, in the order of the report.
pub const NAMES: [&str; 2] = [death::NAME, idle::NAME];
