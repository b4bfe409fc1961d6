//! E4: a block of the arena is not filled again before the receiver has read it.
//!
//! The arena has room for one block, the mailbox two slots. Two payloads go through: the slots are
//! fresh, so nothing but the free word orders the second payload after the receiver's reads of the
//! first. With a third payload a slot is used again as well.
//!
//! Where threads hold messages, two blocks are on their way, each read in place by a thread of its
//! own, and the sender fills both again as they come back, in whatever order.

use knit_proto::{
    Direction, MAX_ABORT_CAPACITY, PayloadPlace, ProtocolViolation, RawSlotHeader, SlotHeader,
    SlotRules, Tag, Word0,
};
use knit_ring::{
    ArenaError, ArenaReceiver, ArenaSender, ClaimError, Held, Receiver, Sender,
    SharedArenaReceiver, SharedMemory, Stamps,
};
use knit_tests::{
    Bounds, LoomMemory, Rejection, Seen, Weaken, Weakening, arena_lane, explore, lane, payload,
    reject, seen,
};

/// What was read from the arena, and whether the sender found the arena full.
type Outcome = Result<(Vec<Seen>, bool), ProtocolViolation>;

#[test]
fn a_block_is_reused_only_after_it_was_read() {
    explore("arena, two payloads", Bounds::ALL, &permitted(2), || {
        run(2, Weakening::None, Weakening::None)
    });
}

#[test]
fn a_block_and_its_slot_are_reused_together() {
    explore("arena, three payloads", Bounds::ALL, &permitted(3), || {
        run(3, Weakening::None, Weakening::None)
    });
}

/// ARN-6.
#[test]
fn model_rejects_free_stored_relaxed() {
    let free = Weakening::StoreRelaxed(lane(2).arena.free());
    let rejection = reject("free stored relaxed", Bounds::ALL, &permitted(2), move || {
        run(2, Weakening::None, free)
    });
    assert_eq!(rejection, Rejection::Race);
}

/// ARN-7.
#[test]
fn model_rejects_free_loaded_relaxed() {
    let free = Weakening::LoadRelaxed(lane(2).arena.free());
    let rejection = reject("free loaded relaxed", Bounds::ALL, &permitted(2), move || {
        run(2, free, Weakening::None)
    });
    assert_eq!(rejection, Rejection::Race);
}

/// E1 carries the arena's bytes as it carries the slot's.
#[test]
fn model_rejects_publish_stored_relaxed() {
    let publish = Weakening::StoreRelaxed(lane(2).mailbox.publish());
    let rejection =
        reject("arena, publish stored relaxed", Bounds::ALL, &permitted(2), move || {
            run(2, publish, Weakening::None)
        });
    assert_eq!(rejection, Rejection::Race);
}

/// ARN-6, ARN-7: a load that sees one flip is ordered after those before it.
#[test]
fn two_threads_free_what_they_held_and_both_blocks_are_reused() {
    explore("arena, two holders", Bounds::ALL, &held_permitted(), || {
        run_held(Weakening::None, Weakening::None)
    });
}

/// ARN-6. The flips of two threads must also not get lost: a flip in two steps is this mutant too.
#[test]
fn model_rejects_free_flipped_relaxed() {
    let free = Weakening::StoreRelaxed(arena_lane(1, 128).arena.free());
    let rejection = reject("free flipped relaxed", Bounds::ALL, &held_permitted(), move || {
        run_held(Weakening::None, free)
    });
    assert_eq!(rejection, Rejection::Race);
}

/// ARN-7.
#[test]
fn model_rejects_free_of_held_messages_loaded_relaxed() {
    let free = Weakening::LoadRelaxed(arena_lane(1, 128).arena.free());
    let rejection =
        reject("free of held messages loaded relaxed", Bounds::ALL, &held_permitted(), move || {
            run_held(free, Weakening::None)
        });
    assert_eq!(rejection, Rejection::Race);
}

fn permitted(messages: u32) -> Vec<Outcome> {
    let all: Vec<Seen> = (0..messages).map(seen).collect();
    vec![Ok((all.clone(), false)), Ok((all, true))]
}

fn run(messages: u32, weak_sender: Weakening, weak_receiver: Weakening) -> Outcome {
    let lane = lane(2);
    let memory = LoomMemory::zeroed(lane.bytes);
    let (ours, theirs) = (Weaken::new(&memory, weak_sender), Weaken::new(&memory, weak_receiver));
    let mut sender = Sender::new(&ours, lane.mailbox, Stamps::Off).unwrap();
    let mut blocks = ArenaSender::new(&ours, &lane.arena, 0).unwrap();
    let mut receiver = Receiver::new(&theirs, lane.mailbox, Stamps::Off).unwrap();
    let mut arena = ArenaReceiver::new(&theirs, &lane.arena).unwrap();
    let thread = loom::thread::spawn(move || {
        let mut waited = false;
        for call in 0..messages {
            waited |= send(&mut sender, &mut blocks, call)?;
        }
        Ok(waited)
    });
    let taken: Result<Vec<Seen>, _> =
        (0..messages).map(|_| receive(&mut receiver, &mut arena)).collect();
    let waited: Result<bool, _> = thread.join().unwrap();
    Ok((taken?, waited?))
}

