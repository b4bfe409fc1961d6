//! F3, F4 and E8: a call that the host takes for withdrawn does not run on the worker that had it.
//!
//! The host withdraws the second of two calls while the worker is at the first one or about to take the second. What must not
//! be: the host takes the call for one that does not run, and it runs.

use knit_codec::Payload;
use knit_lanes::{CallId, HostLane, WorkerLane};
use knit_proto::{Direction, Features, HeaderFields, Layout, SLOTS, Stage, Tag, WordOffset};
use knit_ring::{SharedMemory, SharedWord};
use knit_tests::{
    Bounds, LoomMemory, Rejection, Weaken, Weakening, explore, header_fields, reject,
};
use loom::thread::{Builder, JoinHandle};

type Memory = Weaken<LoomMemory>;

/// Whether the host is certain that the call does not run, and whether it has run.
type Outcome = (bool, bool);

const PERMITTED: [Outcome; 3] = [(true, false), (false, true), (false, false)];

/// What the worker does while the host withdraws.
#[derive(Clone, Copy)]
enum Worker {
    /// It answers the first call, then takes the second.
    OneAtATime,
    /// It takes the second call while the first one is open.
    SideBySide,
    /// The same in words, by a worker that looks whether the call is withdrawn before it notes that it has taken it.
    LooksFirst,
}

/// How the host withdraws.
#[derive(Clone, Copy)]
enum Host {
    Lane,
    /// In words. It may look into the journal before it stores the bit.
    ByHand {
        looks_first: bool,
    },
}

const AS_THEY_ARE: [Weakening; 2] = [Weakening::None, Weakening::None];

/// LANE-39, LANE-40, LANE-41.
#[test]
fn a_call_that_is_withdrawn_does_not_run_behind_another_one() {
    explore("withdraw, one at a time", Bounds::ALL, &PERMITTED, || {
        run(Host::Lane, Worker::OneAtATime, AS_THEY_ARE)
    });
}

/// LANE-39, LANE-40, LANE-41.
#[test]
fn a_call_that_is_withdrawn_does_not_run_beside_another_one() {
    explore("withdraw, side by side", Bounds::ALL, &PERMITTED, || {
        run(Host::Lane, Worker::SideBySide, AS_THEY_ARE)
    });
}

/// LANE-41: a host that has not this implementation.
#[test]
fn a_host_in_words_does_the_same() {
    for worker in [Worker::OneAtATime, Worker::SideBySide] {
        explore("withdraw, host in words", Bounds::ALL, &PERMITTED, move || {
            run(Host::ByHand { looks_first: false }, worker, AS_THEY_ARE)
        });
    }
}

#[test]
fn model_rejects_host_without_fence() {
    for worker in [Worker::OneAtATime, Worker::SideBySide] {
        rejects("host without fence", Host::Lane, worker, [Weakening::NoFence, Weakening::None]);
    }
}

/// Of the first worker it is the fence after its answer, of the second one that of the take.
#[test]
fn model_rejects_worker_without_fence() {
    for worker in [Worker::OneAtATime, Worker::SideBySide] {
        rejects("worker without fence", Host::Lane, worker, [Weakening::None, Weakening::NoFence]);
    }
}

#[test]
fn model_rejects_host_that_reads_the_journal_first() {
    for worker in [Worker::OneAtATime, Worker::SideBySide] {
        rejects("journal first", Host::ByHand { looks_first: true }, worker, AS_THEY_ARE);
    }
}

#[test]
fn model_rejects_worker_that_reads_the_word_first() {
    rejects("word first", Host::Lane, Worker::LooksFirst, AS_THEY_ARE);
}

/// E8: the call that the host finds open was taken after the one that it withdraws.
#[test]
fn a_call_that_was_taken_before_an_open_one_is_seen_taken() {
    let permitted = [(false, true), (false, false)];
    explore("withdraw, taken before", Bounds::ALL, &permitted, || run_taken_before(AS_THEY_ARE));
}

#[test]
fn model_rejects_taken_stored_or_loaded_relaxed() {
    let word = lane().journal(1);
    for weak in [
        [Weakening::None, Weakening::StoreRelaxed(word)],
        [Weakening::LoadRelaxed(word), Weakening::None],
    ] {
        let permitted = [(false, true), (false, false)];
        let rejection =
            reject("taken relaxed", Bounds::ALL, &permitted, move || run_taken_before(weak));
        assert_eq!(rejection, Rejection::Outcome);
    }
}

/// LANE-42: the next call in the place of a withdrawn one is not withdrawn.
#[test]
fn the_next_call_in_the_place_is_wanted() {
    explore("withdraw, next call", Bounds::preemptions(3), &[None, Some(false)], || {
        roomy(next_call).join().unwrap()
    });
}

/// Whether the worker finds the call that comes next, and finds it withdrawn.
fn next_call() -> Option<bool> {
    let (mut host, mut worker, [first, second], _) = open(AS_THEY_ARE);
    assert_eq!(host.withdraw(&[second]), [second]);
    worker.respond(first.word(), false, &nothing()).unwrap();
    let request = worker.take().unwrap().expect("the second call");
    assert!(request.withdrawn);
    worker.respond_withdrawn(request.call).unwrap();
    assert!(!host.take().unwrap().expect("the first answer").withdrawn);
    let thread = roomy(move || worker.take().unwrap().map(|request| request.withdrawn));
    assert!(host.take().unwrap().expect("the second answer").withdrawn);
    // The place of the first call, and that of the second.
    host.submit(0, &nothing()).unwrap();
    host.submit(0, &nothing()).unwrap();
    thread.join().unwrap()
}

