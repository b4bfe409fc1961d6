//! The event loop over epoll, as a process.

mod support;

use rustix::process::{Pid, Signal, kill_process};
use std::process::Stdio;
use std::time::Duration;
use support::{Program, children, is_asleep, is_gone, run, sleeps, ticks, until};

const HOST: &str = env!("CARGO_BIN_EXE_epoll_host");

/// Ends a process that a program of this test started.
fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// The worker of a host that has just answered a call.
#[track_caller]
fn worker_of(host: &Program) -> u32 {
    let workers = children(host.id());
    assert_eq!(workers.len(), 1, "{workers:?}");
    workers[0]
}

#[test]
fn calls_are_answered_and_a_dead_worker_is_replaced() {
    let mut host = Program::start(HOST, &[]);
    host.send("square 3");
    assert_eq!(host.line(), "1: square 3 = 9");
    host.send("  wait 5");
    assert_eq!(host.line(), "2: wait 5 = 5");
    host.send("exit 7");
    assert_eq!(host.line(), "3: exit 7: the worker ended (exit status: 7); may have run");
    host.send("square -1.5");
    assert_eq!(host.line(), "4: square -1.5 = 2.25");
    let worker = worker_of(&host);
    kill(worker);
    until("the worker is gone", || is_gone(worker));
    host.send("square 12");
    // It may reach the dead worker before the host hears of its end.
    let line = host.line();
    let lost = "5: square 12: the worker ended (signal: 9 (SIGKILL)); may have run";
    assert!(line == "5: square 12 = 144" || line == lost, "{line}");
    host.send("square 13");
    assert_eq!(host.line(), "6: square 13 = 169");
    let (status, rest, error) = host.finish();
    assert_eq!((status, error.as_str()), (Some(0), ""));
    assert_eq!(rest.len(), 1);
    assert!(rest[0].starts_with("6 calls, 3 workers, slept "), "{rest:?}");
    assert!(rest[0].ends_with("; the worker ended (exit status: 0)"), "{rest:?}");
}

#[test]
fn a_call_that_takes_too_long_is_given_up_and_its_worker_goes_on() {
    let mut host = Program::start(HOST, &["--timeout", "100000", "--grace", "100000"]);
    host.send("square 3");
    assert_eq!(host.line(), "1: square 3 = 9");
    let worker = worker_of(&host);
    host.send("wait 4000000000 within 50");
    assert_eq!(host.line(), "2: wait 4000000000 within 50: not within 50ms; may have run");
    host.send("square 4");
    assert_eq!(host.line(), "3: square 4 = 16");
    assert_eq!(worker_of(&host), worker);
    let (status, rest, _) = host.finish();
    assert_eq!(status, Some(0));
    assert!(rest[0].starts_with("3 calls, 1 workers"), "{rest:?}");
}

#[test]
fn a_worker_that_keeps_a_call_that_was_given_up_is_killed() {
    let mut host = Program::start(HOST, &["--grace", "50"]);
    host.send("square 3");
    assert_eq!(host.line(), "1: square 3 = 9");
    let worker = worker_of(&host);
    host.send("hang 4000000000 within 50");
    assert_eq!(host.line(), "2: hang 4000000000 within 50: not within 50ms; may have run");
    until("the worker is gone", || is_gone(worker));
    until("there is another one", || !children(host.id()).is_empty());
    host.send("square 4");
    assert_eq!(host.line(), "3: square 4 = 16");
    let (status, rest, _) = host.finish();
    assert_eq!(status, Some(0));
    assert!(rest[0].starts_with("3 calls, 2 workers"), "{rest:?}");
}

/// More calls than a lane has places for.
#[test]
fn calls_that_the_lane_has_no_room_for_wait_in_the_queue() {
    let mut host = Program::start(HOST, &[]);
    for n in 0..500 {
        host.send(&format!("square {n}"));
    }
    for n in 0..500 {
        assert_eq!(host.line(), format!("{}: square {n} = {}", n + 1, n * n));
    }
    let (status, rest, error) = host.finish();
    assert_eq!((status, error.as_str()), (Some(0), ""));
    assert!(rest[0].starts_with("500 calls, 1 workers"), "{rest:?}");
}

#[test]
fn a_call_that_is_given_up_in_the_queue_has_not_run() {
    let mut host = Program::start(HOST, &["--timeout", "50", "--grace", "100000"]);
    // Until then the worker may be starting, and all would be in the queue.
    host.send("square 3 within 100000");
    assert_eq!(host.line(), "1: square 3 within 100000 = 9");
    host.send("hang 4000000000");
    for n in 3..=40 {
        host.send(&format!("square {n}"));
    }
    assert_eq!(host.line(), "2: hang 4000000000: not within 50ms; may have run");
    for n in 3..=40 {
        // The lane has 32 places.
        let ran = if n <= 33 { "may have run" } else { "has not run" };
        assert_eq!(host.line(), format!("{n}: square {n}: not within 50ms; {ran}"));
    }
}

