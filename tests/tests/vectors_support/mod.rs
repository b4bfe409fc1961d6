//! Vectors that are refused, and bytes that were recorded.

mod boot;
mod recorded;
mod refuse;

pub use boot::hold_boot;
pub use recorded::{SAME, hold_recorded, recorded};
pub use refuse::refusal;
