//! The code map of ARCHITECTURE.md: no module of the library crates is missing.

use std::collections::BTreeSet;

use crate::tree::Tree;

const PAGE: &str = "ARCHITECTURE.md";
const CRATES: [&str; 4] = ["knit-proto", "knit-codec", "knit-ring", "knit-lanes"];

/// Every check of the map.
pub(super) fn check(tree: &Tree, findings: &mut Vec<String>) {
    let page = tree.text(PAGE);
    let map = page.split_once("\n## Code map\n").map(|(_, rest)| rest);
    let Some(map) = map.map(|rest| rest.split("\n## ").next().unwrap_or(rest)) else {
        findings.push(format!("{PAGE} has no code map"));
        return;
    };
    // What stands between backquotes, in words: `lane/counts` names both.
    let named: BTreeSet<_> = map
        .split('`')
        .skip(1)
        .step_by(2)
        .flat_map(|code| code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .collect();
    for (file, _) in tree.sources() {
        if let Some(module) = module(file).filter(|module| !named.contains(module)) {
            findings.push(format!("{PAGE}: the code map does not name `{module}` ({file})"));
        }
    }
}

/// The module that a file of one of the crates is, unless it is the root or holds tests alone.
fn module(file: &str) -> Option<&str> {
    let (name, rest) = file.split_once("/src/")?;
    let path = rest.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let module = path.rsplit('/').next().unwrap_or(path);
    let is_part = module != "lib" && module != "tests" && !module.ends_with("_tests");
    (CRATES.contains(&name) && is_part).then_some(module)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(map: &str) -> usize {
        let page = format!("# A\n\n## Code map\n\n{map}\n\n## Invariants\n\n`c`\n");
        let files = [
            (PAGE, &*page),
            ("knit-lanes/src/lib.rs", ""),
            ("knit-lanes/src/a.rs", ""),
            ("knit-lanes/src/b/mod.rs", ""),
            ("knit-lanes/src/b/c.rs", ""),
            ("knit-lanes/src/b/c_tests.rs", ""),
            ("knit-cli/src/d.rs", ""),
        ];
        let mut findings = Vec::new();
        check(&Tree::of(&files), &mut findings);
        findings.len()
    }

    #[test]
    fn a_module_that_the_map_lacks_is_found() {
        assert_eq!(findings("`a` and `b/c`"), 0);
        assert_eq!(findings("`a` and `b/`, c"), 1);
        assert_eq!(findings("`abc`"), 3);
    }

    #[test]
    fn a_page_without_a_map_is_a_finding() {
        let mut findings = Vec::new();
        check(&Tree::of(&[(PAGE, "# A\n")]), &mut findings);
        assert_eq!(findings.len(), 1);
    }
}
