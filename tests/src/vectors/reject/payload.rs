//! Messages whose bytes are no value.

use super::super::VectorFile;
use super::super::payload::{DEFAULTS, Limits, Message, arena, arena_head, inline, inline_head};
use super::{Fault, also, fault};
use serde_json::json;

pub(super) const UTF8: Fault = fault("utf8", "PAY-8");
pub(super) const JSON: Fault = fault("json", "PAY-13");

pub(super) fn vectors() -> Vec<VectorFile> {
    [too_long(), too_much(), elements(), bigints(), errors(), externals(), order()].concat()
}

pub(super) fn refuse(fault: Fault, words: &str, doc: &str, message: &Message) -> VectorFile {
    within(DEFAULTS, fault, words, doc, message)
}

pub(super) fn within(
    limits: Limits,
    fault: Fault,
    words: &str,
    doc: &str,
    message: &Message,
) -> VectorFile {
    let input = json!({ "limits": limits.json(), "message": message.json() });
    fault.refuse("payload", words, &[], doc, input)
}

/// Limits of a receiver that the lane does not have.
fn too_long() -> Vec<VectorFile> {
    let long = fault("too_long", "PAY-24");
    let limit = |payload| Limits { payload, ..DEFAULTS };
    let (three, error) = ([0; 3], br#"{"name":"E","message":"m"}"#);
    [
        ("string", "One byte more than the receiver takes.", 3, inline(15, b"abcd")),
        (
            "string-arena",
            "One byte more than the receiver takes, in the arena.",
            512,
            arena(11, &[b'x'; 513]),
        ),
        ("json", "The length is looked at before the text.", 2, inline(16, b"\"\xff\"")),
        ("bytes", "One byte, where none are taken.", 0, inline(18, &[0])),
        (
            "bytes-512",
            "As many bytes as fit inline, where fewer are taken.",
            511,
            inline(18, &[0; 512]),
        ),
        ("bytes-arena", "A payload of four bytes in the arena.", 3, arena(17, &[0; 4])),
        ("error", "An error one byte longer than the receiver takes.", 25, arena(24, error)),
        ("array", "The length is looked at before the elements.", 2, inline(31, &three)),
        ("bigint", "The length is looked at before the sign byte.", 1, inline(29, &[9, 0])),
        ("symbol", "A key one byte longer than the receiver takes.", 1, inline(27, b"qq")),
        (
            "envelope",
            "Header and body together are one byte too long.",
            6,
            inline_head(42, b"hdr", b"body"),
        ),
        (
            "envelope-arena",
            "Both parts in the arena are one byte too long.",
            6,
            arena_head(43, b"hdr", b"body"),
        ),
        ("external", "An external payload one byte too long.", 6, inline(45, br#"["c",1]"#)),
        ("shared-buffer", "A shared buffer, where less is taken.", 31, inline(46, &[0; 32])),
    ]
    .into_iter()
    .map(|(words, doc, payload, message)| within(limit(payload), long, words, doc, &message))
    .collect()
}

/// Limits that receivers need not have.
fn too_much() -> Vec<VectorFile> {
    let long = fault("too_long", "PAY-24");
    let three = [0; 24];
    let error =
        br#"{"name":"E","message":"m","a":1,"cause":{"name":"F","message":"n","a":2,"b":3}}"#;
    [
        ("text-string", "A text one byte too long.", ("max_text", 3), inline(15, b"abcd")),
        ("text-symbol", "A key one byte too long.", ("max_text", 1), inline(27, b"ab")),
        ("text-json", "JSON text is text.", ("max_text", 4), inline(16, b"\"abc\"")),
        (
            "text-external",
            "The text of an external payload.",
            ("max_text", 6),
            inline(45, b"[\"c\",1]"),
        ),
        ("text-head", "A header is text.", ("max_text", 2), inline_head(42, b"hdr", b"")),
        (
            "text-body",
            "An external body is text.",
            ("max_text", 6),
            inline_head(51, b"h", b"[\"c\",1]"),
        ),
        ("elements-f64", "Three elements of two.", ("max_elements", 2), inline(32, &three)),
        ("elements-numbers", "Six numbers of five.", ("max_elements", 5), inline(54, &[0; 48])),
        (
            "elements-ragged",
            "The number of elements is looked at before their length: two and a part of a third.",
            ("max_elements", 2),
            inline(32, &[0; 17]),
        ),
        (
            "limbs",
            "Two limbs, with one bit in the second.",
            ("max_limbs", 1),
            inline(29, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ),
        ("fields", "One field, and two of its cause.", ("max_fields", 2), arena(24, error)),
    ]
    .into_iter()
    .map(|(words, doc, more, message)| {
        within(Limits { more: Some(more), ..DEFAULTS }, long, words, doc, &message)
    })
    .collect()
}

fn elements() -> Vec<VectorFile> {
    let size = fault("element_size", "PAY-15");
    let mut files = Vec::new();
    for (kind, [inline_tag, arena_tag], lengths) in [
        ("i32", [31, 19], [1, 2, 511, 513]),
        ("f64", [32, 20], [1, 4, 511, 516]),
        ("i64", [33, 21], [7, 12, 508, 519]),
        ("u64", [34, 22], [1, 4, 508, 516]),
        ("numbers", [54, 53], [4, 9, 511, 514]),
    ] {
        for len in lengths {
            let content = vec![0; len];
            let form =
                if len <= 512 { inline(inline_tag, &content) } else { arena(arena_tag, &content) };
            let doc = format!("{len} bytes are no whole number of elements.");
            files.push(refuse(size, &format!("{kind}-{len}"), &doc, &form));
        }
    }
    files
}

fn bigints() -> Vec<VectorFile> {
    let sign = fault("bigint_sign", "PAY-12");
    vec![
        refuse(sign, "missing", "No sign byte.", &inline(29, b"")),
        refuse(sign, "missing-arena", "No sign byte, in the arena.", &arena(28, b"")),
        refuse(sign, "2", "A sign byte of 2.", &inline(29, &[2, 1])),
        refuse(sign, "255", "A sign byte of 255.", &inline(29, &[255, 0, 0, 0, 0, 0, 0, 0, 128])),
        refuse(sign, "128-arena", "A sign byte of 128, in the arena.", &arena(28, &[128, 1])),
    ]
}

fn errors() -> Vec<VectorFile> {
    let shape = fault("error_shape", "PAY-16");
    let chain = fault("cause_chain", "PAY-17");
    let nested = |causes: usize| {
        let open = r#"{"name":"E","message":"","cause":"#.repeat(causes);
        let text = open + r#"{"name":"E","message":""}"# + &"}".repeat(causes);
        arena(24, text.as_bytes())
    };
    let causes = |causes| Limits { causes, ..DEFAULTS };
    let deep = Limits { causes: u32::MAX, depth: 1000, ..DEFAULTS };
    let mut files: Vec<_> = [
        ("number", "The text of an error is a number.", "7"),
        ("array", "The text of an error is an array.", r#"[{"name":"E","message":"m"}]"#),
        ("string", "The text of an error is a string.", r#""{}""#),
        ("null", "The text of an error is null.", " null "),
        ("true", "The text of an error is a boolean.", "true"),
    ]
    .into_iter()
    .map(|(words, doc, text)| refuse(shape, words, doc, &arena(24, text.as_bytes())))
    .collect();
    let crowded =
        br#"{"name":"E","message":"","a":1,"b":2,"cause":{"name":"F","message":"","c":3}}"#;
    let crowd = |most| Limits { causes: 0, more: Some(("max_fields", most)), ..DEFAULTS };
    files.extend([
        within(
            crowd(1),
            fault("too_long", "PAY-24"),
            "fields-before-causes",
            "The fields of an error are counted before its cause is one too many.",
            &arena(24, crowded),
        ),
        within(
            crowd(2),
            chain,
            "before-fields",
            "A cause too many is found before its fields are counted.",
            &arena(24, crowded),
        ),
        refuse(chain, "17", "One cause more than the default limit.", &nested(17)),
        within(causes(0), chain, "limit-0", "One cause, with a limit of none.", &nested(1)),
        within(causes(2), chain, "limit-2", "Three causes, with a limit of two.", &nested(3)),
        within(deep, chain, "257", "No limit of causes is above 256.", &nested(257)),
    ]);
    files
}

fn externals() -> Vec<VectorFile> {
    let shape = fault("external_shape", "PAY-21");
    let buffer = fault("shared_buffer_length", "PAY-22");
    let mut files: Vec<_> = [
        ("empty-array", "No element.", "[]"),
        ("one", "One element.", r#"["a"]"#),
        ("three", "Three elements.", r#"["a",1,2]"#),
        ("number-id", "A codec id that is no string.", "[1,2]"),
        ("null-id", "A codec id that is null.", r#"[null,"a"]"#),
        ("object", "An object.", "{}"),
        ("object-pair", "An object with the two values.", r#"{"codec":"a","metadata":1}"#),
        ("string", "A string.", r#""a""#),
        ("number", "A number.", "7"),
        ("swapped", "Metadata before the codec id.", r#"[{},"a"]"#),
    ]
    .into_iter()
    .map(|(words, doc, text)| refuse(shape, words, doc, &inline(45, text.as_bytes())))
    .collect();
    files.push(refuse(shape, "arena", "No pair, in the arena.", &arena(44, b"[]")));
    let doc = "The external body of an envelope is no pair.";
    for (words, message) in [
        ("envelope-json", inline_head(49, b"{}", b"[]")),
        ("envelope-json-arena", arena_head(50, b"{}", br#"["a"]"#)),
        ("envelope-text", inline_head(51, b"h", b"[1,2]")),
        ("envelope-text-arena", arena_head(52, b"h", b"{}")),
    ] {
        files.push(refuse(shape, words, doc, &message));
    }
    for len in [0, 1, 31, 33, 36, 64, 512] {
        let doc = format!("{len} bytes are not eight words.");
        files.push(refuse(buffer, &len.to_string(), &doc, &inline(46, &vec![0; len])));
    }
    files
}

/// Several things are wrong: what is checked first is reported.
fn order() -> Vec<VectorFile> {
    let one = Limits { depth: 1, ..DEFAULTS };
    let files = vec![
        within(
            one,
            UTF8,
            "before-nesting",
            "UTF-8 is looked at before the depth.",
            &inline(16, b"[[\xff]]"),
        ),
        refuse(
            JSON,
            "before-error-shape",
            "The document is looked at before its shape.",
            &arena(24, b"[1"),
        ),
        refuse(
            JSON,
            "before-external-shape",
            "The document is looked at before its shape.",
            &inline(45, b"[1,2"),
        ),
        refuse(
            UTF8,
            "head-before-body",
            "The header of an envelope is looked at before its body.",
            &inline_head(51, b"\xff", b"[]"),
        ),
        refuse(
            JSON,
            "head-before-body",
            "The header of an envelope is looked at before its body.",
            &inline_head(49, b"x", b"\xff"),
        ),
    ];
    files.into_iter().map(|file| also(file, "PAY-25")).collect()
}
