//! Long runs: ids of calls come again, and the count of a place's calls passes 2^32. Answers find their calls, and the journal still
//! says what was begun.

use super::HostLane;
use crate::WorkerLane;
use crate::call_table::CallTable;
use knit_codec::Payload;
use knit_proto::{
    CreatorId, ExtensionBytes, Features, Geometry, HeaderFields, LaneKind, Layout, SLOTS, Tag,
    Version,
};
use knit_ring::{HeapMemory, create_segment};

const MAX: u32 = 512;

/// A lane whose places have had so many calls each, and none in flight.
fn lane_after(calls: u32) -> (HostLane<HeapMemory>, WorkerLane<HeapMemory>) {
    let fields = HeaderFields {
        version: Version::CURRENT,
        required: Features::NONE,
        optional: Features::SUPPORTED,
        // The last one that there is.
        epoch: u32::MAX,
        creator: CreatorId::default(),
        kind: LaneKind::Process,
        geometry: Geometry::new(4096, 4096, SLOTS).unwrap(),
        extension: ExtensionBytes::MIN,
        tasks: 0,
        request_reserved: 0,
        response_reserved: 0,
    };
    let layout = Layout::new(fields);
    let memory = HeapMemory::zeroed(layout.len()).unwrap();
    create_segment(&memory, &fields).unwrap();
    HostLane::announce(&memory, &layout, 1).unwrap();
    let worker = WorkerLane::open(&memory, &layout, MAX, 2).unwrap();
    let mut host = HostLane::connect(&memory, &layout, MAX).unwrap().unwrap();
    host.calls = CallTable::after(calls);
    (host, worker)
}

/// Fills the lane, and empties it, so many times.
fn laps(from: u32, laps: u32) {
    let (mut host, mut worker) = lane_after(from);
    for lap in 0..laps {
        let calls: Vec<_> = (0..SLOTS)
            .map(|n| host.submit(0, &Payload::scalar(Tag::NUMBER, n.into())).unwrap().call)
            .collect();
        let generation = from.wrapping_add(lap);
        for (place, call) in (0..).zip(&calls) {
            assert_eq!(call.word(), generation << 5 | place);
            // The journal is that of the last lap; of the lap before the first one it has nothing.
            assert!(lap == 0 || !host.may_have_run(*call), "{generation:#x}, {call:?}");
        }
        assert!(host.abort(calls[3]));
        while let Some(request) = worker.take().unwrap() {
            let call = calls[(request.call % SLOTS) as usize];
            assert_eq!(request.call, call.word());
            assert!(host.may_have_run(call));
            worker.respond(request.call, false, &request.payload).unwrap();
        }
        let mut answers = Vec::new();
        while let Some(answer) = host.take().unwrap() {
            assert_eq!(answer.payload.scalar_bits(), answer.call.place() as u64);
            answers.push(answer.call);
        }
        assert_eq!(answers, calls);
        assert_eq!(host.in_flight(), 0);
    }
}

/// LANE-33. An id has 27 bits of the count.
#[test]
fn ids_come_again_and_answers_find_their_calls() {
    laps((1 << 27) - 3, 6);
}

/// LANE-36. The first call after that is not one that nothing is known of.
#[test]
fn a_place_that_has_had_2_to_the_32_calls_still_has_a_call_before() {
    laps(u32::MAX - 2, 6);
}

/// An answer to the last call before ids come again is not taken for one to the first call after that.
#[test]
fn an_answer_to_the_call_before_ends_no_call() {
    let (mut host, mut worker) = lane_after(u32::MAX);
    let old = host.submit(0, &Payload::bare(Tag::UNDEFINED)).unwrap().call;
    let request = worker.take().unwrap().unwrap();
    worker.respond(request.call, false, &request.payload).unwrap();
    assert_eq!(host.take().unwrap().unwrap().call, old);
    let new = host.submit(0, &Payload::bare(Tag::UNDEFINED)).unwrap().call;
    assert_eq!((new.place(), new.word()), (old.place(), 0));
    worker.respond(old.word(), false, &request.payload).unwrap();
    host.take().unwrap_err();
}
