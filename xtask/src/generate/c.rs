//! `knit_layout.h`: the layout for C99 and C++.

use std::fmt::Write as _;

use super::{NOTE, constant, hex};
use crate::layout::{Count, Field, Layer, Layout, Struct};

/// Words of C and C++ that cannot name a member.
const KEYWORDS: [&str; 12] = [
    "inline", "register", "volatile", "default", "new", "delete", "this", "private", "public",
    "class", "export", "operator",
];

const HEAD: &str = r"#ifndef KNIT_LAYOUT_H
#define KNIT_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__cplusplus) && __cplusplus >= 201103L
#define KNIT_STATIC_ASSERT(condition) static_assert(condition, #condition)
#elif !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define KNIT_STATIC_ASSERT(condition) _Static_assert(condition, #condition)
#else
#define KNIT_STATIC_ASSERT(condition) struct knit_nothing_is_asserted
#endif
";

/// The text of the header.
pub(super) fn write(layout: &Layout) -> String {
    let mut text = format!("/* {NOTE} */\n\n{HEAD}");
    let protocol = &layout.protocol;
    section(&mut text, "Protocol.");
    define(&mut text, "MAGIC", &hex(protocol.magic));
    define(&mut text, "BYTE_ORDER_MARK", &hex(protocol.byte_order_mark));
    define(&mut text, "LAYOUT_MAJOR", &protocol.layout.major.to_string());
    define(&mut text, "LAYOUT_MINOR", &protocol.layout.minor.to_string());
    section(
        &mut text,
        "Ids of codecs that external payloads must not use for anything else. PAY-21.",
    );
    for id in &protocol.reserved_codec_ids {
        let name = id.rsplit('.').next().unwrap_or(id);
        text += &format!("#define KNIT_CODEC_ID_{} {id:?}\n", snake(name));
    }
    section(&mut text, "Constants.");
    for entry in &layout.constants {
        text += &format!("/* {} Unit: {}. {}. */\n", entry.doc, entry.unit, entry.clause);
        define(&mut text, &entry.name, &constant(entry));
    }
    values(&mut text, layout);
    payloads(&mut text, layout);
    errors(&mut text, layout);
    for structure in &layout.structs {
        offsets(&mut text, structure);
    }
    section(&mut text, "Structures of known length. A u64 is two words, the low one first.");
    for structure in by_dependency(layout) {
        members(&mut text, layout, structure);
    }
    text + "#endif /* KNIT_LAYOUT_H */\n"
}

/// A unit that uses every macro of the header `header`, for a compiler to look at.
pub(super) fn write_check(header: &str) -> String {
    let mut text = format!("/* {NOTE} */\n\n#include \"knit_layout.h\"\n");
    let macros = || {
        let lines = header.lines().filter_map(|line| line.strip_prefix("#define "));
        lines.filter_map(|line| line.split_once(' ')).filter(|(name, _)| !name.contains('('))
    };
    for (kind, name, strings) in
        [("unsigned long long", "numbers", false), ("char *const", "texts", true)]
    {
        text += &format!("\nstatic const {kind} {name}[] = {{\n");
        for (name, _) in macros().filter(|(_, value)| value.starts_with('"') == strings) {
            text += &format!("    {name},\n");
        }
        text += "};\n";
    }
    text + "\nint main(void) { return numbers[0] == 0 || texts[0] == 0; }\n"
}

/// `sharedArrayBuffer` as `SHARED_ARRAY_BUFFER`.
fn snake(name: &str) -> String {
    let letters = name.chars().map(|letter| match letter.is_ascii_uppercase() {
        true => format!("_{letter}"),
        false => letter.to_ascii_uppercase().to_string(),
    });
    letters.collect()
}

fn values(text: &mut String, layout: &Layout) {
    for entry in &layout.enums {
        section(text, &format!("{} {}.", entry.doc, entry.clause));
        for value in &entry.values {
            define(text, &format!("{}_{}", entry.name, value.name), &value.value.to_string());
        }
    }
    section(text, "Features: masks of the words `required`, `optional` and `features`.");
    for feature in &layout.features {
        define(text, &format!("FEATURE_{}", feature.name), &hex(1 << feature.bit));
    }
}

fn payloads(text: &mut String, layout: &Layout) {
    section(text, "Forms of payloads. The numbers are of this file, not of the wire.");
    let forms = layout.forms.iter().map(|form| format!("KNIT_FORM_{}", form.name));
    enumeration(text, "knit_form", forms);
    section(text, "Words of the header line that a form uses: bit n stands for word n.");
    for (form, words) in layout.form_words() {
        define(text, &format!("FORM_{form}_WORDS"), &hex(words));
    }
    section(text, "Payload tags.");
    for tag in &layout.tags {
        define(text, &format!("TAG_{}", tag.name), &tag.value.to_string());
    }
    section(text, "The form of the payload of a tag, -1 for a tag that is not assigned.");
    *text += "static inline int knit_tag_form(uint32_t tag)\n{\n    switch (tag) {\n";
    for tag in &layout.tags {
        _ = writeln!(text, "    case KNIT_TAG_{}: return KNIT_FORM_{};", tag.name, tag.form);
    }
    *text += "    default: return -1;\n    }\n}\n";
}

