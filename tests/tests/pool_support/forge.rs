//! A sender that writes what it likes: raw words into one direction of a lane.

#![allow(dead_code, reason = "each user misbehaves in some of the ways")]

use knit_proto::{
    ArenaLayout, Direction, HEADER_LINE_AT, Layout, MailboxLayout, SLOT_HEADER_WORDS, SLOT_STRIDE,
    STAMP_AT, WordOffset,
};
use knit_ring::{Mapped, Mapping, SharedBytes, SharedMemory, SharedWord};

pub type Memory = Mapped<Mapping>;

/// One direction of a lane, to be filled by hand.
pub struct Forge {
    memory: Memory,
    mailbox: MailboxLayout,
    arena: ArenaLayout,
    publish: u32,
    counts: [u32; 32],
    next: u32,
}

impl Forge {
    pub fn new(memory: &Memory, layout: &Layout, direction: Direction) -> Self {
        Self {
            memory: memory.clone(),
            mailbox: layout.mailbox(direction),
            arena: layout.arena(direction),
            publish: 0,
            counts: [0; 32],
            next: 0,
        }
    }

    /// Publishes a message with these header words in the next slot.
    pub fn send(&mut self, header: [u32; SLOT_HEADER_WORDS]) {
        let slot = self.next;
        self.write(slot, header);
        self.toggle(slot);
        self.stamp(slot);
        self.next = (slot + 1) % 32;
    }

    /// Stamps the next slot with this header, but does not publish it.
    pub fn stamp_unpublished(&mut self, header: [u32; SLOT_HEADER_WORDS]) {
        let slot = self.next;
        self.write(slot, header);
        self.stamp(slot);
        self.next = (slot + 1) % 32;
    }

    pub fn write(&self, slot: u32, header: [u32; SLOT_HEADER_WORDS]) {
        let slots = self.memory.bytes(self.mailbox.slots()).expect("inside the segment");
        slots.store_words(slot * SLOT_STRIDE + HEADER_LINE_AT, &header).expect("inside the slots");
    }

    pub fn write_inline(&self, slot: u32, bytes: &[u8]) {
        let slots = self.memory.bytes(self.mailbox.slots()).expect("inside the segment");
        slots.deposit(slot * SLOT_STRIDE, bytes).expect("inside the slots");
    }

    pub fn write_arena(&self, start: u32, bytes: &[u8]) {
        let data = self.memory.bytes(self.arena.data()).expect("inside the segment");
        data.deposit(start, bytes).expect("inside the arena");
    }

    pub fn toggle(&mut self, slot: u32) {
        self.publish ^= 1 << slot;
        word(&self.memory, self.mailbox.publish()).store_release(self.publish);
    }

    /// The slot that `send` uses next.
    pub fn next_slot(&self) -> u32 {
        self.next
    }

    fn stamp(&mut self, slot: u32) {
        let count = &mut self.counts[slot as usize];
        *count += 1;
        let at =
            self.mailbox.slots().word(slot * SLOT_STRIDE + STAMP_AT).expect("inside the slots");
        word(&self.memory, at).store_release(*count);
    }
}

/// The word at `at`.
pub fn word(memory: &Memory, at: WordOffset) -> <Memory as SharedMemory>::Word {
    memory.word(at).expect("inside the segment")
}

/// Header words: flags or function, call id, tag, then words 3 to 6.
pub fn header(word0: u32, call: u32, tag: u32, rest: [u32; 4]) -> [u32; SLOT_HEADER_WORDS] {
    let [w3, w4, w5, w6] = rest;
    [word0, call, tag, w3, w4, w5, w6]
}
