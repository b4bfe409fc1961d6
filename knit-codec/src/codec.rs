//! The two traits, and the rules that all their implementations share.

use alloc::borrow::Cow;
use alloc::string::String;

use knit_proto::Tag;

use crate::{DecodeError, EncodeError, INLINE_BYTES, Limits, Payload};

/// A value that can be sent.
pub trait Encode {
    /// The value as a payload, which borrows the value's bytes where it can.
    ///
    /// # Errors
    ///
    /// [`EncodeError`], when the value has no encoding or exceeds `limits`.
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError>;

    /// The value as a payload that owns its bytes; those of a `String` or `Vec<u8>` are moved, not
    /// copied.
    ///
    /// # Errors
    ///
    /// As [`Encode::encode`].
    fn encode_owned(self, limits: &Limits) -> Result<Payload<'static>, EncodeError>
    where
        Self: Sized,
    {
        self.encode(limits).map(Payload::into_owned)
    }
}

/// A value that can be received.
pub trait Decode: Sized {
    /// The value of `payload`. Bytes that the payload owns are moved into a `String` or `Vec<u8>`,
    /// not copied.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], when the payload is of another type, malformed, or exceeds `limits`. No
    /// payload leads to a panic.
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError>;

    /// What [`Decode::decode`] accepts, for error messages: "a number".
    fn expected() -> &'static str;
}

/// The two tags of a type whose bytes may be inline or in the arena.
#[derive(Clone, Copy)]
pub(crate) struct Placed {
    inline: Tag,
    arena: Tag,
}

/// Upstream also asks for at most 512 UTF-16 units before text goes inline. That follows from the
/// byte rule: no text has more UTF-16 units than UTF-8 bytes.
pub(crate) const STRING: Placed = Placed { inline: Tag::STRING_INLINE, arena: Tag::STRING_ARENA };
pub(crate) const JSON: Placed = Placed { inline: Tag::JSON_INLINE, arena: Tag::JSON_ARENA };
pub(crate) const BYTES: Placed = Placed { inline: Tag::BYTES_INLINE, arena: Tag::BYTES_ARENA };

impl Placed {
    /// A payload of `bytes`, with the inline tag when they fit a slot.
    pub(crate) fn payload<'a>(
        self,
        bytes: impl Into<Cow<'a, [u8]>>,
        limits: &Limits,
    ) -> Result<Payload<'a>, EncodeError> {
        let bytes = bytes.into();
        fits(bytes.len(), limits)?;
        let tag = if bytes.len() <= INLINE_BYTES { self.inline } else { self.arena };
        Ok(Payload::bytes(tag, bytes))
    }

    /// The bytes of `payload`, which must carry one of the two tags.
    pub(crate) fn bytes_of<'a>(
        self,
        payload: Payload<'a>,
        expected: &'static str,
        limits: &Limits,
    ) -> Result<Cow<'a, [u8]>, DecodeError> {
        if payload.tag() != self.inline && payload.tag() != self.arena {
            return Err(refusal(expected, payload.tag()));
        }
        admit(&payload, limits)?;
        Ok(payload.into_bytes())
    }
}

/// Checks the length of a payload that is being encoded, in bytes.
pub(crate) fn fits(len: usize, limits: &Limits) -> Result<(), EncodeError> {
    match u32::try_from(len) {
        Ok(narrow) if narrow <= limits.payload => Ok(()),
        _ => Err(EncodeError::TooLong { actual: len, limit: limits.payload }),
    }
}

/// Checks the length of a payload that is being decoded.
pub(crate) fn admit(payload: &Payload<'_>, limits: &Limits) -> Result<(), DecodeError> {
    match u32::try_from(payload.len()) {
        Ok(narrow) if narrow <= limits.payload => Ok(()),
        _ => Err(DecodeError::TooLong { actual: payload.len(), limit: limits.payload }),
    }
}

/// Why a payload with this tag is not `expected`.
pub(crate) const fn refusal(expected: &'static str, found: Tag) -> DecodeError {
    match found {
        _ if found.form().is_none() => DecodeError::UnassignedTag(found.0),
        Tag::BIGINT_I64
        | Tag::TRUE
        | Tag::FALSE
        | Tag::UNDEFINED
        | Tag::NAN
        | Tag::NUMBER
        | Tag::NULL
        | Tag::STRING_ARENA
        | Tag::STRING_INLINE
        | Tag::JSON_ARENA
        | Tag::JSON_INLINE
        | Tag::BYTES_ARENA
        | Tag::BYTES_INLINE
        | Tag::ERROR => DecodeError::WrongType { expected, found },
        _ => DecodeError::UnsupportedTag(found),
    }
}

/// Text of the bytes, without a copy when they are owned.
pub(crate) fn utf8(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, str>, DecodeError> {
    let refuse =
        |fault: core::str::Utf8Error| DecodeError::Utf8 { valid_up_to: fault.valid_up_to() };
    match bytes {
        Cow::Borrowed(bytes) => core::str::from_utf8(bytes).map(Cow::Borrowed).map_err(refuse),
        Cow::Owned(bytes) => {
            String::from_utf8(bytes).map(Cow::Owned).map_err(|fault| refuse(fault.utf8_error()))
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn payload_is_inline_up_to_512_bytes() {
        let limits = Limits::default();
        assert_eq!(BYTES.payload(vec![0; 512], &limits).unwrap().tag(), Tag::BYTES_INLINE);
        assert_eq!(BYTES.payload(vec![0; 513], &limits).unwrap().tag(), Tag::BYTES_ARENA);
    }

    /// PAY-24, PAY-28.
    #[test]
    fn payload_limit_is_inclusive_both_ways() {
        let limits = Limits::default().with_payload(3);
        assert!(fits(3, &limits).is_ok());
        assert_eq!(fits(4, &limits), Err(EncodeError::TooLong { actual: 4, limit: 3 }));
        let payload = |len| Payload::bytes(Tag::BYTES_INLINE, vec![0; len]);
        assert!(admit(&payload(3), &limits).is_ok());
        assert_eq!(admit(&payload(4), &limits), Err(DecodeError::TooLong { actual: 4, limit: 3 }));
    }

    #[test]
    fn refusal_tells_wrong_unsupported_and_unassigned_apart() {
        let expected = "a string";
        assert_eq!(
            refusal(expected, Tag::NULL),
            DecodeError::WrongType { expected, found: Tag::NULL }
        );
        assert_eq!(refusal(expected, Tag::DATE), DecodeError::UnsupportedTag(Tag::DATE));
        assert_eq!(refusal(expected, Tag(1)), DecodeError::UnassignedTag(1));
    }
}
