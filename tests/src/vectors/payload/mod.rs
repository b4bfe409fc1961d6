//! Values and the messages that carry them.

mod bytes;
mod composite;
mod error;
mod scalar;
mod text;

use super::VectorFile;
use super::build::{Vector, Verdict, bits, hex};
use Verdict::{Accepted, Canonical};
use serde_json::{Value, json};

/// A message. Words that its form does not use are zero, unless a vector says otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    pub(super) tag: u32,
    pub(super) word3: u32,
    pub(super) word4: u32,
    pub(super) word5: u32,
    pub(super) inline: Vec<u8>,
    pub(super) arena: Vec<u8>,
}

impl Message {
    pub(super) fn json(&self) -> Value {
        json!({
            "tag": self.tag,
            "word3": bits(self.word3),
            "word4": bits(self.word4),
            "word5": bits(self.word5),
            "inline": hex(&self.inline),
            "arena": hex(&self.arena),
        })
    }
}

pub(super) fn bare(tag: u32) -> Message {
    Message { tag, ..Message::default() }
}

pub(super) fn scalar(tag: u32, value: u64) -> Message {
    // The casts take the halves apart.
    Message { tag, word3: value as u32, word4: (value >> 32) as u32, ..Message::default() }
}

pub(super) fn inline(tag: u32, bytes: &[u8]) -> Message {
    Message { tag, word5: len(bytes), inline: bytes.into(), ..Message::default() }
}

pub(super) fn arena(tag: u32, bytes: &[u8]) -> Message {
    Message { tag, word5: len(bytes), arena: bytes.into(), ..Message::default() }
}

/// Header inline, body in the arena.
pub(super) fn inline_head(tag: u32, head: &[u8], body: &[u8]) -> Message {
    Message {
        tag,
        word4: len(body),
        word5: len(head),
        inline: head.into(),
        arena: body.into(),
        ..Message::default()
    }
}

/// Header and body in the arena.
pub(super) fn arena_head(tag: u32, head: &[u8], body: &[u8]) -> Message {
    Message {
        tag,
        word4: len(body),
        word5: len(head),
        arena: [head, body].concat(),
        ..Message::default()
    }
}

fn len(bytes: &[u8]) -> u32 {
    bytes.len().try_into().expect("vectors are short")
}

/// The limits of a decoder.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) payload: u32,
    pub(super) depth: u32,
    pub(super) causes: u32,
    pub(super) more: More,
}

/// One of the limits that receivers need not have, under its name in a vector.
pub(super) type More = Option<(&'static str, u32)>;

/// Where nothing else is agreed.
pub(super) const DEFAULTS: Limits =
    Limits { payload: 8_388_608, depth: 128, causes: 16, more: None };

impl Limits {
    pub(super) fn json(self) -> Value {
        let mut limits = json!({
            "max_payload": self.payload,
            "max_depth": self.depth,
            "max_causes": self.causes,
        });
        if let Some((name, most)) = self.more {
            limits[name] = most.into();
        }
        limits
    }
}

pub(super) fn vectors() -> Vec<VectorFile> {
    [scalar::vectors(), text::vectors(), bytes::vectors(), error::vectors(), composite::vectors()]
        .concat()
}

/// What a writer makes of `value`.
fn canonical(
    words: &str,
    clauses: &[&str],
    doc: &str,
    value: Value,
    message: Message,
) -> VectorFile {
    file(words, clauses, doc, Canonical, DEFAULTS, value, message)
}

/// What a reader takes for `value`, and no writer makes.
fn accepted(
    words: &str,
    clauses: &[&str],
    doc: &str,
    value: Value,
    message: Message,
) -> VectorFile {
    file(words, clauses, doc, Accepted, DEFAULTS, value, message)
}

fn file(
    words: &str,
    clauses: &[&str],
    doc: &str,
    verdict: Verdict,
    limits: Limits,
    value: Value,
    message: Message,
) -> VectorFile {
    Vector::new("payload", words, clauses, doc)
        .with("verdict", verdict)
        .with("limits", limits.json())
        .with("value", value)
        .with("message", message.json())
        .file()
}
