//! Byte layout of the knit call protocol: what stands where in a segment, and what a reader must
//! refuse.
//!
//! A *segment* is one shared mapping that belongs to one *lane*, a host and a worker:
//!
//! ```text
//!      0 +----------------------+  header page: who made it, which version, where everything is
//!   4096 +----------------------+  lane extension: control lines; one page or more
//!   8192 +----------------------+  lane block (after an extension of one page): signals, two mailboxes, abort bits, two arenas
//!        |  signals             |
//!        |  request sector      |  host -> worker: publish, release, allocate, free words
//!        |  response sector     |  worker -> host: the same
//!        |  request slots       |  32 x (512 bytes inline payload + 64 bytes header line)
//!        |  response slots      |
//!        |  abort bits          |
//!        |  request arena       |  payloads that do not fit inline
//!        |  response arena      |
//!        +----------------------+
//! ```
//!
//! The lane block is byte-compatible with the process-worker layout of Knitting 0.1.61; the pages
//! before it add version, geometry, negotiation and wake-ups.
//!
//! This crate holds numbers and pure functions alone. It never touches shared memory, never
//! allocates, never reads a clock: callers copy words out of a segment into a `Raw...` type, and
//! parse that private copy. Every offset in the types that parsing returns lies inside the segment.
//!
//! All words are 32-bit little-endian. Clause ids such as `MBX-3` name sentences of the specification
//! in `spec/`; `spec/layout.toml` has every number of this crate once more, and a test compares them.

#![no_std]
#![forbid(unsafe_code)]

mod bare;
mod block;
mod clause;
mod control_message;
mod deadline;
mod extension;
mod feature;
mod header;
mod header_error;
mod journal;
mod layout;
mod negotiation;
mod offset;
mod slot;
mod tag;
mod toggle;
mod version;
mod violation;

pub use bare::{BareLayout, BareLayoutError};
pub use block::{
    ABORT_BITS_AT, ARENA_DATA_AT, ARENA_GRANULE, ArenaLayout, BlockIndex, Direction, Geometry,
    GeometryError, MAX_ABORT_CAPACITY, MAX_ARENA_BYTES, MIN_ARENA_BYTES, MailboxLayout,
    REGION_ALIGN, REQUEST_SECTOR_AT, REQUEST_SLOTS_AT, RESPONSE_SECTOR_AT, RESPONSE_SLOTS_AT,
    Region, SECTOR_ALLOCATE_AT, SECTOR_BYTES, SECTOR_FREE_AT, SECTOR_PUBLISH_AT, SECTOR_RELEASE_AT,
    SIGNALS_BYTES, SIGNALS_HOST_BUSY_AT, SIGNALS_RECEIVER_AWAKE_AT, SIGNALS_WAKE_AT, SLOTS_BYTES,
    WORD_STRIDE,
};
pub use clause::Clause;
pub use control_message::{
    CONTROL_MESSAGE_BYTES, CONTROL_MESSAGE_DROP, CONTROL_MESSAGE_GIVE, CONTROL_MESSAGE_LANE,
    CONTROL_MESSAGE_VERSION, ControlMessage, LaneMessage,
};
pub use deadline::{MonotonicTime, deadline_index};
pub use extension::{
    AWAKE, CONTROL_BELL_AT, CONTROL_BYTES, CONTROL_EPOCH_AT, CONTROL_FEATURES_AT,
    CONTROL_PARKED_AT, CONTROL_PID_AT, CONTROL_STATE_AT, ControlLayout, DEADLINE_PLACES,
    DEADLINES_AT, EXTENSION_AT, ExtensionBytes, HOST_CONTROL_AT, HOST_COUNTERS_AT, JOURNAL_AT,
    JOURNAL_WORDS, LaneState, MAX_EXTENSION_BYTES, MIN_EXTENSION_BYTES, PARKED, WITHDRAWN_AT,
    WORKER_CONTROL_AT, WORKER_COUNTERS_AT,
};
pub use feature::Features;
pub use header::{
    BYTE_ORDER_MARK, CreatorId, HEADER_BYTES, HEADER_WORDS, HeaderFields, LaneKind, MAGIC,
    READY_BIT, RawHeader, Reader, field, ready_word,
};
pub use header_error::HeaderError;
pub use journal::{Stage, journal_index, may_have_begun};
pub use layout::{Layout, PAGE_BYTES};
pub use negotiation::{Negotiation, Phase, RawControl};
pub use offset::{Span, WordOffset};
pub use slot::{
    HEADER_LINE_AT, HEADER_LINE_BYTES, INLINE_BYTES, PayloadPlace, RawSlotHeader,
    SLOT_HEADER_WORDS, SLOT_STRIDE, STAMP_AT, SlotHeader, SlotRules, Word0, word,
};
pub use tag::{Form, Tag};
pub use toggle::{SLOTS, SlotIndex, SlotMask, Toggle, free, pending};
pub use version::Version;
pub use violation::{ControlFault, ProtocolViolation};
