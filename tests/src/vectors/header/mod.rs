//! Segment headers: their bytes, and those that a reader takes.

mod cases;

use super::VectorFile;
use super::build::bits;
use serde_json::{Value, json};

/// Features STAMPS and FUTEX_BELLS: all that version 1.0 has.
pub(super) const KNOWN: u32 = 0x9;

/// What a creator chooses, and the words that it may not choose but a newer one writes.
#[derive(Clone, Copy)]
pub(super) struct Header {
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) required: u32,
    pub(super) optional: u32,
    pub(super) epoch: u32,
    pub(super) pid: u32,
    pub(super) start: u64,
    pub(super) boot: u64,
    pub(super) kind: u32,
    pub(super) abort_capacity: u32,
    pub(super) tasks: u64,
    pub(super) extension: u32,
    pub(super) request_arena: u32,
    pub(super) response_arena: u32,
    pub(super) request_reserved: u32,
    pub(super) response_reserved: u32,
    /// Content of every word without a meaning in 1.0.
    pub(super) reserved_words: u32,
}

/// A small lane: two arenas of a page, nothing offered.
pub(super) const SMALL: Header = Header {
    major: 1,
    minor: 0,
    required: 0,
    optional: 0,
    epoch: 1,
    pid: 0,
    start: 0,
    boot: 0,
    kind: 1,
    abort_capacity: 0,
    tasks: 0,
    extension: 4096,
    request_arena: 4096,
    response_arena: 4096,
    request_reserved: 0,
    response_reserved: 0,
    reserved_words: 0,
};

impl Header {
    /// Name, start and length of everything that has a place. The lane block starts after the
    /// extension; distances in it are those of SEG-5 and SEG-12.
    fn places(&self) -> [(&'static str, u32, u32); 10] {
        let block = 4096 + self.extension;
        let abort = self.abort_capacity.div_ceil(32) * 4;
        let request_arena = 37_568 + abort.div_ceil(64) * 64;
        let response_arena = request_arena + self.request_arena;
        let block_len = response_arena + self.response_arena;
        [
            ("extension", 4096, self.extension),
            ("lane_block", block, block_len),
            ("signals", block, 192),
            ("request_sector", block + 192, 256),
            ("response_sector", block + 448, 256),
            ("request_slots", block + 704, 18_432),
            ("response_slots", block + 19_136, 18_432),
            ("abort_bits", block + 37_568, abort),
            ("request_arena", block + request_arena, self.request_arena),
            ("response_arena", block + response_arena, self.response_arena),
        ]
    }

    /// Length of the whole segment.
    pub(super) fn segment_bytes(&self) -> u32 {
        let [_, (_, at, len), ..] = self.places();
        at + len
    }

    /// The 64 words in the order of memory.
    pub(super) fn words(&self) -> Vec<u32> {
        let none = self.reserved_words;
        let mut words = vec![0x5449_4e4b, 0x0102_0304, self.major, self.minor, 256, 4096];
        push64(&mut words, self.segment_bytes().into());
        words.extend([self.required, self.optional, self.epoch, self.pid]);
        push64(&mut words, self.start);
        push64(&mut words, self.boot);
        words.extend([self.kind, 32, 576, 512, self.abort_capacity, none]);
        push64(&mut words, self.tasks);
        words.extend(self.places().into_iter().flat_map(|(_, at, len)| [at, len]));
        words.extend([self.request_reserved, self.response_reserved]);
        words.extend([none; 17]);
        words.push(0x8000_0000 | self.major << 16 | self.minor);
        words
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        super::build::words(&self.words())
    }

    fn fields(&self) -> Value {
        json!({
            "major": self.major,
            "minor": self.minor,
            "required": bits(self.required),
            "optional": bits(self.optional),
            "epoch": self.epoch,
            "creator_pid": self.pid,
            "creator_start": self.start.to_string(),
            "creator_boot": self.boot.to_string(),
            "lane_kind": self.kind,
            "abort_capacity": self.abort_capacity,
            "tasks": self.tasks.to_string(),
            "extension_bytes": self.extension,
            "request_arena_bytes": self.request_arena,
            "response_arena_bytes": self.response_arena,
            "request_reserved": self.request_reserved,
            "response_reserved": self.response_reserved,
        })
    }

    fn layout(&self) -> Value {
        let mut layout = json!({ "segment": { "at": 0, "bytes": self.segment_bytes() } });
        for (name, at, len) in self.places() {
            layout[name] = json!({ "at": at, "bytes": len });
        }
        layout
    }
}

fn push64(words: &mut Vec<u32>, value: u64) {
    // The casts take the halves apart, the low one first.
    words.extend([value as u32, (value >> 32) as u32]);
}

/// What a reader knows, as the files have it.
pub(super) fn reader(major: u32, minor: u32, features: u32) -> Value {
    json!({ "layout": { "major": major, "minor": minor }, "features": bits(features) })
}

pub(super) fn vectors() -> Vec<VectorFile> {
    cases::vectors()
}
