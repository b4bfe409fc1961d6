//! One direction of a lane: where it is and by which rules it is read.
//!
//! This is all that the ends of a lane know of what is around the lane block: a segment with a header, or
//! a boot description of Knitting.

use knit_proto::{
    ArenaLayout, BareLayout, BlockIndex, Direction, Layout, MailboxLayout, SlotRules,
};
use knit_ring::{
    ArenaReceiver, OutOfBounds, SharedArenaReceiver, SharedMemory, SharedWordRmw, Stamps,
};

/// One direction of a lane. Every place is checked against the memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) mailbox: MailboxLayout,
    pub(crate) arena: ArenaLayout,
    /// Bytes of the arena's data that have memory behind them.
    pub(crate) reserved: u32,
    pub(crate) stamps: Stamps,
    pub(crate) rules: SlotRules,
    /// Whether answers may say *withdrawn*. LANE-39.
    pub(crate) withdraw: bool,
}

impl Way {
    /// A direction of a segment.
    pub(crate) fn of_segment(
        layout: &Layout,
        direction: Direction,
        stamps: Stamps,
        max_payload: u32,
    ) -> Self {
        let fields = layout.fields();
        let (mailbox, arena) = (layout.mailbox(direction), layout.arena(direction));
        let reserved = match direction {
            Direction::Request => fields.request_reserved,
            Direction::Response => fields.response_reserved,
        };
        let abort_capacity = fields.geometry.abort_capacity();
        let arena_bytes = arena.data().len();
        let rules = SlotRules { direction, arena_bytes, max_payload, abort_capacity };
        Self { mailbox, arena, reserved, stamps, rules, withdraw: false }
    }

    /// A direction of a bare lane block: nobody stamps, and no memory is reserved.
    pub(crate) fn of_bare(layout: &BareLayout, direction: Direction, max_payload: u32) -> Self {
        let (mailbox, arena) = (layout.mailbox(direction), layout.arena(direction));
        let arena_bytes = arena.data().len();
        let abort_capacity = layout.abort_capacity();
        let rules = SlotRules { direction, arena_bytes, max_payload, abort_capacity };
        Self { mailbox, arena, reserved: 0, stamps: Stamps::Off, rules, withdraw: false }
    }
}

/// The reading end of an arena, of either kind.
pub(crate) trait Blocks {
    /// Copies from `start` on into private memory.
    fn snapshot(&self, start: u32, into: &mut [u8]) -> Result<(), OutOfBounds>;
    /// The same into a vector.
    fn to_vec(&self, start: u32, len: u32) -> Result<Vec<u8>, OutOfBounds>;
    /// Gives a block back.
    fn free(&mut self, block: BlockIndex);
}

impl<M: SharedMemory> Blocks for ArenaReceiver<M> {
    #[inline]
    fn snapshot(&self, start: u32, into: &mut [u8]) -> Result<(), OutOfBounds> {
        Self::snapshot(self, start, into)
    }

    #[inline]
    fn to_vec(&self, start: u32, len: u32) -> Result<Vec<u8>, OutOfBounds> {
        Self::to_vec(self, start, len)
    }

    #[inline]
    fn free(&mut self, block: BlockIndex) {
        Self::free(self, block);
    }
}

impl<M: SharedMemory> Blocks for SharedArenaReceiver<M>
where
    M::Word: SharedWordRmw,
{
    #[inline]
    fn snapshot(&self, start: u32, into: &mut [u8]) -> Result<(), OutOfBounds> {
        Self::snapshot(self, start, into)
    }

    #[inline]
    fn to_vec(&self, start: u32, len: u32) -> Result<Vec<u8>, OutOfBounds> {
        Self::to_vec(self, start, len)
    }

    #[inline]
    fn free(&mut self, block: BlockIndex) {
        Self::free(self, block);
    }
}
