//! The lane extension page: one control line for each side, room for the stage journal.
//!
//! ```text
//! byte    0   host control    words: state, epoch, parked, bell, features, pid   writer: host
//! byte  128   worker control  the same words                                     writer: worker
//! byte  256   stage journal, 32 words     reserved: zero, ignored                writer: worker
//! byte  384   arena high-water marks      reserved: zero, ignored
//! byte  448   … 4096                      reserved: zero, ignored
//! ```
//!
//! Each control line has one writer. A side *parks* by setting its own `parked`, and waits on the
//! futex word `bell` of the **other** side's line, which that other side advances to wake it.

use crate::{Span, WordOffset};

/// Length of the extension, in bytes.
pub const EXTENSION_BYTES: u32 = 4096;
/// Host control line, from the start of the extension.
pub const HOST_CONTROL_AT: u32 = 0;
/// Worker control line, from the start of the extension. Two lines from the host's, so that
/// adjacent-line prefetch does not tie them together.
pub const WORKER_CONTROL_AT: u32 = 128;
/// Stage journal, from the start of the extension. Reserved for feature bit 1.
pub const JOURNAL_AT: u32 = 256;
/// Words of the stage journal: one for each request slot.
pub const JOURNAL_WORDS: u32 = 32;
/// Arena high-water marks, from the start of the extension. Reserved.
pub const HIGH_WATER_AT: u32 = 384;

/// State of the side that writes the line: a [`LaneState`]. LANE-3.
pub const CONTROL_STATE_AT: u32 = 0;
/// Epoch that the writer speaks for. LANE-4.
pub const CONTROL_EPOCH_AT: u32 = 4;
/// One while the writer waits on the other side's bell, else zero. WAKE-1.
pub const CONTROL_PARKED_AT: u32 = 8;
/// Advanced by the writer to wake the other side. WAKE-2.
pub const CONTROL_BELL_AT: u32 = 12;
/// Features in force, as the writer understands them: required ones and accepted optional ones.
/// SEG-9.
pub const CONTROL_FEATURES_AT: u32 = 16;
/// Process id of the writer in its own pid namespace. Information only.
pub const CONTROL_PID_AT: u32 = 20;

const CONTROL_BYTES: u32 = 64;

/// Value of a state word. LANE-3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LaneState {
    /// The side has not attached yet. A new segment is zero.
    Absent,
    /// The side is attached; a worker accepts calls.
    Open,
    /// The side is leaving: a host sends no more calls and asks the worker to end, a worker answers
    /// no more calls.
    Closing,
}

impl LaneState {
    /// The state that a word stands for; `None` when the value is not assigned.
    #[must_use]
    pub const fn from_word(word: u32) -> Option<Self> {
        match word {
            0 => Some(Self::Absent),
            1 => Some(Self::Open),
            2 => Some(Self::Closing),
            _ => None,
        }
    }

    /// The word that stands for the state.
    #[must_use]
    pub const fn word(self) -> u32 {
        match self {
            Self::Absent => 0,
            Self::Open => 1,
            Self::Closing => 2,
        }
    }
}

/// Where one side's control line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlLayout {
    /// The state word.
    pub state: WordOffset,
    /// The epoch word.
    pub epoch: WordOffset,
    /// The parked flag.
    pub parked: WordOffset,
    /// The bell word.
    pub bell: WordOffset,
    /// The features word.
    pub features: WordOffset,
    /// The pid word.
    pub pid: WordOffset,
}

impl ControlLayout {
    /// The control line at `at` of `extension`; `None` when it does not lie inside.
    #[must_use]
    pub const fn new(extension: Span, at: u32) -> Option<Self> {
        let Some(line) = extension.part(at, CONTROL_BYTES) else { return None };
        match (
            line.word(CONTROL_STATE_AT),
            line.word(CONTROL_EPOCH_AT),
            line.word(CONTROL_PARKED_AT),
            line.word(CONTROL_BELL_AT),
            line.word(CONTROL_FEATURES_AT),
            line.word(CONTROL_PID_AT),
        ) {
            (Some(state), Some(epoch), Some(parked), Some(bell), Some(features), Some(pid)) => {
                Some(Self { state, epoch, parked, bell, features, pid })
            }
            _ => None,
        }
    }
}

const _: () = {
    assert!(HOST_CONTROL_AT + CONTROL_BYTES <= WORKER_CONTROL_AT);
    assert!(WORKER_CONTROL_AT + CONTROL_BYTES <= JOURNAL_AT);
    assert!(JOURNAL_AT + JOURNAL_WORDS * 4 <= HIGH_WATER_AT);
    assert!(HIGH_WATER_AT < EXTENSION_BYTES);
};
