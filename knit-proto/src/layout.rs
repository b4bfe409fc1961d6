//! Validated positions inside one segment.

use crate::{
    ArenaLayout, ControlLayout, DEADLINE_PLACES, DEADLINES_AT, Direction, EXTENSION_AT,
    HOST_CONTROL_AT, HeaderFields, JOURNAL_AT, JOURNAL_WORDS, MailboxLayout, Region, Span,
    WITHDRAWN_AT, WORKER_CONTROL_AT, WordOffset,
};

/// Unit of the segment's pages, in bytes. A constant of the layout, not of the machine. SEG-21.
pub const PAGE_BYTES: u32 = 4096;

/// Where everything is in one segment. Every word and span that it gives out lies in
/// `0 ..` [`Layout::len`], and no two regions overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    fields: HeaderFields,
}

impl Layout {
    /// The layout that `fields` imply.
    #[must_use]
    pub const fn new(fields: HeaderFields) -> Self {
        Self { fields }
    }

    /// Length of the segment, in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no segment is empty")]
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.lane_block_at() + self.fields.geometry.block_bytes()
    }

    /// Start of the lane block, in bytes from the start of the segment.
    #[must_use]
    pub const fn lane_block_at(&self) -> u32 {
        self.fields.extension.lane_block_at()
    }

    /// Version, features, identity and sizes.
    #[must_use]
    pub const fn fields(&self) -> &HeaderFields {
        &self.fields
    }

    /// The mailbox of `direction`.
    #[must_use]
    pub fn mailbox(&self, direction: Direction) -> MailboxLayout {
        let slots = match direction {
            Direction::Request => Region::RequestSlots,
            Direction::Response => Region::ResponseSlots,
        };
        MailboxLayout::new(self.sector(direction), self.region(slots)).expect("32 slots (SEG-5)")
    }

    /// The arena of `direction`.
    #[must_use]
    pub fn arena(&self, direction: Direction) -> ArenaLayout {
        let arena = match direction {
            Direction::Request => Region::RequestArena,
            Direction::Response => Region::ResponseArena,
        };
        ArenaLayout::new(self.sector(direction), self.region(arena))
            .expect("geometry has no arena below the minimum")
    }

    /// The control line that the host writes.
    #[must_use]
    pub fn host_control(&self) -> ControlLayout {
        ControlLayout::new(self.extension(), HOST_CONTROL_AT).expect("line inside the page")
    }

    /// The control line that the worker writes.
    #[must_use]
    pub fn worker_control(&self) -> ControlLayout {
        ControlLayout::new(self.extension(), WORKER_CONTROL_AT).expect("line inside the page")
    }

    /// The extension, from the start of the segment. This version uses its first page.
    #[must_use]
    pub fn extension(&self) -> Span {
        Span::new(EXTENSION_AT, self.fields.extension.get()).expect("a number of pages")
    }

    /// The stage journal.
    #[must_use]
    pub fn journal(&self) -> Span {
        let journal = self.extension().part(JOURNAL_AT, JOURNAL_WORDS * 4);
        journal.expect("words inside the page")
    }

    /// The word of the withdrawn calls.
    #[must_use]
    pub fn withdrawn(&self) -> WordOffset {
        self.extension().word(WITHDRAWN_AT).expect("word inside the page")
    }

    /// The deadlines.
    #[must_use]
    pub fn deadlines(&self) -> Span {
        let deadlines = self.extension().part(DEADLINES_AT, DEADLINE_PLACES * 8);
        deadlines.expect("words inside the page")
    }

    /// A region of the lane block, from the start of the segment.
    #[must_use]
    pub fn region(&self, region: Region) -> Span {
        let (at, len) = self.fields.geometry.region(region);
        Span::new(self.lane_block_at() + at, len).expect("geometry bounds regions below 4 GiB")
    }

    fn sector(&self, direction: Direction) -> Span {
        self.region(match direction {
            Direction::Request => Region::RequestSector,
            Direction::Response => Region::ResponseSector,
        })
    }
}
