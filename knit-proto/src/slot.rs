//! A slot and its header line.
//!
//! ```text
//! byte   0 ..  512   inline payload
//! byte 512 ..  576   header line, sixteen words:
//!
//!   word  0   request: function index (low 16), abort signal id + 1 or 0 (high 16)
//!             response: bit 0 set = rejected, the value is the error; 2 = withdrawn, no value
//!   word  1   call id, chosen by the host, echoed by the worker
//!   word  2   payload tag
//!   word  3   arena offset, or low half of a scalar
//!   word  4   high half of a scalar, or body length of a two-part payload
//!   word  5   payload length in bytes, or header length of a two-part payload
//!   word  6   arena block (low 5), enqueue time of upstream hosts (high 27)
//!   word  7   zero; process-private scratch of upstream peers
//!   8 .. 14   reserved: 8 to 11 for several receivers, 12 to 14 for replies in place; zero
//!   word 15   stamp: how often this slot has been published, modulo 2^32
//! ```
//!
//! Words that a tag does not use hold left-overs and mean nothing. MBX-6.

use crate::{ARENA_GRANULE, BlockIndex, Direction, Form, ProtocolViolation, SlotIndex, Tag};
use static_assertions::const_assert_eq;

/// Distance between two slots, in bytes. MBX-4.
pub const SLOT_STRIDE: u32 = 576;
/// Length of the inline area of a slot, in bytes. MBX-4.
pub const INLINE_BYTES: u32 = 512;
/// Start of the header line, from the start of the slot, in bytes. MBX-4.
pub const HEADER_LINE_AT: u32 = INLINE_BYTES;
/// Length of the header line, in bytes. MBX-4.
pub const HEADER_LINE_BYTES: u32 = 64;
/// Words at the start of the header line that describe the message. MBX-16.
pub const SLOT_HEADER_WORDS: usize = 7;
/// Index of each word in the header line. Byte offset in the slot = [`HEADER_LINE_AT`] + 4 x index.
pub mod word {
    /// Function and abort signal of a request, flags of an answer. MBX-5.
    pub const WORD0: u32 = 0;
    /// Call id. LANE-10.
    pub const CALL: u32 = 1;
    /// Payload tag. PAY-1.
    pub const TAG: u32 = 2;
    /// Arena offset in bytes, or low half of a scalar. ARN-2.
    pub const START: u32 = 3;
    /// High half of a scalar, or body length in bytes. PAY-2.
    pub const END: u32 = 4;
    /// Payload length or header length in bytes. PAY-2.
    pub const PAYLOAD_LEN: u32 = 5;
    /// Arena block. ARN-1.
    pub const BLOCK: u32 = 6;
    /// Private to upstream processes: zero, ignored. MBX-17.
    pub const SCRATCH: u32 = 7;
    /// Room for several receivers, four words: zero, ignored. MBX-17.
    pub const STEALING: u32 = 8;
    /// Room for replies in place, three words: zero, ignored. MBX-17.
    pub const RESERVED: u32 = 12;
    /// How often the slot has been published. MBX-9.
    pub const STAMP: u32 = 15;
}
/// The stamp, in bytes from the start of the slot. MBX-9.
pub const STAMP_AT: u32 = HEADER_LINE_AT + word::STAMP * 4;

const_assert_eq!(INLINE_BYTES + HEADER_LINE_BYTES, SLOT_STRIDE);
const_assert_eq!(STAMP_AT + 4, SLOT_STRIDE);

const REJECTED: u32 = 1;
/// Word 0 of an answer to a call that the worker has not run, as the host has withdrawn it. LANE-39.
const WITHDRAWN: u32 = 2;

/// Words 0 to 6 of a header line, as copied out of a segment, once. Untrusted. MBX-16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RawSlotHeader(pub [u32; SLOT_HEADER_WORDS]);

/// Meaning of word 0. MBX-5, LANE-17.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word0 {
    /// A call of a function.
    Call {
        /// Index of the function in the table that host and worker agreed on.
        function: u16,
        /// Abort signal of the call, if it has one.
        abort: Option<u16>,
    },
    /// An answer.
    Answer {
        /// Whether the value is the error of a failed call.
        rejected: bool,
    },
    /// An answer without a value: the call was withdrawn and has not run. LANE-39.
    Withdrawn,
}

