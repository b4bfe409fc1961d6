//! Runs the program and reads its report.

#![allow(dead_code, reason = "each test program uses a part of it")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Command, Output};

/// The programs.
pub const VILLAIN: &str = env!("CARGO_BIN_EXE_knit-villain");
pub const WORKER: &str = env!("CARGO_BIN_EXE_knit-villain-worker");
pub const HOST: &str = env!("CARGO_BIN_EXE_knit-villain-host");
pub const BROKEN: &str = env!("CARGO_BIN_EXE_knit-villain-broken");

/// Runs the program with these arguments.
pub fn villain(arguments: &[&str]) -> Output {
    Command::new(VILLAIN).args(arguments).output().expect("the program is built")
}

/// What a run said of each case, by id, and its exit status.
pub fn verdicts(arguments: &[&str]) -> (BTreeMap<String, Value>, Option<i32>) {
    let output = villain(arguments);
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.is_empty(), "{complaint}");
    let summary = lines.pop().expect("a summary");
    let counted: u64 = summary["summary"]
        .as_object()
        .expect("verdicts")
        .values()
        .map(|count| count.as_u64().expect("a number"))
        .sum();
    assert_eq!(counted, lines.len() as u64);
    let by_id = |line: Value| (line["id"].as_str().expect("an id").to_owned(), line);
    (lines.into_iter().map(by_id).collect(), output.status.code())
}

/// The cases of the list, by id.
pub fn list() -> BTreeMap<String, Value> {
    let output = villain(&["list", "--json"]);
    let cases: Vec<Value> = serde_json::from_slice(&output.stdout).expect("an array");
    cases.into_iter().map(|case| (text(&case, "id").to_owned(), case)).collect()
}

/// A member that is a text.
pub fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().expect("a text")
}