fn rejects(name: &str, host: Host, worker: Worker, weak: [Weakening; 2]) {
    let rejection = reject(name, Bounds::ALL, &PERMITTED, move || run(host, worker, weak));
    assert_eq!(rejection, Rejection::Outcome, "{name}");
}

/// A thread of the model whose stack has room for both ends of a lane. In words.
fn roomy<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().stack_size(1 << 16).spawn(run).unwrap()
}

#[derive(Clone, Copy)]
struct Lane {
    layout: Layout,
}

fn lane() -> Lane {
    let optional = Features::JOURNAL.or(Features::WITHDRAW);
    let fields = HeaderFields { optional, ..header_fields(0, 0) };
    Lane { layout: Layout::new(fields) }
}

impl Lane {
    fn journal(&self, call: u32) -> WordOffset {
        self.layout.journal().word(call % SLOTS * 4).unwrap()
    }
}

fn nothing() -> Payload<'static> {
    Payload::bare(Tag::UNDEFINED)
}

/// A lane with two calls, the first of which the worker has taken. What is weak: the host's memory, and the worker's.
fn open(weak: [Weakening; 2]) -> (HostLane<Memory>, WorkerLane<Memory>, [CallId; 2], [Memory; 2]) {
    let (host, mut worker, calls, memories) = submitted(weak);
    let taken = worker.take().unwrap().expect("the first call");
    assert_eq!((taken.call, taken.withdrawn), (calls[0].word(), false));
    (host, worker, calls, memories)
}

fn submitted(
    weak: [Weakening; 2],
) -> (HostLane<Memory>, WorkerLane<Memory>, [CallId; 2], [Memory; 2]) {
    let Lane { layout } = lane();
    let memory = LoomMemory::zeroed(layout.len());
    let [ours, theirs] = weak.map(|weak| Weaken::new(&memory, weak));
    HostLane::announce(&ours, &layout, 1).unwrap();
    let features = Features::JOURNAL.or(Features::WITHDRAW);
    let worker = WorkerLane::open_with(&theirs, &layout, 64, 2, features).unwrap();
    let mut host = HostLane::connect(&ours, &layout, 64).unwrap().expect("the worker is open");
    assert_eq!(host.features(), features);
    let calls = [0; 2].map(|_| host.submit(0, &nothing()).unwrap().call);
    // In loom a word must not be younger than the threads.
    for direction in [Direction::Request, Direction::Response] {
        memory.word(layout.mailbox(direction).publish()).unwrap();
    }
    (host, worker, calls, [ours, theirs])
}

fn run(host: Host, worker: Worker, weak: [Weakening; 2]) -> Outcome {
    roomy(move || withdraw(host, worker, weak)).join().unwrap()
}

fn withdraw(host: Host, worker: Worker, weak: [Weakening; 2]) -> Outcome {
    let lane = lane();
    let (mut host_lane, mut worker_lane, [first, second], [ours, theirs]) = open(weak);
    let word = |memory: &Memory, at| memory.word(at).unwrap();
    let bits = [word(&ours, lane.layout.withdrawn()), word(&theirs, lane.layout.withdrawn())];
    let journal = [first, second].map(|call| word(&ours, lane.journal(call.word())));
    let theirs_of_second = word(&theirs, lane.journal(second.word()));
    let [our_bits, their_bits] = bits;
    let thread = roomy(move || match worker {
        Worker::LooksFirst => {
            theirs.full_fence();
            let withdrawn = their_bits.load_relaxed() >> second.place() & 1 == 1;
            theirs_of_second.store_release(Stage::Taken.of_call(second.word()));
            !withdrawn
        }
        _ => {
            if let Worker::OneAtATime = worker {
                worker_lane.respond(first.word(), false, &nothing()).unwrap();
            }
            let request = worker_lane.take().unwrap().expect("the second call");
            assert_eq!(request.call, second.word());
            !request.withdrawn
        }
    });
    let certain = match host {
        Host::Lane => !host_lane.withdraw(&[second]).is_empty(),
        Host::ByHand { looks_first } => {
            let look = || {
                let open = journal[0].load_acquire() == Stage::Taken.of_call(first.word());
                open && journal[1].load_relaxed() == 0
            };
            let before = looks_first.then(look);
            our_bits.store_relaxed(1 << second.place());
            ours.full_fence();
            before.unwrap_or_else(look)
        }
    };
    (certain, thread.join().unwrap())
}

/// The worker takes both calls, and the host withdraws the first one.
fn run_taken_before(weak: [Weakening; 2]) -> Outcome {
    roomy(move || withdraw_first(weak)).join().unwrap()
}

fn withdraw_first(weak: [Weakening; 2]) -> Outcome {
    let (mut host, mut worker, [first, second], _) = submitted(weak);
    let thread = roomy(move || {
        let request = worker.take().unwrap().expect("the first call");
        assert_eq!(worker.take().unwrap().expect("the second call").call, second.word());
        !request.withdrawn
    });
    let certain = !host.withdraw(&[first]).is_empty();
    (certain, thread.join().unwrap())
}
