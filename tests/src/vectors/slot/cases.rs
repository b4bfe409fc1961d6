//! Header lines that a receiver reads.

use super::super::VectorFile;
use super::super::build::{Vector, Verdict, bits64, hex};
use super::{LIMITS, Limits, REQUEST, RESPONSE, line};
use Verdict::{Accepted, Canonical};
use serde_json::{Value, json};

/// One vector under construction: a line, and what it says.
struct Case<'a> {
    words: &'a str,
    clauses: &'a [&'a str],
    doc: &'a str,
    verdict: Verdict,
    direction: &'a str,
    limits: Limits,
    bytes: Vec<u8>,
}

impl Case<'_> {
    /// `says`: call, tag, and the members of the form.
    fn says(self, word0: Value, call: u32, tag: u32, form: Value) -> VectorFile {
        let Value::Object(mut header) = word0 else { panic!("an object") };
        header.insert("call".into(), call.into());
        header.insert("tag".into(), tag.into());
        let Value::Object(form) = form else { panic!("an object") };
        header.extend(form);
        Vector::new("slot", self.words, self.clauses, self.doc)
            .with("verdict", self.verdict)
            .with("direction", self.direction)
            .with("limits", self.limits.json())
            .with("bytes", hex(&self.bytes))
            .with("header", header)
            .file()
    }
}

fn call(function: u32, abort: Option<u32>) -> Value {
    json!({ "function": function, "abort": abort })
}

fn answer(rejected: bool) -> Value {
    json!({ "rejected": rejected })
}

fn bare() -> Value {
    json!({ "form": "BARE" })
}

fn scalar(value: u64) -> Value {
    json!({ "form": "SCALAR", "scalar": bits64(value) })
}

fn inline(len: u32) -> Value {
    json!({ "form": "INLINE", "len": len })
}

fn arena(block: u32, start: u32, len: u32) -> Value {
    json!({ "form": "ARENA", "len": len, "block": block, "start": start })
}

fn two_parts(form: &str, block: u32, start: u32, head: u32, body: u32) -> Value {
    json!({ "form": form, "block": block, "start": start, "head": head, "body": body })
}

pub(super) fn vectors() -> Vec<VectorFile> {
    [forms(), lengths(), places(), word0(), left_overs()].concat()
}

/// A line of a writer: nothing in words without a meaning.
fn clean<'a>(
    words: &'a str,
    clauses: &'a [&'a str],
    doc: &'a str,
    direction: &'a str,
    first: [u32; 7],
) -> Case<'a> {
    let bytes = line(first, 0, 0);
    Case { words, clauses, doc, verdict: Canonical, direction, limits: LIMITS, bytes }
}

/// Every form in both directions.
fn forms() -> Vec<VectorFile> {
    let mut files = Vec::new();
    for (direction, name, word0) in
        [(REQUEST, "request", call(3, None)), (RESPONSE, "answer", answer(false))]
    {
        let w0 = if direction == REQUEST { 3 } else { 0 };
        let form = |form: &str| format!("{form}-{name}");
        let clauses = &["PAY-2", "PAY-1"];
        let mut add = |form_name: &str, doc: &str, first: [u32; 7], form_json: Value| {
            let (name, tag) = (form(form_name), first[2]);
            let case = clean(&name, clauses, doc, direction, first);
            files.push(case.says(word0.clone(), 5, tag, form_json));
        };
        add("bare", "The tag alone counts.", [w0, 5, 5, 0, 0, 0, 0], bare());
        add(
            "scalar",
            "Eight bytes in words 3 and 4, the low half first.",
            [w0, 5, 9, 0x1413_1211, 0x1817_1615, 0, 0],
            scalar(0x1817_1615_1413_1211),
        );
        add("inline", "Bytes in the inline area.", [w0, 5, 15, 0, 0, 27, 0], inline(27));
        add(
            "arena",
            "Bytes in the arena, in block 2.",
            [w0, 5, 17, 1024, 0, 513, 2],
            arena(2, 1024, 513),
        );
        add(
            "inline-head",
            "Seven bytes of header inline, sixteen bytes of body in the arena.",
            [w0, 5, 40, 128, 16, 7, 1],
            two_parts("INLINE_HEAD", 1, 128, 7, 16),
        );
        add(
            "arena-head",
            "608 bytes of header in the arena, 1000 bytes of body directly after them.",
            [w0, 5, 41, 64, 1000, 608, 31],
            two_parts("ARENA_HEAD", 31, 64, 608, 1000),
        );
    }
    files
}

