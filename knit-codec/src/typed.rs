//! Types of `serde` as JSON text.

use serde_core::Serialize;
use serde_core::de::DeserializeOwned;

use crate::codec::{JSON, fits_text};
use crate::json::{JsonFault, check_nesting, decode_text};
use crate::{Decode, DecodeError, Encode, EncodeError, Limits, Payload};

/// A value of a `serde` type, sent as JSON text.
///
/// Meant for what JavaScript peers send as JSON, plain objects and arrays: they send strings and
/// numbers under tags of their own, which `String` and `f64` decode. A number beyond 2^53 loses
/// digits at such a peer. Whatever the depth limit, types are decoded to 127 levels at most.
///
/// # Examples
///
/// ```
/// use knit_codec::{Decode, Encode, Json, Limits};
///
/// #[derive(serde::Serialize, serde::Deserialize, Debug, PartialEq)]
/// struct Point {
///     x: i32,
///     y: i32,
/// }
///
/// let limits = Limits::default();
/// let payload = Json(Point { x: 1, y: 2 }).encode_owned(&limits)?;
/// assert_eq!(payload.as_bytes(), br#"{"x":1,"y":2}"#);
/// assert_eq!(Json::<Point>::decode(payload, &limits)?.0, Point { x: 1, y: 2 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json<T>(pub T);

impl<T: Serialize> Encode for Json<T> {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        let text = serde_json::to_string(&self.0).map_err(JsonFault::from)?;
        fits_text(JSON.tag(text.len()), text.len(), limits)?;
        check_nesting(&text, limits.depth)?;
        JSON.payload(text.into_bytes(), limits)
    }
}

impl<T: DeserializeOwned> Decode for Json<T> {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        let text = decode_text(payload, Self::expected(), limits)?;
        let value = serde_json::from_str(&text).map_err(JsonFault::from)?;
        Ok(Self(value))
    }

    fn expected() -> &'static str {
        "JSON"
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::string::{String, ToString};
    use alloc::{vec, vec::Vec};

    use knit_proto::Tag;

    use super::*;

    const LIMITS: Limits = Limits::DEFAULT;

    fn payload(text: &str) -> Payload<'_> {
        Payload::bytes(Tag::JSON_ARENA, text.as_bytes())
    }

    #[test]
    fn type_mismatch_says_where() {
        let refused = Json::<Vec<u8>>::decode(payload("[1,-1]"), &LIMITS).unwrap_err();
        assert!(matches!(&refused, DecodeError::Json { reason } if reason.contains("line 1")));
        assert!(refused.to_string().starts_with("not the JSON expected: invalid value"));
    }

    #[test]
    fn value_without_json_form_is_refused() {
        let map = BTreeMap::from([(vec![1_u8], 1_u8)]);
        let refused = Json(map).encode_owned(&LIMITS).unwrap_err();
        assert_eq!(refused.code(), Some("KNT_ERROR_2"));
    }

    #[test]
    fn limits_hold_both_ways() {
        let nested = Json(vec![vec![vec![1_u8]]]);
        let text = "[[[1]]]";
        for (limits, ok) in [
            (LIMITS.with_depth(3), true),
            (LIMITS.with_depth(2), false),
            (LIMITS.with_payload(7), true),
            (LIMITS.with_payload(6), false),
        ] {
            assert_eq!(nested.encode(&limits).is_ok(), ok);
            assert_eq!(Json::<Vec<Vec<Vec<u8>>>>::decode(payload(text), &limits).is_ok(), ok);
        }
    }

    #[test]
    fn depth_limit_cannot_exhaust_the_stack() {
        #[derive(Debug, serde::Deserialize)]
        struct Nested {
            _inner: Option<alloc::boxed::Box<Nested>>,
        }
        let text = r#"{"_inner":"#.repeat(1 << 16) + "null" + &"}".repeat(1 << 16);
        let refused = Json::<Nested>::decode(payload(&text), &LIMITS.with_depth(u32::MAX));
        assert!(matches!(refused, Err(DecodeError::Json { .. })));
        assert!(Json::<Nested>::decode(payload(r#"{"_inner":{}}"#), &LIMITS).is_ok());
    }

    #[test]
    fn string_payload_is_not_json() {
        let refused = Json::<String>::decode("x".encode(&LIMITS).unwrap(), &LIMITS);
        assert!(matches!(refused, Err(DecodeError::WrongType { .. })));
    }
}
