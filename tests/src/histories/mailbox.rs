//! A mailbox against a plain list of who owns which slot.

use super::bytes;
use crate::arena_lane;
use knit_proto::{PayloadPlace, SlotHeader, SlotMask, Tag, Word0};
use knit_ring::{
    BatchError, ClaimError, HeapMemory, Receiver, Sender, SharedMemory, Stamps, Taken,
};

/// What is done to a mailbox. Lengths are at most 512 bytes.
#[derive(Clone, Debug)]
pub enum MailboxOp {
    /// Claim and publish a message with so many bytes.
    Send(usize),
    /// Claim, deposit, drop the claim.
    Abandon(usize),
    /// So many messages in one batch, published or dropped.
    Batch(usize, bool),
    /// Look for a message by `poll` or `take`; release it, or leave it finished.
    Receive {
        /// By `poll`.
        poll: bool,
        /// Leave it finished.
        finish: bool,
    },
    /// Release what is finished.
    Release,
    /// Ask whether something is pending.
    IsPending,
}

/// The mailbox as a plain list of who owns which slot.
struct ReferenceMailbox {
    slots: u32,
    /// Published and not taken, by slot: the call.
    pending: [Option<u32>; 32],
    /// Taken and not released.
    finished: Slots,
    /// Slots that the sender believes not to be free.
    busy: Slots,
    cursor: u32,
    next_call: u32,
}

/// Which slots: yes or no for each.
type Slots = [bool; 32];

fn count(slots: &Slots) -> usize {
    slots.iter().filter(|slot| **slot).count()
}

impl ReferenceMailbox {
    fn new(slots: u32) -> Self {
        Self {
            slots,
            pending: [None; 32],
            finished: [false; 32],
            busy: [false; 32],
            cursor: 0,
            next_call: 1,
        }
    }

    /// The slot that a claim gets: the first free one from the cursor on, in cyclic order. The
    /// sender looks at the release word only when it believes that there is none.
    fn claim(&mut self, claimed: &Slots) -> Option<u32> {
        self.first_free(claimed).or_else(|| {
            for (slot, busy) in self.busy.iter_mut().enumerate() {
                *busy = self.pending[slot].is_some() || self.finished[slot];
            }
            self.first_free(claimed)
        })
    }

    fn first_free(&self, claimed: &Slots) -> Option<u32> {
        let mut order = (0..self.slots).map(|step| (self.cursor + step) % self.slots);
        order.find(|slot| !claimed[*slot as usize] && !self.busy[*slot as usize])
    }

    fn publish(&mut self, slot: u32, call: u32) {
        let at = slot as usize;
        assert!(self.pending[at].replace(call).is_none(), "slot {slot} published while pending");
        assert!(!self.finished[at], "slot {slot} published while taken");
        self.busy[at] = true;
        self.cursor = (slot + 1) % self.slots;
    }

    fn pending(&self) -> usize {
        self.pending.iter().flatten().count()
    }

    fn call(&mut self) -> u32 {
        self.next_call += 1;
        self.next_call - 1
    }
}

fn inline(call: u32, len: usize) -> SlotHeader {
    SlotHeader {
        word0: Word0::Call { function: call as u16, abort: None },
        call,
        tag: Tag::BYTES_INLINE,
        place: PayloadPlace::Inline { len: len as u32 },
    }
}

/// Checks a message that was taken; says which slot it was in.
fn check_taken<M: SharedMemory>(taken: &Taken<'_, M>, reference: &mut ReferenceMailbox) -> u32 {
    let slot = taken.slot().get();
    let call = reference.pending[slot as usize].take().expect("a taken slot was pending");
    let [w0, id, tag, _, _, len, _] = taken.header().0;
    assert_eq!((w0, id, tag), (call & 0xffff, call, Tag::BYTES_INLINE.0));
    let mut seen = vec![0; len as usize];
    taken.snapshot(&mut seen).unwrap();
    assert_eq!(seen, bytes(call, len as usize));
    slot
}

