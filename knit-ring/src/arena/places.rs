//! Where the blocks of an arena stand: the sender's private book.

use knit_proto::{ARENA_GRANULE, BlockIndex};

const COUNT: usize = BlockIndex::COUNT as usize;

/// Which granules belong to which block. No shared memory is involved here.
///
/// A block is *taken* from the moment at which a loan gets it until it is given back. A block that
/// was given back is *warm*: its index and its place are remembered, so that the next loan of about
/// the same size takes the bytes that were used last, which caches still hold. Warm blocks are in
/// nobody's way: where they leave no room they are forgotten.
#[derive(Debug)]
pub(super) struct Places {
    /// Bytes, a multiple of 64.
    capacity: u32,
    /// Places by index; those of blocks that are neither taken nor warm mean nothing.
    places: [Place; COUNT],
    /// Indices of the blocks that are taken or warm by ascending start, the first `known` of them.
    /// No two of their places overlap.
    order: [u8; COUNT],
    known: usize,
    /// A bit for each block that is taken.
    taken: u32,
    /// Indices of the warm blocks, the one given back last at the end, the first `spare` of them.
    warm: [u8; COUNT],
    spare: usize,
}

/// Bytes of an arena, both multiples of 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) start: u32,
    pub(super) size: u32,
}

impl Place {
    pub(super) fn end(self) -> u32 {
        self.start + self.size
    }
}

impl Places {
    /// An arena of `capacity` bytes without blocks; what is less than a granule is left over.
    pub(super) fn new(capacity: u32) -> Self {
        Self {
            capacity: capacity & !(ARENA_GRANULE - 1),
            places: [Place::default(); COUNT],
            order: [0; COUNT],
            known: 0,
            taken: 0,
            warm: [0; COUNT],
            spare: 0,
        }
    }

    /// A bit for each block that is taken.
    pub(super) fn taken(&self) -> u32 {
        self.taken
    }

    /// Where a block that is taken stands.
    pub(super) fn place(&self, block: BlockIndex) -> Place {
        self.places[block.get() as usize]
    }

    /// Takes the block that was given back last, if `size` bytes fill more than half of it. What
    /// they leave is free for others. O(1).
    #[inline]
    pub(super) fn reuse(&mut self, size: u32) -> Option<BlockIndex> {
        let last = *self.warm[..self.spare].last()?;
        let place = &mut self.places[usize::from(last)];
        if size > place.size || place.size - size >= size {
            return None;
        }
        place.size = size;
        self.spare -= 1;
        let block = BlockIndex::from_low_bits(last.into());
        self.taken |= block.bit();
        Some(block)
    }

    /// Takes the lowest place where `size` bytes fit between the blocks that are taken; forgets the
    /// warm ones. O(32).
    pub(super) fn lowest(&mut self, size: u32) -> Option<BlockIndex> {
        self.forget_warm();
        if self.taken == u32::MAX {
            return None;
        }
        let (position, start) = self.gap(size)?;
        let block = BlockIndex::from_low_bits(self.taken.trailing_ones());
        self.places[block.get() as usize] = Place { start, size };
        self.order.copy_within(position..self.known, position + 1);
        // An index is below 32.
        self.order[position] = block.get() as u8;
        self.known += 1;
        self.taken |= block.bit();
        Some(block)
    }

    /// Gives the blocks of `blocks` back that are taken: they are warm now. O(1) for each.
    pub(super) fn give_back(&mut self, blocks: u32) {
        let mut rest = blocks & self.taken;
        self.taken &= !blocks;
        while rest != 0 {
            // From the highest down, so that the lowest, where blocks are placed first, is the next
            // to be used. An index is below 32.
            let block = (u32::BITS - 1 - rest.leading_zeros()) as u8;
            rest &= !(1 << block);
            self.warm[self.spare] = block;
            self.spare += 1;
        }
    }

    /// Gives back a block whose place cannot be used.
    pub(super) fn forget(&mut self, block: BlockIndex) {
        self.give_back(block.bit());
        self.forget_warm();
    }

    fn forget_warm(&mut self) {
        if self.spare == 0 {
            return;
        }
        let mut kept = 0;
        for at in 0..self.known {
            let block = self.order[at];
            if self.taken & (1 << block) != 0 {
                self.order[kept] = block;
                kept += 1;
            }
        }
        self.known = kept;
        self.spare = 0;
    }

    /// Where in the order, and at which offset, `size` bytes fit.
    fn gap(&self, size: u32) -> Option<(usize, u32)> {
        let mut start = 0;
        for (position, block) in self.order[..self.known].iter().enumerate() {
            let place = self.places[usize::from(*block)];
            if place.start - start >= size {
                return Some((position, start));
            }
            start = place.end();
        }
        (self.capacity - start >= size).then_some((self.known, start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(places: &Places, block: Option<BlockIndex>) -> u32 {
        places.place(block.unwrap()).start
    }

    #[test]
    fn the_block_given_back_last_is_taken_first() {
        let mut places = Places::new(1024);
        let blocks = [128, 64, 128, 64].map(|size| places.lowest(size).unwrap());
        places.give_back(blocks[0].bit());
        places.give_back(blocks[2].bit());
        assert_eq!(places.reuse(128), Some(blocks[2]));
        assert_eq!(places.reuse(128), Some(blocks[0]));
        assert_eq!(places.reuse(128), None);
        assert_eq!(places.taken(), 0xf);
    }

    #[test]
    fn of_blocks_given_back_together_the_lowest_is_taken_first() {
        let mut places = Places::new(1024);
        let blocks = [64; 4].map(|size| places.lowest(size).unwrap());
        places.give_back(0xf);
        for block in blocks {
            assert_eq!(places.reuse(64), Some(block));
        }
    }

    #[test]
    fn a_warm_block_is_not_wasted_on_a_small_loan() {
        let mut places = Places::new(1024);
        let block = places.lowest(512).unwrap();
        places.give_back(block.bit());
        assert_eq!(places.reuse(576), None);
        assert_eq!(places.reuse(256), None);
        assert_eq!(places.reuse(320), Some(block));
        let next = places.lowest(704);
        assert_eq!(start(&places, next), 320, "what the smaller loan left is free");
    }

    #[test]
    fn warm_blocks_are_in_nobodys_way() {
        let mut places = Places::new(256);
        let blocks = [64; 4].map(|size| places.lowest(size).unwrap());
        assert_eq!(places.lowest(64), None);
        places.give_back(0b0110);
        let both = places.lowest(128);
        assert_eq!(start(&places, both), 64);
        assert_eq!(places.reuse(64), None, "forgotten");
        assert_eq!(places.place(blocks[3]), Place { start: 192, size: 64 });
    }

    #[test]
    fn a_block_that_is_not_taken_is_not_given_back_twice() {
        let mut places = Places::new(2048);
        let block = places.lowest(64).unwrap();
        for _ in 0..40 {
            places.give_back(u32::MAX);
        }
        assert_eq!(places.reuse(64), Some(block));
        assert_eq!(places.reuse(64), None);
    }

    #[test]
    fn at_most_32_blocks_are_taken() {
        let mut places = Places::new(64 << 10);
        let blocks: u32 = (0..32).map(|_| places.lowest(64).unwrap().bit()).sum();
        assert_eq!((blocks, places.taken()), (u32::MAX, u32::MAX));
        assert_eq!(places.lowest(64), None);
    }
}
