//! Payloads that do not decode, and odd ones that do.

use crate::wire::Fate::{Fails, Passes};
use crate::wire::{Body, Fate, Forged};
use knit_proto::Tag;

/// Every payload, in the order of the case numbers. Rows are only ever added at the end.
pub(super) fn all() -> Vec<Forged> {
    [texts(), json(), numbers(), errors(), others()].concat()
}

const TEXT: (Tag, Tag) = (Tag::STRING_INLINE, Tag::STRING_ARENA);
const SYMBOL: (Tag, Tag) = (Tag::SYMBOL_INLINE, Tag::SYMBOL_ARENA);
const JSON: (Tag, Tag) = (Tag::JSON_INLINE, Tag::JSON_ARENA);
const EXTERNAL: (Tag, Tag) = (Tag::EXTERNAL_INLINE, Tag::EXTERNAL_ARENA);
const BIGINT: (Tag, Tag) = (Tag::BIGINT_INLINE, Tag::BIGINT_ARENA);
const ERROR: (Tag, Tag) = (Tag(0), Tag::ERROR);

fn row(
    name: impl Into<String>,
    clause: &'static str,
    fate: Fate,
    (inline, arena): (Tag, Tag),
    bytes: impl Into<Vec<u8>>,
) -> Forged {
    let body = Body::Bytes { inline: inline.0, arena: arena.0, bytes: bytes.into() };
    Forged { name: name.into(), clause, body, fate }
}

/// Bytes that are no UTF-8.
fn texts() -> Vec<Forged> {
    let broken: [(&str, &[u8]); 12] = [
        ("lone-continuation", b"a\x80"),
        ("cut-2", b"\xc3"),
        ("cut-3", b"\xe2\x82"),
        ("cut-4", b"\xf0\x9f\x98"),
        ("overlong-2", b"\xc0\x80"),
        ("overlong-3", b"\xe0\x80\x80"),
        ("overlong-4", b"\xf0\x80\x80\x80"),
        ("surrogate", b"\xed\xa0\x80"),
        ("surrogate-pair", b"\xed\xa0\xbd\xed\xb8\x80"),
        ("above-10ffff", b"\xf4\x90\x80\x80"),
        ("fe-ff", b"\xfe\xff"),
        ("latin-1", b"gr\xfc\xdfe"),
    ];
    let mut rows: Vec<_> = broken
        .into_iter()
        .map(|(name, bytes)| row(format!("utf8-{name}"), "PAY-8", Fails, TEXT, bytes))
        .collect();
    let mut late = vec![b'a'; 4095];
    late.push(0xff);
    rows.push(row("utf8-arena-last-byte", "PAY-8", Fails, TEXT, late));
    rows.push(row("utf8-symbol", "PAY-8", Fails, SYMBOL, b"\xff"));
    rows.push(row("utf8-json", "PAY-8", Fails, JSON, b"\"\xff\""));
    rows.push(row("utf8-external", "PAY-8", Fails, EXTERNAL, b"[\"\xff\",1]"));
    rows.push(row("utf8-error", "PAY-8", Fails, ERROR, b"{\"name\":\"\xff\",\"message\":\"\"}"));
    rows.push(row("text-nul", "PAY-8", Passes, TEXT, b"a\0b"));
    rows.push(row("text-byte-order-mark", "PAY-8", Passes, TEXT, "\u{feff}a"));
    rows.push(row("text-short-in-arena", "PAY-23", Passes, (Tag(0), TEXT.1), b"abc"));
    rows.push(row("text-empty-in-arena", "PAY-23", Passes, (Tag(0), TEXT.1), b""));
    rows
}

