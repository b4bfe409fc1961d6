//! Real memory: copies of every length, bounds, and two threads that call each other through it.

use knit_proto::{
    ARENA_DATA_AT, ArenaLayout, ControlLayout, Direction, HOST_CONTROL_AT, INLINE_BYTES,
    MAX_ABORT_CAPACITY, MIN_EXTENSION_BYTES, MailboxLayout, PayloadPlace, SECTOR_BYTES,
    SLOT_STRIDE, SLOTS, SlotHeader, SlotRules, Span, Tag, WORKER_CONTROL_AT, Word0, WordOffset,
};
use knit_ring::{
    ArenaError, ArenaReceiver, ArenaSender, ClaimError, HeapMemory, Receiver, Sender, SharedBytes,
    SharedMemory, SharedWord, Stamps,
};
use std::time::{Duration, Instant};

const MESSAGES: u32 = 200_000;
const PAYLOADS: u32 = 20_000;
const ARENA_BYTES: u32 = 64 << 10;
const LONGEST_PAYLOAD: u32 = 9000;
/// Longer than any test of this file takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);
const FILL: u8 = 0xa5;

#[test]
fn a_deposit_writes_its_bytes_and_zeros_to_the_end_of_the_word() {
    let memory = HeapMemory::zeroed(1024).unwrap();
    let all = memory.bytes(span(0, 1024)).unwrap();
    for len in 0..600_u32 {
        for at in [0, 4, 8, 12, 60, 64, 200] {
            let data = content(len, len as usize);
            let mut expected = [FILL; 1024];
            all.deposit(0, &expected).unwrap();
            all.deposit(at, &data).unwrap();
            let end = (at + len) as usize;
            expected[at as usize..end].copy_from_slice(&data);
            expected[end..end.next_multiple_of(4)].fill(0);
            let mut seen = [0; 1024];
            all.snapshot(0, &mut seen).unwrap();
            assert!(seen == expected, "{len} bytes at {at}");
        }
    }
}

#[test]
fn a_snapshot_fills_its_buffer_and_nothing_else() {
    let memory = HeapMemory::zeroed(1024).unwrap();
    let all = memory.bytes(span(0, 1024)).unwrap();
    let data = content(1, 1024);
    all.deposit(0, &data).unwrap();
    for len in 0..600 {
        for at in [0_usize, 4, 8, 12, 60, 64, 200] {
            for shift in 0..4 {
                let mut private = [FILL; 640];
                all.snapshot(at as u32, &mut private[shift..shift + len]).unwrap();
                assert!(private[shift..shift + len] == data[at..at + len], "{len} from {at}");
                assert!(private[..shift].iter().chain(&private[shift + len..]).all(|b| *b == FILL));
            }
        }
    }
    let mut again = vec![0; 1024];
    all.snapshot(0, &mut again).unwrap();
    assert_eq!(again, data, "reading changes nothing");
}

#[test]
fn parts_of_a_memory_are_apart() {
    let memory = HeapMemory::zeroed(256).unwrap();
    let middle = memory.bytes(span(64, 128)).unwrap();
    assert_eq!(middle.len(), 128);
    middle.deposit(0, &[FILL; 128]).unwrap();
    let mut seen = [0; 256];
    memory.bytes(span(0, 256)).unwrap().snapshot(0, &mut seen).unwrap();
    assert!(
        seen.iter().enumerate().all(|(at, b)| *b == if (64..192).contains(&at) { FILL } else { 0 })
    );
}

#[test]
fn words_and_bytes_of_one_place_agree() {
    let memory = HeapMemory::zeroed(64).unwrap();
    let bytes = memory.bytes(span(16, 32)).unwrap();
    bytes.store_words(4, &[0x0403_0201, 0x0807_0605]).unwrap();
    let mut seen = [0; 8];
    bytes.snapshot(4, &mut seen).unwrap();
    assert_eq!(seen, [0x0403_0201_u32.to_ne_bytes(), 0x0807_0605_u32.to_ne_bytes()].concat()[..]);
    let word = memory.word(WordOffset::new(20).unwrap()).unwrap();
    assert_eq!((word.load_acquire(), word.load_relaxed()), (0x0403_0201, 0x0403_0201));
    word.store_relaxed(9);
    word.store_release(word.load_relaxed() + 1);
    let mut words = [0; 2];
    bytes.load_words(4, &mut words).unwrap();
    assert_eq!(words, [10, 0x0807_0605]);
}

