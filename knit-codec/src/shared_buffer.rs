//! Which part of which shared buffer a payload means.

use knit_proto::Tag;

use crate::codec::{admit, refusal};
use crate::{Decode, DecodeError, Encode, EncodeError, External, Limits, Payload};

/// Which part of which shared buffer a payload means. PAY-22.
///
/// All of it is what a peer claims. The number names an entry of a table that the receiver has
/// filled by other means than the lane, never a descriptor to be opened, and only the length of that
/// entry tells what can be accessed (PAY-30). This crate moves the words and knows no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SharedBufferRef {
    /// Number of the buffer.
    pub number: u32,
    /// Length of the shared object, in bytes.
    pub object_len: u32,
    /// Length of the mapping, in bytes.
    pub mapping_len: u32,
    /// Start of the part that is meant, in bytes from the start of the mapping.
    pub start: u32,
    /// Length of that part, in bytes.
    pub len: u32,
    /// Runtime of the sender: 0 unknown, 1 Node, 2 Deno, 3 Bun.
    pub runtime: u32,
    /// Type at the sender: 0 unknown, 1 shared array buffer, 2 external array buffer.
    pub kind: u32,
    /// Address of the mapping modulo 64, or [`Self::NO_ADDRESS`].
    pub base_mod_64: u32,
}

impl SharedBufferRef {
    /// An address that is not stated.
    pub const NO_ADDRESS: u32 = u32::MAX;

    /// All of the buffer with this number, which has `len` bytes.
    #[must_use]
    pub const fn whole(number: u32, len: u32) -> Self {
        Self {
            number,
            object_len: len,
            mapping_len: len,
            start: 0,
            len,
            runtime: 0,
            kind: 0,
            base_mod_64: Self::NO_ADDRESS,
        }
    }

    /// The shared buffer that a payload names: it is one, or an envelope whose body is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use knit_codec::{Encode, Envelope, External, Header, Limits, SharedBufferRef};
    ///
    /// let limits = Limits::default();
    /// let buffer = SharedBufferRef::whole(7, 4096);
    /// let header = Header::Text("samples".into());
    /// let envelope = Envelope::new(header, External::shared_buffer(&buffer));
    /// let payload = envelope.encode(&limits)?;
    /// assert_eq!(SharedBufferRef::named_by(&payload), Some(buffer));
    /// assert_eq!(SharedBufferRef::named_by(&"samples".encode(&limits)?), None);
    /// # Ok::<(), knit_codec::EncodeError>(())
    /// ```
    #[must_use]
    pub fn named_by(payload: &Payload<'_>) -> Option<Self> {
        // The payload is here already: its length is no matter of limits any more.
        let limits = Limits::DEFAULT.with_payload(u32::MAX);
        match payload.tag() {
            Tag::SHARED_BUFFER => {
                Self::decode(Payload::bytes(Tag::SHARED_BUFFER, payload.as_bytes()), &limits).ok()
            }
            tag if Self::may_be_named_by(tag) => {
                let body = payload.as_bytes().get(payload.head_len() as usize..)?;
                let body = Payload::bytes(Tag::EXTERNAL_ARENA, body);
                External::decode(body, &limits).ok()?.as_shared_buffer()
            }
            _ => None,
        }
    }

    /// Whether a payload with this tag may name a shared buffer.
    #[inline]
    #[must_use]
    pub const fn may_be_named_by(tag: Tag) -> bool {
        matches!(
            tag,
            Tag::SHARED_BUFFER
                | Tag::ENVELOPE_JSON_INLINE_EXTERNAL
                | Tag::ENVELOPE_JSON_ARENA_EXTERNAL
                | Tag::ENVELOPE_TEXT_INLINE_EXTERNAL
                | Tag::ENVELOPE_TEXT_ARENA_EXTERNAL
        )
    }

    /// The eight words, as they are on the wire.
    #[must_use]
    pub const fn words(&self) -> [u32; 8] {
        let Self { number, object_len, mapping_len, start, len, runtime, kind, base_mod_64 } =
            *self;
        [number, object_len, mapping_len, start, len, runtime, kind, base_mod_64]
    }
}

impl From<[u32; 8]> for SharedBufferRef {
    fn from(words: [u32; 8]) -> Self {
        let [number, object_len, mapping_len, start, len, runtime, kind, base_mod_64] = words;
        Self { number, object_len, mapping_len, start, len, runtime, kind, base_mod_64 }
    }
}

impl Encode for SharedBufferRef {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        let bytes = self.words().map(u32::to_le_bytes).concat();
        crate::codec::fits(Tag::SHARED_BUFFER, bytes.len(), limits)?;
        Ok(Payload::bytes(Tag::SHARED_BUFFER, bytes))
    }
}

impl Decode for SharedBufferRef {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        if payload.tag() != Tag::SHARED_BUFFER {
            return Err(refusal(Self::expected(), payload.tag()));
        }
        admit(&payload, limits)?;
        match payload.as_bytes().as_chunks() {
            (words, []) => <[[u8; 4]; 8]>::try_from(words).ok(),
            _ => None,
        }
        .map(|words| words.map(u32::from_le_bytes).into())
        .ok_or(DecodeError::SharedBufferLength { len: payload.len() })
    }

    fn expected() -> &'static str {
        "a shared buffer"
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// PAY-22.
    #[test]
    fn eight_words_and_no_more_are_a_shared_buffer() {
        let limits = Limits::default();
        let buffer = SharedBufferRef::from([7, 4096, 4096, 64, 128, 1, 1, 0]);
        let payload = buffer.encode(&limits).unwrap();
        assert_eq!(payload.as_bytes()[..8], [7, 0, 0, 0, 0, 16, 0, 0]);
        assert_eq!(SharedBufferRef::decode(payload, &limits), Ok(buffer));
        for len in [0, 28, 31, 33, 36] {
            let payload = Payload::bytes(Tag::SHARED_BUFFER, vec![0; len]);
            let refused = SharedBufferRef::decode(payload, &limits);
            assert_eq!(refused, Err(DecodeError::SharedBufferLength { len }));
        }
    }
}
