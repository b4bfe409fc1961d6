//! JSON text: one valid document of bounded depth.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};

use serde_core::de::IgnoredAny;

use crate::codec::{JSON, fits_text};
use crate::json_depth::check_nesting;
use crate::{Decode, DecodeError, Encode, EncodeError, Limits, Payload};

/// JSON text, to be parsed elsewhere.
///
/// Encoding checks that the text is one JSON document, decoding gives nothing else. The text stays
/// as it is in both directions: spaces, order of members and escapes of unpaired surrogates
/// included.
///
/// # Examples
///
/// ```
/// use knit_codec::{Encode, EncodeError, JsonText, Limits};
///
/// let limits = Limits::default();
/// let payload = JsonText(r#"{"a":[1,2]}"#.into()).encode_owned(&limits)?;
/// assert_eq!(payload.as_bytes(), br#"{"a":[1,2]}"#);
///
/// let refused = JsonText("{".into()).encode_owned(&limits);
/// assert!(matches!(refused, Err(EncodeError::Json { .. })));
/// # Ok::<(), EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonText(pub String);

impl From<String> for JsonText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for JsonText {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Encode for JsonText {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        encode_text(self.0.as_str().into(), limits)
    }

    fn encode_owned(self, limits: &Limits) -> Result<Payload<'static>, EncodeError> {
        encode_text(self.0.into(), limits)
    }
}

impl Decode for JsonText {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        decode_text(payload, Self::expected(), limits).map(|text| Self(text.into_owned()))
    }

    fn expected() -> &'static str {
        "JSON"
    }
}

/// A payload of JSON text that is not checked yet.
pub(crate) fn encode_text<'a>(
    text: Cow<'a, str>,
    limits: &Limits,
) -> Result<Payload<'a>, EncodeError> {
    fits_text(JSON.tag(text.len()), text.len(), limits)?;
    check(&text, limits.depth)?;
    match text {
        Cow::Borrowed(text) => JSON.payload(text.as_bytes(), limits),
        Cow::Owned(text) => JSON.payload(text.into_bytes(), limits),
    }
}

/// The checked text of a JSON payload.
pub(crate) fn decode_text<'a>(
    payload: Payload<'a>,
    expected: &'static str,
    limits: &Limits,
) -> Result<Cow<'a, str>, DecodeError> {
    let text = JSON.text_of(payload, expected, limits)?;
    check(&text, limits.depth)?;
    Ok(text)
}

/// What is wrong with JSON text.
#[derive(Debug, PartialEq)]
pub(crate) enum JsonFault {
    Syntax(String),
    Nesting { limit: u32 },
}

/// Checks that `text` is one JSON document of at most `depth` levels.
pub(crate) fn check(text: &str, depth: u32) -> Result<(), JsonFault> {
    check_nesting(text.as_bytes(), depth)?;
    // `IgnoredAny` is skipped by a loop, not by recursion. It also leaves escapes of unpaired
    // surrogates alone, which JavaScript writes and no Rust string could hold.
    serde_json::from_str::<IgnoredAny>(text)?;
    Ok(())
}

impl From<serde_json::Error> for JsonFault {
    fn from(fault: serde_json::Error) -> Self {
        let mut reason = fault.to_string();
        reason.truncate(reason.floor_char_boundary(REASON_BYTES));
        // Not as much memory as the names that it quoted.
        reason.shrink_to_fit();
        Self::Syntax(reason)
    }
}

impl From<JsonFault> for EncodeError {
    fn from(fault: JsonFault) -> Self {
        match fault {
            JsonFault::Syntax(reason) => Self::Json { reason },
            JsonFault::Nesting { limit } => Self::Nesting { limit },
        }
    }
}

impl From<JsonFault> for DecodeError {
    fn from(fault: JsonFault) -> Self {
        match fault {
            JsonFault::Syntax(reason) => Self::Json { reason },
            JsonFault::Nesting { limit } => Self::Nesting { limit },
        }
    }
}

/// Longest reason kept, in bytes: a reason may quote names that the peer chose.
const REASON_BYTES: usize = 200;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use knit_proto::Tag;
    use serde_core::de::Error as _;

    use super::*;

    fn decode(text: &str) -> Result<JsonText, DecodeError> {
        let payload = Payload::bytes(Tag::JSON_ARENA, text.as_bytes());
        JsonText::decode(payload, &Limits::default())
    }

    #[test]
    fn valid_text_passes_as_it_is() {
        for text in ["{}", "[1,null,3]", " { \"a\" : 1 } ", "7", "\"\\ud800\"", "\"[[[\\\"\""] {
            assert_eq!(decode(text), Ok(JsonText(text.into())));
        }
    }

    #[test]
    fn malformed_text_is_refused_both_ways() {
        let limits = Limits::default();
        for text in ["", " ", "{", "[1,]", "nul", "{} {}", "\"a", "01", "\u{FEFF}{}", "]", "NaN"] {
            assert!(matches!(decode(text), Err(DecodeError::Json { .. })), "{text}");
            let refused = JsonText(text.into()).encode_owned(&limits).unwrap_err();
            assert!(matches!(refused, EncodeError::Json { .. }), "{text}");
            assert_eq!(refused.code(), Some("KNT_ERROR_2"));
        }
    }

    #[test]
    fn nesting_limit_is_inclusive() {
        let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
        assert!(decode(&nested(128)).is_ok());
        assert_eq!(decode(&nested(129)), Err(DecodeError::Nesting { limit: 128 }));
        assert_eq!(
            JsonText(nested(129)).encode_owned(&Limits::default()),
            Err(EncodeError::Nesting { limit: 128 })
        );
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        assert_eq!(check("[\"[[\\\"[[\",\"\\\\\",[]]", 2), Ok(()));
    }

    #[test]
    fn a_mebibyte_of_brackets_is_refused_at_any_depth_limit() {
        let text = "[".repeat(1 << 20);
        assert_eq!(decode(&text), Err(DecodeError::Nesting { limit: 128 }));
        let payload = Payload::bytes(Tag::JSON_ARENA, text.as_bytes());
        let deep = Limits::default().with_depth(u32::MAX);
        assert!(matches!(JsonText::decode(payload, &deep), Err(DecodeError::Json { .. })));
        let closed = text + &"]".repeat(1 << 20);
        let payload = Payload::bytes(Tag::JSON_ARENA, closed.as_bytes());
        assert_eq!(JsonText::decode(payload, &deep), Ok(JsonText(closed.clone())));
    }

    #[test]
    fn bad_utf8_is_refused_before_parsing() {
        let payload = Payload::bytes(Tag::JSON_INLINE, vec![b'"', 0xC3, b'"']);
        assert_eq!(
            JsonText::decode(payload, &Limits::default()),
            Err(DecodeError::Utf8 { valid_up_to: 1 })
        );
    }

    #[test]
    fn reason_is_cut_at_a_character() {
        let fault = serde_json::Error::custom("x".to_string() + &"é".repeat(1 << 10));
        let JsonFault::Syntax(reason) = fault.into() else { panic!("not syntax") };
        assert_eq!(reason.len(), 199);
    }
}
