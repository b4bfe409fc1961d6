//! Withdrawal at both ends of one lane: what the host is told of a call, against what the worker did with it.

use knit_codec::{Decode, Limits, Payload};
use knit_lanes::{Answer, CallId, HostLane, Request, WorkerLane};
use knit_proto::{Direction, Features, HEADER_LINE_AT, ProtocolViolation, SLOTS, Stage, Tag};
use knit_ring::{HeapMemory, Mapped, Mapping, SharedMemory, SharedWord};
use knit_tests::{Announced, CrashMemory, Noise, StopBehaviour, until_stop};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const FEATURES: Features = Features::JOURNAL.or(Features::WITHDRAW).or(Features::STAMPS);

fn announced(optional: Features) -> Announced {
    Announced::new(32, optional, FEATURES)
}

fn number(value: u32) -> Payload<'static> {
    Payload::scalar(Tag::NUMBER, u64::from(value))
}

fn submit<const N: usize>(host: &mut HostLane<HeapMemory>) -> [CallId; N] {
    std::array::from_fn(|n| host.submit(0, &number(n as u32)).unwrap().call)
}

fn take<M: SharedMemory>(worker: &mut WorkerLane<M>) -> Request {
    worker.take().unwrap().expect("a request")
}

fn answer(host: &mut HostLane<HeapMemory>) -> Answer {
    host.take().unwrap().expect("an answer")
}

/// LANE-38, LANE-39, LANE-41, LANE-42.
#[test]
fn calls_behind_an_open_one_are_not_run_and_their_places_come_back() {
    let lane = announced(FEATURES);
    let (mut host, mut worker) = lane.ends();
    for round in 0..5 {
        let [first, second, third, fourth] = submit(&mut host);
        assert_eq!(take(&mut worker).call, first.word());
        assert_eq!(host.begun().unwrap().bits(), 1 << first.place());
        assert_eq!(host.withdraw(&[second, fourth]), [second, fourth]);
        assert!(host.is_withdrawing());
        assert_eq!(lane.withdrawn(), 1 << second.place() | 1 << fourth.place(), "round {round}");
        // Asked again, nothing is named twice.
        assert_eq!(host.withdraw(&[second, fourth]), []);
        assert_eq!(host.settle(), []);
        worker.respond(first.word(), false, &number(7)).unwrap();
        for wanted in [second, third, fourth] {
            let request = take(&mut worker);
            assert_eq!((request.call, request.withdrawn), (wanted.word(), wanted != third));
            match request.withdrawn {
                true => worker.respond_withdrawn(request.call).unwrap(),
                false => worker.respond(request.call, true, &number(8)).unwrap(),
            };
        }
        for (call, withdrawn) in [(first, false), (second, true), (third, false), (fourth, true)] {
            let answer = answer(&mut host);
            assert_eq!((answer.call, answer.withdrawn), (call, withdrawn));
            assert_eq!(answer.rejected, call == third);
            assert_eq!(answer.payload.tag() == Tag::UNDEFINED, withdrawn);
        }
        assert_eq!((host.is_withdrawing(), lane.withdrawn(), host.in_flight()), (false, 0, 0));
    }
}

/// LANE-41: a worker that is at no call may take the next one at any moment.
#[test]
fn nothing_is_certain_while_the_worker_is_at_no_call() {
    let lane = announced(FEATURES);
    let (mut host, mut worker) = lane.ends();
    let [first, second, third] = submit(&mut host);
    assert_eq!(host.withdraw(&[first, third]), []);
    // The first one is given back, as the worker sees the bit.
    let request = take(&mut worker);
    assert!(request.withdrawn);
    // Now the host sees that the worker is at a call, and that the last one was not begun.
    assert_eq!(host.settle(), [third]);
    worker.respond_withdrawn(request.call).unwrap();
    let run = take(&mut worker);
    assert_eq!((run.call, run.withdrawn), (second.word(), false));
    let given_back = answer(&mut host);
    assert_eq!((given_back.call, given_back.withdrawn), (first, true));
}

/// LANE-39: a call that was begun before is answered with its result.
#[test]
fn a_call_that_has_begun_ends_as_if_nothing_had_been_said() {
    let lane = announced(FEATURES);
    let (mut host, mut worker) = lane.ends();
    let [first, second] = submit(&mut host);
    let requests = [take(&mut worker), take(&mut worker)];
    assert_eq!(host.withdraw(&[first, second]), []);
    for request in requests {
        assert!(!request.withdrawn);
        worker.respond(request.call, false, &number(3)).unwrap();
        assert!(!answer(&mut host).withdrawn);
    }
    assert_eq!((host.is_withdrawing(), lane.withdrawn()), (false, 0));
}

