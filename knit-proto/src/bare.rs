//! A lane block without a segment around it: every region where its host says that it is.
//!
//! Knitting 0.1.61 has no header in shared memory; its boot description gives the place of each region.
//! Those are claims, checked here against the length of the memory and against each other.

use crate::{
    ARENA_GRANULE, ArenaLayout, Direction, MAX_ABORT_CAPACITY, MAX_ARENA_BYTES, MIN_ARENA_BYTES,
    MailboxLayout, REGION_ALIGN, Region, SECTOR_BYTES, SIGNALS_BYTES, SLOTS_BYTES, Span,
};
use core::fmt;

/// Where the regions of a bare lane block are. Every word and span that it gives out lies in
/// `0 ..` the length that it was made for, and no two regions overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BareLayout {
    /// In the order of [`Region::ALL`].
    regions: [Span; Region::ALL.len()],
    abort_capacity: u32,
}

impl BareLayout {
    /// A lane block in `len` bytes of memory, with room for `abort_capacity` abort signals.
    /// `regions` are start and length in bytes, in the order of [`Region::ALL`]; the abort bits
    /// have no bytes where there are no signals.
    ///
    /// # Errors
    ///
    /// The first region that is not aligned, has not the length that the format needs, does not lie
    /// inside the memory, or overlaps one before it; more abort signals than ids.
    pub fn new(
        len: u32,
        regions: [(u64, u64); Region::ALL.len()],
        abort_capacity: u32,
    ) -> Result<Self, BareLayoutError> {
        if abort_capacity > MAX_ABORT_CAPACITY {
            return Err(BareLayoutError::AbortCapacity { signals: abort_capacity });
        }
        let mut spans = [Span::default(); Region::ALL.len()];
        for (index, region) in Region::ALL.into_iter().enumerate() {
            let (at, bytes) = regions[index];
            if !fits(region, bytes, abort_capacity) {
                return Err(BareLayoutError::Bytes { region, bytes });
            }
            if !at.is_multiple_of(REGION_ALIGN.into()) {
                return Err(BareLayoutError::Alignment { region, at });
            }
            let inside = at.checked_add(bytes).is_some_and(|end| end <= len.into());
            let outside = BareLayoutError::Outside { region, at, bytes, len };
            // No value is cut off: both are at most `len`. All lengths that fit are whole words.
            let span = inside.then(|| Span::new(at as u32, bytes as u32)).flatten();
            spans[index] = span.ok_or(outside)?;
            let before = Region::ALL.into_iter().zip(&spans[..index]);
            for (other, taken) in before.filter(|(_, taken)| !taken.is_empty()) {
                if spans[index].at() < taken.end() && taken.at() < spans[index].end() {
                    return Err(BareLayoutError::Overlap { region, other });
                }
            }
        }
        Ok(Self { regions: spans, abort_capacity })
    }

    /// A region, from the start of the memory.
    #[must_use]
    pub fn region(&self, region: Region) -> Span {
        // The order of the declaration is that of `Region::ALL`.
        self.regions[region as usize]
    }

    /// The mailbox of `direction`.
    #[must_use]
    pub fn mailbox(&self, direction: Direction) -> MailboxLayout {
        let (sector, slots, _) = Self::parts(direction);
        MailboxLayout::new(self.region(sector), self.region(slots)).expect("lengths were checked")
    }

    /// The arena of `direction`.
    #[must_use]
    pub fn arena(&self, direction: Direction) -> ArenaLayout {
        let (sector, _, arena) = Self::parts(direction);
        ArenaLayout::new(self.region(sector), self.region(arena)).expect("lengths were checked")
    }

    /// How many abort signals the lane has room for.
    #[must_use]
    pub const fn abort_capacity(&self) -> u32 {
        self.abort_capacity
    }

    const fn parts(direction: Direction) -> (Region, Region, Region) {
        match direction {
            Direction::Request => {
                (Region::RequestSector, Region::RequestSlots, Region::RequestArena)
            }
            Direction::Response => {
                (Region::ResponseSector, Region::ResponseSlots, Region::ResponseArena)
            }
        }
    }
}

/// Whether a region may have this length.
fn fits(region: Region, bytes: u64, abort_capacity: u32) -> bool {
    match region {
        Region::Signals => bytes >= SIGNALS_BYTES.into() && bytes.is_multiple_of(4),
        Region::RequestSector | Region::ResponseSector => bytes == SECTOR_BYTES.into(),
        Region::RequestSlots | Region::ResponseSlots => bytes == SLOTS_BYTES.into(),
        Region::AbortBits => bytes == u64::from(abort_capacity.div_ceil(32)) * 4,
        Region::RequestArena | Region::ResponseArena => {
            bytes.is_multiple_of(ARENA_GRANULE.into())
                && (u64::from(MIN_ARENA_BYTES)..=u64::from(MAX_ARENA_BYTES)).contains(&bytes)
        }
    }
}

