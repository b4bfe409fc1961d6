//! A lane direction to test with, and what two threads do with it.

#![allow(dead_code, reason = "each test file uses some of it")]

use knit_proto::{
    ARENA_DATA_AT, ArenaLayout, ControlLayout, Direction, HOST_CONTROL_AT, INLINE_BYTES,
    MAX_ABORT_CAPACITY, MIN_EXTENSION_BYTES, MailboxLayout, PayloadPlace, SECTOR_BYTES,
    SLOT_STRIDE, SLOTS, SlotHeader, SlotRules, Span, Tag, WORKER_CONTROL_AT, Word0,
};
use knit_ring::{
    ArenaError, ArenaReceiver, ArenaSender, ClaimError, Receiver, Sender, SharedBytes,
    SharedMemory, Stamps,
};
use std::time::{Duration, Instant};

pub const MESSAGES: u32 = if cfg!(miri) { 20 } else { 200_000 };
pub const PAYLOADS: u32 = 20_000;
pub const ARENA_BYTES: u32 = 64 << 10;
pub const LONGEST_PAYLOAD: u32 = 9000;
/// Longer than any test of this file takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(120);
pub const FILL: u8 = 0xa5;

/// Room for the longest copy of the tests below.
pub const COPIED: u32 = 20 << 10;

/// Every length up to 600 bytes, and those around which another way of copying takes over.
pub fn copied_lens() -> impl Iterator<Item = usize> {
    let around = |len: usize| len - 5..len + 70;
    // Each of the longer ones has its own alignment in the tests below.
    let long = [1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10].into_iter().flat_map(around);
    let short = if cfg!(miri) { 0..40 } else { 0..600 };
    short.chain(long.filter(|_| !cfg!(miri)))
}

pub fn check_deposits<M: SharedMemory>(memory: &M) {
    let all = memory.bytes(span(0, COPIED)).unwrap();
    let fill = [FILL; COPIED as usize];
    for len in copied_lens() {
        for at in [0, 4, 8, 12, 60, 64, 200] {
            if len > 600 && at != [0, 4, 12, 60, 64][len % 5] {
                continue;
            }
            let data = content(len as u32, len);
            // What may be touched, and some more.
            let mut expected = fill[..at + len + 80].to_vec();
            all.deposit(0, &expected).unwrap();
            all.deposit(at as u32, &data).unwrap();
            let end = at + len;
            expected[at..end].copy_from_slice(&data);
            expected[end..end.next_multiple_of(4)].fill(0);
            let mut seen = vec![0; expected.len()];
            all.snapshot(0, &mut seen).unwrap();
            assert!(seen == expected, "{len} bytes at {at}");
        }
    }
}

pub fn check_snapshots<M: SharedMemory>(memory: &M) {
    let all = memory.bytes(span(0, COPIED)).unwrap();
    let data = content(1, COPIED as usize);
    all.deposit(0, &data).unwrap();
    for len in copied_lens() {
        for at in [0_usize, 4, 8, 12, 60, 64, 200] {
            if len > 600 && at != [0, 4, 12, 60, 64][len % 5] {
                continue;
            }
            assert_eq!(
                all.to_vec(at as u32, len as u32).unwrap(),
                data[at..at + len],
                "{len} from {at}"
            );
            for shift in 0..4 {
                let mut private = vec![FILL; len + 40];
                all.snapshot(at as u32, &mut private[shift..shift + len]).unwrap();
                assert!(private[shift..shift + len] == data[at..at + len], "{len} from {at}");
                assert!(private[..shift].iter().chain(&private[shift + len..]).all(|b| *b == FILL));
            }
        }
    }
    let mut again = vec![0; COPIED as usize];
    all.snapshot(0, &mut again).unwrap();
    assert_eq!(again, data, "reading changes nothing");
}

/// A lane direction with all its slots, and the control lines of both sides.
#[derive(Clone, Copy)]
pub struct Places {
    pub mailbox: MailboxLayout,
    pub arena: ArenaLayout,
    pub control: [ControlLayout; 2],
    pub bytes: u32,
}

impl Places {
    pub fn new() -> Self {
        let sector = span(0, SECTOR_BYTES);
        let slots = span(sector.end(), SLOTS * SLOT_STRIDE);
        let arena = span(slots.end(), ARENA_DATA_AT + ARENA_BYTES);
        let extension = span(arena.end(), MIN_EXTENSION_BYTES);
        Self {
            mailbox: MailboxLayout::new(sector, slots).unwrap(),
            arena: ArenaLayout::new(sector, arena).unwrap(),
            control: [HOST_CONTROL_AT, WORKER_CONTROL_AT]
                .map(|at| ControlLayout::new(extension, at).unwrap()),
            bytes: extension.end(),
        }
    }
}

pub fn exchange_messages<M: SharedMemory>(ours: &M, theirs: &M, stamps: Stamps) {
    let places = Places::new();
    let mut sender = Sender::new(ours, places.mailbox, stamps).unwrap();
    let mut receiver = Receiver::new(theirs, places.mailbox, stamps).unwrap();
    let thread = std::thread::spawn(move || {
        let mut pause = Pause::new();
        let mut call = 0;
        while call < MESSAGES {
            let data = content(call, inline_len(call));
            match sender.claim() {
                Ok(claim) => {
                    claim.deposit(&data).unwrap();
                    claim.publish(&inline_message(call, data.len()));
                    call += 1;
                    pause.over();
                }
                Err(ClaimError::Full) => pause.wait("a free slot"),
                Err(error) => panic!("{error}"),
            }
        }
    });
    let mut pause = Pause::new();
    let mut call = 0;
    while call < MESSAGES {
        let found = if call % 3 == 0 { receiver.take() } else { receiver.poll() };
        let Some(taken) = found.unwrap() else {
            receiver.release();
            pause.wait("a message");
            continue;
        };
        pause.over();
        let message = taken
            .header()
            .parse(
                &SlotRules {
                    direction: Direction::Request,
                    arena_bytes: 0,
                    max_payload: 0,
                    abort_capacity: MAX_ABORT_CAPACITY,
                },
                taken.slot(),
            )
            .unwrap();
        assert_eq!(message, inline_message(call, inline_len(call)));
        let mut seen = vec![0; inline_len(call)];
        taken.snapshot(&mut seen).unwrap();
        assert!(seen == content(call, seen.len()), "bytes of call {call}");
        if call % 4 == 0 {
            taken.release()
        } else {
            taken.finish()
        }
        call += 1;
    }
    thread.join().unwrap();
    assert!(receiver.take().unwrap().is_none(), "more came out than went in");
}

