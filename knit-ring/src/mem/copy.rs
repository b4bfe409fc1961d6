//! Copies between private and shared memory: the only place that touches shared payload bytes.
//!
//! Short copies are relaxed 32-bit atomic accesses. They are defined in the Rust memory model even
//! when the peer writes the same word at the same time, as long as the peer's accesses are atomic
//! and of the same size; Miri checks them.
//!
//! Longer copies are wide moves and string instructions in `asm!` blocks (x86-64): they run at
//! memory bandwidth, the compiler can neither see nor repeat their accesses, and what a racing
//! writer does to them is the machine's business: some mixture of old and new bytes lands in private
//! memory. `SECURITY.md` states this exception to the Rust memory model. A byte near the end of a
//! copy may be moved twice; private memory then holds the second one, and nobody looked at the first.
//!
//! | bytes | x86-64 | elsewhere, and in Miri |
//! | ---: | --- | --- |
//! | up to 64 | words | words |
//! | below 2 KiB, or 8 KiB with AVX | moves of 64 bytes, the last one may overlap | words |
//! | more | string instruction | words |
//!
//! Over memory that only honest parties can write, [`Plain`] copies by `memcpy`.

#![allow(unsafe_code, reason = "listed in ARCHITECTURE.md")]

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

#[cfg(all(target_arch = "x86_64", not(miri)))]
use super::wide::wide_copy;

/// From this many bytes on moves beat the word loop. Up to a cache line that has to come from another core, words do: a call with 64 bytes
/// there and back took 1.00 times as long with them as between ends that copy by `memcpy`, 1.15 times with moves of 16 bytes and
/// 1.3 times with wider ones (`ring_bars`, `call/64B/hostile_safe`; the machine of `ARCHITECTURE.md`'s bars).
const WIDE_COPY_FROM: usize = 65;

/// How the bytes of [`Mapped`](super::Mapped) memory are copied: [`Snapshot`] or [`Plain`].
pub trait Copying: private::Copying {}

/// Copies that are sound whatever another party writes meanwhile.
#[derive(Debug)]
pub enum Snapshot {}

/// Copies by `memcpy`, and slices: only for memory that every party writes by the rules. See
/// [`Mapped::assume_cooperative`](super::Mapped::assume_cooperative).
#[derive(Debug)]
pub enum Plain {}

impl Copying for Snapshot {}
impl Copying for Plain {}

pub(super) mod private {
    use alloc::vec::Vec;

    /// The copies of a mode.
    pub trait Copying: Send + Sync + 'static {
        /// Copies `into.len()` shared bytes from `from` on into private memory.
        ///
        /// # Safety
        ///
        /// C1. `from` is aligned to 4, and `into.len()` bytes from it on, rounded up to a multiple of
        ///     4, are mapped readable and writable for the whole call.
        /// C2. No Rust reference to those bytes exists in this process, other than `&AtomicU32`.
        /// C3. [`Plain`](super::Plain) only: nobody writes those bytes during the call.
        unsafe fn snapshot(from: *mut u8, into: &mut [u8]);

        /// Copies `len` shared bytes from `from` on into a vector.
        ///
        /// # Safety
        ///
        /// As [`Self::snapshot`], for `len` bytes.
        unsafe fn to_vec(from: *mut u8, len: usize) -> Vec<u8> {
            let mut bytes = alloc::vec![0; len];
            // SAFETY: as given.
            unsafe { Self::snapshot(from, &mut bytes) };
            bytes
        }

        /// Copies `from` into shared memory from `into` on; a last partial word is filled up with
        /// zeros.
        ///
        /// # Safety
        ///
        /// C1 and C2 of [`Self::snapshot`], for `from.len()` bytes from `into` on.
        /// C3. [`Plain`](super::Plain) only: nobody accesses those bytes during the call.
        unsafe fn deposit(into: *mut u8, from: &[u8]);
    }
}

impl private::Copying for Snapshot {
    #[inline]
    unsafe fn snapshot(from: *mut u8, into: &mut [u8]) {
        if into.len() >= WIDE_COPY_FROM && cfg!(all(target_arch = "x86_64", not(miri))) {
            // SAFETY: `wide_copy` requires 64 bytes or more, as just compared; readable source
            // bytes: C1; writable destination bytes: `into` is a live exclusive slice of that
            // length; no overlap: `into` is private memory, which C2 keeps apart from the shared
            // bytes. The peer may write the source meanwhile: see SECURITY.md, "Memory that another
            // process writes", point 3.
            unsafe { wide_copy(from, into.as_mut_ptr(), into.len()) };
            return;
        }
        let mut words = into.chunks_exact_mut(4);
        let mut at = 0;
        for bytes in &mut words {
            // SAFETY: C1: the word at `from + at` lies inside the mapped bytes. C2 as given.
            bytes.copy_from_slice(&unsafe { load(from, at) }.to_ne_bytes());
            at += 4;
        }
        let rest = words.into_remainder();
        if !rest.is_empty() {
            // SAFETY: C1 covers the bytes rounded up to a whole word. C2 as given.
            rest.copy_from_slice(&unsafe { load(from, at) }.to_ne_bytes()[..rest.len()]);
        }
    }

