//! The tables of the chapters, in Markdown.

use super::{constant, hex};
use crate::clauses::{Clause, Evidence, ROLES, link};
use crate::layout::{Bits, Enum, Field, Layer, Layout, Struct};

/// Most vectors of a clause that are named one by one.
const MAX_NAMES: usize = 3;

/// What tables are made of.
#[derive(Debug)]
pub(super) struct Tables<'t> {
    pub(super) layout: &'t Layout,
    pub(super) clauses: &'t [Clause<'t>],
    pub(super) evidence: &'t Evidence<'t>,
}

impl Tables<'_> {
    /// The table that a marker names.
    ///
    /// # Errors
    ///
    /// There is no such table.
    pub(super) fn table(&self, name: &str) -> Result<String, String> {
        let unknown = || format!("no table `{name}`");
        let layout = self.layout;
        match name.split(' ').collect::<Vec<_>>()[..] {
            ["struct", name] => layout.structure(name).map(|found| structure(layout, found)),
            ["enum", name] => layout.enums.iter().find(|entry| entry.name == name).map(enumeration),
            ["errors", name] => {
                let layer = Layer::ALL.into_iter().find(|layer| layer.name() == name);
                layer.map(|layer| errors(layout, layer))
            }
            ["constants"] => Some(constants(layout)),
            ["features"] => Some(features(layout)),
            ["forms"] => Some(forms(layout)),
            ["tags"] => Some(tags(layout)),
            ["clauses"] => Some(self.clauses(None)),
            ["clauses", role] => ROLES.contains(&role).then(|| self.clauses(Some(role))),
            _ => None,
        }
        .ok_or_else(unknown)
    }

    fn clauses(&self, role: Option<&str>) -> String {
        let rows = self.clauses.iter().filter(|clause| role.is_none_or(|role| role == clause.role));
        let rows = rows.map(|clause| {
            let who = role.is_none().then(|| clause.role.to_owned());
            // Links inside the chapter lead out of the table's.
            let chapter = clause.file.rsplit('/').next().unwrap_or_default();
            let text = clause.text.replace("](#", &format!("]({chapter}#"));
            let rest = [text, self.evidence(clause.id)];
            [link(clause.id)].into_iter().chain(who).chain(rest).collect()
        });
        match role {
            Some(_) => markdown(&["clause", "text", "evidence"], rows),
            None => markdown(&["clause", "role", "text", "evidence"], rows),
        }
    }

    fn evidence(&self, id: &str) -> String {
        let quote = |name: &str| format!("`{name}`");
        let mut parts: Vec<String> = match self.evidence.vectors.get(id) {
            Some(names) if names.len() > MAX_NAMES => vec![format!("{} vectors", names.len())],
            Some(names) => names.iter().map(|name| quote(name)).collect(),
            None => Vec::new(),
        };
        let files = self.evidence.tests.get(id).into_iter().flatten();
        parts.extend(files.map(|file| quote(file)));
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    }
}

fn structure(layout: &Layout, structure: &Struct) -> String {
    let columns = ["offset", "size", "type", "name", "writer", "ordering", "since", "meaning"];
    let rows = structure.fields.iter().flat_map(|field| {
        let bits = field.bits.iter().map(|bits| bit_row(bits).into());
        [field_row(layout, structure, field).into()].into_iter().chain(bits)
    });
    markdown(&columns, rows)
}

fn field_row(layout: &Layout, structure: &Struct, field: &Field) -> [String; 8] {
    let offset = field.offset.map(|offset| offset.to_string());
    let size = field.kind().and_then(|kind| layout.bytes(kind)).map(|size| size.to_string());
    let mut meaning = field.doc.clone();
    if let Some(values) = &field.values {
        meaning += &format!(" A value of `{values}`.");
    }
    if let Some(value) = &field.value {
        meaning += &format!(" Always {value}.");
    }
    if let Some(rule) = &field.rule {
        meaning += &format!(" Rule: {rule}.");
    }
    if let Some(clause) = &field.clause {
        meaning += &format!(" ({})", link(clause));
    }
    [
        offset.or_else(|| field.at.clone()).unwrap_or_default(),
        size.unwrap_or_else(|| "-".to_owned()),
        format!("`{}`", field.kind),
        format!("`{}`", field.name),
        field.writer.clone(),
        field.order.clone(),
        field.since.as_ref().unwrap_or(&structure.since).clone(),
        meaning,
    ]
}

fn bit_row(bits: &Bits) -> [String; 8] {
    let place = match bits.width {
        1 => format!("bit {}", bits.lsb),
        width => format!("bits {}-{}", bits.lsb, bits.lsb + width - 1),
    };
    let empty = String::new;
    let name = format!("`{}`", bits.name);
    [place, empty(), empty(), name, empty(), empty(), empty(), bits.doc.clone()]
}

