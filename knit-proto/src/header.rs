//! The header page: who made the segment, in which version, and where everything is.
//!
//! ```text
//! byte  +0          +4          +8          +12
//!    0  magic       byte order  major       minor
//!   16  header len  page bytes  length low  length high
//!   32  required    optional    epoch       creator pid
//!   48  start time low, high    boot id hash low, high
//!   64  lane kind   slots       stride      inline bytes
//!   80  abort cap.  0           task table hash low, high
//!   96  extension:  start, length           lane block: start, length
//!  112  the eight regions of the lane block: start and length of each …
//!  176  request arena reserved, response arena reserved, then zero …
//!  252  ready word, stored last with release ordering
//! ```
//!
//! A reader copies the header once, compares every field with what the geometry implies, and from
//! then on works with its private [`Layout`]: the header is compared, never obeyed.

use crate::{
    ARENA_GRANULE, Direction, EXTENSION_BYTES, Features, Geometry, INLINE_BYTES, LANE_BLOCK_AT,
    Layout, PAGE_BYTES, Region, SLOT_STRIDE, SLOTS, Version,
};
use core::fmt;

/// `KNIT` in memory order. SEG-1.
pub const MAGIC: u32 = u32::from_le_bytes(*b"KNIT");
/// Length of the header, in bytes.
pub const HEADER_BYTES: u32 = 256;
/// Length of the header, in words.
pub const HEADER_WORDS: usize = 64;

/// Word that tells the byte order of the creator: reads the same only in that order. SEG-2.
#[must_use]
pub const fn byte_order_mark() -> u32 {
    0x0102_0304
}

/// Value of the ready word of a segment of this version. Never zero. SEG-4.
#[must_use]
pub const fn ready_word(version: Version) -> u32 {
    0x8000_0000 | version.packed()
}

/// Index of each header word. Byte offset = 4 x index.
pub mod field {
    #![allow(missing_docs, reason = "the names repeat the picture of the header page")]
    pub const MAGIC: usize = 0;
    pub const BYTE_ORDER: usize = 1;
    pub const MAJOR: usize = 2;
    pub const MINOR: usize = 3;
    pub const HEADER_BYTES: usize = 4;
    pub const PAGE_BYTES: usize = 5;
    pub const SEGMENT_LOW: usize = 6;
    pub const SEGMENT_HIGH: usize = 7;
    pub const REQUIRED: usize = 8;
    pub const OPTIONAL: usize = 9;
    pub const EPOCH: usize = 10;
    pub const CREATOR_PID: usize = 11;
    pub const START_LOW: usize = 12;
    pub const START_HIGH: usize = 13;
    pub const BOOT_LOW: usize = 14;
    pub const BOOT_HIGH: usize = 15;
    pub const KIND: usize = 16;
    pub const SLOTS: usize = 17;
    pub const STRIDE: usize = 18;
    pub const INLINE: usize = 19;
    pub const ABORT_CAPACITY: usize = 20;
    pub const TASKS_LOW: usize = 22;
    pub const TASKS_HIGH: usize = 23;
    pub const EXTENSION: usize = 24;
    pub const LANE_BLOCK: usize = 26;
    pub const REGIONS: usize = 28;
    pub const REQUEST_RESERVED: usize = 44;
    pub const RESPONSE_RESERVED: usize = 45;
    pub const READY: usize = 63;
}

/// What runs the worker of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LaneKind {
    /// A process of its own.
    Process,
    /// A thread of the host's process.
    Thread,
}

impl LaneKind {
    const fn word(self) -> u32 {
        match self {
            Self::Process => 1,
            Self::Thread => 2,
        }
    }

    const fn from_word(word: u32) -> Option<Self> {
        match word {
            1 => Some(Self::Process),
            2 => Some(Self::Thread),
            _ => None,
        }
    }
}

/// Who made a segment: enough to tell two processes apart across pid reuse and reboots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct CreatorId {
    /// Process id in the creator's pid namespace.
    pub pid: u32,
    /// Start time of the process in clock ticks since boot.
    pub start_time: u64,
    /// Hash of the kernel's boot id.
    pub boot: u64,
}

/// What the creator of a segment chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderFields {
    /// Layout version.
    pub version: Version,
    /// Features without which a reader must refuse the segment.
    pub required: Features,
    /// Features that a reader may accept.
    pub optional: Features,
    /// Incarnation of the lane; never zero.
    pub epoch: u32,
    /// Who made it.
    pub creator: CreatorId,
    /// What runs the worker.
    pub kind: LaneKind,
    /// Sizes.
    pub geometry: Geometry,
    /// Hash of the table of task names.
    pub tasks: u64,
    /// Bytes of the request arena that have memory behind them from the start.
    pub request_reserved: u32,
    /// Bytes of the response arena that have memory behind them from the start.
    pub response_reserved: u32,
}

