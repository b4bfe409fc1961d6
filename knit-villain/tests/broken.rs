//! Implementations that are broken on purpose get bad verdicts: the verdicts can fail.

mod support;

use support::{BROKEN, text, verdicts, villain};

/// Runs these cases and expects this verdict, for this reason, of each. Where somebody hangs for good the deadline is
/// short.
#[track_caller]
fn expect(role: &str, mode: &str, cases: &[&str], verdict: &str, reason: &str) {
    let deadline = if verdict == "WEDGED" { "3" } else { "8" };
    let options = [role, "--json", "--named", "--jobs", "4", "--deadline", deadline];
    let arguments = [&options, cases, &["--", BROKEN, mode]].concat();
    let (found, status) = verdicts(&arguments);
    assert_eq!(found.len(), cases.len(), "{mode}");
    for found in found.values() {
        assert_eq!(text(found, "verdict"), verdict, "{mode}: {found}");
        assert!(text(found, "seen").contains(reason), "{mode}: {found}");
    }
    let bad = matches!(verdict, "FAIL" | "WEDGED");
    assert_eq!(status, Some(i32::from(bad)), "{mode}");
}

#[track_caller]
fn worker(mode: &str, cases: &[&str], verdict: &str, reason: &str) {
    expect("host", &format!("worker-{mode}"), cases, verdict, reason);
}

#[track_caller]
fn host(mode: &str, cases: &[&str], verdict: &str, reason: &str) {
    expect("against-host", &format!("host-{mode}"), cases, verdict, reason);
}

/// A call id that has to be echoed; a tag that no message has; a text that is none; a host that dies.
const CARRIES: &str = "V0407";
const REJECTS: &str = "V0500";
const FAILS: &str = "V0591";
const ORPHAN: &str = "V0481";

#[test]
fn the_cases_that_are_named_here_are_those() {
    let output = villain(&["list"]);
    let list = String::from_utf8(output.stdout).unwrap();
    for (id, name) in [
        (CARRIES, "call-id-0"),
        (REJECTS, "request-tag-0"),
        (FAILS, "request-utf8-lone-continuation"),
        (ORPHAN, "host-dies-while-busy"),
        ("V1100", "answer-tag-0"),
        ("V0950", "opens-in-epoch-0"),
    ] {
        let line = list.lines().find(|line| line.starts_with(id)).unwrap();
        assert!(line.ends_with(name), "{line}");
    }
}

#[test]
fn a_worker_that_crashes_fails() {
    worker("crashes", &[CARRIES, FAILS], "FAIL", "signal 6");
    worker("exits", &[CARRIES], "FAIL", "status 0");
    worker("panics", &[REJECTS], "FAIL", "status 101");
}

#[test]
fn a_worker_that_does_not_begin_is_wedged() {
    worker("never-opens", &[CARRIES, REJECTS, "V0100"], "WEDGED", "no worker that is open");
}

#[test]
fn a_worker_that_does_not_answer_or_end_is_wedged() {
    worker("deaf", &[CARRIES], "WEDGED", "no answer");
    worker("stays", &[CARRIES], "WEDGED", "no end of the worker");
}

#[test]
fn a_worker_that_outlives_its_host_is_wedged() {
    worker("plain", &[ORPHAN], "WEDGED", "after its host");
    worker("crashes", &[ORPHAN], "FAIL", "has ended");
}

#[test]
fn a_worker_that_hangs_at_a_violation_is_wedged() {
    worker("hangs", &[REJECTS], "WEDGED", "no reaction");
}

#[test]
fn a_worker_that_answers_wrongly_fails() {
    worker("wrong-value", &[CARRIES], "FAIL", "other ones");
    worker("wrong-id", &[CARRIES], "FAIL", "not in flight");
    worker("answers-twice", &[CARRIES], "FAIL", "not in flight");
    worker("wrong-tag", &[CARRIES], "FAIL", "broke the protocol");
    worker("fails-all", &[CARRIES], "FAIL", "the call failed");
    worker("succeeds-always", &[FAILS], "FAIL", "succeeded");
    worker("accepts-more", &[CARRIES], "FAIL", "accepted features");
    worker("closes-badly", &[CARRIES], "FAIL", "status 1");
}

#[test]
fn a_worker_that_takes_what_it_must_refuse_fails() {
    worker("lenient", &[REJECTS], "FAIL", "went on");
    worker("refuses-all", &[CARRIES, REJECTS], "FAIL", "status 78");
    worker("wrong-status", &[REJECTS], "FAIL", "status 1");
}

#[test]
fn a_violation_without_a_name_is_one_only_where_names_are_not_asked_for() {
    worker("silent", &[REJECTS], "FAIL", "names neither");
    let arguments = ["host", "--json", REJECTS, "--", BROKEN, "worker-silent"];
    let (found, status) = verdicts(&arguments);
    assert_eq!((text(&found[REJECTS], "verdict"), status), ("REJECT", Some(0)));
}

#[test]
fn a_host_that_crashes_fails() {
    host("crashes", &["V1100"], "FAIL", "signal 6");
    host("panics", &["V1100"], "FAIL", "status 101");
    host("says-nothing", &["V1100"], "FAIL", "`end`");
}

#[test]
fn a_host_that_hangs_is_wedged() {
    host("hangs", &["V1100"], "WEDGED", "has not ended");
}

#[test]
fn a_host_that_hangs_when_a_call_fails_is_wedged() {
    host("hangs-on-error", &["V1100"], "WEDGED", "has not ended");
}

#[test]
fn a_host_that_tells_stories_fails() {
    host("calls-nobody", &["V1100"], "FAIL", "too seldom");
    host("mixes-up", &["V1100"], "FAIL", "wrong answer");
    host("invents", &["V1100"], "FAIL", "was kept");
    host("forgets", &["V1100"], "FAIL", "of each call");
    host("names-nothing", &["V1100", "V0950"], "FAIL", "no error names");
    host("names-another", &["V1100"], "FAIL", "no error names");
}

#[test]
fn a_program_that_is_not_there_fails() {
    let arguments = ["host", "--json", CARRIES, "--", "/no/such/program"];
    let (found, status) = verdicts(&arguments);
    assert_eq!((text(&found[CARRIES], "verdict"), status), ("FAIL", Some(1)));
}

#[test]
fn a_run_that_cannot_be_is_refused() {
    for arguments in [
        &["host", "no-such-case", "--", BROKEN][..],
        &["host", "V9999", "--", BROKEN],
        &["host"],
        &["worker", "V9999", "/tmp"],
        &["nothing"],
    ] {
        let output = villain(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{arguments:?}");
    }
}
