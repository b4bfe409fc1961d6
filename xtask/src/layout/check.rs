//! What a layout must not contradict in itself.

use std::collections::BTreeSet;

use super::{Count, Field, Layout, Struct, WORD};
use crate::clauses;

/// Structures without a byte that no field covers.
const WITHOUT_GAPS: [&str; 4] = ["header", "extension", "control_line", "slot"];

/// One sentence for each mistake in `layout`.
pub(super) fn mistakes(layout: &Layout) -> Vec<String> {
    let mut found = Vec::new();
    names_unique(layout, &mut found);
    values_unique(layout, &mut found);
    references_exist(layout, &mut found);
    versions_known(layout, &mut found);
    for structure in &layout.structs {
        fields_fit(layout, structure, &mut found);
        for field in &structure.fields {
            bits_fit(structure, field, &mut found);
        }
    }
    found
}

fn names_unique(layout: &Layout, found: &mut Vec<String>) {
    fn unique<'n>(what: &str, names: impl Iterator<Item = &'n String>, found: &mut Vec<String>) {
        let mut seen = BTreeSet::new();
        for name in names {
            let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if name.is_empty() || !name.bytes().all(word) || name.as_bytes()[0].is_ascii_digit() {
                found.push(format!("{what} `{name}`: not a name"));
            }
            if !seen.insert(name.to_ascii_lowercase()) {
                found.push(format!("{what} `{name}` stands twice"));
            }
        }
    }
    unique("constant", layout.constants.iter().map(|entry| &entry.name), found);
    unique("struct", layout.structs.iter().map(|entry| &entry.name), found);
    unique("enum", layout.enums.iter().map(|entry| &entry.name), found);
    unique("feature", layout.features.iter().map(|entry| &entry.name), found);
    unique("form", layout.forms.iter().map(|entry| &entry.name), found);
    unique("tag", layout.tags.iter().map(|entry| &entry.name), found);
    unique("error", layout.errors.iter().map(|entry| &entry.name), found);
    for structure in &layout.structs {
        let what = format!("struct {}: field", structure.name);
        unique(&what, structure.fields.iter().map(|field| &field.name), found);
        for field in &structure.fields {
            let what = format!("{}.{}: bits", structure.name, field.name);
            unique(&what, field.bits.iter().map(|bits| &bits.name), found);
        }
    }
    for entry in &layout.enums {
        let what = format!("enum {}: value", entry.name);
        unique(&what, entry.values.iter().map(|value| &value.name), found);
    }
}

fn values_unique(layout: &Layout, found: &mut Vec<String>) {
    fn unique(what: &str, values: impl Iterator<Item = u32>, found: &mut Vec<String>) {
        let mut seen = BTreeSet::new();
        for value in values.filter(|value| !seen.insert(*value)) {
            found.push(format!("{what} {value} stands twice"));
        }
    }
    unique("tag", layout.tags.iter().map(|tag| tag.value), found);
    unique("feature bit", layout.features.iter().map(|feature| feature.bit), found);
    for feature in layout.features.iter().filter(|feature| feature.bit >= 32) {
        found.push(format!("feature {}: bit {} is not in a word", feature.name, feature.bit));
    }
    for entry in &layout.enums {
        let what = format!("enum {}: value", entry.name);
        unique(&what, entry.values.iter().map(|value| value.value), found);
    }
    for form in &layout.forms {
        if form.words.iter().any(|word| *word >= 16) || !form.words.is_sorted() {
            found.push(format!("form {}: words of a header line are 0 to 15, in order", form.name));
        }
    }
}

fn references_exist(layout: &Layout, found: &mut Vec<String>) {
    for (entry, clause) in layout.clauses() {
        if !clauses::is_clause(clause) {
            found.push(format!("{entry}: `{clause}` is no id of a clause"));
        }
    }
    for tag in &layout.tags {
        if !layout.forms.iter().any(|form| form.name == tag.form) {
            found.push(format!("tag {}: no form `{}`", tag.name, tag.form));
        }
    }
    for structure in &layout.structs {
        for field in &structure.fields {
            let name = format!("{}.{}", structure.name, field.name);
            if let Some(values) = &field.values
                && !layout.enums.iter().any(|entry| entry.name == *values)
            {
                found.push(format!("{name}: no enum `{values}`"));
            }
            if let Some(rule) = &field.rule
                && !matches!(rule.as_str(), "zero, ignored" | "zero, refused")
            {
                found.push(format!("{name}: rule `{rule}` is not defined"));
            }
            if let Some(value) = &field.value
                && word(value).is_none()
            {
                found.push(format!("{name}: value `{value}` is no word"));
            }
        }
    }
}

fn versions_known(layout: &Layout, found: &mut Vec<String>) {
    let features = layout.features.iter().map(|feature| (&feature.name, &feature.since));
    let structs = layout.structs.iter().map(|structure| (&structure.name, &structure.since));
    let fields = layout.structs.iter().flat_map(|structure| &structure.fields);
    let fields = fields.filter_map(|field| Some((&field.name, field.since.as_ref()?)));
    for (name, since) in features.chain(structs).chain(fields) {
        if !matches!(since.as_str(), "1.0" | "later") {
            found.push(format!("{name}: since `{since}` is neither `1.0` nor `later`"));
        }
    }
}

