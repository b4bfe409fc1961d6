//! The stage journal: how far a worker is with each call.
//!
//! ```text
//! word n   the last call whose id is n modulo 32    writer: worker
//!
//!   bits 5 .. 32   those of the call's id
//!   bits 0 ..  5   stage: 1 taken, 2 done; a word of zero: no call yet
//! ```
//!
//! At most 32 calls are in flight and their ids differ modulo 32 (LANE-33), so that no call hides
//! another one. The host reads a word when the worker's process has ended, and asks one question of
//! it: has the worker begun with the call? It knows what stands there when it has not, and takes every
//! other value for a yes. Of a worker that lives the answer is an answer only after the host has withdrawn
//! the call (LANE-41).

use crate::JOURNAL_WORDS;

/// How far a worker is with a call. LANE-34, LANE-35.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The worker has the call: its task may run from here on.
    Taken,
    /// The task is over: nothing of it happens from here on. Its answer may be published or not.
    Done,
}

impl Stage {
    /// The stage that the low bits of a journal word stand for; `None` when the value is not assigned.
    #[must_use]
    pub const fn from_word(word: u32) -> Option<Self> {
        match word % JOURNAL_WORDS {
            1 => Some(Self::Taken),
            2 => Some(Self::Done),
            _ => None,
        }
    }

    /// The low bits of a journal word that stand for the stage.
    #[must_use]
    pub const fn word(self) -> u32 {
        match self {
            Self::Taken => 1,
            Self::Done => 2,
        }
    }

    /// The journal word of the call with this id at this stage.
    #[must_use]
    pub const fn of_call(self, call: u32) -> u32 {
        call - call % JOURNAL_WORDS + self.word()
    }
}

/// Whether a worker whose process has ended may have begun with a call, by the journal word of the
/// call. LANE-36.
///
/// `before` is the id of the last call before it with the same place, which has been answered; `None` when
/// there was none. The word is untrusted: all values but the one that stands there when the call
/// was not taken mean that it may have been.
#[must_use]
pub const fn may_have_begun(word: u32, before: Option<u32>) -> bool {
    word != match before {
        Some(call) => Stage::Done.of_call(call),
        None => 0,
    }
}

/// Index of the journal word of a call. LANE-33.
#[must_use]
pub const fn journal_index(call: u32) -> usize {
    // Below 32.
    (call % JOURNAL_WORDS) as usize
}

const _: () = assert!(JOURNAL_WORDS.is_power_of_two() && Stage::Done.word() < JOURNAL_WORDS);

#[cfg(test)]
mod tests {
    use super::*;

    /// LANE-33, LANE-34.
    #[test]
    fn a_word_names_the_call_and_the_stage() {
        for call in [0, 1, 31, 32, 0x1234_5678, u32::MAX] {
            for stage in [Stage::Taken, Stage::Done] {
                let word = stage.of_call(call);
                assert_eq!(word >> 5, call >> 5);
                assert_eq!(Stage::from_word(word), Some(stage));
                assert!(journal_index(call) < 32);
                assert_ne!(word, 0, "zero is the word of no call");
            }
        }
        for low in (0..32).filter(|low| !matches!(low, 1 | 2)) {
            assert_eq!(Stage::from_word(0xabcd_ef00 + low), None, "{low}");
        }
    }

    /// LANE-36: every word but one says that the task may have begun.
    #[test]
    fn one_word_alone_says_that_a_call_was_not_begun() {
        let (before, call) = (7 << 5 | 3, 8 << 5 | 3);
        assert!(!may_have_begun(Stage::Done.of_call(before), Some(before)));
        assert!(!may_have_begun(0, None));
        let others = [0, 1, 2, before, call, u32::MAX, Stage::Taken.of_call(before)];
        for word in others.into_iter().chain([Stage::Taken, Stage::Done].map(|s| s.of_call(call))) {
            assert!(may_have_begun(word, Some(before)), "{word:#x}");
            assert!(word == 0 || may_have_begun(word, None), "{word:#x}");
        }
        for bit in 0..32 {
            assert!(may_have_begun(Stage::Done.of_call(before) ^ 1 << bit, Some(before)));
            assert!(may_have_begun(1 << bit, None));
        }
    }
}
