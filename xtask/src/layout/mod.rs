//! `spec/layout.toml`: the numbers of the wire format, as types.
//!
//! Reading refuses members that are not known here, and a layout that contradicts itself: see
//! [`check`]. Serialised, the same types are the members of `knit_layout.json`.

mod check;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where the layout stands.
pub(crate) const FILE: &str = "spec/layout.toml";

/// Bytes of a word.
pub(crate) const WORD: u64 = 4;

/// Everything that `layout.toml` says.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layout {
    pub(crate) protocol: Protocol,
    #[serde(rename(deserialize = "constant"))]
    pub(crate) constants: Vec<Constant>,
    #[serde(rename(deserialize = "struct"))]
    pub(crate) structs: Vec<Struct>,
    #[serde(rename(deserialize = "enum"))]
    pub(crate) enums: Vec<Enum>,
    #[serde(rename(deserialize = "feature"))]
    pub(crate) features: Vec<Feature>,
    #[serde(rename(deserialize = "form"))]
    pub(crate) forms: Vec<Form>,
    #[serde(rename(deserialize = "tag"))]
    pub(crate) tags: Vec<Tag>,
    #[serde(rename(deserialize = "error"))]
    pub(crate) errors: Vec<Error>,
}

/// What tells a segment of this protocol from other files.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Protocol {
    pub(crate) name: String,
    pub(crate) magic: u32,
    pub(crate) byte_order_mark: u32,
    pub(crate) byte_order: String,
    pub(crate) layout: Version,
    /// Ids of codecs that external payloads must not use for anything else. PAY-21.
    pub(crate) reserved_codec_ids: Vec<String>,
}

/// A version of the layout.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

/// A number with a name.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constant {
    pub(crate) name: String,
    pub(crate) value: u32,
    pub(crate) unit: String,
    pub(crate) clause: String,
    pub(crate) doc: String,
}

/// A structure in shared memory.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) title: String,
    /// Length in bytes; 0 where it depends on the geometry.
    pub(crate) size: u64,
    pub(crate) align: u64,
    pub(crate) clause: String,
    pub(crate) since: String,
    pub(crate) doc: String,
    #[serde(rename(deserialize = "field", serialize = "fields"))]
    pub(crate) fields: Vec<Field>,
}

/// A field of a structure.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// From the start of the structure. Absent where the place depends on the geometry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<u64>,
    /// The place in words, where there is no `offset`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unit: Option<String>,
    /// The one value that a word of this layout has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    /// The enumeration that the value comes from.
    #[serde(rename = "enum", skip_serializing_if = "Option::is_none")]
    pub(crate) values: Option<String>,
    pub(crate) writer: String,
    pub(crate) order: String,
    /// That of the structure where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) clause: Option<String>,
    pub(crate) doc: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) bits: Vec<Bits>,
}

/// Some bits of a word.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bits {
    pub(crate) name: String,
    pub(crate) lsb: u32,
    pub(crate) width: u32,
    pub(crate) doc: String,
}

/// The values of a word.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enum {
    pub(crate) name: String,
    pub(crate) clause: String,
    pub(crate) doc: String,
    pub(crate) values: Vec<Variant>,
}

/// One value of a word.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) value: u32,
    pub(crate) doc: String,
}

/// A feature that sides agree on.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Feature {
    pub(crate) name: String,
    pub(crate) bit: u32,
    pub(crate) since: String,
    pub(crate) doc: String,
}

/// Where the bytes of a payload stand.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    pub(crate) name: String,
    /// Words of the header line that have a meaning.
    pub(crate) words: Vec<u32>,
    pub(crate) doc: String,
}

/// A payload tag.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tag {
    pub(crate) value: u32,
    pub(crate) name: String,
    pub(crate) form: String,
    /// What the value is, whatever the form.
    pub(crate) kind: String,
    pub(crate) clause: String,
    pub(crate) doc: String,
}

/// A reason to refuse.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Error {
    pub(crate) name: String,
    pub(crate) layer: Layer,
    pub(crate) clause: String,
    pub(crate) doc: String,
}

