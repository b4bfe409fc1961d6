//! Histories of one thread against plain reference models: what is delivered, when a mailbox or an
//! arena is full, and what the ends say about themselves. Where they come from is the caller's affair.

mod arena;
mod hostile_arena;
mod hostile_mailbox;
mod mailbox;

pub use arena::{ArenaOp, Then, run_arena};
pub use hostile_arena::{HostileArenaOp, HostileArenaSeen, run_hostile_arena};
pub use hostile_mailbox::{
    HostileReceiverOp, HostileSenderOp, run_hostile_receiver, run_hostile_sender,
};
pub use mailbox::{MailboxOp, run_mailbox};

/// `len` bytes that tell which message they belong to.
fn bytes(call: u32, len: usize) -> Vec<u8> {
    (0..len).map(|at| (call as usize * 31 + at * 7) as u8).collect()
}
