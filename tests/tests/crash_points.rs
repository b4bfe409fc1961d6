//! A party dies after its n-th store, for every n: what was published is delivered exactly once,
//! what was not has left no trace, and the other party neither fails nor hangs.

use knit_proto::{
    BlockIndex, Direction, HeaderError, Layout, MAX_ABORT_CAPACITY, PayloadPlace, RawSlotHeader,
    SlotHeader, SlotIndex, SlotRules, Tag, Version, Word0, WordOffset, ready_word,
};
use knit_ring::{
    ArenaError, ArenaSender, ClaimError, HeapMemory, Held, Receiver, SegmentError, Sender,
    SharedArenaReceiver, SharedMemory, SharedWord, SharedWordRmw, Stamps, attach_segment,
    create_segment,
};
use knit_tests::{
    CrashMemory, Lane, StopBehaviour, arena_lane, header_fields, message, payload, until_stop,
};

const SLOTS: u32 = 4;
const BOTH: [StopBehaviour; 2] = [StopBehaviour::Unwind, StopBehaviour::Vanish];
const STAMPS: [Stamps; 2] = [Stamps::On, Stamps::Off];

#[test]
fn a_sender_that_dies_leaves_its_published_messages_and_nothing_else() {
    for (behaviour, stamps) in cases() {
        let lane = arena_lane(SLOTS, 64);
        let whole = CrashMemory::recording(&HeapMemory::zeroed(lane.bytes).unwrap());
        let calls = send_script(&whole, &lane, stamps);
        let stores = whole.stores();
        assert!(stores.len() > 40, "the script writes headers, payloads, toggles and stamps");
        for n in 0..=stores.len() {
            let memory = HeapMemory::zeroed(lane.bytes).unwrap();
            let dying = CrashMemory::stopping_after(&memory, n as u64, behaviour);
            let done = until_stop(|| send_script(&dying, &lane, stamps));
            assert_eq!(dying.stores(), stores[..n], "the script is the same every time");
            assert_eq!(done.is_some(), n == stores.len() || behaviour == StopBehaviour::Vanish);

            let published = published(&stores[..n], lane.mailbox.publish(), &calls);
            let mut receiver = Receiver::new(&memory, lane.mailbox, stamps).unwrap();
            assert_eq!(drain(&mut receiver), published, "after {n} stores");
            let (publish, release) = (lane.mailbox.publish(), lane.mailbox.release());
            assert_eq!(load(&memory, publish), load(&memory, release), "every slot is free again");
        }
    }
}

/// The claim that a sender was filling when it died leaves the slot free: a sender that goes on in
/// its place gets the same slot and can use it. MBX-3.
#[test]
fn a_slot_that_was_claimed_and_not_published_is_usable() {
    let lane = arena_lane(SLOTS, 64);
    for (_, stamps) in cases() {
        for words in 0..8 {
            let memory = HeapMemory::zeroed(lane.bytes).unwrap();
            let dying = CrashMemory::stopping_after(&memory, words, StopBehaviour::Unwind);
            let mut sender = Sender::new(&dying, lane.mailbox, stamps).unwrap();
            let died = until_stop(|| {
                let claim = sender.claim().unwrap();
                claim.deposit(&payload(9)).unwrap();
                claim.publish(&message(9))
            });
            assert!(died.is_none(), "the toggle is the ninth store");
            assert_eq!(load(&memory, lane.mailbox.publish()), 0);

            let mut sender = Sender::new(&memory, lane.mailbox, stamps).unwrap();
            let claim = sender.claim().unwrap();
            assert_eq!(claim.slot().get(), 0);
            claim.deposit(&payload(10)).unwrap();
            claim.publish(&message(10));
            let mut receiver = Receiver::new(&memory, lane.mailbox, stamps).unwrap();
            assert_eq!(drain(&mut receiver), [10]);
        }
    }
}

