//! Header lines that no sender may write.

use super::super::VectorFile;
use super::super::build::hex;
use super::super::slot::{LIMITS, Limits, REQUEST, RESPONSE, line};
use super::{Fault, also, fault};
use serde_json::json;

pub(super) fn vectors() -> Vec<VectorFile> {
    [tags(), inline_lengths(), payload_lengths(), starts(), ends(), word0(), order()].concat()
}

fn refuse(fault: Fault, words: &str, doc: &str, direction: &str, first: [u32; 7]) -> VectorFile {
    within(LIMITS, fault, words, doc, direction, first)
}

fn within(
    limits: Limits,
    fault: Fault,
    words: &str,
    doc: &str,
    direction: &str,
    first: [u32; 7],
) -> VectorFile {
    let input = json!({
        "direction": direction,
        "limits": limits.json(),
        "bytes": hex(&line(first, 0, 0)),
    });
    fault.refuse("slot", words, &[], doc, input)
}

fn tags() -> Vec<VectorFile> {
    let mut files = Vec::new();
    for tag in [0, 1, 7, 8, 13, 14, 30, 55, 65_536, 0x0005_0005, u32::MAX] {
        let words = if tag == 0x0005_0005 { "right-low-half".into() } else { tag.to_string() };
        let doc = format!("Tag {tag} is not assigned.");
        files.push(refuse(
            fault("unassigned_tag", "PAY-1"),
            &words,
            &doc,
            REQUEST,
            [0, 1, tag, 0, 0, 0, 0],
        ));
    }
    let doc = "Tag 0 is not assigned in an answer either.";
    files.push(refuse(
        fault("unassigned_tag", "PAY-1"),
        "answer",
        doc,
        RESPONSE,
        [0, 1, 0, 0, 0, 0, 0],
    ));
    for (tag, what) in [(47, "A buffer that is moved"), (48, "A SharedArrayBuffer")] {
        for (name, direction) in [("request", REQUEST), ("answer", RESPONSE)] {
            let doc = format!("{what} means something inside one process only.");
            let words = format!("{tag}-{name}");
            files.push(refuse(
                fault("local_tag", "PAY-3"),
                &words,
                &doc,
                direction,
                [0, 1, tag, 0, 0, 32, 0],
            ));
        }
    }
    files
}

/// The edges above 512.
const LONG: [(&str, u32); 3] = [("513", 513), ("two-31", 1 << 31), ("largest", u32::MAX)];

fn inline_lengths() -> Vec<VectorFile> {
    let inline = fault("inline_length", "PAY-4");
    let mut files = Vec::new();
    for (edge, len) in LONG {
        for (name, direction) in [("request", REQUEST), ("answer", RESPONSE)] {
            let (words, doc) = (format!("{name}-{edge}"), "More bytes inline than fit.");
            files.push(refuse(inline, &words, doc, direction, [0, 1, 18, 0, 0, len, 0]));
        }
        let (words, doc) = (format!("head-{edge}"), "More header inline than fits.");
        files.push(refuse(inline, &words, doc, REQUEST, [0, 1, 40, 0, 16, len, 0]));
    }
    for (words, tag) in [
        ("string", 15),
        ("json", 16),
        ("symbol", 27),
        ("bigint", 29),
        ("i32-array", 31),
        ("external", 45),
        ("shared-buffer", 46),
        ("numbers", 54),
    ] {
        let doc = format!("Tag {tag} is inline: 513 bytes do not fit.");
        files.push(refuse(inline, words, &doc, RESPONSE, [0, 1, tag, 0, 0, 513, 0]));
    }
    files
}

fn payload_lengths() -> Vec<VectorFile> {
    let payload = fault("payload_length", "PAY-5");
    let mut files = Vec::new();
    for (edge, len) in [("16385", 16_385), ("two-31", 1 << 31), ("largest", u32::MAX)] {
        for (name, direction) in [("request", REQUEST), ("answer", RESPONSE)] {
            let (words, doc) = (format!("{name}-{edge}"), "A payload above the limit.");
            files.push(refuse(payload, &words, doc, direction, [0, 1, 17, 0, 0, len, 0]));
        }
        let (words, doc) = (format!("body-{edge}"), "A body above the limit, its header inline.");
        files.push(refuse(payload, &words, doc, REQUEST, [0, 1, 40, 0, len, 7, 0]));
        let (words, doc) =
            (format!("both-head-{edge}"), "A header above the limit, without a body.");
        files.push(refuse(payload, &words, doc, REQUEST, [0, 1, 43, 0, 0, len, 0]));
    }
    for (words, doc, head, body) in [
        ("both-sum", "Header and body, together one byte above the limit.", 16_384, 1),
        ("both-wrap", "Header and body whose sum is 0 in 32 bits.", u32::MAX, 1),
        (
            "both-wrap-small",
            "Header and body whose sum is 64 in 32 bits.",
            0x8000_0000,
            0x8000_0040,
        ),
        ("both-largest", "Header and body of the largest lengths.", u32::MAX, u32::MAX),
    ] {
        let file = refuse(payload, words, doc, REQUEST, [0, 1, 41, 0, body, head, 0]);
        files.push(also(file, "PAY-24"));
    }
    files
}

fn starts() -> Vec<VectorFile> {
    let alignment = fault("arena_alignment", "ARN-2");
    let mut files = Vec::new();
    for start in [1, 4, 63, 65, u32::MAX] {
        let doc = "A payload in the arena starts at a multiple of 64.";
        let words = if start == u32::MAX { "largest".into() } else { start.to_string() };
        files.push(refuse(alignment, &words, doc, REQUEST, [0, 1, 17, start, 0, 64, 0]));
    }
    let doc = "Where there are no bytes too.";
    files.push(refuse(alignment, "empty", doc, RESPONSE, [0, 1, 17, 1, 0, 0, 0]));
    let doc = "A body in the arena starts at a multiple of 64.";
    files.push(refuse(alignment, "body", doc, REQUEST, [0, 1, 42, 32, 16, 7, 0]));
    let doc = "A header in the arena starts at a multiple of 64.";
    files.push(refuse(alignment, "head", doc, RESPONSE, [0, 1, 43, 32, 16, 7, 0]));
    files
}

