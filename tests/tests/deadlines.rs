//! The deadlines of a lane, word for word: what a host stores and when, and what a worker makes of any words.

use knit_codec::Payload;
use knit_lanes::{HostLane, MonotonicTime, SendError, WorkerLane};
use knit_proto::{Direction, Features, SLOTS, Tag, WordOffset};
use knit_ring::{HeapMemory, SharedMemory, SharedWord};
use knit_tests::{Announced, CrashMemory};

const MAX: u32 = Announced::MAX_PAYLOAD;
const NOTHING: Payload<'static> = Payload::bare(Tag::UNDEFINED);

fn announced(signals: u32, optional: Features) -> Announced {
    Announced::new(signals, optional, Features::DEADLINES)
}

fn entry(lane: &Announced, call: u32) -> [u32; 2] {
    lane.deadline(call).map(|word| word.load_relaxed())
}

fn store(lane: &Announced, call: u32, words: [u32; 2]) {
    lane.deadline(call).iter().zip(words).for_each(|(word, value)| word.store_relaxed(value));
}

fn at(nanoseconds: u64) -> Option<MonotonicTime> {
    Some(MonotonicTime::from_nanoseconds(nanoseconds))
}

/// One call from its submission to its answer; what the worker was told of its deadline.
fn call<M: SharedMemory>(
    host: &mut HostLane<M>,
    worker: &mut WorkerLane<HeapMemory>,
    deadline: Option<MonotonicTime>,
) -> Option<MonotonicTime> {
    host.submit_until(0, &NOTHING, deadline).unwrap();
    let request = worker.take().unwrap().expect("a request");
    let told = worker.deadline(request.call);
    worker.respond(request.call, false, &NOTHING).unwrap();
    host.take().unwrap().expect("an answer");
    told
}

/// LANE-46: both words come before E1 of the request; where neither the call nor the one before it in its place has a
/// deadline, nothing is stored at all.
#[test]
fn deadlines_are_stored_before_the_request_and_only_where_there_are_any() {
    let lane = announced(32, Features::DEADLINES);
    let mut worker = lane.open(&lane.memory);
    let noted = CrashMemory::recording(&lane.memory);
    let mut host = lane.connect(&noted);
    assert_eq!(host.features(), Features::DEADLINES);
    let table = lane.layout.deadlines();
    let publish = lane.layout.mailbox(Direction::Request).publish().bytes();
    let steps = [None, None, at(5 << 32 | 9), at(7), at(7), None, None, at(u64::MAX)];
    let mut before = None;
    for deadline in steps {
        let from = noted.stores().len();
        assert_eq!(call(&mut host, &mut worker, deadline), deadline);
        let stores = &noted.stores()[from..];
        let published = stores.iter().position(|(at, _)| *at == publish).expect("a request");
        let stated: Vec<_> = stores
            .iter()
            .enumerate()
            .filter(|(_, (at, _))| (table.at()..table.end()).contains(at))
            .collect();
        if deadline.is_none() && before.is_none() {
            assert!(stated.is_empty(), "{stated:?}");
        } else {
            let [low, high] = MonotonicTime::words(deadline);
            let [low_at, high_at] = lane.deadline_at(0).map(WordOffset::bytes);
            assert_eq!(stated.len(), 2);
            assert_eq!([*stated[0].1, *stated[1].1], [(low_at, low), (high_at, high)]);
            assert!(stated.iter().all(|(n, _)| *n < published));
        }
        before = deadline;
    }
}

/// LANE-33, LANE-46: 32 calls in flight, and what each had says nothing of the next one in its place.
#[test]
fn every_call_in_flight_has_an_entry_of_its_own() {
    let lane = announced(32, Features::DEADLINES);
    let (mut host, mut worker) = lane.ends();
    for round in 0..4_u64 {
        let deadline = |n: u64| match (n + round).is_multiple_of(2) {
            true => at((n << 33) | (round + 1)),
            false => None,
        };
        for n in 0..32 {
            host.submit_until(0, &NOTHING, deadline(n)).unwrap();
        }
        assert_eq!(host.submit_until(0, &NOTHING, at(1)), Err(SendError::Full));
        let mut seen = 0;
        while let Some(request) = worker.take().unwrap() {
            assert_eq!(worker.deadline(request.call), deadline(u64::from(request.call % 32)));
            worker.respond(request.call, false, &NOTHING).unwrap();
            seen += 1;
        }
        assert_eq!(seen, 32);
        while host.take().unwrap().is_some() {}
    }
}

