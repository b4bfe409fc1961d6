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

/// The multiples of seven modulo 256, twice: every byte once, then again.
const SEVENS: [u8; 512] = {
    let mut sevens = [0; 512];
    let mut at = 0;
    while at < sevens.len() {
        // Cut off on purpose.
        sevens[at] = (at * 7) as u8;
        at += 1;
    }
    sevens
};

/// `len` bytes that tell which message they belong to: each is seven more than the one before. Whole stretches are
/// copied: under a fuzzer every turn of a loop is noted.
fn bytes(call: u32, len: usize) -> Vec<u8> {
    let first = (call as usize * 31) as u8;
    // 183 times seven is one, modulo 256: there the first byte stands.
    let start = usize::from(first.wrapping_mul(183));
    let mut bytes = Vec::with_capacity(len.next_multiple_of(256));
    while bytes.len() < len {
        bytes.extend_from_slice(&SEVENS[start..start + 256]);
    }
    bytes.truncate(len);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_message_follow_from_its_call() {
        for (call, len) in
            [(0, 0), (0, 1), (1, 255), (2, 256), (77, 257), (300, 600), (u32::MAX, 70_000)]
        {
            let slowly: Vec<u8> = (0..len).map(|at| (call as usize * 31 + at * 7) as u8).collect();
            assert_eq!(bytes(call, len), slowly, "{call}, {len}");
        }
    }
}
