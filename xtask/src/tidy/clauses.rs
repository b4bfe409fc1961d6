//! Clauses: stated once and well, named correctly, shown by evidence.

use std::collections::{BTreeMap, BTreeSet};

use crate::clauses::{self, CHAPTERS, Clause, Evidence, ROLES, musts, named, prose};
use crate::tree::Tree;

/// Marks the line of a chapter that says what MUST means.
const DEFINITION: &str = "MUST and MUST NOT are those of RFC 2119";

/// Every check of clauses.
pub(super) fn check(tree: &Tree, findings: &mut Vec<String>) {
    let clauses = clauses::of_chapters(tree);
    if clauses.is_empty() {
        findings.push("no chapter of spec/ states a clause".to_owned());
    }
    stated_well(&clauses, findings);
    musts_are_clauses(tree, &clauses, findings);
    let known: BTreeSet<_> = clauses.iter().map(|clause| clause.id).collect();
    names_exist(tree, &known, findings);
    let evidence = Evidence::gather(tree);
    for clause in clauses.iter().filter(|clause| !evidence.has(clause.id)) {
        findings.push(format!("{} has neither a test nor a vector that names it", clause.id));
    }
}

/// One id, one role, one MUST, in the right chapter, behind its anchor.
fn stated_well(clauses: &[Clause<'_>], findings: &mut Vec<String>) {
    let mut first: BTreeMap<&str, &Clause<'_>> = BTreeMap::new();
    for clause in clauses {
        let Clause { id, role, file, line, .. } = clause;
        let mut finding = |text: String| findings.push(format!("{file}:{line}: {text}"));
        if let Some(other) = first.get(id) {
            finding(format!("{id} stands in {}:{} too", other.file, other.line));
        }
        first.entry(id).or_insert(clause);
        if role.is_empty() {
            finding(format!("{id} does not begin `**{id} (role).** `"));
        } else if !ROLES.contains(role) {
            finding(format!("{id} binds `{role}`, which is no role"));
        }
        let count = musts(&clause.text);
        if count != 1 {
            finding(format!("{id} says MUST {count} times, not once"));
        }
        if !clause.anchored {
            finding(format!("no `<a id=\"{}\"></a>` before {id}", id.to_ascii_lowercase()));
        }
        let chapter = CHAPTERS.iter().find(|(prefix, _)| id.split('-').next() == Some(prefix));
        if let Some((_, belongs)) = chapter.filter(|(_, belongs)| belongs != file) {
            finding(format!("{id} belongs in {belongs}"));
        }
    }
}

/// The chapters of clauses say MUST in clauses only: elsewhere nothing would ask for evidence.
fn musts_are_clauses(tree: &Tree, clauses: &[Clause<'_>], findings: &mut Vec<String>) {
    let files: BTreeSet<_> = CHAPTERS.iter().map(|(_, file)| *file).collect();
    for file in files {
        let lines = prose(tree.text(file)).filter(|(_, line)| !line.contains(DEFINITION));
        let said: usize = lines.map(|(_, line)| musts(line)).sum();
        let own = clauses.iter().filter(|clause| clause.file == file);
        let counted: usize = own.map(|clause| musts(&clause.text)).sum();
        if said > counted {
            findings.push(format!("{file} says MUST {} times outside clauses", said - counted));
        }
    }
}

/// No text names a clause that does not exist.
fn names_exist(tree: &Tree, known: &BTreeSet<&str>, findings: &mut Vec<String>) {
    let mut wrong = BTreeSet::new();
    for (file, text) in tree.all().filter(|(file, _)| names_clauses(file)) {
        let chapter = tree.chapters().any(|(chapter, _)| chapter == file);
        if chapter {
            // Generated tables repeat what other files say.
            let lines = prose(text).flat_map(|(_, line)| named(line));
            wrong.extend(lines.filter(|id| !known.contains(id)).map(|id| (file, id.to_owned())));
        } else {
            let ids = named(text).filter(|id| !known.contains(id));
            wrong.extend(ids.map(|id| (file, id.to_owned())));
        }
    }
    for (file, text) in tree.vectors() {
        let ids = clauses::vector_clauses(text).into_iter();
        wrong.extend(ids.filter(|id| !known.contains(id.as_str())).map(|id| (file, id)));
    }
    for (file, id) in wrong {
        findings.push(format!("{file} names {id}, which no chapter states"));
    }
}

/// Whether every id in the file has to exist.
fn names_clauses(file: &str) -> bool {
    let (folder, ending) =
        (file.rsplit_once('/').map(|(folder, _)| folder), file.rsplit('.').next());
    let in_spec = file.starts_with("spec/");
    match ending {
        Some("rs") => !file.starts_with("xtask/"),
        Some("md") => in_spec || folder.is_none(),
        Some("toml") => in_spec,
        Some("js" | "mjs") => file.starts_with("tests/"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(files: &[(&str, &str)]) -> Vec<String> {
        let mut findings = Vec::new();
        check(&Tree::of(files), &mut findings);
        findings
    }

    fn clause(id: &str, role: &str, text: &str) -> String {
        format!("<a id=\"{}\"></a>\n**{id} ({role}).** {text}\n\n", id.to_ascii_lowercase())
    }

    #[test]
    fn a_clause_with_evidence_has_no_findings() {
        let chapter = clause("MBX-7", "sender", "It MUST NOT.");
        let files = [("spec/mailbox.md", chapter.as_str()), ("a/tests/b.rs", "// MBX-7")];
        assert_eq!(findings(&files), Vec::<String>::new());
    }

    #[test]
    fn badly_stated_clauses_are_found() {
        let chapter = clause("MBX-7", "sender", "It MUST.")
            + &clause("MBX-7", "sender", "It MUST.")
            + &clause("MBX-8", "reeder", "It MUST.")
            + &clause("MBX-9", "both", "It may.")
            + &clause("SEG-1", "both", "It MUST.")
            + "**MBX-10 (both).** It MUST.\n\nProse MUST NOT.\n"
            + "The words MUST and MUST NOT are those of RFC 2119.\n";
        let test = "// MBX-7 MBX-8 MBX-9 MBX-10 SEG-1";
        let found = findings(&[("spec/mailbox.md", &chapter), ("a/tests/b.rs", test)]);
        let expected = [
            "spec/mailbox.md:14: SEG-1 belongs in spec/segment.md",
            "spec/mailbox.md:5: MBX-7 stands in spec/mailbox.md:2 too",
            "spec/mailbox.md:8: MBX-8 binds `reeder`, which is no role",
            "spec/mailbox.md:11: MBX-9 says MUST 0 times, not once",
            "spec/mailbox.md:16: no `<a id=\"mbx-10\"></a>` before MBX-10",
            "spec/mailbox.md says MUST 1 times outside clauses",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn names_without_clause_and_clauses_without_evidence_are_found() {
        let chapter = clause("MBX-7", "sender", "It MUST NOT.");
        let found = findings(&[
            ("spec/mailbox.md", &chapter),
            ("a/src/b.rs", "// MBX-7, MBX-70"),
            ("README.md", "MBX-71"),
            ("tests/interop/x.mjs", "// MBX-72"),
            ("spec/vectors/reject/x.json", r#"{"clauses": [], "clause": "MBX-73"}"#),
            ("xtask/src/y.rs", "// MBX-74"),
        ]);
        let missing = |file, id| format!("{file} names {id}, which no chapter states");
        let expected = [
            missing("README.md", "MBX-71"),
            missing("a/src/b.rs", "MBX-70"),
            missing("spec/vectors/reject/x.json", "MBX-73"),
            missing("tests/interop/x.mjs", "MBX-72"),
            "MBX-7 has neither a test nor a vector that names it".to_owned(),
        ];
        assert_eq!(found, expected);
    }
}
