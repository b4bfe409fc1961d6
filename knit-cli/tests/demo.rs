//! The `knit` command, as its users see it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const KNIT: &str = env!("CARGO_BIN_EXE_knit");

fn knit(arguments: &[&str]) -> Output {
    Command::new(KNIT).args(arguments).stdin(Stdio::null()).output().expect("knit can be started")
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("knit writes UTF-8")
}

/// Runs the demo, and checks that it ended well and left no process.
fn demo(arguments: &[&str]) -> String {
    let output = knit(&[&["demo", "--quick"], arguments].concat());
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    assert_eq!(err, "", "nothing to complain about");

    let ids = processes(out);
    assert!(ids.len() > 1, "processes of both pools are named: {out}");
    let left: Vec<_> = ids.into_iter().filter(|id| is_knit(*id)).collect();
    assert!(left.is_empty(), "processes {left:?} are left: {out}");
    out.to_owned()
}

/// The numbers that follow the words "process" and "processes".
fn processes(output: &str) -> BTreeSet<u32> {
    let mut ids = BTreeSet::new();
    for after in output.split("process").skip(1) {
        let list = after.trim_start_matches("es").trim_start();
        let list = list.split(|c: char| !c.is_ascii_digit() && !", ".contains(c)).next();
        // In "12 100, process 13 100" the id is the first number; in "12, 13" all are.
        let words = list.unwrap_or_default().split(", ");
        ids.extend(words.filter_map(|word| word.split(' ').next()?.parse::<u32>().ok()));
    }
    ids
}

/// Whether there is a process of this id that runs the `knit` of this test.
fn is_knit(id: u32) -> bool {
    let process = Path::new("/proc").join(id.to_string());
    // A process that has ended and was not reaped has no executable any more, but has a state.
    let ended = fs::read_to_string(process.join("status")).is_ok_and(|s| s.contains("zombie"));
    ended || fs::read_link(process.join("exe")).is_ok_and(|exe| exe == Path::new(KNIT))
}

/// The row of the table that starts so, without its name.
fn row<'a>(output: &'a str, name: &str) -> &'a str {
    let found = output.lines().find_map(|line| line.trim_start().strip_prefix(name));
    found.unwrap_or_else(|| panic!("no row {name:?}: {output}"))
}

#[test]
fn demo_shows_checked_results_and_a_table() {
    let out = demo(&[]);
    for expected in [
        "square(12) = 144\n",
        "greet(\"knit\") = \"hello knit, from process ",
        "primes below 1 000 000: 78 498, as it should be: ok\n",
        "random points: 3.14",
        "are allowed: ok\n",
        "configure(\"workers = two\"): the task failed\n    the settings cannot be used\n    \
         └─ `workers` is not a number\n       └─ invalid digit found in string\n",
        "pick(7): the task panicked\n    index out of bounds: the len is 3 but the index is 7\n",
        "the same processes go on: square(1.5) = 2.25: ok\n",
        "no worker is left\n",
    ] {
        assert!(out.contains(expected), "{expected:?} is missing: {out}");
    }
    let headings = row(&out, "calls  ");
    assert_eq!(
        headings.split_whitespace().collect::<Vec<_>>(),
        ["calls/s", "per", "call", "p50", "p99", "ratio"]
    );
    for name in ["knit, one at a time", "knit, 100 in flight", "limit: ", "rival: Unix socket"] {
        let cells = row(&out, name);
        let ratio: f64 =
            cells.split_whitespace().last().and_then(|cell| cell.parse().ok()).unwrap();
        assert!(ratio.is_finite(), "{name}{cells}");
    }
    assert!(row(&out, "limit: ").ends_with(" 1.0"), "{out}");
}

#[test]
fn demo_uses_as_many_workers_as_it_is_told() {
    for (count, heading) in [("1", "Worker: process "), ("40", "Workers: processes ")] {
        let out = demo(&["--workers", count]);
        let first = out.lines().next().unwrap_or_default();
        let list = first.strip_prefix(heading).unwrap_or_else(|| panic!("{heading:?}: {first:?}"));
        assert_eq!(list.split(", ").count().to_string(), count, "{first}");
    }
}

#[test]
fn help_names_every_command_and_option() {
    let help = knit(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for expected in ["Usage: knit", "demo", "--help", "--version"] {
        assert!(text(&help.stdout).contains(expected), "{expected}: {}", text(&help.stdout));
    }
    let help = knit(&["demo", "--help"]);
    assert_eq!(help.status.code(), Some(0));
    for expected in ["Usage: knit demo", "--workers <N>", "[default: 2]", "--quick", "--help"] {
        assert!(text(&help.stdout).contains(expected), "{expected}: {}", text(&help.stdout));
    }
}

#[test]
fn version_is_that_of_the_package() {
    let version = knit(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(text(&version.stdout), concat!("knit ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn wrong_arguments_are_refused_with_a_message() {
    for (arguments, message) in [
        (&["demo", "--slow"][..], "unexpected argument '--slow'"),
        (&["dmeo"][..], "unrecognized subcommand 'dmeo'"),
        (&["demo", "--workers", "0"][..], "0 is not in 1..=64"),
        (&["demo", "--workers", "two"][..], "invalid value 'two' for '--workers <N>'"),
        (&[][..], "Usage: knit"),
    ] {
        let refused = knit(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert_eq!(text(&refused.stdout), "", "{arguments:?}");
        let err = text(&refused.stderr);
        assert!(err.contains(message), "{arguments:?}: {err}");
    }
}

#[test]
fn output_that_nobody_takes_is_an_error_in_one_line() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has /dev/full");
    let mut command = Command::new(KNIT);
    let output = command.args(["demo", "--quick"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = text(&output.stderr);
    assert!(err.starts_with("knit: cannot write to the standard output: "), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}