/// JSON text that is none, or too deep.
fn json() -> Vec<Forged> {
    let broken: [(&str, &[u8]); 16] = [
        ("empty", b""),
        ("space", b" "),
        ("open-object", b"{"),
        ("open-string", b"\"abc"),
        ("word", b"nul"),
        ("nan", b"NaN"),
        ("infinity", b"-Infinity"),
        ("two-documents", b"1 2"),
        ("trailing-comma", b"[1,]"),
        ("single-quotes", b"'a'"),
        ("leading-zero", b"01"),
        ("plus", b"+1"),
        ("raw-control", b"\"\x01\""),
        ("bad-escape", b"\"\\x41\""),
        ("byte-order-mark", b"\xef\xbb\xbf1"),
        ("comment", b"/**/1"),
    ];
    let mut rows: Vec<_> = broken
        .into_iter()
        .map(|(name, text)| row(format!("json-{name}"), "PAY-13", Fails, JSON, text))
        .collect();
    let nested = |levels: usize| ["[".repeat(levels), "]".repeat(levels)].concat();
    rows.push(row("json-depth-128", "PAY-14", Passes, JSON, nested(128)));
    for levels in [129, 130, 1000, 12_000] {
        rows.push(row(format!("json-depth-{levels}"), "PAY-14", Fails, JSON, nested(levels)));
    }
    rows.push(row("json-open-24000", "PAY-14", Fails, JSON, "[".repeat(24_000)));
    rows.push(row("json-objects-4000", "PAY-14", Fails, JSON, "{\"a\":".repeat(4000)));
    rows.push(row("json-mixed-6000", "PAY-14", Fails, JSON, "[{\"\":".repeat(3000)));
    rows.push(row("json-lone-surrogate", "PAY-13", Passes, JSON, "\"\\ud800\""));
    rows.push(row(
        "json-brackets-in-string",
        "PAY-14",
        Passes,
        JSON,
        format!("\"{}\"", "[".repeat(300)),
    ));
    rows.push(row("json-large-number", "PAY-13", Passes, JSON, format!("1{}", "0".repeat(2000))));
    let deep_body = format!("[\"a\",{}]", nested(200));
    rows.push(row("external-depth-201", "PAY-14", Fails, EXTERNAL, deep_body));
    let deep_error = format!("{{\"name\":\"a\",\"message\":\"\",\"x\":{}}}", nested(5000));
    rows.push(row("error-depth-5001", "PAY-14", Fails, ERROR, deep_error));
    rows
}

/// Numbers of many digits, and arrays of them.
fn numbers() -> Vec<Forged> {
    let mut rows = Vec::new();
    for (name, tags, size) in [
        ("i32", (Tag::I32_ARRAY_INLINE, Tag::I32_ARRAY_ARENA), 4),
        ("f64", (Tag::F64_ARRAY_INLINE, Tag::F64_ARRAY_ARENA), 8),
        ("i64", (Tag::I64_ARRAY_INLINE, Tag::I64_ARRAY_ARENA), 8),
        ("u64", (Tag::U64_ARRAY_INLINE, Tag::U64_ARRAY_ARENA), 8),
        ("numbers", (Tag::NUMBERS_INLINE, Tag::NUMBERS_ARENA), 8),
    ] {
        for len in [1, size - 1, size + 1, 513 * size + 1] {
            let name = format!("{name}-length-{len}");
            rows.push(row(name, "PAY-15", Fails, tags, vec![0; len]));
        }
    }
    rows.push(row("bigint-no-sign", "PAY-12", Fails, BIGINT, b""));
    rows.push(row("bigint-sign-2", "PAY-12", Fails, BIGINT, b"\x02\x01"));
    rows.push(row("bigint-sign-255", "PAY-12", Fails, BIGINT, b"\xff\x01\x02"));
    rows.push(row("bigint-no-sign-arena", "PAY-12", Fails, (Tag(0), BIGINT.1), b""));
    for (name, tag, bits) in [
        ("number-signalling-nan", Tag::NUMBER, 0x7ff0_0000_0000_0001_u64),
        ("number-negative-nan", Tag::NUMBER, u64::MAX),
        ("date-nan", Tag::DATE, u64::MAX),
        ("date-infinite", Tag::DATE, 0x7ff0_0000_0000_0000),
        ("date-largest", Tag::DATE, 0x7fef_ffff_ffff_ffff),
        ("bigint-smallest", Tag::BIGINT_I64, 1 << 63),
    ] {
        let clause = if tag == Tag::DATE { "PAY-18" } else { "PAY-10" };
        let body = Body::scalar(tag, bits);
        rows.push(Forged { name: name.into(), clause, body, fate: Passes });
    }
    rows
}

/// A chain of `causes` errors below the first.
fn chain(causes: usize) -> String {
    let link = "{\"name\":\"E\",\"message\":\"m\",\"cause\":";
    [&*link.repeat(causes), "{\"name\":\"E\",\"message\":\"m\"}", &"}".repeat(causes)].concat()
}

