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
//!  112  the eight regions of the lane block: start and length of each ...
//!  176  request arena reserved, response arena reserved
//!  184  room for the flight recorder (4 words), for write-split mappings (8), reserved (5): zero
//!  252  ready word, stored last with release ordering
//! ```
//!
//! A reader copies the header once, compares every field with what the geometry implies, and from
//! then on works with its private [`Layout`]: the header is compared, never obeyed. SEG-10, SEG-12.

use crate::{
    ARENA_GRANULE, Direction, EXTENSION_AT, ExtensionBytes, Features, Geometry, HeaderError,
    INLINE_BYTES, Layout, PAGE_BYTES, Region, SLOT_STRIDE, SLOTS, Version,
};

/// `KNIT` in memory order. SEG-1.
pub const MAGIC: u32 = u32::from_le_bytes(*b"KNIT");
/// Length of the header, in bytes. SEG-21.
pub const HEADER_BYTES: u32 = 256;
/// Length of the header, in words. SEG-21.
pub const HEADER_WORDS: usize = 64;
/// Word that tells the byte order of the creator: reads the same only in that order. SEG-2.
pub const BYTE_ORDER_MARK: u32 = 0x0102_0304;
/// Bit of the ready word that is always set, so that the word is never zero. SEG-6.
pub const READY_BIT: u32 = 0x8000_0000;

/// Value of the ready word of a segment of this version. SEG-6.
#[must_use]
pub const fn ready_word(version: Version) -> u32 {
    READY_BIT | version.packed()
}

/// Index of each header word. Byte offset = 4 x index. Values of two words have the low one first.
pub mod field {
    /// [`MAGIC`](super::MAGIC). SEG-1.
    pub const MAGIC: usize = 0;
    /// [`BYTE_ORDER_MARK`](super::BYTE_ORDER_MARK). SEG-2.
    pub const BYTE_ORDER: usize = 1;
    /// Layout major version. SEG-3.
    pub const MAJOR: usize = 2;
    /// Layout minor version. SEG-3.
    pub const MINOR: usize = 3;
    /// Length of the header in bytes. SEG-21.
    pub const HEADER_BYTES: usize = 4;
    /// Page unit in bytes. SEG-21.
    pub const PAGE_BYTES: usize = 5;
    /// Length of the segment in bytes, two words. SEG-11.
    pub const SEGMENT_BYTES: usize = 6;
    /// Required features. SEG-8.
    pub const REQUIRED: usize = 8;
    /// Optional features. SEG-14.
    pub const OPTIONAL: usize = 9;
    /// Epoch. SEG-18.
    pub const EPOCH: usize = 10;
    /// Process id of the creator. SEG-30.
    pub const CREATOR_PID: usize = 11;
    /// Start time of the creator in clock ticks since boot, two words. SEG-30.
    pub const CREATOR_START: usize = 12;
    /// Hash of the boot id, two words. SEG-30.
    pub const CREATOR_BOOT: usize = 14;
    /// Lane kind. SEG-20.
    pub const LANE_KIND: usize = 16;
    /// Slots of each mailbox. SEG-21.
    pub const SLOTS: usize = 17;
    /// Distance between two slots in bytes. SEG-21.
    pub const SLOT_STRIDE: usize = 18;
    /// Length of an inline area in bytes. SEG-21.
    pub const INLINE_BYTES: usize = 19;
    /// Abort signals. SEG-17.
    pub const ABORT_CAPACITY: usize = 20;
    /// Hash of the task names, two words. LANE-7.
    pub const TASKS: usize = 22;
    /// Extension: start and length in bytes. SEG-25.
    pub const EXTENSION: usize = 24;
    /// Lane block: start and length in bytes. SEG-12.
    pub const LANE_BLOCK: usize = 26;
    /// Regions of the lane block in the order of [`Region::ALL`](crate::Region::ALL): start and length
    /// in bytes of each. SEG-12.
    pub const REGIONS: usize = 28;
    /// Bytes of the request arena's data that have memory behind them. SEG-22.
    pub const REQUEST_RESERVED: usize = 44;
    /// Bytes of the response arena's data that have memory behind them. SEG-22.
    pub const RESPONSE_RESERVED: usize = 45;
    /// Room for the flight recorder, four words: zero, ignored. SEG-13.
    pub const RECORDER_SPANS: usize = 46;
    /// Room for write-split mappings, eight words: zero, ignored. SEG-13.
    pub const SPLIT_SPANS: usize = 50;
    /// The ready word. SEG-4.
    pub const READY: usize = 63;
}

/// What runs the worker of a lane. SEG-20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LaneKind {
    /// A process of its own.
    Process,
    /// A thread of the host's process.
    Thread,
}

impl LaneKind {
    /// The word that stands for the kind.
    #[must_use]
    pub const fn word(self) -> u32 {
        match self {
            Self::Process => 1,
            Self::Thread => 2,
        }
    }

