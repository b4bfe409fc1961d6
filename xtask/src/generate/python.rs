//! `knit_layout.py`: the layout for Python 3.9 and later.

use std::fmt::Write as _;

use super::{NOTE, constant, hex};
use crate::layout::{Layer, Layout, Struct};

/// The text of the module.
pub(super) fn write(layout: &Layout) -> String {
    let protocol = &layout.protocol;
    let mut text = format!("# {NOTE}\n\"\"\"The numbers of the knit wire format.\"\"\"\n\n");
    text += "from enum import IntEnum, IntFlag\n\n";
    _ = writeln!(text, "MAGIC = {}", hex(protocol.magic));
    _ = writeln!(text, "BYTE_ORDER_MARK = {}", hex(protocol.byte_order_mark));
    _ = writeln!(text, "LAYOUT_MAJOR = {}", protocol.layout.major);
    _ = writeln!(text, "LAYOUT_MINOR = {}\n", protocol.layout.minor);
    let ids: Vec<_> = protocol.reserved_codec_ids.iter().map(|id| format!("{id:?},")).collect();
    _ = writeln!(text, "RESERVED_CODEC_IDS = ({})\n", ids.join(" "));
    for entry in &layout.constants {
        _ = writeln!(text, "# {} Unit: {}. {}.", entry.doc, entry.unit, entry.clause);
        _ = writeln!(text, "{} = {}", entry.name, constant(entry));
    }
    for structure in &layout.structs {
        offsets(&mut text, structure);
    }
    for entry in &layout.enums {
        let doc = format!("{} {}.", entry.doc, entry.clause);
        let values =
            entry.values.iter().map(|value| (value.name.as_str(), value.value.to_string()));
        class(&mut text, &camel(&entry.name), "IntEnum", &doc, values);
    }
    let features = layout.features.iter().map(|entry| (entry.name.as_str(), hex(1 << entry.bit)));
    class(&mut text, "Feature", "IntFlag", "Features, as masks.", features);
    let tags = layout.tags.iter().map(|tag| (tag.name.as_str(), tag.value.to_string()));
    class(&mut text, "Tag", "IntEnum", "Payload tags.", tags);
    payloads(&mut text, layout);
    text
}

fn offsets(text: &mut String, structure: &Struct) {
    let upper = structure.name.to_ascii_uppercase();
    _ = writeln!(text, "\n# {}: places of fields and bits.", structure.title);
    if structure.size > 0 {
        _ = writeln!(text, "{upper}_SIZE = {}", structure.size);
    }
    for field in &structure.fields {
        let name = format!("{upper}_{}", field.name.to_ascii_uppercase());
        if let Some(offset) = field.offset {
            _ = writeln!(text, "{name}_AT = {offset}");
        }
        for bits in &field.bits {
            let bits_name = bits.name.to_ascii_uppercase();
            _ = writeln!(text, "{name}_{bits_name}_SHIFT = {}", bits.lsb);
            _ = writeln!(text, "{name}_{bits_name}_MASK = {}", hex(bits.mask()));
        }
    }
}

fn payloads(text: &mut String, layout: &Layout) {
    *text += "\n\n# Words of the header line that a form uses.\n";
    let forms = layout.forms.iter().map(|form| {
        let words: Vec<_> = form.words.iter().map(|word| format!("{word},")).collect();
        (quote(&form.name), format!("({})", words.join(" ")))
    });
    dictionary(text, "FORMS", forms);
    let member = |name: &str| format!("Tag.{name}");
    *text += "\n# The form of each tag, and what its value is.\n";
    let tags = || layout.tags.iter().map(|tag| (member(&tag.name), tag));
    dictionary(text, "TAG_FORM", tags().map(|(name, tag)| (name, quote(&tag.form))));
    dictionary(text, "TAG_KIND", tags().map(|(name, tag)| (name, quote(&tag.kind))));
    *text += "\n# Layer and clause of each error, by layer.\n";
    let errors = Layer::ALL.into_iter().flat_map(|layer| {
        let errors = layout.errors.iter().filter(move |error| error.layer == layer);
        errors.map(move |error| {
            (quote(&error.name), format!("({}, {})", quote(layer.name()), quote(&error.clause)))
        })
    });
    dictionary(text, "ERRORS", errors);
}

fn class<'n>(
    text: &mut String,
    name: &str,
    base: &str,
    doc: &str,
    values: impl Iterator<Item = (&'n str, String)>,
) {
    _ = writeln!(text, "\n\nclass {name}({base}):\n    \"\"\"{doc}\"\"\"\n");
    for (name, value) in values {
        _ = writeln!(text, "    {name} = {value}");
    }
}

fn dictionary(text: &mut String, name: &str, entries: impl Iterator<Item = (String, String)>) {
    _ = writeln!(text, "{name} = {{");
    for (key, value) in entries {
        _ = writeln!(text, "    {key}: {value},");
    }
    *text += "}\n";
}

/// `lane_state` as `LaneState`.
fn camel(name: &str) -> String {
    let upper = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    name.split('_').filter(|word| !word.is_empty()).map(upper).collect()
}

fn quote(text: &str) -> String {
    format!("{text:?}")
}