/// Runs a history over a mailbox and over the list, and compares what they say. At the end polls alone
/// find every message that is left.
///
/// # Panics
///
/// They differ.
pub fn run_mailbox(slots: u32, stamps: Stamps, ops: &[MailboxOp]) {
    let lane = arena_lane(slots, 64);
    let memory = HeapMemory::zeroed(lane.bytes).unwrap();
    let mut sender = Sender::new(&memory, lane.mailbox, stamps).unwrap();
    let mut receiver = Receiver::new(&memory, lane.mailbox, stamps).unwrap();
    let mut reference = ReferenceMailbox::new(slots);
    for op in ops {
        match op {
            MailboxOp::Send(len) => match (sender.claim(), reference.claim(&[false; 32])) {
                (Ok(claim), Some(slot)) => {
                    assert_eq!(claim.slot().get(), slot);
                    let call = reference.call();
                    claim.deposit(&bytes(call, *len)).unwrap();
                    assert_eq!(claim.publish(&inline(call, *len)).get(), slot);
                    reference.publish(slot, call);
                }
                (Err(ClaimError::Full), None) => {}
                (claim, expected) => panic!("claimed {claim:?}, expected {expected:?}"),
            },
            MailboxOp::Abandon(len) => match (sender.claim(), reference.claim(&[false; 32])) {
                (Ok(claim), Some(slot)) => {
                    assert_eq!(claim.slot().get(), slot);
                    claim.deposit(&vec![0xee; *len]).unwrap();
                }
                (Err(ClaimError::Full), None) => {}
                (claim, expected) => panic!("claimed {claim:?}, expected {expected:?}"),
            },
            MailboxOp::Batch(len, publish) => {
                let mut claimed = [false; 32];
                let mut added = Vec::new();
                let mut batch = sender.batch();
                for _ in 0..*len {
                    let call = reference.call();
                    let expected = reference.claim(&claimed);
                    match (batch.add(&inline(call, 9), &bytes(call, 9)), expected) {
                        (Ok(slot), Some(expected)) => {
                            assert_eq!(slot.get(), expected);
                            claimed[expected as usize] = true;
                            added.push((expected, call));
                        }
                        (Err(BatchError::Claim(ClaimError::Full)), None) => {}
                        (added, expected) => panic!("added {added:?}, expected {expected:?}"),
                    }
                }
                assert_eq!(batch.len() as usize, added.len());
                if *publish {
                    let mask: u32 = added.iter().map(|(slot, _)| 1 << slot).sum();
                    assert_eq!(batch.publish(), SlotMask::from_bits(mask));
                    for (slot, call) in added {
                        reference.publish(slot, call);
                    }
                }
            }
            MailboxOp::Receive { poll, finish } => {
                let found = if *poll { receiver.poll() } else { receiver.take() }.unwrap();
                match found {
                    Some(taken) => {
                        let slot = check_taken(&taken, &mut reference);
                        reference.finished[slot as usize] = true;
                        if *finish {
                            taken.finish();
                        } else {
                            taken.release();
                            reference.finished = [false; 32];
                        }
                    }
                    None if *poll && stamps == Stamps::On => {}
                    None => assert_eq!(reference.pending(), 0, "a message stayed unseen"),
                }
            }
            MailboxOp::Release => {
                receiver.release();
                reference.finished = [false; 32];
            }
            MailboxOp::IsPending => {
                assert_eq!(receiver.is_pending().unwrap(), reference.pending() != 0);
            }
        }
        let busy = count(&reference.busy);
        assert_eq!((sender.len() as usize, sender.is_empty()), (busy, busy == 0));
        assert!(busy >= reference.pending() + count(&reference.finished));
    }
    // Polls alone find the rest: the publish word is looked at every 32nd time.
    let mut idle = 0;
    while idle < 64 {
        match receiver.poll().unwrap() {
            Some(taken) => {
                check_taken(&taken, &mut reference);
                idle = 0;
            }
            None => idle += 1,
        }
    }
    assert_eq!(reference.pending(), 0, "polls never found {:?}", reference.pending);
}
