//! `ring_bars` measures every row, and says what is wrong when it cannot. No figure is asserted.

use knit_benches::ring_bars;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::process::{Command, Output};
use std::thread;

fn ring_bars(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ring_bars")).args(arguments).output();
    let Output { status, stdout, stderr } = output.expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("it writes text");
    (status.success(), text(stdout), text(stderr))
}

/// Whether this process may use two processors.
fn two_processors() -> bool {
    let allowed = sched_getaffinity(None).expect("the kernel tells them");
    allowed.count() >= 2
}

#[test]
fn every_row_is_measured_and_has_a_line() {
    if !two_processors() {
        eprintln!("skipped: one processor");
        return;
    }
    let (success, out, errors) = ring_bars(&["--quick", "--repetitions", "1"]);
    assert!(success, "{errors}");
    println!("{out}");
    for row in ring_bars::all() {
        let line = out.lines().find(|line| line.split_whitespace().next() == Some(row.name));
        let line = line.unwrap_or_else(|| panic!("no line for {}:\n{out}", row.name));
        assert!(!line.contains("NaN"), "{line}");
    }
}

#[test]
fn names_are_words_and_unlike() {
    let mut names: Vec<_> = ring_bars::all().iter().map(|row| row.name).collect();
    assert!(names.iter().all(|name| !name.contains(' ')), "{names:?}");
    let rows = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows);
}

#[test]
fn rows_are_listed_and_chosen_by_name() {
    let (success, out, _) = ring_bars(&["--list", "--only", "stream/batch_8"]);
    assert!(success);
    assert_eq!(out.lines().count(), 1, "{out}");
    let (success, _, errors) = ring_bars(&["--only", "nothing like it"]);
    assert!(!success);
    assert!(errors.contains("no row has \"nothing like it\" in its name; see --list"), "{errors}");
}

#[test]
fn one_processor_is_not_enough() {
    // The affinity of a thread: the process that it starts has it too.
    let ran = thread::spawn(|| {
        let allowed = sched_getaffinity(None).expect("the kernel tells them");
        let first = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).expect("there is one");
        let mut only = CpuSet::new();
        only.set(first);
        sched_setaffinity(None, &only).expect("it is allowed");
        ring_bars(&["--quick"])
    });
    let (success, _, errors) = ran.join().expect("it starts");
    assert!(!success);
    assert!(errors.contains("two processors are needed"), "{errors}");
}
