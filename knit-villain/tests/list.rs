//! The list of cases: numbers that stay, clauses that exist.

mod support;

use knit_villain::cases;
use std::collections::BTreeSet;
use std::path::Path;
use support::{list, text, villain};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn numbers_are_given_once_and_stay() {
    let output = villain(&["list"]);
    let now = String::from_utf8(output.stdout).unwrap();
    let then = std::fs::read_to_string(root().join("cases.txt")).unwrap();
    // A new case is a new line of the file: `knit-villain list > knit-villain/cases.txt`. No line of it changes.
    for (now, then) in now.lines().zip(then.lines()) {
        assert_eq!(now, then);
    }
    assert_eq!(now.lines().count(), then.lines().count());
    assert_eq!(list().len(), now.lines().count());
}

/// The page says how many cases there are, of each kind, and its summary is one of a run of all hostile hosts.
#[test]
fn the_page_counts_the_cases_that_there_are() {
    let page = std::fs::read_to_string(root().join("../docs/villain.md")).unwrap();
    let of = |role: &str| list().values().filter(|case| text(case, "role") == role).count();
    let (hosts, workers) = (of("host"), of("worker"));
    assert_eq!(hosts + workers, list().len());
    for said in [
        format!("It has {} numbered cases.", hosts + workers),
        format!("In {hosts} of them the villain is the host"),
        format!("other {workers} it is a worker"),
    ] {
        assert!(page.contains(&said), "docs/villain.md does not say: {said}");
    }
    let summary = page.lines().find(|line| line.starts_with(r#"{"summary""#)).unwrap();
    let summary: serde_json::Value = serde_json::from_str(summary).unwrap();
    let verdicts = summary["summary"].as_object().unwrap();
    assert_eq!(verdicts.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), hosts as u64);
}

#[test]
fn every_case_has_a_clause_of_the_specification() {
    let chapters = ["segment", "mailbox", "arena", "payloads", "lanes"];
    let spec: String = chapters
        .map(|name| std::fs::read_to_string(root().join(format!("../spec/{name}.md"))).unwrap())
        .concat();
    let mut clauses = BTreeSet::new();
    for (id, case) in list() {
        let clause = text(&case, "clause");
        assert!(spec.contains(&format!("**{clause} (")), "{id}: {clause}");
        clauses.insert(clause.to_owned());
    }
    assert!(clauses.len() >= 50, "{} clauses: {clauses:?}", clauses.len());
}

#[test]
fn a_case_is_found_by_its_id_and_has_a_name_of_its_own() {
    let cases = cases::all();
    let mut names = BTreeSet::new();
    for case in &cases {
        assert_eq!(cases::find(&case.id()).map(|found| found.number), Some(case.number));
        assert!(names.insert((case.role().name(), case.name.clone())), "{}", case.name);
    }
    assert!(cases.is_sorted_by(|one, next| one.number < next.number));
    assert!(cases::find("V0000").is_none() && cases::find("x").is_none());
}