    #[inline]
    unsafe fn to_vec(from: *mut u8, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len);
        if len >= WIDE_COPY_FROM && cfg!(all(target_arch = "x86_64", not(miri))) {
            // SAFETY: `wide_copy` requires 64 bytes or more, as just compared; readable source bytes: C1; writable
            // destination bytes, which need not be initialised: the vector has room for `len`; no overlap: C2. The
            // peer may write the source meanwhile: see SECURITY.md, point 3.
            unsafe { wide_copy(from, bytes.as_mut_ptr(), len) };
            // SAFETY: `set_len` requires room for `len`: as just allocated; and `len` initialised bytes: `wide_copy`
            // has written each.
            unsafe { bytes.set_len(len) };
            return bytes;
        }
        bytes.resize(len, 0);
        // SAFETY: as given.
        unsafe { Self::snapshot(from, &mut bytes) };
        bytes
    }

    #[inline]
    unsafe fn deposit(into: *mut u8, from: &[u8]) {
        let mut at = 0;
        let mut tail = from;
        if from.len() >= WIDE_COPY_FROM && cfg!(all(target_arch = "x86_64", not(miri))) {
            at = from.len() & !3;
            tail = &from[at..];
            // SAFETY: `wide_copy` requires 64 bytes or more: rounding down to a multiple of 4 leaves
            // 64; readable source bytes: `from` is a live slice; writable destination bytes: C1; no
            // overlap: C2 keeps private memory apart from the shared bytes. The peer may access the
            // destination meanwhile: SECURITY.md, point 3.
            unsafe { wide_copy(from.as_ptr(), into, at) };
        }
        let mut words = tail.chunks_exact(4);
        for bytes in &mut words {
            let word = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            // SAFETY: C1: the word at `into + at` lies inside the mapped bytes. C2 as given.
            unsafe { store(into, at, word) };
            at += 4;
        }
        // SAFETY: C1 covers the bytes rounded up to a whole word. C2 as given.
        unsafe { store_rest(into, at, words.remainder()) };
    }
}

impl private::Copying for Plain {
    #[inline]
    unsafe fn snapshot(from: *mut u8, into: &mut [u8]) {
        // SAFETY: `copy_nonoverlapping` requires readable source bytes: C1, and no writer: C3;
        // writable destination bytes: `into` is a live exclusive slice; any alignment of bytes; no
        // overlap: C2.
        unsafe { core::ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
    }

    #[inline]
    unsafe fn deposit(into: *mut u8, from: &[u8]) {
        let at = from.len() & !3;
        // SAFETY: as in `snapshot`, with the sides exchanged: C3 excludes every other access.
        unsafe { core::ptr::copy_nonoverlapping(from.as_ptr(), into, at) };
        // SAFETY: C1 covers the bytes rounded up to a whole word. C2 as given.
        unsafe { store_rest(into, at, &from[at..]) };
    }
}

/// Copies the words from `from` on into private memory.
///
/// # Safety
///
/// C1 and C2 of [`private::Copying::snapshot`], for `4 * into.len()` bytes from `from` on.
#[inline(always)]
pub(super) unsafe fn load_words(from: *mut u8, into: &mut [u32]) {
    for (index, word) in into.iter_mut().enumerate() {
        // SAFETY: C1: word `index` lies inside the mapped bytes. C2 as given.
        *word = unsafe { load(from, index * 4) };
    }
}

/// Copies `words` into shared memory from `into` on.
///
/// # Safety
///
/// C1 and C2 of [`private::Copying::snapshot`], for `4 * words.len()` bytes from `into` on.
#[inline(always)]
pub(super) unsafe fn store_words(into: *mut u8, words: &[u32]) {
    for (index, word) in words.iter().enumerate() {
        // SAFETY: C1: word `index` lies inside the mapped bytes. C2 as given.
        unsafe { store(into, index * 4, *word) };
    }
}

/// Waits until earlier loads have completed. Elsewhere than on x86-64: the usual hint.
#[inline(always)]
pub(crate) fn wait_for_loads() {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: `_mm_lfence` requires SSE2, which every x86-64 target has. It touches no memory.
    unsafe {
        core::arch::x86_64::_mm_lfence();
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    core::hint::spin_loop();
}

/// # Safety
///
/// The word `at` bytes after `base` is aligned, mapped, and accessed as C2 of [`private::Copying::snapshot`] says.
#[inline(always)]
unsafe fn load(base: *mut u8, at: usize) -> u32 {
    // SAFETY: the caller's word lies in the same mapping as `base`.
    let word = unsafe { base.add(at) }.cast::<u32>();
    // SAFETY: `AtomicU32::from_ptr` requires alignment and validity: the caller's word has both;
    // and no conflicting non-atomic access: C2, and the peer's accesses are outside this process.
    let word = unsafe { AtomicU32::from_ptr(word) };
    // Relaxed: payload words are ordered by the edges of the toggle words and stamps (E1, E3).
    word.load(Ordering::Relaxed)
}

/// # Safety
///
/// As [`load`].
#[inline(always)]
unsafe fn store(base: *mut u8, at: usize, value: u32) {
    // SAFETY: the caller's word lies in the same mapping as `base`.
    let word = unsafe { base.add(at) }.cast::<u32>();
    // SAFETY: as in `load`.
    let word = unsafe { AtomicU32::from_ptr(word) };
    // Relaxed: payload words are ordered by the edges of the toggle words and stamps (E1, E3).
    word.store(value, Ordering::Relaxed);
}

/// Stores the bytes after the last whole word, filled up with zeros to a word; nothing when there
/// are none.
///
/// # Safety
///
/// As [`load`], if `rest` is not empty. `rest` has at most three bytes.
#[inline(always)]
unsafe fn store_rest(base: *mut u8, at: usize, rest: &[u8]) {
    if rest.is_empty() {
        return;
    }
    let mut word = [0; 4];
    word[..rest.len()].copy_from_slice(rest);
    // SAFETY: as given.
    unsafe { store(base, at, u32::from_ne_bytes(word)) };
}

/// # Safety
///
/// Never called: the callers use the word loop on this target.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
unsafe fn wide_copy(_: *const u8, _: *mut u8, _: usize) {
    unreachable!("the callers use the word loop on this target")
}
