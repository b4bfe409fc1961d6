//! The lane block: signals, two mailboxes, abort bits, two arenas.
//!
//! ```text
//! offset      bytes                region
//!      0        192                signals: wake word at 0, receiver-awake at 64, host-busy at 128
//!    192        256                request sector:  publish 0, release 64, allocate 128, free 192
//!    448        256                response sector: the same four words
//!    704      18432                request slots, 32 x 576
//!  19136      18432                response slots
//!  37568      ceil(a / 32) x 4     abort bits for a signals, padded to 64; nothing for a = 0
//!      …      request arena        first 64 bytes unused, data from +64
//!      …      response arena       the same
//! ```
//!
//! In either sector the *sender* of that mailbox writes publish and allocate, the *receiver* writes
//! release and free. Offsets are those of Knitting 0.1.61's process worker.

use crate::{SLOT_STRIDE, SLOTS, Span, WordOffset};
use core::fmt;
use static_assertions::const_assert_eq;

/// Every region of the lane block starts at a multiple of this, in bytes. SEG-5.
pub const REGION_ALIGN: u32 = 64;
/// Distance between two words of a sector, in bytes. SEG-5.
///
/// 64 is the cache line of the targets that the protocol was measured on. 128 would also keep
/// adjacent-line prefetch apart, but existing peers use 64.
pub const WORD_STRIDE: u32 = 64;
/// Length of the signals region, in bytes. SEG-5.
pub const SIGNALS_BYTES: u32 = 192;
/// Wake word of the signals region (upstream `op`): counts wake-ups by the host. Upstream peers. SEG-5.
pub const SIGNALS_WAKE_AT: u32 = 0;
/// Receiver-awake flag of the signals region (upstream `rxStatus`). Upstream peers. SEG-5.
pub const SIGNALS_RECEIVER_AWAKE_AT: u32 = 64;
/// Host-busy flag of the signals region (upstream `txStatus`). Upstream peers. SEG-5.
pub const SIGNALS_HOST_BUSY_AT: u32 = 128;
/// Length of a sector, in bytes: four words, a line each. SEG-5.
pub const SECTOR_BYTES: u32 = 256;
/// Publish word (upstream `hostBits`), from the start of a sector, in bytes. Writer: sender. MBX-11.
pub const SECTOR_PUBLISH_AT: u32 = 0;
/// Release word (upstream `workerBits`), from the start of a sector, in bytes. Writer: receiver.
/// MBX-13.
pub const SECTOR_RELEASE_AT: u32 = WORD_STRIDE;
/// Arena allocate word, from the start of a sector, in bytes. Writer: sender. ARN-5.
pub const SECTOR_ALLOCATE_AT: u32 = 2 * WORD_STRIDE;
/// Arena free word, from the start of a sector, in bytes. Writer: receiver. ARN-6.
pub const SECTOR_FREE_AT: u32 = 3 * WORD_STRIDE;
/// Length of the slots of one mailbox, in bytes. MBX-4.
pub const SLOTS_BYTES: u32 = SLOTS * SLOT_STRIDE;
/// Request sector, from the start of the lane block, in bytes. SEG-5.
pub const REQUEST_SECTOR_AT: u32 = SIGNALS_BYTES;
/// Response sector, from the start of the lane block, in bytes. SEG-5.
pub const RESPONSE_SECTOR_AT: u32 = REQUEST_SECTOR_AT + SECTOR_BYTES;
/// Request slots, from the start of the lane block, in bytes. SEG-5.
pub const REQUEST_SLOTS_AT: u32 = RESPONSE_SECTOR_AT + SECTOR_BYTES;
/// Response slots, from the start of the lane block, in bytes. SEG-5.
pub const RESPONSE_SLOTS_AT: u32 = REQUEST_SLOTS_AT + SLOTS_BYTES;
/// Abort bits, from the start of the lane block, in bytes. SEG-5, LANE-16.
pub const ABORT_BITS_AT: u32 = RESPONSE_SLOTS_AT + SLOTS_BYTES;
/// Start of the data of an arena, from the start of the arena, in bytes. The bytes before it are unused.
/// ARN-2.
pub const ARENA_DATA_AT: u32 = 64;
/// Arena blocks start at multiples of this and are rounded up to it, in bytes. ARN-2.
pub const ARENA_GRANULE: u32 = 64;
/// Smallest arena, in bytes: one granule of data. SEG-16.
pub const MIN_ARENA_BYTES: u32 = ARENA_DATA_AT + ARENA_GRANULE;
/// Largest arena, in bytes, so that every offset of a segment fits 32 bits with room to spare.
/// SEG-16.
pub const MAX_ARENA_BYTES: u32 = 1 << 30;
/// Most abort signals of a lane: their ids travel in sixteen bits, plus one. SEG-17.
pub const MAX_ABORT_CAPACITY: u32 = 65_534;

