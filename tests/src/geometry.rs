//! Small layouts for models and tests.

use knit_proto::{
    ARENA_DATA_AT, ArenaLayout, ControlLayout, CreatorId, ExtensionBytes, Features, Geometry,
    HOST_CONTROL_AT, HeaderFields, LaneKind, MIN_EXTENSION_BYTES, MailboxLayout, SECTOR_BYTES,
    SLOT_STRIDE, Span, Version, WORKER_CONTROL_AT,
};

/// One direction of a lane with fewer slots and a smaller arena than on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    /// The mailbox.
    pub mailbox: MailboxLayout,
    /// The arena.
    pub arena: ArenaLayout,
    /// Control line of the side that sends.
    pub sender: ControlLayout,
    /// Control line of the side that receives.
    pub receiver: ControlLayout,
    /// Bytes of memory that all of this takes.
    pub bytes: u32,
}

/// What the header of a small segment says: arenas of 4096 bytes, `reserved` of the request arena
/// reserved, room for `signals` abort signals.
#[must_use]
pub fn header_fields(reserved: u32, signals: u32) -> HeaderFields {
    HeaderFields {
        version: Version::CURRENT,
        required: Features::NONE,
        optional: Features::SUPPORTED,
        epoch: 1,
        creator: CreatorId::default(),
        kind: LaneKind::Process,
        geometry: Geometry::new(4096, 4096, signals).expect("small arenas"),
        extension: ExtensionBytes::MIN,
        tasks: 0,
        request_reserved: reserved,
        response_reserved: 0,
    }
}

/// A lane with `slots` slots and an arena of one granule.
#[must_use]
pub fn lane(slots: u32) -> Lane {
    arena_lane(slots, 64)
}

/// A lane with `slots` slots and an arena of `data` bytes of blocks, a multiple of 64.
///
/// # Panics
///
/// No such mailbox or arena.
#[must_use]
pub fn arena_lane(slots: u32, data: u32) -> Lane {
    let sector = span(0, SECTOR_BYTES);
    let area = span(sector.end(), slots * SLOT_STRIDE);
    let arena = span(area.end(), ARENA_DATA_AT + data);
    let extension = span(arena.end(), MIN_EXTENSION_BYTES);
    Lane {
        mailbox: MailboxLayout::new(sector, area).expect("1 to 32 slots"),
        arena: ArenaLayout::new(sector, arena).expect("at least a granule"),
        sender: ControlLayout::new(extension, HOST_CONTROL_AT).expect("inside the page"),
        receiver: ControlLayout::new(extension, WORKER_CONTROL_AT).expect("inside the page"),
        bytes: extension.end(),
    }
}

fn span(at: u32, len: u32) -> Span {
    Span::new(at, len).expect("multiples of four below 4 GiB")
}
