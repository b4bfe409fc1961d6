//! Shared memory over any stretch of bytes that stays where it is.

#![allow(unsafe_code, reason = "listed in ARCHITECTURE.md")]

use super::{
    OutOfBounds, ReserveError, SharedBytes, SharedMemory, SharedWord, SharedWordRmw, check, copy,
};
use alloc::sync::Arc;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering, fence};
use knit_proto::{Span, WordOffset};

/// Owner of bytes that other parties may write.
///
/// # Safety
///
/// M1. From construction to drop, `len()` bytes from `base()` on are mapped readable and writable,
///     aligned to 64, and both values stay the same. Nobody can take the pages away: the length of
///     a mapped file cannot shrink.
/// M2. No Rust reference to those bytes exists, other than `&AtomicU32` made by this module.
pub unsafe trait Backing: Send + Sync + 'static {
    /// The first byte.
    fn base(&self) -> NonNull<u8>;
    /// Length in bytes.
    fn len(&self) -> u32;
    /// Whether there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Makes sure that memory stands behind `span`, which lies inside.
    ///
    /// # Errors
    ///
    /// The machine has no memory left.
    fn reserve(&self, span: Span) -> Result<(), ReserveError>;
}

/// [`SharedMemory`] over a [`Backing`]. Clones and handles share the owner and keep it alive.
pub struct Mapped<B> {
    owner: Arc<B>,
}

impl<B: Backing> Mapped<B> {
    /// Memory over the bytes that `owner` owns.
    #[must_use]
    pub fn new(owner: B) -> Self {
        Self { owner: Arc::new(owner) }
    }

    /// The owner of the bytes.
    #[must_use]
    pub fn backing(&self) -> &B {
        &self.owner
    }

    fn place(&self, at: u32, len: u32) -> Result<NonNull<u8>, OutOfBounds> {
        check(at, len as usize, self.owner.len())?;
        // SAFETY: `NonNull::add` requires the offset to stay inside one allocation: `check` showed
        // `at + len <= len()`, and M1 maps that many bytes.
        Ok(unsafe { self.owner.base().add(at as usize) })
    }
}

impl<B: Backing> SharedMemory for Mapped<B> {
    type Word = MappedWord<B>;
    type Bytes = MappedBytes<B>;

    fn len(&self) -> u32 {
        self.owner.len()
    }

    fn word(&self, at: WordOffset) -> Result<Self::Word, OutOfBounds> {
        let at = self.place(at.bytes(), 4)?.cast();
        Ok(MappedWord { at, owner: Arc::clone(&self.owner) })
    }

    fn bytes(&self, span: Span) -> Result<Self::Bytes, OutOfBounds> {
        let at = self.place(span.at(), span.len())?;
        Ok(MappedBytes { at, len: span.len(), owner: Arc::clone(&self.owner) })
    }

    #[inline(always)]
    fn full_fence(&self) {
        #[allow(clippy::disallowed_methods, reason = "this is where models see it")]
        fence(Ordering::SeqCst);
    }

    fn reserve(&self, span: Span) -> Result<(), ReserveError> {
        check(span.at(), span.len() as usize, self.owner.len())?;
        self.owner.reserve(span)
    }
}

impl<B> Clone for Mapped<B> {
    fn clone(&self) -> Self {
        Self { owner: Arc::clone(&self.owner) }
    }
}

impl<B: Backing> fmt::Debug for Mapped<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped").field("len", &self.owner.len()).finish_non_exhaustive()
    }
}

/// A word of [`Mapped`] memory.
pub struct MappedWord<B> {
    /// Aligned to 4 and inside the bytes of `owner` (`place`).
    at: NonNull<u32>,
    owner: Arc<B>,
}

// SAFETY: the pointer is used only for atomic accesses, which any thread may do, and the bytes it
// points at live as long as `owner`, which is `Send + Sync` because `Backing` is.
unsafe impl<B: Backing> Send for MappedWord<B> {}
// SAFETY: as for `Send`: every method does one atomic access.
unsafe impl<B: Backing> Sync for MappedWord<B> {}

