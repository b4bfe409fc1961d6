//! Memory of which every single load and store passes through a test.

use knit_proto::{Span, WordOffset};
use knit_ring::{
    HeapMemory, OutOfBounds, ReserveError, SharedBytes, SharedMemory, SharedWord, SharedWordRmw,
};
use std::fmt;
use std::sync::Arc;

/// What a test does to the loads and stores of a party. Copies come word by word.
pub trait Intercept: Send + Sync + 'static {
    /// What a load of the word at byte `at` returns, where memory holds `value`.
    fn load(&self, at: u32, value: u32, order: Order) -> u32 {
        let _ = (at, order);
        value
    }

    /// Whether a store of `value` to the word at byte `at` happens.
    fn store(&self, at: u32, value: u32, order: Order) -> bool {
        let _ = (at, value, order);
        true
    }

    /// The party executes a full fence.
    fn fence(&self) {}
}

/// How a word is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Without ordering.
    Relaxed,
    /// A load with acquire ordering.
    Acquire,
    /// A store with release ordering.
    Release,
    /// Without ordering, as part of a copy of bytes: so many of the word's four, from its start.
    Bytes(usize),
}

/// Memory as one party sees it, through an [`Intercept`]: heap memory, or that of processes. Clones share both.
pub struct Intercepted<I, M = HeapMemory> {
    inner: M,
    by: Arc<I>,
}

impl<I: Intercept, M: SharedMemory> Intercepted<I, M> {
    /// `inner` as seen through `by`.
    pub fn over(inner: &M, by: I) -> Self {
        Self { inner: inner.clone(), by: Arc::new(by) }
    }

    /// Another memory of the same party, behind the same [`Intercept`].
    #[must_use]
    pub fn beside(&self, inner: &M) -> Self {
        Self { inner: inner.clone(), by: Arc::clone(&self.by) }
    }

    /// What stands between the party and the memory.
    #[must_use]
    pub fn by(&self) -> &I {
        &self.by
    }
}

impl<I: Intercept, M: SharedMemory> SharedMemory for Intercepted<I, M> {
    type Word = InterceptedWord<I, M>;
    type Bytes = InterceptedBytes<I, M>;

    fn len(&self) -> u32 {
        self.inner.len()
    }

    fn word(&self, at: WordOffset) -> Result<Self::Word, OutOfBounds> {
        Ok(InterceptedWord { word: self.inner.word(at)?, at: at.bytes(), by: Arc::clone(&self.by) })
    }

    fn bytes(&self, span: Span) -> Result<Self::Bytes, OutOfBounds> {
        let bytes = self.inner.bytes(span)?;
        Ok(InterceptedBytes { bytes, at: span.at(), by: Arc::clone(&self.by) })
    }

    fn full_fence(&self) {
        self.by.fence();
        self.inner.full_fence();
    }

    fn reserve(&self, span: Span) -> Result<(), ReserveError> {
        self.inner.reserve(span)
    }
}

impl<I, M: Clone> Clone for Intercepted<I, M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), by: Arc::clone(&self.by) }
    }
}

impl<I, M: fmt::Debug> fmt::Debug for Intercepted<I, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intercepted").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// A word of [`Intercepted`] memory.
pub struct InterceptedWord<I, M: SharedMemory = HeapMemory> {
    word: M::Word,
    at: u32,
    by: Arc<I>,
}

impl<I, M: SharedMemory> InterceptedWord<I, M> {
    /// Where in the memory the word stands, in bytes.
    #[must_use]
    pub fn at(&self) -> u32 {
        self.at
    }
}

impl<I: Intercept, M: SharedMemory> SharedWord for InterceptedWord<I, M> {
    fn load_relaxed(&self) -> u32 {
        self.by.load(self.at, self.word.load_relaxed(), Order::Relaxed)
    }

    fn load_acquire(&self) -> u32 {
        self.by.load(self.at, self.word.load_acquire(), Order::Acquire)
    }

