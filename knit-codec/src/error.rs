//! Why a value could not be encoded or decoded.

use alloc::string::String;
use core::fmt;

use knit_proto::Tag;

use crate::Excess;

/// Why a value could not be encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The value exceeds a limit on its size.
    #[error(transparent)]
    TooLong(#[from] Excess),
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
    /// A field of an error has the name of a member that every error has.
    #[error("a field of an error cannot be called `{name}`")]
    FieldName {
        /// The name.
        name: String,
    },
    /// A codec id that the protocol reserves for values of its own. PAY-21.
    #[error(
        "the codec id `{codec}` is reserved: values of it have a type of their own or cannot be sent"
    )]
    ReservedCodec {
        /// The codec id.
        codec: String,
    },
    /// A time that is further from 1970 than a date can be: 8.64e15 ms either way.
    #[error("the time is out of the range of dates, 8.64e15 ms before and after 1970")]
    DateRange,
    /// A value of a user's codec could not be turned into metadata.
    #[error("codec `{codec}`: {reason}")]
    External {
        /// The codec id.
        codec: &'static str,
        /// What the codec said.
        reason: String,
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
            Self::TooLong(_)
            | Self::CauseChain { .. }
            | Self::FieldName { .. }
            | Self::ReservedCodec { .. }
            | Self::External { .. }
            | Self::DateRange => Some("KNT_ERROR_3"),
            Self::Json { .. } | Self::Nesting { .. } => Some("KNT_ERROR_2"),
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
    /// The tag stands for addresses of one process, which say nothing in another one. PAY-3.
    #[error("{0} cannot be sent through a lane")]
    LocalTag(Tag),
    /// The protocol does not assign the tag. PAY-1.
    #[error("unassigned payload tag {0}")]
    UnassignedTag(u32),
    /// The payload exceeds a limit on its size.
    #[error(transparent)]
    TooLong(#[from] Excess),
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
    /// The length of an array is no whole number of elements.
    #[error("{tag} of {len} bytes is no whole number of elements of {element} bytes")]
    ElementSize {
        /// What the payload is.
        tag: Tag,
        /// Its length in bytes.
        len: usize,
        /// Length of an element in bytes.
        element: usize,
    },
    /// The sign byte of a bigint is missing, or neither 0 nor 1.
    #[error("the sign of a bigint is {}", SignByte(*found))]
    BigIntSign {
        /// The sign byte.
        found: Option<u8>,
    },
    /// An external payload is not `[codec id, metadata]`.
    #[error("text of an external payload is not a JSON array of a string and one more element")]
    ExternalShape,
    /// A shared buffer is not described by eight words.
    #[error("a shared buffer is described by {len} bytes instead of 32")]
    SharedBufferLength {
        /// Number of bytes.
        len: usize,
    },
    /// No shared buffer of this number was given to the receiver. PAY-30.
    #[error("no shared buffer {number} was given to this side")]
    UnknownSharedBuffer {
        /// The number.
        number: u32,
    },
    /// The part that is meant does not lie inside the shared buffer. PAY-30.
    #[error("bytes {start} to {} of shared buffer {number}, which has {available}", u64::from(*start) + u64::from(*len))]
    SharedBufferRange {
        /// Number of the buffer.
        number: u32,
        /// First byte.
        start: u32,
        /// Number of bytes.
        len: u32,
        /// Bytes that there are.
        available: u32,
    },
    /// A date is invalid, or out of the range of the type asked for.
    #[error("the date is invalid or out of range")]
    DateRange,
    /// An external payload is of another codec than was asked for, or of none that is registered.
    #[error("external payload of codec `{found}`, expected {expected}")]
    Codec {
        /// What was asked for.
        expected: String,
        /// Codec id of the payload.
        found: String,
    },
    /// A user's codec refused the metadata of a payload.
    #[error("codec `{codec}`: {reason}")]
    External {
        /// The codec id.
        codec: String,
        /// What the codec said.
        reason: String,
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
            Self::TooLong(_) => ("too_long", "PAY-24"),
            Self::Utf8 { .. } => ("utf8", "PAY-8"),
            Self::Json { .. } => ("json", "PAY-13"),
            Self::Nesting { .. } => ("nesting", "PAY-14"),
            Self::ErrorShape => ("error_shape", "PAY-16"),
            Self::CauseChain { .. } => ("cause_chain", "PAY-17"),
            Self::ElementSize { .. } => ("element_size", "PAY-15"),
            Self::BigIntSign { .. } => ("bigint_sign", "PAY-12"),
            Self::ExternalShape => ("external_shape", "PAY-21"),
            Self::SharedBufferLength { .. } => ("shared_buffer_length", "PAY-22"),
            Self::LocalTag(_) => ("local_tag", "PAY-3"),
            Self::WrongType { .. }
            | Self::UnknownSharedBuffer { .. }
            | Self::SharedBufferRange { .. }
            | Self::DateRange
            | Self::Codec { .. }
            | Self::External { .. }
            | Self::Range { .. } => return None,
        })
    }
}

/// A number as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Numeric {
    /// A number.
    Number(f64),
    /// A bigint in the range of `i64`.
    BigInt(i64),
    /// A bigint beyond that.
    Long {
        /// Whether it is below zero.
        negative: bool,
        /// Bits of its magnitude.
        bits: u64,
    },
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            // `Debug` keeps 1e300 short; `Display` writes all its digits.
            Self::Number(number) => write!(f, "number {number:?}"),
            Self::BigInt(integer) => write!(f, "bigint {integer}"),
            Self::Long { negative: false, bits } => write!(f, "bigint of {bits} bits"),
            Self::Long { negative: true, bits } => write!(f, "negative bigint of {bits} bits"),
        }
    }
}

struct SignByte(Option<u8>);

impl fmt::Display for SignByte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(byte) => write!(f, "{byte}, neither 0 nor 1"),
            None => f.write_str("missing"),
        }
    }
}