    /// The kind that a word stands for; `None` when the value is not assigned.
    #[must_use]
    pub const fn from_word(word: u32) -> Option<Self> {
        match word {
            1 => Some(Self::Process),
            2 => Some(Self::Thread),
            _ => None,
        }
    }
}

/// Who made a segment: enough to tell two processes apart across pid reuse and reboots. SEG-30.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct CreatorId {
    /// Process id in the creator's pid namespace.
    pub pid: u32,
    /// Start time of the process in clock ticks since boot.
    pub start_time: u64,
    /// Hash of the kernel's boot id.
    pub boot: u64,
}

/// What the creator of a segment chooses; the rest of the header follows from it. SEG-12.
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
    /// Sizes of the lane block.
    pub geometry: Geometry,
    /// Length of the extension. Readers of this version use its first page alone.
    pub extension: ExtensionBytes,
    /// Hash of the table of task names.
    pub tasks: u64,
    /// Bytes of the request arena's data that have memory behind them from the start.
    pub request_reserved: u32,
    /// Bytes of the response arena's data that have memory behind them from the start.
    pub response_reserved: u32,
}

/// What a reader understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader {
    /// Its layout version. SEG-3.
    pub version: Version,
    /// The features that it knows. SEG-8.
    pub features: Features,
}

impl Reader {
    /// This crate.
    pub const CURRENT: Self = Self { version: Version::CURRENT, features: Features::SUPPORTED };
}

/// The header words, as copied out of a segment, once. Untrusted. SEG-10.
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
        put(field::BYTE_ORDER, BYTE_ORDER_MARK);
        put(field::MAJOR, fields.version.major.into());
        put(field::MINOR, fields.version.minor.into());
        put(field::REQUIRED, fields.required.bits());
        put(field::OPTIONAL, fields.optional.bits());
        put(field::EPOCH, fields.epoch);
        put(field::CREATOR_PID, fields.creator.pid);
        put(field::LANE_KIND, fields.kind.word());
        put(field::ABORT_CAPACITY, geometry.abort_capacity());
        put(field::REQUEST_RESERVED, fields.request_reserved);
        put(field::RESPONSE_RESERVED, fields.response_reserved);
        put(field::READY, ready_word(fields.version));
        for (at, _, value) in FIXED {
            put(at, value);
        }
        for (at, (start, len)) in region_words(geometry, fields.extension) {
            put(at, start);
            put(at + 1, len);
        }
        let mut put_wide = |at: usize, value: u64| {
            // The two casts take the halves apart.
            put(at, value as u32);
            put(at + 1, (value >> 32) as u32);
        };
        put_wide(field::SEGMENT_BYTES, segment_bytes(geometry, fields.extension));
        put_wide(field::CREATOR_START, fields.creator.start_time);
        put_wide(field::CREATOR_BOOT, fields.creator.boot);
        put_wide(field::TASKS, fields.tasks);
        Self(words)
    }

    /// The word at `index`, which layout version `since` has added, as a reader of that or a later
    /// version reads it: `None` in a segment of an earlier one, whatever stands there. SEG-15.
    ///
    /// # Panics
    ///
    /// `index` is [`HEADER_WORDS`] or more.
    #[must_use]
    pub const fn added(&self, index: usize, since: Version, segment: Version) -> Option<u32> {
        if segment.has(since) { Some(self.0[index]) } else { None }
    }

    /// Checks a private copy of the header of a segment of which `mapped` bytes are mapped, as
    /// [`Reader::CURRENT`].
    ///
    /// # Errors
    ///
    /// As [`Self::parse_as`].
    pub fn parse(&self, mapped: u64) -> Result<Layout, HeaderError> {
        self.parse_as(Reader::CURRENT, mapped)
    }

    /// Checks a private copy of the header of a segment of which `mapped` bytes are mapped, in the
    /// order of the steps in `spec/segment.md`.
    ///
    /// Call it only after a load of the ready word with acquire ordering returned non-zero; a zero
    /// ready word is an error here. SEG-7.
    ///
    /// # Errors
    ///
    /// The first field that is not what the version and the geometry imply.
    pub fn parse_as(&self, reader: Reader, mapped: u64) -> Result<Layout, HeaderError> {
        let word = |at: usize| self.0[at];
        let wide = |at: usize| u64::from(word(at + 1)) << 32 | u64::from(word(at));
        // 1. What it is, and in which order its bytes stand.
        if word(field::READY) == 0 {
            return Err(HeaderError::NotReady);
        }
        if word(field::MAGIC) != MAGIC {
            return Err(HeaderError::Magic { found: word(field::MAGIC) });
        }
        if word(field::BYTE_ORDER) != BYTE_ORDER_MARK {
            return Err(HeaderError::ByteOrder { found: word(field::BYTE_ORDER) });
        }
        // 2. Its version.
        let version = match (word(field::MAJOR).try_into(), word(field::MINOR).try_into()) {
            (Ok(major), Ok(minor)) => Version { major, minor },
            _ => {
                return Err(HeaderError::VersionRange {
                    major: word(field::MAJOR),
                    minor: word(field::MINOR),
                });
            }
        };
        if !reader.version.reads(version) {
            return Err(HeaderError::Version { found: version, reader: reader.version });
        }
        if word(field::READY) != ready_word(version) {
            let expected = ready_word(version);
            return Err(HeaderError::Ready { expected, found: word(field::READY) });
        }
        // 3. What it needs.
        for (at, name, expected) in FIXED {
            let found = word(at);
            if found != expected {
                return Err(HeaderError::Fixed { name, at: byte(at), expected, found });
            }
        }
        let required = Features::from_bits(word(field::REQUIRED));
        let unknown = required.minus(reader.features);
        if !unknown.is_empty() {
            return Err(HeaderError::RequiredFeatures { unknown });
        }
        let epoch = word(field::EPOCH);
        if epoch == 0 {
            return Err(HeaderError::Epoch);
        }
        let kind = word(field::LANE_KIND);
        let kind = LaneKind::from_word(kind).ok_or(HeaderError::LaneKind { found: kind })?;
        // 4. Its geometry, and what that implies.
        let bytes = word(field::EXTENSION + 1);
        let extension = ExtensionBytes::new(bytes).ok_or(HeaderError::Extension { bytes })?;
        let geometry = Geometry::new(
            word(region_at(Region::RequestArena) + 1),
            word(region_at(Region::ResponseArena) + 1),
            word(field::ABORT_CAPACITY),
        )
        .map_err(HeaderError::Geometry)?;
        for (at, (start, len)) in region_words(geometry, extension) {
            for (at, expected) in [(at, start), (at + 1, len)] {
                let found = word(at);
                if found != expected {
                    return Err(HeaderError::Region { at: byte(at), expected, found });
                }
            }
        }
        let (stated, implied) = (wide(field::SEGMENT_BYTES), segment_bytes(geometry, extension));
        if stated != implied || mapped != implied {
            return Err(HeaderError::Length { stated, implied, mapped });
        }
        // 5. How much of it has memory.
        let reserved = |at: usize, direction: Direction| {
            let (bytes, data_bytes) = (word(at), geometry.arena_data_bytes(direction));
            if bytes > data_bytes || !bytes.is_multiple_of(ARENA_GRANULE) {
                return Err(HeaderError::Reserved { bytes, data_bytes });
            }
            Ok(bytes)
        };
        let fields = HeaderFields {
            version,
            required,
            optional: Features::from_bits(word(field::OPTIONAL)),
            epoch,
            creator: CreatorId {
                pid: word(field::CREATOR_PID),
                start_time: wide(field::CREATOR_START),
                boot: wide(field::CREATOR_BOOT),
            },
            kind,
            geometry,
            extension,
            tasks: wide(field::TASKS),
            request_reserved: reserved(field::REQUEST_RESERVED, Direction::Request)?,
            response_reserved: reserved(field::RESPONSE_RESERVED, Direction::Response)?,
        };
        Ok(Layout::new(fields))
    }
}

