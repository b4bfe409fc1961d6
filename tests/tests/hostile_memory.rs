//! A peer that writes anything at any time: the ends go on, or say which clause was broken. They
//! never panic, and what they say about their own blocks and slots stays true.

use knit_proto::{
    Direction, INLINE_BYTES, Layout, MAX_ABORT_CAPACITY, PayloadPlace, ProtocolViolation,
    RawSlotHeader, SLOT_STRIDE, STAMP_AT, SlotIndex, SlotRules, WordOffset,
};
use knit_ring::{
    BatchError, ClaimError, HeapMemory, Notifier, Receiver, Sender, SharedArenaReceiver,
    SharedMemory, SharedWord, SharedWordRmw, Stamps, Taken, Waiter, attach_segment, create_segment,
};
use knit_tests::histories::{
    HostileArenaOp, HostileReceiverOp, HostileSenderOp, Then, run_hostile_arena,
    run_hostile_receiver, run_hostile_sender,
};
use knit_tests::{HostileMemory, Lane, Noise, arena_lane, header_fields, message, payload};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const SEEDS: u64 = 2000;
const STEPS: u32 = 60;
/// Of 256 loads: none, some, half.
const RATES: [u32; 3] = [0, 24, 128];

#[test]
fn a_sender_survives_any_receiver() {
    for_each_seed(|noise, memory, rate, lane| {
        let hostile = HostileMemory::tampering(memory, noise.next(), rate);
        let mut sender = Sender::new(&hostile, lane.mailbox, stamps(noise)).unwrap();
        for call in 0..STEPS {
            tamper_words(noise, memory, lane);
            send_something(noise, &mut sender, lane, call);
            assert!(sender.len() <= lane.mailbox.slot_count());
        }
    });
}

/// MBX-8.
#[test]
fn a_sender_names_every_slot_that_was_released_out_of_turn() {
    let mut violations = 0;
    for_each_seed(|noise, memory, rate, lane| {
        let hostile = HostileMemory::tampering(memory, noise.next(), rate);
        let stamps = stamps(noise);
        let op = |noise: &mut Noise| match noise.below(8) {
            0..4 => HostileReceiverOp::Send(1 + noise.below(40), noise.below(4) != 0),
            4 | 5 => HostileReceiverOp::Release(noise.word()),
            6 => HostileReceiverOp::Flip(1 << noise.below(32)),
            _ => HostileReceiverOp::Store(noise.tamper(0)),
        };
        let ops: Vec<_> = (0..2 * STEPS).map(|_| op(noise)).collect();
        violations += run_hostile_receiver(lane, memory, &hostile, stamps, ops);
    });
    assert!(violations > 100, "{violations} violations: the test tells nothing");
}

/// MBX-7.
#[test]
fn a_receiver_names_every_slot_that_was_published_while_it_held_it() {
    let mut violations = 0;
    for_each_seed(|noise, memory, rate, lane| {
        let hostile = HostileMemory::tampering(memory, noise.next(), rate);
        let stamps = stamps(noise);
        let op = |noise: &mut Noise| match noise.below(12) {
            0 | 1 => HostileSenderOp::Flip(1 << noise.below(32)),
            2 => HostileSenderOp::Flip(noise.word()),
            3 => HostileSenderOp::Store(noise.tamper(0)),
            4 => HostileSenderOp::Stamp(noise.below(2)),
            5 => HostileSenderOp::IsPending,
            6 => HostileSenderOp::Release,
            _ => {
                HostileSenderOp::Receive { poll: noise.below(2) == 0, finish: noise.below(3) == 0 }
            }
        };
        let ops: Vec<_> = (0..2 * STEPS).map(|_| op(noise)).collect();
        violations += run_hostile_sender(lane, memory, &hostile, stamps, ops);
    });
    assert!(violations > 100, "{violations} violations: the test tells nothing");
}

