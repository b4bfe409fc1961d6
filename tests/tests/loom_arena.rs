//! E4: a block of the arena is not filled again before the receiver has read it.
//!
//! The arena has room for one block, the mailbox two slots. Two payloads go through: the slots are
//! fresh, so nothing but the free word orders the second payload after the receiver's reads of the
//! first. With a third payload a slot is used again as well.

use knit_proto::{
    Direction, MAX_ABORT_CAPACITY, PayloadPlace, ProtocolViolation, RawSlotHeader, SlotHeader,
    SlotRules, Tag, Word0,
};
use knit_ring::{
    ArenaError, ArenaReceiver, ArenaSender, ClaimError, Receiver, Sender, SharedMemory, Stamps,
};
use knit_tests::{
    Bounds, LoomMemory, Rejection, Seen, Weaken, Weakening, explore, lane, payload, reject, seen,
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
        match arena.reserve(4) {
            Ok(room) => {
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