/// LANE-39: what a worker may not say.
#[test]
fn a_word_about_withdrawal_that_is_not_true_is_a_violation() {
    let violation = |says: bool, prepare: &dyn Fn(&mut HostLane<HeapMemory>, CallId)| {
        let lane = announced(FEATURES);
        let (mut host, mut worker) = lane.ends();
        let [first, second] = submit(&mut host);
        take(&mut worker);
        prepare(&mut host, second);
        worker.respond(first.word(), false, &number(0)).unwrap();
        assert!(!answer(&mut host).withdrawn);
        take(&mut worker);
        match says {
            true => worker.respond_withdrawn(second.word()).unwrap(),
            false => worker.respond(second.word(), false, &number(0)).unwrap(),
        };
        let violation = host.take().unwrap_err();
        assert_eq!(host.poisoned(), Some(violation));
        assert_eq!((violation.name(), violation.clause().id()), ("withdrawn", "LANE-39"));
        assert!(
            matches!(violation, ProtocolViolation::Withdrawn { call, says: it, .. } if call == second.word() && it == says)
        );
        assert_eq!((host.begun(), host.settle()), (None, Vec::new()));
    };
    // Nobody has asked.
    violation(true, &|_, _| {});
    // It was asked in time, and runs the task all the same.
    violation(false, &|host, second| assert_eq!(host.withdraw(&[second]), [second]));
}

/// PAY-24, LANE-2, LANE-39: what the header line says comes first, then whether the call is in flight, then whether its answer can say
/// this of it. The bytes come last.
#[test]
fn an_answer_is_checked_in_the_order_of_the_reading_steps() {
    let found = |in_flight: bool, says: bool, tag: Option<u32>| {
        let lane = announced(FEATURES);
        let (mut host, mut worker) = lane.ends();
        let [call] = submit(&mut host);
        take(&mut worker);
        let id = if in_flight { call.word() } else { call.word() + SLOTS };
        let not_utf8 = Payload::bytes(Tag::STRING_INLINE, vec![0xff]);
        match says {
            true => worker.respond_withdrawn(id).unwrap(),
            false => worker.respond(id, false, &not_utf8).unwrap(),
        };
        if let Some(tag) = tag {
            let at = lane.layout.mailbox(Direction::Response).slots().word(HEADER_LINE_AT + 8);
            lane.memory.word(at.unwrap()).unwrap().store_relaxed(tag);
        }
        match host.take() {
            Ok(answer) => {
                String::decode(answer.unwrap().payload, &Limits::default()).unwrap_err().name()
            }
            Err(violation) => Some(violation.name()),
        }
    };
    assert_eq!(found(false, true, Some(13)), Some("answer_flags"));
    assert_eq!(found(false, false, Some(13)), Some("unassigned_tag"));
    assert_eq!(found(false, true, None), Some("unknown_call"));
    assert_eq!(found(false, false, None), Some("unknown_call"));
    assert_eq!(found(true, true, None), Some("withdrawn"));
    assert_eq!(found(true, false, None), Some("utf8"));
}

/// MBX-5, SEG-14: without the feature no bit is stored, and no such answer exists.
#[test]
fn without_the_features_nothing_is_withdrawn() {
    for features in [Features::JOURNAL, Features::WITHDRAW, Features::NONE] {
        let lane = announced(features);
        let (mut host, mut worker) = lane.ends();
        let [first, second] = submit(&mut host);
        take(&mut worker);
        assert_eq!((host.begun(), host.withdraw(&[second])), (None, Vec::new()));
        assert_eq!((lane.withdrawn(), host.is_withdrawing()), (0, false));
        worker.respond(first.word(), false, &number(0)).unwrap();
        answer(&mut host);
        assert!(!take(&mut worker).withdrawn);
        worker.respond_withdrawn(second.word()).unwrap();
        let clause = host.take().unwrap_err().clause().id();
        let expected = if features.contains(Features::WITHDRAW) { "LANE-39" } else { "MBX-5" };
        assert_eq!(clause, expected, "{features}");
    }
}

