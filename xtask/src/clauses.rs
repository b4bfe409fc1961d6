//! The clauses of the specification, and what shows that each is kept.

use std::collections::{BTreeMap, BTreeSet};

use crate::generate::markers;
use crate::tree::Tree;

/// Chapters by prefix of the id, in their order, and the file that holds their clauses.
pub(crate) const CHAPTERS: [(&str, &str); 6] = [
    ("SEG", "spec/segment.md"),
    ("MBX", "spec/mailbox.md"),
    ("ARN", "spec/arena.md"),
    ("PAY", "spec/payloads.md"),
    ("LANE", "spec/lanes.md"),
    ("WAKE", "spec/lanes.md"),
];

/// Who a clause binds.
pub(crate) const ROLES: [&str; 9] =
    ["creator", "reader", "sender", "receiver", "host", "worker", "waiter", "notifier", "both"];

/// A paragraph of a chapter that states a clause.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Clause<'t> {
    pub(crate) id: &'t str,
    /// As written; empty where the paragraph does not begin `**ID (role).** `.
    pub(crate) role: &'t str,
    /// The paragraph after id and role, in one line.
    pub(crate) text: String,
    /// File, and line of the id.
    pub(crate) file: &'t str,
    pub(crate) line: usize,
    /// Whether the anchor of the id stands before it.
    pub(crate) anchored: bool,
}

/// Vectors and test files that name a clause.
#[derive(Debug, Default)]
pub(crate) struct Evidence<'t> {
    /// Names of vectors, by clause.
    pub(crate) vectors: BTreeMap<String, BTreeSet<String>>,
    /// Test files, by clause.
    pub(crate) tests: BTreeMap<&'t str, BTreeSet<&'t str>>,
}

/// The clauses of all chapters, in order of chapter and number.
pub(crate) fn of_chapters(tree: &Tree) -> Vec<Clause<'_>> {
    let mut clauses: Vec<_> =
        tree.chapters().flat_map(|(name, text)| in_chapter(name, text)).collect();
    clauses.sort_by_key(|clause| order(clause.id));
    clauses
}

/// The clauses of one chapter, in order of lines.
pub(crate) fn in_chapter<'t>(file: &'t str, text: &'t str) -> Vec<Clause<'t>> {
    let mut clauses: Vec<Clause<'t>> = Vec::new();
    let mut anchor = "";
    let mut begins = true;
    let mut inside = false;
    for (line, text) in prose(text) {
        if let Some(id) = stated(text).filter(|_| begins) {
            let expected = format!("<a id=\"{}\"></a>", id.to_ascii_lowercase());
            let (role, rest) = role_and_text(text, id);
            let text = rest.trim().to_owned();
            clauses.push(Clause { id, role, text, file, line, anchored: anchor == expected });
            inside = true;
        } else if ends_paragraph(text) {
            inside = false;
        } else if inside && let Some(clause) = clauses.last_mut() {
            clause.text = format!("{} {}", clause.text, text.trim()).trim().to_owned();
        }
        begins = text.trim().is_empty() || text.starts_with("<a id=");
        if !text.trim().is_empty() {
            anchor = text.trim();
        }
    }
    clauses
}

/// Whether a line does not continue the paragraph before it: blank, or another kind of block.
fn ends_paragraph(line: &str) -> bool {
    let blocks = ["<", ">", "#", "|", "- ", "* ", "1. "];
    line.trim().is_empty() || blocks.iter().any(|block| line.trim_start().starts_with(block))
}

/// Lines with their numbers, those of code blocks and generated tables emptied.
pub(crate) fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let (mut code, mut table) = (false, false);
    text.lines().enumerate().map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        table = !code && (table || markers::begins(line).is_some()) && !markers::ends(line);
        (index + 1, if code || fence || table { "" } else { line })
    })
}

/// How often `text` says MUST, or MUST NOT.
pub(crate) fn musts(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| *word == "MUST").count()
}

/// Whether `word` is the id of a clause, such as `MBX-3`.
pub(crate) fn is_clause(word: &str) -> bool {
    let Some((chapter, number)) = word.split_once('-') else { return false };
    CHAPTERS.iter().any(|(prefix, _)| *prefix == chapter)
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The ids of clauses that `text` names.
pub(crate) fn named(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    words.filter(|word| is_clause(word))
}

/// Where `id` belongs: index of its chapter, and its number.
pub(crate) fn order(id: &str) -> (usize, u64) {
    let (prefix, number) = id.split_once('-').unwrap_or((id, ""));
    let chapter = CHAPTERS.iter().position(|(known, _)| *known == prefix);
    (chapter.unwrap_or(CHAPTERS.len()), number.parse().unwrap_or(u64::MAX))
}

/// A link from one chapter to a clause.
pub(crate) fn link(id: &str) -> String {
    let prefix = id.split('-').next().unwrap_or(id);
    let chapter = CHAPTERS.iter().find(|(known, _)| *known == prefix);
    let file = chapter.map_or("", |(_, file)| file.trim_start_matches("spec/"));
    format!("[{id}]({file}#{})", id.to_ascii_lowercase())
}

impl<'t> Evidence<'t> {
    /// Everything in `tree` that counts.
    pub(crate) fn gather(tree: &'t Tree) -> Self {
        let mut evidence = Self::default();
        for (file, text) in tree.vectors() {
            let stem = stem(file);
            for id in vector_clauses(text).into_iter().filter(|id| is_clause(id)) {
                evidence.vectors.entry(id).or_default().insert(stem.to_owned());
            }
        }
        for (file, text) in tree.sources() {
            for id in named(test_text(file, text)) {
                evidence.tests.entry(id).or_default().insert(file);
            }
        }
        evidence
    }

    /// Whether anything shows that the clause is kept.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.vectors.contains_key(id) || self.tests.contains_key(id)
    }
}