/// The header words, as copied out of a segment. Untrusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawHeader(pub [u32; HEADER_WORDS]);

impl RawHeader {
    /// The words that a creator stores. The ready word is among them: store it last, with release
    /// ordering, after everything else in the segment. SEG-4.
    #[must_use]
    pub fn encode(fields: &HeaderFields) -> Self {
        let mut words = [0; HEADER_WORDS];
        let geometry = fields.geometry;
        let mut put = |at: usize, value: u32| words[at] = value;
        put(field::MAGIC, MAGIC);
        put(field::BYTE_ORDER, byte_order_mark());
        put(field::MAJOR, fields.version.major.into());
        put(field::MINOR, fields.version.minor.into());
        put(field::HEADER_BYTES, HEADER_BYTES);
        put(field::PAGE_BYTES, PAGE_BYTES);
        put(field::SEGMENT_LOW, LANE_BLOCK_AT + geometry.block_bytes());
        put(field::REQUIRED, fields.required.bits());
        put(field::OPTIONAL, fields.optional.bits());
        put(field::EPOCH, fields.epoch);
        put(field::CREATOR_PID, fields.creator.pid);
        put(field::KIND, fields.kind.word());
        put(field::SLOTS, SLOTS);
        put(field::STRIDE, SLOT_STRIDE);
        put(field::INLINE, INLINE_BYTES);
        put(field::ABORT_CAPACITY, geometry.abort_capacity());
        put(field::REQUEST_RESERVED, fields.request_reserved);
        put(field::RESPONSE_RESERVED, fields.response_reserved);
        put(field::READY, ready_word(fields.version));
        let mut put_wide = |at: usize, value: u64| {
            // The two casts take the halves apart.
            put(at, value as u32);
            put(at + 1, (value >> 32) as u32);
        };
        put_wide(field::START_LOW, fields.creator.start_time);
        put_wide(field::BOOT_LOW, fields.creator.boot);
        put_wide(field::TASKS_LOW, fields.tasks);
        for (at, (start, len)) in region_words(geometry) {
            put(at, start);
            put(at + 1, len);
        }
        Self(words)
    }

