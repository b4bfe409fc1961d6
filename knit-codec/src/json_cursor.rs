//! A reader of JSON text that keeps the places of what it reads.
//!
//! `serde_json` reads values into types. Errors and external payloads hold JSON of any type, whose
//! text is kept as it stands, at any place in an object whose members come in any order; this reader
//! goes through such text once. It accepts what `serde_json` accepts as a document (PAY-13), escapes
//! of unpaired surrogates included, and a test compares the two. It recurses nowhere.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::json::JsonFault;

/// A place in JSON text.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// A string of JSON text, between its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawString<'a> {
    text: &'a str,
    has_escapes: bool,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Where the next byte is.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// The text from `start` to the next byte.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The next byte that is no white space; it stays the next one.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    /// Reads `byte` behind white space, if it is the next one.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Reads `byte` behind white space.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), JsonFault> {
        if self.eat(byte) { Ok(()) } else { Err(self.fault(&format!("`{}`", char::from(byte)))) }
    }

    /// Checks that nothing but white space follows.
    pub(crate) fn end(&mut self) -> Result<(), JsonFault> {
        if self.peek().is_none() { Ok(()) } else { Err(self.fault("the end")) }
    }

    /// Reads the name of a member and the colon behind it.
    pub(crate) fn name(&mut self) -> Result<RawString<'a>, JsonFault> {
        let name = self.string()?;
        self.expect(b':')?;
        Ok(name)
    }

    /// Reads a string behind white space.
    pub(crate) fn string(&mut self) -> Result<RawString<'a>, JsonFault> {
        if !self.eat(b'"') {
            return Err(self.fault("a string"));
        }
        let start = self.at;
        let mut has_escapes = false;
        loop {
            self.at = special(self.text.as_bytes(), self.at);
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    has_escapes = true;
                    self.escape()?;
                }
                _ => return Err(self.fault("the end of a string")),
            }
        }
        let text = self.since(start);
        self.at += 1;
        Ok(RawString { text, has_escapes })
    }

    /// Reads any value, and gives its text without white space around it.
    pub(crate) fn value(&mut self) -> Result<&'a str, JsonFault> {
        self.peek();
        let start = self.at;
        // What is open around the next value: `true` for an object.
        let mut open = Vec::new();
        loop {
            match self.peek() {
                Some(b'{') => {
                    self.at += 1;
                    if !self.eat(b'}') {
                        self.name()?;
                        open.push(true);
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    if !self.eat(b']') {
                        open.push(false);
                        continue;
                    }
                }
                Some(b'"') => _ = self.string()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                _ => return Err(self.fault("a value")),
            }
            // A value ends here, and with it what it is the last one of.
            loop {
                let Some(is_object) = open.last() else { return Ok(self.since(start)) };
                if self.eat(b',') {
                    if *is_object {
                        self.name()?;
                    }
                    break;
                }
                self.expect(if *is_object { b'}' } else { b']' })?;
                open.pop();
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonFault> {
        self.at += 1;
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.byte().is_some_and(|digit| digit.is_ascii_hexdigit()) {
                        return Err(self.fault("a hexadecimal digit"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.fault("an escape")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonFault> {
        self.at += usize::from(self.byte() == Some(b'-'));
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonFault> {
        if !self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.fault("a digit"));
        }
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn literal(&mut self, literal: &str) -> Result<(), JsonFault> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(literal)) {
            return Err(self.fault("a value"));
        }
        self.at += literal.len();
        Ok(())
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[cold]
    fn fault(&self, expected: &str) -> JsonFault {
        JsonFault::Syntax(format!("expected {expected} at byte {}", self.at))
    }
}

impl<'a> RawString<'a> {
    /// The string, with U+FFFD for escapes of unpaired surrogates. PAY-16, PAY-21.
    pub(crate) fn read(self) -> Cow<'a, str> {
        if !self.has_escapes {
            return Cow::Borrowed(self.text);
        }
        let mut string = String::with_capacity(self.text.len());
        let mut rest = self.text;
        while let Some((plain, escape)) = rest.split_once('\\') {
            string.push_str(plain);
            rest = unescape(escape, &mut string);
        }
        string.push_str(rest);
        Cow::Owned(string)
    }
}

/// Appends the character of an escape, which was found to be one, and gives what is behind it.
fn unescape<'a>(escape: &'a str, string: &mut String) -> &'a str {
    let mut chars = escape.chars();
    string.push(match chars.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{C}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => {
            let (unit, rest) = unit(chars.as_str());
            let low = rest.strip_prefix("\\u").map(self::unit);
            // A pair of surrogates is one character; one by itself is none.
            let pair = low.and_then(|(low, rest)| {
                let mut units = char::decode_utf16([unit, low]);
                let pair = (0xD800..0xDC00).contains(&unit).then(|| units.next())??.ok()?;
                Some((pair, rest))
            });
            let alone = || char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER);
            let (character, rest) = pair.unwrap_or_else(|| (alone(), rest));
            string.push(character);
            return rest;
        }
        // A quote, a slash or a backslash, which stand for themselves.
        other => other.unwrap_or_default(),
    });
    chars.as_str()
}

