//! Values that codecs are measured with: texts, bytes, documents, errors.

use knit_codec::ErrorValue;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Bytes of a mebibyte.
pub const MIB: usize = 1 << 20;

/// How many [`documents`] make 894 bytes of JSON text, which rows call 1 KiB.
pub const SMALL: u64 = 8;

/// How many [`documents`] make 101557 bytes of JSON text, which rows call 100 KiB.
pub const LARGE: u64 = 880;

/// Errors of a chain: one and its three causes.
const MESSAGES: [&str; 4] = ["request failed", "connection lost", "socket closed", "timeout"];

/// What a service might send: numbers, short strings, a list, an option, now and then an escape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// An integer.
    pub id: u64,
    /// A short string.
    pub name: String,
    /// Three shorter ones.
    pub tags: Vec<String>,
    /// A float that has many digits as text.
    pub score: f64,
    /// A boolean.
    pub active: bool,
    /// One in four has a text that JSON escapes.
    pub note: Option<String>,
}

/// An [`Item`] that borrows from what it is read from what every format leaves as it is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ItemRef<'a> {
    id: u64,
    name: &'a str,
    tags: Vec<&'a str>,
    score: f64,
    active: bool,
    // Escaped in JSON, so that it cannot be borrowed there.
    note: Option<String>,
}

/// An error as formats without errors carry it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Name of the type.
    pub name: String,
    /// What happened.
    pub message: String,
    /// Where.
    pub stack: String,
    /// Why.
    pub cause: Option<Box<Self>>,
}

/// A [`Fault`] that borrows its texts where the format does not escape them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FaultRef<'a> {
    name: &'a str,
    message: &'a str,
    #[serde(borrow)]
    stack: Cow<'a, str>,
    #[serde(borrow)]
    cause: Option<Box<FaultRef<'a>>>,
}

/// So many bytes of ASCII.
#[must_use]
pub fn ascii(bytes: usize) -> String {
    "0123456789abcdef".repeat(bytes.div_ceil(16))[..bytes].to_owned()
}

/// At most so many bytes of text with characters of one to four bytes, and at most three fewer.
#[must_use]
pub fn mixed(bytes: usize) -> String {
    let mut text = "grüße ключ 😀 ok! ".repeat(bytes / 26 + 1);
    text.truncate(text.floor_char_boundary(bytes));
    text
}

/// So many bytes, of all values up to 250.
#[must_use]
pub fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at % 251) as u8).collect()
}

/// So many floats.
#[must_use]
pub fn floats(count: usize) -> Vec<f64> {
    (0..count).map(|at| at as f64 * 0.5).collect()
}

/// So many items.
#[must_use]
pub fn documents(count: u64) -> Vec<Item> {
    let item = |id| Item {
        id: id * 7919,
        name: format!("item number {id}"),
        tags: vec!["alpha".into(), "beta".into(), format!("t{}", id % 13)],
        score: id as f64 * 0.37,
        active: id % 3 == 0,
        note: (id % 4 == 0).then(|| "grüße, \"quoted\"".into()),
    };
    (0..count).map(item).collect()
}

/// An error with so many causes, at most three, each with a stack of some 500 bytes.
#[must_use]
pub fn fault(causes: usize) -> Fault {
    let stack = "    at Object.method (file:///srv/app/src/module.ts:123:45)\n".repeat(8);
    let mut found = None;
    for message in MESSAGES[..=causes].iter().rev() {
        let cause = found.map(Box::new);
        let (name, message) = ("TypeError".to_owned(), (*message).to_owned());
        found = Some(Fault { name, message, stack: stack.clone(), cause });
    }
    found.expect("there is an error without causes")
}

impl PartialEq<Item> for ItemRef<'_> {
    fn eq(&self, item: &Item) -> bool {
        self.id == item.id
            && self.name == item.name
            && self.tags == item.tags
            && self.score.to_bits() == item.score.to_bits()
            && self.active == item.active
            && self.note == item.note
    }
}

impl PartialEq<Fault> for FaultRef<'_> {
    fn eq(&self, fault: &Fault) -> bool {
        let cause = match (&self.cause, &fault.cause) {
            (Some(one), Some(other)) => **one == **other,
            (None, None) => true,
            _ => false,
        };
        cause
            && self.name == fault.name
            && self.message == fault.message
            && self.stack == fault.stack
    }
}

impl From<&Fault> for ErrorValue {
    fn from(fault: &Fault) -> Self {
        let error = Self::new(&*fault.name, &*fault.message).with_stack(&*fault.stack);
        match &fault.cause {
            Some(cause) => error.with_cause(Self::from(&**cause)),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_as_long_as_they_say() {
        assert_eq!(ascii(11).len(), 11);
        assert!((MIB - 3..=MIB).contains(&mixed(MIB).len()));
        let text = |count| serde_json::to_vec(&documents(count)).expect("it is JSON").len();
        assert_eq!(text(SMALL), 894);
        assert_eq!(text(LARGE), 101_557);
        assert_eq!(ErrorValue::from(&fault(0)).chain().count(), 1);
        assert_eq!(ErrorValue::from(&fault(3)).chain().count(), 4);
    }
}
