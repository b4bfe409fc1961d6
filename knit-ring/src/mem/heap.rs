//! Shared memory on the heap, for threads of one process and for tests.

#![allow(unsafe_code, reason = "listed in ARCHITECTURE.md")]

use super::{Backing, Mapped, ReserveError};
use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use core::ptr::NonNull;
use knit_proto::Span;

/// [`SharedMemory`](super::SharedMemory) on the heap of this process.
pub type HeapMemory = Mapped<HeapBlock>;

impl HeapMemory {
    /// `len` zero bytes, aligned to 64.
    ///
    /// # Errors
    ///
    /// There is no memory, or `len` is zero.
    pub fn zeroed(len: u32) -> Result<Self, ReserveError> {
        HeapBlock::new(len).map(Self::new)
    }
}

/// A zeroed allocation, aligned to 64.
#[derive(Debug)]
pub struct HeapBlock {
    /// From `alloc_zeroed(layout)`, freed on drop and not before.
    base: NonNull<u8>,
    layout: Layout,
}

impl HeapBlock {
    const ALIGN: usize = 64;
    const ENOMEM: i32 = 12;

    fn new(len: u32) -> Result<Self, ReserveError> {
        let refused = ReserveError::NoMemory { bytes: len, errno: Self::ENOMEM };
        let layout = Layout::from_size_align(len as usize, Self::ALIGN).map_err(|_| refused)?;
        if len == 0 {
            return Err(refused);
        }
        // SAFETY: `alloc_zeroed` requires a layout of non-zero size: `len` is not 0.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(refused)?;
        Ok(Self { base, layout })
    }
}

impl Drop for HeapBlock {
    fn drop(&mut self) {
        // SAFETY: `dealloc` requires a block from this allocator with this layout that is not yet
        // freed: the field invariant of `base`.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

// SAFETY: the block owns its allocation and nothing in it is tied to a thread.
unsafe impl Send for HeapBlock {}
// SAFETY: the methods read two fields that never change.
unsafe impl Sync for HeapBlock {}

// SAFETY: M1: the allocation has `layout.size()` bytes aligned to 64 and lives until drop; the heap
// does not take it away. M2: the pointer leaves this type only through `Backing::base`, for use by
// the module that makes atomic references.
unsafe impl Backing for HeapBlock {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn len(&self) -> u32 {
        // Made from a `u32` in `new`.
        self.layout.size() as u32
    }

    fn reserve(&self, _: Span) -> Result<(), ReserveError> {
        Ok(())
    }
}
