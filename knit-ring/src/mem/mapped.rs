//! Shared memory over any stretch of bytes that stays where it is.

#![allow(unsafe_code, reason = "listed in ARCHITECTURE.md")]

use super::{
    CooperativeBytes, Copying, OutOfBounds, Plain, ReserveError, SharedBytes, SharedMemory,
    SharedWord, SharedWordRmw, Snapshot, check, copy,
};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering, fence};
use knit_proto::{Span, WordOffset};

/// Owner of bytes that other parties may write.
///
/// # Safety
///
/// M1. From construction to drop, `len()` bytes from `base()` on are mapped readable and writable,
///     aligned to 64, and both values stay the same. Nobody can put other pages in their place. Where
///     somebody can take pages away (a mapped file that can shrink), an access ends the process with a
///     signal and does nothing else.
/// M2. No Rust reference to those bytes exists, other than those made by this module: `&AtomicU32`,
///     and slices of [`Plain`] memory.
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
///
/// `C` says how bytes are copied: [`Snapshot`] unless [`Self::assume_cooperative`] was called.
pub struct Mapped<B, C = Snapshot> {
    owner: Arc<B>,
    copying: PhantomData<C>,
}

impl<B: Backing> Mapped<B> {
    /// Memory over the bytes that `owner` owns.
    #[must_use]
    pub fn new(owner: B) -> Self {
        Self { owner: Arc::new(owner), copying: PhantomData }
    }

    /// The same memory, of which every party is trusted to keep to the rules. Copies become
    /// `memcpy`, a block that was loaned derefs to `&mut [u8]`, a message that is held to `&[u8]`.
    ///
    /// # Safety
    ///
    /// From this call until the last handle of the memory it returns is dropped:
    ///
    /// A1. Every party that can write the bytes, in this process or another one, keeps to each clause
    ///     of `spec/mailbox.md` and `spec/arena.md` that is for its role. Above all it accesses the
    ///     bytes of a slot or a block only while they are its own: MBX-3, MBX-16, ARN-6, ARN-7, ARN-8.
    /// A2. This process makes at most one end of each role for each mailbox and each arena, from one
    ///     layout of whose parts none overlap, and over no other handle of the same bytes. Code that
    ///     is not an end asks neither [`SharedMemory::word`] nor [`SharedMemory::bytes`] of the memory.
    /// A3. What [`SharedArenaReceiver::hold`](crate::SharedArenaReceiver::hold) is given is the place
    ///     of a message that this process has taken, checked against the arena, and it is given each
    ///     once; the bytes of a block that is held are not read or freed in another way.
    #[must_use]
    pub unsafe fn assume_cooperative(self) -> Mapped<B, Plain> {
        Mapped { owner: self.owner, copying: PhantomData }
    }
}

impl<B: Backing, C> Mapped<B, C> {
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

impl<B: Backing, C: Copying> SharedMemory for Mapped<B, C> {
    type Word = MappedWord<B>;
    type Bytes = MappedBytes<B, C>;

    fn len(&self) -> u32 {
        self.owner.len()
    }

    fn word(&self, at: WordOffset) -> Result<Self::Word, OutOfBounds> {
        let at = self.place(at.bytes(), 4)?.cast();
        Ok(MappedWord { at, owner: Arc::clone(&self.owner) })
    }

