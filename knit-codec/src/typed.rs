//! Types of `serde` as JSON text.

use serde_core::de::DeserializeOwned;
use serde_core::{Deserialize, Serialize};

use crate::codec::JSON;
use crate::json::JsonFault;
use crate::json_depth::check_nesting;
use crate::json_string::without_unpaired_surrogates;
use crate::{
    Decode, DecodeBorrowed, DecodeError, Encode, EncodeError, Limits, Payload, json_writer,
};

/// A value of a `serde` type, sent as JSON text.
///
/// Meant for what JavaScript peers send as JSON, plain objects and arrays: they send strings and
/// numbers under tags of their own, which `String` and `f64` decode. A number beyond 2^53 loses
/// digits at such a peer. Whatever the depth limit, text of a type has 127 levels at most, both ways.
///
/// Escapes of unpaired surrogates, which JavaScript writes, become U+FFFD, but not where a value is
/// read in place. What valid text cannot be in a type is refused by it: two members of one name for a
/// structure, a number beyond its range for a float.
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
        encode_json(&self.0, limits)
    }
}

impl<T: DeserializeOwned> Decode for Json<T> {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        decode_json(&payload, limits).map(Self)
    }

    fn expected() -> &'static str {
        EXPECTED
    }
}

/// What borrows, strings without escapes and such, is read in place.
impl<'p, T: Deserialize<'p>> DecodeBorrowed<'p> for Json<T> {
    fn decode_borrowed(payload: &'p Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        decode_json_borrowed(payload, limits).map(Self)
    }
}

/// A value of a `serde` type as a payload of JSON text: what [`via_json!`](crate::via_json) calls.
///
/// # Errors
///
/// The value has no JSON form, or one that exceeds `limits`.
pub fn encode_json<T: Serialize + ?Sized>(
    value: &T,
    limits: &Limits,
) -> Result<Payload<'static>, EncodeError> {
    let text = json_writer::write(value, limits)?;
    Ok(Payload::bytes(JSON.tag(text.len()), text))
}

/// The value of a `serde` type of a payload of JSON text: what [`via_json!`](crate::via_json) calls.
///
/// # Errors
///
/// As [`Decode::decode`].
pub fn decode_json<T: DeserializeOwned>(
    payload: &Payload<'_>,
    limits: &Limits,
) -> Result<T, DecodeError> {
    let text = checked(payload, limits)?;
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        // No Rust string holds an unpaired surrogate: once more, without them.
        Err(fault) => match without_unpaired_surrogates(text) {
            Some(mended) => Ok(serde_json::from_str(&mended).map_err(JsonFault::from)?),
            None => Err(JsonFault::from(fault).into()),
        },
    }
}

/// The same for a type that borrows from the payload.
///
/// # Errors
///
/// As [`Decode::decode`]; and text with escapes of unpaired surrogates that the type looks at.
pub fn decode_json_borrowed<'p, T: Deserialize<'p>>(
    payload: &'p Payload<'_>,
    limits: &Limits,
) -> Result<T, DecodeError> {
    Ok(serde_json::from_str(checked(payload, limits)?).map_err(JsonFault::from)?)
}

/// Text that may be parsed: within the limits, and not blank.
fn checked<'p>(payload: &'p Payload<'_>, limits: &Limits) -> Result<&'p str, DecodeError> {
    let text = JSON.str_of(payload, EXPECTED, limits)?;
    // Before anything recurses. PAY-14.
    check_nesting(text.as_bytes(), limits.depth.min(json_writer::MAX_DEPTH))?;
    // One document, even where the type looks at none.
    if text.trim_ascii_start().is_empty() {
        return Err(JsonFault::Syntax("there is no value".into()).into());
    }
    Ok(text)
}

const EXPECTED: &str = "JSON";

