//! Header lines: their bytes, and those that a receiver reads.

mod cases;

use super::VectorFile;
use super::build::words;
use serde_json::{Value, json};

/// What a receiver holds a header line against.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) arena: u32,
    pub(super) payload: u32,
    pub(super) abort: u32,
}

/// The limits of most vectors: an arena of 64 KiB, its first 64 bytes not counted, payloads of
/// 16 KiB, room for 258 signals.
pub(super) const LIMITS: Limits = Limits { arena: 65_472, payload: 16_384, abort: 258 };

impl Limits {
    pub(super) fn json(self) -> Value {
        json!({
            "arena_bytes": self.arena,
            "max_payload": self.payload,
            "abort_capacity": self.abort,
        })
    }
}

pub(super) const REQUEST: &str = "request";
pub(super) const RESPONSE: &str = "response";

/// The sixteen words of a header line: these first seven, `rest` in words 7 to 14, then the stamp.
pub(super) fn line(first: [u32; 7], rest: u32, stamp: u32) -> Vec<u8> {
    words(&[&first[..], &[rest; 8], &[stamp]].concat())
}

pub(super) fn vectors() -> Vec<VectorFile> {
    cases::vectors()
}
