//! A payload in private memory.

use alloc::borrow::Cow;
use core::fmt;

use knit_proto::Tag;

/// Longest payload that fits the inline area of a slot, in bytes.
pub const INLINE_BYTES: usize = knit_proto::INLINE_BYTES as usize;

/// A payload in private memory: what a slot says, and its bytes.
///
/// Which fields count depends on the [form](Tag::form) of the tag: none for a bare tag, the scalar
/// for a scalar, the bytes for the others. The fields that do not count are ignored by decoders
/// and left zero or empty by encoders.
///
/// # Examples
///
/// ```
/// use knit_codec::Payload;
/// use knit_proto::Tag;
///
/// let payload = Payload::bytes(Tag::STRING_INLINE, b"abc".as_slice());
/// assert_eq!((payload.tag(), payload.len(), payload.head_len()), (Tag::STRING_INLINE, 3, 3));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Payload<'a> {
    tag: Tag,
    scalar: u64,
    bytes: Cow<'a, [u8]>,
    head: u32,
}

impl<'a> Payload<'a> {
    /// A payload whose tag says it all.
    #[must_use]
    pub const fn bare(tag: Tag) -> Self {
        Self::scalar(tag, 0)
    }

    /// A payload of eight bytes: word 3 is the low half of `bits`, word 4 the high half.
    #[must_use]
    pub const fn scalar(tag: Tag, bits: u64) -> Self {
        Self { tag, scalar: bits, bytes: Cow::Borrowed(&[]), head: 0 }
    }

    /// A payload of one run of bytes.
    #[must_use]
    pub fn bytes(tag: Tag, bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        Self::two_parts(tag, bytes.into(), u32::MAX)
    }

    /// A payload of two parts, one after the other in `bytes`: the first `head` bytes, then the
    /// rest. A head longer than `bytes` counts as all of them.
    #[must_use]
    pub fn two_parts(tag: Tag, bytes: Cow<'a, [u8]>, head: u32) -> Self {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self { tag, scalar: 0, bytes, head: head.min(len) }
    }

    /// The bytes themselves, without a copy when the payload owns them.
    #[must_use]
    pub fn into_bytes(self) -> Cow<'a, [u8]> {
        self.bytes
    }

    /// The same payload with bytes of its own.
    #[must_use]
    pub fn into_owned(self) -> Payload<'static> {
        let Self { tag, scalar, bytes, head } = self;
        Payload { tag, scalar, bytes: Cow::Owned(bytes.into_owned()), head }
    }

    /// What the payload is.
    #[must_use]
    pub const fn tag(&self) -> Tag {
        self.tag
    }

    /// The eight bytes of a scalar; zero for other forms.
    #[must_use]
    pub const fn scalar_bits(&self) -> u64 {
        self.scalar
    }

    /// The bytes, both parts where there are two.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Length of the first part, in bytes; all of them for a payload of one part.
    #[must_use]
    pub const fn head_len(&self) -> u32 {
        self.head
    }

    /// Number of bytes. Zero for bare tags and scalars.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the payload has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Shows the first bytes only.
impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.bytes.get(..SHOWN_BYTES).unwrap_or(&self.bytes);
        f.debug_struct("Payload")
            .field("tag", &self.tag)
            .field("scalar", &format_args!("{:#x}", self.scalar))
            .field("len", &self.len())
            .field("head", &self.head)
            .field("first", &format_args!("{shown:02x?}"))
            .finish()
    }
}

/// Bytes that `Debug` shows, so that a log line stays a line.
const SHOWN_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use alloc::{format, vec};

    use super::*;

    #[test]
    fn debug_output_stays_short() {
        let payload = Payload::bytes(Tag::BYTES_ARENA, vec![0xAB; 1 << 20]);
        let text = format!("{payload:?}");
        assert!(text.len() < 300, "{} bytes", text.len());
        assert!(text.contains("1048576"));
    }

    #[test]
    fn head_never_exceeds_the_bytes() {
        let bytes = Cow::Borrowed(b"abcd".as_slice());
        assert_eq!(Payload::two_parts(Tag::ENVELOPE_TEXT_ARENA, bytes.clone(), 9).head_len(), 4);
        assert_eq!(Payload::two_parts(Tag::ENVELOPE_TEXT_ARENA, bytes, 1).head_len(), 1);
    }

    #[test]
    fn owned_copy_equals_the_borrowed_payload() {
        let borrowed = Payload::bytes(Tag::BYTES_INLINE, b"abc".as_slice());
        assert_eq!(borrowed.clone().into_owned(), borrowed);
    }
}
