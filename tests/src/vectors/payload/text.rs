//! Strings, symbols, JSON text.

use super::super::VectorFile;
use super::super::build::Verdict::Canonical;
use super::super::value::{envelope, json_text, string, symbol, text_head};
use super::{DEFAULTS, Limits, accepted, arena, canonical, file, inline, inline_head};

pub(super) fn vectors() -> Vec<VectorFile> {
    [strings(), symbols(), json_documents(), json_limits(), longest()].concat()
}

/// A string of any length, in the form that its length asks for.
fn sent(words: &str, clauses: &[&str], doc: &str, text: &str) -> VectorFile {
    let message =
        if text.len() <= 512 { inline(15, text.as_bytes()) } else { arena(11, text.as_bytes()) };
    canonical(&format!("string-{words}"), clauses, doc, string(text), message)
}

fn strings() -> Vec<VectorFile> {
    let utf8 = &["PAY-8"];
    let choice = &["PAY-7", "PAY-8"];
    let mark = format!("\u{feff}{}", "b".repeat(600));
    vec![
        sent("empty", utf8, "No characters.", ""),
        sent("nul", utf8, "U+0000 is a character like others.", "\0"),
        sent("nul-inside", utf8, "U+0000 ends nothing.", "a\0b"),
        sent("two-bytes", utf8, "A character of two bytes.", "é"),
        sent("mixed", utf8, "Characters of one to four bytes.", "aé€😀"),
        sent(
            "edges-of-lengths",
            utf8,
            "First and last characters of each length in UTF-8.",
            "\u{1}\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}",
        ),
        sent(
            "around-surrogates",
            utf8,
            "The characters next to the surrogates.",
            "\u{d7ff}\u{e000}",
        ),
        sent("mark-kept", utf8, "U+FEFF at the start is a character like others.", "\u{feff}abc"),
        sent("mark-kept-arena", utf8, "U+FEFF at the start stays in the arena form too.", &mark),
        sent(
            "replacement",
            utf8,
            "U+FFFD, which is also what an unpaired surrogate is sent as.",
            "\u{fffd}",
        ),
        sent(
            "not-normalised",
            utf8,
            "A letter and a combining mark stay two characters.",
            "e\u{301}",
        ),
        sent("511-bytes", choice, "One byte less than fits inline.", &"x".repeat(511)),
        sent("512-bytes", choice, "As many bytes as fit inline.", &"x".repeat(512)),
        sent("513-bytes", choice, "One byte more than fits inline.", &"x".repeat(513)),
        sent("170-of-three", choice, "170 characters, 510 bytes.", &"€".repeat(170)),
        sent(
            "171-of-three",
            choice,
            "171 characters, 513 bytes: bytes count, not characters.",
            &"€".repeat(171),
        ),
        sent("128-of-four", choice, "128 characters, 512 bytes.", &"😀".repeat(128)),
        sent("2100-of-three", choice, "6300 bytes.", &"日本語テキスト".repeat(300)),
        accepted(
            "string-short-arena",
            &["PAY-23", "PAY-8"],
            "A string of three bytes in the arena.",
            string("abc"),
            arena(11, b"abc"),
        ),
        accepted(
            "string-empty-arena",
            &["PAY-23", "PAY-8"],
            "A string of no bytes in the arena, where it has a block.",
            string(""),
            arena(11, b""),
        ),
    ]
}

fn symbols() -> Vec<VectorFile> {
    let clauses = &["PAY-19", "PAY-7"];
    let keys: [(&str, &str, String); 5] = [
        ("empty", "The symbol with the empty key.", String::new()),
        ("mixed", "A key with characters of two and four bytes.", "ключ😀".into()),
        ("170-units", "170 UTF-16 units: three bytes for each would fit inline.", "s".repeat(170)),
        ("85-of-four", "85 characters of two UTF-16 units each: 170 units.", "😀".repeat(85)),
        ("nul", "A key with U+0000.", "a\0b".into()),
    ];
    let mut files: Vec<_> = keys
        .into_iter()
        .map(|(words, doc, key)| {
            let message = inline(27, key.as_bytes());
            canonical(&format!("symbol-{words}"), clauses, doc, symbol(&key), message)
        })
        .collect();
    let (long, pairs) = ("s".repeat(171), "😀".repeat(86));
    files.push(canonical(
        "symbol-171-units",
        clauses,
        "171 UTF-16 units: three bytes for each would not fit, so the 171 bytes are in the arena.",
        symbol(&long),
        arena(26, long.as_bytes()),
    ));
    files.push(canonical(
        "symbol-86-of-four",
        clauses,
        "86 characters of two UTF-16 units each: 172 units, 344 bytes in the arena.",
        symbol(&pairs),
        arena(26, pairs.as_bytes()),
    ));
    files.push(accepted(
        "symbol-512-bytes-inline",
        &["PAY-23", "PAY-19"],
        "A key of 512 bytes inline.",
        symbol(&"s".repeat(512)),
        inline(27, "s".repeat(512).as_bytes()),
    ));
    files.push(accepted(
        "symbol-short-arena",
        &["PAY-23", "PAY-19"],
        "A key of one byte in the arena.",
        symbol("q"),
        arena(26, b"q"),
    ));
    files
}

