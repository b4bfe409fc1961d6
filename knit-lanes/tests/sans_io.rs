//! Both ends of a lane, driven by hand over memory of this process: no thread, no process, no clock.

use knit_codec::{Decode, Encode, Limits, Payload};
use knit_lanes::{Answer, HostLane, LaneError, ProtocolViolation, Request, SendError, WorkerLane};
use knit_proto::{
    CreatorId, Direction, ExtensionBytes, Features, Geometry, HEADER_LINE_AT, HeaderFields,
    LaneKind, LaneState, Layout, SLOT_STRIDE, STAMP_AT, Tag, Version, WordOffset,
};
use knit_ring::{FutexBell, HeapMemory, SharedBytes, SharedMemory, SharedWord, create_segment};

/// Bytes of each arena, of which 64 are never used.
const ARENA: u32 = 64 << 10;
/// The payload limit of both ends.
const MAX: u32 = 16 << 10;

const FEATURES: [Features; 2] = [Features::NONE, Features::STAMPS];

/// A segment of one lane with these optional features and room for so many abort signals.
fn segment(optional: Features, signals: u32) -> (HeapMemory, Layout) {
    let geometry = Geometry::new(ARENA, ARENA, signals).unwrap();
    let memory =
        HeapMemory::zeroed(ExtensionBytes::MIN.lane_block_at() + geometry.block_bytes()).unwrap();
    let fields = HeaderFields {
        version: Version::CURRENT,
        required: Features::FUTEX_BELLS,
        optional,
        epoch: 3,
        creator: CreatorId::default(),
        kind: LaneKind::Thread,
        geometry,
        extension: ExtensionBytes::MIN,
        tasks: 0,
        request_reserved: ARENA - 64,
        response_reserved: ARENA - 64,
    };
    let layout = create_segment(&memory, &fields).unwrap();
    (memory, layout)
}

/// A lane that is open on both sides.
struct Lane {
    memory: HeapMemory,
    layout: Layout,
    host: HostLane<HeapMemory>,
    worker: WorkerLane<HeapMemory>,
}

fn lane(optional: Features) -> Lane {
    lane_with_signals(optional, 0)
}

fn lane_with_signals(optional: Features, signals: u32) -> Lane {
    let (memory, layout) = segment(optional, signals);
    HostLane::announce(&memory, &layout, 1).unwrap();
    let worker = WorkerLane::open(&memory, &layout, MAX, 2).unwrap();
    let host = HostLane::connect(&memory, &layout, MAX).unwrap().unwrap();
    Lane { memory, layout, host, worker }
}

impl Lane {
    fn word(&self, at: WordOffset) -> <HeapMemory as SharedMemory>::Word {
        self.memory.word(at).unwrap()
    }

    fn request(&mut self) -> Request {
        self.worker.take().unwrap().expect("a request is pending")
    }

    fn answer(&mut self) -> Answer {
        self.host.take().unwrap().expect("an answer is pending")
    }

    /// Writes a header into a slot and publishes it, as a peer may that follows no rule.
    fn forge(&self, direction: Direction, slot: u32, header: [u32; 7]) {
        let mailbox = self.layout.mailbox(direction);
        let slots = self.memory.bytes(mailbox.slots()).unwrap();
        slots.store_words(slot * SLOT_STRIDE + HEADER_LINE_AT, &header).unwrap();
        let publish = self.word(mailbox.publish());
        publish.store_release(publish.load_acquire() ^ 1 << slot);
        let stamp = self.word(mailbox.slots().word(slot * SLOT_STRIDE + STAMP_AT).unwrap());
        stamp.store_release(stamp.load_acquire() + 1);
    }

    /// Every byte that the two sides share.
    fn bytes(&self) -> Vec<u8> {
        let all = knit_proto::Span::new(0, self.memory.len()).unwrap();
        let mut bytes = vec![0; self.memory.len() as usize];
        self.memory.bytes(all).unwrap().snapshot(0, &mut bytes).unwrap();
        bytes
    }
}

fn number(value: f64) -> Payload<'static> {
    value.encode_owned(&Limits::default()).unwrap()
}

/// `len` bytes that do not fit inline.
fn block(len: usize, fill: u8) -> Payload<'static> {
    Payload::bytes(Tag::BYTES_ARENA, vec![fill; len])
}