// The offsets that Knitting 0.1.61 uses. Changing one breaks every existing peer.
const_assert_eq!(REQUEST_SECTOR_AT, 192);
const_assert_eq!(RESPONSE_SECTOR_AT, 448);
const_assert_eq!(REQUEST_SLOTS_AT, 704);
const_assert_eq!(RESPONSE_SLOTS_AT, 19_136);
const_assert_eq!(ABORT_BITS_AT, 37_568);

/// Which of a lane's two mailboxes. SEG-5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Host to worker.
    Request,
    /// Worker to host.
    Response,
}

/// Index of an arena block: `0 .. 32`. ARN-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockIndex(u8);

impl BlockIndex {
    /// Most blocks that are live in an arena at a time. ARN-1.
    pub const COUNT: u32 = 32;

    /// The block that the low five bits of `word` name.
    #[must_use]
    pub const fn from_low_bits(word: u32) -> Self {
        // Five bits fit a byte.
        Self((word & 31) as u8)
    }

    /// The index as a number, below [`Self::COUNT`].
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0 as u32
    }

    /// The bit that stands for this block in the allocate and free words.
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self.0
    }
}

/// The sizes of a lane that its creator chooses, in bytes. SEG-16, SEG-17.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    request_arena: u32,
    response_arena: u32,
    abort_capacity: u32,
}

impl Geometry {
    /// A lane with arenas of these lengths in bytes and room for this many abort signals.
    ///
    /// # Errors
    ///
    /// An arena that is not a multiple of 64, or not in [`MIN_ARENA_BYTES`]` ..= `
    /// [`MAX_ARENA_BYTES`]; more than [`MAX_ABORT_CAPACITY`] abort signals.
    pub const fn new(
        request_arena: u32,
        response_arena: u32,
        abort_capacity: u32,
    ) -> Result<Self, GeometryError> {
        if !valid_arena(request_arena) {
            return Err(GeometryError::Arena { bytes: request_arena });
        }
        if !valid_arena(response_arena) {
            return Err(GeometryError::Arena { bytes: response_arena });
        }
        if abort_capacity > MAX_ABORT_CAPACITY {
            return Err(GeometryError::AbortCapacity { signals: abort_capacity });
        }
        Ok(Self { request_arena, response_arena, abort_capacity })
    }

    /// Length of the arena of `direction`, in bytes, the 64 unused ones included.
    #[must_use]
    pub const fn arena_bytes(self, direction: Direction) -> u32 {
        match direction {
            Direction::Request => self.request_arena,
            Direction::Response => self.response_arena,
        }
    }

    /// Length of the data of the arena of `direction`, in bytes.
    #[must_use]
    pub const fn arena_data_bytes(self, direction: Direction) -> u32 {
        self.arena_bytes(direction) - ARENA_DATA_AT
    }

    /// How many abort signals the lane has room for.
    #[must_use]
    pub const fn abort_capacity(self) -> u32 {
        self.abort_capacity
    }

    /// Length of the whole lane block, in bytes.
    #[must_use]
    pub const fn block_bytes(self) -> u32 {
        let (at, bytes) = self.region(Region::ResponseArena);
        at + bytes
    }