/// Where the bytes of a message are. PAY-2. Every stretch of bytes lies inside its area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadPlace {
    /// There are none.
    Bare,
    /// The value itself.
    Scalar(u64),
    /// In the inline area, from its start.
    Inline {
        /// Length in bytes, at most [`INLINE_BYTES`].
        len: u32,
    },
    /// In the arena.
    Arena {
        /// The block that the receiver must free.
        block: BlockIndex,
        /// Offset from the start of the arena's data, in bytes, a multiple of 64.
        start: u32,
        /// Length in bytes.
        len: u32,
    },
    /// Header in the inline area, body in the arena.
    InlineHead {
        /// Length of the header in bytes.
        head: u32,
        /// The block that the receiver must free.
        block: BlockIndex,
        /// Offset of the body from the start of the arena's data, in bytes.
        start: u32,
        /// Length of the body in bytes.
        body: u32,
    },
    /// Header and body one after the other in the arena.
    ArenaHead {
        /// Length of the header in bytes.
        head: u32,
        /// The block that the receiver must free.
        block: BlockIndex,
        /// Offset of the header from the start of the arena's data, in bytes.
        start: u32,
        /// Length of the body in bytes.
        body: u32,
    },
}

impl PayloadPlace {
    /// The arena block that this message occupies, if any.
    #[must_use]
    pub const fn block(self) -> Option<BlockIndex> {
        match self {
            Self::Arena { block, .. }
            | Self::InlineHead { block, .. }
            | Self::ArenaHead { block, .. } => Some(block),
            Self::Bare | Self::Scalar(_) | Self::Inline { .. } => None,
        }
    }
}

/// A checked slot header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotHeader {
    /// Call or answer.
    pub word0: Word0,
    /// Call id.
    pub call: u32,
    /// Payload tag; an assigned one.
    pub tag: Tag,
    /// Where the payload is.
    pub place: PayloadPlace,
}

/// What a receiver holds a slot header against: its own, never the peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotRules {
    /// The mailbox that the header was read from.
    pub direction: Direction,
    /// Bytes of data in the arena of that direction. ARN-3.
    pub arena_bytes: u32,
    /// Longest payload in bytes. PAY-5.
    pub max_payload: u32,
    /// Abort signals of the lane. LANE-17.
    pub abort_capacity: u32,
}

impl RawSlotHeader {
    /// The words of a checked header, unused ones zero.
    #[inline(always)]
    #[must_use]
    pub const fn encode(header: &SlotHeader) -> Self {
        let word0 = match header.word0 {
            Word0::Call { function, abort: None } => function as u32,
            Word0::Call { function, abort: Some(id) } => function as u32 | (id as u32 + 1) << 16,
            Word0::Answer { rejected } => rejected as u32,
            Word0::Withdrawn => WITHDRAWN,
        };
        let [w3, w4, w5, w6] = match header.place {
            PayloadPlace::Bare => [0; 4],
            // The casts take the two halves apart.
            PayloadPlace::Scalar(bits) => [bits as u32, (bits >> 32) as u32, 0, 0],
            PayloadPlace::Inline { len } => [0, 0, len, 0],
            PayloadPlace::Arena { block, start, len } => [start, 0, len, block.get()],
            PayloadPlace::InlineHead { head, block, start, body }
            | PayloadPlace::ArenaHead { head, block, start, body } => {
                [start, body, head, block.get()]
            }
        };
        Self([word0, header.call, header.tag.0, w3, w4, w5, w6])
    }