fn json_documents() -> Vec<VectorFile> {
    let documents = [
        ("empty-object", "An object without members.", "{}"),
        ("empty-array", "An array without elements.", "[]"),
        ("simple", "Objects, arrays, and what is in them.", r#"{"a":1,"b":[true,null,"x"]}"#),
        ("array", "An array, as a sender writes it for one with holes.", "[1,null,3]"),
        ("scalar-number", "A number is a document.", "7"),
        ("scalar-string", "A string is a document.", "\"x\""),
        ("scalar-null", "The document null is another value than null.", "null"),
        ("scalar-true", "A boolean is a document.", "true"),
        ("unicode", "Text beyond ASCII, in names and strings.", "{\"ключ\":\"значение 😀\"}"),
        ("white-space", "White space around and inside is kept.", " \t\r\n{ \"a\" : 1 } "),
        ("lone-surrogate", "The escape of an unpaired surrogate passes.", r#"{"s":"\ud800"}"#),
        (
            "lone-surrogates",
            "Two halves in the wrong order, another alone.",
            r#"["\udfff\ud800","\udc00"]"#,
        ),
        ("paired-surrogates", "An escaped pair of surrogates.", r#""\ud83d\ude00""#),
        ("escapes", "Every escape.", r#""\"\\\/\b\f\n\r\t\u0000\u00e9""#),
        (
            "equal-names",
            "Equal names in one object, one of them with an escape.",
            r#"{"a":1,"\u0061":2}"#,
        ),
        (
            "large-numbers",
            "Numbers of any size are valid.",
            "[1e400,-1E-400,123456789012345678901234567890,-0.0]",
        ),
        ("delete", "U+007F and U+2028 need no escape.", "\"\u{7f}\u{2028}\""),
        ("mark-inside", "U+FEFF inside a string is a character like others.", "\"\u{feff}\""),
        ("brackets-in-strings", "Brackets in strings do not nest.", r#"["[[\"[[","\\",[]]"#),
    ];
    let mut files: Vec<_> = documents
        .into_iter()
        .map(|(words, doc, text)| {
            let message = inline(16, text.as_bytes());
            canonical(&format!("json-{words}"), &["PAY-13"], doc, json_text(text), message)
        })
        .collect();
    for (len, doc, form) in [
        (512, "As many bytes as fit inline.", inline as fn(u32, &[u8]) -> _),
        (513, "One byte more than fits inline.", arena),
        (4104, "4104 bytes.", arena),
    ] {
        let text = format!(r#"{{"p":"{}"}}"#, "x".repeat(len - 8));
        let tag = if len <= 512 { 16 } else { 12 };
        files.push(canonical(
            &format!("json-{len}-bytes"),
            &["PAY-7", "PAY-13"],
            doc,
            json_text(&text),
            form(tag, text.as_bytes()),
        ));
    }
    files.push(accepted(
        "json-short-arena",
        &["PAY-23", "PAY-13"],
        "A document of two bytes in the arena.",
        json_text("{}"),
        arena(12, b"{}"),
    ));
    files
}

fn json_limits() -> Vec<VectorFile> {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let none = Limits { depth: 0, ..DEFAULTS };
    let three = Limits { depth: 3, ..DEFAULTS };
    let at = |words, doc, limits, text: &str| {
        let message = inline(16, text.as_bytes());
        file(words, &["PAY-14"], doc, Canonical, limits, json_text(text), message)
    };
    vec![
        at(
            "json-128-levels",
            "As many levels as the default limit allows.",
            DEFAULTS,
            &nested(128),
        ),
        at("json-three-levels", "Three levels, with a limit of three.", three, r#"[{"a":[]}]"#),
        at("json-levels-apart", "Levels that end leave room for others.", three, "[[[]],[[]],{}]"),
        at("json-no-levels", "A number has no level.", none, "7"),
    ]
}

/// Payloads that are exactly as long as a receiver with limits of its own takes them.
fn longest() -> Vec<VectorFile> {
    let limit = |payload| Limits { payload, ..DEFAULTS };
    let at = |words, doc, limits, value, message| {
        file(words, &["PAY-24"], doc, Canonical, limits, value, message)
    };
    let long = "x".repeat(600);
    vec![
        at(
            "string-limit",
            "As many bytes as the receiver takes.",
            limit(3),
            string("abc"),
            inline(15, b"abc"),
        ),
        at(
            "string-limit-0",
            "No bytes, where none are taken.",
            limit(0),
            string(""),
            inline(15, b""),
        ),
        at(
            "string-limit-arena",
            "As many bytes in the arena as the receiver takes.",
            limit(600),
            string(&long),
            arena(11, long.as_bytes()),
        ),
        at(
            "envelope-limit",
            "Header and body together are as long as the receiver takes.",
            limit(7),
            envelope(text_head("hdr"), b"body"),
            inline_head(42, b"hdr", b"body"),
        ),
    ]
}
