//! Proof that a peer broke a clause.

use crate::{Clause, SlotIndex, SlotMask, Tag};
use core::fmt;

/// What a peer did that the protocol forbids.
///
/// Seeing one means that the peer is broken or hostile: the lane is poisoned and not used again.
/// The clauses stand in the chapters of `spec/`, the names of the violations in `spec/layout.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolViolation {
    /// A slot was published again before it was released.
    Republished {
        /// The slots concerned.
        slots: SlotMask,
    },
    /// A slot was released that was not published.
    ReleasedFree {
        /// The slots concerned.
        slots: SlotMask,
    },
    /// A slot that the mailbox does not have changed hands.
    NoSuchSlot {
        /// The bits concerned.
        slots: SlotMask,
    },
    /// An arena block was freed that was not live.
    FreedDead {
        /// The bits of those blocks.
        blocks: u32,
    },
    /// A payload tag that the protocol does not assign.
    UnassignedTag {
        /// The slot.
        slot: SlotIndex,
        /// The tag.
        tag: Tag,
    },
    /// A payload that only means something inside one process.
    LocalTag {
        /// The slot.
        slot: SlotIndex,
        /// The tag.
        tag: Tag,
    },
    /// An inline payload longer than the inline area.
    InlineLength {
        /// The slot.
        slot: SlotIndex,
        /// The length in bytes.
        len: u32,
    },
    /// A payload above the lane's limit.
    PayloadLength {
        /// The slot.
        slot: SlotIndex,
        /// The length in bytes.
        len: u64,
        /// The limit in bytes.
        max: u32,
    },
    /// An arena payload that does not start at a multiple of 64.
    ArenaAlignment {
        /// The slot.
        slot: SlotIndex,
        /// The offset in bytes.
        start: u32,
    },
    /// An arena payload that does not lie inside the arena.
    ArenaBounds {
        /// The slot.
        slot: SlotIndex,
        /// The offset in bytes.
        start: u32,
        /// The length in bytes.
        len: u64,
        /// Bytes of data in the arena.
        arena_bytes: u32,
    },
    /// Unknown flags in word 0 of an answer.
    AnswerFlags {
        /// The slot.
        slot: SlotIndex,
        /// The word.
        flags: u32,
    },
    /// An answer that says *withdrawn* of a call that was not, or a result of a call that was and that the journal had said was
    /// not begun.
    Withdrawn {
        /// The slot.
        slot: SlotIndex,
        /// The call id.
        call: u32,
        /// Whether the answer says *withdrawn*.
        says: bool,
    },
    /// An answer to a call that is not in flight.
    UnknownCall {
        /// The slot.
        slot: SlotIndex,
        /// The call id.
        call: u32,
    },
    /// Accepted features that were not offered, or required ones that were not accepted.
    Features {
        /// Bits that the creator offered.
        offered: u32,
        /// Bits that the other side accepted.
        accepted: u32,
    },
    /// Features in force that changed after they were seen.
    FeaturesChanged {
        /// Bits that were agreed on.
        locked: u32,
        /// Bits that the other side now has.
        found: u32,
    },
    /// A request that was published before the host had locked the features.
    NotLocked {
        /// Bits that this worker accepted.
        accepted: u32,
    },
    /// An abort signal that the lane has no room for.
    AbortSignal {
        /// The slot.
        slot: SlotIndex,
        /// The signal.
        signal: u32,
        /// How many signals the lane has.
        capacity: u32,
    },
    /// A state word with a value that its writer may not store at this point.
    State {
        /// The value.
        state: u32,
    },
    /// A control line that speaks for another incarnation of the lane.
    Epoch {
        /// The epoch of this lane.
        expected: u32,
        /// The epoch that the peer wrote.
        found: u32,
    },
    /// A message of the control channel that no side may send.
    ControlChannel {
        /// What is wrong with it.
        fault: ControlFault,
    },
}

/// What is wrong with a message of the control channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlFault {
    /// It is not as long as a message.
    Length {
        /// Its length in bytes.
        len: u32,
    },
    /// A version that this implementation does not know.
    Version {
        /// The version.
        found: u32,
    },
    /// A kind that the version does not have.
    Kind {
        /// The kind.
        found: u32,
    },
    /// Not as many descriptors as the kind has, or more than fit a message.
    Descriptors {
        /// How many came through.
        found: u32,
    },
    /// The descriptor is not that of a sealed memfd of the stated length that can be mapped.
    File {
        /// Number of the buffer.
        number: u32,
    },
    /// A buffer of this number was given before; or none was, and the message drops one.
    Number {
        /// The number.
        number: u32,
    },
    /// More buffers than the lane's limit.
    TooMany {
        /// The limit.
        limit: u32,
    },
}

impl fmt::Display for ControlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length { len } => write!(f, "it has {len} bytes"),
            Self::Version { found } => write!(f, "it has version {found}"),
            Self::Kind { found } => write!(f, "it has kind {found}"),
            Self::Descriptors { found } => write!(f, "{found} descriptors came with it"),
            Self::File { number } => {
                write!(f, "buffer {number} is no sealed memfd of the stated length")
            }
            Self::Number { number } => {
                write!(f, "{number} is not the number of a buffer that it can be about")
            }
            Self::TooMany { limit } => write!(f, "it gives more than {limit} buffers"),
        }
    }
}

