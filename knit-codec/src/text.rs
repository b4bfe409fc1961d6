//! Strings.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;

use crate::codec::STRING;
use crate::{Decode, DecodeBorrowed, DecodeError, Encode, EncodeError, Limits, Payload};

impl Encode for str {
    #[inline]
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        STRING.text(self.as_bytes(), limits)
    }
}

impl Encode for String {
    #[inline]
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        self.as_str().encode(limits)
    }

    #[inline]
    fn encode_owned(self, limits: &Limits) -> Result<Payload<'static>, EncodeError> {
        STRING.text(self.into_bytes(), limits)
    }
}

impl Decode for String {
    #[inline]
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        STRING.text_of(payload, Self::expected(), limits).map(Cow::into_owned)
    }

    fn expected() -> &'static str {
        "a string"
    }
}

impl<'p> DecodeBorrowed<'p> for &'p str {
    #[inline]
    fn decode_borrowed(payload: &'p Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        STRING.str_of(payload, String::expected(), limits)
    }
}

impl Encode for Box<str> {
    #[inline]
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        (**self).encode(limits)
    }

    #[inline]
    fn encode_owned(self, limits: &Limits) -> Result<Payload<'static>, EncodeError> {
        self.into_string().encode_owned(limits)
    }
}

impl Decode for Box<str> {
    #[inline]
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        String::decode(payload, limits).map(String::into_boxed_str)
    }

    fn expected() -> &'static str {
        String::expected()
    }
}

impl Encode for Cow<'_, str> {
    #[inline]
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        (**self).encode(limits)
    }

    #[inline]
    fn encode_owned(self, limits: &Limits) -> Result<Payload<'static>, EncodeError> {
        match self {
            Cow::Borrowed(text) => text.encode_owned(limits),
            Cow::Owned(text) => text.encode_owned(limits),
        }
    }
}

/// Always borrowed.
impl<'p> DecodeBorrowed<'p> for Cow<'p, str> {
    #[inline]
    fn decode_borrowed(payload: &'p Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        <&str>::decode_borrowed(payload, limits).map(Cow::Borrowed)
    }
}

/// Always owned.
impl Decode for Cow<'_, str> {
    #[inline]
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        String::decode(payload, limits).map(Cow::Owned)
    }

    fn expected() -> &'static str {
        String::expected()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use knit_proto::Tag;

    use super::*;

    #[test]
    fn string_moves_without_a_copy() {
        let limits = Limits::default();
        let text = "x".repeat(600);
        let at = text.as_ptr();
        let payload = text.encode_owned(&limits).unwrap();
        assert_eq!(payload.as_bytes().as_ptr(), at);
        assert_eq!(payload.tag(), Tag::STRING_ARENA);
        let text = String::decode(payload, &limits).unwrap();
        assert_eq!(text.as_ptr(), at);
    }

    #[test]
    fn limit_counts_bytes_not_characters() {
        let limits = Limits::default();
        assert_eq!("€".repeat(170).encode(&limits).unwrap().tag(), Tag::STRING_INLINE);
        assert_eq!("€".repeat(171).encode(&limits).unwrap().tag(), Tag::STRING_ARENA);
    }

    #[test]
    fn bad_utf8_says_how_much_is_valid() {
        let limits = Limits::default();
        let bad = vec![b'a', b'b', 0xFF, b'c'];
        let refused = Err(DecodeError::Utf8 { valid_up_to: 2 });
        let owned = Payload::bytes(Tag::STRING_INLINE, bad.clone());
        let borrowed = Payload::bytes(Tag::STRING_ARENA, bad.as_slice());
        assert_eq!(String::decode(owned, &limits), refused);
        assert_eq!(String::decode(borrowed, &limits), refused);
    }

    #[test]
    fn every_string_type_round_trips() {
        let limits = Limits::default();
        let payload = "a\0é😀".encode(&limits).unwrap();
        assert_eq!(&*Box::<str>::decode(payload.clone(), &limits).unwrap(), "a\0é😀");
        assert_eq!(Cow::<str>::decode(payload.clone(), &limits).unwrap(), "a\0é😀");
        for other in [
            Box::<str>::from("a\0é😀").encode_owned(&limits),
            Cow::Borrowed("a\0é😀").encode_owned(&limits),
            Cow::<str>::Owned("a\0é😀".into()).encode_owned(&limits),
            "a\0é😀".encode_owned(&limits),
        ] {
            assert_eq!(other, Ok(payload.clone()));
        }
    }
}
