//! What a lane does with workers that it cannot use: this test is the worker, on the segment of a process that only
//! sleeps.

mod support;

use knit_examples::{Function, LIMITS, Lane, Outcome, Refusal};
use knit_lanes::{Encode, WorkerLane};
use knit_proto::{Features, Layout, ProtocolViolation};
use knit_ring::{Mapped, Mapping, SharedMemory, SharedWord, attach_segment};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use support::{DEADLINE, until};

type Memory = Mapped<Mapping>;

/// A lane whose worker's process sleeps, and the segment as that process has it.
fn sleeping(name: &str) -> (Lane<&'static str>, Memory, Layout) {
    let path = format!("{}/lane-{name}-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let text = format!("{path}.text");
    std::fs::write(&text, "#!/bin/sh\nexec sleep 1000\n").unwrap();
    // By another process: a fork of this one could have the file open for writing while it is started.
    assert!(Command::new("install").args(["-m", "700", &text, &path]).status().unwrap().success());
    let lane = Lane::start(&path).unwrap();
    let file = format!("/proc/{}/fd/0", lane.process().id());
    let file = File::options().read(true).write(true).open(file).unwrap();
    // The shell opens the script when it runs already.
    let name = format!("/proc/{}/comm", lane.process().id());
    until("the script runs", || std::fs::read_to_string(&name).unwrap() == "sleep\n");
    for path in [path, text] {
        std::fs::remove_file(path).unwrap();
    }
    let memory = Mapping::attach(file.into()).unwrap();
    let layout = attach_segment(&memory).unwrap();
    (lane, memory, layout)
}

/// Says that the worker is ready, with these features.
fn open(memory: &Memory, layout: &Layout, features: Features) -> WorkerLane<Memory> {
    WorkerLane::open_with(memory, layout, LIMITS.payload, 1, features).unwrap()
}

/// Waits until the process has ended, as the loop does.
#[track_caller]
fn until_ended(lane: &Lane<&'static str>) {
    let longest = Timespec { tv_sec: DEADLINE.as_secs() as i64, tv_nsec: 0 };
    let pidfd = lane.process().pidfd();
    let ready = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&longest)).unwrap();
    assert_eq!(ready, 1, "the worker was not killed");
}

#[test]
fn a_worker_that_rings_no_eventfd_is_refused() {
    let (mut lane, memory, layout) = sleeping("no-eventfd");
    assert!(lane.work().is_empty());
    assert!(lane.announce());
    lane.awake(false);
    open(&memory, &layout, Features::SUPPORTED);
    assert!(!lane.announce(), "that it is ready is new");
    lane.call(Function::Square, 3.0.encode(&LIMITS).unwrap(), "kept for the next worker");
    assert!(lane.work().is_empty());
    assert!(!lane.is_open() && lane.is_awaited());
    // Nothing more is looked at: the loop sleeps until the process has ended.
    assert!(lane.announce());
    until_ended(&lane);
    lane.awake(false);
    let (end, done) = lane.ended().unwrap();
    assert!(done.is_empty() && !end.was_open);
    assert_eq!(end.status.signal(), Some(9));
    assert!(matches!(end.refusal, Some(Refusal::NoEventfd)), "{end:?}");
    assert_eq!(lane.take_callers(), ["kept for the next worker"]);
    assert!(!lane.is_awaited());
}

#[test]
fn a_worker_that_breaks_the_protocol_is_killed_and_its_calls_are_lost() {
    let (mut lane, memory, layout) = sleeping("violation");
    let mut worker = open(&memory, &layout, Features::SUPPORTED.or(Features::EVENTFD));
    lane.call(Function::Square, 3.0.encode(&LIMITS).unwrap(), "answered");
    lane.call(Function::Square, 4.0.encode(&LIMITS).unwrap(), "lost");
    let given_up = lane.call(Function::Square, 5.0.encode(&LIMITS).unwrap(), "given up");
    assert!(lane.work().is_empty());
    assert!(lane.is_open());
    let request = worker.take().unwrap().unwrap();
    worker.respond(request.call, false, &request.payload).unwrap();
    assert!(!lane.announce(), "an answer is new");
    let done = lane.work();
    assert_eq!((done.len(), done[0].caller, done[0].number), (1, "answered", 1));
    assert!(matches!(done[0].outcome, Outcome::Value(_)));
    let given_up = lane.give_up(given_up).unwrap();
    assert!(given_up.may_have_run);
    assert_eq!(given_up.caller, "given up");

    memory.word(layout.worker_control().state).unwrap().store_release(77);
    assert!(!lane.announce(), "a violation is new");
    assert!(lane.work().is_empty());
    assert!(!lane.is_open());
    assert!(lane.announce());
    until_ended(&lane);
    lane.awake(false);
    let (end, done) = lane.ended().unwrap();
    assert!(end.was_open);
    let wrong = ProtocolViolation::State { state: 77 };
    assert!(matches!(end.refusal, Some(Refusal::Violation(seen)) if seen == wrong), "{end:?}");
    assert_eq!((done.len(), done[0].caller), (1, "lost"));
    assert!(matches!(done[0].outcome, Outcome::Lost(status) if status.signal() == Some(9)));
    assert!(!lane.is_awaited());
}

/// LANE-24.
#[test]
fn answers_that_were_published_before_the_end_are_read() {
    let (mut lane, memory, layout) = sleeping("last-answer");
    let mut worker = open(&memory, &layout, Features::SUPPORTED.or(Features::EVENTFD));
    lane.call(Function::Square, 3.0.encode(&LIMITS).unwrap(), "answered");
    lane.call(Function::Square, 4.0.encode(&LIMITS).unwrap(), "lost");
    assert!(lane.work().is_empty());
    assert!(lane.announce());
    let request = worker.take().unwrap().unwrap();
    assert!(worker.respond(request.call, false, &request.payload).unwrap(), "the host sleeps");
    lane.process().kill();
    until_ended(&lane);
    lane.awake(false);
    let (end, done) = lane.ended().unwrap();
    assert!(end.was_open && end.refusal.is_none());
    assert_eq!(done.len(), 2);
    assert_eq!((done[0].caller, done[1].caller), ("answered", "lost"));
    assert!(matches!(done[0].outcome, Outcome::Value(_)));
    assert!(matches!(done[1].outcome, Outcome::Lost(_)));
}
