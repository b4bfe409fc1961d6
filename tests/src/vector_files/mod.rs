//! The files of `spec/vectors/`, read as any implementation would read them, and the crates held against
//! them.
//!
//! Everything here panics where a file, or what the crates make of it, is not as it should be.

mod layout;
mod message;

pub use layout::{fields, header, hold_header, hold_slot, parse_slot, reader_of, slot_rules};
pub use message::{Message, decode, hold_payload, limits, received, value};

use crate::vectors::disk;
use serde_json::Value as Json;

/// One file: its path without the ending, and what it says.
#[derive(Clone, Debug)]
pub struct File {
    /// Path below `spec/vectors/`.
    pub path: String,
    /// What the file says.
    pub json: Json,
}

/// Every file of a folder, read from the disk.
pub fn folder(name: &str) -> Vec<File> {
    let prefix = format!("{name}/");
    let files = disk::on_disk().unwrap().into_iter().filter(|(path, _)| path.starts_with(&prefix));
    let read = |(path, text): (String, String)| {
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let path = path.strip_suffix(".json").unwrap_or_else(|| panic!("{path}: no JSON")).into();
        File { path, json }
    };
    files.map(read).collect()
}

/// A member that is text.
pub fn text<'a>(json: &'a Json, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_else(|| panic!("{name} is no text in {json:#}"))
}

/// A member that is a number.
pub fn number(json: &Json, name: &str) -> u64 {
    json[name].as_u64().unwrap_or_else(|| panic!("{name} is no number in {json:#}"))
}

/// A member that is a number of 32 bits.
pub fn word(json: &Json, name: &str) -> u32 {
    number(json, name).try_into().unwrap_or_else(|_| panic!("{name} has more than 32 bits"))
}

/// A member that is a number of 64 bits, in decimal digits.
pub fn wide(json: &Json, name: &str) -> u64 {
    text(json, name).parse().unwrap_or_else(|_| panic!("{name} is no decimal number"))
}

/// A member that is bits, such as `"0x00000009"`.
pub fn bits(json: &Json, name: &str) -> u32 {
    let text = text(json, name);
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 8);
    let bits = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    bits.unwrap_or_else(|| panic!("{name} is no word of bits: {text}"))
}

/// Sixteen hex digits, most significant first.
pub fn bits64(json: &Json) -> u64 {
    let text = json.as_str().filter(|text| text.len() == 16);
    let bits = text.and_then(|text| u64::from_str_radix(text, 16).ok());
    bits.unwrap_or_else(|| panic!("not sixteen hex digits: {json}"))
}

/// A member that is a boolean.
pub fn flag(json: &Json, name: &str) -> bool {
    json[name].as_bool().unwrap_or_else(|| panic!("{name} is no boolean in {json:#}"))
}

/// A member that is bytes.
pub fn bytes(json: &Json, name: &str) -> Vec<u8> {
    let text = text(json, name);
    let lower = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    assert!(text.len().is_multiple_of(2) && text.bytes().all(|digit| lower(&digit)), "{name}");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// A member that is bytes, as little-endian words.
pub fn words<const N: usize>(json: &Json, name: &str) -> [u32; N] {
    let bytes = bytes(json, name);
    assert_eq!(bytes.len(), N * 4, "{name}");
    core::array::from_fn(|at| u32::from_le_bytes(bytes[at * 4..at * 4 + 4].try_into().unwrap()))
}

/// Whether a writer produces the bytes.
pub fn canonical(json: &Json) -> bool {
    match text(json, "verdict") {
        "canonical" => true,
        "accepted" => false,
        other => panic!("verdict {other}"),
    }
}
