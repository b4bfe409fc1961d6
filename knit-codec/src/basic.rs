//! Values that a tag says in full, and the types that pass through.

use knit_proto::Tag;

use crate::codec::{admit, refusal};
use crate::{Decode, DecodeBorrowed, DecodeError, Encode, EncodeError, Limits, Payload};

impl<T: Encode + ?Sized> Encode for &T {
    #[inline]
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        (**self).encode(limits)
    }
}

impl Encode for bool {
    #[inline]
    fn encode(&self, _: &Limits) -> Result<Payload<'_>, EncodeError> {
        Ok(Payload::bare(if *self { Tag::TRUE } else { Tag::FALSE }))
    }
}

impl Decode for bool {
    #[inline]
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        admit(&payload, limits)?;
        match payload.tag() {
            Tag::TRUE => Ok(true),
            Tag::FALSE => Ok(false),
            other => Err(refusal(Self::expected(), other)),
        }
    }

    fn expected() -> &'static str {
        "a boolean"
    }
}

/// The unit is undefined.
impl Encode for () {
    #[inline]
    fn encode(&self, _: &Limits) -> Result<Payload<'_>, EncodeError> {
        Ok(Payload::bare(Tag::UNDEFINED))
    }
}

/// Accepts undefined only; `Option<T>` accepts null too.
impl Decode for () {
    #[inline]
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        admit(&payload, limits)?;
        match payload.tag() {
            Tag::UNDEFINED => Ok(()),
            other => Err(refusal(Self::expected(), other)),
        }
    }

    fn expected() -> &'static str {
        "undefined"
    }
}

/// The null of JavaScript, for peers that tell it from undefined.
///
/// # Examples
///
/// ```
/// use knit_codec::{Decode, Encode, Limits, Null};
///
/// let limits = Limits::default();
/// let payload = Null.encode(&limits)?;
/// assert_eq!(Option::<f64>::decode(payload.clone(), &limits)?, None);
/// assert_eq!(Null::decode(payload, &limits)?, Null);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Null;

impl Encode for Null {
    #[inline]
    fn encode(&self, _: &Limits) -> Result<Payload<'_>, EncodeError> {
        Ok(Payload::bare(Tag::NULL))
    }
}

/// Accepts null only; `Option<T>` accepts undefined too.
impl Decode for Null {
    #[inline]
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        admit(&payload, limits)?;
        match payload.tag() {
            Tag::NULL => Ok(Self),
            other => Err(refusal(Self::expected(), other)),
        }
    }

    fn expected() -> &'static str {
        "null"
    }
}

/// `None` is undefined. `Some` is the value itself, so an option whose value encodes as undefined
/// or null comes back as `None`.
impl<T: Encode> Encode for Option<T> {
    #[inline]
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        match self {
            Some(value) => value.encode(limits),
            None => ().encode(limits).map(Payload::into_owned),
        }
    }

    #[inline]
    fn encode_owned(self, limits: &Limits) -> Result<Payload<'static>, EncodeError> {
        match self {
            Some(value) => value.encode_owned(limits),
            None => ().encode_owned(limits),
        }
    }
}

/// Undefined and null are `None`.
impl<'p, T: DecodeBorrowed<'p>> DecodeBorrowed<'p> for Option<T> {
    #[inline]
    fn decode_borrowed(payload: &'p Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        match payload.tag() {
            Tag::UNDEFINED | Tag::NULL => admit(payload, limits).map(|()| None),
            _ => T::decode_borrowed(payload, limits).map(Some),
        }
    }
}

/// Undefined and null are `None`.
impl<T: Decode> Decode for Option<T> {
    #[inline]
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        match payload.tag() {
            Tag::UNDEFINED | Tag::NULL => admit(&payload, limits).map(|()| None),
            _ => T::decode(payload, limits).map(Some),
        }
    }

    fn expected() -> &'static str {
        T::expected()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    #[test]
    fn booleans_and_unit_are_bare_tags() {
        let limits = Limits::default();
        assert_eq!(true.encode(&limits), Ok(Payload::bare(Tag::TRUE)));
        assert_eq!(false.encode(&limits), Ok(Payload::bare(Tag::FALSE)));
        assert_eq!(().encode(&limits), Ok(Payload::bare(Tag::UNDEFINED)));
        assert_eq!(Null.encode(&limits), Ok(Payload::bare(Tag::NULL)));
        assert_eq!(Null::decode(Payload::bare(Tag::NULL), &limits), Ok(Null));
        assert!(Null::decode(Payload::bare(Tag::UNDEFINED), &limits).is_err());
        assert!(<()>::decode(Payload::bare(Tag::NULL), &limits).is_err());
        assert_eq!(bool::decode(Payload::bare(Tag::TRUE), &limits), Ok(true));
        assert_eq!(bool::decode(Payload::bare(Tag::FALSE), &limits), Ok(false));
        assert_eq!(<()>::decode(Payload::bare(Tag::UNDEFINED), &limits), Ok(()));
    }

    #[test]
    fn undefined_and_null_are_none() {
        let limits = Limits::default();
        for tag in [Tag::UNDEFINED, Tag::NULL] {
            assert_eq!(Option::<f64>::decode(Payload::bare(tag), &limits), Ok(None));
        }
        assert_eq!(Option::<f64>::None.encode(&limits), Ok(Payload::bare(Tag::UNDEFINED)));
        let some = Some(String::from("x")).encode_owned(&limits).unwrap();
        assert_eq!(Option::<String>::decode(some, &limits), Ok(Some("x".into())));
    }

    #[test]
    fn null_is_not_the_unit() {
        let expected = "undefined";
        assert_eq!(
            <()>::decode(Payload::bare(Tag::NULL), &Limits::default()),
            Err(DecodeError::WrongType { expected, found: Tag::NULL })
        );
    }
}