    /// Checks a private copy of the header of a segment of which `mapped` bytes are mapped.
    ///
    /// Call it only after a load of the ready word with acquire ordering returned non-zero; a zero
    /// ready word is an error here.
    ///
    /// # Errors
    ///
    /// The first field that is not what this version and the geometry imply.
    pub fn parse(&self, mapped: u64) -> Result<Layout, HeaderError> {
        let word = |at: usize| self.0[at];
        let wide = |at: usize| u64::from(word(at + 1)) << 32 | u64::from(word(at));
        let expect = |at: usize, name: &'static str, expected: u32| match word(at) {
            found if found == expected => Ok(()),
            found => Err(HeaderError::Field { name, at: at as u32 * 4, expected, found }),
        };
        match word(field::MAGIC) {
            MAGIC => {}
            found => return Err(HeaderError::Magic { found }),
        }
        if word(field::BYTE_ORDER) != byte_order_mark() {
            return Err(HeaderError::ByteOrder { found: word(field::BYTE_ORDER) });
        }
        let version = match (word(field::MAJOR).try_into(), word(field::MINOR).try_into()) {
            (Ok(major), Ok(minor)) => Version { major, minor },
            _ => {
                return Err(HeaderError::VersionRange {
                    major: word(field::MAJOR),
                    minor: word(field::MINOR),
                });
            }
        };
        if !Version::CURRENT.reads(version) {
            return Err(HeaderError::Version { found: version, reader: Version::CURRENT });
        }
        if word(field::READY) == 0 {
            return Err(HeaderError::NotReady);
        }
        expect(field::READY, "ready word", ready_word(version))?;
        expect(field::HEADER_BYTES, "header length", HEADER_BYTES)?;
        expect(field::PAGE_BYTES, "page size", PAGE_BYTES)?;
        let required = Features::from_bits(word(field::REQUIRED));
        let unknown = required.minus(Features::SUPPORTED);
        if !unknown.is_empty() {
            return Err(HeaderError::RequiredFeatures { unknown });
        }
        let epoch = word(field::EPOCH);
        if epoch == 0 {
            return Err(HeaderError::Epoch);
        }
        let kind = word(field::KIND);
        let kind = LaneKind::from_word(kind).ok_or(HeaderError::LaneKind { found: kind })?;
        expect(field::SLOTS, "slot count", SLOTS)?;
        expect(field::STRIDE, "slot stride", SLOT_STRIDE)?;
        expect(field::INLINE, "inline bytes", INLINE_BYTES)?;
        let geometry = Geometry::new(
            word(region_at(Region::RequestArena) + 1),
            word(region_at(Region::ResponseArena) + 1),
            word(field::ABORT_CAPACITY),
        )
        .map_err(HeaderError::Geometry)?;
        for (at, (start, len)) in region_words(geometry) {
            expect(at, "region start", start)?;
            expect(at + 1, "region length", len)?;
        }
        let implied = LANE_BLOCK_AT + geometry.block_bytes();
        let stated = wide(field::SEGMENT_LOW);
        if stated != u64::from(implied) || mapped != stated {
            return Err(HeaderError::Length { stated, implied, mapped });
        }
        let reserved = |at: usize, direction: Direction| match word(at) {
            bytes
                if bytes <= geometry.arena_bytes(direction)
                    && bytes.is_multiple_of(ARENA_GRANULE) =>
            {
                Ok(bytes)
            }
            bytes => {
                Err(HeaderError::Reserved { bytes, arena_bytes: geometry.arena_bytes(direction) })
            }
        };
        let fields = HeaderFields {
            version,
            required,
            optional: Features::from_bits(word(field::OPTIONAL)),
            epoch,
            creator: CreatorId {
                pid: word(field::CREATOR_PID),
                start_time: wide(field::START_LOW),
                boot: wide(field::BOOT_LOW),
            },
            kind,
            geometry,
            tasks: wide(field::TASKS_LOW),
            request_reserved: reserved(field::REQUEST_RESERVED, Direction::Request)?,
            response_reserved: reserved(field::RESPONSE_RESERVED, Direction::Response)?,
        };
        Ok(Layout::new(fields))
    }
}

const fn region_at(region: Region) -> usize {
    // Region is a fieldless enum in declaration order; eight variants.
    field::REGIONS + 2 * region as usize
}

/// Header index, start and length (from the start of the segment) of everything that has a place.
fn region_words(geometry: Geometry) -> impl Iterator<Item = (usize, (u32, u32))> {
    let pages = [
        (field::EXTENSION, (PAGE_BYTES, EXTENSION_BYTES)),
        (field::LANE_BLOCK, (LANE_BLOCK_AT, geometry.block_bytes())),
    ];
    let regions = Region::ALL.into_iter().map(move |region| {
        let (at, len) = geometry.region(region);
        (region_at(region), (LANE_BLOCK_AT + at, len))
    });
    pages.into_iter().chain(regions)
}

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
    /// A field that is not what version and geometry imply.
    Field {
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
    /// Sizes that no lane can have.
    Geometry(crate::GeometryError),
    /// Stated, implied and mapped length of the segment do not agree.
    Length {
        /// Length that the header states, in bytes.
        stated: u64,
        /// Length that its geometry implies, in bytes.
        implied: u32,
        /// Length that is mapped, in bytes.
        mapped: u64,
    },
    /// More of an arena is reserved than there is, or no whole number of granules.
    Reserved {
        /// Reserved bytes.
        bytes: u32,
        /// Bytes of the arena.
        arena_bytes: u32,
    },
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
                "byte-order mark {found:#010x}, expected {:#010x}: the segment was made on a \
                 machine of another byte order, or is damaged",
                byte_order_mark()
            ),
            Self::VersionRange { major, minor } => {
                write!(f, "version {major}.{minor} does not fit sixteen bits each")
            }
            Self::Version { found, reader } => {
                write!(f, "segment of layout {found}, this reader understands {reader}")
            }
            Self::Field { name, at, expected, found } => write!(
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
            Self::Geometry(error) => error.fmt(f),
            Self::Length { stated, implied, mapped } => write!(
                f,
                "the header states {stated} bytes, its geometry implies {implied}, {mapped} are \
                 mapped"
            ),
            Self::Reserved { bytes, arena_bytes } => {
                write!(
                    f,
                    "{bytes} bytes reserved of an arena of {arena_bytes}, expected a multiple of \
                     {ARENA_GRANULE} up to that"
                )
            }
        }
    }
}

impl core::error::Error for HeaderError {}
