//! A value of any supported type.

use alloc::string::String;
use alloc::vec::Vec;

use knit_proto::Tag;

use crate::codec::{admit, refusal};
use crate::{
    Decode, DecodeError, Encode, EncodeError, ErrorValue, JsonText, Limits, Numeric, Payload, json,
    number,
};

/// A value of any supported type.
///
/// Numbers are equal when their bits are, so 0 and -0 differ; all NaN are equal, as they are on
/// the wire. Decoding what was encoded gives an equal value.
///
/// # Examples
///
/// ```
/// use knit_codec::Value;
///
/// assert_eq!(Value::from("abc"), Value::String("abc".into()));
/// assert_eq!(Value::from(Some(7)), Value::Number(7.0));
/// assert_eq!(Value::Number(f64::NAN), Value::Number(-f64::NAN));
/// assert_ne!(Value::Number(0.0), Value::Number(-0.0));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value {
    /// Undefined; the unit type.
    Undefined,
    /// Null.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number. Every NaN decodes as [`f64::NAN`].
    Number(f64),
    /// An integer that peers see as a bigint.
    BigInt(i64),
    /// A string.
    String(String),
    /// JSON text. Checked when it is encoded; what is decoded is always valid.
    Json(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// An error with its cause chain.
    Error(ErrorValue),
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Undefined, Self::Undefined) | (Self::Null, Self::Null) => true,
            (Self::Bool(this), Self::Bool(other)) => this == other,
            (Self::Number(this), Self::Number(other)) => {
                this.to_bits() == other.to_bits() || (this.is_nan() && other.is_nan())
            }
            (Self::BigInt(this), Self::BigInt(other)) => this == other,
            (Self::String(this), Self::String(other)) | (Self::Json(this), Self::Json(other)) => {
                this == other
            }
            (Self::Bytes(this), Self::Bytes(other)) => this == other,
            (Self::Error(this), Self::Error(other)) => this == other,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Encode for Value {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        match self {
            Self::Undefined => Ok(Payload::bare(Tag::UNDEFINED)),
            Self::Null => Ok(Payload::bare(Tag::NULL)),
            Self::Bool(value) => value.encode(limits),
            Self::Number(value) => value.encode(limits),
            Self::BigInt(value) => value.encode(limits),
            Self::String(value) => value.encode(limits),
            Self::Json(text) => json::encode_text(text.as_str().into(), limits),
            Self::Bytes(value) => value.encode(limits),
            Self::Error(value) => value.encode(limits),
        }
    }

    fn encode_owned(self, limits: &Limits) -> Result<Payload<'static>, EncodeError> {
        match self {
            Self::String(value) => value.encode_owned(limits),
            Self::Json(text) => JsonText(text).encode_owned(limits),
            Self::Bytes(value) => value.encode_owned(limits),
            other => other.encode(limits).map(Payload::into_owned),
        }
    }
}

impl Decode for Value {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        match payload.tag() {
            Tag::UNDEFINED => admit(&payload, limits).map(|()| Self::Undefined),
            Tag::NULL => admit(&payload, limits).map(|()| Self::Null),
            Tag::TRUE | Tag::FALSE => bool::decode(payload, limits).map(Self::Bool),
            Tag::NUMBER | Tag::NAN | Tag::BIGINT_I64 => {
                number::numeric(&payload, Self::expected(), limits).map(Self::from)
            }
            Tag::STRING_INLINE | Tag::STRING_ARENA => {
                String::decode(payload, limits).map(Self::String)
            }
            Tag::JSON_INLINE | Tag::JSON_ARENA => JsonText::decode(payload, limits).map(Self::from),
            Tag::BYTES_INLINE | Tag::BYTES_ARENA => {
                Vec::<u8>::decode(payload, limits).map(Self::Bytes)
            }
            Tag::ERROR => ErrorValue::decode(payload, limits).map(Self::Error),
            other => Err(refusal(Self::expected(), other)),
        }
    }

    fn expected() -> &'static str {
        "a value"
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Undefined
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Undefined, Into::into)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

macro_rules! from_number {
    ($($number:ident)*) => {$(
        impl From<$number> for Value {
            fn from(value: $number) -> Self {
                Self::Number(value.into())
            }
        }
    )*};
}

from_number! { f64 f32 i8 i16 i32 u8 u16 u32 }

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::BigInt(value)
    }
}

impl From<Numeric> for Value {
    fn from(value: Numeric) -> Self {
        match value {
            Numeric::Number(value) if value.is_nan() => Self::Number(f64::NAN),
            Numeric::Number(value) => Self::Number(value),
            Numeric::BigInt(value) => Self::BigInt(value),
        }
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.into())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl From<JsonText> for Value {
    fn from(text: JsonText) -> Self {
        Self::Json(text.0)
    }
}

impl From<ErrorValue> for Value {
    fn from(error: ErrorValue) -> Self {
        Self::Error(error)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn every_supported_tag_decodes() {
        let limits = Limits::default();
        for value in [
            Value::Undefined,
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
            Value::Number(-0.0),
            Value::Number(f64::NAN),
            Value::BigInt(i64::MIN),
            Value::String("x".into()),
            Value::String("x".repeat(513)),
            Value::Json("[1]".into()),
            Value::Json(" ".repeat(512) + "7"),
            Value::Bytes(vec![]),
            Value::Bytes(vec![1; 513]),
            Value::Error(ErrorValue::new("A", "b")),
        ] {
            let payload = value.encode(&limits).unwrap();
            assert_eq!(Value::decode(payload.clone(), &limits).as_ref(), Ok(&value));
            assert_eq!(value.clone().encode_owned(&limits), Ok(payload));
        }
    }

    #[test]
    fn every_other_tag_is_unsupported_or_unassigned() {
        let limits = Limits::default();
        let supported = [2, 3, 4, 5, 6, 9, 10, 11, 12, 15, 16, 17, 18, 24];
        for raw in (0..64).chain([u32::MAX]).filter(|raw| !supported.contains(raw)) {
            let tag = Tag(raw);
            let refusal = match tag.form() {
                Some(_) => DecodeError::UnsupportedTag(tag),
                None => DecodeError::UnassignedTag(raw),
            };
            assert_eq!(Value::decode(Payload::bare(tag), &limits), Err(refusal.clone()));
            assert_eq!(String::decode(Payload::bare(tag), &limits), Err(refusal.clone()));
            assert_eq!(u8::decode(Payload::bare(tag), &limits), Err(refusal.clone()));
            assert_eq!(ErrorValue::decode(Payload::bare(tag), &limits), Err(refusal));
        }
    }

    #[test]
    fn payload_beyond_the_limit_is_refused_whatever_its_tag() {
        let limits = Limits::default().with_payload(3);
        for tag in [2, 3, 5, 6, 9, 10, 11, 12, 15, 16, 17, 18, 24] {
            assert_eq!(
                Value::decode(Payload::bytes(Tag(tag), vec![b'1'; 4]), &limits),
                Err(DecodeError::TooLong { actual: 4, limit: 3 }),
                "tag {tag}"
            );
        }
    }

    #[test]
    fn number_with_nan_bits_decodes_as_the_one_nan() {
        let payload = Payload::scalar(Tag::NUMBER, u64::MAX);
        let value = Value::decode(payload, &Limits::default()).unwrap();
        assert!(matches!(value, Value::Number(nan) if nan.to_bits() == f64::NAN.to_bits()));
    }
}
