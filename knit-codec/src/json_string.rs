//! JSON strings as Rust strings, escapes of unpaired surrogates included.

use alloc::string::String;
use core::fmt;

use serde_core::de::{DeserializeSeed, Deserializer, Visitor};

/// Reads a JSON string, and puts U+FFFD where an unpaired surrogate is escaped. PAY-16, PAY-21.
///
/// It reads the string as bytes: `serde_json` refuses unpaired surrogates in strings, but gives them
/// as three bytes each, in the manner of UTF-8, in bytes.
pub(crate) struct JsonString;

impl<'a> DeserializeSeed<'a> for JsonString {
    type Value = String;

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<String, D::Error> {
        from.deserialize_bytes(self)
    }
}

impl Visitor<'_> for JsonString {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(replace_surrogates(bytes))
    }
}

/// Text of `bytes`, in which the only faults against UTF-8 are surrogates of three bytes each.
fn replace_surrogates(mut bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    while let Err(fault) = core::str::from_utf8(bytes) {
        let (valid, rest) = bytes.split_at(fault.valid_up_to());
        text.push_str(&String::from_utf8_lossy(valid));
        text.push(char::REPLACEMENT_CHARACTER);
        bytes = rest.get(SURROGATE_BYTES..).unwrap_or_default();
    }
    text.push_str(&String::from_utf8_lossy(bytes));
    text
}

/// Length of a surrogate in the manner of UTF-8, in bytes.
const SURROGATE_BYTES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        JsonString.deserialize(&mut serde_json::Deserializer::from_str(text)).ok()
    }

    #[test]
    fn unpaired_surrogates_are_replaced_and_pairs_are_characters() {
        assert_eq!(read(r#""a\ud800b""#).as_deref(), Some("a\u{FFFD}b"));
        assert_eq!(read(r#""\udc00\ud800""#).as_deref(), Some("\u{FFFD}\u{FFFD}"));
        assert_eq!(read(r#""\ud83d\ude00é""#).as_deref(), Some("😀é"));
        assert_eq!(read("7"), None);
        assert_eq!(read("[97]"), None);
    }
}
