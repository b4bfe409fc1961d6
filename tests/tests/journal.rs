//! The stage journal against the truth: a worker dies after its n-th store, for every n, and what the host
//! says of each call is what has happened. C9.

use knit_codec::Payload;
use knit_lanes::{CallId, WorkerLane};
use knit_proto::{Direction, Features, SLOTS, SlotMask, Stage, Tag};
use knit_ring::{SharedMemory, SharedWord};
use knit_tests::{Announced, CrashMemory, StopBehaviour, until_stop};
use std::collections::BTreeMap;

/// What a task wrote down, as a file would have it: the calls that began, and those that were over.
#[derive(Debug, Default, PartialEq)]
struct Truth {
    began: Vec<u32>,
    over: Vec<u32>,
}

fn announced(optional: Features) -> Announced {
    Announced::new(32, optional, Features::SUPPORTED)
}

/// A payload of another form for each number.
fn payload(number: u32) -> Payload<'static> {
    let number = number % 20;
    match number % 3 {
        0 => Payload::scalar(Tag::NUMBER, u64::from(number)),
        1 => Payload::bytes(Tag::BYTES_INLINE, vec![number as u8; 10]),
        _ => Payload::bytes(Tag::BYTES_ARENA, vec![number as u8; 20]),
    }
}

/// How many calls the host makes in each round.
const ROUNDS: [u32; 4] = [1, 3, 2, 4];

/// Serves what is there. The task writes down that it began, and that it is over.
fn serve<M: SharedMemory>(worker: &mut WorkerLane<M>, truth: &mut Truth) {
    while let Some(request) = worker.take().unwrap() {
        truth.began.push(request.call);
        truth.over.push(request.call);
        worker.respond(request.call, false, &payload(request.call + 1)).unwrap();
    }
}

/// Offset and value of each store of the worker.
type Stores = Vec<(u32, u32)>;

/// Rounds of calls to a worker that dies on the way; what it did, and what the host finds.
fn exchange(stores: u64) -> (Truth, BTreeMap<u32, Found>, Stores, Announced) {
    let lane = announced(Features::SUPPORTED);
    let dying = CrashMemory::stopping_after(&lane.memory, stores, StopBehaviour::Unwind);
    let mut truth = Truth::default();
    let mut found = BTreeMap::new();
    let Some(mut worker) = until_stop(|| lane.open(&dying)) else {
        return (truth, found, dying.stores(), lane);
    };
    let mut host = lane.connect(&lane.memory);
    for calls in ROUNDS {
        let calls: Vec<CallId> =
            (0..calls).map(|n| host.submit(0, &payload(n)).unwrap().call).collect();
        let alive = until_stop(|| serve(&mut worker, &mut truth)).is_some();
        while let Some(answer) = host.take().unwrap() {
            found.insert(answer.call.word(), Found::Finished);
        }
        for call in calls {
            let found = found.entry(call.word());
            found.or_insert_with(|| match host.may_have_run(call) {
                true => Found::MayHaveRun,
                false => Found::NotStarted,
            });
        }
        if !alive {
            break;
        }
    }
    (truth, found, dying.stores(), lane)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Finished,
    NotStarted,
    MayHaveRun,
}

/// LANE-34, LANE-35, LANE-36.
#[test]
fn after_every_store_the_host_says_what_has_happened_to_each_call() {
    let (truth, found, stores, _) = exchange(u64::MAX);
    let calls = ROUNDS.iter().sum::<u32>() as usize;
    assert_eq!((truth.began.len(), truth.over.len(), found.len()), (calls, calls, calls));
    assert!(found.values().all(|found| *found == Found::Finished));
    let mut seen = [0; 3];
    for n in 0..=stores.len() {
        let (truth, found, stored, lane) = exchange(n as u64);
        assert_eq!(stored, stores[..n], "the worker does the same every time");
        let mut unknown = 0;
        for (call, found) in found {
            let began = truth.began.contains(&call);
            let over = truth.over.contains(&call);
            match found {
                Found::Finished => assert!(began && over, "{call} after {n} stores"),
                Found::NotStarted => assert!(!began, "{call} after {n} stores"),
                Found::MayHaveRun => {
                    unknown += 1;
                    // Exact: only between the two stores around the task nobody knows.
                    let taken = (lane.journal_at(call).bytes(), Stage::Taken.of_call(call));
                    assert!(stored.contains(&taken), "{call} after {n} stores");
                }
            }
            seen[found as usize] += 1;
        }
        assert!(unknown <= 1, "one task runs at a time");
    }
    println!("{} points: finished, not started, may have run: {seen:?}", stores.len() + 1);
    assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
}

/// LANE-34, LANE-35: where the words stand among the worker's other stores.
#[test]
fn taken_is_stored_before_the_task_and_done_before_the_answer() {
    let (_, found, stores, lane) = exchange(u64::MAX);
    let at = |wanted: (u32, u32)| stores.iter().position(|store| *store == wanted).expect("stored");
    let publish = lane.layout.mailbox(Direction::Response).publish().bytes();
    for call in found.into_keys() {
        let word = lane.journal_at(call).bytes();
        let [taken, done] =
            [Stage::Taken, Stage::Done].map(|stage| at((word, stage.of_call(call))));
        let answered = stores[taken..].iter().position(|(at, _)| *at == publish).unwrap() + taken;
        assert!(taken < done && done < answered, "{call}");
    }
}

