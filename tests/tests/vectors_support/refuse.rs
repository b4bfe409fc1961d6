//! Input that must be refused, shown to whoever refuses it.
//!
//! Ends of mailboxes and arenas keep their state to themselves. They are brought into the state of
//! a vector by messages that are as they should be; then the peer's word is stored.

use knit_codec::Payload;
use knit_lanes::{HostLane, WorkerLane};
use knit_proto::{
    BlockIndex, ControlMessage, Features, HeaderFields, LaneState, Negotiation, ProtocolViolation,
    RawControl, RawHeader, SLOTS, Tag,
};
use knit_ring::{
    ArenaSender, BatchError, ClaimError, HeapMemory, Receiver, Sender, SharedMemory, SharedWord,
    Stamps, create_segment,
};
use knit_tests::vector_files::{
    bits, bytes, flag, number, parse_slot, reader_of, text, word, words,
};
use knit_tests::{Lane, arena_lane, header_fields, message};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// Name and clause of the error with which a reader or a peer refuses the input of a vector. Inputs
/// of kind `payload` are for the codec.
pub fn refusal(json: &Json) -> (&'static str, &'static str) {
    let violation = match text(json, "kind") {
        "header" => {
            let raw = RawHeader(words(json, "bytes"));
            let error = raw.parse_as(reader_of(json), number(json, "mapped")).unwrap_err();
            return (error.name(), error.clause().id());
        }
        "slot" => parse_slot(json).unwrap_err(),
        "receiver" => receiver(json),
        "sender" => sender(json),
        "arena" => arena(json),
        "control" => control(json),
        "answer" => answer(json),
        "withdrawal" => withdrawal(json),
        "channel" => channel(json),
        other => panic!("kind {other}"),
    };
    (violation.name(), violation.clause().id())
}

/// A lane with 32 slots and an arena of a granule for each block.
fn memory() -> (HeapMemory, Lane) {
    let lane = arena_lane(SLOTS, 64 * BlockIndex::COUNT);
    (HeapMemory::zeroed(lane.bytes).unwrap(), lane)
}

fn receiver(json: &Json) -> ProtocolViolation {
    let (memory, lane) = memory();
    let publish = memory.word(lane.mailbox.publish()).unwrap();
    let release = memory.word(lane.mailbox.release()).unwrap();
    let mut receiver = Receiver::new(&memory, lane.mailbox, Stamps::Off).unwrap();
    publish.store_release(bits(json, "released"));
    while let Some(taken) = receiver.take().unwrap() {
        taken.release();
    }
    publish.store_release(bits(json, "taken"));
    while let Some(taken) = receiver.take().unwrap() {
        taken.finish();
    }
    assert_eq!(release.load_acquire(), bits(json, "released"));
    publish.store_release(bits(json, "publish"));
    receiver.take().unwrap_err()
}

fn sender(json: &Json) -> ProtocolViolation {
    let (memory, lane) = memory();
    let publish = memory.word(lane.mailbox.publish()).unwrap();
    let release = memory.word(lane.mailbox.release()).unwrap();
    let mut sender = Sender::new(&memory, lane.mailbox, Stamps::Off).unwrap();
    if bits(json, "seen") != 0 {
        // A sender looks when it knows of no free slot.
        for call in 0..SLOTS {
            sender.claim().unwrap().publish(&message(call));
        }
        release.store_release(bits(json, "seen"));
        drop(sender.claim().unwrap());
    }
    for call in 0..SLOTS {
        if publish.load_acquire() != bits(json, "mine") {
            sender.claim().unwrap().publish(&message(call));
        }
    }
    assert_eq!(publish.load_acquire(), bits(json, "mine"), "not reached");
    release.store_release(bits(json, "release"));
    // Claims take every free slot, without publishing, until the sender looks.
    let mut batch = sender.batch();
    loop {
        match batch.add(&message(0), &[]) {
            Ok(_) => {}
            Err(BatchError::Claim(ClaimError::Violation(violation))) => return violation,
            Err(other) => panic!("{other}"),
        }
    }
}

fn arena(json: &Json) -> ProtocolViolation {
    let (memory, lane) = memory();
    let [allocate, free] =
        [lane.arena.allocate(), lane.arena.free()].map(|at| memory.word(at).unwrap());
    let (mine, seen) = (bits(json, "mine"), bits(json, "seen"));
    let mut arena = ArenaSender::new(&memory, &lane.arena, lane.arena.data().len()).unwrap();
    for _ in (mine | seen).leading_zeros()..u32::BITS {
        arena.loan(1).unwrap().commit();
    }
    free.store_release(seen);
    arena.reclaim().unwrap();
    while allocate.load_acquire() != mine {
        arena.loan(1).unwrap().commit();
    }
    free.store_release(bits(json, "free"));
    arena.reclaim().unwrap_err()
}

