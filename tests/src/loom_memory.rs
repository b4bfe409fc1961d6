//! Memory of which loom explores every behaviour.
//!
//! Words are loom atomics. Everything that is copied, payload and headers, is plain memory in
//! loom's eyes: cells of four bytes that loom checks for races. So a model fails when an edge of
//! the protocol does not order the bytes that it should order, even where the copied values happen
//! to be right.

#![allow(
    unsafe_code,
    reason = "reads and writes loom cells through the pointers that loom hands out"
)]

use knit_proto::{Span, WordOffset};
use knit_ring::{
    Doorbell, OutOfBounds, ReserveError, SharedBytes, SharedMemory, SharedWord, SharedWordRmw,
    Ticket, Until, Woken,
};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, Ordering, fence};
use loom::thread::Thread;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::panicking;

/// [`SharedMemory`] for loom models, all zero at first.
///
/// Words and cells come into being when they are first asked for. In loom a word must not be
/// younger than the threads that use it: make the endpoints, or call [`SharedMemory::word`], before
/// the model spawns.
///
/// While a thread unwinds, accesses do nothing: destructors of the endpoints store words, and loom
/// has no execution to store them in.
#[derive(Clone)]
pub struct LoomMemory {
    homes: Arc<Homes>,
}

/// What has been asked for so far, by offset. The locks are never held across a loom operation.
struct Homes {
    len: u32,
    words: Mutex<HashMap<u32, Arc<AtomicU32>>>,
    cells: Mutex<HashMap<u32, Arc<Cell>>>,
}

impl LoomMemory {
    /// `len` zero bytes.
    #[must_use]
    pub fn zeroed(len: u32) -> Self {
        let homes = Homes { len, words: Mutex::default(), cells: Mutex::default() };
        Self { homes: Arc::new(homes) }
    }

    fn check(&self, at: u32, len: u32) -> Result<(), OutOfBounds> {
        check(at, len as usize, self.homes.len)
    }
}

impl SharedMemory for LoomMemory {
    type Word = LoomWord;
    type Bytes = LoomBytes;

    fn len(&self) -> u32 {
        self.homes.len
    }

    fn word(&self, at: WordOffset) -> Result<LoomWord, OutOfBounds> {
        self.check(at.bytes(), 4)?;
        assert!(
            !lock(&self.homes.cells).contains_key(&at.bytes()),
            "byte {} is copied and is a word: one fact in two homes",
            at.bytes()
        );
        let mut words = lock(&self.homes.words);
        let word = words.entry(at.bytes()).or_insert_with(|| Arc::new(AtomicU32::new(0)));
        Ok(LoomWord { word: Arc::clone(word) })
    }

    fn bytes(&self, span: Span) -> Result<LoomBytes, OutOfBounds> {
        self.check(span.at(), span.len())?;
        Ok(LoomBytes { memory: self.clone(), span })
    }

    fn full_fence(&self) {
        if !panicking() {
            fence(Ordering::SeqCst);
        }
    }

    fn reserve(&self, span: Span) -> Result<(), ReserveError> {
        Ok(self.check(span.at(), span.len())?)
    }
}

impl std::fmt::Debug for LoomMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoomMemory").field("len", &self.homes.len).finish_non_exhaustive()
    }
}

/// A word of [`LoomMemory`].
#[derive(Clone, Debug)]
pub struct LoomWord {
    word: Arc<AtomicU32>,
}

impl SharedWord for LoomWord {
    fn load_relaxed(&self) -> u32 {
        if panicking() { 0 } else { self.word.load(Ordering::Relaxed) }
    }

    fn load_acquire(&self) -> u32 {
        if panicking() { 0 } else { self.word.load(Ordering::Acquire) }
    }

    fn store_relaxed(&self, value: u32) {
        if !panicking() {
            self.word.store(value, Ordering::Relaxed);
        }
    }

    fn store_release(&self, value: u32) {
        if !panicking() {
            self.word.store(value, Ordering::Release);
        }
    }
}

impl SharedWordRmw for LoomWord {
    fn fetch_xor_release(&self, bits: u32) {
        if !panicking() {
            self.word.fetch_xor(bits, Ordering::Release);
        }
    }

    fn compare_exchange_acquire(&self, expected: u32, new: u32) -> Result<(), u32> {
        if panicking() {
            return Ok(());
        }
        let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
        self.word.compare_exchange(expected, new, success, failure).map(drop)
    }
}

/// Bytes of [`LoomMemory`].
#[derive(Clone, Debug)]
pub struct LoomBytes {
    memory: LoomMemory,
    span: Span,
}

impl LoomBytes {
    /// The cell of the four bytes `at` bytes from the start of the span.
    fn cell(&self, at: u32) -> Arc<Cell> {
        let at = self.span.at() + at;
        assert!(
            !lock(&self.memory.homes.words).contains_key(&at),
            "byte {at} is a word and is copied: one fact in two homes"
        );
        let mut cells = lock(&self.memory.homes.cells);
        Arc::clone(cells.entry(at).or_insert_with(|| Arc::new(Cell(UnsafeCell::new(0)))))
    }

