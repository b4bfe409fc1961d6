//! Strings of JSON text: found, read and written.

use alloc::borrow::Cow;
use alloc::string::String;

#[cfg(feature = "simd")]
use wide::u8x16;

/// A string of JSON text, between its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawString<'a> {
    /// What stands between the quotes: whole escapes, and no control characters.
    pub(crate) text: &'a str,
    pub(crate) has_escapes: bool,
}

impl<'a> RawString<'a> {
    /// The string, with U+FFFD for escapes of unpaired surrogates. PAY-16, PAY-21.
    pub(crate) fn read(self) -> Cow<'a, str> {
        if !self.has_escapes {
            return Cow::Borrowed(self.text);
        }
        let mut string = String::with_capacity(self.text.len());
        let mut at = 0;
        loop {
            // Quotes are escaped here, so that a backslash is the only special byte that is found.
            let escape = special(self.text.as_bytes(), at);
            // Special bytes are ASCII, so all parts are text.
            string.push_str(self.text.get(at..escape).unwrap_or_default());
            let Some(escaped) = self.text.get(escape + 1..) else { break };
            at = self.text.len() - unescape(escaped, &mut string).len();
        }
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

/// The text of a document with the escape of U+FFFD in place of each escape of an unpaired surrogate; `None` when
/// there is none, or when the text is no JSON.
#[cfg(feature = "serde")]
pub(crate) fn without_unpaired_surrogates(text: &str) -> Option<String> {
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    let mut found = false;
    while let Some((plain, escape)) = rest.split_once('\\') {
        mended.push_str(plain);
        let mut character = String::new();
        let is_whole = match escape.as_bytes() {
            [b'u', digits @ ..] => digits.get(..4)?.iter().all(u8::is_ascii_hexdigit),
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => true,
            _ => false,
        };
        if !is_whole {
            return None;
        }
        rest = unescape(escape, &mut character);
        let escaped = escape.len() - rest.len();
        // U+FFFD itself may be escaped too: it stays what it is.
        if escape.starts_with('u') && character == "\u{FFFD}" {
            found = true;
            mended.push_str("\\ufffd");
        } else {
            mended.push('\\');
            mended.push_str(escape.get(..escaped)?);
        }
    }
    mended.push_str(rest);
    found.then_some(mended)
}

/// The number of four hexadecimal digits, and what is behind them.
fn unit(text: &str) -> (u16, &str) {
    let (digits, rest) = text.split_at_checked(4).unwrap_or((text, ""));
    (u16::from_str_radix(digits, 16).unwrap_or_default(), rest)
}

/// Appends `part` as a JSON string, as `JSON.stringify` writes it.
pub(crate) fn push_string(text: &mut String, part: &str) {
    text.push('"');
    let mut from = 0;
    loop {
        let at = special(part.as_bytes(), from);
        // Special bytes are ASCII, so all parts are text.
        text.push_str(part.get(from..at).unwrap_or_default());
        let Some(byte) = part.as_bytes().get(at) else { break };
        match byte {
            8 => text.push_str("\\b"),
            b'\t' => text.push_str("\\t"),
            b'\n' => text.push_str("\\n"),
            0xC => text.push_str("\\f"),
            b'\r' => text.push_str("\\r"),
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            control => {
                // Below U+0020: two digits.
                text.push_str("\\u00");
                for digit in [control >> 4, control & 15] {
                    text.push(char::from_digit(digit.into(), 16).unwrap_or_default());
                }
            }
        }
        from = at + 1;
    }
    text.push('"');
}

/// Where the first quote, backslash or control character from `from` on is; the end where there is
/// none.
pub(crate) fn special(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    #[cfg(feature = "simd")]
    {
        let (blocks, _) = bytes.get(at..).unwrap_or_default().as_chunks::<16>();
        for block in blocks {
            let block = u8x16::new(*block);
            let controls = block.min(u8x16::splat(0x1F)).simd_eq(block);
            let quotes = block.simd_eq(u8x16::splat(b'"'));
            let found = (quotes | block.simd_eq(u8x16::splat(b'\\')) | controls).to_bitmask();
            if found != 0 {
                return at + found.trailing_zeros() as usize;
            }
            at += 16;
        }
    }
    // Eight bytes at a time as one number: a byte of `x - 0x01…` has its high bit set, other than in
    // `x`, where the byte of `x` was zero, or one above it was; the lowest is exact, and it decides.
    let (chunks, _) = bytes.get(at..).unwrap_or_default().as_chunks::<8>();
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
    use proptest::prelude::*;

    use super::*;
    use crate::json_cursor::Cursor;
    use crate::seeded;

    #[test]
    fn strings_are_read_and_written_as_serde_json_does() {
        let config = seeded::config(4000);
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