fn ends() -> Vec<VectorFile> {
    let bounds = fault("arena_bounds", "ARN-3");
    let small = Limits { arena: 64, payload: 16_384, abort: 0 };
    let mut files = Vec::new();
    for (words, doc, direction, tag, start, body, len) in [
        ("one-byte", "One byte behind the end of the arena.", REQUEST, 17, 65_408, 0, 65),
        ("one-byte-answer", "One byte behind the end of the arena.", RESPONSE, 17, 65_408, 0, 65),
        ("behind", "No bytes, but behind the end.", REQUEST, 17, 65_536, 0, 0),
        ("far", "Far behind the end.", RESPONSE, 11, 0x4000_0000, 0, 1),
        ("wrap", "Start and length whose sum is 0 in 32 bits.", REQUEST, 12, 0xffff_ffc0, 0, 64),
        (
            "wrap-more",
            "Start and length whose sum is 64 in 32 bits.",
            RESPONSE,
            24,
            0xffff_ffc0,
            0,
            128,
        ),
        ("negative", "The start is minus 64 in two's complement.", REQUEST, 17, 0xffff_ffc0, 0, 0),
        ("body", "A body that ends one byte behind the arena.", REQUEST, 40, 65_408, 65, 7),
        ("body-wrap", "A body whose end is 0 in 32 bits.", REQUEST, 49, 0xffff_ffc0, 64, 7),
        ("both", "Header and body that end one byte behind the arena.", REQUEST, 41, 65_408, 1, 64),
        (
            "both-wrap",
            "Header and body whose end is 0 in 32 bits.",
            RESPONSE,
            50,
            0xffff_ff80,
            64,
            64,
        ),
    ] {
        let file = refuse(bounds, words, doc, direction, [0, 1, tag, start, body, len, 0]);
        files.push(if words.contains("wrap") { also(file, "PAY-24") } else { file });
    }
    let doc = "One byte more than the smallest arena has.";
    files.push(within(small, bounds, "smallest-arena", doc, REQUEST, [0, 1, 17, 0, 0, 65, 0]));
    files
}

fn word0() -> Vec<VectorFile> {
    let flags = fault("answer_flags", "MBX-5");
    let mut files = Vec::new();
    for (words, word0) in [
        ("2", 2),
        ("3", 3),
        ("high-half", 0x0001_0000),
        ("highest", 0x8000_0000),
        ("all", u32::MAX),
    ] {
        let doc = "Word 0 of an answer is 0 or 1.";
        files.push(refuse(flags, words, doc, RESPONSE, [word0, 1, 5, 0, 0, 0, 0]));
    }
    let signal = fault("abort_signal", "LANE-17");
    let doc = "The lane has 258 signals: the last is 257.";
    files.push(refuse(signal, "258", doc, REQUEST, [259 << 16, 1, 5, 0, 0, 0, 0]));
    let doc = "The id that the highest word 0 has.";
    files.push(refuse(signal, "largest", doc, REQUEST, [u32::MAX, 1, 5, 0, 0, 0, 0]));
    for (words, doc, abort, word0) in [
        ("none", "A lane without signals.", 0, 1 << 16),
        ("one", "The lane has one signal.", 1, 2 << 16),
        ("65534", "The lane has the most signals that there can be.", 65_534, 0xffff_0000),
    ] {
        let limits = Limits { abort, ..LIMITS };
        files.push(within(limits, signal, words, doc, REQUEST, [word0, 1, 5, 0, 0, 0, 0]));
    }
    files
}

/// Several things are wrong: what is checked first is reported.
fn order() -> Vec<VectorFile> {
    let files = vec![
        refuse(
            fault("abort_signal", "LANE-17"),
            "before-tag",
            "Word 0 is looked at before the tag.",
            REQUEST,
            [u32::MAX, 1, 0, 0, 0, 0, 0],
        ),
        refuse(
            fault("unassigned_tag", "PAY-1"),
            "before-lengths",
            "Without an assigned tag there is no form, and so no length.",
            REQUEST,
            [0, 1, 30, 1, u32::MAX, u32::MAX, 0],
        ),
        refuse(
            fault("local_tag", "PAY-3"),
            "before-lengths",
            "A local tag is refused whatever its words say.",
            REQUEST,
            [0, 1, 48, 1, u32::MAX, u32::MAX, 0],
        ),
        refuse(
            fault("answer_flags", "MBX-5"),
            "before-tag",
            "Word 0 is looked at before the tag.",
            RESPONSE,
            [2, 1, 0, 0, 0, 0, 0],
        ),
        refuse(
            fault("inline_length", "PAY-4"),
            "before-payload-length",
            "The inline part is looked at before the part in the arena.",
            REQUEST,
            [0, 1, 40, 1, u32::MAX, 513, 0],
        ),
        refuse(
            fault("payload_length", "PAY-5"),
            "before-alignment",
            "The limit is looked at before the start.",
            REQUEST,
            [0, 1, 17, 1, 0, 16_385, 0],
        ),
        refuse(
            fault("arena_alignment", "ARN-2"),
            "before-bounds",
            "The start is looked at before the end.",
            REQUEST,
            [0, 1, 17, 65_535, 0, 64, 0],
        ),
    ];
    files.into_iter().map(|file| also(file, "PAY-24")).collect()
}
