//! Text that is not UTF-8, no JSON document, or too deep.

use super::super::VectorFile;
use super::super::payload::{DEFAULTS, Limits, arena, arena_head, inline, inline_head};
use super::payload::{JSON, UTF8, refuse, within};
use super::{Fault, fault};

const NESTING: Fault = fault("nesting", "PAY-14");

pub(super) fn vectors() -> Vec<VectorFile> {
    [utf8(), documents(), nesting()].concat()
}

/// Bytes that are not UTF-8, each for another reason.
const NOT_TEXT: [(&str, &str, &[u8]); 13] = [
    ("continuation", "A continuation byte alone.", b"a\x80"),
    ("overlong-two", "U+002F in two bytes.", b"\xc0\xaf"),
    ("overlong-nul", "U+0000 in two bytes.", b"\xc0\x80"),
    ("overlong-three", "U+07FF in three bytes.", b"\xe0\x9f\xbf"),
    ("overlong-four", "U+FFFF in four bytes.", b"\xf0\x8f\xbf\xbf"),
    ("surrogate-high", "The surrogate U+D800.", b"\xed\xa0\x80"),
    ("surrogate-low", "The surrogate U+DFFF.", b"\xed\xbf\xbf"),
    ("surrogate-pair", "A pair of surrogates, three bytes each.", b"\xed\xa0\xbd\xed\xb8\x80"),
    ("beyond", "U+110000.", b"\xf4\x90\x80\x80"),
    ("truncated-two", "Text that ends inside a character of two bytes.", b"abc\xc3"),
    ("truncated-four", "Text that ends inside a character of four bytes.", b"\xf0\x9f\x98"),
    ("no-continuation", "A first byte with no continuation after it.", b"\xe2\x82a"),
    ("ff", "A byte that UTF-8 never has.", b"\xff"),
];

fn utf8() -> Vec<VectorFile> {
    let mut files = Vec::new();
    for (words, doc, bytes) in NOT_TEXT {
        files.push(refuse(UTF8, &format!("string-{words}"), doc, &inline(15, bytes)));
    }
    let long = [&[b'x'; 512][..], &[0xc3]].concat();
    let doc = "The last byte of 513 begins a character that does not end.";
    files.push(refuse(UTF8, "string-arena", doc, &arena(11, &long)));
    let quoted = |bytes: &[u8]| [b"\"", bytes, b"\""].concat();
    for (words, doc, bytes) in [
        ("continuation", "A continuation byte alone, in a JSON string.", &b"\x80"[..]),
        ("overlong", "An overlong form in a JSON string.", b"\xc0\xaf"),
        ("surrogate", "A surrogate in a JSON string, not escaped.", b"\xed\xa0\x80"),
        ("truncated", "A character that does not end before the quote.", b"\xe2\x82"),
    ] {
        files.push(refuse(UTF8, &format!("json-{words}"), doc, &inline(16, &quoted(bytes))));
    }
    let doc = "Not UTF-8, in a place where JSON would not matter.";
    files.push(refuse(UTF8, "json-arena", doc, &arena(12, b"{}\xff")));
    let doc = "A message that is not UTF-8.";
    files.push(refuse(UTF8, "error", doc, &arena(24, b"{\"name\":\"E\",\"message\":\"\xff\"}")));
    let doc = "The key of a symbol is not UTF-8.";
    files.push(refuse(UTF8, "symbol-inline", doc, &inline(27, b"s\x80")));
    files.push(refuse(UTF8, "symbol-arena", doc, &arena(26, &[b's', 0xed, 0xa0, 0x80])));
    let doc = "An external payload is not UTF-8.";
    files.push(refuse(UTF8, "external", doc, &inline(45, b"[\"c\",\"\xff\"]")));
    files.push(refuse(UTF8, "external-arena", doc, &arena(44, b"[\"\xc0\x80\",1]")));
    let doc = "The header of an envelope is not UTF-8.";
    for (words, message) in [
        ("envelope-json", inline_head(40, b"\"\xff\"", b"body")),
        ("envelope-json-arena", arena_head(41, b"\"\xff\"", b"body")),
        ("envelope-text", inline_head(42, b"\xf4\x90\x80\x80", b"body")),
        ("envelope-text-arena", arena_head(43, b"ab\xc3", b"\xa9")),
    ] {
        files.push(refuse(UTF8, words, doc, &message));
    }
    let doc = "The external body of an envelope is not UTF-8.";
    files.push(refuse(UTF8, "envelope-body", doc, &inline_head(51, b"h", b"[\"c\",\"\xff\"]")));
    files
}

