//! UTF-8, byte by byte.

use super::Fault;

/// The text of bytes that are well-formed by table 3-7 of the Unicode standard. PAY-8.
pub(super) fn read(bytes: &[u8]) -> Result<String, Fault> {
    let mut text = String::new();
    let mut rest = bytes;
    while let [first, others @ ..] = rest {
        let (len, second) = match first {
            0x00..=0x7F => (1, 0..=0),
            0xC2..=0xDF => (2, 0x80..=0xBF),
            0xE0 => (3, 0xA0..=0xBF),
            0xE1..=0xEC | 0xEE..=0xEF => (3, 0x80..=0xBF),
            0xED => (3, 0x80..=0x9F),
            0xF0 => (4, 0x90..=0xBF),
            0xF1..=0xF3 => (4, 0x80..=0xBF),
            0xF4 => (4, 0x80..=0x8F),
            _ => return Err("utf8"),
        };
        if others.len() < len - 1 {
            return Err("utf8");
        }
        // The bits of the first byte that are the character's.
        let mut code = match len {
            1 => u32::from(*first),
            _ => u32::from(*first) & (0x7F >> len),
        };
        for (place, byte) in others[..len - 1].iter().enumerate() {
            let allowed = if place == 0 { second.clone() } else { 0x80..=0xBF };
            if !allowed.contains(byte) {
                return Err("utf8");
            }
            code = code << 6 | u32::from(byte & 0x3F);
        }
        text.push(char::from_u32(code).expect("the table has characters only"));
        rest = &rest[len..];
    }
    Ok(text)
}