/// Fields ascend, are aligned, do not overlap, end with the structure.
fn fields_fit(layout: &Layout, structure: &Struct, found: &mut Vec<String>) {
    // End of the fields so far; `None` behind one whose length is not known.
    let mut end = Some(0);
    let mut last_offset = None;
    let mut moving = false;
    for field in &structure.fields {
        let name = format!("{}.{}", structure.name, field.name);
        let Some(bytes) = known_type(layout, field, &name, found) else { continue };
        let Some(offset) = field.offset else {
            if field.at.is_none() {
                found.push(format!("{name}: neither `offset` nor `at`"));
            } else if structure.size > 0 {
                found.push(format!("{name}: `at` in a structure of known size"));
            }
            moving = true;
            continue;
        };
        if field.at.is_some() {
            found.push(format!("{name}: both `offset` and `at`"));
        }
        if moving {
            found.push(format!("{name}: `offset` after a field with `at`"));
        }
        if last_offset.is_some_and(|last| offset <= last) {
            found.push(format!("{name}: offset {offset} does not ascend"));
        } else if end.is_some_and(|end| offset < end) {
            found.push(format!("{name}: offset {offset} overlaps the field before"));
        }
        if let Some(end) = end.filter(|end| *end < offset)
            && WITHOUT_GAPS.contains(&structure.name.as_str())
        {
            found.push(format!("{name}: no field covers bytes {end} to {offset}"));
        }
        let align = alignment(layout, field);
        if align == 0 || offset % align != 0 {
            found.push(format!("{name}: offset {offset} is no multiple of {align}"));
        }
        end = bytes.and_then(|bytes| offset.checked_add(bytes));
        last_offset = Some(offset);
        if structure.size > 0 && end.is_none_or(|end| end > structure.size) {
            found.push(format!("{name}: ends beyond the {} bytes", structure.size));
        }
    }
    if WITHOUT_GAPS.contains(&structure.name.as_str())
        && let Some(end) = end.filter(|end| *end < structure.size)
    {
        let (name, size) = (&structure.name, structure.size);
        found.push(format!("struct {name}: no field covers bytes {end} to {size}"));
    }
}

/// The length of the field, `Some(None)` where it depends on the geometry. `None`: not a type.
#[expect(clippy::option_option, reason = "not a type, and a type of open length, differ")]
fn known_type(
    layout: &Layout,
    field: &Field,
    name: &str,
    found: &mut Vec<String>,
) -> Option<Option<u64>> {
    let kind = field.kind().filter(|kind| match (kind.element, kind.count) {
        ("u8", Count::One) | ("u64", Count::Many(_) | Count::Open) => false,
        ("u8" | "u32" | "u64", _) => true,
        (other, count) => count != Count::Open && layout.structure(other).is_some(),
    });
    if kind.is_none() {
        found.push(format!("{name}: no type `{}`", field.kind));
    }
    kind.map(|kind| layout.bytes(kind))
}

/// What the offset is a multiple of. A `u64` is two words, so a word's alignment is enough.
fn alignment(layout: &Layout, field: &Field) -> u64 {
    match field.kind().map_or("u8", |kind| kind.element) {
        "u8" => 1,
        "u32" | "u64" => WORD,
        name => layout.structure(name).map_or(1, |structure| structure.align),
    }
}

/// Bits stand inside a word and share none, except bits of a request with those of an answer.
fn bits_fit(structure: &Struct, field: &Field, found: &mut Vec<String>) {
    let name = |bits: &super::Bits| format!("{}.{}.{}", structure.name, field.name, bits.name);
    if !field.bits.is_empty() && field.kind != "u32" {
        found.push(format!("{}.{}: bits of a `{}`", structure.name, field.name, field.kind));
    }
    for (index, bits) in field.bits.iter().enumerate() {
        if bits.width == 0 || bits.lsb >= 32 || bits.width > 32 - bits.lsb {
            found.push(format!("{}: not inside the word", name(bits)));
            continue;
        }
        for earlier in &field.bits[..index] {
            let valid = earlier.width > 0 && earlier.lsb.saturating_add(earlier.width) <= 32;
            if valid && bits.mask() & earlier.mask() != 0 && !one_of_two(bits, earlier) {
                found.push(format!("{} overlaps {}", name(bits), name(earlier)));
            }
        }
    }
}

/// Whether one says `Request:` and the other `Answer:`, the two meanings of a word.
fn one_of_two(one: &super::Bits, other: &super::Bits) -> bool {
    let pair = |a: &str, b: &str| a.starts_with("Request:") && b.starts_with("Answer:");
    pair(&one.doc, &other.doc) || pair(&other.doc, &one.doc)
}

