//! What the `knit` command is made of, for those who measure.
//!
//! [`floor`] holds the limits of the machine and the peers that a call is compared with.

pub mod floor;
