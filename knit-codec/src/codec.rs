//! The two traits, and the rules that all their implementations share.

use alloc::borrow::Cow;

use knit_proto::{Form, Tag};

use crate::utf8::{utf8, utf8_str};
use crate::{DecodeError, EncodeError, INLINE_BYTES, LimitKind, Limits, Payload};

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

/// A value that can be read in place: it borrows the bytes of its payload, which are private
/// already, instead of copying them.
///
/// # Examples
///
/// ```
/// use knit_codec::{DecodeBorrowed, Encode, Limits};
///
/// let limits = Limits::default();
/// let payload = "grüße".encode(&limits)?;
/// let text = <&str>::decode_borrowed(&payload, &limits)?;
/// assert_eq!(text.as_ptr(), payload.as_bytes().as_ptr());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait DecodeBorrowed<'p>: Sized {
    /// The value of `payload`.
    ///
    /// # Errors
    ///
    /// As [`Decode::decode`].
    fn decode_borrowed(payload: &'p Payload<'_>, limits: &Limits) -> Result<Self, DecodeError>;
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

impl Placed {
    pub(crate) const fn new(inline: Tag, arena: Tag) -> Self {
        Self { inline, arena }
    }

    /// The tag of so many bytes: the inline one when they fit a slot. PAY-7.
    #[inline]
    pub(crate) const fn tag(self, len: usize) -> Tag {
        if len <= INLINE_BYTES { self.inline } else { self.arena }
    }

    /// A payload of `bytes`.
    #[inline]
    pub(crate) fn payload<'a>(
        self,
        bytes: impl Into<Cow<'a, [u8]>>,
        limits: &Limits,
    ) -> Result<Payload<'a>, EncodeError> {
        let bytes = bytes.into();
        let tag = self.tag(bytes.len());
        limits.admit(LimitKind::Payload, tag, bytes.len())?;
        Ok(Payload::bytes(tag, bytes))
    }

    /// A payload of text.
    #[inline]
    pub(crate) fn text<'a>(
        self,
        text: impl Into<Cow<'a, [u8]>>,
        limits: &Limits,
    ) -> Result<Payload<'a>, EncodeError> {
        let text = text.into();
        fits_text(self.tag(text.len()), text.len(), limits)?;
        self.payload(text, limits)
    }

    /// Whether `tag` is one of the two.
    #[inline]
    pub(crate) const fn is(self, tag: Tag) -> bool {
        tag.0 == self.inline.0 || tag.0 == self.arena.0
    }

    /// Checks that `payload` carries one of the two tags, and its length.
    #[inline]
    pub(crate) fn check(
        self,
        payload: &Payload<'_>,
        expected: &'static str,
        limits: &Limits,
    ) -> Result<(), DecodeError> {
        if !self.is(payload.tag()) {
            return Err(refusal(expected, payload.tag()));
        }
        admit(payload, limits)
    }

    /// The bytes of `payload`, which must carry one of the two tags.
    #[inline]
    pub(crate) fn bytes_of<'a>(
        self,
        payload: Payload<'a>,
        expected: &'static str,
        limits: &Limits,
    ) -> Result<Cow<'a, [u8]>, DecodeError> {
        self.check(&payload, expected, limits)?;
        Ok(payload.into_bytes())
    }

    /// The text of `payload`, which must carry one of the two tags.
    #[inline]
    pub(crate) fn text_of<'a>(
        self,
        payload: Payload<'a>,
        expected: &'static str,
        limits: &Limits,
    ) -> Result<Cow<'a, str>, DecodeError> {
        self.check(&payload, expected, limits)?;
        limits.admit(LimitKind::Text, payload.tag(), payload.len())?;
        utf8(payload.into_bytes())
    }

    /// The text of `payload`, in place.
    #[inline]
    pub(crate) fn str_of<'p>(
        self,
        payload: &'p Payload<'_>,
        expected: &'static str,
        limits: &Limits,
    ) -> Result<&'p str, DecodeError> {
        self.check(payload, expected, limits)?;
        limits.admit(LimitKind::Text, payload.tag(), payload.len())?;
        utf8_str(payload.as_bytes())
    }
}