/// Lengths at their limits.
fn lengths() -> Vec<VectorFile> {
    let request = |words, clauses, doc, first| clean(words, clauses, doc, REQUEST, first);
    let zero = call(0, None);
    vec![
        request("inline-0", &["PAY-4"], "No bytes inline.", [0, 0, 18, 0, 0, 0, 0]).says(
            zero.clone(),
            0,
            18,
            inline(0),
        ),
        request("inline-512", &["PAY-4"], "As many bytes inline as fit.", [0, 1, 18, 0, 0, 512, 0])
            .says(zero.clone(), 1, 18, inline(512)),
        request("head-0", &["PAY-4"], "No header inline.", [0, 1, 42, 0, 3, 0, 0]).says(
            zero.clone(),
            1,
            42,
            two_parts("INLINE_HEAD", 0, 0, 0, 3),
        ),
        request("head-512", &["PAY-4"], "As much header inline as fits.", [0, 1, 42, 0, 3, 512, 0])
            .says(zero.clone(), 1, 42, two_parts("INLINE_HEAD", 0, 0, 512, 3)),
        request(
            "arena-0",
            &["PAY-23", "PAY-5"],
            "No bytes in the arena, in a block of their own.",
            [0, 1, 17, 64, 0, 0, 4],
        )
        .says(zero.clone(), 1, 17, arena(4, 64, 0)),
        request(
            "arena-limit",
            &["PAY-5"],
            "As many bytes in the arena as the limit allows.",
            [0, 1, 17, 0, 0, 16_384, 0],
        )
        .says(zero.clone(), 1, 17, arena(0, 0, 16_384)),
        request(
            "body-limit",
            &["PAY-5"],
            "A body as long as the limit allows; its header, inline, does not count.",
            [0, 1, 40, 0, 16_384, 512, 0],
        )
        .says(zero.clone(), 1, 40, two_parts("INLINE_HEAD", 0, 0, 512, 16_384)),
        request(
            "both-parts-limit",
            &["PAY-5"],
            "Header and body in the arena, together as long as the limit allows.",
            [0, 1, 43, 0, 16_383, 1, 0],
        )
        .says(zero.clone(), 1, 43, two_parts("ARENA_HEAD", 0, 0, 1, 16_383)),
        request(
            "both-parts-0",
            &["PAY-5"],
            "Header and body in the arena, both empty.",
            [0, 1, 43, 0, 0, 0, 0],
        )
        .says(zero.clone(), 1, 43, two_parts("ARENA_HEAD", 0, 0, 0, 0)),
        Case {
            limits: Limits { payload: 100, ..LIMITS },
            ..request(
                "inline-above-limit",
                &["PAY-5"],
                "A payload limit below 512 makes no inline payload a violation.",
                [0, 1, 18, 0, 0, 512, 0],
            )
        }
        .says(zero, 1, 18, inline(512)),
    ]
}

/// Places at the ends of the arena.
fn places() -> Vec<VectorFile> {
    let response = |words, clauses, doc, first| clean(words, clauses, doc, RESPONSE, first);
    let good = answer(false);
    let largest = Limits { arena: (1 << 30) - 64, payload: u32::MAX, abort: 0 };
    vec![
        response(
            "last-granule",
            &["ARN-3", "ARN-2"],
            "The last 64 bytes of the arena.",
            [0, 1, 17, 65_408, 0, 64, 0],
        )
        .says(good.clone(), 1, 17, arena(0, 65_408, 64)),
        response(
            "at-the-end",
            &["ARN-3", "ARN-2"],
            "No bytes, at the very end of the arena.",
            [0, 1, 17, 65_472, 0, 0, 0],
        )
        .says(good.clone(), 1, 17, arena(0, 65_472, 0)),
        response(
            "body-to-the-end",
            &["ARN-3"],
            "A body that ends where the arena ends.",
            [0, 1, 42, 65_344, 128, 1, 0],
        )
        .says(good.clone(), 1, 42, two_parts("INLINE_HEAD", 0, 65_344, 1, 128)),
        response(
            "both-parts-to-the-end",
            &["ARN-3"],
            "Header and body that end where the arena ends.",
            [0, 1, 41, 65_344, 127, 1, 0],
        )
        .says(good.clone(), 1, 41, two_parts("ARENA_HEAD", 0, 65_344, 1, 127)),
        Case {
            limits: largest,
            ..response(
                "whole-arena",
                &["ARN-3", "PAY-5"],
                "A payload that fills the largest arena.",
                [0, 1, 17, 0, 0, 1_073_741_760, 0],
            )
        }
        .says(good.clone(), 1, 17, arena(0, 0, 1_073_741_760)),
        response(
            "last-block",
            &["ARN-1"],
            "The block of the highest index.",
            [0, 1, 11, 0, 0, 1, 31],
        )
        .says(good, 1, 11, arena(31, 0, 1)),
    ]
}