/// The number of four hexadecimal digits, and what is behind them.
fn unit(text: &str) -> (u16, &str) {
    let (digits, rest) = text.split_at_checked(4).unwrap_or((text, ""));
    (u16::from_str_radix(digits, 16).unwrap_or_default(), rest)
}

/// Appends `part` as a JSON string, as `JSON.stringify` writes it.
pub(crate) fn push_string(text: &mut String, part: &str) {
    text.push('"');
    let mut rest = part;
    loop {
        let at = special(rest.as_bytes(), 0);
        // Special bytes are ASCII, so both parts are text.
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
        text.push_str(plain);
        let mut tail = tail.chars();
        match tail.next() {
            Some('\u{8}') => text.push_str("\\b"),
            Some('\t') => text.push_str("\\t"),
            Some('\n') => text.push_str("\\n"),
            Some('\u{C}') => text.push_str("\\f"),
            Some('\r') => text.push_str("\\r"),
            Some(quoted @ ('"' | '\\')) => text.extend(['\\', quoted]),
            Some(control) => {
                // Below U+0020: two digits.
                text.push_str("\\u00");
                for digit in [u32::from(control) >> 4, u32::from(control) & 15] {
                    text.push(char::from_digit(digit, 16).unwrap_or_default());
                }
            }
            None => break,
        }
        rest = tail.as_str();
    }
    text.push('"');
}

