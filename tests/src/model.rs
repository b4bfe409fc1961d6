//! What the models send, and the loops around it.

use knit_proto::{PayloadPlace, ProtocolViolation, SlotHeader, Tag, Word0};
use knit_ring::{ClaimError, Receiver, Sender, SharedMemory, Taken};

/// A message as the receiver saw it: call id and the first four bytes of its inline area.
pub type Seen = (u32, u32);

/// Call `call` with four bytes inline.
#[must_use]
pub const fn message(call: u32) -> SlotHeader {
    SlotHeader {
        word0: Word0::Call { function: 0, abort: None },
        call,
        tag: Tag::BYTES_INLINE,
        place: PayloadPlace::Inline { len: 4 },
    }
}

/// The four bytes that belong to call `call`.
#[must_use]
pub const fn payload(call: u32) -> [u8; 4] {
    (call ^ 0x5a5a_0000).to_ne_bytes()
}

/// Call `call` as the receiver must see it.
#[must_use]
pub const fn seen(call: u32) -> Seen {
    (call, u32::from_ne_bytes(payload(call)))
}

/// Sends call `call`, in a model. Waits for a free slot, and returns whether it had to.
///
/// # Errors
///
/// The receiver broke the protocol.
///
/// # Panics
///
/// Four bytes did not fit a slot.
pub fn send<M: SharedMemory>(sender: &mut Sender<M>, call: u32) -> Result<bool, ProtocolViolation> {
    let mut waited = false;
    loop {
        match sender.claim() {
            Ok(claim) => {
                claim.deposit(&payload(call)).expect("four bytes fit a slot");
                claim.publish(&message(call));
                return Ok(waited);
            }
            Err(ClaimError::Violation(violation)) => return Err(violation),
            Err(_) => {
                waited = true;
                loom::thread::yield_now();
            }
        }
    }
}

/// Takes the next message, in a model. Waits until there is one, and leaves it finished, not
/// released, if `finish` says so.
///
/// # Errors
///
/// The sender broke the protocol.
pub fn receive<M: SharedMemory>(
    receiver: &mut Receiver<M>,
    finish: bool,
) -> Result<Seen, ProtocolViolation> {
    loop {
        if let Some(taken) = receiver.take()? {
            return Ok(read(taken, finish));
        }
        loom::thread::yield_now();
    }
}

/// Reads a message and gives it back.
///
/// # Panics
///
/// Four bytes are more than a slot has.
pub fn read<M: SharedMemory>(taken: Taken<'_, M>, finish: bool) -> Seen {
    let mut bytes = [0; 4];
    taken.snapshot(&mut bytes).expect("a slot has four bytes");
    let call = taken.header().0[1];
    if finish {
        taken.finish()
    } else {
        taken.release()
    }
    (call, u32::from_ne_bytes(bytes))
}