    fn store_relaxed(&self, value: u32) {
        if self.by.store(self.at, value, Order::Relaxed) {
            self.word.store_relaxed(value);
        }
    }

    fn store_release(&self, value: u32) {
        if self.by.store(self.at, value, Order::Release) {
            self.word.store_release(value);
        }
    }
}

/// A flip is a load and a store to those who intercept.
impl<I: Intercept, M: SharedMemory> SharedWordRmw for InterceptedWord<I, M>
where
    M::Word: Sync,
{
    fn fetch_xor_release(&self, bits: u32) {
        let value = self.load_relaxed();
        self.store_release(value ^ bits);
    }

    fn compare_exchange_acquire(&self, expected: u32, new: u32) -> Result<(), u32> {
        match self.load_acquire() {
            found if found == expected => {
                self.store_relaxed(new);
                Ok(())
            }
            found => Err(found),
        }
    }
}

impl<I, M: SharedMemory> fmt::Debug for InterceptedWord<I, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterceptedWord").field("at", &self.at).finish_non_exhaustive()
    }
}

/// Bytes of [`Intercepted`] memory.
pub struct InterceptedBytes<I, M: SharedMemory = HeapMemory> {
    bytes: M::Bytes,
    /// Start of the span in the memory.
    at: u32,
    by: Arc<I>,
}

impl<I: Intercept, M: SharedMemory> InterceptedBytes<I, M> {
    fn load(&self, at: u32, order: Order) -> u32 {
        let mut word = [0];
        self.bytes.load_words(at, &mut word).expect("the whole copy is inside");
        self.by.load(self.at + at, word[0], order)
    }

    fn store(&self, at: u32, value: u32, order: Order) {
        if self.by.store(self.at + at, value, order) {
            self.bytes.store_words(at, &[value]).expect("the whole copy is inside");
        }
    }

    /// Refuses what the memory inside refuses.
    fn check(&self, at: u32, len: usize) -> Result<(), OutOfBounds> {
        let end = u64::from(at) + len.next_multiple_of(4) as u64;
        if at.is_multiple_of(4) && end <= self.bytes.len().into() {
            return Ok(());
        }
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        Err(OutOfBounds { at, len, available: self.bytes.len() })
    }
}

impl<I: Intercept, M: SharedMemory> SharedBytes for InterceptedBytes<I, M> {
    fn len(&self) -> u32 {
        self.bytes.len()
    }

    fn snapshot(&self, at: u32, into: &mut [u8]) -> Result<(), OutOfBounds> {
        self.check(at, into.len())?;
        for (at, bytes) in (at..).step_by(4).zip(into.chunks_mut(4)) {
            let word = self.load(at, Order::Bytes(bytes.len())).to_ne_bytes();
            bytes.copy_from_slice(&word[..bytes.len()]);
        }
        Ok(())
    }

    fn deposit(&self, at: u32, from: &[u8]) -> Result<(), OutOfBounds> {
        self.check(at, from.len())?;
        for (at, bytes) in (at..).step_by(4).zip(from.chunks(4)) {
            let mut word = [0; 4];
            word[..bytes.len()].copy_from_slice(bytes);
            self.store(at, u32::from_ne_bytes(word), Order::Bytes(bytes.len()));
        }
        Ok(())
    }

    fn load_words(&self, at: u32, into: &mut [u32]) -> Result<(), OutOfBounds> {
        self.check(at, size_of_val(into))?;
        for (at, word) in (at..).step_by(4).zip(into) {
            *word = self.load(at, Order::Relaxed);
        }
        Ok(())
    }

    fn store_words(&self, at: u32, words: &[u32]) -> Result<(), OutOfBounds> {
        self.check(at, size_of_val(words))?;
        for (at, word) in (at..).step_by(4).zip(words) {
            self.store(at, *word, Order::Relaxed);
        }
        Ok(())
    }
}

impl<I, M: SharedMemory> fmt::Debug for InterceptedBytes<I, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterceptedBytes").field("at", &self.at).finish_non_exhaustive()
    }
}
