//! Knitting hosts that lie, and hosts that end.

#[allow(unused, reason = "each test program uses a part of it")]
mod pool_support;

use knit_tests::knitting::{Argument, Host, boot};
use pool_support::DEADLINE;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

const WORKER: &str = env!("CARGO_BIN_EXE_knit-test-worker");

/// A host whose worker has answered a call and says on a pipe what goes wrong.
fn host() -> Host {
    let mut host = Host::new(1 << 20, Some(64));
    let boot = boot(&host.places, &["square", "text"], None).to_string();
    host.start_with(Command::new(WORKER).stderr(Stdio::piped()), &boot);
    assert_eq!(host.call(0, 1, &Argument::number(2.0)).number(), 4.0);
    host
}

/// The worker has ended because its host broke this clause, and answered nothing more.
fn assert_ended(mut host: Host, clause: &str) {
    let status = host.ended();
    let mut said = String::new();
    host.child().stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(knit_lanes::EXIT_VIOLATION), "{clause}: {said}");
    assert!(said.contains(clause) && said.lines().count() == 1, "{clause}: {said}");
    assert!(host.poll().is_empty(), "{clause}");
}

/// KD-13, KD-14.
#[test]
fn words_that_no_host_may_write_end_the_worker() {
    let max = (1 << 20) / 8;
    for (words, clause) in [
        // Tags: unassigned, of one process.
        ([0, 2, 0, 0, 0, 0, 0, 0], "PAY-1"),
        ([0, 2, 30, 0, 0, 0, 0, 0], "PAY-1"),
        ([0, 2, u32::MAX, 0, 0, 0, 0, 0], "PAY-1"),
        ([0, 2, 47, 0, 0, 32, 0, 0], "PAY-3"),
        ([0, 2, 48, 0, 0, 8, 0, 0], "PAY-3"),
        // Lengths.
        ([0, 2, 18, 0, 0, 513, 0, 0], "PAY-4"),
        ([0, 2, 15, 0, 0, u32::MAX, 0, 0], "PAY-4"),
        ([0, 2, 40, 0, 1, 513, 0, 0], "PAY-4"),
        ([0, 2, 17, 0, 0, max + 1, 0, 0], "PAY-5"),
        ([0, 2, 41, 0, u32::MAX, u32::MAX, 0, 0], "PAY-5"),
        // Offsets.
        ([0, 2, 17, 4, 0, 600, 0, 0], "ARN-2"),
        ([0, 2, 17, 1 << 20, 0, 600, 0, 0], "ARN-3"),
        ([0, 2, 11, u32::MAX - 63, 0, 64, 0, 0], "ARN-3"),
        ([0, 2, 43, (1 << 20) - 128, 64, 1, 0, 0], "ARN-3"),
        // An abort signal beyond the bits.
        ([65 << 16, 2, 5, 0, 0, 0, 0, 0], "LANE-17"),
        ([u32::MAX << 16, 2, 5, 0, 0, 0, 0, 0], "LANE-17"),
    ] {
        let mut host = host();
        host.publish(7, words, &[]);
        assert_ended(host, clause);
    }
}

#[test]
fn a_payload_that_is_not_what_its_tag_says_rejects_that_call_only() {
    let mut host = host();
    for (tag, bytes) in [(15, vec![0xff]), (16, b"{".to_vec()), (32, vec![0; 7]), (29, Vec::new())]
    {
        let words = [tag, 0, 0, u32::try_from(bytes.len()).unwrap()];
        let argument = Argument { words, inline: bytes, dynamic: Vec::new() };
        assert_eq!(host.call(1, 9, &argument).error()["name"], "knit.argument", "tag {tag}");
    }
    assert_eq!(host.call(1, 10, &Argument::text("still here")).inline, b"still here");
}

/// Ids are the host's business: they come back as they are, twice if they came twice.
#[test]
fn any_call_id_is_echoed() {
    let mut host = host();
    for call in [0, u32::MAX, 0x8000_0000, 5, 5] {
        assert_eq!(host.call(0, call, &Argument::number(1.0)).number(), 1.0);
    }
}

/// A worker of a shell, which is started in place of the host so that it can be killed.
#[test]
fn a_worker_ends_when_its_host_is_killed() {
    let mut host = Host::new(1 << 20, None);
    let boot = boot(&host.places, &["square"], None).to_string();
    // A background command of a shell has no standard input of its own.
    let script = format!("exec 3<&0; {WORKER} <&3 & echo $!; wait");
    host.start_with(Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()), &boot);
    let mut line = String::new();
    BufReader::new(host.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
    let worker = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
    let worker = pidfd_open(worker, PidfdFlags::empty()).unwrap();
    assert_eq!(host.call(0, 1, &Argument::number(3.0)).number(), 9.0);
    host.child().kill().unwrap();
    let deadline = Timespec { tv_sec: DEADLINE.as_secs().try_into().unwrap(), tv_nsec: 0 };
    let ended = rustix::event::poll(&mut [PollFd::new(&worker, PollFlags::IN)], Some(&deadline));
    assert_eq!(ended, Ok(1), "the worker lives on");
}

/// KNITTING 11.4: this is how a pool shuts down.
#[test]
fn a_worker_ends_on_sigterm() {
    let mut host = host();
    let worker = Pid::from_child(host.child());
    kill_process(worker, Signal::TERM).unwrap();
    assert_eq!(host.ended().signal(), Some(Signal::TERM.as_raw()));
}