/// Why no lane block can be like that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BareLayoutError {
    /// A region has a length that the format does not allow.
    Bytes {
        /// The region.
        region: Region,
        /// Its length in bytes.
        bytes: u64,
    },
    /// A region does not start at a multiple of 64.
    Alignment {
        /// The region.
        region: Region,
        /// Its start in bytes.
        at: u64,
    },
    /// A region does not lie inside the memory.
    Outside {
        /// The region.
        region: Region,
        /// Its start in bytes.
        at: u64,
        /// Its length in bytes.
        bytes: u64,
        /// Length of the memory in bytes.
        len: u32,
    },
    /// Two regions share bytes.
    Overlap {
        /// The region.
        region: Region,
        /// The one that it overlaps.
        other: Region,
    },
    /// More abort signals than ids.
    AbortCapacity {
        /// How many.
        signals: u32,
    },
}

impl fmt::Display for BareLayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Bytes { region, bytes } => {
                write!(f, "the {} cannot have {bytes} bytes", region.name())
            }
            Self::Alignment { region, at } => {
                write!(
                    f,
                    "the {} starts at byte {at}, no multiple of {REGION_ALIGN}",
                    region.name()
                )
            }
            Self::Outside { region, at, bytes, len } => write!(
                f,
                "the {} has {bytes} bytes from byte {at} on, the memory ends at {len}",
                region.name()
            ),
            Self::Overlap { region, other } => {
                write!(f, "the {} overlaps the {}", region.name(), other.name())
            }
            Self::AbortCapacity { signals } => {
                write!(f, "{signals} abort signals: at most {MAX_ABORT_CAPACITY} have ids")
            }
        }
    }
}

impl core::error::Error for BareLayoutError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ABORT_BITS_AT, Geometry};

    const LEN: u32 = ABORT_BITS_AT + 64 + 4096 + 8192;

    fn regions() -> [(u64, u64); Region::ALL.len()] {
        let geometry = Geometry::new(4096, 8192, 258).unwrap();
        Region::ALL.map(|region| {
            let (at, bytes) = geometry.region(region);
            (at.into(), bytes.into())
        })
    }

    #[test]
    fn the_places_of_a_geometry_are_those_of_a_lane_block() {
        let layout = BareLayout::new(LEN, regions(), 258).unwrap();
        let geometry = Geometry::new(4096, 8192, 258).unwrap();
        for region in Region::ALL {
            let (at, bytes) = geometry.region(region);
            assert_eq!(layout.region(region), Span::new(at, bytes).unwrap(), "{}", region.name());
        }
        assert_eq!(layout.mailbox(Direction::Response).slots().at(), 19_136);
        assert_eq!(layout.arena(Direction::Request).data(), Span::new(37_696, 4032).unwrap());
        assert_eq!(layout.abort_capacity(), 258);
    }

    #[test]
    fn every_region_is_held_against_its_neighbours_and_the_memory() {
        for (index, region) in Region::ALL.into_iter().enumerate() {
            let with = |place| {
                let mut regions = regions();
                regions[index] = place;
                BareLayout::new(LEN, regions, 258).unwrap_err()
            };
            let (at, bytes) = regions()[index];
            assert_eq!(with((at + 4, bytes)), BareLayoutError::Alignment { region, at: at + 4 });
            for at in [u64::from(LEN), 1 << 32, u64::MAX - 63] {
                let len = LEN;
                assert_eq!(with((at, bytes)), BareLayoutError::Outside { region, at, bytes, len });
            }
            for bytes in [0, 2, 64, 1 << 32, u64::MAX] {
                let refused = with((at, bytes));
                let name = region.name();
                assert!(
                    matches!(
                        refused,
                        BareLayoutError::Bytes { .. } | BareLayoutError::Outside { .. }
                    ),
                    "{name} of {bytes}: {refused}"
                );
            }
            // On top of any other one.
            for other in (0..Region::ALL.len()).filter(|other| *other != index) {
                let refused = with((regions()[other].0, bytes));
                assert!(
                    matches!(
                        refused,
                        BareLayoutError::Overlap { .. } | BareLayoutError::Outside { .. }
                    ),
                    "{}: {refused}",
                    region.name()
                );
            }
        }
    }

    #[test]
    fn abort_bits_of_no_bytes_lie_anywhere_and_more_signals_than_ids_are_refused() {
        let mut none = regions();
        none[5] = (0, 0);
        assert!(BareLayout::new(LEN, none, 0).is_ok());
        assert!(matches!(BareLayout::new(LEN, none, 1), Err(BareLayoutError::Bytes { .. })));
        let signals = MAX_ABORT_CAPACITY + 1;
        let refused = BareLayout::new(LEN, regions(), signals);
        assert_eq!(refused, Err(BareLayoutError::AbortCapacity { signals }));
    }
}
