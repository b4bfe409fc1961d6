//! Messages that stay in the arena while they are read.

use super::receiver::SharedEnd;
use crate::{CooperativeBytes, OutOfBounds, SharedBytes, SharedMemory, SharedWordRmw};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;
use knit_proto::BlockIndex;

/// A payload that stays in the arena until this is dropped, which frees its block. Any thread may
/// read and drop it.
///
/// The sender may be hostile and write while this end reads: what was read once may read otherwise
/// the next time. So there are copies and checked reads here, and no reference to the bytes:
///
/// ```compile_fail,E0614
/// fn bytes(held: &knit_ring::Held<knit_ring::HeapMemory>) -> &[u8] {
///     &**held
/// }
/// ```
///
/// Over memory of [`Mapped::assume_cooperative`](crate::Mapped::assume_cooperative) it derefs to a
/// slice:
///
/// ```
/// use knit_ring::{HeapBlock, Held, Mapped, Plain};
///
/// fn bytes(held: &Held<Mapped<HeapBlock, Plain>>) -> &[u8] {
///     &**held
/// }
/// ```
#[must_use = "a message that is dropped is given back"]
pub struct Held<M: SharedMemory>
where
    M::Word: SharedWordRmw,
{
    end: Arc<SharedEnd<M>>,
    block: BlockIndex,
    /// `len` bytes from `start` on lie inside the data, also when rounded up to words.
    start: u32,
    len: u32,
}

impl<M: SharedMemory> Held<M>
where
    M::Word: SharedWordRmw,
{
    pub(super) fn new(end: Arc<SharedEnd<M>>, block: BlockIndex, start: u32, len: u32) -> Self {
        Self { end, block, start, len }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The block that is freed when this is dropped.
    #[must_use]
    pub fn block(&self) -> BlockIndex {
        self.block
    }

    /// Copies from `at` on into private memory, as many bytes as `into` has. Any `at` will do.
    ///
    /// # Errors
    ///
    /// The end lies outside the payload.
    pub fn snapshot(&self, at: u32, into: &mut [u8]) -> Result<(), OutOfBounds> {
        let len = u32::try_from(into.len()).unwrap_or(u32::MAX);
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(OutOfBounds { at, len, available: self.len });
        }
        let at = self.start + at;
        // Copies start at words: a first word of which the beginning is not wanted comes alone.
        let skip = at % 4;
        let head = if skip == 0 { 0 } else { into.len().min(4 - skip as usize) };
        let (first, rest) = into.split_at_mut(head);
        if !first.is_empty() {
            let mut word = [0; 4];
            self.end.data.snapshot(at - skip, &mut word)?;
            first.copy_from_slice(&word[skip as usize..][..head]);
        }
        if rest.is_empty() {
            return Ok(());
        }
        self.end.data.snapshot(at.next_multiple_of(4), rest)
    }

    /// Copies `N` bytes from `at` on, for one field of a message. Any `at` will do.
    ///
    /// # Errors
    ///
    /// The end lies outside the payload.
    pub fn read<const N: usize>(&self, at: u32) -> Result<[u8; N], OutOfBounds> {
        let mut bytes = [0; N];
        self.snapshot(at, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies the whole payload into private memory.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.end.data.to_vec(self.start, self.len).expect("checked when it was held")
    }
}

impl<M: SharedMemory> Drop for Held<M>
where
    M::Word: SharedWordRmw,
{
    /// # Ordering
    ///
    /// E4.
    fn drop(&mut self) {
        self.end.free(self.block);
    }
}

impl<M: SharedMemory> Deref for Held<M>
where
    M::Word: SharedWordRmw,
    M::Bytes: CooperativeBytes,
{
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.end.data.slice(self.start, self.len).expect("checked when it was held")
    }
}

impl<M: SharedMemory> AsRef<[u8]> for Held<M>
where
    M::Word: SharedWordRmw,
    M::Bytes: CooperativeBytes,
{
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<M: SharedMemory> fmt::Debug for Held<M>
where
    M::Word: SharedWordRmw,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("block", &self.block)
            .field("start", &self.start)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
