//! Checks that cargo does not know.

mod clauses;
mod code_map;
mod failures;
mod hardening;
mod named_tests;
mod vectors;

use std::collections::BTreeSet;
use std::process::ExitCode;

use crate::generate;
use crate::tree::{self, Tree};

/// Longest source file, in lines. Longer ones hold more than one idea.
const MAX_LINES: usize = 600;

/// Runs every check and prints each finding.
pub(crate) fn run() -> ExitCode {
    let tree = match Tree::read() {
        Ok(tree) => tree,
        Err(error) => {
            eprintln!("tidy: cannot read the tree: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut findings = Vec::new();
    unsafe_where_listed(&tree, &mut findings);
    nothing_unfinished(&tree, &mut findings);
    clauses::check(&tree, &mut findings);
    vectors::check(&tree, &mut findings);
    failures::check(&tree, &mut findings);
    code_map::check(&tree, &mut findings);
    hardening::check(&tree, &mut findings);
    match generate::stale(&tree) {
        Ok(stale) => findings.extend(stale),
        Err(mistakes) => findings.extend(mistakes),
    }
    edges_have_models(&tree, &mut findings);
    readme_shows_the_example(&tree, &mut findings);
    for finding in &findings {
        eprintln!("tidy: {finding}");
    }
    println!("tidy: {} files read, {} findings", tree.files.len(), findings.len());
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `unsafe` stands only in the files that ARCHITECTURE.md lists, and each of those has some.
fn unsafe_where_listed(tree: &Tree, findings: &mut Vec<String>) {
    let listed: BTreeSet<_> = between(tree.text("ARCHITECTURE.md"), "unsafe files")
        .lines()
        .filter_map(|line| line.split('`').nth(1))
        .collect();
    if listed.is_empty() {
        findings.push("ARCHITECTURE.md lists no files that may hold `unsafe`".to_owned());
    }
    for (name, text) in tree.sources() {
        let lines = || text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
        let has = lines().any(|line| line.contains("unsafe_code, reason"))
            || lines().any(|line| line.contains("unsafe {") || line.starts_with("unsafe impl"));
        match (has, listed.contains(name)) {
            (true, false) => {
                findings.push(format!("{name} holds `unsafe` but ARCHITECTURE.md does not list it"))
            }
            (false, true) => {
                findings.push(format!("ARCHITECTURE.md lists {name}, which holds no `unsafe`"));
            }
            _ => {}
        }
    }
    for name in listed.iter().filter(|name| !tree::root().join(name).exists()) {
        findings.push(format!("ARCHITECTURE.md lists {name}, which does not exist"));
    }
}

/// No file is left half done, ignored, or grown past one idea.
fn nothing_unfinished(tree: &Tree, findings: &mut Vec<String>) {
    let words = ["todo!(", "unimplemented!(", "#[ignore", "```ignore"];
    for (name, text) in tree.sources() {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                findings.push(format!("{name}:{}: `{word}`", number + 1));
            }
        }
        let lines = text.lines().count();
        if lines > MAX_LINES {
            findings.push(format!("{name}: {lines} lines, at most {MAX_LINES}"));
        }
    }
}

/// Every model that the edge table names exists, and tests a mutant.
fn edges_have_models(tree: &Tree, findings: &mut Vec<String>) {
    let table = tree.text("knit-ring/src/edges.rs");
    let models: BTreeSet<_> =
        table.split('`').filter(|word| word.starts_with("loom_") && !word.contains(' ')).collect();
    if models.is_empty() {
        findings.push("knit-ring/src/edges.rs names no models".to_owned());
    }
    for model in models {
        let text = tree.text(&format!("tests/tests/{model}.rs"));
        if !text.contains("fn model_rejects_") {
            findings.push(format!("edges.rs names {model}, which has no `model_rejects_` test"));
        }
    }
}

/// The program of the README is the example that the build compiles and the tests run.
fn readme_shows_the_example(tree: &Tree, findings: &mut Vec<String>) {
    let readme = tree.text("README.md");
    let shown = readme.split_once("```rust\n").and_then(|(_, rest)| rest.split_once("```"));
    let example = tree.text("knit-lanes/examples/square.rs");
    let code = example.split_once("\n\n").map(|(_, code)| code);
    if shown.map(|(code, _)| code) != code || code.is_none() {
        findings.push("README.md shows another program than knit-lanes/examples/square.rs".into());
    }
}

/// The text between `<!-- name -->` and `<!-- end -->`.
fn between<'t>(text: &'t str, name: &str) -> &'t str {
    let begin = format!("<!-- {name} -->");
    text.split_once(&begin)
        .and_then(|(_, rest)| rest.split_once("<!-- end -->"))
        .map_or("", |(inside, _)| inside)
}