fn word0() -> Vec<VectorFile> {
    let request = |words, clauses, doc, first| clean(words, clauses, doc, REQUEST, first);
    let many = Limits { abort: 65_534, ..LIMITS };
    vec![
        request("first-signal", &["LANE-17"], "Abort signal 0.", [0x0001_0007, 1, 10, 0, 0, 0, 0])
            .says(call(7, Some(0)), 1, 10, bare()),
        request(
            "last-signal",
            &["LANE-17"],
            "The last signal of 258.",
            [0x0102_0007, 1, 10, 0, 0, 0, 0],
        )
        .says(call(7, Some(257)), 1, 10, bare()),
        Case {
            limits: many,
            ..request(
                "highest-signal",
                &["LANE-17", "SEG-17"],
                "The last signal of the most that there can be.",
                [0xfffe_ffff, u32::MAX, 10, 0, 0, 0, 0],
            )
        }
        .says(call(65_535, Some(65_533)), u32::MAX, 10, bare()),
        clean(
            "rejected",
            &["MBX-5"],
            "An answer whose value is the error of a failed call.",
            RESPONSE,
            [1, 0x8000_0001, 24, 64, 0, 36, 3],
        )
        .says(answer(true), 0x8000_0001, 24, arena(3, 64, 36)),
        clean(
            "rejected-with-a-string",
            &["MBX-5"],
            "What a call fails with can be any value.",
            RESPONSE,
            [1, 9, 15, 0, 0, 4, 0],
        )
        .says(answer(true), 9, 15, inline(4)),
    ]
}

/// Words that mean nothing, and are not zero.
fn left_overs() -> Vec<VectorFile> {
    let dirty = |words, clauses, doc, direction, first, rest| Case {
        bytes: line(first, rest, 0),
        verdict: Accepted,
        ..clean(words, clauses, doc, direction, first)
    };
    let all = u32::MAX;
    vec![
        dirty(
            "bare-left-overs",
            &["MBX-6"],
            "Words 3 to 6 do not belong to a bare tag.",
            REQUEST,
            [0, 1, 3, all, all, all, all],
            0,
        )
        .says(call(0, None), 1, 3, bare()),
        dirty(
            "scalar-left-overs",
            &["MBX-6"],
            "Words 5 and 6 do not belong to a scalar.",
            RESPONSE,
            [0, 1, 2, 7, 0, all, all],
            0,
        )
        .says(answer(false), 1, 2, scalar(7)),
        dirty(
            "inline-left-overs",
            &["MBX-6"],
            "Words 3, 4 and 6 do not belong to inline bytes.",
            REQUEST,
            [0, 1, 16, 1, all, 2, all],
            0,
        )
        .says(call(0, None), 1, 16, inline(2)),
        dirty(
            "arena-left-overs",
            &["MBX-6"],
            "Word 4 does not belong to bytes in the arena.",
            RESPONSE,
            [0, 1, 12, 64, all, 600, 0],
            0,
        )
        .says(answer(false), 1, 12, arena(0, 64, 600)),
        dirty(
            "call-time-arena",
            &["MBX-6", "ARN-1"],
            "The high 27 bits of word 6 hold the time of the call, as upstream hosts write it.",
            REQUEST,
            [0, 1, 11, 0, 0, 600, 0x1234_5678 << 5 | 7],
            0,
        )
        .says(call(0, None), 1, 11, arena(7, 0, 600)),
        dirty(
            "call-time-head",
            &["MBX-6", "ARN-1"],
            "The high 27 bits of word 6 are set, in a payload of two parts.",
            REQUEST,
            [0, 1, 43, 0, 1, 600, 0xffff_ffe0],
            0,
        )
        .says(call(0, None), 1, 43, two_parts("ARENA_HEAD", 0, 0, 600, 1)),
        dirty(
            "words-7-to-14",
            &["MBX-6"],
            "Words 7 to 14 mean nothing in this version.",
            REQUEST,
            [0, 1, 5, 0, 0, 0, 0],
            all,
        )
        .says(call(0, None), 1, 5, bare()),
        dirty(
            "words-7-to-14-answer",
            &["MBX-6"],
            "Words 7 to 14 mean nothing in an answer either.",
            RESPONSE,
            [0, 1, 15, 0, 0, 4, 0],
            0xdead_beef,
        )
        .says(answer(false), 1, 15, inline(4)),
        Case {
            bytes: line([0, 1, 5, 0, 0, 0, 0], 0, 0xffff_fffe),
            verdict: Accepted,
            ..clean(
                "stamp",
                &["MBX-9", "MBX-6"],
                "A stamp is no part of the message. Its sender stores it after the publish word.",
                REQUEST,
                [0, 1, 5, 0, 0, 0, 0],
            )
        }
        .says(call(0, None), 1, 5, bare()),
    ]
}
