//! Words at random places, the same for the same seed.

/// Calls `store` so many times with the offset in bytes of one of the first `words` words, and a value.
/// Small values are frequent.
pub fn words(seed: u64, count: u32, words: u32, mut store: impl FnMut(u32, u32)) {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ seed;
    for _ in 0..count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // The high half chooses the place, the low half is the value. Both casts keep what they are for.
        let at = (state >> 40) as u32 % words * 4;
        let value = if state & 1 << 33 == 0 { state as u32 & 63 } else { state as u32 };
        store(at, value);
    }
}
