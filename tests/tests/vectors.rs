//! The files of `spec/vectors/` are what this project produces, and the crates do what they say.

#[allow(dead_code, unused_imports, reason = "shared with the test `knitting_values`")]
mod vectors_support;

use knit_proto::Tag;
use knit_tests::vector_files::{
    File, decode, folder, hold_header, hold_payload, hold_slot, number, text,
};
use knit_tests::vectors::disk;
use knit_tests::vectors::{FOLDERS, all};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use toml::Table;
use vectors_support::{SAME, hold_boot, hold_recorded, recorded, refusal};

/// Errors of the layout without a vector, because no input leads to them: a mailbox on the wire has
/// 32 slots, and its words 32 bits.
const WITHOUT_INPUT: [&str; 1] = ["no_such_slot"];

/// Runs a check for each file, and names those that fail.
fn for_each(files: &[File], mut check: impl FnMut(&File)) {
    let mut failed = Vec::new();
    for file in files {
        if catch_unwind(AssertUnwindSafe(|| check(file))).is_err() {
            failed.push(&file.path);
        }
    }
    assert!(failed.is_empty(), "{} of {} fail: {failed:#?}", failed.len(), files.len());
}

fn clauses(file: &File) -> Vec<&str> {
    file.json["clauses"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect()
}

#[test]
fn the_files_are_what_this_project_produces() {
    let differences = disk::differences().unwrap();
    let lines: Vec<_> = differences.iter().map(ToString::to_string).collect();
    assert!(
        lines.is_empty(),
        "{}\nrun `cargo xtask vectors --bless` and look at the differences",
        lines.join("\n")
    );
    let paths: BTreeSet<_> = all().into_iter().map(|file| file.path).collect();
    assert_eq!(paths.len(), all().len(), "two vectors have one name");
}

#[test]
fn every_file_is_named_after_its_first_clause_and_says_what_it_shows() {
    let files: Vec<_> = FOLDERS.iter().flat_map(|name| folder(name)).collect();
    for_each(&files, |file| {
        let name = text(&file.json, "name");
        assert!(file.path.ends_with(&format!("/{name}")));
        let clauses = clauses(file);
        assert!(name.starts_with(&format!("{}-", clauses[0])));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
        assert_eq!(clauses.iter().collect::<BTreeSet<_>>().len(), clauses.len());
        let doc = text(&file.json, "doc");
        assert!(doc.ends_with('.') && !doc.contains("  "), "{doc}");
    });
}

#[test]
fn there_are_enough() {
    for (name, fewest) in
        [("header", 15), ("slot", 25), ("payload", 110), ("reject", 110), ("boot", 50)]
    {
        let count = folder(name).len();
        println!("{name}: {count}");
        assert!(count >= fewest, "{count} vectors in {name}, fewer than {fewest}");
    }
}

#[test]
fn headers_are_read_and_written_as_the_vectors_say() {
    for_each(&folder("header"), |file| hold_header(&file.json));
}

#[test]
fn header_lines_are_read_and_written_as_the_vectors_say() {
    for_each(&folder("slot"), |file| hold_slot(&file.json));
}

/// PAY-29.
#[test]
fn payloads_are_read_and_written_as_the_vectors_say() {
    for_each(&folder("payload"), |file| hold_payload(&file.json));
}

/// LANE-49.
#[test]
fn boot_descriptions_are_read_and_refused_as_the_vectors_say() {
    for_each(&folder("boot"), |file| hold_boot(&file.json));
}

#[test]
fn what_the_vectors_reject_is_refused_with_the_same_error() {
    for_each(&folder("reject"), |file| {
        let expected = (text(&file.json, "error"), text(&file.json, "clause"));
        if text(&file.json, "kind") != "payload" {
            assert_eq!(refusal(&file.json), expected);
            return;
        }
        let error = decode(&file.json).expect_err("the vector rejects it");
        assert_eq!((error.name(), error.clause()), (Some(expected.0), Some(expected.1)));
    });
}

#[test]
fn every_assigned_tag_has_a_canonical_payload_but_the_local_ones() {
    let mut tags = BTreeSet::new();
    for file in folder("payload") {
        if text(&file.json, "verdict") == "canonical" {
            tags.insert(number(&file.json["message"], "tag"));
        }
    }
    let assigned = Tag::ASSIGNED.iter().filter(|tag| ![47, 48].contains(&tag.0));
    assert!(tags.into_iter().eq(assigned.map(|tag| u64::from(tag.0))));
}

/// The generator, the crates and `layout.toml` state names and clauses each for themselves.
#[test]
fn every_error_of_the_layout_has_vectors_with_its_clause() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/layout.toml");
    let layout: Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let stated: BTreeSet<(String, String)> = layout["error"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| ["name", "clause"].map(|name| error[name].as_str().unwrap().to_owned()).into())
        .filter(|(name, _): &(String, String)| !WITHOUT_INPUT.contains(&name.as_str()))
        .collect();
    let shown: BTreeSet<(String, String)> = folder("reject")
        .iter()
        .map(|file| (text(&file.json, "error").into(), text(&file.json, "clause").into()))
        .collect();
    assert_eq!(shown, stated);
}

#[test]
fn every_rejection_names_the_clause_that_it_breaks_first() {
    for_each(&folder("reject"), |file| {
        assert_eq!(clauses(file)[0], text(&file.json, "clause"));
        let words = text(&file.json, "error").replace('_', "-");
        assert!(text(&file.json, "name").starts_with(&format!("{}-{words}-", clauses(file)[0])));
    });
}

#[test]
fn payloads_have_the_bytes_that_the_upstream_system_was_recorded_with() {
    let Some(entries) = recorded() else { return };
    let files = folder("payload");
    for (name, id) in SAME {
        let named = |file: &&File| {
            let stem = text(&file.json, "name");
            stem.strip_prefix(&format!("{}-", clauses(file)[0])) == Some(name)
        };
        let file = files.iter().find(named).unwrap_or_else(|| panic!("no vector {name}"));
        println!("{name} {id}");
        hold_recorded(file, &entries[*id]);
    }
}