#[test]
fn a_call_goes_and_its_answer_comes_back() {
    for optional in FEATURES {
        let mut lane = lane(optional);
        assert_eq!(lane.host.features(), optional.or(Features::FUTEX_BELLS));
        let submitted = lane.host.submit(7, &number(1.5)).unwrap();
        assert_eq!(lane.host.in_flight(), 1);
        assert!(lane.worker.is_pending().unwrap());
        let request = lane.request();
        assert_eq!((request.function, request.abort), (7, None));
        assert_eq!(request.call, submitted.call.word());
        assert_eq!(f64::decode(request.payload, &Limits::default()), Ok(1.5));
        assert!(lane.host.take().unwrap().is_none());
        lane.worker.respond(request.call, true, &number(2.5)).unwrap();
        assert!(lane.host.is_pending().unwrap());
        let answer = lane.answer();
        assert_eq!((answer.call, answer.rejected), (submitted.call, true));
        assert_eq!(answer.payload, number(2.5));
        assert_eq!(lane.host.in_flight(), 0);
        assert!(lane.host.take().unwrap().is_none() && lane.worker.take().unwrap().is_none());
    }
}

/// LANE-8.
#[test]
fn a_host_connects_once_the_worker_is_open() {
    let (memory, layout) = segment(Features::STAMPS, 0);
    let absent = WorkerLane::open(&memory, &layout, MAX, 2);
    assert!(matches!(absent, Err(LaneError::Violation(ProtocolViolation::State { state: 0 }))));
    HostLane::announce(&memory, &layout, 1).unwrap();
    assert!(HostLane::connect(&memory, &layout, MAX).unwrap().is_none());
    let _worker = WorkerLane::open(&memory, &layout, MAX, 2).unwrap();
    assert!(HostLane::connect(&memory, &layout, MAX).unwrap().is_some());
}

#[test]
fn a_side_that_speaks_for_another_lane_is_refused() {
    let (memory, layout) = segment(Features::STAMPS, 0);
    HostLane::announce(&memory, &layout, 1).unwrap();
    let (host, worker) = (layout.host_control(), layout.worker_control());
    memory.word(host.epoch).unwrap().store_release(4);
    let violation = ProtocolViolation::Epoch { expected: 3, found: 4 };
    let refused = WorkerLane::open(&memory, &layout, MAX, 2).unwrap_err();
    assert_eq!(refused, LaneError::Violation(violation));
    memory.word(host.epoch).unwrap().store_release(3);
    let _worker = WorkerLane::open(&memory, &layout, MAX, 2).unwrap();
    memory.word(worker.epoch).unwrap().store_release(4);
    let refused = HostLane::connect(&memory, &layout, MAX).unwrap_err();
    assert_eq!(refused, LaneError::Violation(violation));
}

/// SEG-9.
#[test]
fn accepted_features_are_offered_ones_and_all_required_ones() {
    let (memory, layout) = segment(Features::NONE, 0);
    HostLane::announce(&memory, &layout, 1).unwrap();
    let _worker = WorkerLane::open(&memory, &layout, MAX, 2).unwrap();
    let features = memory.word(layout.worker_control().features).unwrap();
    for (accepted, good) in [
        (Features::FUTEX_BELLS, true),
        (Features::FUTEX_BELLS.or(Features::STAMPS), false),
        (Features::NONE, false),
        (Features::from_bits(u32::MAX), false),
    ] {
        features.store_release(accepted.bits());
        match HostLane::connect(&memory, &layout, MAX) {
            Ok(Some(_)) => assert!(good, "{accepted}"),
            Err(LaneError::Violation(ProtocolViolation::Features { .. })) => assert!(!good),
            other => panic!("{other:?}"),
        }
    }
}

/// LANE-1.
#[test]
fn thirty_two_calls_are_in_flight_and_no_more() {
    for optional in FEATURES {
        let mut lane = lane(optional);
        let ids: Vec<_> =
            (0..32).map(|n| lane.host.submit(n, &number(n.into())).unwrap().call).collect();
        assert!(!lane.host.has_place());
        assert_eq!(lane.host.submit(99, &number(0.0)).unwrap_err(), SendError::Full);
        assert_eq!(lane.host.in_flight(), 32);
        // A request that is read makes no room: the call is in flight until its answer is.
        let first = lane.request();
        assert_eq!(first.function, 0);
        assert_eq!(lane.host.submit(99, &number(0.0)).unwrap_err(), SendError::Full);
        lane.worker.respond(first.call, false, &number(0.0)).unwrap();
        assert_eq!(lane.host.submit(99, &number(0.0)).unwrap_err(), SendError::Full);
        assert_eq!(lane.answer().call, ids[0]);
        let again = lane.host.submit(32, &number(32.0)).unwrap().call;
        assert_eq!(again.place(), ids[0].place());
        assert_ne!(again, ids[0]);
        // What was refused left no trace: the worker sees 1 to 32 in their order.
        for n in 1..=32 {
            assert_eq!(lane.request().function, n);
        }
        assert!(lane.worker.take().unwrap().is_none());
    }
}

