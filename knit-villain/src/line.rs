//! One end of a lane by hand: raw words out, checked messages in.
//!
//! What a villain sends is whatever its case says. What it receives comes from the implementation under
//! test, which may be broken: it is checked as every receiver checks it, and an error is a finding.

use crate::wire::{Body, Raw, Room};
use knit_proto::{
    ArenaLayout, ControlLayout, Direction, HEADER_LINE_AT, LaneState, Layout, MailboxLayout,
    PayloadPlace, SLOT_STRIDE, STAMP_AT, SlotRules, Tag, WordOffset,
};
use knit_ring::{
    Doorbell, FutexBell, Mapped, Mapping, Receiver, SharedBytes, SharedMemory, SharedWord, Stamps,
};

/// A mapped segment.
pub type Memory = Mapped<Mapping>;

/// Which end of the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Sends requests.
    Host,
    /// Sends answers.
    Worker,
}

/// A message of the other side.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Word 0.
    pub word0: u32,
    /// Call id.
    pub call: u32,
    /// Payload tag.
    pub tag: Tag,
    /// Bytes of the payload, the parts of one in two one after the other; eight for a scalar.
    pub bytes: Vec<u8>,
}

/// One end of a lane.
#[derive(Debug)]
pub struct Line {
    /// The segment.
    pub memory: Memory,
    /// Where everything is.
    pub layout: Layout,
    /// What the villain may use.
    pub room: Room,
    /// Whether slots and blocks of received messages are given back.
    pub gives_back: bool,
    /// Whether slots are stamped.
    pub stamps: bool,
    /// Whether answers may say *withdrawn*.
    pub withdraws: bool,
    mine: ControlLayout,
    theirs: ControlLayout,
    mailbox: MailboxLayout,
    arena: ArenaLayout,
    incoming: Receiver<Memory>,
    incoming_arena: ArenaLayout,
    rules: SlotRules,
    publish: u32,
    counts: [u32; 32],
    next: u32,
    allocate: u32,
    freed: u32,
    owed: u32,
    bell: u32,
}

impl Line {
    /// The end `side` of a lane.
    ///
    /// # Panics
    ///
    /// The layout is not that of the memory.
    #[must_use]
    pub fn new(memory: &Memory, layout: &Layout, side: Side, limit: u32) -> Self {
        let (out, back) = match side {
            Side::Host => (Direction::Request, Direction::Response),
            Side::Worker => (Direction::Response, Direction::Request),
        };
        let (mine, theirs) = match side {
            Side::Host => (layout.host_control(), layout.worker_control()),
            Side::Worker => (layout.worker_control(), layout.host_control()),
        };
        let arena = layout.arena(out);
        let incoming_arena = layout.arena(back);
        let incoming = Receiver::new(memory, layout.mailbox(back), Stamps::Off);
        Self {
            memory: memory.clone(),
            layout: *layout,
            room: Room { limit, arena: arena.data().len() },
            gives_back: true,
            stamps: true,
            withdraws: false,
            mine,
            theirs,
            mailbox: layout.mailbox(out),
            arena,
            incoming: incoming.expect("the mailbox lies inside"),
            rules: SlotRules {
                direction: back,
                arena_bytes: incoming_arena.data().len(),
                max_payload: limit,
                abort_capacity: layout.fields().geometry.abort_capacity(),
            },
            incoming_arena,
            publish: 0,
            counts: [0; 32],
            next: 0,
            allocate: 0,
            freed: 0,
            owed: 0,
            bell: 0,
        }
    }

    /// The own control line.
    #[must_use]
    pub fn mine(&self) -> ControlLayout {
        self.mine
    }

    /// The control line of the other side.
    #[must_use]
    pub fn theirs(&self) -> ControlLayout {
        self.theirs
    }

    /// Where the messages of this side go.
    #[must_use]
    pub fn outgoing(&self) -> (MailboxLayout, ArenaLayout) {
        (self.mailbox, self.arena)
    }

    /// Where the messages of the other side come from.
    #[must_use]
    pub fn incoming(&self) -> (MailboxLayout, ArenaLayout) {
        let direction = self.rules.direction;
        (self.layout.mailbox(direction), self.incoming_arena)
    }

    /// Loads a word.
    #[must_use]
    pub fn load(&self, at: WordOffset) -> u32 {
        self.word(at).load_acquire()
    }

    /// Stores a word.
    pub fn store(&self, at: WordOffset, value: u32) {
        self.word(at).store_release(value);
    }

    /// Stores a word at an offset in bytes from the start of the segment.
    ///
    /// # Panics
    ///
    /// It is no multiple of four inside.
    pub fn store_at(&self, at: u32, value: u32) {
        self.store(WordOffset::new(at).expect("a multiple of four"), value);
    }

    /// Whether the other side's state is this one.
    #[must_use]
    pub fn peer_is(&self, state: LaneState) -> bool {
        self.load(self.theirs.state) == state.word()
    }

    /// Says this in the own control line, the state last.
    pub fn say(&mut self, epoch: u32, features: u32, state: u32) {
        self.store(self.mine.epoch, epoch);
        self.store(self.mine.features, features);
        self.store(self.mine.pid, std::process::id());
        self.store(self.mine.state, state);
        self.ring();
    }

    /// Advances the bell and wakes whoever sleeps on it.
    pub fn ring(&mut self) {
        self.bell = self.bell.wrapping_add(1);
        self.ring_with(self.bell);
    }

    /// Makes the bell this word and wakes whoever sleeps on it.
    pub fn ring_with(&mut self, bell: u32) {
        self.bell = bell;
        self.store(self.mine.bell, bell);
        FutexBell.wake(&self.word(self.mine.bell));
    }

