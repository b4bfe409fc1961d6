//! Knitting hosts that lie, and hosts that end.

#[allow(unused, reason = "each test program uses a part of it")]
mod pool_support;

use knit_tests::knitting::{Argument, Host, Places, boot};
use knit_tests::skip;
use pool_support::gate::Gate;
use pool_support::{DEADLINE, Random, bytes, until, within_deadline};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::MemfdFlags;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
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

/// Waits until a process has ended.
fn assert_ends(process: &OwnedFd) {
    let deadline = Timespec { tv_sec: DEADLINE.as_secs().try_into().unwrap(), tv_nsec: 0 };
    let ended = rustix::event::poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&deadline));
    if ended != Ok(1) {
        // It would hold the streams of this test for ever.
        let _ = pidfd_send_signal(process, Signal::KILL);
        panic!("the worker lives on: {ended:?}");
    }
}

/// The process whose id is the next line.
fn process_of_line(from: impl Read) -> OwnedFd {
    let mut line = String::new();
    BufReader::new(from).read_line(&mut line).unwrap();
    let process = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
    pidfd_open(process, PidfdFlags::empty()).unwrap()
}

/// KD-12. The parent is a shell, which is killed: its host might be one that has no other process.
#[test]
fn a_worker_ends_when_its_parent_is_killed() {
    let mut host = Host::new(1 << 20, None);
    let boot = boot(&host.places, &["square"], None).to_string();
    // A background command of a shell has no standard input of its own.
    let script = format!("exec 3<&0; {WORKER} <&3 & echo $!; wait");
    host.start_with(Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()), &boot);
    let worker = process_of_line(host.child().stdout.take().unwrap());
    assert_eq!(host.call(0, 1, &Argument::number(3.0)).number(), 9.0);
    host.child().kill().unwrap();
    assert_ends(&worker);
}

/// KD-12: also behind a program that lives on, as the prefix of a command may be.
#[test]
fn a_worker_ends_when_its_host_is_killed_whatever_is_between_them() {
    // Each shell waits for what it has started, because it has something to do afterwards.
    let shell = format!("{WORKER}; exit");
    let nested = format!("sh -c '{WORKER}; exit'; exit");
    for command in [&[WORKER][..], &["sh", "-c", &shell], &["sh", "-c", &nested]] {
        let mut host = Command::new(env!("CARGO_BIN_EXE_knit-test-knitting-host"))
            .args(command)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let worker = process_of_line(host.stdout.take().unwrap());
        host.kill().unwrap();
        host.wait().unwrap();
        assert_ends(&worker);
    }
}

/// A worker whose host ended before it looked: no process has its memory mapped.
#[test]
fn a_worker_does_not_begin_when_its_host_has_ended() {
    let namespace = std::fs::metadata("/proc/self/ns/pid").unwrap().ino();
    if namespace != 0xEFFF_FFFC || !rustix::process::geteuid().is_root() {
        return skip("the host may be where this process cannot see it", &[]);
    }
    let places = Places::new(1 << 20, None);
    let file = rustix::fs::memfd_create(c"knitting_shared_memory", MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&file, places.size.into()).unwrap();
    let mut command = Command::new(WORKER);
    command.env("KNITTING_PROCESS_WORKER_BOOT", boot(&places, &[], None).to_string()).stdin(file);
    // Its parent is this process: a worker that begins ends with the test.
    let output = within_deadline(move || command.output().unwrap());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(knit_lanes::EXIT_BOOT_FAILED), "{said}");
    assert!(said.contains("the host has ended already") && said.lines().count() == 1, "{said}");
}

/// As a prefix does that hands its command to a service: the host is no ancestor.
#[test]
fn a_worker_is_served_whoever_has_started_it() {
    let mut host = Host::new(1 << 20, None);
    let boot = boot(&host.places, &["square"], None).to_string();
    let gate = Gate::new();
    let script = format!("exec 3<&0; (read line <{}; exec {WORKER} <&3) & echo $!", gate.path());
    host.start_with(Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()), &boot);
    let worker = process_of_line(host.child().stdout.take().unwrap());
    assert!(host.ended().success());
    // Only now, when its parent is another one, it begins.
    drop(gate.entered());
    assert!(host.post(0, 1, &Argument::number(3.0)));
    let mut answers = Vec::new();
    until("the worker answers", || {
        answers.extend(host.poll());
        !answers.is_empty()
    });
    assert_eq!(answers[0].number(), 9.0);
    pidfd_send_signal(&worker, Signal::TERM).unwrap();
    assert_ends(&worker);
}

/// Whatever a host writes, and wherever: its worker never panics, and no signal ends it.
#[test]
fn noise_in_every_word_ends_a_worker_in_one_way() {
    const SEED: u64 = 11;
    const NEAR: [u32; 16] =
        [0, 1, 5, 9, 15, 18, 24, 40, 41, 47, 64, 512, 513, 1 << 17, 1 << 20, u32::MAX];
    println!("seed {SEED}");
    let mut random = Random::new(SEED);
    let mut early = 0;
    for _ in 0..60 {
        let mut host = host();
        // Signals, the words of requests, and those that a host has of answers.
        let at = [0, 64, 128, 192, 256, 320, 384, 448 + 64, 448 + 192];
        for round in 0..40 {
            // The casts keep 32 bits.
            let mut words = [0; 8].map(|_: u32| match random.below(4) {
                0 => random.next() as u32,
                _ => NEAR[random.below(NEAR.len())],
            });
            match random.below(4) {
                // A function that the worker has, with any payload; then one that it can answer.
                0 => words[0] = 1,
                1 => words[..3].copy_from_slice(&[0, round, 9]),
                2 => host.scribble(at[random.below(at.len())], random.next() as u32),
                _ => {}
            }
            let slot = random.below(32) as u32;
            host.publish(slot, words, &bytes(random.next(), random.below(513)));
            host.discard();
        }
        early += u32::from(host.child().try_wait().unwrap().is_some());
        // A tag that does not exist, until the worker has seen it.
        let mut status = None;
        until("the worker ends", || {
            host.publish(random.below(32) as u32, [0, 1, u32::MAX, 0, 0, 0, 0, 0], &[]);
            host.discard();
            status = host.child().try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap();
        assert_eq!(status.code(), Some(knit_lanes::EXIT_VIOLATION), "{status}");
    }
    println!("{early} of 60 ended early");
}

/// KNITTING 11.4: this is how a pool shuts down.
#[test]
fn a_worker_ends_on_sigterm() {
    let mut host = host();
    let worker = Pid::from_child(host.child());
    kill_process(worker, Signal::TERM).unwrap();
    assert_eq!(host.ended().signal(), Some(Signal::TERM.as_raw()));
}