/// LANE-19.
#[test]
fn a_full_arena_has_room_again_when_the_worker_reads() {
    for optional in FEATURES {
        let mut lane = lane(optional);
        let four = MAX as usize;
        for fill in 0..3 {
            lane.host.submit(0, &block(four, fill)).unwrap();
        }
        // 64 bytes of the arena are not for payloads: the fourth quarter does not fit.
        assert_eq!(lane.host.submit(0, &block(four, 3)).unwrap_err(), SendError::Full);
        assert_eq!(lane.host.in_flight(), 3);
        assert!(lane.host.has_place());
        // What needs no block still goes.
        lane.host.submit(1, &number(1.0)).unwrap();
        let request = lane.request();
        assert_eq!(request.payload, block(four, 0));
        lane.host.submit(0, &block(four, 3)).unwrap();
        let fills: Vec<_> = (0..4).map(|_| lane.request().payload).collect();
        assert_eq!(fills, [block(four, 1), block(four, 2), number(1.0), block(four, 3)]);
    }
}

/// LANE-19.
#[test]
fn an_answer_that_finds_no_room_goes_when_the_host_has_read() {
    for optional in FEATURES {
        let mut lane = lane(optional);
        let large = MAX as usize;
        let calls: Vec<_> =
            (0..4).map(|n| lane.host.submit(n, &number(0.0)).unwrap().call).collect();
        for fill in 0..3 {
            let request = lane.request();
            lane.worker.respond(request.call, false, &block(large, fill)).unwrap();
        }
        let last = lane.request();
        let full = lane.worker.respond(last.call, false, &block(large, 3));
        assert_eq!(full.unwrap_err(), SendError::Full);
        assert_eq!(lane.answer().payload, block(large, 0));
        lane.worker.respond(last.call, false, &block(large, 3)).unwrap();
        for (call, fill) in calls[1..].iter().zip(1..) {
            let answer = lane.answer();
            assert_eq!((answer.call, answer.payload), (*call, block(large, fill)));
        }
    }
}

#[test]
fn a_payload_that_can_never_be_sent_is_told_from_a_full_lane() {
    // H20: what waiting mends and what it does not are two kinds of error.
    let mut lane = lane(Features::STAMPS);
    let too_long = SendError::TooLong { len: MAX as usize + 1, max: MAX };
    assert_eq!(lane.host.submit(0, &block(MAX as usize + 1, 0)).unwrap_err(), too_long);
    for tag in [Tag::BUFFER_MOVE, Tag::LOCAL_SHARED_BUFFER, Tag(13), Tag(u32::MAX)] {
        assert_eq!(lane.host.submit(0, &Payload::bare(tag)).unwrap_err(), SendError::Tag(tag));
    }
    let inline = Payload::bytes(Tag::BYTES_INLINE, vec![0; 513]);
    assert_eq!(
        lane.host.submit(0, &inline).unwrap_err(),
        SendError::TooLong { len: 513, max: 512 }
    );
    let head = Payload::two_parts(Tag::ENVELOPE_TEXT_INLINE, vec![0; 600].into(), 513);
    assert!(matches!(lane.host.submit(0, &head).unwrap_err(), SendError::TooLong { .. }));
    assert_eq!(lane.host.in_flight(), 0);
    assert_eq!(lane.host.poisoned(), None);
    let call = lane.host.submit(0, &block(MAX as usize, 1)).unwrap().call;
    assert_eq!(lane.request().call, call.word());
}

#[test]
fn payloads_of_two_parts_come_back_whole() {
    for optional in FEATURES {
        let mut lane = lane(optional);
        for tag in [Tag::ENVELOPE_TEXT_INLINE, Tag::ENVELOPE_TEXT_ARENA] {
            for (head, body) in [(0, 0), (0, 1), (1, 0), (512, 64), (5, 10_000), (511, 513)] {
                let bytes: Vec<u8> = (0..head + body).map(|n| n as u8).collect();
                let sent = Payload::two_parts(tag, bytes.into(), head);
                let call = lane.host.submit(0, &sent).unwrap().call;
                let request = lane.request();
                assert_eq!(request.payload, sent, "{tag} {head} {body}");
                lane.worker.respond(call.word(), false, &request.payload).unwrap();
                assert_eq!(lane.answer().payload, sent, "{tag} {head} {body}");
            }
        }
    }
}