/// What a refusal costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layer {
    /// The segment is refused.
    Header,
    /// The lane is poisoned.
    Violation,
    /// One call fails.
    Decode,
}

/// A type of a field, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Type<'t> {
    /// `u8`, `u32`, `u64` or the name of a structure.
    pub(crate) element: &'t str,
    pub(crate) count: Count,
}

/// How many elements a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// No array.
    One,
    /// An array.
    Many(u64),
    /// An array whose length depends on the geometry.
    Open,
}

impl Layout {
    /// Reads and checks `text`.
    ///
    /// # Errors
    ///
    /// One sentence for each mistake.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<String>> {
        let layout: Self = toml::from_str(text).map_err(|error| vec![error.to_string()])?;
        let mistakes = check::mistakes(&layout);
        if mistakes.is_empty() { Ok(layout) } else { Err(mistakes) }
    }

    /// The structure `name`.
    pub(crate) fn structure(&self, name: &str) -> Option<&Struct> {
        self.structs.iter().find(|candidate| candidate.name == name)
    }

    /// Length in bytes of a field of type `kind`; `None` where it depends on the geometry.
    pub(crate) fn bytes(&self, kind: Type<'_>) -> Option<u64> {
        let element = match kind.element {
            "u8" => 1,
            "u32" => WORD,
            "u64" => 2 * WORD,
            name => self.structure(name).map(|found| found.size).filter(|size| *size > 0)?,
        };
        match kind.count {
            Count::One => Some(element),
            Count::Many(count) => element.checked_mul(count),
            Count::Open => None,
        }
    }

    /// Every clause that an entry gives as its own, with the entry.
    pub(crate) fn clauses(&self) -> Vec<(String, &str)> {
        let mut found = Vec::new();
        for constant in &self.constants {
            found.push((format!("constant {}", constant.name), constant.clause.as_str()));
        }
        for structure in &self.structs {
            found.push((format!("struct {}", structure.name), structure.clause.as_str()));
            for field in &structure.fields {
                let entry = format!("{}.{}", structure.name, field.name);
                found.extend(field.clause.as_deref().map(|clause| (entry, clause)));
            }
        }
        for entry in &self.enums {
            found.push((format!("enum {}", entry.name), entry.clause.as_str()));
        }
        for tag in &self.tags {
            found.push((format!("tag {}", tag.name), tag.clause.as_str()));
        }
        for error in &self.errors {
            found.push((format!("error {}", error.name), error.clause.as_str()));
        }
        found
    }

    /// The kinds of payloads, in order of their first tag.
    pub(crate) fn kinds(&self) -> Vec<&str> {
        let mut kinds: Vec<&str> = Vec::new();
        for tag in &self.tags {
            if !kinds.contains(&tag.kind.as_str()) {
                kinds.push(&tag.kind);
            }
        }
        kinds
    }

    /// Masks of the words that each form uses, by form.
    pub(crate) fn form_words(&self) -> BTreeMap<&str, u32> {
        let mask = |form: &Form| form.words.iter().fold(0, |mask, word| mask | 1 << word);
        self.forms.iter().map(|form| (form.name.as_str(), mask(form))).collect()
    }
}

impl Field {
    /// The type, taken apart. `None` where it has another shape than `name`, `name[n]`, `name[]`.
    pub(crate) fn kind(&self) -> Option<Type<'_>> {
        let Some((element, rest)) = self.kind.split_once('[') else {
            return Some(Type { element: &self.kind, count: Count::One });
        };
        let count = match rest.strip_suffix(']')? {
            "" => Count::Open,
            number => Count::Many(number.parse().ok().filter(|count| *count > 0)?),
        };
        Some(Type { element, count })
    }
}

impl Bits {
    /// The bits, in their place in the word. `lsb + width` is at most 32: checked on reading.
    pub(crate) fn mask(&self) -> u32 {
        (u32::MAX >> (32 - self.width)) << self.lsb
    }
}

impl Layer {
    /// All layers, from the first that an input meets.
    pub(crate) const ALL: [Self; 3] = [Self::Header, Self::Violation, Self::Decode];

    /// As `layout.toml` writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Violation => "violation",
            Self::Decode => "decode",
        }
    }
}
