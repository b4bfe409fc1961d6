//! Many calls of a simulated Knitting host at a time.

#[allow(unused, reason = "each test program uses a part of it")]
mod pool_support;

use knit_tests::knitting::{Answer, Argument, Host};
use pool_support::gate::Gate;
use pool_support::process::ticks;
use pool_support::{DEADLINE, Random, bytes, fresh_path, until};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

const WORKER: &str = env!("CARGO_BIN_EXE_knit-test-worker");

fn host(payload: u32, names: &[&str]) -> Host {
    let mut host = Host::new(payload, Some(258));
    host.start(WORKER, names);
    host
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Echoes payloads of these lengths, as many in flight as there is room for, and compares each answer
/// with its call by id and hash.
fn echo(host: &mut Host, calls: u32, mut len: impl FnMut() -> usize) {
    let start = Instant::now();
    let mut flying: HashMap<u32, u64> = HashMap::new();
    let (mut next, mut done, mut most) = (0, 0, 0);
    let mut waiting: Option<Argument> = None;
    while done < calls {
        while next < calls && flying.len() < 32 {
            let argument =
                waiting.take().unwrap_or_else(|| Argument::bytes(bytes(next.into(), len())));
            if !host.post(0, next, &argument) {
                waiting = Some(argument);
                break;
            }
            flying.insert(next, hash(&[&argument.inline[..], &argument.dynamic].concat()));
            next += 1;
        }
        most = most.max(flying.len());
        for answer in host.poll() {
            let sent = flying.remove(&answer.call()).expect("an id that is in flight");
            assert!(!answer.rejected() && sent == hash(&answer.bytes()), "{:?}", answer.words);
            done += 1;
        }
        assert!(start.elapsed() < 3 * DEADLINE, "{done} of {calls}");
    }
    assert!(flying.is_empty());
    assert_eq!(most, 32);
    assert!(host.poll().is_empty());
}

/// KD-1: more than half of the answers were wrong there.
#[test]
fn ten_thousand_payloads_of_one_size_come_back_as_they_were() {
    let mut host = host(1 << 20, &["bytes"]);
    echo(&mut host, 10_000, || 4096);
}

/// KD-1.
#[test]
fn ten_thousand_payloads_of_random_sizes_come_back_as_they_were() {
    const SEED: u64 = 7;
    println!("seed {SEED}");
    let mut random = Random::new(SEED);
    let mut host = host(1 << 20, &["bytes"]);
    echo(&mut host, 10_000, || random.below(9000));
}

/// KD-10: room for a few payloads only, in either direction, makes calls wait and not fail.
#[test]
fn payloads_that_fill_a_region_wait_for_each_other() {
    let mut host = host(64 << 10, &["bytes"]);
    let mut done = 0;
    let mut next = 0;
    let start = Instant::now();
    while done < 500 {
        if next < 500 && host.post(0, next, &Argument::bytes(bytes(next.into(), 8 << 10))) {
            next += 1;
        }
        for answer in host.poll() {
            assert_eq!(answer.bytes(), bytes(answer.call().into(), 8 << 10));
            done += 1;
        }
        assert!(start.elapsed() < DEADLINE, "{done}");
    }
}

/// Answers wait in the worker while their host does not read: none is lost.
#[test]
fn answers_to_a_host_that_does_not_read_wait() {
    let mut host = host(1 << 20, &["square"]);
    let mut posted = 0;
    until("the worker has no slot left", || {
        if host.post(0, posted, &Argument::number(f64::from(posted))) {
            posted += 1;
        }
        // 32 answers, one that waits for a slot, and 32 requests that nobody takes.
        posted == 65
    });
    for answer in host.wait(65) {
        assert_eq!(answer.number(), f64::from(answer.call()).powi(2));
    }
}

#[test]
fn a_call_whose_abort_bit_is_set_is_not_run_and_others_are() {
    let mut host = host(1 << 20, &["square"]);
    host.abort(257, true);
    host.abort(3, true);
    let error = host.call(258 << 16, 1, &Argument::number(3.0)).error();
    // As a worker of Knitting says it.
    assert_eq!((&error["name"], &error["message"]), (&"Error".into(), &"Task aborted".into()));
    assert_eq!(host.call(5 << 16, 2, &Argument::number(3.0)).number(), 9.0);
    assert!(host.call(4 << 16, 3, &Argument::number(3.0)).rejected());
    host.abort(3, false);
    assert_eq!(host.call(4 << 16, 4, &Argument::number(4.0)).number(), 16.0);
}

/// As `hasAborted` tells tasks of Knitting.
#[test]
fn a_task_that_runs_sees_that_its_call_is_aborted() {
    let mut host = host(1 << 20, &["is_aborted", "until_aborted"]);
    let gate = Gate::new();
    let aborted = 8 << 16;
    assert!(host.post(aborted | 1, 1, &Argument::text(&gate.path())));
    let entered = gate.entered();
    host.abort(7, true);
    drop(entered);
    let answer = host.wait(1).remove(0);
    assert!(!answer.rejected());
    // True, and then false.
    assert_eq!(answer.words[2], 3);
    host.abort(7, false);
    let undefined = Argument { words: [5, 0, 0, 0], ..Argument::default() };
    assert_eq!(host.call(aborted, 2, &undefined).words[2], 4);
}

/// A call that waits for an earlier one is not run when it is aborted meanwhile: the bit is looked at
/// when the task would start, not when the call was published.
#[test]
fn a_call_that_is_aborted_while_it_waits_is_not_run() {
    let mut host = host(1 << 20, &["count", "hold", "square"]);
    let (gate, counted) = (Gate::new(), fresh_path("counted"));
    let (aborted, kept) = (8 << 16, 9 << 16);
    assert!(host.post(1, 1, &Argument::text(&gate.path())));
    let entered = gate.entered();
    assert!(host.post(aborted, 2, &Argument::text(&counted)));
    assert!(host.post(kept | 2, 3, &Argument::number(5.0)));
    host.abort(7, true);
    drop(entered);
    let mut answers = host.wait(3);
    answers.sort_by_key(Answer::call);
    assert!(!answers[0].rejected());
    assert_eq!(answers[1].error()["message"], "Task aborted");
    assert_eq!(answers[2].number(), 25.0);
    assert!(!std::path::Path::new(&counted).exists(), "the task has run");
    // The signal is free again once its call is answered, and the next call has it.
    host.abort(7, false);
    assert!(!host.call(aborted, 4, &Argument::text(&counted)).rejected());
    std::fs::remove_file(counted).unwrap();
}

/// What a worker never writes: request slots, the sender's words of requests, the receiver's of answers.
#[test]
fn the_worker_writes_its_own_words_and_no_others() {
    let mut host = host(1 << 20, &["bytes"]);
    let places = host.places;
    host.call(0, 1, &Argument::bytes(vec![9; 700]));
    let request_slots = host.image(places.headers[0].0, places.headers[0].1);
    let slot = &request_slots[31 * 576..];
    let words: Vec<_> =
        slot[512..].chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
    assert_eq!(&words[..8], &[0, 1, 17, 0, 0, 700, 0x5a5a_5a40, 0]);
    assert_eq!(&words[8..], &[0; 8]);
    assert!(request_slots[..31 * 576].iter().all(|byte| *byte == 0));
    let word = |at| u32::from_le_bytes(host.image(at, 4).try_into().unwrap());
    let lock =
        |which: usize| [0, 64, 128, 192].map(|word_at| word(places.locks[which].0 + word_at));
    // Requests: published, taken; a region allocated, freed. Answers the same, by the other side.
    assert_eq!(lock(0), [1 << 31, 1 << 31, 1, 1]);
    let [sender, receiver, allocated, freed] = lock(1);
    assert_eq!((sender, allocated), (receiver, freed));
    assert_eq!((sender.count_ones(), allocated.count_ones()), (1, 1));
    // Word 7 and the rest of the line of the answer.
    let slot = sender.trailing_zeros();
    let line = host.image(places.headers[1].0 + slot * 576 + 512, 64);
    assert!(line[28..].iter().all(|byte| *byte == 0));
    let aborts = host.image(places.aborts.unwrap().0.0, 64);
    assert!(aborts.iter().all(|byte| *byte == 0));
}

/// The free word has two writers: a host takes an encoding that failed back by flips.
#[test]
fn flips_of_the_free_word_by_the_host_are_kept() {
    let mut host = host(1 << 20, &["bytes"]);
    let at = host.places.locks[0].0 + 192;
    for call in 0..40 {
        host.roll_back();
        host.call(0, call, &Argument::bytes(vec![1; 600]));
    }
    let word = |at| u32::from_le_bytes(host.image(at, 4).try_into().unwrap());
    assert_eq!(word(at), word(at - 64), "every region is free again");
}

/// KD-20, KD-27: it sleeps with the flag that the host sees, also while the host's hint says busy, and
/// is served again at once.
#[test]
fn an_idle_worker_sleeps_whatever_the_host_says() {
    let mut host = host(1 << 20, &["square"]);
    host.busy(true);
    for call in 0..20 {
        let number = f64::from(call);
        assert_eq!(host.call(0, call, &Argument::number(number)).number(), number * number);
        until("the worker sleeps", || host.worker_sleeps());
    }
}

/// KD-21, KD-27: Bun, Deno and Node 26 wake no process, and any host's wake-up can be lost.
#[test]
fn a_worker_that_nobody_wakes_looks_by_itself() {
    let mut host = host(1 << 20, &["square"]);
    for slot in 0..20 {
        until("the worker sleeps", || host.worker_sleeps());
        let [tag, low, high, _] = Argument::number(f64::from(slot)).words;
        host.publish_unheard(slot, [0, slot, tag, low, high, 0, 0, 0], &[]);
        assert_eq!(host.wait(1)[0].number(), f64::from(slot * slot));
    }
}

/// KD-19, KD-20: also while the host says that it is at work, and never takes it back.
#[test]
fn an_idle_worker_uses_little_of_its_processor() {
    let mut host = host(1 << 20, &["square"]);
    host.busy(true);
    assert_eq!(host.call(0, 1, &Argument::number(3.0)).number(), 9.0);
    let worker = host.child().id().to_string();
    let before = ticks(&worker).unwrap();
    // Not to synchronise: this is the time over which processor time is counted.
    std::thread::sleep(Duration::from_millis(500));
    let used = ticks(&worker).unwrap() - before;
    // One that spins would use about 50 ticks of 10 ms; this one looks each millisecond.
    assert!(used <= 20, "{used} ticks in 500 ms");
}