fn word(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"
        enum = []
        feature = []
        error = []
        [protocol]
        name = "t"
        magic = 1
        byte_order_mark = 2
        byte_order = "little"
        layout = { major = 1, minor = 0 }
        reserved_codec_ids = ["t.one"]
        [[constant]]
        name = "A"
        value = 1
        unit = "byte"
        clause = "SEG-1"
        doc = "."
        [[form]]
        name = "BARE"
        words = []
        doc = "."
        [[tag]]
        value = 3
        name = "TRUE"
        form = "BARE"
        kind = "boolean"
        clause = "PAY-9"
        doc = "."
    "#;

    /// A structure `s` of `size` bytes with these fields: offset, type, more members.
    fn with_fields(name: &str, size: u64, fields: &[(u64, &str, &str)]) -> Result<(), Vec<String>> {
        let mut text = format!(
            "{HEAD}[[struct]]\nname = \"{name}\"\ntitle = \"T\"\nsize = {size}\nalign = 4\n\
             clause = \"SEG-1\"\nsince = \"1.0\"\ndoc = \".\"\n"
        );
        for (index, (offset, kind, more)) in fields.iter().enumerate() {
            text += &format!(
                "[[struct.field]]\nname = \"f{index}\"\noffset = {offset}\ntype = \"{kind}\"\n\
                 writer = \"host\"\norder = \"-\"\ndoc = \".\"\n{more}\n"
            );
        }
        Layout::parse(&text).map(drop)
    }

    fn bits(name: &str, lsb: u32, width: u32, doc: &str) -> String {
        format!(
            "[[struct.field.bits]]\nname = \"{name}\"\nlsb = {lsb}\nwidth = {width}\ndoc = \"{doc}\"\n"
        )
    }

    fn refused(result: Result<(), Vec<String>>, mistake: &str) {
        let mistakes = result.expect_err(mistake);
        assert!(mistakes.iter().any(|found| found.contains(mistake)), "{mistakes:?}");
    }

    #[test]
    fn layout_of_the_repository_has_no_mistakes() {
        let text = std::fs::read_to_string(crate::tree::root().join(super::super::FILE)).unwrap();
        Layout::parse(&text).unwrap();
    }

    #[test]
    fn fields_that_fit_are_accepted() {
        with_fields("s", 16, &[(0, "u32", ""), (4, "u64", ""), (12, "u8[4]", "")]).unwrap();
    }

    #[test]
    fn misplaced_fields_are_named() {
        refused(with_fields("s", 8, &[(4, "u32", ""), (0, "u32", "")]), "s.f1: offset 0 does not");
        refused(with_fields("s", 16, &[(0, "u64", ""), (4, "u32", "")]), "s.f1: offset 4 overlaps");
        refused(with_fields("s", 16, &[(2, "u32", "")]), "s.f0: offset 2 is no multiple of 4");
        refused(with_fields("s", 4, &[(0, "u64", "")]), "s.f0: ends beyond the 4 bytes");
        refused(with_fields("s", 4, &[(0, "u16", "")]), "s.f0: no type `u16`");
    }

    #[test]
    fn gaps_are_named_where_there_must_be_none() {
        with_fields("s", 16, &[(0, "u32", ""), (8, "u32", "")]).unwrap();
        let gap = with_fields("slot", 12, &[(0, "u32", ""), (8, "u32", "")]);
        refused(gap, "slot.f1: no field covers bytes 4 to 8");
        let end = with_fields("slot", 12, &[(0, "u32", "")]);
        refused(end, "struct slot: no field covers bytes 4 to 12");
    }

    #[test]
    fn bits_overlap_only_as_request_and_answer() {
        let two = |a: &str, b: &str| bits("a", 0, 16, a) + &bits("b", 15, 2, b);
        with_fields("s", 4, &[(0, "u32", &two("Request: x", "Answer: y"))]).unwrap();
        let same = two("Request: x", "Request: y");
        refused(with_fields("s", 4, &[(0, "u32", &same)]), "s.f0.b overlaps s.f0.a");
        let outside = bits("a", 31, 2, "x");
        refused(with_fields("s", 4, &[(0, "u32", &outside)]), "s.f0.a: not inside the word");
    }

    #[test]
    fn dangling_references_are_named() {
        let result = with_fields("s", 4, &[(0, "u32", "enum = \"none\"")]);
        refused(result, "s.f0: no enum `none`");
        refused(with_fields("s", 4, &[(0, "u32", "clause = \"SEG-x\"")]), "s.f0: `SEG-x` is no id");
        refused(with_fields("s", 4, &[(0, "u32", "rule = \"one\"")]), "s.f0: rule `one`");
        let form = HEAD.replace("form = \"BARE\"", "form = \"BEAR\"");
        let form = form.replace("enum = []", "enum = []\nstruct = []");
        refused(Layout::parse(&form).map(drop), "tag TRUE: no form `BEAR`");
    }

    #[test]
    fn unknown_members_are_refused() {
        refused(with_fields("s", 4, &[(0, "u32", "colour = 1")]), "unknown field `colour`");
    }
}
