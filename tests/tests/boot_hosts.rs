//! Hosts that break the protocol: their worker answers what it can, and otherwise ends with status 76
//! and one line that names the clause. KD-7, KD-13, KD-14.

mod boot_support;
mod pool_support;

use boot_support::{
    BUFFER_NAMES, Memory, boot, fields, file, hash, refusal, segment, segment_with, spawn,
    spawn_with_channel,
};
use knit_lanes::codec::Payload;
use knit_lanes::{Decode, EXIT_VIOLATION, Encode, ErrorValue, HostLane, Limits};
use knit_proto::{Direction, Features, HeaderFields, Layout, Tag};
use knit_ring::{Doorbell, FutexBell, Notifier, SharedWord, Woken};
use pool_support::channel::Channel;
use pool_support::forge::{Forge, header, word};
use pool_support::process::{signal, this_thread, until_asleep, until_stopped};
use pool_support::{until, within_deadline};
use rustix::process::Signal;
use std::process::Child;

/// A worker process and the hand-made host that it serves.
struct Pair {
    memory: Memory,
    layout: Layout,
    worker: Child,
}

impl Pair {
    fn new() -> Self {
        let (memory, layout) = segment();
        let worker = spawn(boot().to_json().unwrap(), file(&memory));
        Self { memory, layout, worker }
    }

    /// The host's end, once the worker is ready.
    fn connect(&self) -> HostLane<Memory> {
        let mut lane = None;
        until("the worker is ready", || {
            lane = HostLane::connect(&self.memory, &self.layout, 1 << 17).unwrap();
            lane.is_some()
        });
        lane.unwrap()
    }

    /// Wakes the worker, whatever was or was not written before.
    fn ring(&self) {
        let (mine, theirs) = (self.layout.host_control(), self.layout.worker_control());
        let mut notifier = Notifier::new(&self.memory, &mine, &theirs).unwrap();
        // A bell that two notifiers of the host advance may go back, but it changes.
        let bell = word(&self.memory, mine.bell).load_acquire();
        while word(&self.memory, mine.bell).load_acquire() == bell {
            notifier.advance();
        }
        FutexBell.wake(notifier.bell());
    }

    /// Waits for the end of a worker that has seen a violation; returns what it said.
    #[track_caller]
    fn refusal(self) -> String {
        self.ring();
        refusal(&self.worker.wait_with_output().unwrap(), EXIT_VIOLATION)
    }
}

/// Submits a call and waits for its answer: whether it was rejected, and the payload.
#[track_caller]
fn call(
    lane: &mut HostLane<Memory>,
    function: u16,
    payload: &Payload<'_>,
) -> (bool, Payload<'static>) {
    let submitted = lane.submit(function, payload).unwrap();
    if submitted.wake {
        FutexBell.wake(lane.bell());
    }
    let mut answer = None;
    until("the call is answered", || {
        answer = lane.take().unwrap();
        answer.is_some()
    });
    let answer = answer.unwrap();
    assert_eq!(answer.call, submitted.call);
    (answer.rejected, answer.payload)
}