#[test]
fn an_idle_host_sleeps() {
    let mut host = Program::start(HOST, &["--timeout", "100000"]);
    host.send("square 3");
    assert_eq!(host.line(), "1: square 3 = 9");
    let worker = worker_of(&host);
    let all = [host.id(), worker];
    until("host and worker sleep", || all.iter().all(|pid| is_asleep(*pid)));
    let used = || all.iter().map(|pid| ticks(*pid)).sum::<u64>();
    let slept = || all.iter().map(|pid| sleeps(*pid)).sum::<u64>();
    let before = (used(), slept());
    // Not to synchronise: this is the time over which processor time and wake-ups are counted.
    std::thread::sleep(Duration::from_millis(500));
    let after = (used(), slept());
    // A loop that spins would use about 50 ticks of 10 ms; one that polls each 10 ms would wake 50 times. A
    // ring that comes late, and the worker's way to its sleep, are a few.
    assert!(after.0 - before.0 <= 3, "{} ticks in 500 ms", after.0 - before.0);
    assert!(after.1 - before.1 <= 8, "{} wake-ups in 500 ms", after.1 - before.1);
    host.send("square 4");
    assert_eq!(host.line(), "2: square 4 = 16");
}

#[test]
fn a_killed_host_leaves_no_worker() {
    let mut host = Program::start(HOST, &[]);
    host.send("square 3");
    assert_eq!(host.line(), "1: square 3 = 9");
    let worker = worker_of(&host);
    host.kill();
    until("the worker is gone", || is_gone(worker));
}

#[test]
fn wrong_lines_are_named_and_the_others_run() {
    let mut host = Program::start(HOST, &[]);
    for line in [
        "cube 3",
        "",
        "square",
        "square three",
        "wait -1",
        "exit 4294967296",
        "wait 1 within a day",
        "square 2",
    ] {
        host.send(line);
    }
    assert_eq!(host.line(), "1: square 2 = 4");
    let (status, rest, error) = host.finish();
    assert_eq!((status, rest.len()), (Some(2), 1));
    let expected = [
        "line 1: there is no task `cube`; there are square, wait, hang, exit",
        "line 3: `square` takes a number, not ``",
        "line 4: `square` takes a number, not `three`",
        "line 5: `wait` takes a whole number from 0 on, not `-1`",
        "line 6: `exit` takes a whole number from 0 on, not `4294967296`",
        "line 7: `within` takes a number of milliseconds, not `a day`",
    ];
    let expected: Vec<_> = expected.iter().map(|line| format!("epoll_host: {line}")).collect();
    assert_eq!(error.lines().collect::<Vec<_>>(), expected);
}

/// The tasks are found by their names, whatever else the worker has.
#[test]
fn another_program_can_be_the_worker() {
    let mut host = Program::start(HOST, &["--worker", env!("CARGO_BIN_EXE_knitting_worker")]);
    host.send("square 3");
    assert_eq!(host.line(), "1: square 3 = 9");
    host.send("wait 3");
    let line = host.line();
    assert!(
        line.starts_with("2: wait 3: knit.unknown-task: ") && line.contains("`wait`"),
        "{line}"
    );
    let (status, _, error) = host.finish();
    assert_eq!((status, error.as_str()), (Some(0), ""));
}

#[test]
fn a_program_that_is_no_worker_ends_the_host_with_an_error() {
    let directory = env!("CARGO_TARGET_TMPDIR");
    let script = format!("{directory}/epoll-host-script-{}", std::process::id());
    let cases = [
        ("exit 3", "the worker ended before it took calls (exit status: 3)"),
        ("kill -9 $$", "the worker ended before it took calls (signal: 9 (SIGKILL))"),
        ("exec sleep 1000", "the worker was not ready within 300ms"),
    ];
    for (body, problem) in cases {
        // By another process: a fork of this one could have the file open for writing while it is started.
        let text = format!("#!/bin/sh\n{body}\n");
        std::fs::write(format!("{script}.text"), text).unwrap();
        let install = ["-m", "700", &format!("{script}.text"), &script];
        assert!(std::process::Command::new("install").args(install).status().unwrap().success());
        let ready = if body.starts_with("exec") { "300" } else { "100000" };
        let host = Program::start(HOST, &["--ready", ready, "--worker", &script]);
        let (status, lines, error) = host.finish_with_input_open();
        assert_eq!((status, lines.len()), (Some(1), 0), "{error}");
        assert_eq!(error, format!("epoll_host: {problem}\n"));
    }
    for path in [script.clone(), format!("{script}.text")] {
        std::fs::remove_file(path).unwrap();
    }
    let (status, lines, error) = run(HOST, &["--worker", "/nowhere"], Stdio::null());
    assert_eq!((status, lines.len()), (Some(1), 0));
    assert!(error.starts_with("epoll_host: cannot start /nowhere: "), "{error}");
}

/// Epoll takes no files.
#[test]
fn a_file_as_input_is_read_too() {
    let directory = env!("CARGO_TARGET_TMPDIR");
    let path = format!("{directory}/epoll-host-{}", std::process::id());
    std::fs::write(&path, "square 3\nsquare 4").unwrap();
    let (status, lines, error) = run(HOST, &[], std::fs::File::open(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    assert_eq!((status, error.as_str()), (Some(0), ""));
    assert_eq!(lines[..2], ["1: square 3 = 9", "2: square 4 = 16"]);
    let (status, lines, error) = run(HOST, &[], Stdio::null());
    assert_eq!((status, error.as_str()), (Some(0), ""));
    assert!(lines[0].starts_with("0 calls, 1 workers"), "{lines:?}");
}

#[test]
fn wrong_arguments_are_refused() {
    let (status, lines, error) = run(HOST, &["--timeout", "soon"], Stdio::null());
    assert_eq!((status, lines.len()), (Some(2), 0));
    assert!(error.contains("--timeout") && error.contains("soon"), "{error}");
    let (status, lines, _) = run(HOST, &["--help"], Stdio::null());
    assert_eq!(status, Some(0));
    assert!(lines.iter().any(|line| line.contains("--grace")), "{lines:?}");
}
