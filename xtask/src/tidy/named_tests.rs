//! Tests that a page names: in code spans, as `file::test`.

use crate::tree::Tree;

/// Finds the tests that `page` names and that do not exist, or do not run; returns how many it names in all.
///
/// A file is one of `tests/tests` without its ending, or a path from the root. Spans with capital letters before the
/// colons name types.
pub(super) fn check(tree: &Tree, page: &str, findings: &mut Vec<String>) -> usize {
    let named: Vec<_> = of(tree.text(page)).collect();
    for (file, test) in &named {
        if source(tree, file, test).is_none() {
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

/// What a macro says that makes tests of the functions whose names it is given, one in a line.
const MADE_BY_A_MACRO: &str = "#[test] fn $name()";

/// Documentation, attributes and body of a test; `None` when there is none, or one that is ignored.
pub(super) fn source<'t>(tree: &'t Tree, file: &str, test: &str) -> Option<&'t str> {
    let path = if file.contains('/') { file.to_owned() } else { format!("tests/tests/{file}.rs") };
    let text = tree.text(&path);
    let at = text.find(&format!("fn {test}("))?;
    // Attributes stand above a test, and documentation may.
    let start = text[..at].rfind("\n\n").map_or(0, |end| end + 2);
    let attributes = || text[start..at].lines().filter(|line| line.trim_start().starts_with("#["));
    let is_named = || text.lines().any(|line| line.trim() == test);
    let is_test = attributes().any(|line| line.contains("#[test]"))
        || (text.contains(MADE_BY_A_MACRO) && is_named());
    let is_ignored = attributes().any(|line| line.contains("ignore"));
    // The brace that ends it is indented as its first line is.
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let indent = text[line..at].len() - text[line..at].trim_start().len();
    let first = text[at..].lines().next()?;
    let body = if first.ends_with('}') {
        first.len()
    } else {
        let brace = format!("\n{}}}", &text[line..line + indent]);
        text[at..].find(&brace).map_or(text.len() - at, |end| end + brace.len())
    };
    (is_test && !is_ignored).then(|| &text[start..at + body])
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

    #[test]
    fn a_test_that_is_ignored_is_none() {
        for ignored in ["#[ignore]", "#[ignore = \"slow\"]", "#[cfg_attr(not(x), ignore)]"] {
            let source = format!("#[test]\n{ignored}\nfn waits() {{}}\n");
            let tree = Tree::of(&[("p.md", "`a/b.rs::waits`"), ("a/b.rs", &source)]);
            let mut findings = Vec::new();
            check(&tree, "p.md", &mut findings);
            assert_eq!(findings, ["p.md names `a/b.rs::waits`, which is no test"], "{ignored}");
        }
    }

    #[test]
    fn tests_that_a_macro_makes_of_names_are_tests() {
        let text = "m! { ($($name:ident)*) => { $(#[test] fn $name() { super::$name(1); })* } }\n\n\
                    m! {\n    is_named\n}\n\nfn is_named(n: u32) {\n}\n\nfn is_not(n: u32) {\n}\n";
        let tree = Tree::of(&[("a/b.rs", text)]);
        assert_eq!(source(&tree, "a/b.rs", "is_named"), Some("fn is_named(n: u32) {\n}"));
        assert_eq!(source(&tree, "a/b.rs", "is_not"), None);
    }

    #[test]
    fn the_source_of_a_test_is_its_own() {
        let text = "mod tests {\n    /// One.\n    #[test]\n    fn one() {\n        if x {\n        }\n    }\n\n    \
                    #[test]\n    fn two() {}\n}\n";
        let tree = Tree::of(&[("a/b.rs", text)]);
        let one = source(&tree, "a/b.rs", "one").unwrap();
        assert!(one.contains("/// One.") && one.ends_with("        }\n    }"), "{one}");
        assert_eq!(source(&tree, "a/b.rs", "two"), Some("    #[test]\n    fn two() {}"));
    }
}
