//! Memory whose content a peer changes between any two loads.

use crate::{Intercept, Intercepted, Order};
use knit_ring::HeapMemory;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Values that bugs like.
pub const EDGES: [u32; 16] = [
    0,
    1,
    2,
    3,
    31,
    32,
    63,
    64,
    65,
    512,
    513,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffc0,
    u32::MAX - 1,
    u32::MAX,
];

/// Heap memory as a party sees it whose peer writes whatever it likes, whenever it likes.
pub type HostileMemory = Intercepted<Hostile>;

/// The peer's writes, driven by a seed.
#[derive(Debug)]
pub struct Hostile {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    noise: Noise,
    /// Loads in 256 that are tampered with.
    rate: u32,
    /// What each word was loaded as last.
    seen: HashMap<u32, u32, Places>,
    accesses: Accesses,
    /// What was loaded since the accesses were taken.
    loaded: HashSet<u32, Places>,
}

/// Hashes places in a memory: they are looked up at each load, and nobody chooses them to collide.
type Places = BuildHasherDefault<PlaceHasher>;

#[derive(Debug, Default)]
struct PlaceHasher(u64);

impl Hasher for PlaceHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32((*byte).into());
        }
    }

    fn write_u32(&mut self, place: u32) {
        // 2^64 divided by the golden ratio, the high half folded onto the low one.
        let mixed = (self.0 ^ u64::from(place)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// How a party has accessed its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accesses {
    /// Words loaded, those of copies included.
    pub loads: u64,
    /// Words stored, those of copies included.
    pub stores: u64,
    /// Where a word stands that was loaded more than once. H2.
    pub twice: Option<u32>,
}

impl HostileMemory {
    /// `inner` with a peer that changes `rate` of 256 loads, as `seed` says.
    #[must_use]
    pub fn tampering(inner: &HeapMemory, seed: u64, rate: u32) -> Self {
        Self::driven(inner, Noise::new(seed), rate)
    }

    /// `inner` with a peer that changes `rate` of 256 loads, as `noise` says.
    #[must_use]
    pub fn driven(inner: &HeapMemory, noise: Noise, rate: u32) -> Self {
        let accesses = Accesses::default();
        let (seen, loaded) = (HashMap::default(), HashSet::default());
        let state = State { noise, rate, seen, accesses, loaded };
        Self::over(inner, Hostile { state: Mutex::new(state) })
    }

    /// The accesses since the last call of this.
    #[must_use]
    pub fn take_accesses(&self) -> Accesses {
        let mut state = self.by().state();
        state.loaded.clear();
        std::mem::take(&mut state.accesses)
    }

    /// How many of 256 loads are tampered with from now on.
    pub fn set_rate(&self, rate: u32) {
        self.by().state().rate = rate;
    }

    /// What the word at byte `at` was loaded as last, if it was.
    #[must_use]
    pub fn last_load(&self, at: u32) -> Option<u32> {
        self.by().state().seen.get(&at).copied()
    }

    /// As [`Self::last_load`], of the loads since the last call of this.
    #[must_use]
    pub fn take_load(&self, at: u32) -> Option<u32> {
        self.by().state().seen.remove(&at)
    }
}

impl Hostile {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Hostile {
    fn load(&self, at: u32, value: u32, _: Order) -> u32 {
        let mut state = self.state();
        state.accesses.loads += 1;
        if !state.loaded.insert(at) {
            state.accesses.twice = Some(at);
        }
        let rate = state.rate;
        let value = if state.noise.below(256) < rate { state.noise.tamper(value) } else { value };
        state.seen.insert(at, value);
        value
    }

    fn store(&self, _: u32, _: u32, _: Order) -> bool {
        self.state().accesses.stores += 1;
        true
    }
}

/// A sequence of numbers that a seed determines (SplitMix64), or a script as far as it goes.
#[derive(Clone, Debug)]
pub struct Noise {
    script: VecDeque<u8>,
    state: u64,
}

impl Noise {
    /// The sequence of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { script: VecDeque::new(), state: seed }
    }

    /// The numbers that the bytes of `script` are, each taking as many as it needs, then the sequence of `seed`.
    #[must_use]
    pub fn scripted(script: Vec<u8>, seed: u64) -> Self {
        Self { script: script.into(), state: seed }
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "the sequence never ends")]
    pub fn next(&mut self) -> u64 {
        if let Some(number) = self.read(8) {
            return number;
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number as 32 bits.
    pub fn word(&mut self) -> u32 {
        // Four bytes of the script are a word.
        self.read(4).map_or_else(|| (self.next() >> 32) as u32, |number| number as u32)
    }

    /// A number below `limit`, which is not zero.
    pub fn below(&mut self, limit: u32) -> u32 {
        match limit {
            // One byte of the script is below 256.
            0..=256 => self.read(1).map_or_else(|| self.word(), |number| number as u32) % limit,
            _ => self.word() % limit,
        }
    }

    /// The number that the next `bytes` bytes of the script are, least significant first; `None` at its end.
    fn read(&mut self, bytes: usize) -> Option<u64> {
        if self.script.is_empty() {
            return None;
        }
        let bytes = self.script.drain(..bytes.min(self.script.len()));
        Some(bytes.rev().fold(0, |number, byte| number << 8 | u64::from(byte)))
    }

    /// What a hostile peer writes over `value`: an edge, a neighbour, some flipped bits, anything.
    pub fn tamper(&mut self, value: u32) -> u32 {
        match self.below(5) {
            0 => EDGES[self.below(EDGES.len() as u32) as usize],
            1 => value.wrapping_add(1),
            2 => value.wrapping_sub(1),
            3 => value ^ (1 << self.below(32)),
            _ => self.word(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use knit_proto::WordOffset;
    use knit_ring::{SharedMemory, SharedWord};

    #[test]
    fn a_seed_determines_the_peer() {
        let run = |seed| {
            let memory = HostileMemory::tampering(&HeapMemory::zeroed(64).unwrap(), seed, 128);
            let word = memory.word(WordOffset::new(4).unwrap()).unwrap();
            (0..64).map(|_| word.load_acquire()).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn a_script_comes_before_the_sequence_of_the_seed() {
        let mut noise = Noise::scripted(vec![7, 1, 2, 0, 0, 9], 1);
        assert_eq!((noise.below(4), noise.word(), noise.word()), (3, 0x0201, 9));
        assert_eq!(noise.next(), Noise::new(1).next());
    }

    #[test]
    fn rate_zero_is_honest() {
        let memory = HostileMemory::tampering(&HeapMemory::zeroed(64).unwrap(), 3, 0);
        let word = memory.word(WordOffset::new(4).unwrap()).unwrap();
        word.store_release(9);
        assert!((0..64).all(|_| word.load_acquire() == 9));
        let accesses = Accesses { loads: 64, stores: 1, twice: Some(4) };
        assert_eq!(memory.take_accesses(), accesses);
        assert_eq!((word.load_acquire(), memory.take_accesses().twice), (9, None));
        assert_eq!(memory.last_load(4), Some(9));
    }
}
