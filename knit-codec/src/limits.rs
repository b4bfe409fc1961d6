//! Bounds on what is encoded and decoded.

use core::fmt;

use knit_proto::Tag;

/// Bounds on what is encoded and decoded. H21.
///
/// Both directions obey the same limits, so what one end may encode, an end with equal limits may
/// decode. Every limit is checked before anything of the size in question is allocated.
///
/// # Examples
///
/// ```
/// use knit_codec::{Decode, DecodeError, Limits, Payload};
/// use knit_proto::Tag;
///
/// let limits = Limits::default().with_payload(2);
/// let payload = Payload::bytes(Tag::STRING_INLINE, b"abc".as_slice());
/// let refused = String::decode(payload, &limits).unwrap_err();
/// let DecodeError::TooLong(excess) = &refused else { panic!("{refused}") };
/// assert_eq!((excess.actual, excess.most), (3, 2));
/// assert_eq!(
///     refused.to_string(),
///     "string (tag 15) of 3 bytes exceeds the payload limit of 2 bytes"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest payload, in bytes; 8 MiB by default.
    pub payload: u32,
    /// Longest string, symbol or JSON text, in bytes; by default whatever a payload holds. The text of an error
    /// is not among them.
    pub text: u32,
    /// Most elements of an array of numbers; by default whatever a payload holds.
    pub elements: u32,
    /// Longest bigint, in limbs of 64 bits; 131 072 (1 MiB) by default. Turning one into decimal
    /// digits takes time that grows with the square of its length.
    pub limbs: u32,
    /// Most errors below the outermost one in a cause chain; 16 by default. Counts as at most
    /// [`Limits::MAX_CAUSES`].
    pub causes: u32,
    /// Most fields of an error and its causes together; 64 by default.
    pub fields: u32,
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

    /// These limits with another longest text, in bytes.
    #[must_use]
    pub const fn with_text(self, text: u32) -> Self {
        Self { text, ..self }
    }

    /// These limits with another number of elements of an array.
    #[must_use]
    pub const fn with_elements(self, elements: u32) -> Self {
        Self { elements, ..self }
    }

    /// These limits with another length of bigints, in limbs of 64 bits.
    #[must_use]
    pub const fn with_limbs(self, limbs: u32) -> Self {
        Self { limbs, ..self }
    }

    /// These limits with another length of cause chain.
    #[must_use]
    pub const fn with_causes(self, causes: u32) -> Self {
        Self { causes, ..self }
    }

    /// These limits with another number of fields of errors.
    #[must_use]
    pub const fn with_fields(self, fields: u32) -> Self {
        Self { fields, ..self }
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

    /// Checks a size of a value with this tag.
    pub(crate) const fn admit(
        &self,
        limit: LimitKind,
        tag: Tag,
        actual: usize,
    ) -> Result<(), Excess> {
        let most = match limit {
            LimitKind::Payload => self.payload,
            LimitKind::Text => self.text,
            LimitKind::Elements => self.elements,
            LimitKind::Limbs => self.limbs,
            LimitKind::Fields => self.fields,
        };
        // A `u32` fits every `usize` that there is memory for.
        if actual <= most as usize { Ok(()) } else { Err(Excess { tag, limit, actual, most }) }
    }

    /// The limits where nothing else is said.
    pub const DEFAULT: Self = Self {
        payload: 8 << 20,
        text: u32::MAX,
        elements: u32::MAX,
        limbs: 1 << 17,
        causes: 16,
        fields: 64,
        depth: 128,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A limit on a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitKind {
    /// [`Limits::payload`].
    Payload,
    /// [`Limits::text`].
    Text,
    /// [`Limits::elements`].
    Elements,
    /// [`Limits::limbs`].
    Limbs,
    /// [`Limits::fields`].
    Fields,
}

impl LimitKind {
    const fn unit(self) -> &'static str {
        match self {
            Self::Payload | Self::Text => "bytes",
            Self::Elements => "elements",
            Self::Limbs => "limbs of 64 bits",
            Self::Fields => "fields",
        }
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Payload => "payload",
            Self::Text => "text",
            Self::Elements => "element",
            Self::Limbs => "bigint",
            Self::Fields => "field",
        })
    }
}

/// A value that is larger than a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// What the value is.
    pub tag: Tag,
    /// The limit that it exceeds.
    pub limit: LimitKind,
    /// Its size, in the unit of the limit; for a value whose encoding is text that is made for it,
    /// the size at which encoding stopped.
    pub actual: usize,
    /// The largest size that the limit allows.
    pub most: u32,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tag, limit, actual, most } = self;
        let unit = limit.unit();
        write!(f, "{tag} of {actual} {unit} exceeds the {limit} limit of {most} {unit}")
    }
}

impl core::error::Error for Excess {}