/// Name and message of the error that a rejected call carries.
#[track_caller]
fn rejection((rejected, payload): (bool, Payload<'static>)) -> (String, String) {
    assert!(rejected);
    let error = ErrorValue::decode(payload, &Limits::default()).unwrap();
    (error.name().to_owned(), error.message().to_owned())
}

/// `square` of three is nine: the worker serves.
#[track_caller]
fn assert_serves(lane: &mut HostLane<Memory>) {
    let limits = Limits::default();
    let (rejected, payload) = call(lane, 0, &3.0.encode(&limits).unwrap());
    assert!(!rejected);
    assert_eq!(f64::decode(payload, &limits), Ok(9.0));
}

/// LANE-26, LANE-31.
#[test]
fn a_worker_that_inherits_no_channel_accepts_no_handles() {
    within_deadline(|| {
        let optional = Features::STAMPS.or(Features::BUFFER_HANDLES);
        let (memory, layout) = segment_with(&HeaderFields { optional, ..fields() });
        let worker = spawn(boot().to_json().unwrap(), file(&memory));
        let mut pair = Pair { memory, layout, worker };
        let mut lane = pair.connect();
        assert_eq!(lane.features(), Features::STAMPS.or(Features::FUTEX_BELLS));
        assert_serves(&mut lane);
        let payload = Payload::bytes(Tag::SHARED_BUFFER, vec![0; 32]);
        let (name, _) = rejection(call(&mut lane, 2, &payload));
        assert_eq!(name, "knit.argument");
        assert_serves(&mut lane);
        lane.close();
        FutexBell.wake(lane.bell());
        assert!(pair.worker.wait().unwrap().success());
    });
}

/// LANE-25, LANE-28, PAY-30.
#[test]
fn a_worker_takes_buffers_of_an_honest_host_and_ends_for_another_one() {
    within_deadline(|| {
        for mode in ["length", "version", "two-files", "many-files", "null", "unsealed", "flood"] {
            let optional = Features::STAMPS.or(Features::BUFFER_HANDLES);
            let tasks = hash(&BUFFER_NAMES);
            let (memory, layout) = segment_with(&HeaderFields { optional, tasks, ..fields() });
            let (channel, theirs) = Channel::pair();
            let mut boot = boot();
            boot.tasks = BUFFER_NAMES.map(str::to_owned).into();
            let worker = spawn_with_channel(boot.to_json().unwrap(), file(&memory), theirs);
            let pair = Pair { memory, layout, worker };
            let mut lane = pair.connect();
            assert!(lane.features().contains(Features::BUFFER_HANDLES));
            let named = |number: u32, start: u32, len: u32| {
                let words = [number, 0, 0, start, len, 0, 0, 0];
                Payload::bytes(Tag::SHARED_BUFFER, words.map(u32::to_le_bytes).concat())
            };
            channel.give(1000);
            for (start, len) in [(0, 4096), (4095, 1), (4096, 0)] {
                let (rejected, payload) = call(&mut lane, 1, &named(1000, start, len));
                assert!(!rejected);
                assert_eq!(f64::decode(payload, &Limits::default()), Ok(0.0));
            }
            for (number, start, len) in [(1001, 0, 1), (1000, 4096, 1), (1000, u32::MAX, 2)] {
                let (name, _) = rejection(call(&mut lane, 1, &named(number, start, len)));
                assert_eq!(name, "knit.argument");
            }
            channel.misuse(&format!("channel-{mode}"));
            lane.submit(1, &named(1001, 0, 1)).unwrap();
            let text = pair.refusal();
            assert!(text.contains("LANE-25"), "{mode}: {text}");
        }
    });
}

/// LANE-18, PAY-25.
#[test]
fn calls_that_no_task_can_take_are_answered_and_the_worker_goes_on() {
    // KD-13: a request that could not be decoded was thrown at again for ever.
    within_deadline(|| {
        let mut pair = Pair::new();
        let mut lane = pair.connect();
        assert_serves(&mut lane);
        let (name, message) = rejection(call(&mut lane, 3, &Payload::bare(Tag::NULL)));
        assert_eq!(name, "knit.unknown-task");
        assert!(message.contains("`missing`"), "{message}");
        for function in [4, 999, u16::MAX] {
            let (name, message) = rejection(call(&mut lane, function, &Payload::bare(Tag::NULL)));
            assert_eq!(name, "knit.unknown-task");
            assert!(message.contains(&function.to_string()) && message.contains('4'), "{message}");
        }
        for (function, payload, part) in [
            (0, Payload::bare(Tag::TRUE), "a number"),
            (0, Payload::bytes(Tag::STRING_INLINE, b"3".as_slice()), "a number"),
            (1, Payload::bytes(Tag::STRING_INLINE, b"a\xff".as_slice()), "UTF-8 after byte 1"),
            (1, Payload::bytes(Tag::STRING_ARENA, vec![0xff; 600]), "UTF-8 after byte 0"),
            (1, Payload::scalar(Tag::DATE, 0), "found"),
            (2, Payload::bytes(Tag::SHARED_BUFFER, vec![0; 32]), "found"),
            (2, Payload::two_parts(Tag::ENVELOPE_TEXT_INLINE, vec![1; 700].into(), 5), "found"),
            (2, Payload::two_parts(Tag::ENVELOPE_TEXT_ARENA, vec![1; 700].into(), 600), "found"),
        ] {
            let (name, message) = rejection(call(&mut lane, function, &payload));
            assert_eq!(name, "knit.argument", "{payload:?}");
            assert!(message.contains(part), "{part}: {message}");
            assert_serves(&mut lane);
        }
        lane.close();
        FutexBell.wake(lane.bell());
        assert!(pair.worker.wait().unwrap().success());
    });
}

/// KD-23: an answer wakes its host, which looks at nothing by itself here: no driver, no clock.
#[test]
fn every_answer_wakes_a_host_that_sleeps() {
    within_deadline(|| {
        let mut pair = Pair::new();
        let mut lane = pair.connect();
        let mut waiter = HostLane::waiter(&pair.memory, &pair.layout).unwrap();
        let (host, worker) = (this_thread(), pair.worker.id());
        for _ in 0..20 {
            signal(worker, Signal::STOP);
            until_stopped(worker);
            let submitted = lane.submit(0, &3.0.encode(&Limits::default()).unwrap()).unwrap();
            if submitted.wake {
                FutexBell.wake(lane.bell());
            }
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    until_asleep(&host);
                    signal(worker, Signal::CONT);
                });
                let woken = waiter.park(&FutexBell, None, || lane.take().unwrap().is_some());
                assert_eq!(woken, Woken::Rung);
            });
            until("the answer is there", || lane.take().unwrap().is_some());
        }
        lane.close();
        FutexBell.wake(lane.bell());
        assert!(pair.worker.wait().unwrap().success());
    });
}

