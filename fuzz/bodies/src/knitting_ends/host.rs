//! A Knitting host over plain memory: what it does as it should, and what it writes besides.

use super::MAX;
use crate::input::Input;
use knit_codec::Payload;
use knit_proto::{Form, INLINE_BYTES, SLOT_STRIDE, Span, Tag, WordOffset};
use knit_ring::{HeapMemory, SharedBytes, SharedMemory, SharedWord};
use knit_tests::knitting::{Part, Places, Regions};
use std::collections::BTreeMap;

/// Words of a header line, from the start of a slot, in bytes.
const LINE_AT: u32 = 512;
/// Sender, receiver, payload sender, payload receiver: from the start of a lock sector, in bytes.
const WORDS: [u32; 4] = [0, 64, 128, 192];

/// A call that was posted: its function, its abort signal, its argument.
type Posted = (u16, Option<u32>, Payload<'static>);

pub(super) struct Host {
    memory: HeapMemory,
    places: Places,
    regions: Regions,
    /// The sender word of requests; the receiver word of responses.
    sent: u32,
    received: u32,
    next: u32,
    /// Calls that the worker has not taken.
    posted: BTreeMap<u32, Posted>,
    /// Answers that were sent and not collected.
    answers: BTreeMap<u32, (bool, Payload<'static>)>,
}

impl Host {
    pub(super) fn new(memory: HeapMemory, places: Places) -> Self {
        Self {
            regions: Regions::new(places.payloads[0].1 - 64),
            memory,
            places,
            sent: 0,
            received: 0,
            next: 0,
            posted: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }

    pub(super) fn has_posted(&self) -> bool {
        !self.posted.is_empty()
    }

    pub(super) fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Posts a call, if its argument may be one and there is room. Where nothing is posted, there is.
    pub(super) fn post(
        &mut self,
        function: u16,
        abort: Option<u32>,
        argument: Payload<'static>,
        clean: bool,
    ) {
        let tag = argument.tag();
        let len = argument.len() as u32;
        let head = argument.head_len();
        // Bytes in the slot, bytes in the region.
        let (inline, dynamic) = match tag.form() {
            None | Some(Form::Local) => return,
            Some(Form::Bare | Form::Scalar) => (0, None),
            Some(Form::Inline) => (len, None),
            Some(Form::Arena) => (0, Some(len)),
            Some(Form::InlineHead | Form::ArenaHead) if head > len => return,
            Some(Form::InlineHead) => (head, Some(len - head)),
            Some(Form::ArenaHead) => (0, Some(len)),
        };
        if inline > INLINE_BYTES || dynamic.is_some_and(|len| len > MAX) {
            return;
        }
        let free = !(self.sent ^ self.load(self.sector(0, 1)));
        if free == 0 {
            return assert!(!clean || self.has_posted(), "no slot comes back");
        }
        let slot = 31 - free.leading_zeros();
        let (in_slot, in_region) = argument.as_bytes().split_at(inline as usize);
        let mut words = [0; 8];
        if let Some(len) = dynamic {
            let released = self.load(self.sector(0, 3));
            let Some((index, start)) = self.regions.place(len, released) else {
                return assert!(!clean || self.has_posted(), "no region comes back");
            };
            self.store(self.sector(0, 2), self.regions.word);
            self.deposit(self.places.payloads[0].0 + 64 + start, in_region);
            (words[3], words[6]) = (start, 0x5a5a_5a40 | index);
        }
        match tag.form() {
            Some(Form::Scalar) => {
                let bits = argument.scalar_bits();
                // The casts take the two halves apart.
                (words[3], words[4]) = (bits as u32, (bits >> 32) as u32);
            }
            Some(Form::Inline | Form::Arena) => words[5] = len,
            Some(Form::InlineHead | Form::ArenaHead) => (words[4], words[5]) = (len - head, head),
            _ => {}
        }
        let call = self.next;
        self.next += 1;
        words[0] = u32::from(function) | abort.map_or(0, |signal| (signal + 1) << 16);
        (words[1], words[2]) = (call, tag.0);
        let at = self.places.headers[0].0 + slot * SLOT_STRIDE;
        self.deposit(at, in_slot);
        self.store_words(at + LINE_AT, &words);
        self.toggle(slot);
        self.posted.insert(call, (function, abort, argument));
    }

    /// A request came out of the mailbox.
    pub(super) fn was_taken(
        &mut self,
        call: u32,
        function: u16,
        abort: Option<u32>,
        found: &Payload<'_>,
    ) {
        let (posted, signal, argument) = self.posted.remove(&call).expect("a call that was posted");
        assert_eq!((posted, signal), (function, abort), "call {call}");
        assert_eq!(argument, *found, "call {call}");
    }

    pub(super) fn was_answered(&mut self, call: u32, rejected: bool, payload: Payload<'static>) {
        assert!(self.answers.insert(call, (rejected, payload)).is_none(), "answered twice");
    }

    /// Takes every answer: each is one that was sent. How many there were.
    pub(super) fn collect(&mut self) -> u32 {
        let sent = self.load(self.sector(1, 0));
        let pending = sent ^ self.received;
        for slot in (0..32).filter(|slot| pending >> slot & 1 == 1) {
            let (call, rejected, found) = self.answer(slot);
            let answer = self.answers.remove(&call).expect("an answer that was sent");
            assert_eq!(answer, (rejected, found), "call {call}");
        }
        assert!(self.answers.is_empty(), "an answer stays unseen");
        self.received = sent;
        self.store(self.sector(1, 1), sent);
        pending.count_ones()
    }

    /// Copies an answer out and gives its region back.
    fn answer(&self, slot: u32) -> (u32, bool, Payload<'static>) {
        let at = self.places.headers[1].0 + slot * SLOT_STRIDE;
        let words: [u32; 8] = std::array::from_fn(|n| self.load(at + LINE_AT + 4 * n as u32));
        let [flags, call, tag, w3, w4, w5, w6, w7] = words;
        assert!(flags <= 1 && w7 == 0, "{words:?}");
        let part = Part::of(tag).expect("an assigned tag");
        let (in_slot, in_region) = match part {
            Part::Words => (0, None),
            Part::Static => (w5, None),
            Part::Dynamic => (0, Some(w5)),
            Part::StaticHead => (w5, Some(w4)),
            Part::DynamicHead => (0, Some(w5 + w4)),
        };
        let mut bytes = self.snapshot(at, in_slot);
        if let Some(len) = in_region {
            assert!(w3.is_multiple_of(64) && len <= MAX, "{words:?}");
            assert!(64 + w3 + len <= self.places.payloads[1].1, "{words:?}");
            bytes.extend(self.snapshot(self.places.payloads[1].0 + 64 + w3, len));
            let (live, freed) = (self.load(self.sector(1, 2)), self.load(self.sector(1, 3)));
            let bit = 1 << (w6 & 31);
            assert_eq!((live ^ freed) & bit, bit, "region {} is not live", w6 & 31);
            self.store(self.sector(1, 3), freed ^ bit);
        }
        let tag = Tag(tag);
        let payload = match tag.form() {
            Some(Form::Bare) => Payload::bare(tag),
            Some(Form::Scalar) => Payload::scalar(tag, u64::from(w4) << 32 | u64::from(w3)),
            Some(Form::InlineHead | Form::ArenaHead) => Payload::two_parts(tag, bytes.into(), w5),
            _ => Payload::bytes(tag, bytes),
        };
        (call, flags == 1, payload)
    }

    /// Sets or clears an abort signal.
    pub(super) fn abort(&self, signal: u32, set: bool) {
        let ((at, _), _) = self.places.aborts.expect("a lane with signals");
        let (at, bit) = (at + signal / 32 * 4, 1 << (signal % 32));
        let others = self.load(at) & !bit;
        self.store(at, if set { others | bit } else { others });
    }

    /// Takes a region and gives it back, as after an encoding that failed: the host flips the worker's word.
    pub(super) fn roll_back(&mut self) {
        let released = self.load(self.sector(0, 3));
        let Some((index, _)) = self.regions.place(100, released) else { return };
        self.store(self.sector(0, 2), self.regions.word);
        self.store(self.sector(0, 3), released ^ 1 << index);
    }

    /// Writes over a word.
    pub(super) fn tamper(&self, input: &mut Input<'_>) {
        let at = match input.below(20) {
            word @ 0..4 => self.sector(0, word.into()),
            word @ 4..8 => self.sector(1, usize::from(word) - 4),
            word @ 8..16 => {
                let slot = u32::from(input.below(32)) * SLOT_STRIDE;
                self.places.headers[0].0 + slot + LINE_AT + 4 * u32::from(word - 8)
            }
            16 => self.places.signals.0,
            17 => self.places.signals.0 + 64,
            _ => input.word() % (self.memory.len() / 4) * 4,
        };
        let (value, whole) = (input.word(), input.flag());
        self.store(at, if whole { value } else { self.load(at) ^ value });
    }

    /// Publishes a header line, whatever it says.
    pub(super) fn forge(&mut self, slot: u32, words: [u32; 8]) {
        self.store_words(self.places.headers[0].0 + slot * SLOT_STRIDE + LINE_AT, &words);
        self.toggle(slot);
    }

    fn toggle(&mut self, slot: u32) {
        self.sent ^= 1 << slot;
        self.store(self.sector(0, 0), self.sent);
    }

    /// Where a word of a lock sector is: requests 0, responses 1.
    fn sector(&self, mailbox: usize, word: usize) -> u32 {
        self.places.locks[mailbox].0 + WORDS[word]
    }

    fn word(&self, at: u32) -> <HeapMemory as SharedMemory>::Word {
        self.memory.word(WordOffset::new(at).expect("a multiple of four")).expect("inside")
    }

    fn load(&self, at: u32) -> u32 {
        self.word(at).load_acquire()
    }

    fn store(&self, at: u32, value: u32) {
        self.word(at).store_release(value);
    }

    fn bytes(&self, at: u32, len: u32) -> <HeapMemory as SharedMemory>::Bytes {
        let span = Span::new(at, len.next_multiple_of(4)).expect("a multiple of four");
        self.memory.bytes(span).expect("inside")
    }

    fn deposit(&self, at: u32, bytes: &[u8]) {
        self.bytes(at, bytes.len() as u32).deposit(0, bytes).expect("inside");
    }

    fn store_words(&self, at: u32, words: &[u32; 8]) {
        self.bytes(at, 32).store_words(0, words).expect("inside");
    }

    fn snapshot(&self, at: u32, len: u32) -> Vec<u8> {
        let mut bytes = vec![0; len as usize];
        self.bytes(at, len).snapshot(0, &mut bytes).expect("inside");
        bytes
    }
}