/// Makes `serde` types of your own values that tasks take and return: they cross as JSON text, as
/// [`Json`] does.
///
/// # Examples
///
/// ```
/// use knit_codec::{Decode, Encode, Limits, via_json};
///
/// #[derive(serde::Serialize, serde::Deserialize, Debug, PartialEq)]
/// struct Point {
///     x: i32,
///     y: i32,
/// }
/// via_json!(Point);
///
/// let limits = Limits::default();
/// let payload = Point { x: 1, y: 2 }.encode_owned(&limits)?;
/// assert_eq!(payload.as_bytes(), br#"{"x":1,"y":2}"#);
/// assert_eq!(Point::decode(payload, &limits)?, Point { x: 1, y: 2 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! via_json {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::Encode for $type {
            fn encode(
                &self,
                limits: &$crate::Limits,
            ) -> ::core::result::Result<$crate::Payload<'_>, $crate::EncodeError> {
                $crate::encode_json(self, limits)
            }
        }

        impl $crate::Decode for $type {
            fn decode(
                payload: $crate::Payload<'_>,
                limits: &$crate::Limits,
            ) -> ::core::result::Result<Self, $crate::DecodeError> {
                $crate::decode_json(&payload, limits)
            }

            fn expected() -> &'static str {
                ::core::concat!("JSON of a ", ::core::stringify!($type))
            }
        }
    )+};
}

macro_rules! tuples {
    ($(($($element:ident)+))+) => {$(
        /// As a JSON array.
        impl<$($element: Serialize),+> Encode for ($($element,)+) {
            fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
                encode_json(self, limits)
            }
        }

        /// From a JSON array of as many elements.
        impl<$($element: DeserializeOwned),+> Decode for ($($element,)+) {
            fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
                decode_json(&payload, limits)
            }

            fn expected() -> &'static str {
                EXPECTED
            }
        }
    )+};
}