/// Name of a file without folder and ending.
pub(crate) fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// The members `clauses` and `clause` of a vector; none when it is not valid JSON.
pub(crate) fn vector_clauses(text: &str) -> Vec<String> {
    let Ok(vector) = serde_json::from_str::<serde_json::Value>(text) else { return Vec::new() };
    let listed = vector["clauses"].as_array().into_iter().flatten();
    let ids = listed.chain([&vector["clause"]]).filter_map(serde_json::Value::as_str);
    ids.map(str::to_owned).collect()
}

/// The part of a source file that is tests: all of a test program, which stands directly in a folder
/// `tests`, else what follows the first line `#[cfg(test)]`. What tests share proves nothing by itself.
fn test_text<'t>(file: &str, text: &'t str) -> &'t str {
    if file.split('/').rev().nth(1) == Some("tests") {
        return text;
    }
    let line = "#[cfg(test)]";
    if text.starts_with(line) {
        return text;
    }
    text.find(&format!("\n{line}")).map_or("", |at| &text[at..])
}

/// The id in a line that begins `**ID` and ends the word there.
fn stated(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("**")?;
    rest.split([' ', '*', '.', ':', '(']).next().filter(|id| is_clause(id))
}

/// Splits the first line of a clause behind `**ID (role).** `.
fn role_and_text<'t>(line: &'t str, id: &str) -> (&'t str, &'t str) {
    let split = line
        .strip_prefix("**")
        .and_then(|rest| rest.strip_prefix(id)?.strip_prefix(" (")?.split_once(").** "));
    split.unwrap_or(("", line))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAPTER: &str = "\
# Mailbox

<a id=\"mbx-7\"></a>
**MBX-7 (sender).** A sender MUST NOT publish
a slot that is not free.
> Why. It MUST NOT.

**MBX-8 (receiver).** It says MUST and MUST NOT.

**MBX-9** has no role.

See **MBX-7** elsewhere,
**MBX-7** at the start of a line.

```text
**MBX-11 (both).** An example MUST NOT count.
```

<!-- table: clauses -->
**MBX-12 (both).** MUST NOT count.
<!-- end -->
";

    #[test]
    fn clauses_of_a_chapter_are_found() {
        let clauses = in_chapter("spec/mailbox.md", CHAPTER);
        let ids: Vec<_> = clauses.iter().map(|clause| clause.id).collect();
        assert_eq!(ids, ["MBX-7", "MBX-8", "MBX-9"]);
        let first = &clauses[0];
        assert_eq!((first.role, first.line, first.anchored), ("sender", 4, true));
        assert_eq!(first.text, "A sender MUST NOT publish a slot that is not free.");
        assert_eq!(musts(&first.text), 1);
        assert_eq!((clauses[1].anchored, musts(&clauses[1].text)), (false, 2));
        assert_eq!(clauses[2].role, "");
    }

    #[test]
    fn ids_are_whole_words() {
        let text = "MBX-7, (SEG-1) `LANE-12`; MBX-7a XMBX-7 MBX- mbx-7 MBX-7-full MBX-7_full H1";
        assert_eq!(named(text).collect::<Vec<_>>(), ["MBX-7", "SEG-1", "LANE-12"]);
    }

    #[test]
    fn clauses_sort_by_chapter_and_number() {
        let mut ids = ["WAKE-1", "SEG-10", "LANE-2", "SEG-9"];
        ids.sort_by_key(|id| order(id));
        assert_eq!(ids, ["SEG-9", "SEG-10", "LANE-2", "WAKE-1"]);
        assert_eq!(link("WAKE-1"), "[WAKE-1](lanes.md#wake-1)");
    }

    #[test]
    fn evidence_is_tests_and_vectors_only() {
        let tree = Tree::of(&[
            ("knit-ring/src/a.rs", "// MBX-1\nfn a() {}\n#[cfg(test)]\nmod tests { // MBX-2\n}"),
            ("knit-ring/tests/b.rs", "// MBX-3"),
            ("tests/src/c/d.rs", "// MBX-4"),
            ("knit-ring/src/tests.rs", "// MBX-5"),
            ("xtask/tests/e.rs", "// MBX-6"),
            ("spec/vectors/reject/MBX-7-x.json", r#"{"clauses": ["MBX-7"], "clause": "MBX-8"}"#),
            ("spec/vectors/reject/broken.json", r#"{"clauses": ["MBX-9"]"#),
        ]);
        let evidence = Evidence::gather(&tree);
        let has: Vec<_> = (1..10).filter(|n| evidence.has(&format!("MBX-{n}"))).collect();
        assert_eq!(has, [2, 3, 7, 8]);
        assert!(evidence.vectors["MBX-8"].contains("MBX-7-x"));
    }
}