impl ProtocolViolation {
    /// Name of the violation in `spec/layout.toml`, the same in every implementation.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.entry().0
    }

    /// The clause that was broken.
    #[must_use]
    pub const fn clause(&self) -> Clause {
        Clause::new(self.entry().1)
    }

    const fn entry(&self) -> (&'static str, &'static str) {
        match self {
            Self::Republished { .. } => ("republished", "MBX-7"),
            Self::ReleasedFree { .. } => ("released_free", "MBX-8"),
            Self::NoSuchSlot { .. } => ("no_such_slot", "MBX-1"),
            Self::FreedDead { .. } => ("freed_dead", "ARN-4"),
            Self::UnassignedTag { .. } => ("unassigned_tag", "PAY-1"),
            Self::LocalTag { .. } => ("local_tag", "PAY-3"),
            Self::InlineLength { .. } => ("inline_length", "PAY-4"),
            Self::PayloadLength { .. } => ("payload_length", "PAY-5"),
            Self::ArenaAlignment { .. } => ("arena_alignment", "ARN-2"),
            Self::ArenaBounds { .. } => ("arena_bounds", "ARN-3"),
            Self::AnswerFlags { .. } => ("answer_flags", "MBX-5"),
            Self::UnknownCall { .. } => ("unknown_call", "LANE-2"),
            Self::Withdrawn { .. } => ("withdrawn", "LANE-39"),
            Self::AbortSignal { .. } => ("abort_signal", "LANE-17"),
            Self::Features { .. } => ("features", "SEG-9"),
            Self::FeaturesChanged { .. } => ("features_changed", "LANE-11"),
            Self::NotLocked { .. } => ("not_locked", "LANE-9"),
            Self::State { .. } => ("state", "LANE-3"),
            Self::Epoch { .. } => ("epoch_mismatch", "LANE-4"),
            Self::ControlChannel { .. } => ("control_channel", "LANE-25"),
        }
    }
}

impl fmt::Display for ProtocolViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.clause())?;
        match *self {
            Self::Republished { slots } => {
                write!(f, "slots {:#010x} changed hands before they were released", slots.bits())
            }
            Self::ReleasedFree { slots } => {
                write!(f, "slots {:#010x} were released but not published", slots.bits())
            }
            Self::NoSuchSlot { slots } => {
                write!(f, "bits {:#010x} stand for no slot of this mailbox", slots.bits())
            }
            Self::FreedDead { blocks } => {
                write!(f, "arena blocks {blocks:#010x} were freed but not live")
            }
            Self::UnassignedTag { slot, tag } => {
                write!(f, "slot {slot} carries payload tag {}, which is not assigned", tag.0)
            }
            Self::LocalTag { slot, tag } => {
                write!(f, "slot {slot} carries a {tag}, which cannot cross processes")
            }
            Self::InlineLength { slot, len } => {
                write!(f, "slot {slot} claims {len} bytes inline, at most 512 fit")
            }
            Self::PayloadLength { slot, len, max } => {
                write!(f, "slot {slot} claims {len} bytes of payload, the limit is {max}")
            }
            Self::ArenaAlignment { slot, start } => {
                write!(f, "slot {slot} points at arena offset {start}, not a multiple of 64")
            }
            Self::ArenaBounds { slot, start, len, arena_bytes } => write!(
                f,
                "slot {slot} points at arena bytes {start} to {}, the arena has {arena_bytes}",
                u64::from(start) + len
            ),
            Self::AnswerFlags { slot, flags } => {
                write!(f, "slot {slot} has unknown answer flags {flags:#010x}")
            }
            Self::UnknownCall { slot, call } => {
                write!(f, "slot {slot} answers call {call:#010x}, which is not in flight")
            }
            Self::Withdrawn { slot, call, says: true } => {
                write!(f, "slot {slot} says that call {call:#010x} was withdrawn, which it was not")
            }
            Self::Withdrawn { slot, call, says: false } => {
                write!(
                    f,
                    "slot {slot} has a result of call {call:#010x}, which was withdrawn in time"
                )
            }
            Self::Features { offered, accepted } => {
                write!(f, "features {accepted:#010x} were accepted, {offered:#010x} were offered")
            }
            Self::FeaturesChanged { locked, found } => {
                write!(f, "features {locked:#010x} were agreed on, the peer now has {found:#010x}")
            }
            Self::NotLocked { accepted } => {
                write!(
                    f,
                    "a request came before the accepted features {accepted:#010x} were locked"
                )
            }
            Self::AbortSignal { slot, signal, capacity } => {
                write!(f, "slot {slot} has abort signal {signal}, the lane has {capacity} signals")
            }
            Self::State { state } => write!(f, "the peer's state word has value {state}"),
            Self::Epoch { expected, found } => {
                write!(f, "the peer speaks for epoch {found}, this lane is epoch {expected}")
            }
            Self::ControlChannel { fault } => {
                write!(f, "a message of the control channel is refused: {fault}")
            }
        }
    }
}

impl core::error::Error for ProtocolViolation {}