    fn bytes(&self, span: Span) -> Result<Self::Bytes, OutOfBounds> {
        let at = self.place(span.at(), span.len())?;
        let owner = Arc::clone(&self.owner);
        Ok(MappedBytes { at, len: span.len(), owner, copying: PhantomData })
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

impl<B, C> Clone for Mapped<B, C> {
    fn clone(&self) -> Self {
        Self { owner: Arc::clone(&self.owner), copying: PhantomData }
    }
}

impl<B: Backing, C> fmt::Debug for Mapped<B, C> {
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
pub struct MappedBytes<B, C = Snapshot> {
    /// Aligned to 4, the first of `len` bytes inside the bytes of `owner` (`place`).
    at: NonNull<u8>,
    len: u32,
    #[expect(dead_code, reason = "keeps the bytes mapped")]
    owner: Arc<B>,
    copying: PhantomData<C>,
}

// SAFETY: as for `MappedWord`; copies touch the shared bytes by atomics or by opaque instructions,
// or (`Plain`) A1 and A2 order them against those of other parties and threads.
unsafe impl<B: Backing, C: Copying> Send for MappedBytes<B, C> {}
// SAFETY: as for `Send`.
unsafe impl<B: Backing, C: Copying> Sync for MappedBytes<B, C> {}

impl<B: Backing, C> MappedBytes<B, C> {
    #[inline(always)]
    fn place(&self, at: u32, len: usize) -> Result<*mut u8, OutOfBounds> {
        check(at, len, self.len)?;
        // SAFETY: `check` showed that the offset is at most `len`, all of which is one mapping (M1).
        Ok(unsafe { self.at.add(at as usize) }.as_ptr())
    }
}

impl<B: Backing, C: Copying> SharedBytes for MappedBytes<B, C> {
    fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    fn snapshot(&self, at: u32, into: &mut [u8]) -> Result<(), OutOfBounds> {
        let from = self.place(at, into.len())?;
        // SAFETY: C1: `place` showed that the rounded-up bytes lie inside and `at` is a multiple of
        // 4, and `owner` keeps them mapped (M1). C2 is M2, where A2 keeps slices of `Plain` memory
        // apart. C3: A1 and A2: an end copies what is its own.
        unsafe { C::snapshot(from, into) };
        Ok(())
    }

    #[inline]
    fn to_vec(&self, at: u32, len: u32) -> Result<Vec<u8>, OutOfBounds> {
        let from = self.place(at, len as usize)?;
        // SAFETY: as in `snapshot`.
        Ok(unsafe { C::to_vec(from, len as usize) })
    }

    #[inline]
    fn deposit(&self, at: u32, from: &[u8]) -> Result<(), OutOfBounds> {
        let into = self.place(at, from.len())?;
        // SAFETY: as in `snapshot`.
        unsafe { C::deposit(into, from) };
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

impl<B: Backing> MappedBytes<B, Plain> {
    /// Checks that `len` bytes from `at` on lie inside, and returns the first.
    fn slice_at(&self, at: u32, len: u32) -> Result<NonNull<u8>, OutOfBounds> {
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(OutOfBounds { at, len, available: self.len });
        }
        // SAFETY: just checked: the offset is at most `len`, all of which is one mapping (M1).
        Ok(unsafe { self.at.add(at as usize) })
    }
}

impl<B: Backing> CooperativeBytes for MappedBytes<B, Plain> {
    #[allow(clippy::disallowed_methods, reason = "`Plain` memory has slices")]
    fn slice(&self, at: u32, len: u32) -> Result<&[u8], OutOfBounds> {
        let first = self.slice_at(at, len)?;
        // SAFETY: `from_raw_parts` requires
        // - readable bytes in one mapping for the lifetime: `slice_at` showed that they lie inside,
        //   and `owner` is alive as long as `self` (M1); not null; any alignment of bytes;
        // - initialised bytes: a mapping or an allocation of zeros (M1);
        // - no write for the lifetime: a message that is held asks, or a loan (A2). The block of a held
        //   message is live as long as the slice (A3), and so the sender leaves its bytes alone (A1);
        //   E1 orders the sender's writes before. The block of a loan is this party's alone until it is
        //   committed, and a loan is written through an exclusive reference only, while the slice
        //   borrows it;
        // - at most `isize::MAX` bytes: an allocation has no more.
        Ok(unsafe { core::slice::from_raw_parts(first.as_ptr(), len as usize) })
    }

    #[allow(clippy::disallowed_methods, reason = "`Plain` memory has slices")]
    fn slice_mut(&mut self, at: u32, len: u32) -> Result<&mut [u8], OutOfBounds> {
        let first = self.slice_at(at, len)?;
        // SAFETY: `from_raw_parts_mut` requires what `from_raw_parts` does in `slice`, and that
        // nobody else accesses the bytes for the lifetime: only a loan asks (A2), for granules that
        // its arena gives to nobody else while it lasts (ARN-8), which the receiver does not read
        // before they are published (A1); E4 orders its last reads before.
        Ok(unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), len as usize) })
    }
}

impl<B, C> fmt::Debug for MappedBytes<B, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappedBytes").field("len", &self.len).finish_non_exhaustive()
    }
}