    fn load(&self, at: u32) -> u32 {
        if panicking() {
            return 0;
        }
        // SAFETY: dereferencing requires a live value that nobody writes at the same time: the cell
        // is kept by its `Arc`, and `with` panics in a schedule that has a concurrent write.
        self.cell(at).0.with(|value| unsafe { *value })
    }

    fn store(&self, at: u32, new: u32) {
        if panicking() {
            return;
        }
        // SAFETY: writing requires a live place that nobody else accesses at the same time: the
        // cell is kept by its `Arc`, and `with_mut` panics in a schedule that has a concurrent
        // access.
        self.cell(at).0.with_mut(|value| unsafe { *value = new });
    }
}

impl SharedBytes for LoomBytes {
    fn len(&self) -> u32 {
        self.span.len()
    }

    fn snapshot(&self, at: u32, into: &mut [u8]) -> Result<(), OutOfBounds> {
        check(at, into.len(), self.span.len())?;
        for (at, bytes) in (at..).step_by(4).zip(into.chunks_mut(4)) {
            bytes.copy_from_slice(&self.load(at).to_ne_bytes()[..bytes.len()]);
        }
        Ok(())
    }

    fn deposit(&self, at: u32, from: &[u8]) -> Result<(), OutOfBounds> {
        check(at, from.len(), self.span.len())?;
        for (at, bytes) in (at..).step_by(4).zip(from.chunks(4)) {
            let mut word = [0; 4];
            word[..bytes.len()].copy_from_slice(bytes);
            self.store(at, u32::from_ne_bytes(word));
        }
        Ok(())
    }

    fn load_words(&self, at: u32, into: &mut [u32]) -> Result<(), OutOfBounds> {
        check(at, size_of_val(into), self.span.len())?;
        for (at, word) in (at..).step_by(4).zip(into) {
            *word = self.load(at);
        }
        Ok(())
    }

    fn store_words(&self, at: u32, words: &[u32]) -> Result<(), OutOfBounds> {
        check(at, size_of_val(words), self.span.len())?;
        for (at, word) in (at..).step_by(4).zip(words) {
            self.store(at, *word);
        }
        Ok(())
    }
}

/// A doorbell in the image of a futex: the wait compares the bells under the kernel's lock, and
/// sleeps if none has changed. A waiter that nobody wakes is a deadlock that loom reports.
///
/// One thread waits. All bells share one hash bucket, which the kernel permits; timeouts and deaths
/// do not happen.
#[derive(Clone)]
pub struct LoomBell {
    /// Stands for the lock of the kernel's hash bucket: each side of a wait or a wake passes
    /// through it once, so one of them comes second and sees what the first one did.
    bucket: Arc<AtomicU32>,
    /// Who sleeps, or is about to. Touched right after the bucket, with no schedule in between.
    asleep: Arc<Mutex<Option<Thread>>>,
}

impl LoomBell {
    /// A doorbell that nobody waits on. Make it before the model spawns.
    #[expect(clippy::new_without_default, reason = "only valid inside a model")]
    #[must_use]
    pub fn new() -> Self {
        Self { bucket: Arc::new(AtomicU32::new(0)), asleep: Arc::default() }
    }

    fn pass(&self) {
        self.bucket.fetch_add(1, Ordering::AcqRel);
    }
}

impl<W: SharedWord> Doorbell<W> for LoomBell {
    fn ticket(&self, bell: &W) -> Ticket {
        Ticket { bell: bell.load_acquire(), local: 0 }
    }

    fn wait_any(&self, bells: &[(&W, Ticket)], _: Until<'_>) -> Woken {
        self.pass();
        *lock(&self.asleep) = Some(loom::thread::current());
        // The kernel's comparison orders nothing for the process.
        if bells.iter().all(|(bell, ticket)| bell.load_relaxed() == ticket.bell) {
            loom::thread::park();
        }
        *lock(&self.asleep) = None;
        Woken::Rung
    }

    fn wake(&self, _: &W) {
        self.pass();
        let asleep = lock(&self.asleep).take();
        if let Some(thread) = asleep {
            thread.unpark();
        }
    }
}

impl std::fmt::Debug for LoomBell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoomBell").finish_non_exhaustive()
    }
}

/// Four bytes that loom checks for races.
struct Cell(UnsafeCell<u32>);

// SAFETY: loom runs the threads of a model one at a time on one thread of the system, and the value
// is reached only through `with` and `with_mut`, which panic where the model has a race.
unsafe impl Sync for Cell {}

fn check(at: u32, len: usize, available: u32) -> Result<(), OutOfBounds> {
    let end = u64::from(at) + len.next_multiple_of(4) as u64;
    if at.is_multiple_of(4) && end <= available.into() {
        return Ok(());
    }
    Err(OutOfBounds { at, len: u32::try_from(len).unwrap_or(u32::MAX), available })
}

/// A panic of a model leaves these maps whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
