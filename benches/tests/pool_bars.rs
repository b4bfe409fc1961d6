//! `pool_bars` measures every row, and says what is wrong when it cannot. No figure is asserted.

use knit_benches::pool_bars::{NAMES, scaling};
use rustix::thread::sched_getaffinity;
use std::collections::BTreeSet;
use std::process::{Command, Output};

fn pool_bars(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pool_bars")).args(arguments).output();
    let Output { status, stdout, stderr } = output.expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("it writes text");
    (status.success(), text(stdout), text(stderr))
}

#[test]
fn every_row_is_measured_and_has_a_line() {
    if sched_getaffinity(None).expect("the kernel tells them").count() < 2 {
        eprintln!("skipped: one processor");
        return;
    }
    let (success, out, errors) = pool_bars(&["--quick", "--only", "scale"]);
    assert!(success, "{errors}");
    println!("{out}");
    for row in scaling::all() {
        let line = out.lines().find(|line| line.split_whitespace().next() == Some(row.name));
        let line = line.unwrap_or_else(|| panic!("no line for {}:\n{out}", row.name));
        assert!(!line.contains("NaN"), "{line}");
    }
}

#[test]
fn workers_are_started_beside_bare_processes() {
    let (success, out, errors) = pool_bars(&["--quick", "--only", "spawn"]);
    assert!(success, "{errors}");
    println!("{out}");
    assert!(out.contains("spawn: one process, 3 times each"), "{out}");
    assert!(out.contains("ms above a bare process; bar: 5 ms"), "{out}");
    let words: Vec<_> = out.split_whitespace().collect();
    let medians: Vec<_> =
        words.windows(2).filter(|pair| pair[1] == "median").map(|pair| pair[0]).collect();
    assert!(!medians.is_empty() && !medians.contains(&"0.00"), "a process takes time:\n{out}");
}

#[test]
fn lanes_hold_what_their_arenas_have_reserved() {
    let (success, out, errors) = pool_bars(&["--quick", "--only", "memory"]);
    assert!(success, "{errors}");
    println!("{out}");
    let kib = |what: &str| -> f64 {
        let line = out.lines().find(|line| line.trim_start().starts_with(what));
        let line = line.unwrap_or_else(|| panic!("no line for {what}:\n{out}"));
        let figure = line.trim_end().strip_suffix(" KiB").expect("a line in KiB");
        figure.rsplit(' ').next().and_then(|figure| figure.parse().ok()).expect("a number")
    };
    // Each reserves pages of both its arenas before a worker starts.
    assert!(kib("segment") >= kib("of which its arenas have reserved"), "{out}");
    // Threads of the host and books of the worker are no imagination.
    assert!(kib("private memory of the host") > 0.0, "{out}");
    assert!(out.contains("beyond the reserve; bar: 128.0 KiB"), "{out}");
}

#[test]
fn names_are_unlike_and_chosen() {
    let rows = scaling::all();
    let names: BTreeSet<_> = rows.iter().map(|row| row.name).chain(NAMES).collect();
    assert_eq!(names.len(), rows.len() + NAMES.len(), "two have one name");
    let (success, out, _) = pool_bars(&["--list"]);
    assert!(success);
    assert_eq!(out.lines().count(), names.len(), "{out}");
    let (success, out, _) = pool_bars(&["--list", "--only", "queued/4096"]);
    assert!(success);
    assert_eq!(out.lines().count(), 1, "{out}");
    let (success, _, errors) = pool_bars(&["--only", "nothing like it"]);
    assert!(!success);
    assert!(errors.contains("no row has \"nothing like it\" in its name; see --list"), "{errors}");
}
