//! Envelopes, external payloads, shared buffers.

use super::super::VectorFile;
use super::super::build::{Verdict, pattern, words};
use super::super::value::{
    envelope, external, external_envelope, json_head, shared_buffer, text_head,
};
use super::{
    DEFAULTS, Limits, Message, accepted, arena, arena_head, canonical, file, inline, inline_head,
};

pub(super) fn vectors() -> Vec<VectorFile> {
    [envelopes(), external_envelopes(), odd_envelopes(), externals(), shared_buffers()].concat()
}

/// JSON text of `len` bytes.
fn object(name: &str, fill: &str, len: usize) -> String {
    let frame = format!(r#"{{"{name}":""}}"#).len();
    format!(r#"{{"{name}":"{}"}}"#, fill.repeat(len - frame))
}

fn envelopes() -> Vec<VectorFile> {
    let clauses = &["PAY-20", "PAY-2"];
    let choice = &["PAY-7", "PAY-20"];
    let body = pattern(0, 16);
    let json = |words: &str, clauses: &[&str], doc, head: &str, body: &[u8]| {
        let message = if head.len() <= 512 {
            inline_head(40, head.as_bytes(), body)
        } else {
            arena_head(41, head.as_bytes(), body)
        };
        canonical(
            &format!("envelope-json-{words}"),
            clauses,
            doc,
            envelope(json_head(head), body),
            message,
        )
    };
    let text = |words: &str, clauses: &[&str], doc, head: &str, body: &[u8]| {
        let message = if head.len() <= 512 {
            inline_head(42, head.as_bytes(), body)
        } else {
            arena_head(43, head.as_bytes(), body)
        };
        canonical(
            &format!("envelope-text-{words}"),
            clauses,
            doc,
            envelope(text_head(head), body),
            message,
        )
    };
    let (fits, over) = (object("h", "h", 512), object("h", "h", 513));
    vec![
        json("small", clauses, "The example of the chapter.", r#"{"a":1}"#, &body),
        json("null", clauses, "A header of null.", "null", &body[..3]),
        json("empty-body", clauses, "No body, in a block all the same.", "[]", &[]),
        json("512", choice, "As much header as fits inline.", &fits, &body),
        json("513", choice, "One byte of header more than fits inline.", &over, &body),
        json(
            "608-and-1000",
            clauses,
            "A body that starts directly after the header.",
            &object("h", "h", 608),
            &pattern(0, 1000),
        ),
        json("arena-empty-body", clauses, "A header in the arena, no body.", &over, &[]),
        text("small", clauses, "A string as header.", "hdr", &body[..3]),
        text("empty-header", clauses, "An empty string as header.", "", &body),
        text("empty", clauses, "Neither header nor body.", "", &[]),
        text(
            "unicode",
            clauses,
            "A header beyond ASCII, with U+FEFF at its start.",
            "\u{feff}ключ😀",
            &body,
        ),
        text("512", choice, "As much header as fits inline.", &"h".repeat(512), &body[..10]),
        text(
            "513",
            choice,
            "One byte of header more than fits inline.",
            &"h".repeat(513),
            &body[..10],
        ),
        text(
            "171-units",
            choice,
            "171 units of header: its bytes count, not its units.",
            &"h".repeat(171),
            &body,
        ),
        text("arena-odd", clauses, "A body that starts at an odd offset.", &"é".repeat(300), &body),
    ]
}

/// The metadata of the recordings of the upstream system.
const METADATA: &str = concat!(
    r#"{"version":1,"descriptor":{"version":1,"fd":7,"size":4096,"byteLength":4096,"#,
    r#""runtime":"node","kind":"shared-array-buffer","baseAddressMod64":0},"#,
    r#""byteOffset":64,"byteLength":128}"#
);
const CODEC: &str = "knitting.processSharedBuffer";

/// A writer is given no external value with a reserved codec id: what these stand for are values of
/// their own.
fn verdict(codec: &str) -> Verdict {
    if codec.starts_with("knitting.") { Verdict::Accepted } else { Verdict::Canonical }
}

fn pair(codec: &str, metadata: &str) -> String {
    format!(r#"["{codec}",{metadata}]"#)
}

fn external_envelopes() -> Vec<VectorFile> {
    let clauses = &["PAY-20", "PAY-21"];
    let body = pair(CODEC, METADATA);
    let whole_buffer = METADATA
        .replace(r#""byteOffset":64,"byteLength":128"#, r#""byteOffset":0,"byteLength":4096"#);
    let whole_body = pair(CODEC, &whole_buffer);
    let small = pair("c", "null");
    let long = object("z", "q", 608);
    let sent = |words: &str, doc, head, codec, metadata, message| {
        let (words, value) =
            (format!("envelope-{words}"), external_envelope(head, codec, metadata));
        canonical(&words, clauses, doc, value, message)
    };
    vec![
        sent(
            "json-external-buffer",
            "A JSON header inline, a shared buffer as external payload.",
            json_head(r#"{"z":1}"#),
            CODEC,
            METADATA,
            inline_head(49, br#"{"z":1}"#, body.as_bytes()),
        ),
        sent(
            "json-external",
            "A JSON header inline, an external payload as body.",
            json_head("0"),
            "c",
            "null",
            inline_head(49, b"0", small.as_bytes()),
        ),
        sent(
            "json-external-arena",
            "A JSON header and an external payload in the arena.",
            json_head(&long),
            "c",
            "null",
            arena_head(50, long.as_bytes(), small.as_bytes()),
        ),
        sent(
            "json-external-arena-buffer",
            "A JSON header and a shared buffer as external payload in the arena.",
            json_head(&long),
            CODEC,
            &whole_buffer,
            arena_head(50, long.as_bytes(), whole_body.as_bytes()),
        ),
        sent(
            "text-external",
            "A string as header, an external payload as body.",
            text_head("hdr"),
            "c",
            "null",
            inline_head(51, b"hdr", small.as_bytes()),
        ),
        sent(
            "text-external-buffer",
            "A string as header, a shared buffer as external payload.",
            text_head("z"),
            CODEC,
            METADATA,
            inline_head(51, b"z", body.as_bytes()),
        ),
        sent(
            "text-external-empty-header",
            "An empty string as header, an external payload as body.",
            text_head(""),
            "c",
            "null",
            inline_head(51, b"", small.as_bytes()),
        ),
        sent(
            "text-external-arena",
            "A string as header and an external payload in the arena.",
            text_head(&"é".repeat(257)),
            "c",
            "null",
            arena_head(52, "é".repeat(257).as_bytes(), small.as_bytes()),
        ),
        sent(
            "text-external-arena-buffer",
            "A string as header and a shared buffer as external payload in the arena.",
            text_head(&"q".repeat(600)),
            CODEC,
            &whole_buffer,
            arena_head(52, "q".repeat(600).as_bytes(), whole_body.as_bytes()),
        ),
    ]
}

fn odd_envelopes() -> Vec<VectorFile> {
    let clauses = &["PAY-23", "PAY-20"];
    vec![
        accepted(
            "envelope-json-short-arena",
            clauses,
            "A header in the arena that would fit inline.",
            envelope(json_head("{}"), &[1, 2, 3]),
            arena_head(41, b"{}", &[1, 2, 3]),
        ),
        accepted(
            "envelope-text-empty-arena",
            clauses,
            "Neither header nor body, both in the arena.",
            envelope(text_head(""), &[]),
            arena_head(43, b"", &[]),
        ),
        accepted(
            "envelope-json-external-short-arena",
            clauses,
            "A header in the arena that would fit inline, before an external payload.",
            external_envelope(json_head("{}"), "c", "1"),
            arena_head(50, b"{}", br#"["c",1]"#),
        ),
        accepted(
            "envelope-text-external-white-space",
            &["PAY-21", "PAY-20"],
            "White space in an external body is no part of the value, other than in the metadata.",
            external_envelope(text_head("h"), "c", "[ 1 ]"),
            inline_head(51, b"h", br#" [ "c" , [ 1 ] ] "#),
        ),
    ]
}

fn externals() -> Vec<VectorFile> {
    let clauses = &["PAY-21"];
    let named = METADATA
        .replace(r#""baseAddressMod64":0"#, r#""baseAddressMod64":0,"name":"chan""#)
        .replace(r#""byteOffset":64,"byteLength":128"#, r#""byteOffset":0,"byteLength":64"#);
    let long = object("pad", "p", 710);
    // Metadata that brings the text to `len` bytes.
    let fill = |len: usize| format!(r#""{}""#, "m".repeat(len - pair("c", r#""""#).len()));
    let sent = |words: &str, clauses: &[&str], doc, codec: &str, metadata: &str| {
        let text = pair(codec, metadata);
        let message = if text.len() <= 512 {
            inline(45, text.as_bytes())
        } else {
            arena(44, text.as_bytes())
        };
        let (words, value) = (format!("external-{words}"), external(codec, metadata));
        file(&words, clauses, doc, verdict(codec), DEFAULTS, value, message)
    };
    let read = |words: &str, clauses: &[&str], doc, codec, metadata, message| {
        accepted(&format!("external-{words}"), clauses, doc, external(codec, metadata), message)
    };
    vec![
        sent("example", clauses, "The example of the chapter.", "my.codec", r#"{"n":1}"#),
        sent("null-metadata", clauses, "Metadata of null.", "my.codec", "null"),
        sent("empty-id", clauses, "An empty codec id.", "", "[]"),
        sent("unicode", clauses, "A codec id beyond ASCII.", "ключ😀", "\"é\""),
        sent("named-buffer", clauses, "A shared buffer by name.", CODEC, &named),
        sent(
            "local-id",
            clauses,
            "A reserved id that is never sent in a process lane is data like others.",
            "knitting.bufferReference",
            "{}",
        ),
        sent("512-bytes", &["PAY-7", "PAY-21"], "As much text as fits inline.", "c", &fill(512)),
        sent("513-bytes", &["PAY-7", "PAY-21"], "One byte more than fits inline.", "c", &fill(513)),
        sent("long", clauses, "Metadata of 710 bytes.", "my.codec", &long),
        read(
            "white-space",
            clauses,
            "White space around the two elements.",
            "c",
            "{ }",
            inline(45, b"[ \"c\" ,\n{ } ] "),
        ),
        read(
            "escaped-id",
            clauses,
            "A codec id with an escape.",
            "a\"/",
            "1",
            inline(45, br#"["\u0061\"\/",1]"#),
        ),
        read(
            "surrogate-in-id",
            clauses,
            "An unpaired surrogate in the codec id becomes U+FFFD.",
            "\u{fffd}x",
            r#""\ud800""#,
            inline(45, br#"["\udc00x","\ud800"]"#),
        ),
        read(
            "short-arena",
            &["PAY-23", "PAY-21"],
            "Text in the arena that would fit inline.",
            "c",
            "1",
            arena(44, br#"["c",1]"#),
        ),
        file(
            "external-two-levels",
            &["PAY-14", "PAY-21"],
            "The array is one level of depth, an array in the metadata another.",
            Verdict::Canonical,
            Limits { depth: 2, ..DEFAULTS },
            external("c", "[]"),
            inline(45, br#"["c",[]]"#),
        ),
    ]
}

fn shared_buffers() -> Vec<VectorFile> {
    let sent = |name: &str, doc, content: [u32; 8]| {
        let value = shared_buffer(content);
        canonical(
            &format!("shared-buffer-{name}"),
            &["PAY-22"],
            doc,
            value,
            inline(46, &words(&content)),
        )
    };
    let example = [7, 4096, 4096, 64, 128, 1, 1, 0];
    vec![
        sent("example", "The example of the chapter: 128 bytes from byte 64 of buffer 7.", example),
        sent(
            "bun",
            "A buffer of another runtime and type, its address not stated.",
            [7, 4096, 4096, 0, 0, 3, 2, u32::MAX],
        ),
        sent("whole", "All of a buffer.", [7, 4096, 4096, 0, 4096, 1, 1, 0]),
        sent("zero", "Eight words of zero: any words decode.", [0; 8]),
        sent(
            "all-bits",
            "Any words decode: what they claim is checked when the buffer is used.",
            [u32::MAX; 8],
        ),
        accepted(
            "shared-buffer-left-overs",
            &["MBX-6", "PAY-22"],
            "Words 3 and 4 do not belong to inline bytes.",
            shared_buffer(example),
            Message { word3: u32::MAX, word4: u32::MAX, ..inline(46, &words(&example)) },
        ),
    ]
}