/// Checks the length of a payload that is being encoded, in bytes.
pub(crate) fn fits(tag: Tag, len: usize, limits: &Limits) -> Result<(), EncodeError> {
    Ok(limits.admit(LimitKind::Payload, tag, len)?)
}

/// Checks the length of text that is being encoded, in bytes.
pub(crate) fn fits_text(tag: Tag, len: usize, limits: &Limits) -> Result<(), EncodeError> {
    fits(tag, len, limits)?;
    Ok(limits.admit(LimitKind::Text, tag, len)?)
}

/// Checks the length of a payload that is being decoded.
#[inline]
pub(crate) fn admit(payload: &Payload<'_>, limits: &Limits) -> Result<(), DecodeError> {
    Ok(limits.admit(LimitKind::Payload, payload.tag(), payload.len())?)
}

/// Why a payload with this tag is not `expected`.
#[cold]
pub(crate) const fn refusal(expected: &'static str, found: Tag) -> DecodeError {
    match found.form() {
        None => DecodeError::UnassignedTag(found.0),
        Some(Form::Local) => DecodeError::LocalTag(found),
        Some(_) => DecodeError::WrongType { expected, found },
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::Excess;

    #[test]
    fn payload_is_inline_up_to_512_bytes() {
        let limits = Limits::default();
        let tag = |len| STRING.payload(vec![0; len], &limits).unwrap().tag();
        assert_eq!((tag(512), tag(513)), (Tag::STRING_INLINE, Tag::STRING_ARENA));
    }

    /// PAY-24, PAY-28.
    #[test]
    fn payload_limit_is_inclusive_both_ways() {
        let limits = Limits::default().with_payload(3);
        let tag = Tag::BYTES_INLINE;
        let excess = Excess { tag, limit: LimitKind::Payload, actual: 4, most: 3 };
        assert!(fits(tag, 3, &limits).is_ok());
        assert_eq!(fits(tag, 4, &limits), Err(EncodeError::TooLong(excess)));
        let payload = |len| Payload::bytes(tag, vec![0; len]);
        assert!(admit(&payload(3), &limits).is_ok());
        assert_eq!(admit(&payload(4), &limits), Err(DecodeError::TooLong(excess)));
    }

    #[test]
    fn text_limit_is_inclusive_both_ways() {
        let limits = Limits::default().with_text(3);
        let tag = Tag::STRING_INLINE;
        let excess = Excess { tag, limit: LimitKind::Text, actual: 4, most: 3 };
        assert!(STRING.text(b"abc".as_slice(), &limits).is_ok());
        let refused = STRING.text(b"abcd".as_slice(), &limits);
        assert_eq!(refused, Err(EncodeError::TooLong(excess)));
        let payload = Payload::bytes(tag, b"abcd".as_slice());
        assert_eq!(STRING.str_of(&payload, "", &limits), Err(DecodeError::TooLong(excess)));
        assert_eq!(STRING.text_of(payload, "", &limits), Err(DecodeError::TooLong(excess)));
        let payload = Payload::bytes(tag, b"abc".as_slice());
        assert_eq!(STRING.str_of(&payload, "", &limits), Ok("abc"));
        assert_eq!(STRING.text_of(payload, "", &limits).as_deref(), Ok("abc"));
    }

    #[test]
    fn refusal_tells_wrong_local_and_unassigned_apart() {
        let expected = "a string";
        assert_eq!(
            refusal(expected, Tag::NULL),
            DecodeError::WrongType { expected, found: Tag::NULL }
        );
        assert_eq!(refusal(expected, Tag::BUFFER_MOVE), DecodeError::LocalTag(Tag::BUFFER_MOVE));
        assert_eq!(refusal(expected, Tag(1)), DecodeError::UnassignedTag(1));
    }
}