#[test]
fn a_receiver_that_dies_leaves_every_slot_pending_or_free() {
    for (behaviour, stamps) in cases() {
        let lane = arena_lane(SLOTS, 1024);
        let whole = HeapMemory::zeroed(lane.bytes).unwrap();
        let recording = CrashMemory::recording(&whole);
        serve(&whole, &recording, &lane, stamps);
        let stores = recording.stores();
        assert!(stores.len() > 6, "the script frees blocks and releases slots");
        for n in 0..=stores.len() {
            let memory = HeapMemory::zeroed(lane.bytes).unwrap();
            let dying = CrashMemory::stopping_after(&memory, n as u64, behaviour);
            let (mut sender, mut arena, sent, read) = serve(&memory, &dying, &lane, stamps);
            assert!(read.len() <= sent.len());
            assert!(
                read.iter().zip(0..).all(|(call, expected)| *call == expected),
                "once, in order"
            );

            // The sender goes on until nothing is free, and never sees a violation.
            let release = load(&memory, lane.mailbox.release());
            let pending = (load(&memory, lane.mailbox.publish()) ^ release).count_ones();
            let mut room = 0;
            while let Some(()) = claim_one(&mut sender) {
                room += 1;
            }
            assert_eq!(room, SLOTS - pending, "after {n} stores");
            assert_eq!(sender.len(), SLOTS);
            loop {
                match arena.loan(64) {
                    Ok(room) => drop(room.commit()),
                    Err(error) => {
                        assert_eq!(error, ArenaError::Full);
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn an_arena_send_that_dies_is_delivered_whole_or_not_at_all() {
    for (behaviour, stamps) in cases() {
        let lane = arena_lane(SLOTS, 1024);
        let whole = CrashMemory::recording(&HeapMemory::zeroed(lane.bytes).unwrap());
        let calls = arena_script(&whole, &lane, stamps);
        let stores = whole.stores();
        for n in 0..=stores.len() {
            let memory = HeapMemory::zeroed(lane.bytes).unwrap();
            let dying = CrashMemory::stopping_after(&memory, n as u64, behaviour);
            until_stop(|| arena_script(&dying, &lane, stamps));
            let published = published(&stores[..n], lane.mailbox.publish(), &calls);
            let mut receiver = Receiver::new(&memory, lane.mailbox, stamps).unwrap();
            let arena = SharedArenaReceiver::new(&memory, &lane.arena).unwrap();
            let mut seen = Vec::new();
            while let Some(taken) = receiver.take().unwrap() {
                let (call, held) = read_arena(&taken.header(), taken.slot(), &arena);
                drop(held);
                seen.push(call);
            }
            assert_eq!(seen, published, "after {n} stores");
            // At most the block of the message that was cut off stays live.
            let live = load(&memory, lane.arena.allocate()) ^ load(&memory, lane.arena.free());
            assert!(live.count_ones() <= 1, "after {n} stores: {live:#x}");
        }
    }
}

/// C7: the ready word is the last store. SEG-4, C7.
#[test]
fn a_segment_whose_creator_died_is_refused() {
    let fields = header_fields(0, 0);
    let len = Layout::new(fields).len();
    let whole = CrashMemory::recording(&HeapMemory::zeroed(len).unwrap());
    create_segment(&whole, &fields).unwrap();
    let stores = whole.stores();
    assert_eq!(stores.last(), Some(&(252, ready_word(Version::CURRENT))));
    for behaviour in BOTH {
        for n in 0..=stores.len() {
            let memory = HeapMemory::zeroed(len).unwrap();
            let dying = CrashMemory::stopping_after(&memory, n as u64, behaviour);
            until_stop(|| create_segment(&dying, &fields));
            match attach_segment(&memory) {
                Ok(layout) => assert_eq!((n, *layout.fields()), (stores.len(), fields)),
                Err(SegmentError::Header(HeaderError::NotReady)) => {
                    assert!(n < stores.len(), "the segment is whole");
                }
                Err(error) => panic!("after {n} stores: {error}"),
            }
        }
    }
}

fn cases() -> impl Iterator<Item = (StopBehaviour, Stamps)> {
    BOTH.into_iter().flat_map(|behaviour| STAMPS.map(|stamps| (behaviour, stamps)))
}

fn load(memory: &HeapMemory, at: WordOffset) -> u32 {
    memory.word(at).unwrap().load_acquire()
}

/// What a sender does before it dies. Returns the calls that each store to the publish word
/// publishes.
fn send_script<M: SharedMemory>(memory: &M, lane: &Lane, stamps: Stamps) -> Vec<Vec<u32>> {
    let mut sender = Sender::new(memory, lane.mailbox, stamps).unwrap();
    let claim = sender.claim().unwrap();
    claim.deposit(&payload(0)).unwrap();
    claim.publish(&message(0));
    let abandoned = sender.claim().unwrap();
    abandoned.deposit(&[0xff; 40]).unwrap();
    drop(abandoned);
    let mut batch = sender.batch();
    for call in [1, 2] {
        batch.add(&message(call), &payload(call)).unwrap();
    }
    batch.publish();
    let mut dropped = sender.batch();
    dropped.add(&message(77), &payload(77)).unwrap();
    drop(dropped);
    let claim = sender.claim().unwrap();
    claim.deposit(&payload(3)).unwrap();
    claim.publish(&message(3));
    vec![vec![0], vec![1, 2], vec![3]]
}

/// The calls that were published by these stores, in order.
fn published(stores: &[(u32, u32)], publish: WordOffset, calls: &[Vec<u32>]) -> Vec<u32> {
    let toggles = stores.iter().filter(|(at, _)| *at == publish.bytes()).count();
    calls[..toggles].concat()
}

/// Takes everything, by polls and by takes in turn, and checks its bytes.
fn drain(receiver: &mut Receiver<HeapMemory>) -> Vec<u32> {
    let mut calls = Vec::new();
    // A dead sender's last stamp can be missing: then the 32nd poll finds the message.
    let mut idle = 0;
    while idle < 64 {
        let Some(taken) = receiver.poll().unwrap() else {
            idle += 1;
            continue;
        };
        idle = 0;
        let call = taken.header().0[1];
        let mut bytes = [0; 4];
        taken.snapshot(&mut bytes).unwrap();
        assert_eq!(taken.header(), RawSlotHeader::encode(&message(call)));
        assert_eq!(bytes, payload(call));
        calls.push(call);
        if call % 2 == 0 { taken.finish() } else { taken.release() }
    }
    assert!(receiver.take().unwrap().is_none());
    receiver.release();
    calls
}

fn arena_message(call: u32, block: BlockIndex, start: u32) -> SlotHeader {
    SlotHeader {
        word0: Word0::Call { function: 0, abort: None },
        call,
        tag: Tag::BYTES_ARENA,
        place: PayloadPlace::Arena { block, start, len: arena_len(call) },
    }
}

fn arena_len(call: u32) -> u32 {
    100 + call
}

fn arena_bytes(call: u32) -> Vec<u8> {
    (0..arena_len(call)).map(|at| (at * 3 + call) as u8).collect()
}

fn send_arena<M: SharedMemory>(sender: &mut Sender<M>, arena: &mut ArenaSender<M>, call: u32) {
    let mut room = arena.loan(arena_len(call)).unwrap();
    room.deposit(0, &arena_bytes(call)).unwrap();
    let (block, start) = room.commit();
    sender.claim().unwrap().publish(&arena_message(call, block, start));
}

fn arena_script<M: SharedMemory>(memory: &M, lane: &Lane, stamps: Stamps) -> Vec<Vec<u32>> {
    let mut sender = Sender::new(memory, lane.mailbox, stamps).unwrap();
    let mut arena = ArenaSender::new(memory, &lane.arena, 0).unwrap();
    send_arena(&mut sender, &mut arena, 0);
    let mut given_back = arena.loan(64).unwrap();
    given_back.deposit(0, &[0xff; 64]).unwrap();
    drop(given_back);
    // Two that are filled at a time; the first one is not sent.
    let loans = [77, 2].map(|call| {
        let mut loan = arena.loan_owned(arena_len(call)).unwrap();
        loan.deposit(0, &arena_bytes(call)).unwrap();
        loan
    });
    send_arena(&mut sender, &mut arena, 1);
    let [dropped, sent] = loans;
    drop(dropped);
    let (block, start) = arena.commit(sent);
    sender.claim().unwrap().publish(&arena_message(2, block, start));
    vec![vec![0], vec![1], vec![2]]
}

/// An arena message whose bytes are as they should be: its call, and the message where it is.
fn read_arena<M: SharedMemory>(
    header: &RawSlotHeader,
    slot: SlotIndex,
    arena: &SharedArenaReceiver<M>,
) -> (u32, Held<M>)
where
    M::Word: SharedWordRmw,
{
    let message = header
        .parse(
            &SlotRules {
                direction: Direction::Request,
                arena_bytes: arena.capacity(),
                max_payload: 1024,
                abort_capacity: MAX_ABORT_CAPACITY,
            },
            slot,
        )
        .unwrap();
    let PayloadPlace::Arena { block, start, len } = message.place else {
        panic!("the script sends arena payloads")
    };
    let held = arena.hold(block, start, len).unwrap();
    assert_eq!(held.to_vec(), arena_bytes(message.call));
    (message.call, held)
}

/// A living sender sends arena payloads whenever it can, a receiver over `dying` reads them.
/// Returns the sender's ends, what was sent and what was read.
fn serve(
    memory: &HeapMemory,
    dying: &CrashMemory,
    lane: &Lane,
    stamps: Stamps,
) -> (Sender<HeapMemory>, ArenaSender<HeapMemory>, Vec<u32>, Vec<u32>) {
    let mut sender = Sender::new(memory, lane.mailbox, stamps).unwrap();
    let mut arena = ArenaSender::new(memory, &lane.arena, 0).unwrap();
    let mut sent = Vec::new();
    let mut read = Vec::new();
    until_stop(|| {
        let mut receiver = Receiver::new(dying, lane.mailbox, stamps).unwrap();
        let blocks = SharedArenaReceiver::new(dying, &lane.arena).unwrap();
        for round in 0..3 {
            for _ in 0..2 {
                // After the receiver's stores vanish, the mailbox fills up.
                if sender.claim().is_err() {
                    continue;
                }
                let call = sent.len() as u32;
                send_arena(&mut sender, &mut arena, call);
                sent.push(call);
            }
            let mut held = Vec::new();
            while let Some(taken) = receiver.take().unwrap() {
                let (call, message) = read_arena(&taken.header(), taken.slot(), &blocks);
                read.push(call);
                // In one round the messages outlive their slots, and are freed from the last on.
                if round == 1 {
                    held.insert(0, message);
                    taken.finish();
                } else {
                    drop(message);
                    taken.release();
                }
            }
            receiver.release();
            drop(held);
        }
    });
    (sender, arena, sent, read)
}

fn claim_one(sender: &mut Sender<HeapMemory>) -> Option<()> {
    match sender.claim() {
        Ok(claim) => {
            claim.publish(&message(1000));
            Some(())
        }
        Err(ClaimError::Full) => None,
        Err(error) => panic!("a dead receiver looks like a slow one: {error}"),
    }
}
