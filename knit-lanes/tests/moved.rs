//! Buffers that move between the two ends of a lane in one process.

use knit_codec::{Payload, SharedBufferRef};
use knit_lanes::{HostLane, MoveError, MoveTable, MovedBuffer, SendError, WorkerLane};
use knit_proto::{
    CreatorId, ExtensionBytes, Features, Geometry, HeaderFields, LaneKind, Tag, Version,
};
use knit_ring::{HeapMemory, create_segment};
use std::sync::Arc;

fn lane() -> (HostLane<HeapMemory>, WorkerLane<HeapMemory>) {
    let geometry = Geometry::new(64 << 10, 64 << 10, 0).unwrap();
    let bytes = ExtensionBytes::MIN.lane_block_at() + geometry.block_bytes();
    let memory = HeapMemory::zeroed(bytes).unwrap();
    let fields = HeaderFields {
        version: Version::CURRENT,
        required: Features::FUTEX_BELLS,
        optional: Features::STAMPS,
        epoch: 1,
        creator: CreatorId::default(),
        kind: LaneKind::Thread,
        geometry,
        extension: ExtensionBytes::MIN,
        tasks: 0,
        request_reserved: 0,
        response_reserved: 0,
    };
    let layout = create_segment(&memory, &fields).unwrap();
    HostLane::announce(&memory, &layout, 1).unwrap();
    let worker = WorkerLane::open(&memory, &layout, 1024, 2).unwrap();
    (HostLane::connect(&memory, &layout, 1024).unwrap().unwrap(), worker)
}

#[test]
fn the_very_bytes_arrive_and_come_back() {
    let (mut host, mut worker) = lane();
    let table = Arc::new(MoveTable::new(8));
    // More than any payload of the lane.
    let buffer = MovedBuffer((0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect());
    let (at, content) = (buffer.0.as_ptr() as usize, buffer.clone());
    let submitted = host.submit_moved(3, buffer, &table).unwrap();
    let theirs = Arc::clone(&table);
    let thread = std::thread::spawn(move || {
        let request = worker.take().unwrap().unwrap();
        let mut buffer = theirs.take(&request.payload).unwrap();
        assert_eq!((buffer.0.as_ptr() as usize, request.function), (at, 3));
        assert!(theirs.is_empty());
        buffer.0[0] = 77;
        worker.respond_moved(request.call, buffer, &theirs).unwrap();
    });
    thread.join().unwrap();
    let answer = host.take().unwrap().unwrap();
    assert_eq!((answer.call, answer.payload.tag()), (submitted.call, Tag::SHARED_BUFFER));
    let back = table.take(&answer.payload).unwrap();
    assert_eq!(back.0.as_ptr() as usize, at);
    assert_eq!((back.0[0], &back.0[1..]), (77, &content.0[1..]));
}

#[test]
fn a_number_is_taken_once_and_from_its_own_table_only() {
    let (mut host, mut worker) = lane();
    let (table, other) = (MoveTable::new(8), MoveTable::new(8));
    host.submit_moved(0, MovedBuffer(vec![1]), &table).unwrap();
    let payload = worker.take().unwrap().unwrap().payload;
    let unknown = Err(MoveError::Unknown { number: 0 });
    assert_eq!(other.take(&payload), unknown);
    // Another length is not the buffer that was sent.
    let forged = SharedBufferRef::whole(0, 2).words().map(u32::to_le_bytes).concat();
    assert_eq!(table.take(&Payload::bytes(Tag::SHARED_BUFFER, forged)), unknown);
    assert_eq!(table.take(&payload), Ok(MovedBuffer(vec![1])));
    assert_eq!(table.take(&payload), unknown);
    assert!(matches!(table.take(&Payload::bare(Tag::NULL)), Err(MoveError::Payload(_))));
}

#[test]
fn a_buffer_that_finds_no_room_comes_back() {
    let (mut host, mut worker) = lane();
    let table = MoveTable::new(40);
    let one = || MovedBuffer(vec![1, 2, 3]);
    for _ in 0..32 {
        host.submit_moved(0, one(), &table).unwrap();
    }
    let full = host.submit_moved(0, one(), &table);
    assert_eq!(full, Err((MoveError::Send(SendError::Full), one())));
    assert_eq!(table.len(), 32);
    let narrow = MoveTable::new(0);
    let refused = worker.respond_moved(0, one(), &narrow);
    assert_eq!(refused, Err((MoveError::Full { limit: 0 }, one())));
    while let Some(request) = worker.take().unwrap() {
        assert_eq!(table.take(&request.payload), Ok(one()));
        worker.respond(request.call, false, &Payload::bare(Tag::NULL)).unwrap();
    }
    assert!(table.is_empty());
}
