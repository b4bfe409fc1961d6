//! The reference: a ring with a sequence number in each slot, as one writes it by hand for two threads
//! that trust each other.
//!
//! No header, no check, no publish word. The sender stores a slot's content, then its number; the
//! receiver polls the number of the slot that comes next, which lies in the line of the content, and
//! tells in a word of its own how far it has read. The sender looks there only when it has filled every
//! slot that it knows to be free. Slots lie as in a mailbox. What a mailbox is slower than this is the
//! price of its format and its checks.

use super::together::Wait;
use super::{Queue, Receives, SLOTS, Sends};
use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a slot that nobody touches, so that slots lie as in a mailbox. Payloads are left to the
/// bodies that have `memcpy`: words of atomics, all that safe code has, take several times as long.
const UNUSED_BYTES: usize = 512;

/// A hand-written ring, as a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerSlot {
    /// After how many messages the receiver tells how far it has read: at most eight, so that the
    /// sender has room meanwhile.
    pub release_every: u64,
    /// Pause hints after a poll that found nothing; zero for the moments of knit's own waits.
    pub pauses: u32,
}

impl PerSlot {
    /// As the mailbox is used.
    pub const PLAIN: Self = Self { release_every: 1, pauses: 0 };
    /// Ways to use it, of which now one and now another is the fastest one way: whoever waits longer
    /// lets the other side get ahead, so that lines move without being fought for.
    pub const ALL: [Self; 4] = [
        Self::PLAIN,
        Self { release_every: 8, pauses: 0 },
        Self { release_every: 8, pauses: 1 },
        Self { release_every: 8, pauses: 4 },
    ];
}

/// 576 bytes, the distance between two slots of a mailbox.
#[derive(Debug)]
#[repr(C, align(64))]
struct Slot {
    sequence: AtomicU64,
    number: AtomicU64,
    _unused: [u8; UNUSED_BYTES],
}

const _: () = assert!(size_of::<Slot>() == knit_proto::SLOT_STRIDE as usize);

#[derive(Debug)]
struct Ring {
    slots: [Slot; SLOTS],
    read: ReadUpTo,
}

/// How many messages the receiver has read, in a line of its own.
#[derive(Debug)]
#[repr(align(128))]
struct ReadUpTo(AtomicU64);

/// The end of a ring that fills slots.
#[derive(Debug)]
struct Filler {
    ring: Arc<Ring>,
    position: u64,
    /// Position of the first slot that is not known to be free.
    free_up_to: u64,
}

/// The end of a ring that reads them.
#[derive(Debug)]
struct Reader {
    ring: Arc<Ring>,
    position: u64,
}

fn ring() -> (Filler, Reader) {
    let ring = Arc::new(Ring {
        slots: array::from_fn(|_| Slot {
            sequence: AtomicU64::new(0),
            number: AtomicU64::new(0),
            _unused: [0; UNUSED_BYTES],
        }),
        read: ReadUpTo(AtomicU64::new(0)),
    });
    let reader = Reader { ring: Arc::clone(&ring), position: 0 };
    (Filler { ring, position: 0, free_up_to: SLOTS as u64 }, reader)
}

impl Filler {
    /// Calls `fill` with the next slot if it is free.
    #[inline(always)]
    fn push(&mut self, fill: impl FnOnce(&Slot)) -> bool {
        if self.position == self.free_up_to {
            // Acquire: what the receiver read, it read before this end writes there again.
            self.free_up_to = self.ring.read.0.load(Ordering::Acquire) + SLOTS as u64;
            if self.position == self.free_up_to {
                return false;
            }
        }
        let slot = &self.ring.slots[self.position as usize % SLOTS];
        self.position += 1;
        fill(slot);
        // Release: whoever sees the number sees the content.
        slot.sequence.store(self.position, Ordering::Release);
        true
    }
}

impl Reader {
    /// Calls `read` with the next slot if it is full. Tells the sender at every `every`th.
    #[inline(always)]
    fn pop<T>(&mut self, every: u64, read: impl FnOnce(&Slot) -> T) -> Option<T> {
        let slot = &self.ring.slots[self.position as usize % SLOTS];
        // Acquire: pairs with the store in `push`.
        if slot.sequence.load(Ordering::Acquire) != self.position + 1 {
            return None;
        }
        let content = read(slot);
        self.position += 1;
        if self.position.is_multiple_of(every) {
            // Release: pairs with the load in `push`.
            self.ring.read.0.store(self.position, Ordering::Release);
        }
        Some(content)
    }
}

/// The sending end.
#[derive(Debug)]
pub struct Sender {
    filler: Filler,
    pauses: u32,
}

/// The receiving end.
#[derive(Debug)]
pub struct Receiver {
    reader: Reader,
    release_every: u64,
    pauses: u32,
}

impl Queue for PerSlot {
    type Sender = Sender;
    type Receiver = Receiver;

    fn name(&self) -> String {
        let Self { release_every, pauses } = self;
        match *self {
            Self::PLAIN => "per_slot_ring".into(),
            _ => format!("per_slot_ring_release_{release_every}_pause_{pauses}"),
        }
    }

    fn start(&self, senders: usize) -> Option<(Vec<Sender>, Receiver)> {
        let Self { release_every, pauses } = *self;
        let (filler, reader) = ring();
        (senders == 1)
            .then(|| (vec![Sender { filler, pauses }], Receiver { reader, release_every, pauses }))
    }
}

impl Sends for Sender {
    #[inline(always)]
    fn send(&mut self, number: u64) -> bool {
        self.filler.push(|slot| slot.number.store(number, Ordering::Relaxed))
    }

    #[inline(always)]
    fn send_waiting(&mut self, number: u64) {
        let mut wait = Wait::with_pauses(self.pauses);
        while !self.send(number) {
            wait.moment();
        }
    }
}

impl Receives for Receiver {
    #[inline(always)]
    fn receive(&mut self) -> Option<u64> {
        self.reader.pop(self.release_every, |slot| slot.number.load(Ordering::Relaxed))
    }

    #[inline(always)]
    fn receive_waiting(&mut self) -> u64 {
        let mut wait = Wait::with_pauses(self.pauses);
        loop {
            match self.receive() {
                Some(number) => return number,
                None => wait.moment(),
            }
        }
    }
}
