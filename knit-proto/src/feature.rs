//! Feature bits: what a segment uses beyond the base protocol.

use core::fmt;

/// A set of features, one bit each, in one word. SEG-8.
///
/// The creator of a segment offers *required* and *optional* bits. A reader refuses a segment that
/// requires a bit it does not know and ignores optional bits it does not know. Before it says that it
/// is ready it writes the bits in force into its control line: every required one, and the optional
/// ones that it accepts. SEG-9.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Features(u32);

impl Features {
    /// No feature.
    pub const NONE: Self = Self(0);
    /// Senders store the publication count of a slot into its header line, after the toggle. MBX-9.
    pub const STAMPS: Self = Self(1);
    /// The worker notes how far it is with each call. LANE-34.
    pub const JOURNAL: Self = Self(1 << 1);
    /// Both sides keep flight recorder rings. Reserved.
    pub const RECORDER: Self = Self(1 << 2);
    /// Each side parks on the futex word of the other side's control line. WAKE-1.
    pub const FUTEX_BELLS: Self = Self(1 << 3);
    /// The worker wakes its host through an eventfd too. WAKE-9. It needs more than a segment:
    /// [`Self::SUPPORTED`] lacks it, and whoever has the eventfd adds it.
    pub const EVENTFD: Self = Self(1 << 4);
    /// Shared buffers are given by handle over a control channel. LANE-25. It needs more than a segment:
    /// [`Self::SUPPORTED`] lacks it, and whoever has a channel adds it.
    pub const BUFFER_HANDLES: Self = Self(1 << 5);
    /// Arenas of a named segment may grow. Reserved.
    pub const NAMED_GROWTH: Self = Self(1 << 6);
    /// Several receivers take from one mailbox. Reserved; required where used.
    pub const SEVERAL_RECEIVERS: Self = Self(1 << 7);
    /// Every page of the segment has one writer. Reserved; required where used.
    pub const WRITE_SPLIT: Self = Self(1 << 8);
    /// Mailboxes of more than 32 slots. Reserved; required where used.
    pub const MANY_SLOTS: Self = Self(1 << 9);
    /// Answers in the header line of the request. Reserved; required where used.
    pub const IN_PLACE_REPLIES: Self = Self(1 << 10);
    /// The host can take calls back that the worker has not begun. LANE-38. It needs [`Self::JOURNAL`] and a worker that asks of
    /// each request whether it is wanted: [`Self::SUPPORTED`] lacks it, and whoever does adds it.
    pub const WITHDRAW: Self = Self(1 << 12);
    /// The host says until when the caller of each call waits. LANE-46. It needs more than a segment, a clock that both sides
    /// have: [`Self::SUPPORTED`] lacks it, and whoever knows that its clock is the other side's adds it.
    pub const DEADLINES: Self = Self(1 << 11);

    /// What this implementation can do with nothing but a segment. One that requires more is refused, also by a worker that would
    /// accept it as optional. SEG-31.
    pub const SUPPORTED: Self = Self(Self::STAMPS.0 | Self::JOURNAL.0 | Self::FUTEX_BELLS.0);

    const NAMES: [(Self, &str); 13] = [
        (Self::STAMPS, "stamps"),
        (Self::JOURNAL, "journal"),
        (Self::RECORDER, "recorder"),
        (Self::FUTEX_BELLS, "futex bells"),
        (Self::EVENTFD, "eventfd"),
        (Self::BUFFER_HANDLES, "buffer handles"),
        (Self::NAMED_GROWTH, "named growth"),
        (Self::SEVERAL_RECEIVERS, "several receivers"),
        (Self::WRITE_SPLIT, "write split"),
        (Self::MANY_SLOTS, "many slots"),
        (Self::IN_PLACE_REPLIES, "in-place replies"),
        (Self::DEADLINES, "deadlines"),
        (Self::WITHDRAW, "withdraw"),
    ];

    /// The features whose bits are set in `bits`, known or not.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits, as they stand in the word.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Features of either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Features of both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Features of this set that `other` lacks.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether every feature of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no feature is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = *self;
        let mut separator = "";
        for (feature, name) in Self::NAMES {
            if self.contains(feature) {
                write!(f, "{separator}{name}")?;
                separator = ", ";
                rest = rest.minus(feature);
            }
        }
        match (rest.is_empty(), separator.is_empty()) {
            (true, true) => f.write_str("none"),
            (true, false) => Ok(()),
            (false, _) => write!(f, "{separator}unknown bits {:#010x}", rest.0),
        }
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Features({self})")
    }
}
