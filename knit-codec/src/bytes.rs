//! Bytes: those that JavaScript peers see as `Uint8Array`, and the other kinds that are bytes there.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use knit_proto::Tag;

use crate::codec::{Placed, admit, refusal};
use crate::{Decode, DecodeBorrowed, DecodeError, Encode, EncodeError, Limits, Payload};

pub(crate) const BYTES: Placed = Placed::new(Tag::BYTES_INLINE, Tag::BYTES_ARENA);
pub(crate) const ARRAY_BUFFER: Placed =
    Placed::new(Tag::ARRAY_BUFFER_INLINE, Tag::ARRAY_BUFFER_ARENA);
pub(crate) const NODE_BUFFER: Placed = Placed::new(Tag::NODE_BUFFER_INLINE, Tag::NODE_BUFFER_ARENA);
pub(crate) const DATA_VIEW: Placed = Placed::new(Tag::DATA_VIEW_INLINE, Tag::DATA_VIEW_ARENA);

impl Encode for [u8] {
    #[inline]
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        BYTES.payload(self, limits)
    }
}

impl Encode for Vec<u8> {
    #[inline]
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        self.as_slice().encode(limits)
    }

    #[inline]
    fn encode_owned(self, limits: &Limits) -> Result<Payload<'static>, EncodeError> {
        BYTES.payload(self, limits)
    }
}

/// Accepts every kind that is bytes: `Uint8Array`, `ArrayBuffer`, `Buffer`, `DataView`. PAY-6.
impl Decode for Vec<u8> {
    #[inline]
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        check(&payload, limits)?;
        Ok(payload.into_bytes().into_owned())
    }

    fn expected() -> &'static str {
        EXPECTED
    }
}

/// Accepts what `Vec<u8>` accepts.
impl<'p> DecodeBorrowed<'p> for &'p [u8] {
    #[inline]
    fn decode_borrowed(payload: &'p Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        check(payload, limits)?;
        Ok(payload.as_bytes())
    }
}

/// Always borrowed.
impl<'p> DecodeBorrowed<'p> for Cow<'p, [u8]> {
    #[inline]
    fn decode_borrowed(payload: &'p Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        <&[u8]>::decode_borrowed(payload, limits).map(Cow::Borrowed)
    }
}

impl<const N: usize> Encode for [u8; N] {
    #[inline]
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        self.as_slice().encode(limits)
    }
}

impl Encode for Box<[u8]> {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        (**self).encode(limits)
    }

    fn encode_owned(self, limits: &Limits) -> Result<Payload<'static>, EncodeError> {
        self.into_vec().encode_owned(limits)
    }
}

impl Decode for Box<[u8]> {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        Vec::<u8>::decode(payload, limits).map(Vec::into_boxed_slice)
    }

    fn expected() -> &'static str {
        EXPECTED
    }
}

impl Encode for Cow<'_, [u8]> {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        (**self).encode(limits)
    }

    fn encode_owned(self, limits: &Limits) -> Result<Payload<'static>, EncodeError> {
        self.into_owned().encode_owned(limits)
    }
}

/// Always owned.
impl Decode for Cow<'_, [u8]> {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        Vec::<u8>::decode(payload, limits).map(Cow::Owned)
    }

    fn expected() -> &'static str {
        EXPECTED
    }
}

/// Checks that `payload` is of a kind that is bytes, and its length.
#[inline]
fn check(payload: &Payload<'_>, limits: &Limits) -> Result<(), DecodeError> {
    let kinds = [BYTES, ARRAY_BUFFER, NODE_BUFFER, DATA_VIEW];
    if kinds.iter().any(|kind| kind.is(payload.tag())) {
        admit(payload, limits)
    } else {
        Err(refusal(EXPECTED, payload.tag()))
    }
}