    /// Checks a private copy of the header of `slot` against `rules`: tag assigned and possible in a
    /// process lane, every length within its limit, every arena stretch inside the arena, flags and
    /// abort signal known. Of an answer that says *withdrawn* see [`Self::parse_withdrawn`].
    ///
    /// # Errors
    ///
    /// The first clause that the words break, with the offending values.
    #[inline(always)]
    pub const fn parse(
        &self,
        rules: &SlotRules,
        slot: SlotIndex,
    ) -> Result<SlotHeader, ProtocolViolation> {
        let [w0, call, tag, w3, w4, w5, w6] = self.0;
        let SlotRules { direction, arena_bytes, max_payload, abort_capacity } = *rules;
        let word0 = match direction {
            Direction::Request if w0 >> 16 > abort_capacity => {
                let (signal, capacity) = ((w0 >> 16) - 1, abort_capacity);
                return Err(ProtocolViolation::AbortSignal { slot, signal, capacity });
            }
            // The casts keep sixteen bits of a shifted or masked word.
            Direction::Request => Word0::Call {
                function: w0 as u16,
                abort: if w0 >> 16 == 0 { None } else { Some((w0 >> 16) as u16 - 1) },
            },
            Direction::Response if w0 & !REJECTED != 0 => {
                return Err(ProtocolViolation::AnswerFlags { slot, flags: w0 });
            }
            Direction::Response => Word0::Answer { rejected: w0 == REJECTED },
        };
        let tag = Tag(tag);
        let block = BlockIndex::from_low_bits(w6);
        let Some(form) = tag.form() else {
            return Err(ProtocolViolation::UnassignedTag { slot, tag });
        };
        // Lengths are compared at 64 bits: no sum of two 32-bit words can wrap.
        let place = match form {
            Form::Local => return Err(ProtocolViolation::LocalTag { slot, tag }),
            Form::Bare => PayloadPlace::Bare,
            Form::Scalar => PayloadPlace::Scalar((w4 as u64) << 32 | w3 as u64),
            Form::Inline => {
                if w5 > INLINE_BYTES {
                    return Err(ProtocolViolation::InlineLength { slot, len: w5 });
                }
                PayloadPlace::Inline { len: w5 }
            }
            Form::Arena => {
                if let Err(violation) = stretch(slot, w3, w5 as u64, arena_bytes, max_payload) {
                    return Err(violation);
                }
                PayloadPlace::Arena { block, start: w3, len: w5 }
            }
            Form::InlineHead => {
                if w5 > INLINE_BYTES {
                    return Err(ProtocolViolation::InlineLength { slot, len: w5 });
                }
                if let Err(violation) = stretch(slot, w3, w4 as u64, arena_bytes, max_payload) {
                    return Err(violation);
                }
                PayloadPlace::InlineHead { head: w5, block, start: w3, body: w4 }
            }
            Form::ArenaHead => {
                let len = w5 as u64 + w4 as u64;
                if let Err(violation) = stretch(slot, w3, len, arena_bytes, max_payload) {
                    return Err(violation);
                }
                PayloadPlace::ArenaHead { head: w5, block, start: w3, body: w4 }
            }
        };
        Ok(SlotHeader { word0, call, tag, place })
    }

    /// The header of an answer that says *withdrawn*, of which no word but the first three means anything; `None` for every
    /// other one. For a receiver for whom [`Self::parse`] has failed, where the feature is in force. LANE-39.
    #[cold]
    #[must_use]
    pub const fn parse_withdrawn(&self) -> Option<SlotHeader> {
        let [w0, call, tag, ..] = self.0;
        if w0 != WITHDRAWN || tag != Tag::UNDEFINED.0 {
            return None;
        }
        let (word0, tag, place) = (Word0::Withdrawn, Tag::UNDEFINED, PayloadPlace::Bare);
        Some(SlotHeader { word0, call, tag, place })
    }
}

const fn stretch(
    slot: SlotIndex,
    start: u32,
    len: u64,
    arena_bytes: u32,
    max_payload: u32,
) -> Result<(), ProtocolViolation> {
    if len > max_payload as u64 {
        return Err(ProtocolViolation::PayloadLength { slot, len, max: max_payload });
    }
    if !start.is_multiple_of(ARENA_GRANULE) {
        return Err(ProtocolViolation::ArenaAlignment { slot, start });
    }
    if start as u64 + len > arena_bytes as u64 {
        return Err(ProtocolViolation::ArenaBounds { slot, start, len, arena_bytes });
    }
    Ok(())
}