    /// Start (from the start of the lane block) and length of a region, in bytes.
    #[must_use]
    pub const fn region(self, region: Region) -> (u32, u32) {
        let abort_bytes = self.abort_capacity.div_ceil(32) * 4;
        let arenas_at = ABORT_BITS_AT + abort_bytes.next_multiple_of(REGION_ALIGN);
        match region {
            Region::Signals => (0, SIGNALS_BYTES),
            Region::RequestSector => (REQUEST_SECTOR_AT, SECTOR_BYTES),
            Region::ResponseSector => (RESPONSE_SECTOR_AT, SECTOR_BYTES),
            Region::RequestSlots => (REQUEST_SLOTS_AT, SLOTS_BYTES),
            Region::ResponseSlots => (RESPONSE_SLOTS_AT, SLOTS_BYTES),
            Region::AbortBits => (ABORT_BITS_AT, abort_bytes),
            Region::RequestArena => (arenas_at, self.request_arena),
            Region::ResponseArena => (arenas_at + self.request_arena, self.response_arena),
        }
    }
}

const fn valid_arena(bytes: u32) -> bool {
    bytes.is_multiple_of(ARENA_GRANULE) && bytes >= MIN_ARENA_BYTES && bytes <= MAX_ARENA_BYTES
}

/// Sizes that no lane can have. SEG-16, SEG-17.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GeometryError {
    /// Arena length in bytes that is not a multiple of 64, too small or too large.
    Arena {
        /// The length.
        bytes: u32,
    },
    /// More abort signals than ids.
    AbortCapacity {
        /// How many.
        signals: u32,
    },
}

impl fmt::Display for GeometryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arena { bytes } => write!(
                f,
                "an arena of {bytes} bytes: expected a multiple of {ARENA_GRANULE} from \
                 {MIN_ARENA_BYTES} to {MAX_ARENA_BYTES}"
            ),
            Self::AbortCapacity { signals } => {
                write!(f, "{signals} abort signals: at most {MAX_ABORT_CAPACITY} have ids")
            }
        }
    }
}

impl core::error::Error for GeometryError {}

/// A region of the lane block. SEG-5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Region {
    /// Wake words of upstream peers.
    Signals,
    /// The four words of the request mailbox.
    RequestSector,
    /// The four words of the response mailbox.
    ResponseSector,
    /// Slots of the request mailbox.
    RequestSlots,
    /// Slots of the response mailbox.
    ResponseSlots,
    /// One bit for each abort signal.
    AbortBits,
    /// Arena of the request mailbox.
    RequestArena,
    /// Arena of the response mailbox.
    ResponseArena,
}

impl Region {
    /// Every region, in the order in which they stand.
    pub const ALL: [Self; 8] = [
        Self::Signals,
        Self::RequestSector,
        Self::ResponseSector,
        Self::RequestSlots,
        Self::ResponseSlots,
        Self::AbortBits,
        Self::RequestArena,
        Self::ResponseArena,
    ];

    /// What the region is called in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signals => "signals",
            Self::RequestSector => "request sector",
            Self::ResponseSector => "response sector",
            Self::RequestSlots => "request slots",
            Self::ResponseSlots => "response slots",
            Self::AbortBits => "abort bits",
            Self::RequestArena => "request arena",
            Self::ResponseArena => "response arena",
        }
    }
}

/// Where one mailbox is. MBX-4. Every word and span lies inside the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxLayout {
    publish: WordOffset,
    release: WordOffset,
    slots: Span,
}

impl MailboxLayout {
    /// A mailbox whose two words stand in `sector` and whose slots fill `slots`; `None` when the
    /// sector is too short, or `slots` is not a whole number of 1 to 32 slots.
    #[must_use]
    pub const fn new(sector: Span, slots: Span) -> Option<Self> {
        let count = slots.len() / SLOT_STRIDE;
        if !slots.len().is_multiple_of(SLOT_STRIDE) || count == 0 || count > SLOTS {
            return None;
        }
        match (sector.word(SECTOR_PUBLISH_AT), sector.word(SECTOR_RELEASE_AT)) {
            (Some(publish), Some(release)) => Some(Self { publish, release, slots }),
            _ => None,
        }
    }

