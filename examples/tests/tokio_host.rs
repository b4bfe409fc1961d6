//! The lane that is driven from tokio, as a process.

mod support;

use std::process::Stdio;
use support::run;

const HOST: &str = env!("CARGO_BIN_EXE_tokio_host");

#[test]
fn many_callers_share_a_worker_and_outlive_it() {
    let (callers, calls) = (40, 50);
    let arguments = ["--callers", "40", "--calls", "50", "--timeout", "20"];
    let (status, lines, error) = run(HOST, &arguments, Stdio::null());
    assert_eq!((status, error.as_str()), (Some(0), ""), "{lines:?}");
    for caller in 1..=callers {
        let sum: u64 = (caller..caller + calls).map(|n| n * n).sum();
        let line = &lines[caller as usize - 1];
        assert_eq!(*line, format!("caller {caller}: {calls} calls, sum {sum}"));
    }
    let rest = &lines[callers as usize..];
    assert!(rest[0].ends_with("us for a call, 40 callers at a time"), "{rest:?}");
    assert_eq!(
        rest[1..],
        [
            "wait: given up after 20 ms",
            "exit: the worker ended (exit status: 7); the task may have run",
            "square: 81",
            "2 workers; the last one ended (exit status: 0)",
        ]
    );
}

#[test]
fn one_caller_sleeps_and_is_woken_for_each_answer() {
    let arguments = ["--callers", "1", "--calls", "500", "--timeout", "0"];
    let (status, lines, error) = run(HOST, &arguments, Stdio::null());
    assert_eq!((status, error.as_str()), (Some(0), ""), "{lines:?}");
    let sum: u64 = (1..=500).map(|n: u64| n * n).sum();
    assert_eq!(lines[0], format!("caller 1: 500 calls, sum {sum}"));
    assert_eq!(lines[2], "wait: given up after 0 ms");
    assert_eq!(lines.last().unwrap(), "2 workers; the last one ended (exit status: 0)");
}

#[test]
fn wrong_arguments_are_refused() {
    for arguments in [["--callers", "0"], ["--calls", "many"], ["--timeout", "x"]] {
        let (status, lines, error) = run(HOST, &arguments, Stdio::null());
        assert_eq!((status, lines.len()), (Some(2), 0), "{arguments:?}");
        assert!(error.contains(arguments[0]), "{error}");
    }
    let (status, lines, _) = run(HOST, &["--help"], Stdio::null());
    assert_eq!(status, Some(0));
    assert!(lines.iter().any(|line| line.contains("--callers")), "{lines:?}");
}
