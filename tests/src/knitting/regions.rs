//! Where a Knitting host puts payloads: its table of regions, without the defect of its table (KD-1).

/// One region in use, or released and not yet forgotten.
#[derive(Clone, Copy, Debug)]
struct Region {
    index: u32,
    start: u32,
    size: u32,
}

/// The table of a sender: at most 32 regions, sorted by start.
#[derive(Debug)]
pub struct Regions {
    table: Vec<Region>,
    capacity: u32,
    /// The payload sender word.
    pub word: u32,
}

impl Regions {
    /// An empty table for a payload region of `capacity` bytes, the first 64 not counted.
    pub const fn new(capacity: u32) -> Self {
        Self { table: Vec::new(), capacity, word: 0 }
    }

    /// Index and start of a region for `bytes`, when the receiver's word is `released`.
    pub fn place(&mut self, bytes: u32, released: u32) -> Option<(u32, u32)> {
        let size = bytes.max(1).next_multiple_of(64);
        let word = self.word;
        let in_use = |region: &Region| (word ^ released) >> region.index & 1 == 1;
        if !self.table.iter().any(in_use) {
            self.table.clear();
        }
        let same = self.table.iter().position(|region| !in_use(region) && region.size == size);
        // Upstream goes on with an index of -1 where all 32 are tracked. That is the defect.
        if let (Some(at), Some(index)) = (same, self.free_index()) {
            self.table[at].index = index;
            return Some(self.take(index, self.table[at].start));
        }
        self.table.retain(in_use);
        let index = self.free_index()?;
        let mut start = 0;
        let mut at = 0;
        for region in &self.table {
            if region.start - start >= size {
                break;
            }
            start = region.start + region.size;
            at += 1;
        }
        if start.checked_add(size)? > self.capacity {
            return None;
        }
        self.table.insert(at, Region { index, start, size });
        Some(self.take(index, start))
    }

    fn free_index(&self) -> Option<u32> {
        (0..32).find(|index| self.table.iter().all(|region| region.index != *index))
    }

    fn take(&mut self, index: u32, start: u32) -> (u32, u32) {
        self.word ^= 1 << index;
        (index, start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placement_is_in_upstreams_order() {
        let mut regions = Regions::new(1 << 20);
        assert_eq!(regions.place(100, 0), Some((0, 0)));
        assert_eq!(regions.place(100, 0), Some((1, 128)));
        assert_eq!(regions.place(64, 0), Some((2, 256)));
        // The first one came back: its exact size takes its start, with the lowest untracked index.
        assert_eq!(regions.place(128, 0b001), Some((3, 0)));
        // The second came back too, and is no exact fit: it is forgotten, then the first gap that fits.
        assert_eq!(regions.place(60, 0b011), Some((0, 128)));
        // All came back: from the start.
        let all = regions.word;
        assert_eq!(regions.place(1, all), Some((0, 0)));
    }

    /// KD-1.
    #[test]
    fn a_full_table_of_one_size_gives_no_region_twice() {
        let mut regions = Regions::new(1 << 20);
        let starts: Vec<_> = (0..32).map(|_| regions.place(600, 0).unwrap()).collect();
        assert_eq!(regions.place(600, 0), None);
        // One of 32 is released: its place is the only one to be had.
        assert_eq!(regions.place(600, 1 << 7), Some((7, starts[7].1)));
        assert_eq!(regions.place(600, 1 << 7), None);
    }
}
