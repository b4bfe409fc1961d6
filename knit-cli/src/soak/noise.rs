//! Numbers and bytes without a pattern, and the hash by which bytes are held against each other.

/// Numbers that follow from a seed. The generator of Steele, Lea and Flood, 2014 (SplitMix64).
#[derive(Debug)]
pub struct Random(u64);

/// What the generator adds to its state for each number.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A length up to `most`: as many between 8 and 16 as between 512 Ki and 1 Mi.
    pub fn len(&mut self, most: usize) -> usize {
        let bits = u64::from(usize::BITS - most.leading_zeros());
        let top = 1_u64 << self.below(bits + 1);
        (self.below(top) as usize).min(most)
    }
}

/// Another number for each number, without any likeness to it.
pub fn mix(number: u64) -> u64 {
    let bits = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Bytes that follow from a seed.
pub fn fill(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A number that any change of the bytes changes: the length, then eight bytes at a time.
pub fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    words.fold(mix(bytes.len() as u64), |hash, word| mix(hash.rotate_left(23) ^ word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_and_the_length_change_the_hash() {
        let bytes = fill(1, 37);
        let whole = hash(&bytes);
        for bit in 0..37 * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(hash(&other), whole, "bit {bit}");
        }
        assert_ne!(hash(&bytes[..36]), whole);
        // Zeros at the end count.
        assert_ne!(hash(&[0; 8]), hash(&[0; 7]));
    }

    #[test]
    fn lengths_keep_to_their_limit_and_reach_every_size() {
        let mut random = Random::new(5);
        let lengths: Vec<_> = (0..10_000).map(|_| random.len(1 << 20)).collect();
        assert!(lengths.iter().all(|len| *len <= 1 << 20));
        for limit in [8, 512, 64 << 10] {
            let short = lengths.iter().filter(|len| **len < limit).count();
            assert!((500..9_500).contains(&short), "{short} below {limit}");
        }
    }
}
