//! Abort bits: how a host tells a worker that the answer to a call is not wanted any more.
//!
//! One bit for each abort signal, set and cleared by the host, looked at by the worker when it likes.
//! The bit carries no data: whoever sees it late runs a little longer.

use crate::{AttachError, SharedMemory, SharedWord};
use alloc::vec::Vec;
use core::fmt;
use knit_proto::Span;

/// The host's end of the abort bits. LANE-16.
pub struct AbortSender<M: SharedMemory> {
    words: Vec<M::Word>,
    /// The words, as this end stored them last.
    mine: Vec<u32>,
}

impl<M: SharedMemory> AbortSender<M> {
    /// The setting end of the abort bits in `bits`, all of which are clear: whole words, as
    /// `Layout::region` gives them.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn new(memory: &M, bits: Span) -> Result<Self, AttachError> {
        let words = words(memory, bits)?;
        Ok(Self { mine: words.iter().map(|_| 0).collect(), words })
    }

    /// Tells the worker that the call with this signal is aborted. Returns false, and does nothing,
    /// when the lane has no such signal.
    pub fn set(&mut self, signal: u16) -> bool {
        self.store(signal, |word, bit| word | bit)
    }

    /// Takes it back, so that another call can have the signal: after the call that had it has ended,
    /// before the next one is published. LANE-23. Returns false, and does nothing, when
    /// the lane has no such signal.
    pub fn clear(&mut self, signal: u16) -> bool {
        self.store(signal, |word, bit| word & !bit)
    }

    fn store(&mut self, signal: u16, change: impl FnOnce(u32, u32) -> u32) -> bool {
        let (index, bit) = place(signal);
        let (Some(mine), Some(word)) = (self.mine.get_mut(index), self.words.get(index)) else {
            return false;
        };
        *mine = change(*mine, bit);
        // Relaxed: the bit carries no data, and nobody decides by anything beside it.
        word.store_relaxed(*mine);
        true
    }
}

/// The worker's end of the abort bits.
pub struct AbortReceiver<M: SharedMemory> {
    words: Vec<M::Word>,
}

impl<M: SharedMemory> AbortReceiver<M> {
    /// The looking end of the abort bits in `bits`.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn new(memory: &M, bits: Span) -> Result<Self, AttachError> {
        Ok(Self { words: words(memory, bits)? })
    }

    /// Whether the call with this signal is aborted; false for a signal that the lane does not have.
    /// One relaxed load.
    #[inline]
    #[must_use]
    pub fn is_set(&self, signal: u16) -> bool {
        let (index, bit) = place(signal);
        // Relaxed, as the store.
        self.words.get(index).is_some_and(|word| word.load_relaxed() & bit != 0)
    }
}

fn words<M: SharedMemory>(memory: &M, bits: Span) -> Result<Vec<M::Word>, AttachError> {
    (0..bits.len() / 4).filter_map(|index| bits.word(index * 4)).map(|at| memory.word(at)).collect()
}

/// Index of the word and bit of a signal. LANE-16.
const fn place(signal: u16) -> (usize, u32) {
    (signal as usize / 32, 1 << (signal % 32))
}

impl<M: SharedMemory> fmt::Debug for AbortSender<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortSender").field("mine", &self.mine).finish_non_exhaustive()
    }
}

impl<M: SharedMemory> fmt::Debug for AbortReceiver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words.len();
        f.debug_struct("AbortReceiver").field("words", &words).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HeapMemory, SharedBytes};

    /// LANE-16, LANE-23.
    #[test]
    fn a_signal_is_one_bit_of_one_word() {
        let memory = HeapMemory::zeroed(128).unwrap();
        let bits = Span::new(64, 12).unwrap();
        let mut host = AbortSender::new(&memory, bits).unwrap();
        let worker = AbortReceiver::new(&memory, bits).unwrap();
        for signal in [0, 1, 31, 32, 65, 95] {
            assert!(host.set(signal));
            let mut words = [0; 3];
            memory.bytes(bits).unwrap().load_words(0, &mut words).unwrap();
            let mut expected = [0; 3];
            expected[usize::from(signal) / 32] = 1 << (signal % 32);
            assert_eq!(words, expected, "signal {signal}");
            assert!((0..96).all(|other| worker.is_set(other) == (other == signal)));
            assert!(host.clear(signal));
            assert!((0..96).all(|other| !worker.is_set(other)));
        }
    }

    #[test]
    fn a_signal_that_the_lane_lacks_does_nothing() {
        let memory = HeapMemory::zeroed(64).unwrap();
        let bits = Span::new(0, 4).unwrap();
        let mut host = AbortSender::new(&memory, bits).unwrap();
        assert!(!host.set(32) && !host.set(u16::MAX) && !host.clear(32));
        assert!(!AbortReceiver::new(&memory, bits).unwrap().is_set(u16::MAX));
        assert!(!AbortSender::new(&memory, Span::new(0, 0).unwrap()).unwrap().set(0));
    }
}
