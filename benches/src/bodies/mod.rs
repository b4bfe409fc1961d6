//! What is done to every implementation alike, ours and others: numbers through a queue, payloads to
//! and fro, always between threads on two processors that are there before the clock starts.
//!
//! An implementation is a [`Queue`] of numbers, a [`Carrier`] of payloads, or both. It polls; the
//! bodies do the waiting, so that all wait alike. Check it with [`queue::check`] and
//! [`carrier::check`] before anything is measured.

pub mod carrier;
pub mod mailbox;
pub mod parked;
pub mod per_slot;
pub mod queue;
pub mod set;
pub mod together;

pub use carrier::{Carrier, Carries};
pub use queue::{Queue, Receives, Sends};

/// Slots of a mailbox: room that every implementation is given when it is compared.
pub const SLOTS: usize = knit_proto::SLOTS as usize;
