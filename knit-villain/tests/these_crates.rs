//! Every case against the worker and the host of these crates.

mod support;

use serde_json::Value;
use support::{HOST, WORKER, list, text, verdicts};

/// What a machine may lack.
const SKIPS: [&str; 1] = ["the system punches no holes into memfds"];

fn check(role: &str, arguments: &[&str]) {
    let (found, status) = verdicts(arguments);
    let cases = list();
    let expected: Vec<_> =
        cases.iter().filter(|(_, case)| text(case, "role") == role).map(|(id, _)| id).collect();
    assert!(expected.len() >= 150, "{} cases", expected.len());
    assert_eq!(found.keys().collect::<Vec<_>>(), expected);
    let bad: Vec<_> = found.values().filter(|found| !is_good(found)).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(status, Some(0));
    // What is expected is what happens, where a case leaves no choice.
    for (id, found) in &found {
        let verdict = text(found, "verdict");
        match text(&cases[id], "expect") {
            "rejects" | "refuses" => assert_eq!(verdict, "REJECT", "{found}"),
            "survives" => {}
            _ => assert_ne!(verdict, "REJECT", "{found}"),
        }
    }
}

fn is_good(found: &Value) -> bool {
    match text(found, "verdict") {
        "PASS" | "REJECT" => true,
        "SKIP" => SKIPS.iter().any(|skip| text(found, "seen").starts_with(skip)),
        _ => false,
    }
}

#[test]
fn a_worker_of_these_crates_withstands_every_hostile_host() {
    check("host", &["host", "--json", "--named", "--jobs", "4", "--", WORKER]);
}

#[test]
fn a_host_of_these_crates_withstands_every_hostile_worker() {
    check("worker", &["against-host", "--json", "--named", "--jobs", "4", "--", HOST]);
}
