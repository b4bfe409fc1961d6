//! A mailbox whose peer stores anything into its toggle word and its stamps.
//!
//! Ends believe exactly what they load: the models here take it from the memory that tampers with it.

use crate::{HostileMemory, Lane, message, payload};
use knit_proto::{ProtocolViolation, SLOT_STRIDE, STAMP_AT, SlotMask, WordOffset};
use knit_ring::{
    BatchError, ClaimError, HeapMemory, Receiver, Sender, SharedMemory, SharedWord, Stamps,
};

/// Polls of a stamp after which a receiver looks at the publish word.
const POLLS: u32 = 64;

/// What a sender and its receiver do.
#[derive(Clone, Copy, Debug)]
pub enum HostileReceiverOp {
    /// The receiver releases those of these slots that are pending.
    Release(u32),
    /// The receiver flips these bits.
    Flip(u32),
    /// The receiver stores this.
    Store(u32),
    /// The sender claims and fills so many slots; publishes them, or gives them up.
    Send(u32, bool),
}

/// What a receiver and its sender do.
#[derive(Clone, Copy, Debug)]
pub enum HostileSenderOp {
    /// The sender flips these bits.
    Flip(u32),
    /// The sender stores this.
    Store(u32),
    /// The sender stores the stamp that is due next in the slot that is due next, this much off.
    Stamp(u32),
    /// The receiver looks for a message, by `poll` or `take`, and releases it or leaves it finished.
    Receive {
        /// By `poll`.
        poll: bool,
        /// Leave it finished.
        finish: bool,
    },
    /// The receiver asks whether one is pending.
    IsPending,
    /// The receiver releases what is finished.
    Release,
}

/// Runs a history of a sender. `hostile` is `memory` as the sender sees it. It looks at the release word when it
/// knows of no free slot, and then believes what it loaded, or names the slots that were released out of turn.
/// Says how many violations it has named. MBX-1, MBX-8.
///
/// # Panics
///
/// It does something else.
pub fn run_hostile_receiver(
    lane: &Lane,
    memory: &HeapMemory,
    hostile: &HostileMemory,
    stamps: Stamps,
    ops: impl IntoIterator<Item = HostileReceiverOp>,
) -> u32 {
    let (release, at) =
        (memory.word(lane.mailbox.release()).unwrap(), lane.mailbox.release().bytes());
    let publish = memory.word(lane.mailbox.publish()).unwrap();
    let all = SlotMask::first(lane.mailbox.slot_count()).bits();
    let mut sender = Sender::new(hostile, lane.mailbox, stamps).unwrap();
    let (mut mine, mut seen, mut violations) = (0_u32, 0_u32, 0);
    for (call, op) in (0..).zip(ops) {
        let (count, send) = match op {
            HostileReceiverOp::Release(slots) => {
                release.store_release(seen ^ (mine ^ seen) & slots);
                continue;
            }
            HostileReceiverOp::Flip(bits) => {
                release.store_release(seen ^ bits);
                continue;
            }
            HostileReceiverOp::Store(word) => {
                release.store_release(word);
                continue;
            }
            HostileReceiverOp::Send(count, send) => (count, send),
        };
        let mut batch = sender.batch();
        let mut claimed = 0_u32;
        for _ in 0..count {
            let free = |seen: u32| !(mine ^ seen) & all & !claimed;
            let known = free(seen);
            let added = batch.add(&message(call), &payload(call));
            let loaded = hostile.take_load(at);
            assert_eq!(loaded.is_none(), known != 0, "it looks when it knows of no free slot");
            let mut expected = None;
            if let Some(loaded) = loaded {
                let wrong = (loaded ^ seen) & !(mine ^ seen);
                let slots = SlotMask::from_bits;
                if wrong & !all != 0 {
                    expected = Some(ProtocolViolation::NoSuchSlot { slots: slots(wrong & !all) });
                } else if wrong != 0 {
                    expected = Some(ProtocolViolation::ReleasedFree { slots: slots(wrong) });
                } else {
                    seen = loaded;
                }
            }
            match (added, expected) {
                (Ok(slot), None) => {
                    assert_ne!(slot.mask().bits() & free(seen), 0, "slot {slot} is not free");
                    claimed |= slot.mask().bits();
                }
                (Err(BatchError::Claim(ClaimError::Full)), None) => {
                    assert_eq!(free(seen), 0, "there is a free slot");
                    break;
                }
                (Err(BatchError::Claim(ClaimError::Violation(found))), Some(expected)) => {
                    assert_eq!(found, expected);
                    violations += 1;
                    break;
                }
                (added, expected) => panic!("added {added:?}, expected {expected:?}"),
            }
        }
        if send {
            assert_eq!(batch.publish().bits(), claimed);
            mine ^= claimed;
        }
        assert_eq!(publish.load_acquire(), mine);
        assert_eq!(sender.len(), ((mine ^ seen) & all).count_ones());
    }
    violations
}

