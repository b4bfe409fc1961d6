//! Bytes as text.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::DecodeError;

/// Text of the bytes, in place. PAY-8.
#[inline]
pub(crate) fn utf8_str(bytes: &[u8]) -> Result<&str, DecodeError> {
    #[cfg(feature = "simd")]
    if bytes.len() >= SIMD_BYTES {
        // Where it is not text, the standard library says how much of it is.
        if let Ok(text) = simdutf8::basic::from_utf8(bytes) {
            return Ok(text);
        }
    }
    core::str::from_utf8(bytes)
        .map_err(|fault| DecodeError::Utf8 { valid_up_to: fault.valid_up_to() })
}

/// Text of the bytes, without a copy when they are owned.
#[inline]
pub(crate) fn utf8(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, str>, DecodeError> {
    match bytes {
        Cow::Borrowed(bytes) => utf8_str(bytes).map(Cow::Borrowed),
        Cow::Owned(bytes) => owned(bytes).map(Cow::Owned),
    }
}

/// The crate forbids `unsafe`, so a vector becomes a string only through a check by the standard
/// library, which takes eight times as long as one with vector instructions where text is not ASCII.
/// Long text of that kind is checked and copied instead.
fn owned(bytes: Vec<u8>) -> Result<String, DecodeError> {
    #[cfg(feature = "simd")]
    if bytes.len() >= COPIED_BYTES && !looks_ascii(&bytes) {
        return utf8_str(&bytes).map(String::from);
    }
    String::from_utf8(bytes)
        .map_err(|fault| DecodeError::Utf8 { valid_up_to: fault.utf8_error().valid_up_to() })
}

/// Whether some samples of long text are ASCII: a guess at what is faster, and nothing else.
#[cfg(feature = "simd")]
fn looks_ascii(bytes: &[u8]) -> bool {
    bytes.chunks(bytes.len() / SAMPLES).all(|part| part.iter().take(SAMPLE_BYTES).all(u8::is_ascii))
}

/// Shortest text that is checked with vector instructions, in bytes: shorter ones take less time
/// without the call.
#[cfg(feature = "simd")]
const SIMD_BYTES: usize = 64;
/// Shortest text that is copied to be checked faster, in bytes.
#[cfg(feature = "simd")]
const COPIED_BYTES: usize = 2048;
#[cfg(feature = "simd")]
const SAMPLES: usize = 16;
#[cfg(feature = "simd")]
const SAMPLE_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::seeded;

    /// What the standard library says of the same bytes.
    fn hold(bytes: &[u8]) {
        let expected = core::str::from_utf8(bytes)
            .map_err(|fault| DecodeError::Utf8 { valid_up_to: fault.valid_up_to() });
        assert_eq!(utf8_str(bytes), expected);
        assert_eq!(utf8(bytes.into()).as_deref(), expected.as_deref());
        assert_eq!(utf8(bytes.to_vec().into()).as_deref(), expected.as_deref());
    }

    #[test]
    fn every_length_and_every_bad_byte_is_judged_as_by_the_standard_library() {
        let long: String =
            ('a'..='z').chain("é€😀\u{10FFFF}\0".chars()).cycle().take(3000).collect();
        for text in [long.as_bytes(), "x".repeat(3000).as_bytes()] {
            for len in (0..300).chain((1900..2200).step_by(7)).chain([text.len()]) {
                hold(&text[..len]);
                for at in [0, len / 3, len.saturating_sub(1)] {
                    for bad in [0x80, 0xC0, 0xED, 0xF5, 0xFF] {
                        let mut bytes = text[..len].to_vec();
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte = bad;
                        }
                        hold(&bytes);
                    }
                }
            }
        }
        for bad in
            [&[0xED, 0xA0, 0x80][..], &[0xC0, 0xAF], &[0xF4, 0x90, 0x80, 0x80], &[0xE2, 0x82]]
        {
            for before in [0, 1, 62, 63, 64, 65, 2047, 2048, 5000] {
                hold(&[&vec![b'a'; before], bad].concat());
                hold(&[&"é".repeat(before).into_bytes(), bad].concat());
            }
        }
    }

    #[test]
    fn random_bytes_are_judged_as_by_the_standard_library() {
        let config = seeded::config(4000);
        // Text with some bytes put in place of others, at lengths around those that decide.
        let text = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "[ -~]{0,300}".prop_map(String::into_bytes),
            ".{0,300}".prop_map(String::into_bytes),
            ".{600,1100}".prop_map(String::into_bytes),
        ];
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
        proptest!(config, |(text in text, changes in changes)| {
            let mut bytes = text;
            for (at, byte) in changes {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
            }
            hold(&bytes);
        });
    }
}
