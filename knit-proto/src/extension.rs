//! The lane extension: one control line for each side, room for what later versions add.
//!
//! ```text
//! byte    0   host control    words: state, epoch, parked, bell, features, pid   writer: host
//! byte   64   withdrawn       one word, a bit for each call in flight                writer: host
//! byte  128   worker control  the same words                                     writer: worker
//! byte  256   stage journal   32 words, see `journal`                            writer: worker
//! byte  384   host's counters             reserved: zero, ignored                writer: host
//! byte  448   worker's counters           reserved: zero, ignored                writer: worker
//! byte  512   deadlines        32 pairs of words, see `deadline`              writer: host
//! byte  768   ... 4096, and further pages reserved: zero, ignored
//! ```
//!
//! Each control line has one writer. A side *parks* by setting its own `parked`, and waits on the
//! futex word `bell` of the **other** side's line, which that other side advances to wake it.

use crate::{PAGE_BYTES, Span, WordOffset};

/// Start of the extension, from the start of the segment, in bytes. SEG-12.
pub const EXTENSION_AT: u32 = 4096;
/// Shortest extension, in bytes: all that this version uses. SEG-25.
pub const MIN_EXTENSION_BYTES: u32 = 4096;
/// Longest extension, in bytes. SEG-25.
pub const MAX_EXTENSION_BYTES: u32 = 16 << 20;
/// Host control line, from the start of the extension, in bytes. LANE-5.
pub const HOST_CONTROL_AT: u32 = 0;
/// Word of the withdrawn calls, from the start of the extension, in bytes: bit n is that of the call whose id is n modulo 32.
/// On a line that the host hardly ever writes. LANE-38.
pub const WITHDRAWN_AT: u32 = 64;
/// Worker control line, from the start of the extension, in bytes. LANE-7. Two lines from the host's, so that
/// adjacent-line prefetch does not tie them together.
pub const WORKER_CONTROL_AT: u32 = 128;
/// Stage journal, from the start of the extension, in bytes. LANE-34.
pub const JOURNAL_AT: u32 = 256;
/// Words of the stage journal: one for each call in flight, by its id modulo this number. LANE-33.
pub const JOURNAL_WORDS: u32 = 32;
/// The host's counters, from the start of the extension, in bytes. Reserved. SEG-13.
pub const HOST_COUNTERS_AT: u32 = 384;
/// The worker's counters, from the start of the extension, in bytes. Reserved. SEG-13.
pub const WORKER_COUNTERS_AT: u32 = 448;

/// Deadlines, from the start of the extension, in bytes. LANE-46.
pub const DEADLINES_AT: u32 = 512;
/// Entries of two words among the deadlines: one for each call in flight, by its id modulo this number. LANE-33.
pub const DEADLINE_PLACES: u32 = 32;

/// State of the side that writes the line, from the start of the line, in bytes: a [`LaneState`].
/// LANE-3.
pub const CONTROL_STATE_AT: u32 = 0;
/// Epoch that the writer speaks for. LANE-4.
pub const CONTROL_EPOCH_AT: u32 = 4;
/// [`PARKED`] while the writer waits on the other side's bell, else [`AWAKE`]. WAKE-1.
pub const CONTROL_PARKED_AT: u32 = 8;
/// Advanced by the writer to wake the other side. WAKE-2.
pub const CONTROL_BELL_AT: u32 = 12;
/// Features in force, as the writer understands them. SEG-9, LANE-9.
pub const CONTROL_FEATURES_AT: u32 = 16;
/// Process id of the writer in its own pid namespace. For people; nothing is decided by it.
pub const CONTROL_PID_AT: u32 = 20;
/// Length of a control line, in bytes. LANE-3.
pub const CONTROL_BYTES: u32 = 64;

/// Parked flag of a side that looks by itself. WAKE-1.
pub const AWAKE: u32 = 0;
/// Parked flag of a side that waits, or is about to wait. WAKE-1.
pub const PARKED: u32 = 1;

/// Length of an extension: a whole number of pages. SEG-25.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExtensionBytes(u32);

impl ExtensionBytes {
    /// One page: all that this version uses.
    pub const MIN: Self = Self(MIN_EXTENSION_BYTES);

    /// An extension of `bytes` bytes; `None` when that is no multiple of [`PAGE_BYTES`] from
    /// [`MIN_EXTENSION_BYTES`] to [`MAX_EXTENSION_BYTES`].
    #[must_use]
    pub const fn new(bytes: u32) -> Option<Self> {
        if bytes.is_multiple_of(PAGE_BYTES)
            && bytes >= MIN_EXTENSION_BYTES
            && bytes <= MAX_EXTENSION_BYTES
        {
            Some(Self(bytes))
        } else {
            None
        }
    }

    /// The length in bytes.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Start of the lane block that follows, in bytes from the start of the segment. SEG-12.
    #[must_use]
    pub const fn lane_block_at(self) -> u32 {
        // At most 16 MiB and a page.
        EXTENSION_AT + self.0
    }
}

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

/// Where one side's control line is. LANE-3.
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
    assert!(HOST_CONTROL_AT + CONTROL_BYTES <= WITHDRAWN_AT);
    assert!(WITHDRAWN_AT + 64 <= WORKER_CONTROL_AT);
    assert!(WORKER_CONTROL_AT + CONTROL_BYTES <= JOURNAL_AT);
    assert!(JOURNAL_AT + JOURNAL_WORDS * 4 <= HOST_COUNTERS_AT);
    assert!(HOST_COUNTERS_AT + 64 <= WORKER_COUNTERS_AT);
    assert!(WORKER_COUNTERS_AT + 64 <= DEADLINES_AT);
    assert!(DEADLINES_AT + DEADLINE_PLACES * 8 <= MIN_EXTENSION_BYTES);
};
