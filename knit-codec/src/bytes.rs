//! Bytes, which JavaScript peers see as `Uint8Array`.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::codec::BYTES;
use crate::{Decode, DecodeError, Encode, EncodeError, Limits, Payload};

impl Encode for [u8] {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        BYTES.payload(self, limits)
    }
}

impl Encode for Vec<u8> {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        self.as_slice().encode(limits)
    }

    fn encode_owned(self, limits: &Limits) -> Result<Payload<'static>, EncodeError> {
        BYTES.payload(self, limits)
    }
}

impl Decode for Vec<u8> {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        BYTES.bytes_of(payload, Self::expected(), limits).map(Cow::into_owned)
    }

    fn expected() -> &'static str {
        "bytes"
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use knit_proto::Tag;

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
    fn empty_bytes_are_inline() {
        let payload = [].as_slice().encode_owned(&Limits::default()).unwrap();
        assert_eq!((payload.tag(), payload.len()), (Tag::BYTES_INLINE, 0));
    }

    #[test]
    fn string_is_not_bytes() {
        let limits = Limits::default();
        let payload = "abc".encode(&limits).unwrap();
        assert_eq!(
            Vec::<u8>::decode(payload, &limits),
            Err(DecodeError::WrongType { expected: "bytes", found: Tag::STRING_INLINE })
        );
    }
}
