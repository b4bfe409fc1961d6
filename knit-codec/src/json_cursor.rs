//! A reader of JSON text that keeps the places of what it reads.
//!
//! `serde_json` reads values into types. Errors and external payloads hold JSON of any type, whose
//! text is kept as it stands, at any place in an object whose members come in any order; this reader
//! goes through such text once. It accepts what `serde_json` accepts as a document (PAY-13), escapes
//! of unpaired surrogates included, and a test compares the two. It recurses nowhere.

use alloc::format;
use alloc::vec::Vec;

use crate::json::JsonFault;
use crate::json_string::{RawString, special};

/// A place in JSON text.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
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

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use proptest::prelude::*;
    use serde_core::de::IgnoredAny;

    use super::*;
    use crate::seeded;

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
        let config = seeded::config(20_000);
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
}