#[test]
fn a_side_that_sleeps_is_to_be_woken_and_one_that_is_awake_is_not() {
    let mut lane = lane(Features::STAMPS);
    let mut worker = WorkerLane::waiter(&lane.memory, &lane.layout).unwrap();
    let mut host = HostLane::waiter(&lane.memory, &lane.layout).unwrap();
    assert!(!lane.host.submit(0, &number(0.0)).unwrap().wake);
    let ticket = worker.announce(&FutexBell);
    assert!(lane.host.submit(1, &block(600, 0)).unwrap().wake);
    // The bell was rung: a wait with the ticket from before would end at once.
    assert_ne!(worker.bell().load_acquire(), ticket.bell);
    worker.retract();
    assert!(!lane.host.submit(2, &block(600, 0)).unwrap().wake);

    // The host is awake: neither a read request nor an answer wakes it.
    assert!(!lane.request().wake);
    assert!(!lane.worker.respond(0, false, &block(600, 0)).unwrap());
    let ticket = host.announce(&FutexBell);
    // It may wait for the block of this request.
    assert!(lane.request().wake);
    assert!(lane.worker.respond(1, false, &block(600, 0)).unwrap());
    assert_ne!(host.bell().load_acquire(), ticket.bell);
    host.retract();
    assert!(!lane.request().wake);

    // The worker may wait for the block of an answer that the host reads.
    assert!(!lane.answer().wake);
    worker.announce(&FutexBell);
    assert!(lane.answer().wake);
    // An answer without a block makes no room.
    lane.worker.respond(2, false, &number(0.0)).unwrap();
    assert!(!lane.answer().wake);
}

#[test]
fn each_side_sees_the_other_one_leave() {
    let mut lane = lane(Features::STAMPS);
    assert_eq!(lane.worker.host_state(), Ok(LaneState::Open));
    lane.host.close();
    assert_eq!(lane.worker.host_state(), Ok(LaneState::Closing));
    lane.worker.close();
    let state = lane.word(lane.layout.worker_control().state).load_acquire();
    assert_eq!(LaneState::from_word(state), Some(LaneState::Closing));
}

/// LANE-2.
#[test]
fn a_forged_or_replayed_answer_poisons_the_host() {
    // H5: an answer has to match a call that is in flight.
    for optional in FEATURES {
        for forged in [1, 32, 1 << 31, u32::MAX] {
            let mut lane = lane(optional);
            lane.host.submit(0, &number(0.0)).unwrap();
            lane.worker.respond(forged, false, &number(0.0)).unwrap();
            let violation = lane.host.take().unwrap_err();
            assert!(
                matches!(violation, ProtocolViolation::UnknownCall { call, .. } if call == forged)
            );
        }
        let mut lane = lane(optional);
        let call = lane.host.submit(0, &number(0.0)).unwrap().call;
        lane.worker.respond(call.word(), false, &number(0.0)).unwrap();
        lane.worker.respond(call.word(), false, &number(0.0)).unwrap();
        lane.answer();
        assert_eq!(lane.host.take().unwrap_err().clause().id(), "LANE-2");
    }
}

/// LANE-15.
#[test]
fn a_poisoned_host_repeats_the_violation_and_touches_nothing() {
    // H12: the first violation is the last thing that is believed.
    for optional in FEATURES {
        let mut lane = lane(optional);
        let first = lane.host.submit(0, &number(0.0)).unwrap().call;
        lane.host.submit(0, &block(600, 1)).unwrap();
        lane.forge(Direction::Response, 0, [0, first.word(), 13, 0, 0, 0, 0]);
        // What comes after it is in order, and not believed either.
        lane.forge(Direction::Response, 1, [0, first.word(), Tag::NULL.0, 0, 0, 0, 0]);
        let before = lane.bytes();
        let violation = lane.host.take().unwrap_err();
        assert_eq!(violation.clause().id(), "PAY-1");
        assert_eq!(lane.host.poisoned(), Some(violation));
        for _ in 0..3 {
            assert_eq!(lane.host.take().unwrap_err(), violation);
            assert_eq!(lane.host.poll().unwrap_err(), violation);
            assert_eq!(lane.host.is_pending().unwrap_err(), violation);
            let refused = SendError::Poisoned(violation);
            assert_eq!(lane.host.submit(0, &number(1.0)).unwrap_err(), refused);
            assert_eq!(lane.host.submit(0, &block(600, 2)).unwrap_err(), refused);
        }
        assert!(lane.bytes() == before, "a poisoned lane was written");
    }
}

