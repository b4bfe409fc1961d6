//! What the crates make of headers and header lines, in the words of the references.

use crate::reference::{Header, Slot};
use knit_proto::{
    BlockIndex, Direction, LaneKind, Layout, PayloadPlace, Region, SlotHeader, Word0,
};

/// A header that is fine.
pub(super) fn header(layout: &Layout) -> Header {
    let fields = layout.fields();
    let arena = |direction| fields.geometry.arena_bytes(direction).into();
    Header {
        version: (fields.version.major.into(), fields.version.minor.into()),
        features: (fields.required.bits(), fields.optional.bits()),
        epoch: fields.epoch.into(),
        creator: (
            fields.creator.pid.into(),
            fields.creator.start_time.into(),
            fields.creator.boot.into(),
        ),
        lane_kind: match fields.kind {
            LaneKind::Process => 1,
            LaneKind::Thread => 2,
        },
        abort_capacity: fields.geometry.abort_capacity().into(),
        tasks: fields.tasks.into(),
        extension: layout.extension().len().into(),
        arenas: (arena(Direction::Request), arena(Direction::Response)),
        reserved: (fields.request_reserved.into(), fields.response_reserved.into()),
        regions: [
            ("signals", Region::Signals),
            ("request_sector", Region::RequestSector),
            ("response_sector", Region::ResponseSector),
            ("request_slots", Region::RequestSlots),
            ("response_slots", Region::ResponseSlots),
            ("abort_bits", Region::AbortBits),
            ("request_arena", Region::RequestArena),
            ("response_arena", Region::ResponseArena),
        ]
        .map(|(name, region)| {
            let span = layout.region(region);
            (name, span.at().into(), span.len().into())
        }),
        len: layout.len().into(),
    }
}

/// A header line that is fine.
pub(super) fn slot(found: &SlotHeader) -> Slot {
    let mut slot = Slot { call: found.call, tag: found.tag.0, ..Slot::default() };
    match found.word0 {
        Word0::Call { function, abort } => {
            slot.request = Some((function.into(), abort.map(u32::from)));
        }
        Word0::Answer { rejected } => slot.rejected = rejected,
        Word0::Withdrawn => {
            panic!("only a lane that agreed on it takes a withdrawn request: {found:?}")
        }
    }
    let block = |index: BlockIndex, start| (index.get(), start);
    match found.place {
        PayloadPlace::Bare => slot.form = "BARE",
        PayloadPlace::Scalar(bits) => (slot.form, slot.scalar) = ("SCALAR", bits),
        PayloadPlace::Inline { len } => (slot.form, slot.len) = ("INLINE", len),
        PayloadPlace::Arena { block: index, start, len } => {
            (slot.form, slot.len) = ("ARENA", len);
            (slot.block, slot.start) = block(index, start);
        }
        PayloadPlace::InlineHead { head, block: index, start, body } => {
            (slot.form, slot.head, slot.body) = ("INLINE_HEAD", head, body);
            (slot.block, slot.start) = block(index, start);
        }
        PayloadPlace::ArenaHead { head, block: index, start, body } => {
            (slot.form, slot.head, slot.body) = ("ARENA_HEAD", head, body);
            (slot.block, slot.start) = block(index, start);
        }
    }
    slot
}
