//! Vectors that are refused, and bytes that were recorded.

mod recorded;
mod refuse;

pub use recorded::{SAME, hold_recorded, recorded};
pub use refuse::refusal;
