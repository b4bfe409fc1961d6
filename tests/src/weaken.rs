//! Memory with one ordering of the protocol taken away.

use knit_proto::{Span, WordOffset};
use knit_ring::{OutOfBounds, ReserveError, SharedMemory, SharedWord, SharedWordRmw};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakening {
    /// Nothing.
    None,
    /// Release stores to this word become relaxed.
    StoreRelaxed(WordOffset),
    /// Acquire loads of this word become relaxed.
    LoadRelaxed(WordOffset),
    /// A store to this word is made after the next store to another word: the two change places.
    StoreLate(WordOffset),
    /// Full fences do nothing.
    NoFence,
}

/// The memory of one party of which an ordering is taken away. The other party uses the memory
/// inside directly, or another weakening of it.
#[derive(Clone)]
pub struct Weaken<M: SharedMemory> {
    inner: M,
    weakening: Weakening,
    late: Late<M>,
}

/// A store that is still to be made.
type Late<M> = Arc<Mutex<Option<(Arc<<M as SharedMemory>::Word>, u32)>>>;

impl<M: SharedMemory> Weaken<M> {
    /// `inner` without what `weakening` says.
    #[must_use]
    pub fn new(inner: &M, weakening: Weakening) -> Self {
        Self { inner: inner.clone(), weakening, late: Late::<M>::default() }
    }
}

impl<M: SharedMemory> SharedMemory for Weaken<M>
where
    M::Word: Sync,
{
    type Word = WeakWord<M>;
    type Bytes = M::Bytes;

    fn len(&self) -> u32 {
        self.inner.len()
    }

    fn word(&self, at: WordOffset) -> Result<Self::Word, OutOfBounds> {
        Ok(WeakWord {
            word: Arc::new(self.inner.word(at)?),
            store_relaxed: self.weakening == Weakening::StoreRelaxed(at),
            load_relaxed: self.weakening == Weakening::LoadRelaxed(at),
            store_late: self.weakening == Weakening::StoreLate(at),
            late: Arc::clone(&self.late),
        })
    }

    fn bytes(&self, span: Span) -> Result<Self::Bytes, OutOfBounds> {
        self.inner.bytes(span)
    }

    fn full_fence(&self) {
        if self.weakening != Weakening::NoFence {
            self.inner.full_fence();
        }
    }

    fn reserve(&self, span: Span) -> Result<(), ReserveError> {
        self.inner.reserve(span)
    }
}

impl<M: SharedMemory> fmt::Debug for Weaken<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weaken").field("weakening", &self.weakening).finish_non_exhaustive()
    }
}

/// A word of [`Weaken`].
pub struct WeakWord<M: SharedMemory> {
    word: Arc<M::Word>,
    store_relaxed: bool,
    load_relaxed: bool,
    store_late: bool,
    late: Late<M>,
}

impl<M: SharedMemory> WeakWord<M> {
    /// The store that was held back, which is now to be made. The lock is not held while it is.
    fn take_late(&self) -> Option<(Arc<M::Word>, u32)> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<M: SharedMemory> SharedWord for WeakWord<M>
where
    M::Word: Sync,
{
    fn load_relaxed(&self) -> u32 {
        self.word.load_relaxed()
    }

    fn load_acquire(&self) -> u32 {
        if self.load_relaxed { self.word.load_relaxed() } else { self.word.load_acquire() }
    }

    fn store_relaxed(&self, value: u32) {
        self.word.store_relaxed(value);
    }

    fn store_release(&self, value: u32) {
        let late = self.take_late();
        if self.store_late {
            let held = Some((Arc::clone(&self.word), value));
            *self.late.lock().unwrap_or_else(PoisonError::into_inner) = held;
        } else if self.store_relaxed {
            self.word.store_relaxed(value);
        } else {
            self.word.store_release(value);
        }
        if let Some((word, value)) = late {
            word.store_release(value);
        }
    }
}

impl<M: SharedMemory> SharedWordRmw for WeakWord<M>
where
    M::Word: SharedWordRmw,
{
    fn fetch_xor_release(&self, bits: u32) {
        assert!(!self.store_late, "a flip is not held back");
        if self.store_relaxed {
            // The traits have no flip without ordering. This one may also lose another thread's flip,
            // as a sender that believes itself alone would.
            self.word.store_relaxed(self.word.load_relaxed() ^ bits);
        } else {
            self.word.fetch_xor_release(bits);
        }
        if let Some((word, value)) = self.take_late() {
            word.store_release(value);
        }
    }

    fn compare_exchange_acquire(&self, expected: u32, new: u32) -> Result<(), u32> {
        self.word.compare_exchange_acquire(expected, new)
    }
}

impl<M: SharedMemory> fmt::Debug for WeakWord<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakWord").finish_non_exhaustive()
    }
}