/// LANE-12, LANE-20.
#[test]
fn a_worker_that_is_asked_to_end_ends_with_status_0() {
    within_deadline(|| {
        let pair = Pair::new();
        let mut lane = pair.connect();
        lane.close();
        FutexBell.wake(lane.bell());
        let output = pair.worker.wait_with_output().unwrap();
        assert!(output.status.success());
        assert!(output.stderr.is_empty() && output.stdout.is_empty());
    });
}

/// LANE-20: also while it polls, for as long as the boot description says.
#[test]
fn a_worker_that_spins_without_end_is_asked_to_end_all_the_same() {
    within_deadline(|| {
        let (memory, layout) = segment();
        let tasks = boot().tasks;
        let limits = boot().limits();
        let boot = knit_lanes::Boot::new(1, 0, &limits, u32::MAX, tasks);
        let worker = spawn(boot.to_json().unwrap(), file(&memory));
        let mut pair = Pair { memory, layout, worker };
        let mut lane = pair.connect();
        assert_serves(&mut lane);
        lane.close();
        FutexBell.wake(lane.bell());
        assert!(pair.worker.wait().unwrap().success());
    });
}

#[test]
fn a_host_that_was_closing_before_the_worker_came_is_left_at_once() {
    within_deadline(|| {
        let (memory, layout) = segment();
        word(&memory, layout.host_control().state).store_release(2);
        let output = spawn(boot().to_json().unwrap(), file(&memory)).wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    });
}

