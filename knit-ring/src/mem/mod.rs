//! Memory that two parties share.
//!
//! The mailbox, arena and parking code sees shared memory only through these traits. An
//! implementation must be sound whatever the other party writes, and whatever offsets the code
//! above asks for: no code above this module contains `unsafe`.

mod copy;
mod heap;
mod mapped;
#[cfg(feature = "mapped")]
mod memfd;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod wide;

pub(crate) use copy::wait_for_loads;
pub use copy::{Copying, Plain, Snapshot};
pub use heap::{HeapBlock, HeapMemory};
pub use mapped::{Backing, Mapped, MappedBytes, MappedWord};
#[cfg(feature = "mapped")]
pub use memfd::{Mapping, MemfdError, inherited_descriptor};

use alloc::vec::Vec;
use knit_proto::{Span, WordOffset};

/// Memory that another party may write at any moment.
///
/// Handles stay usable until they are dropped, whatever the peer does.
///
/// # Ordering
///
/// Acquire and release of [`SharedWord`] and [`SharedMemory::full_fence`] have their C++20 meaning
/// between all parties.
pub trait SharedMemory: Clone + Send + Sync + 'static {
    /// A 32-bit word that is only accessed atomically.
    type Word: SharedWord;
    /// A stretch of bytes that is only copied, in or out.
    type Bytes: SharedBytes;

    /// Length in bytes.
    fn len(&self) -> u32;

    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The word at `at`.
    ///
    /// # Errors
    ///
    /// The word does not lie inside the memory.
    fn word(&self, at: WordOffset) -> Result<Self::Word, OutOfBounds>;

    /// The bytes of `span`.
    ///
    /// # Errors
    ///
    /// The span does not lie inside the memory.
    fn bytes(&self, span: Span) -> Result<Self::Bytes, OutOfBounds>;

    /// Orders every store before it against every load after it (store-load barrier).
    fn full_fence(&self);

    /// Makes sure that memory stands behind `span`, so that a later store cannot fault.
    ///
    /// # Errors
    ///
    /// The machine has no memory left, or the span does not lie inside the memory.
    fn reserve(&self, span: Span) -> Result<(), ReserveError>;
}

/// A shared 32-bit word. There is no read-modify-write here: one party stores, the other loads.
pub trait SharedWord: Send + 'static {
    /// Loads without ordering.
    fn load_relaxed(&self) -> u32;
    /// Loads with acquire ordering.
    fn load_acquire(&self) -> u32;
    /// Stores without ordering.
    fn store_relaxed(&self, value: u32);
    /// Stores with release ordering.
    fn store_release(&self, value: u32);
}

/// A word that several threads of one party change together. Endpoints that one thread owns cannot
/// ask for this, and on the wire it looks like a store.
pub trait SharedWordRmw: SharedWord + Sync {
    /// Flips `bits` with release ordering.
    ///
    /// An acquire load of the value, or of one that later flips made of it, synchronises with this.
    fn fetch_xor_release(&self, bits: u32);

    /// Stores `new` if the word is `expected`, with acquire ordering.
    ///
    /// # Errors
    ///
    /// The word is another one, which is returned; nothing is stored.
    fn compare_exchange_acquire(&self, expected: u32, new: u32) -> Result<(), u32>;
}

/// Shared bytes. They are never referenced, only copied; a copy that races with the peer's writes
/// holds some mixture of old and new bytes.
pub trait SharedBytes: Send + 'static {
    /// Length in bytes.
    fn len(&self) -> u32;

    /// Whether there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies from `at` on into private memory, as many bytes as `into` has.
    ///
    /// # Errors
    ///
    /// `at` is not a multiple of four, or the end lies outside.
    fn snapshot(&self, at: u32, into: &mut [u8]) -> Result<(), OutOfBounds>;

    /// Copies `len` bytes from `at` on into a vector: [`Self::snapshot`] into memory that nobody has to fill first.
    ///
    /// # Errors
    ///
    /// As [`Self::snapshot`].
    fn to_vec(&self, at: u32, len: u32) -> Result<Vec<u8>, OutOfBounds> {
        check(at, len as usize, self.len())?;
        let mut bytes = alloc::vec![0; len as usize];
        self.snapshot(at, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies `from` into shared memory from `at` on. Up to three bytes after its end, to the next
    /// multiple of four, may be overwritten with zeros.
    ///
    /// # Errors
    ///
    /// `at` is not a multiple of four, or the end, rounded up to a multiple of four, lies outside.
    fn deposit(&self, at: u32, from: &[u8]) -> Result<(), OutOfBounds>;

    /// Copies the words from `at` on into private memory, without ordering.
    ///
    /// # Errors
    ///
    /// As [`Self::snapshot`].
    fn load_words(&self, at: u32, into: &mut [u32]) -> Result<(), OutOfBounds>;

    /// Copies `words` into shared memory from `at` on, without ordering.
    ///
    /// # Errors
    ///
    /// As [`Self::deposit`].
    fn store_words(&self, at: u32, words: &[u32]) -> Result<(), OutOfBounds>;
}

/// Shared bytes that every party is trusted to access by the rules: they can be referenced.
///
/// Only [`Mapped::assume_cooperative`] leads to an implementation, and its promise is what makes the
/// slices sound.
pub trait CooperativeBytes: SharedBytes {
    /// The `len` bytes from `at` on.
    ///
    /// # Errors
    ///
    /// The end lies outside.
    fn slice(&self, at: u32, len: u32) -> Result<&[u8], OutOfBounds>;

    /// The `len` bytes from `at` on, to be written.
    ///
    /// # Errors
    ///
    /// The end lies outside.
    fn slice_mut(&mut self, at: u32, len: u32) -> Result<&mut [u8], OutOfBounds>;
}

/// An access outside shared memory, or not aligned to a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes {at} to {} of {available} shared bytes", u64::from(*at) + u64::from(*len))]
pub struct OutOfBounds {
    /// First byte asked for.
    pub at: u32,
    /// Bytes asked for; saturated at `u32::MAX`.
    pub len: u32,
    /// Bytes that there are.
    pub available: u32,
}

/// Memory could not be reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveError {
    /// The machine refused.
    #[error("no memory for {bytes} more bytes of the segment (os error {errno})")]
    NoMemory {
        /// Bytes asked for.
        bytes: u32,
        /// Error number of the system call.
        errno: i32,
    },
    /// The span does not lie inside the memory.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
}

/// Checks that `len` bytes from `at` on, rounded up to words, lie in `available` bytes.
pub(crate) fn check(at: u32, len: usize, available: u32) -> Result<(), OutOfBounds> {
    let error = || OutOfBounds { at, len: u32::try_from(len).unwrap_or(u32::MAX), available };
    if !at.is_multiple_of(4) {
        return Err(error());
    }
    let end = len.checked_next_multiple_of(4).and_then(|len| len.checked_add(at as usize));
    match end {
        Some(end) if end <= available as usize => Ok(()),
        _ => Err(error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_whole_words_inside() {
        assert!(check(0, 8, 8).is_ok());
        assert!(check(4, 3, 8).is_ok());
        assert!(check(4, 5, 8).is_err());
        assert!(check(2, 2, 8).is_err());
        assert!(check(8, 0, 8).is_ok());
        assert!(check(12, 0, 8).is_err());
        assert!(check(4, usize::MAX, 8).is_err());
        assert!(check(4, usize::MAX - 4, u32::MAX).is_err());
    }
}