/// Errors of another shape, and chains without end.
fn errors() -> Vec<Forged> {
    let mut rows = Vec::new();
    for (name, text) in
        [("array", "[]"), ("string", "\"x\""), ("number", "7"), ("null", "null"), ("true", "true")]
    {
        rows.push(row(format!("error-{name}"), "PAY-16", Fails, ERROR, text));
    }
    for (name, text) in
        [("empty", ""), ("open", "{\"name\":"), ("two", "{}{}"), ("words", "no JSON")]
    {
        rows.push(row(format!("error-json-{name}"), "PAY-13", Fails, ERROR, text));
    }
    for causes in [17, 18, 100] {
        rows.push(row(format!("error-causes-{causes}"), "PAY-17", Fails, ERROR, chain(causes)));
    }
    for causes in [128, 257, 900] {
        // Deeper than JSON text may be, which is found first.
        rows.push(row(format!("error-causes-{causes}"), "PAY-14", Fails, ERROR, chain(causes)));
    }
    let cut = "{\"name\":\"E\",\"message\":\"m\",\"cause\":".repeat(800);
    rows.push(row("error-causes-open-800", "PAY-14", Fails, ERROR, cut));
    rows.push(row("error-causes-16", "PAY-17", Passes, ERROR, chain(16)));
    rows.push(row(
        "error-members-of-other-types",
        "PAY-16",
        Passes,
        ERROR,
        "{\"name\":7,\"message\":[]}",
    ));
    rows.push(row(
        "error-proto-field",
        "PAY-16",
        Passes,
        ERROR,
        "{\"__proto__\":{\"a\":1},\"constructor\":1}",
    ));
    rows
}

/// External payloads, envelopes, shared buffers.
fn others() -> Vec<Forged> {
    let mut rows = Vec::new();
    for (name, text) in [
        ("object", "{}"),
        ("empty", "[]"),
        ("one", "[\"a\"]"),
        ("three", "[\"a\",1,2]"),
        ("number-first", "[1,\"a\"]"),
        ("null", "null"),
        ("string", "\"a\""),
    ] {
        rows.push(row(format!("external-{name}"), "PAY-21", Fails, EXTERNAL, text));
    }
    rows.push(row("external-open", "PAY-13", Fails, EXTERNAL, "[\"a\","));
    rows.push(row(
        "external-unknown-codec",
        "PAY-21",
        Passes,
        EXTERNAL,
        "[\"no.such.codec\",{\"fd\":0}]",
    ));
    for len in [0, 31, 33, 64, 512] {
        let tags = (Tag::SHARED_BUFFER, Tag::SHARED_BUFFER);
        rows.push(row(format!("shared-buffer-length-{len}"), "PAY-22", Fails, tags, vec![0; len]));
    }
    let mut parts = |name: &str, clause, tag: Tag, head: &[u8], body: &[u8]| {
        let body = Body::Parts { tag: tag.0, head: head.into(), body: body.into() };
        rows.push(Forged { name: name.into(), clause, body, fate: Fails });
    };
    parts("envelope-head-json", "PAY-13", Tag::ENVELOPE_JSON_INLINE, b"{", b"body");
    parts("envelope-head-empty", "PAY-13", Tag::ENVELOPE_JSON_INLINE, b"", b"body");
    parts("envelope-head-utf8", "PAY-8", Tag::ENVELOPE_TEXT_INLINE, b"\xff", b"body");
    parts("envelope-head-deep", "PAY-14", Tag::ENVELOPE_JSON_INLINE, &[b'['; 512], b"");
    parts("envelope-body-json", "PAY-13", Tag::ENVELOPE_TEXT_INLINE_EXTERNAL, b"h", b"[\"a\"");
    parts("envelope-body-shape", "PAY-21", Tag::ENVELOPE_JSON_INLINE_EXTERNAL, b"1", b"[1,2]");
    parts("envelope-body-utf8", "PAY-8", Tag::ENVELOPE_JSON_INLINE_EXTERNAL, b"1", b"[\"\xff\",1]");
    parts("envelope-body-empty", "PAY-13", Tag::ENVELOPE_TEXT_INLINE_EXTERNAL, b"h", b"");
    rows
}