/// Index, name and value of the words that are the same in every segment. SEG-21.
const FIXED: [(usize, &str, u32); 5] = [
    (field::HEADER_BYTES, "header length", HEADER_BYTES),
    (field::PAGE_BYTES, "page size", PAGE_BYTES),
    (field::SLOTS, "slot count", SLOTS),
    (field::SLOT_STRIDE, "slot stride", SLOT_STRIDE),
    (field::INLINE_BYTES, "inline length", INLINE_BYTES),
];

const fn byte(index: usize) -> u32 {
    // Indices are below HEADER_WORDS.
    index as u32 * 4
}

const fn region_at(region: Region) -> usize {
    // Region is a fieldless enum in declaration order; eight variants.
    field::REGIONS + 2 * region as usize
}

fn segment_bytes(geometry: Geometry, extension: ExtensionBytes) -> u64 {
    u64::from(extension.lane_block_at()) + u64::from(geometry.block_bytes())
}

/// Header index, start and length (from the start of the segment) of everything that has a place.
fn region_words(
    geometry: Geometry,
    extension: ExtensionBytes,
) -> impl Iterator<Item = (usize, (u32, u32))> {
    // Below 2^32: an extension is at most 16 MiB, a lane block little more than 2 GiB.
    let block_at = extension.lane_block_at();
    let pages = [
        (field::EXTENSION, (EXTENSION_AT, extension.get())),
        (field::LANE_BLOCK, (block_at, geometry.block_bytes())),
    ];
    let regions = Region::ALL.into_iter().map(move |region| {
        let (at, len) = geometry.region(region);
        (region_at(region), (block_at + at, len))
    });
    pages.into_iter().chain(regions)
}