impl<B> MappedWord<B> {
    /// The word as an atomic of the standard library, for system calls that want its address.
    #[inline(always)]
    #[must_use]
    pub fn as_atomic(&self) -> &AtomicU32 {
        // SAFETY: `AtomicU32::from_ptr` requires
        // - alignment: `at` comes from `place` with a multiple of 4 on a base aligned to 64 (M1);
        // - validity for the lifetime of the reference: `owner` is alive as long as `self` (M1);
        // - no conflicting non-atomic access: M2 in this process; what other processes do to the
        //   word is outside the abstract machine (see SECURITY.md).
        unsafe { AtomicU32::from_ptr(self.at.as_ptr()) }
    }
}

impl<B: Backing> SharedWord for MappedWord<B> {
    #[inline(always)]
    fn load_relaxed(&self) -> u32 {
        self.as_atomic().load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn load_acquire(&self) -> u32 {
        self.as_atomic().load(Ordering::Acquire)
    }

    #[inline(always)]
    fn store_relaxed(&self, value: u32) {
        self.as_atomic().store(value, Ordering::Relaxed);
    }

    #[inline(always)]
    fn store_release(&self, value: u32) {
        self.as_atomic().store(value, Ordering::Release);
    }
}

impl<B: Backing> SharedWordRmw for MappedWord<B> {
    #[inline(always)]
    fn fetch_xor_release(&self, bits: u32) {
        self.as_atomic().fetch_xor(bits, Ordering::Release);
    }

    #[inline(always)]
    fn compare_exchange_acquire(&self, expected: u32, new: u32) -> Result<(), u32> {
        self.as_atomic()
            .compare_exchange(expected, new, Ordering::Acquire, Ordering::Relaxed)
            .map(drop)
    }
}

impl<B> Clone for MappedWord<B> {
    fn clone(&self) -> Self {
        Self { at: self.at, owner: Arc::clone(&self.owner) }
    }
}

impl<B> fmt::Debug for MappedWord<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappedWord").finish_non_exhaustive()
    }
}

/// Bytes of [`Mapped`] memory.
pub struct MappedBytes<B> {
    /// Aligned to 4, the first of `len` bytes inside the bytes of `owner` (`place`).
    at: NonNull<u8>,
    len: u32,
    #[expect(dead_code, reason = "keeps the bytes mapped")]
    owner: Arc<B>,
}

// SAFETY: as for `MappedWord`; copies touch the shared bytes by atomics or by opaque instructions.
unsafe impl<B: Backing> Send for MappedBytes<B> {}
// SAFETY: as for `Send`.
unsafe impl<B: Backing> Sync for MappedBytes<B> {}

impl<B: Backing> MappedBytes<B> {
    #[inline(always)]
    fn place(&self, at: u32, len: usize) -> Result<*mut u8, OutOfBounds> {
        check(at, len, self.len)?;
        // SAFETY: `check` showed that the offset is at most `len`, all of which is one mapping (M1).
        Ok(unsafe { self.at.add(at as usize) }.as_ptr())
    }
}

impl<B: Backing> SharedBytes for MappedBytes<B> {
    fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    fn snapshot(&self, at: u32, into: &mut [u8]) -> Result<(), OutOfBounds> {
        let from = self.place(at, into.len())?;
        // SAFETY: C1: `place` showed that the rounded-up bytes lie inside and `at` is a multiple of
        // 4, and `owner` keeps them mapped (M1). C2 is M2.
        unsafe { copy::snapshot(from, into) };
        Ok(())
    }

    #[inline]
    fn deposit(&self, at: u32, from: &[u8]) -> Result<(), OutOfBounds> {
        let into = self.place(at, from.len())?;
        // SAFETY: as in `snapshot`.
        unsafe { copy::deposit(into, from) };
        Ok(())
    }

    #[inline(always)]
    fn load_words(&self, at: u32, into: &mut [u32]) -> Result<(), OutOfBounds> {
        let from = self.place(at, size_of_val(into))?;
        // SAFETY: as in `snapshot`.
        unsafe { copy::load_words(from, into) };
        Ok(())
    }

    #[inline(always)]
    fn store_words(&self, at: u32, words: &[u32]) -> Result<(), OutOfBounds> {
        let into = self.place(at, size_of_val(words))?;
        // SAFETY: as in `snapshot`.
        unsafe { copy::store_words(into, words) };
        Ok(())
    }
}

impl<B> fmt::Debug for MappedBytes<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappedBytes").field("len", &self.len).finish_non_exhaustive()
    }
}