/// Text that is no JSON document.
const NO_DOCUMENTS: [(&str, &str, &str); 21] = [
    ("empty", "No text.", ""),
    ("white-space", "White space alone.", " \n"),
    ("mark", "A byte-order mark before the document.", "\u{feff}{}"),
    ("trailing", "Text after the document.", "{} x"),
    ("two", "Two documents.", "{} {}"),
    ("nul-after", "U+0000 after the document.", "{}\0"),
    ("open-object", "An object that does not end.", "{"),
    ("open-array", "An array that does not end.", "[1"),
    ("closed-only", "An end without a beginning.", "]"),
    ("crossed", "Brackets that cross.", "[{]}"),
    ("trailing-comma", "A comma before the end.", "[1,]"),
    ("no-quotes", "A name without quotes.", "{a:1}"),
    ("single-quotes", "Quotes of another kind.", "{'a':1}"),
    ("nan", "NaN is no JSON.", "NaN"),
    ("infinity", "Infinity is no JSON.", "[-Infinity]"),
    ("leading-zero", "A number with a zero before it.", "01"),
    ("no-fraction", "A number that ends with a point.", "1."),
    ("cut-literal", "A literal that is cut off.", "nul"),
    ("open-string", "A string that does not end.", "\"a"),
    ("control", "A control character in a string, not escaped.", "\"\n\""),
    ("escape", "An escape that does not exist.", r#""\x41""#),
];

fn documents() -> Vec<VectorFile> {
    let mut files = Vec::new();
    for (words, doc, text) in NO_DOCUMENTS {
        files.push(refuse(JSON, words, doc, &inline(16, text.as_bytes())));
    }
    let short = r#""\u12""#;
    files.push(refuse(
        JSON,
        "short-escape",
        "An escape with two digits.",
        &inline(16, short.as_bytes()),
    ));
    files.push(refuse(JSON, "arena", "No text, in the arena.", &arena(12, b"")));
    files.push(refuse(JSON, "comment", "A comment.", &arena(12, b"{}//")));
    for (words, doc, text) in [
        ("error-empty", "The text of an error is empty.", ""),
        ("error-text", "The text of an error is no JSON.", "boom"),
        ("error-trailing", "Text after an error.", "{} x"),
        ("error-open", "An error that does not end.", r#"{"name":"E""#),
    ] {
        files.push(refuse(JSON, words, doc, &arena(24, text.as_bytes())));
    }
    for (words, doc, message) in [
        ("external-empty", "An external payload is empty.", inline(45, b"")),
        ("external-open", "An external payload that does not end.", inline(45, br#"["c",1"#)),
        ("external-arena", "An external payload is no JSON.", arena(44, b"c")),
        (
            "envelope-empty-head",
            "JSON text of a header cannot be empty.",
            inline_head(40, b"", b"body"),
        ),
        ("envelope-head", "The header of an envelope is no JSON.", arena_head(41, b"hdr", b"")),
        (
            "envelope-external-head",
            "The header of an envelope is no JSON.",
            inline_head(49, b"{", br#"["c",1]"#),
        ),
        (
            "envelope-body",
            "The external body of an envelope is no JSON.",
            inline_head(51, b"h", b""),
        ),
        ("envelope-body-arena", "The header reaches into the body.", arena_head(50, b"{", b"}")),
    ] {
        files.push(refuse(JSON, words, doc, &message));
    }
    files
}

fn nesting() -> Vec<VectorFile> {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let objects = r#"{"a":"#.repeat(129) + "1" + &"}".repeat(129);
    let none = Limits { depth: 0, ..DEFAULTS };
    let two = Limits { depth: 2, ..DEFAULTS };
    let mut files = vec![
        refuse(
            NESTING,
            "129",
            "One level more than the default limit.",
            &inline(16, nested(129).as_bytes()),
        ),
        refuse(NESTING, "objects", "129 levels of objects.", &arena(12, objects.as_bytes())),
        refuse(NESTING, "4096", "4096 levels.", &arena(12, nested(4096).as_bytes())),
        refuse(
            NESTING,
            "open-only",
            "129 brackets that never close: refused as too deep.",
            &inline(16, "[".repeat(129).as_bytes()),
        ),
        within(none, NESTING, "limit-0", "One level, with a limit of none.", &inline(16, b"[]")),
        within(
            two,
            NESTING,
            "after-others",
            "Three levels after two that have ended.",
            &inline(16, b"[[],[[]]]"),
        ),
        within(
            two,
            NESTING,
            "escaped-quote",
            "A string that an escaped quote does not end.",
            &inline(16, br#"["\"",[[]]]"#),
        ),
        within(
            two,
            NESTING,
            "before-json",
            "Too deep is reported before what follows it.",
            &inline(16, b"[[[x"),
        ),
    ];
    let closed = "]]]".to_owned() + &"[".repeat(129);
    files.push(refuse(
        NESTING,
        "closed-first",
        "Brackets that close nothing do not make room for more.",
        &inline(16, closed.as_bytes()),
    ));
    files.push(within(
        two,
        NESTING,
        "backslash-outside",
        "Outside strings a backslash skips nothing: three levels, and no JSON either.",
        &inline(16, br"\[[["),
    ));
    let cause = r#"{"name":"E","message":"m","cause":[[]]}"#;
    files.push(within(
        two,
        NESTING,
        "error-cause",
        "Each error is one level, and so are arrays in its cause.",
        &arena(24, cause.as_bytes()),
    ));
    let external = br#"["c",[[]]]"#;
    files.push(within(two, NESTING, "external", "The pair is one level.", &inline(45, external)));
    files.push(within(
        two,
        NESTING,
        "envelope-head",
        "The header of an envelope is too deep.",
        &inline_head(40, b"[[[]]]", b""),
    ));
    files.push(within(
        two,
        NESTING,
        "envelope-body",
        "The external body of an envelope is too deep.",
        &inline_head(51, b"h", external),
    ));
    files
}
