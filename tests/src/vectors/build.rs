//! What all vectors are made of: names, members, bytes.

use crate::vectors::VectorFile;
use serde_json::{Map, Value};

/// A vector under construction. Members come out in the order in which they are put in.
pub(super) struct Vector {
    path: String,
    members: Map<String, Value>,
}

impl Vector {
    /// A vector in `folder` that shows `clauses`, the first of which begins its name.
    pub(super) fn new(folder: &str, words: &str, clauses: &[&str], doc: &str) -> Self {
        let name = format!("{}-{words}", clauses[0]);
        let path = format!("{folder}/{name}");
        Self { path, members: Map::new() }
            .with("name", name)
            .with("doc", doc)
            .with("clauses", clauses)
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    /// Adds the members of an object.
    pub(super) fn with_all(mut self, members: Value) -> Self {
        let Value::Object(members) = members else { panic!("members of an object") };
        self.members.extend(members);
        self
    }

    pub(super) fn file(self) -> VectorFile {
        VectorFile { path: self.path, json: Value::Object(self.members) }
    }
}

/// Whether a writer produces the bytes of a vector.
#[derive(Clone, Copy)]
pub(super) enum Verdict {
    Canonical,
    Accepted,
}

impl From<Verdict> for Value {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Canonical => "canonical".into(),
            Verdict::Accepted => "accepted".into(),
        }
    }
}

/// A word of bits, as the files have it.
pub(super) fn bits(word: u32) -> Value {
    format!("{word:#010x}").into()
}

/// 64 bits, most significant digit first.
pub(super) fn bits64(word: u64) -> Value {
    format!("{word:016x}").into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Little-endian words, one after the other.
pub(super) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// `len` bytes from `first` on, each 31 more than the one before, modulo 256. The recordings of the
/// upstream system have them too.
pub(super) fn pattern(first: u8, len: usize) -> Vec<u8> {
    (0..len).scan(first, |next, _| Some(core::mem::replace(next, next.wrapping_add(31)))).collect()
}