tuples! { (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H) }

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
        assert_eq!(refused.err(), Some(DecodeError::Nesting { limit: 127 }));
        assert!(Json::<Nested>::decode(payload(r#"{"_inner":{}}"#), &LIMITS).is_ok());
    }

    /// PAY-13: what the type does not look at is checked too, and nothing may follow.
    #[test]
    fn text_that_is_not_one_document_is_refused_whatever_the_type() {
        #[derive(Debug, serde::Deserialize)]
        struct Nothing {}
        for text in
            ["", "{", "{}}", "{} {}", "{\"a\":}", "{\"a\":[1,]}", "{\"a\":01}", "\u{FEFF}{}"]
        {
            let refused = Json::<Nothing>::decode(payload(text), &LIMITS);
            assert!(matches!(refused, Err(DecodeError::Json { .. })), "{text}");
        }
        let read = Json::<Nothing>::decode(payload(" {\"a\":[1,{\"b\":\"\\u00e9\"}]} "), &LIMITS);
        assert!(read.is_ok());
        let bad = Payload::bytes(Tag::JSON_ARENA, b"{\"a\":\"\xff\"}".as_slice());
        let refused = Json::<Nothing>::decode(bad, &LIMITS).unwrap_err();
        assert_eq!(refused, DecodeError::Utf8 { valid_up_to: 6 });
    }

    /// A type that reads nothing of its input takes no empty text for a document.
    #[test]
    fn text_without_a_value_is_refused() {
        #[derive(Debug)]
        struct Blind;
        impl<'de> Deserialize<'de> for Blind {
            fn deserialize<D: serde_core::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                Ok(Self)
            }
        }
        for text in ["", " ", "\t\r\n ", "1"] {
            let refused = Json::<Blind>::decode(payload(text), &LIMITS);
            assert!(matches!(refused, Err(DecodeError::Json { .. })), "{text:?}");
        }
    }

    /// A type whose values have no JSON form makes tuples and `via_json!` types without one.
    #[test]
    fn parts_without_json_form_are_refused() {
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        struct Table {
            rows: BTreeMap<(u8, u8), u8>,
        }
        crate::via_json!(Table);
        let table = Table { rows: BTreeMap::from([((1, 2), 3)]) };
        let refused = table.encode(&LIMITS);
        assert!(matches!(refused, Err(EncodeError::Json { .. })), "{refused:?}");
        let refused = (1_u8, table.rows).encode_owned(&LIMITS);
        assert!(matches!(refused, Err(EncodeError::Json { .. })), "{refused:?}");
        let refused = Table::decode(payload("[]"), &LIMITS.with_payload(1));
        assert!(matches!(refused, Err(DecodeError::TooLong(_))), "{refused:?}");
        assert_eq!(Table::expected(), "JSON of a Table");
        let empty = Table::decode(payload(r#"{"rows":{}}"#), &LIMITS);
        assert_eq!(empty, Ok(Table { rows: BTreeMap::new() }));
    }

    /// What a type encodes, it decodes, to the last level.
    #[test]
    fn text_of_a_type_is_as_deep_both_ways() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        let deepest: serde_json::Value = serde_json::from_str(&nested(127)).unwrap();
        let sent = Json(&deepest).encode_owned(&LIMITS).unwrap();
        assert_eq!(Json::decode(sent, &LIMITS), Ok(Json(deepest.clone())));
        let refused = Json([&deepest]).encode_owned(&LIMITS);
        assert_eq!(refused, Err(EncodeError::Nesting { limit: 127 }));
        let text = nested(128);
        let refused = Json::<serde_json::Value>::decode(payload(&text), &LIMITS);
        assert_eq!(refused, Err(DecodeError::Nesting { limit: 127 }));
    }

    /// PAY-13: they are valid JSON text, and no Rust string.
    #[test]
    fn unpaired_surrogates_become_replacement_characters() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Named {
            x: u8,
        }
        let text = |text| Json::<String>::decode(payload(text), &LIMITS).unwrap().0;
        assert_eq!(text(r#""a\ud800b""#), "a\u{FFFD}b");
        assert_eq!(text(r#""\uDC00\ud83d\ude00\ud83d""#), "\u{FFFD}😀\u{FFFD}");
        assert_eq!(text(r#""\\ud800\ud800""#), "\\ud800\u{FFFD}");
        let named = Json::<Named>::decode(payload(r#"{"\ud800":1,"x":1}"#), &LIMITS);
        assert_eq!(named, Ok(Json(Named { x: 1 })));
        let wrong = Json::<Named>::decode(payload(r#"{"\ud800":1,"x":"\ud800"}"#), &LIMITS);
        assert!(matches!(wrong, Err(DecodeError::Json { .. })));
    }

    #[test]
    fn numbers_survive_to_the_last_bit() {
        for number in
            [3.0 * 0.37, 6.0 * 0.37, 5e-324, f64::MAX, -0.1, 1e23, 9_007_199_254_740_993.0]
        {
            let payload = Json(number).encode_owned(&LIMITS).unwrap();
            let Json(back) = Json::<f64>::decode(payload, &LIMITS).unwrap();
            assert_eq!(back.to_bits(), number.to_bits(), "{number:?}");
        }
    }

    #[test]
    fn borrowed_strings_stay_where_they_are() {
        let payload = payload(r#"["abc","d"]"#);
        let Json((text, _)) = Json::<(&str, &str)>::decode_borrowed(&payload, &LIMITS).unwrap();
        assert_eq!(text.as_ptr(), payload.as_bytes()[2..].as_ptr());
    }

    #[test]
    fn tuples_are_arrays() {
        let value = (1_u8, String::from("x"), Some(true));
        let payload = value.encode(&LIMITS).unwrap();
        assert_eq!(payload.as_bytes(), br#"[1,"x",true]"#);
        type Triple = (u8, String, Option<bool>);
        assert_eq!(Triple::decode(payload.clone(), &LIMITS).as_ref(), Ok(&value));
        assert!(<(u8, String)>::decode(payload, &LIMITS).is_err());
        let eight = (1, 2, 3, 4, 5, 6, 7, 8);
        let payload = eight.encode(&LIMITS).unwrap();
        assert_eq!(Decode::decode(payload, &LIMITS), Ok(eight));
    }

    #[test]
    fn string_payload_is_not_json() {
        let refused = Json::<String>::decode("x".encode(&LIMITS).unwrap(), &LIMITS);
        assert!(matches!(refused, Err(DecodeError::WrongType { .. })));
    }
}