#[test]
fn a_block_that_was_not_live_and_is_freed_poisons_the_sender() {
    let mut lane = lane(Features::STAMPS);
    lane.word(lane.layout.arena(Direction::Request).free()).store_release(1 << 4);
    // What needs no block does not look.
    lane.host.submit(0, &number(0.0)).unwrap();
    let violation = ProtocolViolation::FreedDead { blocks: 1 << 4 };
    for _ in 0..2 {
        let refused = lane.host.submit(0, &block(600, 0)).unwrap_err();
        assert_eq!(refused, SendError::Poisoned(violation));
    }
    assert_eq!(lane.host.take().unwrap_err(), violation);
    // The call that was refused is not in flight, the one before it is.
    assert_eq!(lane.host.in_flight(), 1);
}

/// LANE-15.
#[test]
fn a_poisoned_worker_repeats_the_violation_and_touches_nothing() {
    for optional in FEATURES {
        let mut lane = lane(optional);
        lane.forge(Direction::Request, 0, [0, 0, 47, 0, 0, 0, 0]);
        lane.forge(Direction::Request, 1, [0, 1, Tag::NULL.0, 0, 0, 0, 0]);
        let before = lane.bytes();
        let violation = lane.worker.take().unwrap_err();
        assert_eq!(violation.clause().id(), "PAY-3");
        for _ in 0..3 {
            assert_eq!(lane.worker.take().unwrap_err(), violation);
            assert_eq!(lane.worker.poll().unwrap_err(), violation);
            assert_eq!(lane.worker.is_pending().unwrap_err(), violation);
            let refused = lane.worker.respond(1, false, &number(0.0)).unwrap_err();
            assert_eq!(refused, SendError::Poisoned(violation));
        }
        assert!(lane.bytes() == before, "a poisoned lane was written");
    }
}

/// LANE-21, MBX-19: what is taken is released at once, before it is answered and before anybody parks,
/// so that nobody ever waits for a slot.
#[test]
fn a_taken_message_is_released_before_it_is_answered() {
    for optional in FEATURES {
        let mut lane = lane(optional);
        for round in 0..100 {
            for _ in 0..32 {
                lane.host.submit(0, &number(f64::from(round))).unwrap();
            }
            for _ in 0..32 {
                let request = lane.worker.take().unwrap().expect("a request");
                lane.worker.respond(request.call, false, &number(1.0)).unwrap();
            }
            assert!(!lane.worker.is_pending().unwrap());
            let requests = lane.layout.mailbox(Direction::Request);
            let toggles = [requests.publish(), requests.release()].map(|at| lane.word(at));
            assert_eq!(toggles[0].load_acquire(), toggles[1].load_acquire());
            for _ in 0..32 {
                lane.host.take().unwrap().expect("an answer");
            }
            let answers = lane.layout.mailbox(Direction::Response);
            let toggles = [answers.publish(), answers.release()].map(|at| lane.word(at));
            assert_eq!(toggles[0].load_acquire(), toggles[1].load_acquire());
        }
    }
}

#[test]
fn a_host_state_that_no_host_has_poisons_the_worker() {
    for state in [0, 3, u32::MAX] {
        let mut lane = lane(Features::STAMPS);
        lane.word(lane.layout.host_control().state).store_release(state);
        let violation = ProtocolViolation::State { state };
        assert_eq!(lane.worker.host_state(), Err(violation));
        assert_eq!(lane.worker.take().unwrap_err(), violation);
    }
}

/// Numbers without a pattern, the same for the same seed (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % end
    }
}

/// A payload that tells which call it belongs to.
fn payload_of(number: u64, len: usize) -> Payload<'static> {
    let bytes: Vec<u8> = number.to_le_bytes().into_iter().cycle().take(len).collect();
    let tag = if len > 512 { Tag::BYTES_ARENA } else { Tag::BYTES_INLINE };
    Payload::bytes(tag, bytes)
}