fn control(json: &Json) -> ProtocolViolation {
    let features = |name| Features::from_bits(bits(json, name));
    let fields = HeaderFields {
        required: features("required"),
        optional: features("optional"),
        epoch: word(json, "epoch"),
        ..header_fields(0, 0)
    };
    let line = |json: &Json| RawControl {
        state: word(json, "state"),
        epoch: word(json, "epoch"),
        features: bits(json, "features"),
    };
    let mut negotiation = match text(json, "side") {
        "host" => Negotiation::of_host(&fields),
        "worker" => Negotiation::of_worker(&fields, features("supported")),
        other => panic!("side {other}"),
    };
    if flag(json, "closing") {
        negotiation.leave();
    }
    for observed in json["observed"].as_array().unwrap() {
        let state = negotiation.observe(line(observed)).unwrap();
        // A host locks what the worker has accepted.
        let locked = text(json, "side") == "host" && negotiation.lock().is_some();
        assert_eq!(locked, text(json, "side") == "host" && state != LaneState::Absent);
    }
    let line = line(&json["line"]);
    if flag(json, "request") {
        negotiation.observe_locked(line).unwrap_err()
    } else {
        negotiation.observe(line).unwrap_err()
    }
}

fn channel(json: &Json) -> ProtocolViolation {
    let descriptors = word(json, "descriptors");
    let fault = ControlMessage::parse(&bytes(json, "bytes"), descriptors).unwrap_err();
    ProtocolViolation::ControlChannel { fault }
}

fn answer(json: &Json) -> ProtocolViolation {
    const MAX: u32 = 1024;
    let in_flight: BTreeSet<u32> = json["in_flight"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_u64().unwrap() as u32)
        .collect();
    let fields = header_fields(0, 0);
    let layout = knit_proto::Layout::new(fields);
    let memory = HeapMemory::zeroed(layout.len()).unwrap();
    create_segment(&memory, &fields).unwrap();
    HostLane::announce(&memory, &layout, 1).unwrap();
    let mut worker = WorkerLane::open(&memory, &layout, MAX, 2).unwrap();
    let mut host = HostLane::connect(&memory, &layout, MAX).unwrap().unwrap();
    // A host gives a place a new id when it uses it again: all 32 places are used until those that
    // stay have the ids of the vector.
    let mut calls = BTreeSet::new();
    let nothing = Payload::bare(Tag::UNDEFINED);
    for _ in 0..4 {
        while host.has_place() {
            assert!(calls.insert(host.submit(0, &nothing).unwrap().call.word()));
            worker.take().unwrap().unwrap();
        }
        for ended in calls.difference(&in_flight) {
            worker.respond(*ended, false, &nothing).unwrap();
            assert_eq!(host.take().unwrap().unwrap().call.word(), *ended);
        }
        calls.retain(|call| in_flight.contains(call));
        if calls == in_flight {
            break;
        }
    }
    assert_eq!(calls, in_flight, "not reached");
    worker.respond(word(json, "call"), false, &nothing).unwrap();
    let violation = host.take().unwrap_err();
    assert_eq!(host.poisoned(), Some(violation));
    violation
}

/// The worker is at call 0 when those that it is not to begin are withdrawn. It takes all calls, and the others are
/// withdrawn after that.
fn withdrawal(json: &Json) -> ProtocolViolation {
    const MAX: u32 = 1024;
    let [withdrawn, not_begun] = ["withdrawn", "not_begun"].map(|name| bits(json, name));
    assert_eq!((withdrawn & not_begun, not_begun & 1), (not_begun, 0));
    let features = Features::JOURNAL.or(Features::WITHDRAW);
    let fields = HeaderFields { optional: features, ..header_fields(0, 0) };
    let layout = knit_proto::Layout::new(fields);
    let memory = HeapMemory::zeroed(layout.len()).unwrap();
    create_segment(&memory, &fields).unwrap();
    HostLane::announce(&memory, &layout, 1).unwrap();
    let mut worker = WorkerLane::open_with(&memory, &layout, MAX, 2, features).unwrap();
    let mut host = HostLane::connect(&memory, &layout, MAX).unwrap().unwrap();
    let nothing = Payload::bare(Tag::UNDEFINED);
    let calls: Vec<_> = (0..SLOTS).map(|_| host.submit(0, &nothing).unwrap().call).collect();
    let of = |places: u32| -> Vec<_> {
        calls.iter().copied().filter(|call| places >> call.place() & 1 == 1).collect()
    };
    let mut request = worker.take().unwrap();
    assert_eq!(host.withdraw(&of(not_begun)), of(not_begun));
    while request.is_some() {
        request = worker.take().unwrap();
    }
    assert_eq!(host.withdraw(&of(withdrawn)), []);
    let word_now = memory.word(layout.withdrawn()).unwrap().load_relaxed();
    assert_eq!(word_now, withdrawn);
    let call = word(json, "call");
    match word(json, "word0") {
        0 => worker.respond(call, false, &nothing).unwrap(),
        2 => worker.respond_withdrawn(call).unwrap(),
        other => panic!("word 0 is {other}"),
    };
    host.take().unwrap_err()
}
