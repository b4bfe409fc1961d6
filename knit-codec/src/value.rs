//! A value of any type.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use knit_proto::{Form, Tag};

use crate::arrays::{
    F64_ARRAY, I32_ARRAY, I64_ARRAY, NUMBERS, U64_ARRAY, same_number, same_numbers,
};
use crate::bigint::BIGINT;
use crate::bytes::{ARRAY_BUFFER, BYTES, DATA_VIEW, NODE_BUFFER};
use crate::codec::{admit, refusal};
use crate::external::EXTERNAL;
use crate::symbol::SYMBOL;
use crate::{
    ArrayBuffer, BigInt, DataView, Date, Decode, DecodeError, Encode, EncodeError, Envelope,
    ErrorValue, External, JsonText, Limits, NodeBuffer, Null, Numbers, Payload, SharedBufferRef,
    Symbol, json, number,
};

/// A value of any type that the wire knows.
///
/// Numbers are equal when their bits are, so 0 and -0 differ; all NaN are equal, as they are on
/// the wire. Decoding what was encoded gives an equal value, with two exceptions: JSON text inside an error or an external
/// value comes without the white space around it, and a cause that is no error comes as an error when it looks like
/// one ([`Cause::Value`](crate::Cause::Value)).
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
    BigInt(BigInt),
    /// A string.
    String(String),
    /// A global symbol.
    Symbol(Symbol),
    /// JSON text. Checked when it is encoded; what is decoded is always valid.
    Json(String),
    /// A point in time.
    Date(Date),
    /// Bytes, which JavaScript peers see as a `Uint8Array`.
    Bytes(Vec<u8>),
    /// Bytes, which JavaScript peers see as an `ArrayBuffer`.
    ArrayBuffer(ArrayBuffer),
    /// Bytes, which JavaScript peers see as a Node `Buffer`.
    NodeBuffer(NodeBuffer),
    /// Bytes, which JavaScript peers see as a `DataView`.
    DataView(DataView),
    /// An `Int32Array`.
    I32Array(Vec<i32>),
    /// A `Float64Array`.
    F64Array(Vec<f64>),
    /// A `BigInt64Array`.
    I64Array(Vec<i64>),
    /// A `BigUint64Array`.
    U64Array(Vec<u64>),
    /// A plain array of numbers.
    Numbers(Numbers),
    /// An error with its cause chain.
    Error(ErrorValue),
    /// A header with a body.
    Envelope(Box<Envelope>),
    /// A value of a codec of users.
    External(External),
    /// Which part of which shared buffer is meant.
    SharedBuffer(SharedBufferRef),
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Undefined, Self::Undefined) | (Self::Null, Self::Null) => true,
            (Self::Bool(this), Self::Bool(other)) => this == other,
            (Self::Number(this), Self::Number(other)) => same_number(*this, *other),
            (Self::F64Array(this), Self::F64Array(other)) => same_numbers(this, other),
            (Self::BigInt(this), Self::BigInt(other)) => this == other,
            (Self::String(this), Self::String(other)) | (Self::Json(this), Self::Json(other)) => {
                this == other
            }
            (Self::Symbol(this), Self::Symbol(other)) => this == other,
            (Self::Date(this), Self::Date(other)) => this == other,
            (Self::Bytes(this), Self::Bytes(other)) => this == other,
            (Self::ArrayBuffer(this), Self::ArrayBuffer(other)) => this == other,
            (Self::NodeBuffer(this), Self::NodeBuffer(other)) => this == other,
            (Self::DataView(this), Self::DataView(other)) => this == other,
            (Self::I32Array(this), Self::I32Array(other)) => this == other,
            (Self::I64Array(this), Self::I64Array(other)) => this == other,
            (Self::U64Array(this), Self::U64Array(other)) => this == other,
            (Self::Numbers(this), Self::Numbers(other)) => this == other,
            (Self::Error(this), Self::Error(other)) => this == other,
            (Self::Envelope(this), Self::Envelope(other)) => this == other,
            (Self::External(this), Self::External(other)) => this == other,
            (Self::SharedBuffer(this), Self::SharedBuffer(other)) => this == other,
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
            Self::Symbol(value) => value.encode(limits),
            Self::Json(text) => json::encode_text(text.as_str().into(), limits),
            Self::Date(value) => value.encode(limits),
            Self::Bytes(value) => value.encode(limits),
            Self::ArrayBuffer(value) => value.encode(limits),
            Self::NodeBuffer(value) => value.encode(limits),
            Self::DataView(value) => value.encode(limits),
            Self::I32Array(value) => value.encode(limits),
            Self::F64Array(value) => value.encode(limits),
            Self::I64Array(value) => value.encode(limits),
            Self::U64Array(value) => value.encode(limits),
            Self::Numbers(value) => value.encode(limits),
            Self::Error(value) => value.encode(limits),
            Self::Envelope(value) => value.encode(limits),
            Self::External(value) => value.encode(limits),
            Self::SharedBuffer(value) => value.encode(limits),
        }
    }

    fn encode_owned(self, limits: &Limits) -> Result<Payload<'static>, EncodeError> {
        match self {
            Self::BigInt(value) => value.encode_owned(limits),
            Self::String(value) => value.encode_owned(limits),
            Self::Symbol(value) => value.encode_owned(limits),
            Self::Json(text) => JsonText(text).encode_owned(limits),
            Self::Bytes(value) => value.encode_owned(limits),
            Self::ArrayBuffer(value) => value.encode_owned(limits),
            Self::NodeBuffer(value) => value.encode_owned(limits),
            Self::DataView(value) => value.encode_owned(limits),
            other => other.encode(limits).map(Payload::into_owned),
        }
    }
}

