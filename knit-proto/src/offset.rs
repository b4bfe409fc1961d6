//! Places inside a segment: byte offsets, word offsets and spans.

/// Offset of a 32-bit word, in bytes from the start of the segment. Always a multiple of four. SEG-28.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WordOffset(u32);

impl WordOffset {
    /// A word at `bytes`; `None` when that is not a multiple of four.
    #[must_use]
    pub const fn new(bytes: u32) -> Option<Self> {
        if bytes.is_multiple_of(4) { Some(Self(bytes)) } else { None }
    }

    /// Offset in bytes from the start of the segment.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        self.0
    }
}

/// A stretch of bytes inside a segment. Start and length are multiples of four, and the end fits
/// 32 bits. The default has no bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    at: u32,
    len: u32,
}

impl Span {
    /// The span `at .. at + len`, in bytes; `None` when a bound is not a multiple of four or the
    /// end overflows 32 bits.
    #[must_use]
    pub const fn new(at: u32, len: u32) -> Option<Self> {
        if !at.is_multiple_of(4) || !len.is_multiple_of(4) || at.checked_add(len).is_none() {
            return None;
        }
        Some(Self { at, len })
    }

    /// First byte, counted from the start of the segment.
    #[must_use]
    pub const fn at(self) -> u32 {
        self.at
    }

    /// Length in bytes.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.len
    }

    /// Whether the span has no bytes.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// First byte after the span.
    #[must_use]
    pub const fn end(self) -> u32 {
        self.at + self.len
    }

    /// The word `bytes` from the start of the span; `None` when it does not lie inside.
    #[must_use]
    pub const fn word(self, bytes: u32) -> Option<WordOffset> {
        match bytes.checked_add(4) {
            Some(end) if end <= self.len => WordOffset::new(self.at + bytes),
            _ => None,
        }
    }

    /// The part `at .. at + len` of this span, counted from its start; `None` when it does not lie
    /// inside or its bounds are not multiples of four.
    #[must_use]
    pub const fn part(self, at: u32, len: u32) -> Option<Self> {
        match at.checked_add(len) {
            Some(end) if end <= self.len => Self::new(self.at + at, len),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_offsets_are_multiples_of_four() {
        assert_eq!(WordOffset::new(8).map(WordOffset::bytes), Some(8));
        assert_eq!(WordOffset::new(6), None);
    }

    #[test]
    fn spans_never_wrap() {
        assert!(Span::new(u32::MAX - 3, 4).is_none());
        assert!(Span::new(0, u32::MAX - 3).is_some());
        assert!(Span::new(2, 4).is_none());
    }

    #[test]
    fn parts_and_words_stay_inside() {
        let span = Span::new(64, 16).unwrap();
        assert_eq!(span.word(12).map(WordOffset::bytes), Some(76));
        assert_eq!(span.word(16), None);
        assert_eq!(span.word(u32::MAX - 3), None);
        assert_eq!(span.part(8, 8), Span::new(72, 8));
        assert_eq!(span.part(8, 12), None);
    }
}
