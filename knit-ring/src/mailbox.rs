//! What both ends of a mailbox have in common.

use crate::{OutOfBounds, SharedBytes, SharedMemory};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use knit_proto::{
    HEADER_LINE_AT, INLINE_BYTES, MailboxLayout, RawSlotHeader, SLOT_HEADER_WORDS, SLOT_STRIDE,
    STAMP_AT, SlotIndex, SlotMask,
};

/// Whether the sender of a mailbox stamps its slots, as the two sides negotiated it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamps {
    /// The sender stores each slot's publication count after the toggle; the receiver polls the
    /// stamp of the slot that it expects next.
    On,
    /// The receiver looks at the publish word alone, as upstream peers need.
    Off,
}

/// The layout does not fit the memory.
pub type AttachError = OutOfBounds;

/// The slots of a mailbox, as one end sees them.
pub(crate) struct Slots<M: SharedMemory> {
    area: M::Bytes,
    stamps: Box<[M::Word]>,
    all: SlotMask,
    count: u32,
}

impl<M: SharedMemory> Slots<M> {
    pub(crate) fn new(memory: &M, layout: &MailboxLayout) -> Result<Self, AttachError> {
        let span = layout.slots();
        let stamps = (0..layout.slot_count())
            .map(|slot| {
                let at = span.word(slot * SLOT_STRIDE + STAMP_AT).expect("the slot is in the span");
                memory.word(at)
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            area: memory.bytes(span)?,
            stamps: stamps.into_boxed_slice(),
            all: SlotMask::first(layout.slot_count()),
            count: layout.slot_count(),
        })
    }

    /// The slots that exist.
    #[inline(always)]
    pub(crate) fn all(&self) -> SlotMask {
        self.all
    }

    /// The slot after `slot`, in ascending cyclic order.
    #[inline(always)]
    pub(crate) fn after(&self, slot: SlotIndex) -> u32 {
        let next = slot.get() + 1;
        if next == self.count { 0 } else { next }
    }

    /// The stamp of `slot`, which exists.
    #[inline(always)]
    pub(crate) fn stamp(&self, slot: SlotIndex) -> &M::Word {
        &self.stamps[slot.index()]
    }

    #[inline(always)]
    pub(crate) fn header(&self, slot: SlotIndex) -> RawSlotHeader {
        let mut words = [0; SLOT_HEADER_WORDS];
        self.area
            .load_words(slot.get() * SLOT_STRIDE + HEADER_LINE_AT, &mut words)
            .expect("the slot is in the area");
        RawSlotHeader(words)
    }

    #[inline(always)]
    pub(crate) fn set_header(&self, slot: SlotIndex, header: &RawSlotHeader) {
        self.area
            .store_words(slot.get() * SLOT_STRIDE + HEADER_LINE_AT, &header.0)
            .expect("the slot is in the area");
    }

    #[inline]
    pub(crate) fn snapshot(&self, slot: SlotIndex, into: &mut [u8]) -> Result<(), OutOfBounds> {
        inline(into.len())?;
        self.area.snapshot(slot.get() * SLOT_STRIDE, into)
    }

    #[inline]
    pub(crate) fn to_vec(&self, slot: SlotIndex, len: u32) -> Result<Vec<u8>, OutOfBounds> {
        inline(len as usize)?;
        self.area.to_vec(slot.get() * SLOT_STRIDE, len)
    }

    #[inline]
    pub(crate) fn deposit(&self, slot: SlotIndex, from: &[u8]) -> Result<(), OutOfBounds> {
        inline(from.len())?;
        self.area.deposit(slot.get() * SLOT_STRIDE, from)
    }
}

impl<M: SharedMemory> fmt::Debug for Slots<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("all", &self.all).finish_non_exhaustive()
    }
}

#[inline]
fn inline(len: usize) -> Result<(), OutOfBounds> {
    if len <= INLINE_BYTES as usize {
        return Ok(());
    }
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    Err(OutOfBounds { at: 0, len, available: INLINE_BYTES })
}