/// A worker that lies in its journal lies about its own calls: the host says no more than what stands there.
#[test]
fn every_other_journal_word_leaves_the_call_with_the_worker() {
    let lane = announced(FEATURES);
    let (mut host, mut worker) = lane.ends();
    let [first, second] = submit(&mut host);
    take(&mut worker);
    assert_eq!(host.withdraw(&[]), []);
    let open = Stage::Taken.of_call(first.word());
    for word in (0..32).map(|bit| open ^ 1 << bit).chain([0, u32::MAX]) {
        lane.journal(first.word()).store_relaxed(word);
        assert_eq!(host.withdraw(&[second]), [], "{word:#x}");
    }
    lane.journal(first.word()).store_relaxed(open);
    for word in (0..32).map(|bit| 1 << bit).chain([u32::MAX, open]) {
        lane.journal(second.word()).store_relaxed(word);
        assert_eq!(host.settle(), [], "{word:#x}");
    }
    lane.journal(second.word()).store_relaxed(0);
    assert_eq!(host.settle(), [second]);
}

/// LANE-40: a worker that takes a call while another one is open looks as well.
#[test]
fn tasks_that_run_side_by_side_leave_what_was_withdrawn() {
    let lane = announced(FEATURES);
    let (mut host, mut worker) = lane.ends();
    let calls: [CallId; 32] = submit(&mut host);
    for call in &calls[..10] {
        assert_eq!(take(&mut worker).call, call.word());
    }
    // Of the first ten it is too late.
    assert_eq!(host.withdraw(&calls), calls[10..]);
    for call in &calls[10..] {
        let request = take(&mut worker);
        assert_eq!((request.call, request.withdrawn), (call.word(), true));
        worker.respond_withdrawn(request.call).unwrap();
        assert!(answer(&mut host).withdrawn);
    }
    for call in calls[..10].iter().rev() {
        worker.respond(call.word(), false, &number(0)).unwrap();
        assert!(!answer(&mut host).withdrawn);
    }
    assert_eq!(lane.withdrawn(), 0);
}

/// How a call of a worker that has died came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Finished,
    GivenBack,
    Moved,
    NotStarted,
    MayHaveRun,
}

/// Four calls; one of them is withdrawn before the worker begins, one when `late` calls have begun. The worker dies after so many
/// stores. What its tasks wrote down, and what the host finds.
fn exchange(stores: u64, late: usize) -> (Vec<u32>, BTreeMap<u32, Vec<Found>>, usize) {
    let lane = announced(FEATURES);
    let dying = CrashMemory::stopping_after(&lane.memory, stores, StopBehaviour::Unwind);
    let (mut began, mut found) = (Vec::new(), BTreeMap::<u32, Vec<Found>>::new());
    let Some(mut worker) = until_stop(|| lane.open(&dying)) else {
        return (began, found, dying.stores().len());
    };
    let mut host = lane.connect(&lane.memory);
    let calls: [CallId; 4] = submit(&mut host);
    let note = |found: &mut BTreeMap<u32, Vec<Found>>, calls: Vec<CallId>, what| {
        calls.iter().for_each(|call| found.entry(call.word()).or_default().push(what));
    };
    note(&mut found, host.withdraw(&[calls[1]]), Found::Moved);
    let alive = until_stop(|| {
        while let Some(request) = worker.take().unwrap() {
            if request.withdrawn {
                worker.respond_withdrawn(request.call).unwrap();
                continue;
            }
            began.push(request.call);
            if began.len() == late {
                note(&mut found, host.withdraw(&[calls[2], calls[3]]), Found::Moved);
            }
            worker.respond(request.call, false, &number(1)).unwrap();
        }
    });
    note(&mut found, host.settle(), Found::Moved);
    while let Some(answer) = host.take().unwrap() {
        let what = if answer.withdrawn { Found::GivenBack } else { Found::Finished };
        note(&mut found, vec![answer.call], what);
    }
    for call in calls {
        let what = if host.may_have_run(call) { Found::MayHaveRun } else { Found::NotStarted };
        if !found.contains_key(&call.word()) {
            note(&mut found, vec![call], what);
        }
    }
    assert!(alive.is_none() || host.in_flight() == 0);
    (began, found, dying.stores().len())
}

/// LANE-36, LANE-41, C9: wherever the worker dies, a call that the host makes again has not begun, and it is made again
/// once.
#[test]
fn after_every_store_a_call_that_is_made_again_has_not_begun() {
    let mut seen = BTreeMap::<Found, u32>::new();
    for late in 1..=3 {
        let (_, _, stores) = exchange(u64::MAX, late);
        for n in 0..=stores as u64 {
            let (began, found, _) = exchange(n, late);
            for (call, found) in found {
                let ran = began.contains(&call);
                // The answer to a call that has moved is no second end.
                let ends = match &found[..] {
                    [Found::Moved, Found::GivenBack] => Found::Moved,
                    [one] => *one,
                    other => panic!("{call} after {n} stores: {other:?}"),
                };
                match ends {
                    Found::Finished => assert!(ran, "{call} after {n} stores"),
                    Found::MayHaveRun => {}
                    Found::Moved | Found::GivenBack | Found::NotStarted => {
                        assert!(!ran, "{call} after {n} stores: {ends:?}");
                    }
                }
                *seen.entry(ends).or_default() += 1;
            }
        }
    }
    println!("{seen:?}");
    assert!(seen.len() == 5 && seen.values().all(|count| *count > 5), "{seen:?}");
}

