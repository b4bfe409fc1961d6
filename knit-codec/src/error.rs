//! Why a value could not be encoded or decoded.

use alloc::string::String;
use core::fmt;

use knit_proto::Tag;

/// Why a value could not be encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload would exceed [`Limits::payload`](crate::Limits::payload).
    #[error("payload of {actual} bytes exceeds the limit of {limit} bytes")]
    TooLong {
        /// Length, in bytes; for an error value, the length at which encoding stopped.
        actual: usize,
        /// The limit, in bytes.
        limit: u32,
    },
    /// The text is not one JSON document, or the value has no JSON form.
    #[error("not JSON: {reason}")]
    Json {
        /// What is wrong, and where.
        reason: String,
    },
    /// JSON text nests deeper than [`Limits::depth`](crate::Limits::depth).
    #[error("JSON nests deeper than the limit of {limit} levels")]
    Nesting {
        /// The limit, in levels.
        limit: u32,
    },
    /// An error has more causes than [`Limits::causes`](crate::Limits::causes).
    #[error("error has more causes than the limit of {limit}")]
    CauseChain {
        /// The limit, in causes.
        limit: u32,
    },
    /// An unsigned integer exceeds `i64::MAX`, the largest 64-bit bigint.
    #[error("integer {value} is beyond the range of a 64-bit bigint, -2^63 to 2^63-1")]
    Range {
        /// The integer.
        value: u64,
    },
}

impl EncodeError {
    /// The documented code that stands for this failure at a Knitting peer, where there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use knit_codec::{Encode, Limits};
    ///
    /// let refused = "abc".encode(&Limits::default().with_payload(2)).unwrap_err();
    /// assert_eq!(refused.code(), Some("KNT_ERROR_3"));
    /// ```
    #[must_use]
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::TooLong { .. } | Self::CauseChain { .. } => Some("KNT_ERROR_3"),
            Self::Json { .. } | Self::Nesting { .. } => Some("KNT_ERROR_2"),
            Self::Range { .. } => None,
        }
    }
}

/// Why a payload could not be decoded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The payload is a value of another type.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What was asked for.
        expected: &'static str,
        /// What the payload is.
        found: Tag,
    },
    /// The protocol assigns the tag, this crate does not decode it.
    #[error("payload of unsupported type: {0}")]
    UnsupportedTag(Tag),
    /// The protocol does not assign the tag. PAY-1.
    #[error("unassigned payload tag {0}")]
    UnassignedTag(u32),
    /// The payload exceeds [`Limits::payload`](crate::Limits::payload).
    #[error("payload of {actual} bytes exceeds the limit of {limit} bytes")]
    TooLong {
        /// Length, in bytes.
        actual: usize,
        /// The limit, in bytes.
        limit: u32,
    },
    /// Text is not UTF-8.
    #[error("text is not UTF-8 after byte {valid_up_to}")]
    Utf8 {
        /// Length of the valid text at the start, in bytes.
        valid_up_to: usize,
    },
    /// The text is not one JSON document, or not one of the type asked for.
    #[error("not the JSON expected: {reason}")]
    Json {
        /// What is wrong, and where.
        reason: String,
    },
    /// JSON text nests deeper than [`Limits::depth`](crate::Limits::depth).
    #[error("JSON nests deeper than the limit of {limit} levels")]
    Nesting {
        /// The limit, in levels.
        limit: u32,
    },
    /// The text of an error is JSON, but not an object.
    #[error("text of an error is not a JSON object")]
    ErrorShape,
    /// An error has more causes than [`Limits::causes`](crate::Limits::causes).
    #[error("error has more causes than the limit of {limit}")]
    CauseChain {
        /// The limit, in causes.
        limit: u32,
    },
    /// A number or bigint is not a value of the integer type asked for.
    #[error("{found} is not {expected}")]
    Range {
        /// What was asked for.
        expected: &'static str,
        /// What the payload holds.
        found: Numeric,
    },
}

impl DecodeError {
    /// Name of the error in `spec/layout.toml`, the same in every implementation; `None` for errors
    /// that do not come from the bytes but from what was asked of them.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        match self.entry() {
            Some((name, _)) => Some(name),
            None => None,
        }
    }

    /// Id of the clause that the bytes break, such as `PAY-8`, where [`Self::name`] is one.
    #[must_use]
    pub const fn clause(&self) -> Option<&'static str> {
        match self.entry() {
            Some((_, clause)) => Some(clause),
            None => None,
        }
    }

    const fn entry(&self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::UnassignedTag(_) => ("unassigned_tag", "PAY-1"),
            Self::TooLong { .. } => ("too_long", "PAY-24"),
            Self::Utf8 { .. } => ("utf8", "PAY-8"),
            Self::Json { .. } => ("json", "PAY-13"),
            Self::Nesting { .. } => ("nesting", "PAY-14"),
            Self::ErrorShape => ("error_shape", "PAY-16"),
            Self::CauseChain { .. } => ("cause_chain", "PAY-17"),
            Self::WrongType { .. } | Self::UnsupportedTag(_) | Self::Range { .. } => return None,
        })
    }
}

/// A number as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Numeric {
    /// A number.
    Number(f64),
    /// A 64-bit bigint.
    BigInt(i64),
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // `Debug` keeps 1e300 short; `Display` writes all its digits.
            Self::Number(number) => write!(f, "number {number:?}"),
            Self::BigInt(integer) => write!(f, "bigint {integer}"),
        }
    }
}
