//! `knit soak`, as its users see it: a few seconds of it, and that it finds what goes wrong.

use std::process::{Command, Output, Stdio};

const KNIT: &str = env!("CARGO_BIN_EXE_knit");

fn soak(arguments: &[&str]) -> Output {
    let mut command = Command::new(KNIT);
    command.arg("soak").args(arguments).stdin(Stdio::null());
    command.output().expect("knit can be started")
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("knit writes UTF-8")
}

/// The line of the table that starts so, as numbers.
fn row(output: &str, name: &str) -> Vec<u64> {
    let line = output.lines().find_map(|line| line.strip_prefix(name));
    let line = line.unwrap_or_else(|| panic!("no row {name:?}: {output}"));
    // Groups of digits have one space between them, columns have more.
    let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
    cells.map(|cell| cell.replace(' ', "").parse().expect("a number")).collect()
}

/// KD-1, KD-6, KD-9, KD-10: whatever the sizes, the kills and the aborts, every call has one outcome, the right one.
#[test]
fn a_few_seconds_of_everything_leave_no_fault_and_nothing_behind() {
    let output = soak(&["--seconds", "4", "--seed", "1", "--kill-every", "300"]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    for expected in [
        "soak: seed 1, 4 s, 2 workers, 4 callers\n",
        "faults: 0 lost, 0 duplicated, 0 corrupted, 0 misreported, 0 unexpected\n",
        "left behind: nothing\n",
        "no faults\n",
    ] {
        assert!(out.contains(expected), "{expected:?} is missing: {out}");
    }
    // Calls, right, aborted, timed out, killed: each call is in one of the last four.
    let all = row(out, "all");
    assert_eq!(all[0], all[1..].iter().sum::<u64>(), "{out}");
    assert!(all[1] > 0, "{out}");
    assert_eq!(row(out, "numbers").len(), 5, "{out}");
}

#[test]
fn a_soak_ends_after_so_many_calls_and_without_kills_none_fails() {
    let output = soak(&["--calls", "20000", "--seed", "2", "--kill-every", "0"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}\n{}", text(&output.stderr));
    let all = row(out, "all");
    assert!(all[0] >= 20_000 && all[4] == 0, "{out}");
    assert!(out.contains(" 0 workers killed;"), "{out}");
}

#[test]
fn what_goes_wrong_in_a_worker_is_found_and_told() {
    for (how, found) in [("wrong", "Corrupted"), ("twice", "Duplicated")] {
        let output = soak(&["--calls", "20000", "--seed", "3", "--inject", how]);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{how}: {out}\n{err}");
        assert!(out.contains(&format!(": {found}, None\n")), "{how}: {out}");
        assert!(!out.contains("no faults\n"), "{how}: {out}");
        assert!(err.contains(" faults in "), "{how}: {err}");
    }
}

#[test]
fn help_names_every_option_and_wrong_ones_are_refused() {
    let help = soak(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let options = "seconds calls seed workers callers kill-every patience inject";
    for option in options.split(' ') {
        assert!(text(&help.stdout).contains(&format!("--{option} <")), "{option}");
    }
    for arguments in [["--callers", "0"], ["--workers", "65"], ["--inject", "much"]] {
        assert_eq!(soak(&arguments).status.code(), Some(2), "{arguments:?}");
    }
}