#[test]
fn a_receiver_survives_any_sender() {
    for_each_seed(|noise, memory, rate, lane| {
        let hostile = HostileMemory::tampering(memory, noise.next(), rate);
        let mut receiver = Receiver::new(&hostile, lane.mailbox, stamps(noise)).unwrap();
        let arena = SharedArenaReceiver::new(&hostile, &lane.arena).unwrap();
        let mut held = BTreeSet::new();
        for _ in 0..STEPS {
            tamper_words(noise, memory, lane);
            receive_something(noise, &mut receiver, &arena, lane, &mut held);
            if noise.below(4) == 0 {
                receiver.release();
                held.clear();
            }
        }
    });
}

/// ARN-1, ARN-4, ARN-8.
#[test]
fn an_arena_gives_no_byte_to_two_blocks_whatever_the_receiver_frees() {
    let mut early = 0;
    for_each_seed(|noise, memory, rate, lane| {
        let hostile = HostileMemory::tampering(memory, noise.next(), rate);
        let ops: Vec<_> = (0..2 * STEPS).map(|_| arena_op(noise)).collect();
        early += run_hostile_arena(lane, memory, &hostile, ops).early;
    });
    assert!(early > 100, "{early} violations while loans were out: the test tells nothing");
}

fn arena_op(noise: &mut Noise) -> HostileArenaOp {
    match noise.below(16) {
        0..4 => HostileArenaOp::FreeLive(noise.word()),
        4 | 5 => HostileArenaOp::Flip(1 << noise.below(32)),
        6 => HostileArenaOp::Store(noise.tamper(0)),
        7 | 8 => HostileArenaOp::Settle(noise.word(), noise.below(3) != 0),
        9 => HostileArenaOp::Reclaim,
        _ => {
            let len = if noise.below(16) == 0 { noise.word() } else { noise.below(400) };
            let then = [Then::Commit, Then::Commit, Then::Drop, Then::Keep];
            HostileArenaOp::Loan(len, then[noise.below(4) as usize])
        }
    }
}

#[test]
fn attaching_to_any_header_succeeds_inside_the_memory_or_fails() {
    let good = HeapMemory::zeroed(Layout::new(header_fields(4032, 33)).len()).unwrap();
    create_segment(&good, &header_fields(4032, 33)).unwrap();
    let mut accepted = 0;
    for seed in 0..20_000 {
        let hostile = HostileMemory::tampering(&good, seed, seed as u32 % 8);
        if let Ok(layout) = attach_segment(&hostile) {
            assert_eq!(layout.len(), good.len());
            accepted += 1;
        }
    }
    assert!((1..20_000).contains(&accepted), "{accepted} accepted: the test tells nothing");
}

#[test]
fn bells_and_flags_of_any_value_do_no_harm() {
    for_each_seed(|noise, memory, rate, lane| {
        let hostile = HostileMemory::tampering(memory, noise.next(), rate);
        let mut notifier = Notifier::new(&hostile, &lane.sender, &lane.receiver).unwrap();
        let waiter = Waiter::new(&hostile, &lane.receiver, &lane.sender).unwrap();
        let bell = memory.word(lane.sender.bell).unwrap();
        let mut rung = 0;
        for _ in 0..STEPS {
            tamper(noise, memory, lane.receiver.parked);
            tamper(noise, memory, lane.sender.bell);
            if notifier.notify() {
                rung += 1;
                assert_eq!(bell.load_acquire(), rung, "our own word is written, never read");
            }
        }
        let _ = waiter.bell().load_acquire();
    });
}

