//! `knit_layout.mjs`: the layout as an ES module. `knit_layout.d.ts` holds its types;
//! `knit_layout.d.mts`, where TypeScript looks for those of an `.mjs`, names them again.

use std::fmt::Write as _;

use super::{NOTE, constant, hex};
use crate::layout::{Layer, Layout, Struct};

/// One exported constant.
struct Export {
    name: String,
    doc: String,
    value: Value,
}

/// A value whose type is itself: JavaScript and TypeScript write it alike.
enum Value {
    Number(String),
    Text(String),
    Object(Vec<(String, Value)>),
    /// An object that is read with keys that may be absent: the type of the values.
    Map(Vec<(String, Value)>, &'static str),
    List(Vec<Value>),
}

/// The text of the module.
pub(super) fn write(layout: &Layout) -> String {
    let mut text = format!("// {NOTE}\n");
    for Export { name, doc, value } in exports(layout) {
        _ = writeln!(text, "\n/** {doc} */\nexport const {name} = {};", script(&value, 0));
    }
    text
}

/// The text of the module's types.
pub(super) fn write_types(layout: &Layout) -> String {
    let mut text = format!("// {NOTE}\n");
    let mut alias = |name: &str, doc: &str, values: Vec<&str>| {
        let values: Vec<_> = values.into_iter().map(|value| format!("\n  | {value:?}")).collect();
        _ = writeln!(text, "\n/** {doc} */\nexport type {name} ={};", values.concat());
    };
    let forms = layout.forms.iter().map(|form| form.name.as_str()).collect();
    alias("FormName", "Where the bytes of a payload stand.", forms);
    alias("KindName", "What a payload is.", layout.kinds());
    let layers = Layer::ALL.map(Layer::name).into();
    alias("LayerName", "What a refusal costs: the segment, the lane, one call.", layers);
    let errors = layout.errors.iter().map(|error| error.name.as_str()).collect();
    alias("ErrorName", "Reasons to refuse.", errors);
    for Export { name, doc, value } in exports(layout) {
        _ = writeln!(text, "\n/** {doc} */\nexport declare const {name}: {};", kind(&value, 0));
    }
    text
}

/// The text that gives the types to those who import the module under its name.
pub(super) fn write_types_of_module() -> String {
    format!("// {NOTE}\n\nexport * from \"./knit_layout.js\";\n")
}

fn exports(layout: &Layout) -> Vec<Export> {
    let export =
        |name: &str, doc: &str, value| Export { name: name.to_owned(), doc: doc.to_owned(), value };
    let number = |value: u32| Value::Number(value.to_string());
    let protocol = &layout.protocol;
    let mut all = vec![
        export("MAGIC", "The first word of a segment.", Value::Number(hex(protocol.magic))),
        export("BYTE_ORDER_MARK", "The second.", Value::Number(hex(protocol.byte_order_mark))),
        export("LAYOUT_MAJOR", "Major version.", number(protocol.layout.major)),
        export("LAYOUT_MINOR", "Minor version.", number(protocol.layout.minor)),
        export(
            "reservedCodecIds",
            "Ids of codecs that external payloads must not use for anything else. PAY-21.",
            Value::List(protocol.reserved_codec_ids.iter().cloned().map(Value::Text).collect()),
        ),
    ];
    for entry in &layout.constants {
        let doc = format!("{} Unit: {}. {}.", entry.doc, entry.unit, entry.clause);
        all.push(export(&entry.name, &doc, Value::Number(constant(entry))));
    }
    for structure in &layout.structs {
        let doc = format!("{}: offsets of fields in bytes. {}", structure.title, structure.doc);
        all.push(export(&structure_name(&structure.name), &doc, offsets(structure)));
    }
    let known = layout.structs.iter().filter(|structure| structure.size > 0);
    let sizes =
        known.map(|found| (structure_name(&found.name), Value::Number(found.size.to_string())));
    all.push(export("sizes", "Lengths of structures in bytes.", Value::Object(sizes.collect())));
    let doc = "Bit fields: `(word & mask) >>> shift`, by structure and field.";
    all.push(export("bits", doc, bit_fields(layout)));
    for entry in &layout.enums {
        let values = entry.values.iter().map(|value| (value.name.clone(), number(value.value)));
        let doc = format!("{} {}.", entry.doc, entry.clause);
        all.push(export(&capital(&camel(&entry.name)), &doc, Value::Object(values.collect())));
    }
    let features = layout.features.iter();
    let masks = features.map(|entry| (entry.name.clone(), Value::Number(hex(1 << entry.bit))));
    all.push(export("Feature", "Features, as masks.", Value::Object(masks.collect())));
    all.extend(payloads(layout).map(|(name, doc, value)| export(name, doc, value)));
    all
}

fn payloads(layout: &Layout) -> [(&'static str, &'static str, Value); 6] {
    let number = |value: u32| Value::Number(value.to_string());
    let text = |value: &str| Value::Text(value.to_owned());
    let forms = layout.forms.iter().map(|form| (form.name.clone(), text(&form.name)));
    let words = layout.forms.iter().map(|form| {
        let words = form.words.iter().map(|word| number(*word));
        (form.name.clone(), Value::List(words.collect()))
    });
    let tags = || layout.tags.iter();
    let values = tags().map(|tag| (tag.name.clone(), number(tag.value)));
    let tag_form = tags().map(|tag| (tag.value.to_string(), text(&tag.form)));
    let tag_kind = tags().map(|tag| (tag.value.to_string(), text(&tag.kind)));
    let errors = Layer::ALL.into_iter().flat_map(|layer| {
        let errors = layout.errors.iter().filter(move |error| error.layer == layer);
        errors.map(move |error| {
            let members = [("name", error.name.as_str()), ("layer", layer.name())];
            let members = members.into_iter().chain([("clause", error.clause.as_str())]);
            let member = |(name, value): (&str, &str)| (name.to_owned(), text(value));
            Value::Object(members.map(member).collect())
        })
    });
    [
        ("Form", "Where the bytes of a payload stand.", Value::Object(forms.collect())),
        ("formWords", "Header words that each form uses.", Value::Object(words.collect())),
        ("Tag", "Payload tags.", Value::Object(values.collect())),
        ("tagForm", "The form of each tag.", Value::Map(tag_form.collect(), "FormName")),
        ("tagKind", "What the value of each tag is.", Value::Map(tag_kind.collect(), "KindName")),
        ("errors", "Reasons to refuse, by layer.", Value::List(errors.collect())),
    ]
}

fn offsets(structure: &Struct) -> Value {
    let fields = structure.fields.iter();
    let known = fields
        .filter_map(|field| Some((field.name.clone(), Value::Number(field.offset?.to_string()))));
    Value::Object(known.collect())
}

fn bit_fields(layout: &Layout) -> Value {
    let place = |bits: &crate::layout::Bits| {
        let shift = ("shift".to_owned(), Value::Number(bits.lsb.to_string()));
        let mask = ("mask".to_owned(), Value::Number(hex(bits.mask())));
        (bits.name.clone(), Value::Object(vec![shift, mask]))
    };
    let structs = layout.structs.iter().map(|structure| {
        let fields = structure.fields.iter().filter(|field| !field.bits.is_empty());
        let fields = fields.map(|field| {
            (field.name.clone(), Value::Object(field.bits.iter().map(place).collect()))
        });
        (structure_name(&structure.name), fields.collect::<Vec<_>>())
    });
    let some = structs.filter(|(_, fields)| !fields.is_empty());
    Value::Object(some.map(|(name, fields)| (name, Value::Object(fields))).collect())
}

fn script(value: &Value, depth: usize) -> String {
    match value {
        Value::Number(number) => number.clone(),
        Value::Text(text) => format!("{text:?}"),
        Value::Object(members) | Value::Map(members, _) => {
            let lines = members.iter().map(|(name, value)| {
                format!("{}{name}: {},\n", indent(depth + 1), script(value, depth + 1))
            });
            let lines: String = lines.collect();
            format!("Object.freeze({{\n{lines}{}}})", indent(depth))
        }
        Value::List(values) => {
            let values: Vec<_> = values.iter().map(|value| script(value, depth)).collect();
            format!("Object.freeze([{}])", values.join(", "))
        }
    }
}

fn kind(value: &Value, depth: usize) -> String {
    match value {
        Value::Number(number) => number.clone(),
        Value::Text(text) => format!("{text:?}"),
        Value::Object(members) | Value::Map(members, _) => {
            let lines = members.iter().map(|(name, value)| {
                format!("{}readonly {name}: {};\n", indent(depth + 1), kind(value, depth + 1))
            });
            let mut lines: String = lines.collect();
            if let Value::Map(_, values) = value {
                let indent = indent(depth + 1);
                _ = writeln!(lines, "{indent}readonly [key: number]: {values} | undefined;");
            }
            format!("{{\n{lines}{}}}", indent(depth))
        }
        Value::List(values) => {
            let values: Vec<_> = values.iter().map(|value| kind(value, depth)).collect();
            format!("readonly [{}]", values.join(", "))
        }
    }
}

/// The export that holds the offsets of a structure.
fn structure_name(name: &str) -> String {
    if name == "control_line" { "control".to_owned() } else { camel(name) }
}

/// `lane_state` as `laneState`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| text + &capital(word))
}

fn capital(word: &str) -> String {
    word.get(..1).map_or_else(String::new, |first| first.to_ascii_uppercase() + &word[1..])
}

fn indent(depth: usize) -> String {
    "  ".repeat(depth)
}
