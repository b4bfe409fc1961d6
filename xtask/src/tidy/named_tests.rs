//! Tests that a page names: in code spans, as `file::test`.

use crate::tree::Tree;

/// Finds the tests that `page` names and that do not exist; returns how many it names in all.
///
/// A file is one of `tests/tests` without its ending, or a path from the root. Spans with capital letters before the
/// colons name types.
pub(super) fn check(tree: &Tree, page: &str, findings: &mut Vec<String>) -> usize {
    let named: Vec<_> = of(tree.text(page)).collect();
    for (file, test) in &named {
        if !exists(tree, file, test) {
            findings.push(format!("{page} names `{file}::{test}`, which is no test"));
        }
    }
    named.len()
}

/// The tests that a text names: file and name.
pub(super) fn of(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let spans =
        text.split('`').skip(1).step_by(2).filter(|span| !span.contains(char::is_whitespace));
    let pairs = spans.filter_map(|span| span.rsplit_once("::"));
    pairs.filter(|(file, _)| file.contains('/') || file.chars().all(|c| c == '_' || is_lower(c)))
}

fn exists(tree: &Tree, file: &str, test: &str) -> bool {
    let path = if file.contains('/') { file.to_owned() } else { format!("tests/tests/{file}.rs") };
    let text = tree.text(&path);
    // Attributes stand above a test, and documentation may.
    let marked =
        |before: &str| before.rsplit("\n\n").next().is_some_and(|near| near.contains("#[test]"));
    text.split_once(&format!("fn {test}(")).is_some_and(|(before, _)| marked(before))
}

fn is_lower(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_from_types_and_looked_for_where_they_should_be() {
        let source = "/// Helps.\nfn helper() {}\n\n/// Works.\n#[test]\nfn works() {}\n";
        let page =
            "`pool_x::works`, `a/src/b.rs::works`: `Error::Works`, `CallError::Task`, `a b::c`";
        let tree = |page| {
            Tree::of(&[("p.md", page), ("tests/tests/pool_x.rs", source), ("a/src/b.rs", source)])
        };
        let mut findings = Vec::new();
        assert_eq!(check(&tree(page), "p.md", &mut findings), 2);
        assert_eq!(findings, [""; 0]);
        let wrong = "`pool_x::helper` `pool_y::works` `a/src/c.rs::works` `pool_x::work`";
        assert_eq!(check(&tree(wrong), "p.md", &mut findings), 4);
        assert_eq!(findings.len(), 4);
        assert_eq!(findings[0], "p.md names `pool_x::helper`, which is no test");
    }
}