/// A thread writes over everything that a peer can write while both ends work. PAY-26.
#[test]
fn the_ends_survive_a_peer_that_writes_all_the_time() {
    for stamps in [Stamps::On, Stamps::Off] {
        let lane = arena_lane(5, 1024);
        let memory = HeapMemory::zeroed(lane.bytes).unwrap();
        let stop = Arc::new(AtomicU32::new(0));
        let mutator = std::thread::spawn({
            let (memory, stop) = (memory.clone(), Arc::clone(&stop));
            move || {
                let mut noise = Noise::new(1);
                while stop.load(Ordering::Relaxed) == 0 {
                    for _ in 0..32 {
                        tamper_words(&mut noise, &memory, &lane);
                    }
                    std::thread::yield_now();
                }
            }
        });
        let mut noise = Noise::new(2);
        let mut sender = Sender::new(&memory, lane.mailbox, stamps).unwrap();
        let mut receiver = Receiver::new(&memory, lane.mailbox, stamps).unwrap();
        let arena = SharedArenaReceiver::new(&memory, &lane.arena).unwrap();
        let mut held = BTreeSet::new();
        for call in 0..20_000 {
            send_something(&mut noise, &mut sender, &lane, call);
            receive_something(&mut noise, &mut receiver, &arena, &lane, &mut held);
            if call % 64 == 0 {
                std::thread::yield_now();
            }
        }
        stop.store(1, Ordering::Relaxed);
        mutator.join().unwrap();
    }
}

fn for_each_seed(mut run: impl FnMut(&mut Noise, &HeapMemory, u32, &Lane)) {
    for seed in 0..SEEDS {
        let mut noise = Noise::new(seed);
        let slots = [1, 2, 5, 32][noise.below(4) as usize];
        let lane = arena_lane(slots, 64 * (1 + noise.below(40)));
        let memory = HeapMemory::zeroed(lane.bytes).unwrap();
        let rate = RATES[noise.below(3) as usize];
        let guard = PrintSeed(seed);
        run(&mut noise, &memory, rate, &lane);
        std::mem::forget(guard);
    }
}

/// Names the seed when a test fails.
struct PrintSeed(u64);

impl Drop for PrintSeed {
    fn drop(&mut self) {
        println!("failed with seed {}", self.0);
    }
}

fn stamps(noise: &mut Noise) -> Stamps {
    if noise.below(2) == 0 { Stamps::On } else { Stamps::Off }
}

fn tamper(noise: &mut Noise, memory: &HeapMemory, at: WordOffset) {
    let word = memory.word(at).unwrap();
    let value = noise.tamper(word.load_relaxed());
    word.store_release(value);
}

/// Writes over one or two of the words that decide something.
fn tamper_words(noise: &mut Noise, memory: &HeapMemory, lane: &Lane) {
    for _ in 0..1 + noise.below(2) {
        let slot = noise.below(lane.mailbox.slot_count()) * SLOT_STRIDE;
        let header = slot + INLINE_BYTES + 4 * noise.below(7);
        let at = match noise.below(8) {
            0 => lane.mailbox.publish(),
            1 => lane.mailbox.release(),
            2 => lane.arena.free(),
            3 | 4 => lane.mailbox.slots().word(slot + STAMP_AT).unwrap(),
            _ => lane.mailbox.slots().word(header).unwrap(),
        };
        tamper(noise, memory, at);
    }
}

fn check_clause(violation: ProtocolViolation) {
    let id = violation.clause().id();
    let (chapter, number) = id.split_once('-').expect("chapter and number");
    assert!(["SEG", "MBX", "PAY", "ARN", "LANE"].contains(&chapter), "{id}");
    assert!(number.parse::<u32>().is_ok(), "{id}");
    assert!(violation.to_string().starts_with(id));
}

fn check_claim(error: ClaimError) {
    if let ClaimError::Violation(violation) = error {
        check_clause(violation);
        assert!(matches!(
            violation,
            ProtocolViolation::ReleasedFree { .. } | ProtocolViolation::NoSuchSlot { .. }
        ));
    }
}

