//! Deadlines: when the time of each call is over, as its host says it.
//!
//! ```text
//! entry n  of the call in flight whose id is n modulo 32    writer: host
//!
//!   word 2n, 2n + 1   nanoseconds of the host's CLOCK_MONOTONIC, low word first; 0: no deadline
//! ```
//!
//! At most 32 calls are in flight and their ids differ modulo 32 (LANE-33). The host stores an entry before it
//! publishes the request, and the worker loads it while it has the call. What stands there is a number
//! and nothing else: every value of it is one that a host may mean.

use crate::DEADLINE_PLACES;
use core::fmt;
use core::num::NonZeroU64;
use core::time::Duration;

/// A moment of the monotonic clock (`CLOCK_MONOTONIC`), in nanoseconds from the clock's origin. Never 0:
/// a deadline of 0 stands for none. LANE-46.
///
/// Two of them can be compared when both are of one time namespace: a container may have another origin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonotonicTime(NonZeroU64);

impl MonotonicTime {
    /// So many nanoseconds after the clock's origin; 0 counts as 1.
    #[must_use]
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        match NonZeroU64::new(nanoseconds) {
            Some(nanoseconds) => Self(nanoseconds),
            None => Self(NonZeroU64::MIN),
        }
    }

    /// Nanoseconds from the clock's origin; at least 1.
    #[must_use]
    pub const fn nanoseconds(self) -> u64 {
        self.0.get()
    }

    /// The moment `duration` later; `None` when 64 bits of nanoseconds do not reach that far, which is 584 years.
    #[must_use]
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        let nanoseconds = u64::try_from(duration.as_nanos()).ok()?;
        Some(Self(self.0.checked_add(nanoseconds)?))
    }

    /// Time from `earlier` until this moment; zero when `earlier` is not the earlier one.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanoseconds().saturating_sub(earlier.nanoseconds()))
    }

    /// The deadline that these words stand for; `None` where both are 0. LANE-46.
    #[must_use]
    pub const fn from_words(low: u32, high: u32) -> Option<Self> {
        match NonZeroU64::new((high as u64) << 32 | low as u64) {
            Some(nanoseconds) => Some(Self(nanoseconds)),
            None => None,
        }
    }

    /// The words that stand for this deadline, or for none: low, high. LANE-46.
    #[must_use]
    pub const fn words(deadline: Option<Self>) -> [u32; 2] {
        let nanoseconds = match deadline {
            Some(deadline) => deadline.nanoseconds(),
            None => 0,
        };
        // Both halves, cut off on purpose.
        [nanoseconds as u32, (nanoseconds >> 32) as u32]
    }
}

impl fmt::Debug for MonotonicTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MonotonicTime({} ns)", self.0)
    }
}

/// Index of the entry of a call. LANE-33.
#[must_use]
pub const fn deadline_index(call: u32) -> usize {
    // Below 32.
    (call % DEADLINE_PLACES) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LANE-46: every pair of words is a deadline, but for two zeros.
    #[test]
    fn words_and_moments_stand_for_each_other() {
        assert_eq!(MonotonicTime::words(None), [0, 0]);
        assert_eq!(MonotonicTime::from_words(0, 0), None);
        for (low, high) in
            [(1, 0), (0, 1), (7, 9), (u32::MAX, 0), (0, u32::MAX), (u32::MAX, u32::MAX)]
        {
            let time = MonotonicTime::from_words(low, high).unwrap();
            assert_eq!(time.nanoseconds(), u64::from(high) << 32 | u64::from(low));
            assert_eq!(MonotonicTime::words(Some(time)), [low, high]);
            assert_eq!(MonotonicTime::from_nanoseconds(time.nanoseconds()), time);
        }
        assert_eq!(MonotonicTime::from_nanoseconds(0).nanoseconds(), 1);
    }

    #[test]
    fn nothing_overflows() {
        let [first, last] = [0, u64::MAX].map(MonotonicTime::from_nanoseconds);
        assert_eq!(first.saturating_duration_since(last), Duration::ZERO);
        assert_eq!(last.saturating_duration_since(first), Duration::from_nanos(u64::MAX - 1));
        assert_eq!(last.checked_add(Duration::from_nanos(1)), None);
        assert_eq!(first.checked_add(Duration::MAX), None);
        let second = first.checked_add(Duration::from_secs(1)).unwrap();
        assert_eq!(second.nanoseconds(), 1_000_000_001);
        assert!(first < second && second < last);
    }

    #[test]
    fn thirty_two_calls_have_an_entry_each() {
        let mut seen = [false; DEADLINE_PLACES as usize];
        for call in 0xffff_ffe0..=u32::MAX {
            seen[deadline_index(call)] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
    }
}
