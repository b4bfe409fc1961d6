//! The traces of `spec/vectors/trace/`, read from disk and held against the clauses.
//!
//! That they are what this project does, is what `vectors.rs` compares. Here no code of the project
//! runs: what a trace shows must be right whoever made it.

mod trace_checks;

use knit_tests::{WordNames, header_fields};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use trace_checks::broken::BROKEN;
use trace_checks::broken_optional::BROKEN_OPTIONAL;
use trace_checks::memory::Memory;
use trace_checks::{Access, CHECKS, Checked, deadlines, number, withdrawal};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/trace")
}

/// Every trace, by name.
fn files() -> BTreeMap<String, Value> {
    let entries = std::fs::read_dir(folder()).expect("the traces are in the repository");
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap())
    };
    entries.map(file).collect()
}

fn list<'a>(file: &'a Value, member: &str) -> &'a [Value] {
    file[member].as_array().unwrap_or_else(|| panic!("{member} is a list"))
}

fn text<'a>(json: &'a Value, member: &str) -> &'a str {
    json[member].as_str().unwrap_or_default()
}

/// The trace of a file, a line for each access: `host store request.publish 0x00000001 release`.
fn lines(file: &Value) -> Vec<String> {
    let line = |access: &Value| {
        let members = ["who", "op", "word", "at", "value", "hex", "order"];
        members
            .map(|member| text(access, member))
            .join(" ")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    list(file, "trace").iter().map(line).collect()
}

fn parse(lines: &[String]) -> Vec<Access> {
    lines.iter().map(|line| Access::from_line(line).unwrap()).collect()
}

fn replay(trace: &[Access], end: &[Value]) -> Checked {
    let mut memory = Memory::default();
    for access in trace {
        memory.store(access)?;
    }
    let word = |word: &Value| Ok((text(word, "word").to_owned(), number(text(word, "value"))?));
    let end: BTreeMap<_, _> = end.iter().map(word).collect::<Result<_, String>>()?;
    if *memory.words() == end { Ok(()) } else { Err(format!("{:?}", memory.words())) }
}

#[test]
fn every_trace_keeps_to_the_clauses() {
    let files = files();
    assert!(files.len() >= 50, "{} traces", files.len());
    for (name, file) in files {
        let trace = parse(&lines(&file));
        for (check, run) in CHECKS {
            run(&trace).unwrap_or_else(|error| panic!("{name}: {check}: {error}"));
        }
    }
}

#[test]
fn replaying_the_stores_over_zeros_gives_the_end() {
    for (name, file) in files() {
        let trace = parse(&lines(&file));
        replay(&trace, list(&file, "final")).unwrap_or_else(|error| panic!("{name}: {error}"));
        let Some(last) = trace.iter().rposition(Access::stores) else { continue };
        let without_last = [&trace[..last], &trace[last + 1..]].concat();
        assert!(replay(&without_last, list(&file, "final")).is_err(), "{name}: access {last}");
    }
}

/// What the script says of calls that were not begun, and of deadlines, against the trace.
fn hold_results(file: &Value) -> Checked {
    let (script, trace) = (list(file, "script"), parse(&lines(file)));
    let step = |access: &Value| usize::try_from(access["step"].as_u64().unwrap()).unwrap();
    let steps: Vec<_> = list(file, "trace").iter().map(step).collect();
    withdrawal::not_begun(script, &trace, &steps)?;
    deadlines::told(script, &trace, &steps)
}

/// The file with another value in one step of its script.
fn with(file: &Value, step: usize, member: &[&str], value: Value) -> Value {
    let mut changed = file.clone();
    let at = member.iter().fold(&mut changed["script"][step], |at, name| &mut at[*name]);
    *at = value;
    changed
}

/// LANE-41, LANE-46. Each result is one that the trace shows, and no other.
#[test]
fn what_was_not_begun_and_what_a_deadline_is_follows_from_the_trace() {
    let mut refused = [0; 3];
    for (name, file) in files() {
        hold_results(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (number, step) in list(&file, "script").iter().enumerate() {
            let (kind, other, changed) = match text(step, "do") {
                "withdraw" | "settle" => {
                    let named = list(&step["result"], "not_begun");
                    let more = (0..3).map(Value::from).find(|call| !named.contains(call));
                    let more = [named, &[more.unwrap()]].concat();
                    (0, "a call more", with(&file, number, &["result", "not_begun"], more.into()))
                }
                "submit" if step["until"].is_string() && !name.starts_with("LANE-48") => {
                    (1, "until another time", with(&file, number, &["until"], "77".into()))
                }
                "deadline" => {
                    (2, "told another one", with(&file, number, &["result"], "77".into()))
                }
                _ => continue,
            };
            assert!(hold_results(&changed).is_err(), "{name}, step {number}: {other}");
            refused[kind] += 1;
        }
    }
    assert!(refused.iter().all(|count| *count > 3), "{refused:?}");
}

#[test]
fn accesses_belong_to_steps_of_their_party_and_words_stand_in_order() {
    let names = WordNames::new(&knit_proto::Layout::new(header_fields(0, 32)));
    let places: BTreeMap<_, _> = names.iter().map(|(at, name)| (name, at)).collect();
    for (name, file) in files() {
        let script = list(&file, "script");
        let mut last = 0;
        for access in list(&file, "trace") {
            let step = access["step"].as_u64().unwrap();
            assert!(step >= last, "{name}: {access}");
            assert_eq!(
                access["who"],
                script[usize::try_from(step).unwrap()]["who"],
                "{name}: {access}"
            );
            let word = [text(access, "word"), text(access, "at")].concat();
            assert!(word.is_empty() || places.contains_key(word.as_str()), "{name}: {access}");
            last = step;
        }
        let end: Vec<_> =
            list(&file, "final").iter().map(|word| places[text(word, "word")]).collect();
        assert!(end.is_sorted(), "{name}: the final words are not in the order of memory");
    }
}

#[test]
fn every_check_refuses_traces_that_break_its_clause() {
    let files = files();
    for (check, name, why, changes) in BROKEN.iter().chain(BROKEN_OPTIONAL) {
        let mut lines = lines(files.get(*name).unwrap_or_else(|| panic!("no trace {name}")));
        for (from, to) in *changes {
            let at = lines.iter().position(|line| line == from);
            let at = at.unwrap_or_else(|| panic!("{name} has no line `{from}`"));
            lines.splice(at..=at, to.lines().map(str::to_owned));
        }
        let (_, run) = CHECKS.iter().find(|(known, _)| known == check).expect("a check");
        let refused = run(&parse(&lines)).expect_err(why);
        assert!(refused.contains(why), "{check}, {name}: {refused}, not: {why}");
    }
    let broken = BROKEN.iter().chain(BROKEN_OPTIONAL);
    let broken: BTreeSet<_> = broken.map(|(check, ..)| *check).collect();
    assert_eq!(broken, CHECKS.map(|(check, _)| check).into(), "checks that something breaks");
}