pub fn exchange_payloads<M: SharedMemory>(ours: &M, theirs: &M) {
    let places = Places::new();
    let mut sender = Sender::new(ours, places.mailbox, Stamps::On).unwrap();
    let mut arena = ArenaSender::new(ours, &places.arena, 0).unwrap();
    let mut receiver = Receiver::new(theirs, places.mailbox, Stamps::On).unwrap();
    let mut blocks = ArenaReceiver::new(theirs, &places.arena).unwrap();
    let thread = std::thread::spawn(move || {
        let mut pause = Pause::new();
        for call in 0..PAYLOADS {
            let data = content(call, arena_len(call) as usize);
            let (block, start) = loop {
                match arena.loan(arena_len(call)) {
                    Ok(mut room) => {
                        room.deposit(0, &data).unwrap();
                        break room.commit();
                    }
                    Err(ArenaError::Full) => pause.wait("room in the arena"),
                    Err(error) => panic!("{error}"),
                }
            };
            let place = PayloadPlace::Arena { block, start, len: arena_len(call) };
            loop {
                match sender.claim() {
                    Ok(claim) => {
                        claim.publish(&arena_message(call, place));
                        break;
                    }
                    Err(ClaimError::Full) => pause.wait("a free slot"),
                    Err(error) => panic!("{error}"),
                }
            }
            pause.over();
        }
    });
    let mut pause = Pause::new();
    // Blocks are freed late and out of order, so that the arena has gaps.
    let mut held = Vec::new();
    for call in 0..PAYLOADS {
        let taken = loop {
            if receiver.is_pending().unwrap() {
                break receiver.take().unwrap().expect("pending");
            }
            if let Some(block) = held.pop() {
                blocks.free(block);
            }
            pause.wait("a message");
        };
        pause.over();
        let message = taken
            .header()
            .parse(
                &SlotRules {
                    direction: Direction::Request,
                    arena_bytes: blocks.capacity(),
                    max_payload: LONGEST_PAYLOAD,
                    abort_capacity: MAX_ABORT_CAPACITY,
                },
                taken.slot(),
            )
            .unwrap();
        let PayloadPlace::Arena { block, start, len } = message.place else {
            panic!("call {call} has its payload in the arena")
        };
        assert_eq!((message.call, len), (call, arena_len(call)));
        let mut seen = vec![0; len as usize];
        blocks.snapshot(start, &mut seen).unwrap();
        assert!(seen == content(call, seen.len()), "bytes of call {call}");
        taken.release();
        held.push(block);
        if held.len() > (call % 5) as usize {
            blocks.free(held.remove(call as usize % held.len()));
        }
    }
    thread.join().unwrap();
}

/// Waits for the other thread, and fails when it does not come.
pub struct Pause {
    since: Instant,
    spins: u32,
}

impl Pause {
    pub fn new() -> Self {
        Self { since: Instant::now(), spins: 0 }
    }

    pub fn wait(&mut self, what: &str) {
        self.spins += 1;
        if self.spins < 64 {
            return std::hint::spin_loop();
        }
        assert!(self.since.elapsed() < DEADLINE, "waited too long for {what}");
        std::thread::yield_now();
    }

    /// What was waited for came.
    pub fn over(&mut self) {
        if self.spins > 0 {
            *self = Self::new();
        }
    }
}

pub fn span(at: u32, len: u32) -> Span {
    Span::new(at, len).unwrap()
}

/// `len` bytes that belong to `seed`: other ones for every seed, at every place.
pub fn content(seed: u32, len: usize) -> Vec<u8> {
    let mut word = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut data = Vec::with_capacity(len + 8);
    while data.len() < len {
        word = word.wrapping_mul(0xd129_42f0_7c5d_a3a5).wrapping_add(0x2545_f491_4f6c_dd1d);
        data.extend_from_slice(&(word >> 7).to_le_bytes());
    }
    data.truncate(len);
    data
}

/// Mostly short; some that are copied as a whole, up to a full slot.
pub fn inline_len(call: u32) -> usize {
    if call.is_multiple_of(61) {
        (call % (INLINE_BYTES + 1)) as usize
    } else {
        (call % 40) as usize
    }
}

pub fn arena_len(call: u32) -> u32 {
    (call.wrapping_mul(2_654_435_761) % (LONGEST_PAYLOAD + 1)) >> (call % 4 * 2)
}

pub fn inline_message(call: u32, len: usize) -> SlotHeader {
    SlotHeader {
        word0: Word0::Call { function: call as u16, abort: None },
        call,
        tag: Tag::BYTES_INLINE,
        place: PayloadPlace::Inline { len: len as u32 },
    }
}

pub fn arena_message(call: u32, place: PayloadPlace) -> SlotHeader {
    SlotHeader {
        word0: Word0::Call { function: 0, abort: None },
        call,
        tag: Tag::BYTES_ARENA,
        place,
    }
}