const EXPECTED: &str = "bytes";

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $placed:ident, $expected:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $kind(pub Vec<u8>);

        impl Encode for $kind {
            fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
                $placed.payload(self.0.as_slice(), limits)
            }

            fn encode_owned(self, limits: &Limits) -> Result<Payload<'static>, EncodeError> {
                $placed.payload(self.0, limits)
            }
        }

        impl Decode for $kind {
            fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
                let bytes = $placed.bytes_of(payload, Self::expected(), limits)?;
                Ok(Self(bytes.into_owned()))
            }

            fn expected() -> &'static str {
                $expected
            }
        }

        impl From<Vec<u8>> for $kind {
            fn from(bytes: Vec<u8>) -> Self {
                Self(bytes)
            }
        }

        impl From<$kind> for Vec<u8> {
            fn from(bytes: $kind) -> Self {
                bytes.0
            }
        }

        impl AsRef<[u8]> for $kind {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
    )*};
}

kinds! {
    /// Bytes that JavaScript peers see as an `ArrayBuffer`.
    ///
    /// # Examples
    ///
    /// ```
    /// use knit_codec::{ArrayBuffer, Decode, Encode, Limits};
    ///
    /// let limits = Limits::default();
    /// let payload = ArrayBuffer(vec![1, 2]).encode_owned(&limits)?;
    /// assert_eq!(Vec::<u8>::decode(payload, &limits)?, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ArrayBuffer, ARRAY_BUFFER, "an ArrayBuffer";
    /// Bytes that JavaScript peers see as a Node `Buffer`.
    NodeBuffer, NODE_BUFFER, "a Buffer";
    /// Bytes that JavaScript peers see as a `DataView`.
    DataView, DATA_VIEW, "a DataView";
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn bytes_move_without_a_copy() {
        let limits = Limits::default();
        let bytes = vec![7; 600];
        let at = bytes.as_ptr();
        let payload = bytes.encode_owned(&limits).unwrap();
        assert_eq!(payload.as_bytes().as_ptr(), at);
        assert_eq!(payload.tag(), Tag::BYTES_ARENA);
        let bytes = Vec::<u8>::decode(payload, &limits).unwrap();
        assert_eq!(bytes.as_ptr(), at);
    }

    #[test]
    fn a_slice_is_bytes() {
        let limits = Limits::default();
        let payload = [1_u8, 2].as_slice().encode(&limits).unwrap();
        assert_eq!(payload, Payload::bytes(Tag::BYTES_INLINE, vec![1, 2]));
        assert_eq!(Cow::Borrowed([1_u8, 2].as_slice()).encode_owned(&limits), Ok(payload.clone()));
        assert_eq!(Box::<[u8]>::from([1, 2]).encode_owned(&limits), Ok(payload.clone()));
        assert_eq!(Cow::<[u8]>::decode(payload.clone(), &limits).unwrap(), [1, 2].as_slice());
        assert_eq!(*Box::<[u8]>::decode(payload, &limits).unwrap(), [1, 2]);
    }

    /// PAY-6: a language with one type of bytes takes all kinds as such.
    #[test]
    fn every_kind_of_bytes_decodes_as_bytes_and_as_itself_only() {
        let limits = Limits::default();
        for len in [0, 3, 512, 513] {
            let bytes = vec![9; len];
            let payloads = [
                bytes.clone().encode_owned(&limits).unwrap(),
                ArrayBuffer(bytes.clone()).encode_owned(&limits).unwrap(),
                NodeBuffer(bytes.clone()).encode_owned(&limits).unwrap(),
                DataView(bytes.clone()).encode_owned(&limits).unwrap(),
            ];
            for (kind, payload) in payloads.into_iter().enumerate() {
                assert_eq!(<&[u8]>::decode_borrowed(&payload, &limits).as_deref(), Ok(&*bytes));
                assert_eq!(ArrayBuffer::decode(payload.clone(), &limits).is_ok(), kind == 1);
                assert_eq!(NodeBuffer::decode(payload.clone(), &limits).is_ok(), kind == 2);
                assert_eq!(DataView::decode(payload.clone(), &limits).is_ok(), kind == 3);
                assert_eq!(Vec::<u8>::decode(payload, &limits).as_ref(), Ok(&bytes));
            }
        }
        let text = "abc".encode(&limits).unwrap();
        let refused = Err(DecodeError::WrongType { expected: "bytes", found: Tag::STRING_INLINE });
        assert_eq!(Vec::<u8>::decode(text, &limits), refused);
    }
}
