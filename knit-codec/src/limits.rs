//! Bounds on what is encoded and decoded.

/// Bounds on what is encoded and decoded. H21.
///
/// Both directions obey the same limits, so what one end may encode, an end with equal limits may
/// decode.
///
/// # Examples
///
/// ```
/// use knit_codec::{Decode, DecodeError, Limits, Payload};
/// use knit_proto::Tag;
///
/// let limits = Limits::default().with_payload(2);
/// let payload = Payload::bytes(Tag::STRING_INLINE, b"abc".as_slice());
/// let refused = String::decode(payload, &limits);
/// assert_eq!(refused, Err(DecodeError::TooLong { actual: 3, limit: 2 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest payload, in bytes; 8 MiB by default.
    pub payload: u32,
    /// Most errors below the outermost one in a cause chain; 16 by default. Counts as at most
    /// [`Limits::MAX_CAUSES`].
    pub causes: u32,
    /// Deepest nesting of arrays and objects in JSON text; 128 by default. The text of an error
    /// nests one level for the error and one for each cause.
    pub depth: u32,
}

impl Limits {
    /// Largest cause limit with any effect. Error values nest by ownership, so cloning, comparing
    /// and dropping one takes stack in proportion to its chain.
    pub const MAX_CAUSES: u32 = 256;

    /// These limits with another longest payload, in bytes.
    #[must_use]
    pub const fn with_payload(self, payload: u32) -> Self {
        Self { payload, ..self }
    }

    /// These limits with another length of cause chain.
    #[must_use]
    pub const fn with_causes(self, causes: u32) -> Self {
        Self { causes, ..self }
    }

    /// These limits with another nesting depth of JSON text.
    #[must_use]
    pub const fn with_depth(self, depth: u32) -> Self {
        Self { depth, ..self }
    }

    /// The cause limit that applies.
    pub(crate) const fn cause_limit(&self) -> u32 {
        if self.causes < Self::MAX_CAUSES { self.causes } else { Self::MAX_CAUSES }
    }

    pub(crate) const DEFAULT: Self = Self { payload: 8 << 20, causes: 16, depth: 128 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