    /// The message of `body`, as the next one would be sent.
    #[must_use]
    pub fn forge(&self, word0: u32, call: u32, body: &Body) -> Raw {
        let stride = self.room.arena / 32 / 64 * 64;
        Raw::new(word0, call, body, self.room, self.next * stride, self.next)
    }

    /// Whether the next slot and its block are free, as the other side says.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let pending = self.publish ^ self.load(self.mailbox.release());
        let live = self.allocate ^ self.load(self.arena.free());
        (pending | live) >> self.next & 1 == 0
    }

    /// Writes a message into the next slot, publishes it and stamps it. Does not ring.
    pub fn post(&mut self, raw: &Raw) -> u32 {
        let slot = self.write(raw);
        self.toggle(1 << slot);
        self.counts[slot as usize] += 1;
        if self.stamps {
            self.stamp(slot, self.counts[slot as usize]);
        }
        slot
    }

    /// Writes a message into the next slot, and neither publishes nor stamps it.
    pub fn write(&mut self, raw: &Raw) -> u32 {
        let slot = self.next;
        self.next = (slot + 1) % 32;
        self.rewrite(slot, raw);
        if raw.live {
            // Block and slot have the same index, as `forge` chooses them.
            self.allocate ^= 1 << slot;
            self.store(self.arena.allocate(), self.allocate);
        }
        slot
    }

    /// Writes a message into this slot, whatever is there. Bytes that do not fit are left out.
    ///
    /// # Panics
    ///
    /// There is no such slot.
    pub fn rewrite(&self, slot: u32, raw: &Raw) {
        let slots = self.memory.bytes(self.mailbox.slots()).expect("the slots lie inside");
        slots.deposit(slot * SLOT_STRIDE, &raw.inline).expect("at most 512 bytes");
        slots.store_words(slot * SLOT_STRIDE + HEADER_LINE_AT, &raw.words).expect("inside");
        let data = self.memory.bytes(self.arena.data()).expect("the arena lies inside");
        // A start that the arena does not have is what the case is about.
        let _ = data.deposit(raw.words[3], &raw.arena);
    }

    /// Flips these bits of the publish word.
    pub fn toggle(&mut self, slots: u32) {
        self.publish ^= slots;
        self.store(self.mailbox.publish(), self.publish);
    }

    /// Stores the stamp of a slot.
    ///
    /// # Panics
    ///
    /// There is no such slot.
    pub fn stamp(&self, slot: u32, stamp: u32) {
        self.store(self.slot_word(slot, STAMP_AT / 4), stamp);
    }

    /// Word `index` of a slot, counted from its start.
    ///
    /// # Panics
    ///
    /// There is no such word.
    #[must_use]
    pub fn slot_word(&self, slot: u32, index: u32) -> WordOffset {
        self.mailbox.slots().word(slot * SLOT_STRIDE + index * 4).expect("inside the slots")
    }

    /// How often a slot was published.
    #[must_use]
    pub fn published(&self, slot: u32) -> u32 {
        self.counts[slot as usize]
    }

    /// A message of the other side, if there is one, its slot and its block given back.
    ///
    /// # Errors
    ///
    /// What the other side did wrong.
    pub fn take(&mut self) -> Result<Option<Incoming>, String> {
        let broke =
            |what: &dyn std::fmt::Display| format!("the other side broke the protocol: {what}");
        let Some(taken) = self.incoming.take().map_err(|violation| broke(&violation))? else {
            return Ok(None);
        };
        let raw = taken.header();
        let header = raw.parse(&self.rules, taken.slot());
        let withdrawn = raw.parse_withdrawn().filter(|_| self.withdraws);
        let header = header.or_else(|violation| withdrawn.ok_or_else(|| broke(&violation)))?;
        let data = self.memory.bytes(self.incoming_arena.data()).expect("the arena lies inside");
        let inline = |len: u32| {
            let mut bytes = vec![0; len as usize];
            taken.snapshot(&mut bytes).expect("at most 512 bytes");
            bytes
        };
        let arena = |start: u32, len: u32| {
            let mut bytes = vec![0; len as usize];
            data.snapshot(start, &mut bytes).expect("checked by the rules");
            bytes
        };
        let bytes = match header.place {
            PayloadPlace::Bare => Vec::new(),
            PayloadPlace::Scalar(bits) => bits.to_le_bytes().into(),
            PayloadPlace::Inline { len } => inline(len),
            PayloadPlace::Arena { start, len, .. } => arena(start, len),
            PayloadPlace::InlineHead { head, start, body, .. } => {
                [inline(head), arena(start, body)].concat()
            }
            PayloadPlace::ArenaHead { head, start, body, .. } => arena(start, head + body),
        };
        let block = header.place.block().map_or(0, |block| 1 << block.get());
        taken.finish();
        self.owed ^= block;
        if self.gives_back {
            self.give_back();
        }
        Ok(Some(Incoming { word0: raw.0[0], call: header.call, tag: header.tag, bytes }))
    }

    /// Gives back whatever was kept while `gives_back` was off.
    pub fn give_back(&mut self) {
        self.incoming.release();
        let owed = std::mem::take(&mut self.owed);
        if owed != 0 {
            self.free_more(owed);
        }
    }

    /// Flips bits of the own free word that no message has named.
    pub fn free_more(&mut self, blocks: u32) {
        self.freed ^= blocks;
        self.store(self.incoming_arena.free(), self.freed);
    }

    fn word(&self, at: WordOffset) -> <Memory as SharedMemory>::Word {
        self.memory.word(at).expect("inside the segment")
    }
}