/// LANE-36: tasks of one lane that run side by side, and end in any order.
#[test]
fn calls_that_are_open_side_by_side_are_told_apart() {
    let lane = announced(Features::JOURNAL);
    let mut worker = lane.open(&lane.memory);
    let mut host = lane.connect(&lane.memory);
    let mut wanted = Vec::new();
    for round in 0..5 {
        let calls: Vec<_> = (0..SLOTS).map(|n| host.submit(0, &payload(n)).unwrap().call).collect();
        let taken: Vec<_> = (0..20).map(|_| worker.take().unwrap().unwrap().call).collect();
        // The second half of those first.
        for call in taken[10..].iter().chain(&taken[..5]) {
            worker.respond(*call, false, &payload(*call)).unwrap();
        }
        if round < 4 {
            for call in &taken[5..10] {
                worker.respond(*call, false, &payload(*call)).unwrap();
            }
            while let Some(request) = worker.take().unwrap() {
                worker.respond(request.call, true, &payload(0)).unwrap();
            }
            while host.take().unwrap().is_some() {}
        } else {
            wanted = calls;
        }
    }
    let mut answered = Vec::new();
    while let Some(answer) = host.take().unwrap() {
        answered.push(answer.call);
    }
    let outcome = |call: &CallId| match (answered.contains(call), host.may_have_run(*call)) {
        (true, _) => Found::Finished,
        (false, true) => Found::MayHaveRun,
        (false, false) => Found::NotStarted,
    };
    for (n, call) in wanted.iter().enumerate() {
        let expected = match n {
            5..10 => Found::MayHaveRun,
            0..20 => Found::Finished,
            _ => Found::NotStarted,
        };
        assert_eq!(outcome(call), expected, "call {n}");
    }
}

/// LANE-33: 32 calls in flight have 32 words, however often their places were used.
#[test]
fn calls_in_flight_differ_modulo_32() {
    let lane = announced(Features::JOURNAL);
    let mut worker = lane.open(&lane.memory);
    let mut host = lane.connect(&lane.memory);
    for round in 0..50_u32 {
        let mut words = SlotMask::EMPTY;
        let nothing = Payload::bare(Tag::UNDEFINED);
        while host.has_place() {
            let call = host.submit(0, &nothing).unwrap().call.word();
            let place = knit_proto::SlotIndex::new(call % SLOTS).unwrap();
            assert!(!words.contains(place), "call {call} in round {round}");
            words = words.with(place);
        }
        assert_eq!(words, SlotMask::ALL);
        // Some stay for the next round.
        for _ in 0..=round % 32 {
            let call = worker.take().unwrap().unwrap().call;
            worker.respond(call, false, &nothing).unwrap();
        }
        while host.take().unwrap().is_some() {}
        while let Some(request) = worker.take().unwrap() {
            worker.respond(request.call, false, &nothing).unwrap();
        }
        while host.take().unwrap().is_some() {}
    }
}

/// LANE-36: whatever a hostile worker stores, the host says no more than that a task may have run.
#[test]
fn every_other_word_means_that_the_task_may_have_run() {
    let lane = announced(Features::JOURNAL);
    let mut worker = lane.open(&lane.memory);
    let mut host = lane.connect(&lane.memory);
    for before in [None, Some(0_u32), Some(32)] {
        let call = host.submit(0, &payload(0)).unwrap().call;
        let expected = before.map_or(0, |before| Stage::Done.of_call(before));
        let word = lane.journal(call.word());
        assert_eq!((word.load_relaxed(), host.may_have_run(call)), (expected, false));
        let mut others: Vec<u32> = (0..32).map(|bit| expected ^ 1 << bit).collect();
        others.extend((0..200).map(|n| expected.wrapping_add(1 + n * 0x0123_4567)));
        others.extend([Stage::Taken, Stage::Done].map(|stage| stage.of_call(call.word())));
        for other in others {
            word.store_relaxed(other);
            assert_eq!(host.may_have_run(call), other != expected, "{other:#x}");
        }
        word.store_relaxed(expected);
        let request = worker.take().unwrap().unwrap();
        assert!(host.may_have_run(call), "taken");
        worker.respond(request.call, false, &payload(0)).unwrap();
        assert!(host.may_have_run(call), "done, and nobody has read the answer");
        host.take().unwrap().unwrap();
        assert!(host.may_have_run(call), "not in flight: the host knows how it ended");
    }
    // A worker that answers without a word about it is not believed about the next call.
    let call = host.submit(0, &payload(0)).unwrap().call;
    let request = worker.take().unwrap().unwrap();
    worker.respond(request.call, false, &payload(0)).unwrap();
    lane.journal(call.word()).store_relaxed(0);
    host.take().unwrap().unwrap();
    let next = host.submit(0, &payload(0)).unwrap().call;
    assert!(host.may_have_run(next));
}

/// LANE-36: without the feature nothing is known, and nothing is stored. SEG-14.
#[test]
fn without_the_feature_every_call_may_have_run() {
    let lane = announced(Features::STAMPS);
    let mut worker = lane.open(&lane.memory);
    let mut host = lane.connect(&lane.memory);
    let call = host.submit(0, &payload(0)).unwrap().call;
    assert!(host.may_have_run(call));
    let request = worker.take().unwrap().unwrap();
    worker.respond(request.call, false, &payload(0)).unwrap();
    assert_eq!(lane.journal(call.word()).load_relaxed(), 0);
}

/// LANE-36: of a worker that broke the protocol nothing is believed.
#[test]
fn after_a_violation_every_call_may_have_run() {
    let lane = announced(Features::JOURNAL);
    let _worker = lane.open(&lane.memory);
    let mut host = lane.connect(&lane.memory);
    let call = host.submit(0, &payload(0)).unwrap().call;
    assert!(!host.may_have_run(call));
    lane.memory.word(lane.layout.worker_control().state).unwrap().store_release(77);
    host.take().unwrap_err();
    assert!(host.may_have_run(call));
}
