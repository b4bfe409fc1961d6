//! Why a segment is refused.

use crate::{
    ARENA_GRANULE, BYTE_ORDER_MARK, Clause, Features, GeometryError, MAGIC, MAX_EXTENSION_BYTES,
    MIN_EXTENSION_BYTES, PAGE_BYTES, Version,
};
use core::fmt;

/// Why a segment is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// The ready word is zero: the creator has not finished, or died before it had.
    NotReady,
    /// The first word is not the magic: this is no segment.
    Magic {
        /// What it is.
        found: u32,
    },
    /// The creator has another byte order, or the page is damaged.
    ByteOrder {
        /// What the mark reads as.
        found: u32,
    },
    /// Version numbers beyond sixteen bits.
    VersionRange {
        /// Major number as found.
        major: u32,
        /// Minor number as found.
        minor: u32,
    },
    /// A version that this reader does not understand.
    Version {
        /// The segment's version.
        found: Version,
        /// The reader's version.
        reader: Version,
    },
    /// The ready word is not that of the segment's version.
    Ready {
        /// What it must be.
        expected: u32,
        /// What it is.
        found: u32,
    },
    /// A field that is the same in every segment has another value.
    Fixed {
        /// What the field is.
        name: &'static str,
        /// Its offset in the header, in bytes.
        at: u32,
        /// What it must be.
        expected: u32,
        /// What it is.
        found: u32,
    },
    /// Features are required that this reader does not know.
    RequiredFeatures {
        /// Those features.
        unknown: Features,
    },
    /// The epoch is zero.
    Epoch,
    /// No such kind of lane.
    LaneKind {
        /// The word.
        found: u32,
    },
    /// The extension is no whole number of pages, too short or too long.
    Extension {
        /// Its length in bytes.
        bytes: u32,
    },
    /// Sizes that no lane can have.
    Geometry(GeometryError),
    /// Start or length of a region is not what the geometry implies.
    Region {
        /// Offset of the word in the header, in bytes.
        at: u32,
        /// What it must be.
        expected: u32,
        /// What it is.
        found: u32,
    },
    /// Stated, implied and mapped length of the segment do not agree.
    Length {
        /// Length that the header states, in bytes.
        stated: u64,
        /// Length that its geometry implies, in bytes.
        implied: u64,
        /// Length that is mapped, in bytes.
        mapped: u64,
    },
    /// More of an arena has memory behind it than there is, or no whole number of granules.
    Reserved {
        /// Reserved bytes.
        bytes: u32,
        /// Bytes of the arena's data.
        data_bytes: u32,
    },
}

impl HeaderError {
    /// Name of the error in `spec/layout.toml`, the same in every implementation.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.entry().0
    }

    /// The clause that the header breaks.
    #[must_use]
    pub const fn clause(&self) -> Clause {
        Clause::new(self.entry().1)
    }

    const fn entry(&self) -> (&'static str, &'static str) {
        match self {
            Self::NotReady => ("not_ready", "SEG-7"),
            Self::Magic { .. } => ("magic", "SEG-1"),
            Self::ByteOrder { .. } => ("byte_order", "SEG-2"),
            Self::VersionRange { .. } => ("version_range", "SEG-3"),
            Self::Version { .. } => ("version", "SEG-3"),
            Self::Ready { .. } => ("ready_word", "SEG-6"),
            Self::Fixed { .. } => ("fixed_field", "SEG-21"),
            Self::RequiredFeatures { .. } => ("required_features", "SEG-8"),
            Self::Epoch => ("epoch", "SEG-18"),
            Self::LaneKind { .. } => ("lane_kind", "SEG-20"),
            Self::Extension { .. } => ("extension_length", "SEG-25"),
            Self::Geometry(GeometryError::Arena { .. }) => ("arena_length", "SEG-16"),
            Self::Geometry(GeometryError::AbortCapacity { .. }) => ("abort_capacity", "SEG-17"),
            Self::Region { .. } => ("region", "SEG-12"),
            Self::Length { .. } => ("segment_length", "SEG-11"),
            Self::Reserved { .. } => ("reserved_bytes", "SEG-22"),
        }
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("the segment's creator has not finished it"),
            Self::Magic { found } => {
                write!(f, "not a knit segment: magic {found:#010x}, expected {MAGIC:#010x}")
            }
            Self::ByteOrder { found } => write!(
                f,
                "byte-order mark {found:#010x}, expected {BYTE_ORDER_MARK:#010x}: the segment was \
                 made on a machine of another byte order, or is damaged"
            ),
            Self::VersionRange { major, minor } => {
                write!(f, "version {major}.{minor} does not fit sixteen bits each")
            }
            Self::Version { found, reader } => {
                write!(f, "segment of layout {found}, this reader understands {reader}")
            }
            Self::Ready { expected, found } => {
                write!(f, "ready word {found:#010x}, its version implies {expected:#010x}")
            }
            Self::Fixed { name, at, expected, found } => write!(
                f,
                "header byte {at}: {name} is {found} ({found:#x}), expected {expected} \
                 ({expected:#x})"
            ),
            Self::RequiredFeatures { unknown } => {
                write!(f, "the segment requires features that are not supported: {unknown}")
            }
            Self::Epoch => f.write_str("epoch 0, expected a number from 1 on"),
            Self::LaneKind { found } => {
                write!(f, "lane kind {found}, expected 1 (process) or 2 (thread)")
            }
            Self::Extension { bytes } => write!(
                f,
                "an extension of {bytes} bytes: expected a multiple of {PAGE_BYTES} from \
                 {MIN_EXTENSION_BYTES} to {MAX_EXTENSION_BYTES}"
            ),
            Self::Geometry(error) => error.fmt(f),
            Self::Region { at, expected, found } => write!(
                f,
                "header byte {at}: start or length of a region is {found}, its geometry implies \
                 {expected}"
            ),
            Self::Length { stated, implied, mapped } => write!(
                f,
                "the header states {stated} bytes, its geometry implies {implied}, {mapped} are \
                 mapped"
            ),
            Self::Reserved { bytes, data_bytes } => write!(
                f,
                "{bytes} bytes reserved of an arena of {data_bytes}, expected a multiple of \
                 {ARENA_GRANULE} up to that"
            ),
        }
    }
}

impl core::error::Error for HeaderError {}
