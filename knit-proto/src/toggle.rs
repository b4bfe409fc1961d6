//! Toggle algebra: which slots are free and which are pending.
//!
//! A mailbox has two toggle words. The sender is the only writer of *publish*, the receiver the
//! only writer of *release*. Flipping bit `i` of one's own word hands slot `i` over to the other
//! side:
//!
//! ```text
//! publish  … 0 1 1 0        bit i equal    -> slot i is free     (the sender may fill it)
//! release  … 0 1 0 1        bit i differs  -> slot i is pending  (the receiver may read it)
//!            f f p p
//! ```

use core::fmt;

/// Slots of one mailbox. MBX-1.
pub const SLOTS: u32 = 32;

/// Index of a slot in its mailbox: `0 .. SLOTS`. MBX-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotIndex(u8);

impl SlotIndex {
    /// The slot `raw`; `None` when there is no such slot.
    #[must_use]
    pub const fn new(raw: u32) -> Option<Self> {
        // The range check above the cast keeps it exact.
        if raw < SLOTS { Some(Self(raw as u8)) } else { None }
    }

    /// The index as a number, below [`SLOTS`].
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0 as u32
    }

    /// The index as an array index, below [`SLOTS`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The set that holds this slot alone.
    #[must_use]
    pub const fn mask(self) -> SlotMask {
        SlotMask(1 << self.0)
    }
}

impl fmt::Display for SlotIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of slots of one mailbox. MBX-1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SlotMask(u32);

impl SlotMask {
    /// No slot.
    pub const EMPTY: Self = Self(0);
    /// Every slot.
    pub const ALL: Self = Self(u32::MAX);

    /// The set whose members are the one bits of `bits`.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The `n` lowest slots; every slot when `n` is [`SLOTS`] or more.
    #[must_use]
    pub const fn first(n: u32) -> Self {
        if n >= SLOTS { Self::ALL } else { Self((1 << n) - 1) }
    }

    /// One bit for each member.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether no slot is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many slots are in the set.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether `slot` is in the set.
    #[must_use]
    pub const fn contains(self, slot: SlotIndex) -> bool {
        self.0 & slot.mask().0 != 0
    }

    /// The set with `slot` in it.
    #[must_use]
    pub const fn with(self, slot: SlotIndex) -> Self {
        Self(self.0 | slot.mask().0)
    }

    /// The set without `slot`.
    #[must_use]
    pub const fn without(self, slot: SlotIndex) -> Self {
        Self(self.0 & !slot.mask().0)
    }

    /// Members of either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Members of both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Members of this set that are not in `other`.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The first member at or after `start`, ascending and cyclic; `None` when the set is empty.
    ///
    /// `start` is taken modulo [`SLOTS`].
    #[must_use]
    pub const fn next_from(self, start: u32) -> Option<SlotIndex> {
        if self.0 == 0 {
            return None;
        }
        let start = start % SLOTS;
        let distance = self.0.rotate_right(start).trailing_zeros();
        SlotIndex::new((start + distance) % SLOTS)
    }
}

impl fmt::Debug for SlotMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotMask({:#010x})", self.0)
    }
}

/// Value of one toggle word: one bit for each slot. MBX-3.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Toggle(u32);

impl Toggle {
    /// Value of both words of a mailbox that was never used. MBX-2.
    pub const START: Self = Self(0);

    /// The toggle with these bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits, as they stand in the word.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The toggle with the bits of `slots` flipped: those slots change hands.
    #[must_use]
    pub const fn flip(self, slots: SlotMask) -> Self {
        Self(self.0 ^ slots.0)
    }

    /// Slots on which two toggles differ.
    #[must_use]
    pub const fn differs(self, other: Self) -> SlotMask {
        SlotMask(self.0 ^ other.0)
    }
}

impl fmt::Debug for Toggle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Toggle({:#010x})", self.0)
    }
}

/// Slots that are published and not yet released. MBX-3.
#[must_use]
pub const fn pending(publish: Toggle, release: Toggle) -> SlotMask {
    publish.differs(release)
}

/// Slots that the sender may fill. MBX-3.
#[must_use]
pub const fn free(publish: Toggle, release: Toggle) -> SlotMask {
    SlotMask(!publish.differs(release).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every state of an eight-slot mailbox: the two sets partition the slots, and a flip by either
    /// side moves exactly the flipped slots.
    #[test]
    fn free_and_pending_partition_the_slots() {
        // Miri takes a thousand times as long.
        let most = if cfg!(miri) { 0x0f } else { 0xff_u32 };
        for publish in 0..=most {
            for release in 0..=most {
                let (p, r) = (Toggle::from_bits(publish), Toggle::from_bits(release));
                assert_eq!(pending(p, r).bits() ^ free(p, r).bits(), u32::MAX);
                for slot in (0..8).filter_map(SlotIndex::new) {
                    let was = pending(p, r).contains(slot);
                    assert_eq!(pending(p.flip(slot.mask()), r).contains(slot), !was);
                    assert_eq!(pending(p, r.flip(slot.mask())).contains(slot), !was);
                    assert_eq!(
                        pending(p.flip(slot.mask()), r).without(slot),
                        pending(p, r).without(slot)
                    );
                }
            }
        }
    }

    #[test]
    fn next_from_is_the_first_member_in_cyclic_order() {
        for bits in [0_u32, 1, 0x8000_0000, 0x8000_0001, 0x0f0f_0f0f, u32::MAX, 0x0001_0000] {
            let set = SlotMask::from_bits(bits);
            for start in 0..SLOTS {
                let naive = (0..SLOTS)
                    .map(|d| (start + d) % SLOTS)
                    .filter_map(SlotIndex::new)
                    .find(|slot| set.contains(*slot));
                assert_eq!(set.next_from(start), naive, "{bits:#x} from {start}");
            }
        }
    }

    #[test]
    fn first_slots() {
        assert_eq!(SlotMask::first(0), SlotMask::EMPTY);
        assert_eq!(SlotMask::first(2).bits(), 3);
        assert_eq!(SlotMask::first(32), SlotMask::ALL);
        assert!(SlotIndex::new(32).is_none());
    }
}
