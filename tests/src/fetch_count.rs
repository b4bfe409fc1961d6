//! Memory that allows one load of each word in one operation (H2).

use crate::{Intercept, Intercepted, Order};
use knit_ring::HeapMemory;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Heap memory of which an operation may load each word once: whoever checks a value and loads it
/// again uses another one than it checked.
pub type FetchCount = Intercepted<Fetches>;

/// What was loaded.
#[derive(Debug, Default)]
pub struct Fetches {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Words loaded by the operation under way, if there is one.
    operation: Option<BTreeSet<u32>>,
    /// Words loaded ever.
    loaded: BTreeSet<u32>,
    /// Words stored ever.
    stored: BTreeSet<u32>,
}

impl FetchCount {
    /// `inner`, counting.
    #[must_use]
    pub fn counting(inner: &HeapMemory) -> Self {
        Self::over(inner, Fetches::default())
    }

    /// Runs one operation, and returns what it returned and which words it loaded.
    ///
    /// # Panics
    ///
    /// The operation loaded a word twice, or runs inside another one.
    pub fn operation<T>(&self, run: impl FnOnce() -> T) -> (T, BTreeSet<u32>) {
        let outer = self.by().state().operation.replace(BTreeSet::new());
        assert!(outer.is_none(), "one operation at a time");
        let done = run();
        let loaded = self.by().state().operation.take().expect("set above");
        (done, loaded)
    }

    /// Every word that was loaded and every word that was stored so far, in bytes.
    #[must_use]
    pub fn touched(&self) -> (BTreeSet<u32>, BTreeSet<u32>) {
        let state = self.by().state();
        (state.loaded.clone(), state.stored.clone())
    }
}

impl Fetches {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Fetches {
    fn load(&self, at: u32, value: u32, _: Order) -> u32 {
        let mut state = self.state();
        state.loaded.insert(at);
        let first = state.operation.as_mut().is_none_or(|loaded| loaded.insert(at));
        drop(state);
        assert!(first, "the word at byte {at} is loaded twice in one operation");
        value
    }

    fn store(&self, at: u32, _: u32, _: Order) -> bool {
        self.state().stored.insert(at);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use knit_proto::WordOffset;
    use knit_ring::{SharedMemory, SharedWord};

    #[test]
    #[should_panic(expected = "byte 4 is loaded twice in one operation")]
    fn a_second_load_panics() {
        let memory = FetchCount::counting(&HeapMemory::zeroed(64).unwrap());
        let word = memory.word(WordOffset::new(4).unwrap()).unwrap();
        memory.operation(|| word.load_acquire() + word.load_relaxed());
    }

    #[test]
    fn one_load_in_each_operation_is_fine() {
        let memory = FetchCount::counting(&HeapMemory::zeroed(64).unwrap());
        let word = memory.word(WordOffset::new(4).unwrap()).unwrap();
        for _ in 0..3 {
            assert_eq!(memory.operation(|| word.load_acquire()).1, BTreeSet::from([4]));
        }
    }
}