#[test]
fn nothing_outside_the_memory_is_touched() {
    let memory = HeapMemory::zeroed(128).unwrap();
    assert_eq!(memory.len(), 128);
    assert!(memory.word(WordOffset::new(124).unwrap()).is_ok());
    for at in [128, 132, 1 << 31, u32::MAX - 3] {
        assert!(memory.word(WordOffset::new(at).unwrap()).is_err(), "word {at}");
    }
    for (at, len) in [(0, 132), (128, 4), (64, 68), (u32::MAX - 3, 0), (0, u32::MAX - 3)] {
        assert!(memory.bytes(span(at, len)).is_err(), "{len} bytes at {at}");
        assert!(memory.reserve(span(at, len)).is_err(), "{len} bytes at {at}");
    }
    let part = memory.bytes(span(64, 32)).unwrap();
    for (at, len) in [(0, 33), (32, 1), (28, 5), (36, 0), (1, 0), (2, 4), (u32::MAX, 1)] {
        assert!(part.deposit(at, &vec![1; len]).is_err(), "{len} bytes at {at}");
        assert!(part.snapshot(at, &mut vec![1; len]).is_err(), "{len} bytes at {at}");
    }
    for (at, len) in [(0, 9), (32, 1), (28, 2), (2, 1), (u32::MAX - 3, 1)] {
        assert!(part.store_words(at, &vec![1; len]).is_err(), "{len} words at {at}");
        assert!(part.load_words(at, &mut vec![1; len]).is_err(), "{len} words at {at}");
    }
    let mut seen = [1; 128];
    memory.bytes(span(0, 128)).unwrap().snapshot(0, &mut seen).unwrap();
    assert_eq!(seen, [0; 128], "what is refused writes nothing");
    assert!(HeapMemory::zeroed(0).is_err());
}

#[test]
fn two_threads_exchange_messages_through_the_publish_word() {
    let memory = HeapMemory::zeroed(Places::new().bytes).unwrap();
    exchange_messages(&memory, &memory, Stamps::Off);
}

#[test]
fn two_threads_exchange_messages_through_stamps() {
    let memory = HeapMemory::zeroed(Places::new().bytes).unwrap();
    exchange_messages(&memory, &memory, Stamps::On);
}

#[test]
fn two_threads_exchange_payloads_through_the_arena() {
    let memory = HeapMemory::zeroed(Places::new().bytes).unwrap();
    exchange_payloads(&memory, &memory);
}

/// SEG-28: a word that two parties access is never seen half old and half new.
#[test]
fn a_word_is_never_torn() {
    let memory = HeapMemory::zeroed(64).unwrap();
    let at = WordOffset::new(4).unwrap();
    let (ours, theirs) = (memory.word(at).unwrap(), memory.word(at).unwrap());
    let writer = std::thread::spawn(move || {
        for round in 0..MESSAGES {
            ours.store_relaxed(if round % 2 == 0 { u32::MAX } else { 0 });
        }
        ours.store_release(0x5a5a_5a5a);
    });
    let mut pause = Pause::new();
    loop {
        match theirs.load_acquire() {
            0 | u32::MAX => pause.wait("the last value"),
            0x5a5a_5a5a => break,
            torn => panic!("{torn:#010x}"),
        }
    }
    writer.join().unwrap();
}