fn send<M: SharedMemory>(
    sender: &mut Sender<M>,
    arena: &mut ArenaSender<M>,
    call: u32,
) -> Result<bool, ProtocolViolation> {
    let mut waited = false;
    let (block, start) = loop {
        match arena.loan(4) {
            Ok(mut room) => {
                room.deposit(0, &payload(call)).expect("the block has four bytes");
                break room.commit();
            }
            Err(ArenaError::Violation(violation)) => return Err(violation),
            Err(_) => {
                waited = true;
                loom::thread::yield_now();
            }
        }
    };
    let message = SlotHeader {
        word0: Word0::Call { function: 0, abort: None },
        call,
        tag: Tag::BYTES_ARENA,
        place: PayloadPlace::Arena { block, start, len: 4 },
    };
    loop {
        match sender.claim() {
            Ok(claim) => {
                claim.publish(&message);
                return Ok(waited);
            }
            Err(ClaimError::Violation(violation)) => return Err(violation),
            Err(_) => loom::thread::yield_now(),
        }
    }
}

fn receive<M: SharedMemory>(
    receiver: &mut Receiver<M>,
    arena: &mut ArenaReceiver<M>,
) -> Result<Seen, ProtocolViolation> {
    loop {
        let Some(taken) = receiver.take()? else {
            loom::thread::yield_now();
            continue;
        };
        let header: RawSlotHeader = taken.header();
        let message = header.parse(
            &SlotRules {
                direction: Direction::Request,
                arena_bytes: arena.capacity(),
                max_payload: 64,
                abort_capacity: MAX_ABORT_CAPACITY,
            },
            taken.slot(),
        )?;
        let PayloadPlace::Arena { block, start, .. } = message.place else {
            panic!("every message of this model is in the arena");
        };
        let mut bytes = [0; 4];
        arena.snapshot(start, &mut bytes).expect("parsed places are inside");
        arena.free(block);
        taken.release();
        return Ok((message.call, u32::from_ne_bytes(bytes)));
    }
}

/// What the two threads read, and where the third and the fourth payload went.
type HeldOutcome = Result<([u32; 2], [u32; 2]), ProtocolViolation>;

fn held_permitted() -> Vec<HeldOutcome> {
    let read = [0, 1].map(|call| u32::from_ne_bytes(payload(call)));
    vec![Ok((read, [0, 64])), Ok((read, [64, 0]))]
}

fn run_held(weak_sender: Weakening, weak_receiver: Weakening) -> HeldOutcome {
    let lane = arena_lane(1, 128);
    let memory = LoomMemory::zeroed(lane.bytes);
    let (ours, theirs) = (Weaken::new(&memory, weak_sender), Weaken::new(&memory, weak_receiver));
    let mut sender = ArenaSender::new(&ours, &lane.arena, 0).unwrap();
    let receiver = SharedArenaReceiver::new(&theirs, &lane.arena).unwrap();
    // How messages get from one side to the other is not what this model is about.
    let readers = [0, 1].map(|call| {
        let mut loan = sender.loan(4).unwrap();
        loan.deposit(0, &payload(call)).unwrap();
        let (block, start) = loan.commit();
        let held: Held<_> = receiver.hold(block, start, 4).unwrap();
        loom::thread::spawn(move || u32::from_ne_bytes(held.read(0).unwrap()))
    });
    let mut refilled = Ok([0; 2]);
    for call in [2, 3] {
        refilled = refilled.and_then(|mut starts| {
            starts[call as usize - 2] = refill(&mut sender, call)?;
            Ok(starts)
        });
    }
    let read = readers.map(|reader| reader.join().unwrap());
    Ok((read, refilled?))
}

/// Fills the next block that comes back.
fn refill<M: SharedMemory>(
    sender: &mut ArenaSender<M>,
    call: u32,
) -> Result<u32, ProtocolViolation> {
    loop {
        match sender.loan(4) {
            Ok(mut loan) => {
                loan.deposit(0, &payload(call)).expect("the block has four bytes");
                return Ok(loan.commit().1);
            }
            Err(ArenaError::Violation(violation)) => return Err(violation),
            Err(_) => loom::thread::yield_now(),
        }
    }
}