impl Decode for Value {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        let tag = payload.tag();
        if let Some(number) = number::float(&payload) {
            admit(&payload, limits)?;
            // One NaN for all.
            return Ok(Self::Number(if number.is_nan() { f64::NAN } else { number }));
        }
        match tag {
            Tag::UNDEFINED => admit(&payload, limits).map(|()| Self::Undefined),
            Tag::NULL => admit(&payload, limits).map(|()| Self::Null),
            Tag::TRUE | Tag::FALSE => bool::decode(payload, limits).map(Self::Bool),
            Tag::BIGINT_I64 => BigInt::decode(payload, limits).map(Self::BigInt),
            Tag::STRING_INLINE | Tag::STRING_ARENA => {
                String::decode(payload, limits).map(Self::String)
            }
            Tag::JSON_INLINE | Tag::JSON_ARENA => JsonText::decode(payload, limits).map(Self::from),
            Tag::DATE => Date::decode(payload, limits).map(Self::Date),
            Tag::ERROR => ErrorValue::decode(payload, limits).map(Self::Error),
            Tag::SHARED_BUFFER => SharedBufferRef::decode(payload, limits).map(Self::SharedBuffer),
            _ if BYTES.is(tag) => Vec::decode(payload, limits).map(Self::Bytes),
            _ if ARRAY_BUFFER.is(tag) => {
                ArrayBuffer::decode(payload, limits).map(Self::ArrayBuffer)
            }
            _ if NODE_BUFFER.is(tag) => NodeBuffer::decode(payload, limits).map(Self::NodeBuffer),
            _ if DATA_VIEW.is(tag) => DataView::decode(payload, limits).map(Self::DataView),
            _ if BIGINT.is(tag) => BigInt::decode(payload, limits).map(Self::BigInt),
            _ if SYMBOL.is(tag) => Symbol::decode(payload, limits).map(Self::Symbol),
            _ if I32_ARRAY.is(tag) => Vec::decode(payload, limits).map(Self::I32Array),
            _ if F64_ARRAY.is(tag) => Vec::decode(payload, limits).map(Self::F64Array),
            _ if I64_ARRAY.is(tag) => Vec::decode(payload, limits).map(Self::I64Array),
            _ if U64_ARRAY.is(tag) => Vec::decode(payload, limits).map(Self::U64Array),
            _ if NUMBERS.is(tag) => Numbers::decode(payload, limits).map(Self::Numbers),
            _ if EXTERNAL.is(tag) => External::decode(payload, limits).map(Self::External),
            _ if matches!(tag.form(), Some(Form::InlineHead | Form::ArenaHead)) => {
                Envelope::decode(payload, limits).map(Box::new).map(Self::Envelope)
            }
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

impl From<Null> for Value {
    fn from(Null: Null) -> Self {
        Self::Null
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

macro_rules! from_integer {
    ($($integer:ident)*) => {$(
        /// As a bigint.
        impl From<$integer> for Value {
            fn from(value: $integer) -> Self {
                Self::BigInt(value.into())
            }
        }
    )*};
}

from_integer! { i64 i128 isize u64 u128 usize }

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

impl From<Envelope> for Value {
    fn from(envelope: Envelope) -> Self {
        Self::Envelope(Box::new(envelope))
    }
}

macro_rules! from_variant {
    ($($variant:ident($kind:ty))*) => {$(
        impl From<$kind> for Value {
            fn from(value: $kind) -> Self {
                Self::$variant(value)
            }
        }
    )*};
}

from_variant! {
    BigInt(BigInt)
    Symbol(Symbol)
    Date(Date)
    ArrayBuffer(ArrayBuffer)
    NodeBuffer(NodeBuffer)
    DataView(DataView)
    I32Array(Vec<i32>)
    F64Array(Vec<f64>)
    I64Array(Vec<i64>)
    U64Array(Vec<u64>)
    Numbers(Numbers)
    Error(ErrorValue)
    External(External)
    SharedBuffer(SharedBufferRef)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{Body, Excess, Header, LimitKind};

    #[test]
    fn every_value_survives_in_each_of_its_forms() {
        let limits = Limits::default();
        let external = |len| External::new("c", "7".repeat(len));
        let envelope = |json: bool, len, body: Body| {
            let text = "7".repeat(len);
            Envelope::new(if json { Header::Json(text) } else { Header::Text(text) }, body)
        };
        let mut seen = Vec::new();
        for value in [
            Value::Undefined,
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
            Value::Number(-0.0),
            Value::Number(f64::NAN),
            Value::from(i64::MIN),
            Value::from(u64::MAX),
            Value::from(BigInt::from_le_magnitude(true, &[7; 600])),
            Value::String("x".into()),
            Value::String("x".repeat(513)),
            Value::from(Symbol::from("x")),
            Value::from(Symbol("x".repeat(171))),
            Value::Json("[1]".into()),
            Value::Json(" ".repeat(512) + "7"),
            Value::Date(Date::INVALID),
            Value::Bytes(vec![]),
            Value::Bytes(vec![1; 513]),
            Value::from(ArrayBuffer(vec![1])),
            Value::from(ArrayBuffer(vec![1; 513])),
            Value::from(NodeBuffer(vec![1])),
            Value::from(NodeBuffer(vec![1; 513])),
            Value::from(DataView(vec![1])),
            Value::from(DataView(vec![1; 513])),
            Value::from(vec![-1_i32]),
            Value::from(vec![1_i32; 129]),
            Value::from(vec![f64::NAN]),
            Value::from(vec![1.0; 65]),
            Value::from(vec![-1_i64]),
            Value::from(vec![1_i64; 65]),
            Value::from(vec![1_u64]),
            Value::from(vec![1_u64; 65]),
            Value::from(Numbers(vec![-0.0])),
            Value::from(Numbers(vec![1.0; 65])),
            Value::from(ErrorValue::new("A", "b")),
            Value::from(external(1)),
            Value::from(external(600)),
            Value::from(envelope(true, 1, vec![1].into())),
            Value::from(envelope(true, 513, vec![1].into())),
            Value::from(envelope(false, 1, vec![].into())),
            Value::from(envelope(false, 513, vec![].into())),
            Value::from(envelope(true, 1, external(1).into())),
            Value::from(envelope(true, 513, external(1).into())),
            Value::from(envelope(false, 1, external(1).into())),
            Value::from(envelope(false, 513, external(1).into())),
            Value::from(SharedBufferRef::whole(7, 64)),
        ] {
            let payload = value.encode(&limits).unwrap();
            seen.push(payload.tag());
            assert_eq!(Value::decode(payload.clone(), &limits).as_ref(), Ok(&value));
            assert_eq!(value.clone().encode_owned(&limits), Ok(payload));
        }
        seen.sort_unstable_by_key(|tag| tag.0);
        let sent = |tag: &&Tag| tag.form() != Some(Form::Local);
        assert!(Tag::ASSIGNED.iter().filter(sent).eq(&seen), "{seen:?}");
    }

    #[test]
    fn every_other_tag_is_local_or_unassigned() {
        let limits = Limits::default();
        for raw in (0..64).chain([u32::MAX]) {
            let tag = Tag(raw);
            let refusal = match tag.form() {
                Some(Form::Local) => DecodeError::LocalTag(tag),
                Some(_) => continue,
                None => DecodeError::UnassignedTag(raw),
            };
            assert_eq!(Value::decode(Payload::bare(tag), &limits), Err(refusal.clone()));
            assert_eq!(String::decode(Payload::bare(tag), &limits), Err(refusal.clone()));
            assert_eq!(u8::decode(Payload::bare(tag), &limits), Err(refusal.clone()));
            assert_eq!(ErrorValue::decode(Payload::bare(tag), &limits), Err(refusal));
        }
    }

    /// PAY-24: the length comes before everything else.
    #[test]
    fn every_tag_obeys_the_payload_limit() {
        let limits = Limits::default().with_payload(3);
        for tag in Tag::ASSIGNED.iter().copied().filter(|tag| tag.form() != Some(Form::Local)) {
            let limit = LimitKind::Payload;
            let excess = Excess { tag, limit, actual: 4, most: 3 };
            assert_eq!(
                Value::decode(Payload::bytes(tag, vec![b'1'; 4]), &limits),
                Err(DecodeError::TooLong(excess))
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