fn constants(layout: &Layout) -> String {
    let rows = layout.constants.iter().map(|entry| {
        let meaning = format!("{} ({})", entry.doc, link(&entry.clause));
        vec![format!("`{}`", entry.name), constant(entry), entry.unit.clone(), meaning]
    });
    markdown(&["name", "value", "unit", "meaning"], rows)
}

fn enumeration(entry: &Enum) -> String {
    let rows = entry
        .values
        .iter()
        .map(|value| vec![value.value.to_string(), format!("`{}`", value.name), value.doc.clone()]);
    markdown(&["value", "name", "meaning"], rows)
}

fn features(layout: &Layout) -> String {
    let rows = layout.features.iter().map(|entry| {
        let (bit, mask) = (entry.bit.to_string(), hex(1 << entry.bit));
        vec![bit, mask, format!("`{}`", entry.name), entry.since.clone(), entry.doc.clone()]
    });
    markdown(&["bit", "mask", "name", "since", "meaning"], rows)
}

fn forms(layout: &Layout) -> String {
    let rows = layout.forms.iter().map(|form| {
        let words: Vec<_> = form.words.iter().map(u32::to_string).collect();
        let words = if words.is_empty() { "-".to_owned() } else { words.join(", ") };
        vec![format!("`{}`", form.name), words, form.doc.clone()]
    });
    markdown(&["form", "words", "meaning"], rows)
}

fn tags(layout: &Layout) -> String {
    let rows = layout.tags.iter().map(|tag| {
        let meaning = format!("{} ({})", tag.doc, link(&tag.clause));
        let code = |text: &str| format!("`{text}`");
        vec![tag.value.to_string(), code(&tag.name), code(&tag.form), code(&tag.kind), meaning]
    });
    markdown(&["tag", "name", "form", "kind", "meaning"], rows)
}

fn errors(layout: &Layout, layer: Layer) -> String {
    let rows = layout.errors.iter().filter(|error| error.layer == layer);
    let rows =
        rows.map(|error| vec![format!("`{}`", error.name), link(&error.clause), error.doc.clone()]);
    markdown(&["error", "clause", "meaning"], rows)
}

fn markdown(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let rule = columns.iter().map(|_| "---".to_owned()).collect();
    let head = columns.iter().map(|column| (*column).to_owned()).collect();
    let row = |cells: Vec<String>| {
        let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    [head, rule].into_iter().chain(rows).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<R>(test: impl FnOnce(&Tables<'_>) -> R) -> R {
        let text = std::fs::read_to_string(crate::tree::root().join(crate::layout::FILE)).unwrap();
        let layout = Layout::parse(&text).unwrap();
        let chapter = "**MBX-7 (sender).** A | MUST NOT [b](#b).\n\n**MBX-8 (both).** It MUST.\n";
        let clauses = crate::clauses::in_chapter("spec/mailbox.md", chapter);
        let mut evidence = Evidence::default();
        evidence.vectors.insert("MBX-7".into(), ["x".to_owned()].into());
        evidence.tests.insert("MBX-7", ["a/tests/b.rs"].into());
        test(&Tables { layout: &layout, clauses: &clauses, evidence: &evidence })
    }

    #[test]
    fn every_table_of_the_layout_is_known_by_name() {
        with(|tables| {
            let structs =
                tables.layout.structs.iter().map(|entry| format!("struct {}", entry.name));
            let enums = tables.layout.enums.iter().map(|entry| format!("enum {}", entry.name));
            let errors = Layer::ALL.map(|layer| format!("errors {}", layer.name()));
            let roles = ROLES.map(|role| format!("clauses {role}"));
            let names = ["constants", "features", "forms", "tags", "clauses"].map(str::to_owned);
            for name in structs.chain(enums).chain(errors).chain(roles).chain(names) {
                let table = tables.table(&name).unwrap();
                let bars = |line: &str| line.replace("\\|", "").matches('|').count();
                let columns = table.lines().next().map(bars);
                assert!(table.lines().all(|line| Some(bars(line)) == columns), "{table}");
            }
            for name in ["struct none", "errors", "errors none", "clauses none", "table", ""] {
                assert_eq!(tables.table(name).unwrap_err(), format!("no table `{name}`"));
            }
        });
    }

    #[test]
    fn rows_say_place_meaning_and_evidence() {
        with(|tables| {
            let header = tables.table("struct header").unwrap();
            assert!(header.contains("| bits 16-30 |  |  | `major` |"), "{header}");
            assert!(header.contains("Page unit. Always 4096. ([SEG-21](segment.md#seg-21)) |"));
            let clauses = tables.table("clauses sender").unwrap();
            let row = "| [MBX-7](mailbox.md#mbx-7) | A \\| MUST NOT [b](mailbox.md#b). | `x`, `a/tests/b.rs` |";
            assert!(clauses.contains(row), "{clauses}");
            assert!(!clauses.contains("MBX-8"));
        });
    }
}
