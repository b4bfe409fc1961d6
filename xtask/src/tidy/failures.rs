//! The table of what can go wrong: its tests exist, and no error is missing.

use super::named_tests;
use crate::tree::Tree;

const TABLE: &str = "docs/failures.md";
const ERRORS: &str = "knit-lanes/src/error.rs";

/// Every check of the table.
pub(super) fn check(tree: &Tree, findings: &mut Vec<String>) {
    let table = tree.text(TABLE);
    let tests = named_tests::check(tree, TABLE, findings);
    if tests == 0 {
        findings.push(format!("{TABLE} names no tests"));
    }
    for kind in ["CallError", "StartError"] {
        let variants = variants(tree.text(ERRORS), kind);
        if variants.is_empty() {
            findings.push(format!("{ERRORS} has no variants of {kind}"));
        }
        for variant in variants {
            if !table.contains(&format!("{kind}::{variant}")) {
                findings.push(format!("{TABLE} says nothing of {kind}::{variant}"));
            }
        }
    }
}

/// Names of the variants of an enumeration that is formatted as `rustfmt` does.
fn variants<'t>(text: &'t str, kind: &str) -> Vec<&'t str> {
    let Some((_, rest)) = text.split_once(&format!("pub enum {kind} {{\n")) else {
        return Vec::new();
    };
    let body = rest.split_once("\n}").map_or(rest, |(body, _)| body);
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let begins = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    begins.filter_map(|line| line.split([' ', '(', ',']).next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENUMS: &str = "pub enum CallError {\n    /// A.\n    #[error(\"Z\")]\n    A(u8),\n    B {\n        \
                         c: u8,\n    },\n    D,\n}\npub enum StartError {\n    E,\n}\n";

    fn findings(table: &str) -> Vec<String> {
        let mut findings = Vec::new();
        let test = ("tests/tests/pool_x.rs", "#[test]\nfn works() {}\n");
        check(&Tree::of(&[(TABLE, table), (ERRORS, ENUMS), test]), &mut findings);
        findings
    }

    #[test]
    fn missing_tests_and_missing_errors_are_found() {
        let whole = "`CallError::A`, `CallError::B`, `CallError::D`, `StartError::E`: ";
        assert_eq!(findings(&format!("{whole} `pool_x::works`")), [""; 0]);
        assert_eq!(findings(&format!("{whole} `pool_x::fails` `pool_y::works`")).len(), 2);
        assert_eq!(findings(whole), ["docs/failures.md names no tests"]);
        assert_eq!(findings("`pool_x::works` `CallError::B` `StartError::E`").len(), 2);
    }
}