fn errors(text: &mut String, layout: &Layout) {
    section(text, "Errors, by layer. The numbers are of this file, not of the wire.");
    let errors = Layer::ALL.into_iter().flat_map(|layer| {
        let errors = layout.errors.iter().filter(move |error| error.layer == layer);
        errors.map(|error| format!("KNIT_ERROR_{}", error.name.to_ascii_uppercase()))
    });
    enumeration(text, "knit_error", errors);
}

fn offsets(text: &mut String, structure: &Struct) {
    section(text, &format!("{}: places of fields and bits.", structure.title));
    if structure.size > 0 {
        define(text, &format!("{}_SIZE", structure.name), &structure.size.to_string());
    }
    for field in &structure.fields {
        let name = format!("{}_{}", structure.name, field.name);
        if let Some(offset) = field.offset {
            define(text, &format!("{name}_AT"), &offset.to_string());
        }
        for bits in &field.bits {
            define(text, &format!("{name}_{}_SHIFT", bits.name), &bits.lsb.to_string());
            define(text, &format!("{name}_{}_MASK", bits.name), &hex(bits.mask()));
        }
    }
}

fn members(text: &mut String, layout: &Layout, structure: &Struct) {
    _ = writeln!(text, "/* {} */\nstruct knit_{} {{", structure.doc, structure.name);
    let mut end = 0;
    for field in &structure.fields {
        let offset = field.offset.unwrap_or(end);
        if end < offset {
            _ = writeln!(text, "    uint8_t unnamed_{end}[{}];", offset - end);
        }
        _ = writeln!(text, "    {};", member(field));
        end = offset + field.kind().and_then(|kind| layout.bytes(kind)).unwrap_or(0);
    }
    if end < structure.size {
        _ = writeln!(text, "    uint8_t unnamed_{end}[{}];", structure.size - end);
    }
    *text += "};\n";
    let name = &structure.name;
    let upper = name.to_ascii_uppercase();
    _ = writeln!(text, "KNIT_STATIC_ASSERT(sizeof(struct knit_{name}) == KNIT_{upper}_SIZE);");
    for field in &structure.fields {
        let (member, field) = (member_name(&field.name), field.name.to_ascii_uppercase());
        _ = writeln!(
            text,
            "KNIT_STATIC_ASSERT(offsetof(struct knit_{name}, {member}) == KNIT_{upper}_{field}_AT);"
        );
    }
    *text += "\n";
}

fn member(field: &Field) -> String {
    let name = member_name(&field.name);
    // The layout is checked: every type is known.
    let Some(kind) = field.kind() else { return name };
    let element = match kind.element {
        "u8" => "uint8_t".to_owned(),
        "u32" | "u64" => "uint32_t".to_owned(),
        other => format!("struct knit_{other}"),
    };
    match kind.count {
        Count::One if kind.element == "u64" => format!("{element} {name}[2]"),
        Count::Many(count) => format!("{element} {name}[{count}]"),
        Count::One | Count::Open => format!("{element} {name}"),
    }
}

fn member_name(name: &str) -> String {
    if KEYWORDS.contains(&name) { format!("{name}_") } else { name.to_owned() }
}

/// Structures of known length, each behind those that it holds.
fn by_dependency(layout: &Layout) -> Vec<&Struct> {
    let mut waiting: Vec<_> = layout.structs.iter().filter(|found| found.size > 0).collect();
    let mut ordered: Vec<&Struct> = Vec::new();
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|structure| {
            let known = structure.fields.iter().filter_map(Field::kind).all(|kind| {
                matches!(kind.element, "u8" | "u32" | "u64")
                    || ordered.iter().any(|earlier| earlier.name == kind.element)
            });
            if known {
                ordered.push(structure);
            }
            !known
        });
        // What holds itself, or something of open length, has no C structure.
        if waiting.len() == before {
            break;
        }
    }
    ordered
}

fn enumeration(text: &mut String, name: &str, values: impl Iterator<Item = String>) {
    let lines: Vec<_> =
        values.enumerate().map(|(number, value)| format!("    {value} = {number}")).collect();
    _ = writeln!(text, "enum {name} {{\n{}\n}};", lines.join(",\n"));
}

fn section(text: &mut String, title: &str) {
    _ = writeln!(text, "\n/* {title} */");
}

fn define(text: &mut String, name: &str, value: &str) {
    _ = writeln!(text, "#define KNIT_{} UINT32_C({value})", name.to_ascii_uppercase());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_macro_is_defined_once() {
        let text = std::fs::read_to_string(crate::tree::root().join(crate::layout::FILE)).unwrap();
        let header = write(&Layout::parse(&text).unwrap());
        let lines = header.lines().filter_map(|line| line.strip_prefix("#define KNIT_"));
        let mut names: Vec<_> = lines
            .filter(|line| !line.starts_with("STATIC_ASSERT"))
            .filter_map(|line| line.split(' ').next())
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert!(count > 200, "{count} macros");
        assert_eq!(names.len(), count);
    }
}
