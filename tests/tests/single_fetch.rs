//! H1: no end reads back what it wrote. H2: no operation loads a word twice, so what was checked is
//! what is used.

use knit_proto::{
    Direction, INLINE_BYTES, Layout, MAX_ABORT_CAPACITY, SLOT_STRIDE, STAMP_AT, SlotRules,
};
use knit_ring::{
    ArenaReceiver, ArenaSender, ClaimError, HeapMemory, Notifier, Receiver, Sender, SharedMemory,
    SharedWord, Stamps, Taken, Waiter, attach_segment, create_segment,
};
use knit_tests::{FetchCount, Lane, Noise, arena_lane, header_fields, lane, message, payload};
use std::collections::BTreeSet;

/// H1: what an end wrote it knows, and what it reads the other side writes. MBX-15.
#[test]
fn no_end_reads_back_what_it_wrote() {
    for stamps in [Stamps::On, Stamps::Off] {
        let lane = arena_lane(2, 256);
        let memory = HeapMemory::zeroed(lane.bytes).unwrap();
        let [ours, theirs] = [FetchCount::counting(&memory), FetchCount::counting(&memory)];
        traffic(&ours, &theirs, &lane, stamps);
        let (loaded, stored) = ours.touched();
        assert_eq!(
            loaded,
            BTreeSet::from([
                lane.mailbox.release().bytes(),
                lane.arena.free().bytes(),
                lane.receiver.parked.bytes(),
            ])
        );
        assert!(loaded.is_disjoint(&stored));
        let (loaded, stored) = theirs.touched();
        assert_eq!(
            stored,
            BTreeSet::from([
                lane.mailbox.release().bytes(),
                lane.arena.free().bytes(),
                lane.receiver.parked.bytes(),
            ])
        );
        assert!(loaded.is_disjoint(&stored));
    }
}

/// H1, KD-16: a peer that writes over our words changes nothing that we do. MBX-15.
#[test]
fn words_of_ours_that_the_peer_overwrites_do_not_matter() {
    let lane = lane(4);
    let memory = HeapMemory::zeroed(lane.bytes).unwrap();
    let publish = memory.word(lane.mailbox.publish()).unwrap();
    let mut sender = Sender::new(&memory, lane.mailbox, Stamps::On).unwrap();
    for call in 0..4 {
        publish.store_release(Noise::new(call.into()).word());
        let claim = sender.claim().unwrap();
        assert_eq!(claim.slot().get(), call);
        claim.publish(&message(call));
        assert_eq!(publish.load_acquire(), (1 << (call + 1)) - 1);
    }
    assert_eq!(sender.claim().unwrap_err(), ClaimError::Full);
}

/// H2, KD-16: no decision is taken on a word that is loaded twice. MBX-16, PAY-26.
#[test]
fn one_operation_loads_each_word_once() {
    for stamps in [Stamps::On, Stamps::Off] {
        let lane = arena_lane(2, 256);
        let memory = HeapMemory::zeroed(lane.bytes).unwrap();
        let counting = FetchCount::counting(&memory);
        let mut sender = Sender::new(&counting, lane.mailbox, stamps).unwrap();
        let mut receiver = Receiver::new(&counting, lane.mailbox, stamps).unwrap();
        let mut arena = ArenaSender::new(&counting, &lane.arena, 0).unwrap();
        let mut blocks = ArenaReceiver::new(&counting, &lane.arena).unwrap();
        for round in 0..40 {
            let (claimed, loaded) = counting.operation(|| {
                let claim = sender.claim().unwrap();
                claim.deposit(&payload(round)).unwrap();
                claim.publish(&message(round))
            });
            assert!(loaded.len() <= 1, "a claim looks at the release word at most");
            let slot = lane.mailbox.slots().at() + claimed.get() * SLOT_STRIDE;
            let header: BTreeSet<u32> = (0..7).map(|word| slot + INLINE_BYTES + 4 * word).collect();
            let ((), loaded) = counting.operation(|| {
                let found = if round % 2 == 0 { receiver.poll() } else { receiver.take() };
                if let Some(taken) = found.unwrap() {
                    use_taken(taken, &lane);
                }
            });
            let mut expected = header.clone();
            expected.insert(slot);
            expected.insert(match (stamps, round % 2) {
                (Stamps::On, 0) => slot + STAMP_AT,
                _ => lane.mailbox.publish().bytes(),
            });
            assert_eq!(loaded, expected, "one flag, seven header words, four bytes");
            let (_, loaded) = counting.operation(|| receiver.poll().unwrap().is_none());
            assert!(loaded.len() <= 2, "a stamp, and the word every 32nd time");
            counting.operation(|| receiver.is_pending().unwrap());
            let (block, loaded) = counting.operation(|| arena.loan(100).unwrap().commit().0);
            assert_eq!(loaded, BTreeSet::from([lane.arena.free().bytes()]));
            let ((), loaded) = counting.operation(|| blocks.free(block));
            assert_eq!(loaded, BTreeSet::new(), "what was written is not read back");
        }
    }
}

/// SEG-10.
#[test]
fn attaching_loads_each_header_word_once() {
    let memory = HeapMemory::zeroed(Layout::new(header_fields(4032, 0)).len()).unwrap();
    create_segment(&memory, &header_fields(4032, 0)).unwrap();
    let counting = FetchCount::counting(&memory);
    let (layout, loaded) = counting.operation(|| attach_segment(&counting).unwrap());
    assert_eq!(*layout.fields(), header_fields(4032, 0));
    assert_eq!(loaded, (0..256).step_by(4).collect());
}

fn use_taken<M: SharedMemory>(taken: Taken<'_, M>, lane: &Lane) {
    let mut bytes = [0; 4];
    taken.snapshot(&mut bytes).unwrap();
    let capacity = lane.arena.data().len();
    let parsed = taken
        .header()
        .parse(
            &SlotRules {
                direction: Direction::Request,
                arena_bytes: capacity,
                max_payload: 512,
                abort_capacity: MAX_ABORT_CAPACITY,
            },
            taken.slot(),
        )
        .unwrap();
    assert_eq!(bytes, payload(parsed.call));
}

/// Some messages with and without arena payloads, a wake-up, and a park.
fn traffic(ours: &FetchCount, theirs: &FetchCount, lane: &Lane, stamps: Stamps) {
    let mut sender = Sender::new(ours, lane.mailbox, stamps).unwrap();
    let mut arena = ArenaSender::new(ours, &lane.arena, 0).unwrap();
    let mut notifier = Notifier::new(ours, &lane.sender, &lane.receiver).unwrap();
    let mut receiver = Receiver::new(theirs, lane.mailbox, stamps).unwrap();
    let mut blocks = ArenaReceiver::new(theirs, &lane.arena).unwrap();
    let mut waiter = Waiter::new(theirs, &lane.receiver, &lane.sender).unwrap();
    for call in 0..10 {
        let mut room = arena.loan(65).unwrap();
        room.deposit(0, &[7; 65]).unwrap();
        let (block, start) = room.commit();
        let claim = sender.claim().unwrap();
        claim.deposit(&payload(call)).unwrap();
        claim.publish(&message(call));
        waiter.retract();
        notifier.notify();
        notifier.advance();
        if call % 2 == 0 {
            use_taken(receiver.poll().unwrap().unwrap(), lane);
        } else {
            use_taken(receiver.take().unwrap().unwrap(), lane);
        }
        blocks.snapshot(start, &mut [0; 65]).unwrap();
        blocks.free(block);
    }
}