/// LANE-10.
#[test]
fn answers_in_any_order_belong_to_their_calls() {
    // KD-1: sizes that vary, more calls than the lane takes, answers out of order.
    for (optional, seed) in FEATURES.into_iter().zip([1, 2]) {
        let mut lane = lane(optional);
        let mut random = Random(seed);
        let mut in_flight = std::collections::HashMap::new();
        let mut served: Vec<Request> = Vec::new();
        let (mut submitted, mut answered, mut full) = (0_u64, 0, 0);
        for _ in 0..30_000 {
            match random.below(4) {
                0 | 1 => {
                    let longest = if random.below(4) == 0 { 16_000 } else { 600 };
                    let sent = payload_of(submitted, random.below(longest) as usize);
                    match lane.host.submit((submitted & 0xffff) as u16, &sent) {
                        Ok(call) => {
                            assert!(
                                in_flight.insert(call.call.word(), (submitted, sent)).is_none()
                            );
                            submitted += 1;
                        }
                        Err(SendError::Full) => full += 1,
                        Err(other) => panic!("seed {seed}: {other}"),
                    }
                }
                2 => {
                    if let Some(request) = lane.worker.take().unwrap() {
                        let (number, sent) = &in_flight[&request.call];
                        assert_eq!(request.payload, *sent, "seed {seed}, call {number}");
                        assert_eq!(request.function, (number & 0xffff) as u16);
                        served.push(request);
                    }
                    if !served.is_empty() {
                        let pick = random.below(served.len() as u64) as usize;
                        let request = &served[pick];
                        match lane.worker.respond(request.call, false, &request.payload) {
                            Ok(_) => drop(served.swap_remove(pick)),
                            Err(SendError::Full) => full += 1,
                            Err(other) => panic!("seed {seed}: {other}"),
                        }
                    }
                }
                _ => {
                    let polled =
                        if random.below(2) == 0 { lane.host.take() } else { lane.host.poll() };
                    if let Some(answer) = polled.unwrap() {
                        let call = in_flight.remove(&answer.call.word());
                        let (number, sent) = call.expect("the call is in flight");
                        assert_eq!(answer.payload, sent, "seed {seed}, call {number}");
                        answered += 1;
                    }
                }
            }
            assert_eq!(lane.host.in_flight() as usize, in_flight.len());
        }
        assert!(answered > 2_500 && full > 50, "seed {seed}: {answered} answers, {full} refusals");
    }
}

/// LANE-16, LANE-17, LANE-23.
#[test]
fn an_abort_is_seen_by_its_call_and_by_no_later_one() {
    for features in FEATURES {
        let mut lane = lane_with_signals(features, 32);
        let aborts = WorkerLane::aborts(&lane.memory, &lane.layout).unwrap();
        let first = lane.host.submit(0, &number(1.0)).unwrap().call;
        let second = lane.host.submit(0, &number(2.0)).unwrap().call;
        assert!(lane.host.abort(second));
        let (one, two) = (lane.request(), lane.request());
        let is_aborted = |request: &Request| aborts.is_set(request.abort.unwrap());
        assert_eq!((is_aborted(&one), is_aborted(&two)), (false, true));
        // Again, and after its end.
        assert!(lane.host.abort(second));
        lane.worker.respond(two.call, true, &number(0.0)).unwrap();
        assert_eq!(lane.answer().call, second);
        assert!(!lane.host.abort(second));
        lane.worker.respond(one.call, false, &number(0.0)).unwrap();
        assert_eq!(lane.answer().call, first);
        for _ in 0..64 {
            lane.host.submit(0, &number(3.0)).unwrap();
            let request = lane.request();
            assert!(!is_aborted(&request));
            lane.worker.respond(request.call, false, &number(0.0)).unwrap();
            lane.answer();
        }
    }
}

#[test]
fn a_lane_without_abort_signals_has_calls_that_cannot_be_aborted() {
    for (signals, told) in [(0, 0), (3, 3), (32, 32), (258, 32)] {
        let mut lane = lane_with_signals(Features::NONE, signals);
        let calls: Vec<_> =
            (0..32).map(|_| lane.host.submit(0, &number(1.0)).unwrap().call).collect();
        for _ in &calls {
            let request = lane.request();
            assert!(request.abort.is_none_or(|signal| u32::from(signal) < signals));
        }
        assert_eq!(calls.iter().filter(|call| lane.host.abort(**call)).count(), told);
    }
}