/// LANE-46: a call that found no room has stated its deadline already. The next one with its place has its own, or none.
#[test]
fn a_deadline_of_a_call_that_was_not_sent_is_nobodys() {
    let lane = announced(32, Features::DEADLINES);
    let (mut host, mut worker) = lane.ends();
    let long = Payload::bytes(Tag::BYTES_ARENA, vec![1; MAX as usize + 1]);
    for next in [None, at(3)] {
        host.submit_until(0, &long, at(77)).unwrap_err();
        assert_eq!(call(&mut host, &mut worker, next), next);
    }
}

/// SEG-14, LANE-46: where the feature is not in force, deadlines are told to nobody and read by nobody.
#[test]
fn without_the_feature_the_words_have_no_meaning() {
    let lane = announced(32, Features::DEADLINES);
    let mut worker = WorkerLane::open(&lane.memory, &lane.layout, MAX, 2).unwrap();
    let mut host = lane.connect(&lane.memory);
    assert_eq!(host.features(), Features::NONE);
    assert_eq!(call(&mut host, &mut worker, at(5)), None);
    assert!((0..SLOTS).all(|call| entry(&lane, call) == [0; 2]));
    store(&lane, 0, [1, 2]);
    assert_eq!(call(&mut host, &mut worker, None), None);
}

/// LANE-47, H2: a host that says anything at any time says a number, and the call goes on.
#[test]
fn hostile_words_are_numbers() {
    let lane = announced(32, Features::DEADLINES);
    let (mut host, mut worker) = lane.ends();
    let words = [0, 1, 2, 31, 0x7fff_ffff, 0x8000_0000, u32::MAX];
    for (low, high) in words.iter().flat_map(|low| words.map(|high| (*low, high))) {
        host.submit_until(0, &NOTHING, at(9)).unwrap();
        let request = worker.take().unwrap().expect("a request");
        store(&lane, request.call, [low, high]);
        let told = worker.deadline(request.call);
        assert_eq!(told, MonotonicTime::from_words(low, high));
        assert_eq!(
            told.map_or(0, MonotonicTime::nanoseconds),
            u64::from(high) << 32 | u64::from(low)
        );
        // Another one while the task asks again.
        store(&lane, request.call, [!low, high]);
        assert_eq!(worker.deadline(request.call), MonotonicTime::from_words(!low, high));
        worker.respond(request.call, false, &NOTHING).unwrap();
        host.take().unwrap().expect("an answer");
    }
    // Ids that no call has.
    for call in [7, 31, 32, u32::MAX] {
        let [low, high] = entry(&lane, call);
        assert_eq!(worker.deadline(call), MonotonicTime::from_words(low, high));
    }
}

/// A lane reads no clock: it is told the time, names each call once whose deadline has come, and tells its worker, also where
/// that is not told the deadlines.
#[test]
fn calls_expire_when_their_deadline_has_come() {
    for (signals, features) in
        [(0, Features::NONE), (32, Features::NONE), (32, Features::DEADLINES)]
    {
        let lane = announced(signals, features);
        let mut worker = lane.open(&lane.memory);
        let mut host = lane.connect(&lane.memory);
        let aborts = WorkerLane::aborts(&lane.memory, &lane.layout).unwrap();
        let mut submit = |deadline: Option<MonotonicTime>| {
            host.submit_until(0, &NOTHING, deadline).unwrap().call
        };
        let (late, never) = (submit(at(300)), submit(None));
        let early = [submit(at(100)), submit(at(200))];
        let now = MonotonicTime::from_nanoseconds;
        assert_eq!(host.next_deadline(), at(100));
        assert_eq!(host.expire(now(99)), []);
        assert_eq!(host.expire(now(200)), early);
        assert_eq!((host.expire(now(200)), host.in_flight()), (vec![], 4));
        assert_eq!(host.next_deadline(), at(300));
        // The worker is told where the lane has signals, and answers all of them.
        for call in [late, never, early[0], early[1]] {
            let request = worker.take().unwrap().expect("a request");
            assert_eq!(request.call, call.word());
            let is_over = signals > 0 && early.contains(&call);
            assert_eq!(request.abort.is_some_and(|signal| aborts.is_set(signal)), is_over);
            worker.respond(request.call, false, &NOTHING).unwrap();
            assert_eq!(host.take().unwrap().expect("an answer").call, call);
        }
        // What has ended in time does not expire, nor does what comes into its place.
        assert_eq!((host.next_deadline(), host.expire(now(u64::MAX))), (None, vec![]));
        for _ in 0..SLOTS {
            host.submit(0, &NOTHING).unwrap();
            assert_eq!(host.expire(now(u64::MAX)), []);
        }
    }
}
