//! Messages that no honest side sends. Both roles send them: as requests and as answers.
//!
//! Rows are only ever added at the end of a list: their places are the numbers of the cases.

use crate::wire::At::{Arena, Limit, Word};
use crate::wire::{At, Body, Fate, Forged};
use knit_proto::Tag;

/// Every message, in the order of the case numbers: words first, then payloads.
#[must_use]
pub fn all() -> Vec<Forged> {
    [tags(), lengths(), places(), super::payloads::all()].concat()
}

fn row(name: impl Into<String>, clause: &'static str, fate: Fate, body: Body) -> Forged {
    Forged { name: name.into(), clause, body, fate }
}

/// Tags that nobody may send.
fn tags() -> Vec<Forged> {
    let unassigned = [
        0,
        1,
        7,
        8,
        13,
        14,
        30,
        55,
        56,
        63,
        127,
        128,
        255,
        256,
        271,
        65_535,
        65_551,
        1 << 24,
        1 << 31,
        (1 << 31) + 5,
        u32::MAX - 1,
        u32::MAX,
    ];
    let local = [Tag::BUFFER_MOVE, Tag::LOCAL_SHARED_BUFFER];
    let unassigned = unassigned
        .into_iter()
        .map(|tag| row(format!("tag-{tag}"), "PAY-1", Fate::Poison, Body::bare(Tag(tag))));
    let local = local
        .into_iter()
        .map(|tag| row(format!("local-tag-{}", tag.0), "PAY-3", Fate::Poison, Body::bare(tag)));
    unassigned.chain(local).collect()
}

fn words(tag: Tag, start: At, end: At, len: At) -> Body {
    Body::Words { tag: tag.0, start, end, len, block: 0 }
}

/// Lengths at every edge.
fn lengths() -> Vec<Forged> {
    let mut rows = Vec::new();
    let inline = |tag, len| words(tag, Word(0), Word(0), Word(len));
    for len in [0, 1, 511, 512] {
        rows.push(row(
            format!("inline-length-{len}"),
            "PAY-4",
            Fate::Passes,
            inline(Tag::BYTES_INLINE, len),
        ));
    }
    let over = [
        513,
        514,
        516,
        572,
        576,
        577,
        1024,
        18_432,
        65_535,
        65_536,
        66_048,
        (1 << 31) - 1,
        1 << 31,
        (1 << 31) + 512,
        u32::MAX - 511,
        u32::MAX,
    ];
    for len in over {
        let body = inline(Tag::STRING_INLINE, len);
        rows.push(row(format!("inline-length-{len}"), "PAY-4", Fate::Poison, body));
    }
    for (tag, name) in [
        (Tag::BYTES_INLINE, "bytes"),
        (Tag::JSON_INLINE, "json"),
        (Tag::BIGINT_INLINE, "bigint"),
        (Tag::I32_ARRAY_INLINE, "array"),
        (Tag::SHARED_BUFFER, "buffer"),
        (Tag::ENVELOPE_JSON_INLINE, "envelope"),
        (Tag::ENVELOPE_TEXT_INLINE_EXTERNAL, "external-envelope"),
    ] {
        let name = format!("inline-length-{name}-513");
        rows.push(row(name, "PAY-4", Fate::Poison, inline(tag, 513)));
    }
    let arena = |tag, len| words(tag, Word(0), Word(0), len);
    rows.push(row("limit", "PAY-5", Fate::Passes, arena(Tag::BYTES_ARENA, Limit(0))));
    for (name, len) in [
        ("limit-plus-1", Limit(1)),
        ("limit-plus-64", Limit(64)),
        ("length-2-31", Word(1 << 31)),
        ("length-max-minus-63", Word(u32::MAX - 63)),
        ("length-max", Word(u32::MAX)),
    ] {
        rows.push(row(name, "PAY-5", Fate::Poison, arena(Tag::BYTES_ARENA, len)));
    }
    for (name, end, len) in [
        ("sum-wraps-to-0", Word(u32::MAX), Word(1)),
        ("sum-wraps-halves", Word(1 << 31), Word(1 << 31)),
        ("sum-of-max", Word(u32::MAX), Word(u32::MAX)),
        ("sum-over-limit-by-1", Limit(0), Word(1)),
        ("sum-wraps-to-64", Word(65), Word(u32::MAX)),
    ] {
        let body = words(Tag::ENVELOPE_TEXT_ARENA, Word(0), end, len);
        rows.push(row(format!("envelope-{name}"), "PAY-5", Fate::Poison, body));
    }
    let body = words(Tag::ENVELOPE_TEXT_INLINE, Word(0), Limit(1), Word(1));
    rows.push(row("envelope-body-over-limit", "PAY-5", Fate::Poison, body));
    rows
}

/// Offsets at every edge.
fn places() -> Vec<Forged> {
    let mut rows = Vec::new();
    let bytes = |start, len| words(Tag::BYTES_ARENA, start, Word(0), Word(len));
    for start in [1, 4, 8, 32, 63, 65, 1000] {
        let name = format!("start-{start}");
        rows.push(row(name, "ARN-2", Fate::Poison, bytes(Word(start), 64)));
    }
    rows.push(row("start-unaligned-empty", "ARN-2", Fate::Poison, bytes(Word(1), 0)));
    rows.push(row("start-max", "ARN-2", Fate::Poison, bytes(Word(u32::MAX), 1)));
    rows.push(row("last-granule", "ARN-3", Fate::Passes, bytes(Arena(-64), 64)));
    rows.push(row("empty-at-end", "ARN-3", Fate::Passes, bytes(Arena(0), 0)));
    for (name, start, len) in [
        ("end-plus-1", Arena(-64), 65),
        ("end-plus-64", Arena(-64), 128),
        ("at-end", Arena(0), 1),
        ("empty-behind-end", Arena(64), 0),
        ("far-behind-end", Word(1 << 31), 64),
        ("start-wraps-0", Word(u32::MAX - 63), 0),
        ("start-wraps-64", Word(u32::MAX - 63), 64),
        ("start-wraps-128", Word(u32::MAX - 63), 128),
        // 2^32 - 64: into the words before the arena, if the sum is taken at 32 bits.
        ("start-minus-128", Word(u32::MAX - 127), 256),
    ] {
        rows.push(row(name, "ARN-3", Fate::Poison, bytes(start, len)));
    }
    let envelope = words(Tag::ENVELOPE_TEXT_ARENA, Arena(-64), Word(33), Word(32));
    rows.push(row("envelope-end-plus-1", "ARN-3", Fate::Poison, envelope));
    let envelope = words(Tag::ENVELOPE_TEXT_INLINE, Arena(-64), Word(65), Word(1));
    rows.push(row("envelope-body-end-plus-1", "ARN-3", Fate::Poison, envelope));
    for (name, more) in [("block-time-bits", 0xffff_ffe0_u32), ("block-upstream-time", 0x1234_5660)]
    {
        let (start, end, len) = (Word(0), Word(0), Word(64));
        let body = Body::Words { tag: Tag::BYTES_ARENA.0, start, end, len, block: more };
        rows.push(row(name, "MBX-6", Fate::Passes, body));
    }
    let left_over = |tag: Tag| {
        let (start, end, len) = (Word(u32::MAX), Word(u32::MAX), Word(u32::MAX));
        Body::Words { tag: tag.0, start, end, len, block: u32::MAX - 31 }
    };
    for tag in [Tag::TRUE, Tag::UNDEFINED, Tag::NULL, Tag::NAN] {
        let name = format!("left-overs-{}", tag.0);
        rows.push(row(name, "MBX-6", Fate::Passes, left_over(tag)));
    }
    rows
}