    /// The publish word. Writer: sender.
    #[must_use]
    pub const fn publish(&self) -> WordOffset {
        self.publish
    }

    /// The release word. Writer: receiver.
    #[must_use]
    pub const fn release(&self) -> WordOffset {
        self.release
    }

    /// All slots, one after the other, [`SLOT_STRIDE`] bytes each.
    #[must_use]
    pub const fn slots(&self) -> Span {
        self.slots
    }

    /// How many slots the mailbox has: 32 on the wire, fewer only in models.
    #[must_use]
    pub const fn slot_count(&self) -> u32 {
        self.slots.len() / SLOT_STRIDE
    }
}

/// Where one arena is. ARN-2. Every word and span lies inside the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaLayout {
    allocate: WordOffset,
    free: WordOffset,
    data: Span,
}

impl ArenaLayout {
    /// An arena whose two words stand in `sector` and which fills `arena`, its unused first 64
    /// bytes included; `None` when the sector or the arena is too short.
    #[must_use]
    pub const fn new(sector: Span, arena: Span) -> Option<Self> {
        if arena.len() < MIN_ARENA_BYTES {
            return None;
        }
        let data = arena.part(ARENA_DATA_AT, arena.len() - ARENA_DATA_AT);
        match (sector.word(SECTOR_ALLOCATE_AT), sector.word(SECTOR_FREE_AT), data) {
            (Some(allocate), Some(free), Some(data)) => Some(Self { allocate, free, data }),
            _ => None,
        }
    }

    /// The allocate word. Writer: sender.
    #[must_use]
    pub const fn allocate(&self) -> WordOffset {
        self.allocate
    }

    /// The free word. Writer: receiver.
    #[must_use]
    pub const fn free(&self) -> WordOffset {
        self.free
    }

    /// The bytes that blocks are made of. Arena offsets on the wire count from its start.
    #[must_use]
    pub const fn data(&self) -> Span {
        self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two totals that KNITTING 2.1 gives for its default pool.
    #[test]
    fn default_upstream_geometry_has_the_recorded_sizes() {
        let plain = Geometry::new(64 << 20, 64 << 20, 0).unwrap();
        assert_eq!(plain.block_bytes(), 134_255_296);
        assert_eq!(plain.region(Region::RequestArena), (37_568, 64 << 20));
        let abortable = Geometry::new(64 << 20, 64 << 20, 258).unwrap();
        assert_eq!(abortable.block_bytes(), 134_255_360);
        assert_eq!(abortable.region(Region::AbortBits), (37_568, 36));
        assert_eq!(abortable.region(Region::RequestArena).0, 37_632);
        assert_eq!(abortable.region(Region::ResponseArena).0, 67_146_496);
    }

    #[test]
    fn regions_are_aligned_in_order_and_apart() {
        for capacity in [0, 1, 32, 33, 258, MAX_ABORT_CAPACITY] {
            let geometry = Geometry::new(128, 4096, capacity).unwrap();
            let mut end = 0;
            for region in Region::ALL {
                let (at, bytes) = geometry.region(region);
                assert_eq!(at % REGION_ALIGN, 0, "{}", region.name());
                assert!(at >= end, "{} overlaps", region.name());
                end = at + bytes;
            }
            assert_eq!(end, geometry.block_bytes());
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for bytes in [0, 64, 127, 129, MAX_ARENA_BYTES + 64, u32::MAX] {
            let error = GeometryError::Arena { bytes };
            assert_eq!(Geometry::new(bytes, 4096, 0), Err(error));
            assert_eq!(Geometry::new(4096, bytes, 0), Err(error));
        }
        assert!(Geometry::new(4096, 4096, MAX_ABORT_CAPACITY + 1).is_err());
        assert!(Geometry::new(MAX_ARENA_BYTES, MAX_ARENA_BYTES, MAX_ABORT_CAPACITY).is_ok());
    }
}