/// MBX-18, WAKE-6: a receiver that polls stamps finds what a sender that does not stamp published, in
/// any slot, after a bounded number of polls, and at once when it looks before parking.
#[test]
fn a_message_without_a_stamp_is_found() {
    let places = Places::new();
    for skipped in 0..SLOTS {
        let memory = HeapMemory::zeroed(places.bytes).unwrap();
        let mut sender = Sender::new(&memory, places.mailbox, Stamps::Off).unwrap();
        let mut receiver = Receiver::new(&memory, places.mailbox, Stamps::On).unwrap();
        // Both ends go on from slot `skipped`; then the sender moves on alone.
        for call in 0..skipped {
            sender.claim().unwrap().publish(&inline_message(call, 0));
            receiver.take().unwrap().expect("one is pending").release();
        }
        sender.claim().unwrap().publish(&inline_message(1000, 0));
        let polls = (1..).find(|_| {
            receiver.poll().unwrap().is_some_and(|taken| {
                assert_eq!(taken.header().0[1], 1000);
                true
            })
        });
        assert!(polls.is_some_and(|polls| polls <= 64), "{polls:?} polls");
        sender.claim().unwrap().publish(&inline_message(1001, 0));
        assert!(receiver.is_pending().unwrap(), "the look before parking goes by the word");
    }
}

/// A lane direction with all its slots, and the control lines of both sides.
#[derive(Clone, Copy)]
struct Places {
    mailbox: MailboxLayout,
    arena: ArenaLayout,
    #[cfg_attr(not(feature = "mapped"), expect(dead_code, reason = "heap memory has no futex"))]
    control: [ControlLayout; 2],
    bytes: u32,
}