/// Rounds of the test below, at least: some hundred milliseconds.
const ROUNDS: u32 = 4000;
/// When no more are tried.
const DEADLINE: Duration = Duration::from_secs(20);

/// LANE-40, LANE-41: two threads on real memory. In each round the worker serves what there is, one call at a time or several at once,
/// while the host withdraws what it can.
#[test]
fn between_two_threads_nothing_runs_of_which_the_host_was_certain() {
    for side_by_side in [1, 3] {
        let mapped = |len| Mapping::create(len).unwrap();
        let (mut host, mut worker) = Announced::over(mapped, 32, FEATURES, FEATURES).ends();
        // By place: the last call there that has run.
        let ran: [AtomicU32; SLOTS as usize] = [const { AtomicU32::new(u32::MAX) }; SLOTS as usize];
        let (mut counts, mut rounds, start) = ([0_u32; 3], 0, Instant::now());
        std::thread::scope(|scope| {
            scope.spawn(|| serve_side_by_side(&mut worker, side_by_side, &ran));
            // It may take more until the host finds the worker at a call.
            while rounds < ROUNDS || counts[0] == 0 && start.elapsed() < DEADLINE {
                counts_of_round(&mut host, &ran, &mut counts);
                rounds += 1;
            }
            host.close();
        });
        println!("{side_by_side} at a time: certain, given back, run: {counts:?}");
        assert_eq!(counts[0] + counts[1] + counts[2], rounds * 6);
        assert!(counts[0] > 0, "{counts:?}");
    }
}

fn serve_side_by_side(
    worker: &mut WorkerLane<Mapped<Mapping>>,
    most: usize,
    ran: &[AtomicU32; SLOTS as usize],
) {
    let mut open = VecDeque::new();
    loop {
        let request = if open.len() < most { worker.take().unwrap() } else { None };
        match request {
            Some(request) if request.withdrawn => {
                worker.respond_withdrawn(request.call).unwrap();
            }
            Some(request) => {
                ran[(request.call % SLOTS) as usize].store(request.call, Ordering::SeqCst);
                // Tasks of many lengths.
                (0..request.call / SLOTS % 64 * 16).for_each(|_| std::hint::spin_loop());
                if request.call / SLOTS % 64 == 63 {
                    // The host looks at this call also where both share a processor.
                    std::thread::yield_now();
                }
                open.push_back(request.call);
            }
            None => match open.pop_front() {
                Some(call) => drop(worker.respond(call, false, &number(1)).unwrap()),
                None if worker.host_state() == Ok(knit_proto::LaneState::Closing) => return,
                None => std::thread::yield_now(),
            },
        }
    }
}

/// Six calls, of which the last five are withdrawn at once.
fn counts_of_round(
    host: &mut HostLane<Mapped<Mapping>>,
    ran: &[AtomicU32; SLOTS as usize],
    counts: &mut [u32; 3],
) {
    let calls: [CallId; 6] =
        std::array::from_fn(|n| host.submit(0, &number(n as u32)).unwrap().call);
    (0..calls[0].word() / SLOTS % 37 * 8).for_each(|_| std::hint::spin_loop());
    let mut certain = host.withdraw(&calls[1..]);
    while host.in_flight() > 0 {
        certain.extend(host.settle());
        let Some(answer) = host.take().unwrap() else {
            std::thread::yield_now();
            continue;
        };
        let has_run = ran[answer.call.place()].load(Ordering::SeqCst) == answer.call.word();
        assert_eq!(has_run, !answer.withdrawn, "{:?}", answer.call);
        match (certain.contains(&answer.call), answer.withdrawn) {
            (true, withdrawn) => {
                assert!(withdrawn, "{:?} has run", answer.call);
                counts[0] += 1;
            }
            (false, true) => counts[1] += 1,
            (false, false) => counts[2] += 1,
        }
    }
}

/// A lane in any order of steps, against what the host was told and the worker did.
struct History {
    lane: Announced,
    host: HostLane<HeapMemory>,
    worker: WorkerLane<HeapMemory>,
    in_flight: BTreeMap<u32, CallId>,
    asked: BTreeSet<u32>,
    certain: BTreeSet<u32>,
    ran: BTreeSet<u32>,
    given_back: BTreeSet<u32>,
    open: Vec<u32>,
    /// How many certain, given back without that, and run.
    ended: [u32; 3],
}