/// Runs a history of a receiver. `hostile` is `memory` as the receiver sees it. It takes the slots that the
/// publish word or a stamp that is due says are pending, each one once, in cyclic order, and names those that
/// were published while it held them. Says how many violations it has named. MBX-1, MBX-7, MBX-10.
///
/// # Panics
///
/// It does something else.
pub fn run_hostile_sender(
    lane: &Lane,
    memory: &HeapMemory,
    hostile: &HostileMemory,
    stamps: Stamps,
    ops: impl IntoIterator<Item = HostileSenderOp>,
) -> u32 {
    let publish = memory.word(lane.mailbox.publish()).unwrap();
    let release = memory.word(lane.mailbox.release()).unwrap();
    let mut receiver = Receiver::new(hostile, lane.mailbox, stamps).unwrap();
    let mut model = ReceiverModel::new(lane, stamps);
    for op in ops {
        match op {
            HostileSenderOp::Flip(bits) => publish.store_release(model.taken ^ bits),
            HostileSenderOp::Store(word) => publish.store_release(word),
            HostileSenderOp::Stamp(off) => {
                let due = model.counts[model.cursor as usize].wrapping_add(1);
                memory.word(model.stamp_at()).unwrap().store_release(due.wrapping_add(off));
            }
            HostileSenderOp::Receive { poll, finish } => {
                let found = if poll { receiver.poll() } else { receiver.take() };
                let expected = if poll { model.poll(hostile) } else { model.take(hostile) };
                match (found, expected) {
                    (Ok(None), Ok(None)) => {}
                    (Ok(Some(taken)), Ok(Some(slot))) => {
                        assert_eq!(taken.slot().get(), slot);
                        model.finished |= 1 << slot;
                        if finish {
                            taken.finish();
                        } else {
                            taken.release();
                            model.release();
                        }
                    }
                    (Err(found), Err(expected)) => {
                        assert_eq!(found, expected);
                        model.violations += 1;
                    }
                    (found, expected) => panic!("{found:?}, expected {expected:?}"),
                }
            }
            HostileSenderOp::IsPending => {
                let found = receiver.is_pending();
                let expected = if model.known == 0 { model.look(hostile) } else { Ok(()) };
                let expected = expected.map(|()| model.known != 0);
                assert_eq!(found, expected);
                model.violations += u32::from(expected.is_err());
            }
            HostileSenderOp::Release => {
                receiver.release();
                model.release();
            }
        }
        assert_eq!(release.load_acquire(), model.released, "the release word is what was taken");
    }
    model.violations
}

/// What a receiver knows.
struct ReceiverModel {
    lane: Lane,
    stamps: Stamps,
    taken: u32,
    released: u32,
    finished: u32,
    known: u32,
    counts: [u32; 32],
    cursor: u32,
    polls: u32,
    violations: u32,
}

impl ReceiverModel {
    fn new(lane: &Lane, stamps: Stamps) -> Self {
        let (lane, counts) = (*lane, [0; 32]);
        let [taken, released, finished, known, cursor, polls, violations] = [0; 7];
        Self { lane, stamps, taken, released, finished, known, counts, cursor, polls, violations }
    }

    fn slots(&self) -> u32 {
        self.lane.mailbox.slot_count()
    }

    /// Where the stamp of the slot stands that is due next.
    fn stamp_at(&self) -> WordOffset {
        let slots = self.lane.mailbox.slots();
        slots.word(self.cursor * SLOT_STRIDE + STAMP_AT).expect("the slot is in the span")
    }

    fn release(&mut self) {
        self.released ^= self.finished;
        self.finished = 0;
    }

    fn look(&mut self, hostile: &HostileMemory) -> Result<(), ProtocolViolation> {
        let loaded = hostile.take_load(self.lane.mailbox.publish().bytes());
        let pending = loaded.expect("it looks at the publish word") ^ self.taken;
        self.polls = 0;
        let held = pending & (self.taken ^ self.released);
        if held != 0 {
            return Err(ProtocolViolation::Republished { slots: SlotMask::from_bits(held) });
        }
        let absent = pending & !SlotMask::first(self.slots()).bits();
        if absent != 0 {
            return Err(ProtocolViolation::NoSuchSlot { slots: SlotMask::from_bits(absent) });
        }
        self.known = pending;
        Ok(())
    }

    fn begin(&mut self, slot: u32) -> u32 {
        self.known &= !(1 << slot);
        self.taken ^= 1 << slot;
        self.counts[slot as usize] = self.counts[slot as usize].wrapping_add(1);
        self.cursor = (slot + 1) % self.slots();
        self.polls = 0;
        slot
    }

    fn next(&mut self) -> Option<u32> {
        let slots = self.slots();
        let order = (0..slots).map(|step| (self.cursor + step) % slots);
        let next = order.into_iter().find(|slot| self.known >> slot & 1 == 1);
        next.map(|slot| self.begin(slot))
    }

    fn take(&mut self, hostile: &HostileMemory) -> Result<Option<u32>, ProtocolViolation> {
        if self.known == 0 {
            self.look(hostile)?;
        }
        Ok(self.next())
    }

    fn poll(&mut self, hostile: &HostileMemory) -> Result<Option<u32>, ProtocolViolation> {
        if self.known == 0 && self.stamps == Stamps::On {
            let due = self.counts[self.cursor as usize].wrapping_add(1);
            let held = (self.taken ^ self.released) >> self.cursor & 1 == 1;
            if !held && hostile.take_load(self.stamp_at().bytes()) == Some(due) {
                return Ok(Some(self.begin(self.cursor)));
            }
            self.polls += 1;
            if self.polls < POLLS {
                return Ok(None);
            }
        }
        self.take(hostile)
    }
}