/// Where the first quote, backslash or control character from `from` on is; the end where there is
/// none.
fn special(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    // Eight bytes at a time as one number: a byte of `x - 0x01…` has its high bit set, other than in
    // `x`, where the byte of `x` was zero, or one above it was; the lowest is exact, and it decides.
    let (chunks, _) = bytes.get(from..).unwrap_or_default().as_chunks::<8>();
    for chunk in chunks {
        let word = u64::from_le_bytes(*chunk);
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let quotes = zero(word ^ (ONES * u64::from(b'"')));
        let backslashes = zero(word ^ (ONES * u64::from(b'\\')));
        let controls = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (quotes | backslashes | controls) & HIGHS;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    at + rest.iter().position(special).unwrap_or(rest.len())
}

/// A one in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The high bit of each byte.
const HIGHS: u64 = 0x8080_8080_8080_8080;

#[cfg(test)]
mod tests {
    use std::println;

    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use serde_core::de::IgnoredAny;

    use super::*;

    fn document(text: &str) -> Result<&str, JsonFault> {
        let mut cursor = Cursor::new(text);
        let value = cursor.value()?;
        cursor.end()?;
        Ok(value)
    }

    /// Both readers agree whether `text` is one document, and what its text is.
    fn hold(text: &str) {
        let expected = serde_json::from_str::<IgnoredAny>(text);
        let found = document(text);
        assert_eq!(found.is_ok(), expected.is_ok(), "{text:?}: {found:?}, {expected:?}");
        if let Ok(value) = found {
            assert_eq!(value, text.trim_matches([' ', '\n', '\t', '\r']));
        }
    }

    #[test]
    fn accepts_what_serde_json_accepts() {
        const SEED: u64 = 0x6B6E_6974;
        println!("seed {SEED:#x}");
        let config = ProptestConfig {
            cases: 20_000,
            rng_seed: RngSeed::Fixed(SEED),
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let pieces = [
            "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"a\":", "\\", "\\u00e9", "\\ud800",
            "\\n", "\\x", "0", "-", "12", ".5", "e+7", "E", "true", "false", "nul", "null", " ",
            "\n", "\u{1}", "é", "\u{FEFF}", "\u{7f}", "/",
        ];
        let some = prop::collection::vec(0..pieces.len(), 0..12);
        proptest!(config, |(some in some)| {
            let text: String = some.into_iter().map(|piece| pieces[piece]).collect();
            hold(&text);
        });
        for text in [
            "",
            " ",
            "01",
            "-0",
            "-",
            "1.",
            "1.e1",
            "1e",
            "1E+",
            ".1",
            "+1",
            "[1,]",
            "{,}",
            "{\"a\"}",
            "{\"a\":1,}",
            "[[]",
            "[]]",
            "\"\\u12g4\"",
            "\"\\u123\"",
            "\"\t\"",
            "truetrue",
            "nullx",
            "{\"a\":{\"b\":[1,{}]}}",
            "[1 2]",
            "{\"a\":1 \"b\":2}",
            "\"",
            "\"\\",
            "\u{a0}1",
            "1\u{0}",
        ] {
            hold(text);
        }
    }

    #[test]
    fn strings_are_read_and_written_as_serde_json_does() {
        const SEED: u64 = 0x6B6E_6974;
        let config = ProptestConfig {
            cases: 4000,
            rng_seed: RngSeed::Fixed(SEED),
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let text = prop_oneof![".{0,40}", "[\\x00-\\x7f]{0,60}", "[\"\\\\\n\u{1f}aé😀]{0,40}"];
        proptest!(config, |(text in text)| {
            let mut written = String::new();
            push_string(&mut written, &text);
            prop_assert_eq!(&written, &serde_json::to_string(&text).unwrap());
            let mut cursor = Cursor::new(&written);
            prop_assert_eq!(cursor.string().unwrap().read(), text.as_str());
            prop_assert!(cursor.end().is_ok());
        });
    }

    #[test]
    fn unpaired_surrogates_are_replaced_and_pairs_are_characters() {
        for (text, read) in [
            (r#""a\ud800b""#, "a\u{FFFD}b"),
            (r#""\udc00\ud800""#, "\u{FFFD}\u{FFFD}"),
            (r#""\ud83d\ude00é""#, "😀é"),
            (r#""\ud83d\ud83d\ude00""#, "\u{FFFD}😀"),
            (r#""\ud800\n""#, "\u{FFFD}\n"),
            (r#""\ud800\u0041""#, "\u{FFFD}A"),
            (r#""\"\\\/\b\f\n\r\t\u00e9""#, "\"\\/\u{8}\u{C}\n\r\té"),
        ] {
            assert_eq!(Cursor::new(text).string().unwrap().read(), read, "{text}");
        }
    }

    #[test]
    fn special_bytes_are_found_at_every_place() {
        for len in 0..40 {
            for special_byte in [b'"', b'\\', 0, 0x1F, b'!', b' ', 0x7F, 0x80, 0xFF] {
                for at in 0..len {
                    let mut bytes = std::vec![b'a'; len];
                    bytes[at] = special_byte;
                    let is_special = matches!(special_byte, b'"' | b'\\' | 0..0x20);
                    assert_eq!(special(&bytes, 0), if is_special { at } else { len });
                    assert_eq!(special(&bytes, at + 1), len);
                }
            }
        }
    }
}