impl History {
    fn new() -> Self {
        let lane = announced(FEATURES);
        let (host, worker) = lane.ends();
        let [asked, certain, ran, given_back] = [const { BTreeSet::new() }; 4];
        let (in_flight, open, ended) = (BTreeMap::new(), Vec::new(), [0; 3]);
        Self { lane, host, worker, in_flight, asked, certain, ran, given_back, open, ended }
    }

    fn step(&mut self, noise: &mut Noise) {
        match noise.below(8) {
            0 | 1 => {
                if self.host.has_place() {
                    let call = self.host.submit(0, &number(1)).unwrap().call;
                    self.in_flight.insert(call.word(), call);
                }
            }
            2 => self.withdraw(noise),
            3 => {
                let settled = self.host.settle();
                self.settled(settled);
            }
            4 | 5 => self.take(),
            6 => {
                if !self.open.is_empty() {
                    let call = self.open.swap_remove(noise.below(self.open.len() as u32) as usize);
                    self.worker.respond(call, noise.below(2) == 0, &number(2)).unwrap();
                }
            }
            _ => drop(self.answer()),
        }
        let place = |word: u32, call: &u32| word | 1 << (call % SLOTS);
        assert_eq!(self.lane.withdrawn(), self.asked.iter().fold(0, place));
        assert_eq!(self.host.is_withdrawing(), !self.asked.is_empty());
    }

    /// Any of the calls in flight, and some that are not.
    fn withdraw(&mut self, noise: &mut Noise) {
        let mut calls: Vec<_> = self.in_flight.values().copied().collect();
        calls.retain(|_| noise.below(3) == 0);
        self.asked.extend(calls.iter().map(|call| call.word()));
        let settled = self.host.withdraw(&calls);
        self.settled(settled);
        // A host that sees the worker at a call is certain of all that it has not taken.
        if !self.open.is_empty() {
            let taken = |call: &u32| self.ran.contains(call) || self.given_back.contains(call);
            let mut left = self.asked.iter().filter(|call| !taken(call));
            assert!(left.all(|call| self.certain.contains(call)));
        }
    }

    fn settled(&mut self, calls: Vec<CallId>) {
        for call in calls {
            assert!(self.asked.contains(&call.word()), "nobody has asked");
            assert!(self.certain.insert(call.word()), "named twice");
            assert!(!self.ran.contains(&call.word()), "it has run");
        }
    }

    fn take(&mut self) {
        let Some(request) = self.worker.take().unwrap() else { return };
        assert_eq!(request.withdrawn, self.asked.contains(&request.call));
        if request.withdrawn {
            self.given_back.insert(request.call);
            self.worker.respond_withdrawn(request.call).unwrap();
        } else {
            assert!(!self.certain.contains(&request.call));
            self.ran.insert(request.call);
            self.open.push(request.call);
        }
    }

    fn answer(&mut self) -> bool {
        let Some(answer) = self.host.take().unwrap() else { return false };
        let call = answer.call.word();
        assert!(self.in_flight.remove(&call).is_some(), "it has ended");
        assert_eq!(answer.withdrawn, !self.ran.contains(&call));
        self.asked.remove(&call);
        let certain = self.certain.remove(&call);
        assert!(!certain || answer.withdrawn);
        self.ended[if certain {
            0
        } else if answer.withdrawn {
            1
        } else {
            2
        }] += 1;
        true
    }

    /// Every call has one end.
    fn finish(&mut self) {
        while !self.in_flight.is_empty() {
            self.take();
            while let Some(call) = self.open.pop() {
                self.worker.respond(call, false, &number(3)).unwrap();
            }
            while self.answer() {}
        }
        assert_eq!((self.lane.withdrawn(), self.host.in_flight()), (0, 0));
    }
}

/// LANE-38 to LANE-42.
#[test]
fn in_any_order_of_steps_a_call_has_one_end_and_it_is_the_one_that_was_said() {
    const SEED: u64 = 0x7769_7468;
    let mut noise = Noise::new(SEED);
    let mut ended = [0; 3];
    for _ in 0..300 {
        let mut history = History::new();
        (0..300).for_each(|_| history.step(&mut noise));
        history.finish();
        ended.iter_mut().zip(history.ended).for_each(|(all, one)| *all += one);
    }
    println!("seed {SEED:#x}: certain, given back, run: {ended:?}");
    assert!(ended.iter().all(|count| *count > 500), "{ended:?}");
}
