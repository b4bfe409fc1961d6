//! The matrix of requirements: every id has one row, and every row a test or a reason.

use super::named_tests;
use crate::tree::Tree;

const PAGE: &str = "docs/hardening.md";
/// Prefixes of ids, and how many each has, from 1.
const IDS: [(&str, u32); 3] = [("H", 23), ("C", 19), (DEFECT, 33)];
/// Prefix of the ids that a test has to name: nothing but the name says which defect it would show.
const DEFECT: &str = "KD-";
/// What a row without a test says.
const REASONS: [&str; 2] = ["not applicable: ", "missing: "];

/// Every check of the matrix.
pub(super) fn check(tree: &Tree, findings: &mut Vec<String>) {
    named_tests::check(tree, PAGE, findings);
    let rows: Vec<_> = tree.text(PAGE).lines().filter_map(row).collect();
    let known =
        IDS.iter().flat_map(|(prefix, last)| (1..=*last).map(move |n| format!("{prefix}{n}")));
    let known: Vec<_> = known.collect();
    for id in &known {
        let count = rows.iter().filter(|(name, _)| name == id).count();
        if count != 1 {
            findings.push(format!("{PAGE} has {count} rows for {id}"));
        }
    }
    for (id, text) in rows {
        if !known.iter().any(|known| known == id) {
            findings.push(format!("{PAGE} has a row for {id}, which is no requirement"));
        }
        let has_test = named_tests::of(text).next().is_some();
        if !has_test && !REASONS.iter().any(|reason| text.contains(reason)) {
            findings.push(format!("{PAGE}: {id} has neither a test nor a reason"));
        }
        if has_test && id.starts_with(DEFECT) && !names_itself(tree, id, text) {
            findings.push(format!("{PAGE}: no test of {id} says {id}"));
        }
    }
}

/// Whether one of the tests that the row of a defect names has its id, above it or inside.
fn names_itself(tree: &Tree, id: &str, row: &str) -> bool {
    named_tests::of(row).any(|(file, test)| {
        let source = named_tests::source(tree, file, test).unwrap_or_default();
        // `KD-1` is not in `KD-12`.
        source.split(id).skip(1).any(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// Id and text of a row of a table, but for its head.
fn row(line: &str) -> Option<(&str, &str)> {
    let (id, text) = line.strip_prefix("| ")?.split_once(" | ")?;
    let is_id = id.ends_with(|c: char| c.is_ascii_digit());
    is_id.then_some((id, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(change: impl Fn(&str) -> String) -> Vec<String> {
        findings_with(change, 33)
    }

    /// Of a test that names the defects up to this one.
    fn findings_with(change: impl Fn(&str) -> String, last: u32) -> Vec<String> {
        let ids =
            IDS.iter().flat_map(|(prefix, last)| (1..=*last).map(move |n| format!("{prefix}{n}")));
        let rows = ids.map(|id| format!("| {id} | It does. | `pool_x::works` |\n"));
        let page = change(&format!(
            "| id | what | tests |\n| --- | --- | --- |\n{}",
            rows.collect::<String>()
        ));
        let named = (1..=last).map(|n| format!("KD-{n}, ")).collect::<String>();
        let test = format!(
            "/// {named}and no more.\n#[test]\nfn works() {{}}\n\n/// KD-33.\nfn helps() {{}}\n"
        );
        let mut findings = Vec::new();
        check(&Tree::of(&[(PAGE, &page), ("tests/tests/pool_x.rs", &test)]), &mut findings);
        findings
    }

    #[test]
    fn a_test_of_each_defect_says_its_id() {
        assert_eq!(findings_with(str::to_owned, 33), [""; 0]);
        let expected = ["docs/hardening.md: no test of KD-33 says KD-33"];
        assert_eq!(findings_with(str::to_owned, 32), expected);
        // The ids from 10 on have that of the first one in them.
        let first = "| KD-1 | It does. | `pool_x::works` |\n";
        let other = |page: &str| page.replace(first, "| KD-1 | - | `a/b.rs::other` |\n");
        let expected = [
            "docs/hardening.md names `a/b.rs::other`, which is no test",
            "docs/hardening.md: no test of KD-1 says KD-1",
        ];
        assert_eq!(findings(other), expected);
    }

    #[test]
    fn every_id_has_one_row_with_a_test_or_a_reason() {
        let row = |id: &str| format!("| {id} | It does. | `pool_x::works` |\n");
        assert_eq!(findings(str::to_owned), [""; 0]);
        let without = |id: &str| row(id).replace("`pool_x::works`", "none");
        let reason =
            |page: &str| page.replace(&row("H7"), "| H7 | - | not applicable: there is none |\n");
        assert_eq!(findings(reason), [""; 0]);
        let no_reason = |page: &str| page.replace(&row("C19"), &without("C19"));
        assert_eq!(findings(no_reason), ["docs/hardening.md: C19 has neither a test nor a reason"]);
        let gone = |page: &str| page.replace(&row("KD-3"), "");
        assert_eq!(findings(gone), ["docs/hardening.md has 0 rows for KD-3"]);
        let twice = |page: &str| page.to_owned() + &row("H23") + &row("H24");
        let expected = [
            "docs/hardening.md has 2 rows for H23",
            "docs/hardening.md has a row for H24, which is no requirement",
        ];
        assert_eq!(findings(twice), expected);
    }
}