impl Places {
    fn new() -> Self {
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

fn exchange_messages<M: SharedMemory>(ours: &M, theirs: &M, stamps: Stamps) {
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

fn exchange_payloads<M: SharedMemory>(ours: &M, theirs: &M) {
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
                match arena.reserve(arena_len(call)) {
                    Ok(room) => {
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

#[cfg(feature = "mapped")]
mod mapped {
    use super::*;
    use knit_ring::{Doorbell, FutexBell, Mapped, Mapping, Notifier, Waiter, Woken};

    const PINGS: u32 = 20_000;

    #[test]
    fn two_mappings_exchange_messages_through_the_publish_word() {
        let [ours, theirs] = mappings();
        exchange_messages(&ours, &theirs, Stamps::Off);
    }

    #[test]
    fn two_mappings_exchange_messages_through_stamps() {
        let [ours, theirs] = mappings();
        exchange_messages(&ours, &theirs, Stamps::On);
    }

    #[test]
    fn two_mappings_exchange_payloads_through_the_arena() {
        let [ours, theirs] = mappings();
        exchange_payloads(&ours, &theirs);
    }

    /// ARN-9: whatever the header had reserved, memory stands behind a block before it is written.
    #[test]
    fn memory_stands_behind_every_block() {
        use std::os::unix::fs::MetadataExt;
        let memory = Mapping::create(Places::new().bytes).unwrap();
        let file = std::fs::File::from(memory.backing().file().try_clone_to_owned().unwrap());
        let backed = || file.metadata().unwrap().blocks() * 512;
        assert_eq!(backed(), 0);
        let mut arena = ArenaSender::new(&memory, &Places::new().arena, 0).unwrap();
        let mut end = 0;
        for len in [64, 9000, 20_000] {
            let room = arena.reserve(len).unwrap();
            let before = backed();
            end = (end + len).next_multiple_of(64);
            assert!(before >= u64::from(end), "{before} bytes for {end}");
            room.deposit(0, &content(len, len as usize)).unwrap();
            assert_eq!(backed(), before, "the deposit touched pages that were not reserved");
            room.commit();
        }
    }

    /// One message at a time, there and back: each side sleeps until the other one has answered.
    /// The bell of a wake-up that got lost rings at the deadline only.
    #[test]
    fn no_wake_up_is_lost_between_two_sleeping_threads() {
        let [ours, theirs] = mappings();
        let places = Places::new();
        let back = back(&places);
        let [host, worker] = places.control;
        let mut ping = Side {
            sender: Sender::new(&ours, places.mailbox, Stamps::Off).unwrap(),
            receiver: Receiver::new(&ours, back, Stamps::Off).unwrap(),
            notifier: Notifier::new(&ours, &host, &worker).unwrap(),
            waiter: Waiter::new(&ours, &host, &worker).unwrap(),
            slept: 0,
        };
        let mut pong = Side {
            sender: Sender::new(&theirs, back, Stamps::Off).unwrap(),
            receiver: Receiver::new(&theirs, places.mailbox, Stamps::Off).unwrap(),
            notifier: Notifier::new(&theirs, &worker, &host).unwrap(),
            waiter: Waiter::new(&theirs, &worker, &host).unwrap(),
            slept: 0,
        };
        let thread = std::thread::spawn(move || {
            for call in 0..PINGS {
                pong.receive(call);
                pong.send(call);
            }
            pong.slept
        });
        for call in 0..PINGS {
            ping.send(call);
            ping.receive(call);
        }
        let slept = (ping.slept, thread.join().unwrap());
        println!("waits of the two sides: {slept:?}");
        assert!(slept.0 > 0 && slept.1 > 0, "nobody slept: the test tells nothing");
    }

    struct Side {
        sender: Sender<Mapped<Mapping>>,
        receiver: Receiver<Mapped<Mapping>>,
        notifier: Notifier<Mapped<Mapping>>,
        waiter: Waiter<Mapped<Mapping>>,
        slept: u32,
    }

    impl Side {
        fn send(&mut self, call: u32) {
            self.sender.claim().unwrap().publish(&inline_message(call, 0));
            if self.notifier.notify() {
                FutexBell.wake(self.notifier.bell());
            }
        }

        fn receive(&mut self, call: u32) {
            loop {
                if let Some(taken) = self.receiver.take().unwrap() {
                    assert_eq!(taken.header().0[1], call);
                    return taken.release();
                }
                let ready = || self.receiver.is_pending().unwrap();
                match self.waiter.park(&FutexBell, Some(DEADLINE), ready) {
                    Woken::TimedOut => panic!("nobody woke the waiter for call {call}"),
                    Woken::Rung => self.slept += 1,
                    Woken::Ready => {}
                }
            }
        }
    }

    /// One memfd, mapped twice.
    fn mappings() -> [Mapped<Mapping>; 2] {
        let ours = Mapping::create(Places::new().bytes).unwrap();
        let file = ours.backing().file().try_clone_to_owned().unwrap();
        let theirs = Mapping::attach(file).unwrap();
        [ours, theirs]
    }

    /// The mailbox of the answers. It stands in the arena, which this test does not use.
    fn back(places: &Places) -> MailboxLayout {
        let data = places.arena.data();
        let sector = data.part(0, SECTOR_BYTES).unwrap();
        MailboxLayout::new(sector, data.part(SECTOR_BYTES, SLOTS * SLOT_STRIDE).unwrap()).unwrap()
    }
}

/// Waits for the other thread, and fails when it does not come.
struct Pause {
    since: Instant,
    spins: u32,
}

impl Pause {
    fn new() -> Self {
        Self { since: Instant::now(), spins: 0 }
    }

    fn wait(&mut self, what: &str) {
        self.spins += 1;
        if self.spins < 64 {
            return std::hint::spin_loop();
        }
        assert!(self.since.elapsed() < DEADLINE, "waited too long for {what}");
        std::thread::yield_now();
    }

    /// What was waited for came.
    fn over(&mut self) {
        if self.spins > 0 {
            *self = Self::new();
        }
    }
}

fn span(at: u32, len: u32) -> Span {
    Span::new(at, len).unwrap()
}

/// `len` bytes that belong to `seed`: other ones for every seed, at every place.
fn content(seed: u32, len: usize) -> Vec<u8> {
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
fn inline_len(call: u32) -> usize {
    if call.is_multiple_of(61) {
        (call % (INLINE_BYTES + 1)) as usize
    } else {
        (call % 40) as usize
    }
}

fn arena_len(call: u32) -> u32 {
    (call.wrapping_mul(2_654_435_761) % (LONGEST_PAYLOAD + 1)) >> (call % 4 * 2)
}

fn inline_message(call: u32, len: usize) -> SlotHeader {
    SlotHeader {
        word0: Word0::Call { function: call as u16, abort: None },
        call,
        tag: Tag::BYTES_INLINE,
        place: PayloadPlace::Inline { len: len as u32 },
    }
}

fn arena_message(call: u32, place: PayloadPlace) -> SlotHeader {
    SlotHeader {
        word0: Word0::Call { function: 0, abort: None },
        call,
        tag: Tag::BYTES_ARENA,
        place,
    }
}