fn send_something<M: SharedMemory>(
    noise: &mut Noise,
    sender: &mut Sender<M>,
    lane: &Lane,
    call: u32,
) {
    match noise.below(4) {
        0 => {
            let mut batch = sender.batch();
            let mut slots = BTreeSet::new();
            for _ in 0..noise.below(6) {
                match batch.add(&message(call), &payload(call)) {
                    Ok(slot) => assert!(slots.insert(slot), "one slot, two messages"),
                    Err(BatchError::Claim(error)) => check_claim(error),
                    Err(error) => panic!("four bytes fit: {error}"),
                }
            }
            if noise.below(2) == 0 {
                batch.publish();
            }
        }
        kind => match sender.claim() {
            Ok(claim) => {
                assert!(claim.slot().get() < lane.mailbox.slot_count());
                claim.deposit(&payload(call)).unwrap();
                if kind > 1 {
                    claim.publish(&message(call));
                }
            }
            Err(error) => check_claim(error),
        },
    }
}

/// Looks for a message in one of three ways, and reads it. `held` are the slots that are finished
/// and not released.
fn receive_something<M: SharedMemory>(
    noise: &mut Noise,
    receiver: &mut Receiver<M>,
    arena: &SharedArenaReceiver<M>,
    lane: &Lane,
    held: &mut BTreeSet<SlotIndex>,
) where
    M::Word: SharedWordRmw,
{
    let found = match noise.below(4) {
        0 => receiver.take(),
        1 => {
            let _ = receiver.is_pending().map_err(check_clause);
            return;
        }
        _ => receiver.poll(),
    };
    match found {
        Ok(None) => {}
        Ok(Some(taken)) => {
            assert!(taken.slot().get() < lane.mailbox.slot_count());
            assert!(!held.contains(&taken.slot()), "taken again before it was released");
            let direction =
                if noise.below(2) == 0 { Direction::Request } else { Direction::Response };
            read_anything(&taken.header(), direction, taken.slot(), &taken, arena);
            if noise.below(2) == 0 {
                held.insert(taken.slot());
                taken.finish();
            } else {
                held.clear();
                taken.release();
            }
        }
        Err(violation) => {
            check_clause(violation);
            assert!(matches!(
                violation,
                ProtocolViolation::Republished { .. } | ProtocolViolation::NoSuchSlot { .. }
            ));
        }
    }
}

/// Whatever the header says: what parsing accepts can be copied.
fn read_anything<M: SharedMemory>(
    header: &RawSlotHeader,
    direction: Direction,
    slot: SlotIndex,
    taken: &Taken<'_, M>,
    arena: &SharedArenaReceiver<M>,
) where
    M::Word: SharedWordRmw,
{
    let message = match header.parse(
        &SlotRules {
            direction,
            arena_bytes: arena.capacity(),
            max_payload: 2048,
            abort_capacity: MAX_ABORT_CAPACITY,
        },
        slot,
    ) {
        Ok(message) => message,
        Err(violation) => return check_clause(violation),
    };
    let (inline, stretch) = match message.place {
        PayloadPlace::Bare | PayloadPlace::Scalar(_) => (0, None),
        PayloadPlace::Inline { len } => (len, None),
        PayloadPlace::Arena { start, len, .. } => (0, Some((start, len))),
        PayloadPlace::InlineHead { head, start, body, .. } => (head, Some((start, body))),
        PayloadPlace::ArenaHead { head, start, body, .. } => (0, Some((start, head + body))),
    };
    taken.snapshot(&mut vec![0; inline as usize]).expect("parsed lengths fit the slot");
    let (Some((start, len)), Some(block)) = (stretch, message.place.block()) else { return };
    // Copied and freed, or held: the bytes are then read where they are, and freed by the drop.
    if len % 2 == 0 {
        arena.snapshot(start, &mut vec![0; len as usize]).expect("parsed places are in the arena");
        arena.free(block);
        return;
    }
    let held = arena.hold(block, start, len).expect("parsed places are in the arena");
    assert_eq!(held.to_vec().len(), len as usize);
    held.read::<1>(len - 1).expect("the last byte is inside");
    assert!(held.read::<1>(len).is_err() && held.read::<5>(u32::MAX - 2).is_err());
}