#[test]
fn a_request_that_breaks_a_clause_ends_the_worker() {
    let arena = (1 << 20) - 64;
    let cases: [(&str, [u32; 7]); 11] = [
        ("PAY-1", header(0, 0, 0, [0; 4])),
        ("PAY-1", header(0, 0, 55, [0; 4])),
        ("PAY-1", header(0, 0, u32::MAX, [0; 4])),
        ("PAY-3", header(0, 0, 47, [0; 4])),
        ("PAY-3", header(0, 0, 48, [0; 4])),
        ("PAY-4", header(0, 0, Tag::STRING_INLINE.0, [0, 0, 513, 0])),
        ("PAY-4", header(0, 0, Tag::BYTES_INLINE.0, [0, 0, u32::MAX, 0])),
        ("PAY-5", header(0, 0, Tag::BYTES_ARENA.0, [0, 0, (1 << 17) + 1, 0])),
        ("PAY-5", header(0, 0, Tag::ENVELOPE_JSON_ARENA.0, [0, u32::MAX, u32::MAX, 0])),
        ("ARN-2", header(0, 0, Tag::BYTES_ARENA.0, [1, 0, 64, 0])),
        ("ARN-3", header(0, 0, Tag::BYTES_ARENA.0, [arena - 64, 0, 65, 0])),
    ];
    within_deadline(move || {
        for (clause, words) in cases {
            let pair = Pair::new();
            let _lane = pair.connect();
            Forge::new(&pair.memory, &pair.layout, Direction::Request).send(words);
            let text = pair.refusal();
            assert!(text.contains("the host broke the protocol"), "{text}");
            assert!(text.contains(clause), "{clause}: {text}");
        }
    });
}

/// LANE-3.
#[test]
fn a_state_that_no_host_has_ends_the_worker() {
    within_deadline(|| {
        for state in [0, 3, 7, u32::MAX] {
            let pair = Pair::new();
            let _lane = pair.connect();
            word(&pair.memory, pair.layout.host_control().state).store_release(state);
            let text = pair.refusal();
            assert!(text.contains("LANE-3") && text.contains(&state.to_string()), "{text}");
        }
    });
}

/// LANE-9: no host has connected, so the features are not locked.
#[test]
fn a_request_before_the_lock_ends_the_worker() {
    within_deadline(|| {
        let pair = Pair::new();
        let state = word(&pair.memory, pair.layout.worker_control().state);
        until("the worker is open", || state.load_acquire() == 1);
        let call = header(0, 0, Tag::UNDEFINED.0, [0; 4]);
        Forge::new(&pair.memory, &pair.layout, Direction::Request).send(call);
        let text = pair.refusal();
        assert!(text.contains("LANE-9") && text.contains("before"), "{text}");
    });
}

/// LANE-11, LANE-4.
#[test]
fn a_control_line_that_changes_ends_the_worker() {
    within_deadline(|| {
        for (clause, features) in [("LANE-11", true), ("LANE-4", false)] {
            let pair = Pair::new();
            let mut lane = pair.connect();
            assert_serves(&mut lane);
            let control = pair.layout.host_control();
            let at = if features { control.features } else { control.epoch };
            word(&pair.memory, at).store_release(77);
            // So that a worker that sleeps looks.
            let submitted = lane.submit(0, &Payload::bare(Tag::UNDEFINED)).unwrap();
            if submitted.wake {
                FutexBell.wake(lane.bell());
            }
            let text = pair.refusal();
            assert!(text.contains(clause), "{clause}: {text}");
        }
    });
}

#[test]
fn a_dead_block_that_is_freed_ends_the_worker() {
    within_deadline(|| {
        let pair = Pair::new();
        let mut lane = pair.connect();
        assert_serves(&mut lane);
        word(&pair.memory, pair.layout.arena(Direction::Response).free()).store_release(1 << 9);
        // An answer that needs a block makes the worker look.
        let submitted = lane.submit(2, &Payload::bytes(Tag::BYTES_ARENA, vec![1; 600])).unwrap();
        if submitted.wake {
            FutexBell.wake(lane.bell());
        }
        let text = pair.refusal();
        assert!(text.contains("ARN-4") && text.contains("0x00000200"), "{text}");
        assert!(lane.take().unwrap().is_none());
    });
}
