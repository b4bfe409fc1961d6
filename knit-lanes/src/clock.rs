//! The monotonic clock, and whether two processes have the same one.
//!
//! A time namespace gives its processes a `CLOCK_MONOTONIC` of another origin, and a number of one clock means nothing in
//! another. Two processes of one machine have the same clock when they are in the same time namespace. That is what is compared:
//! readings of both clocks would only tell origins apart that are far enough from each other.

use crate::Boot;
use knit_proto::{Features, LaneKind, MonotonicTime};
use rustix::time::{ClockId, clock_gettime};
use std::os::unix::fs::MetadataExt;

/// The clock of this process: the one that `Instant` reads.
pub(crate) fn now() -> MonotonicTime {
    let now = clock_gettime(ClockId::Monotonic);
    // Neither is negative; a clock that runs for 584 years stands still then.
    let (seconds, nanoseconds) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    let nanoseconds = seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds);
    MonotonicTime::from_nanoseconds(nanoseconds)
}

/// Inode of this process's time namespace; 0 when `/proc` does not tell.
pub(crate) fn time_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/time").map_or(0, |file| file.ino())
}

/// [`Features::DEADLINES`] for a worker whose clock is that of its host, for certain. LANE-48.
pub(crate) fn deadlines(boot: &Boot, kind: LaneKind) -> Features {
    let own = time_namespace();
    if kind == LaneKind::Thread || (own != 0 && own == boot.host_time_namespace) {
        Features::DEADLINES
    } else {
        Features::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    #[test]
    fn the_clock_goes_on() {
        let earlier = now();
        let later = now();
        assert!(earlier <= later);
        assert!(earlier.nanoseconds() > 1, "a machine that has just been switched on");
    }

    /// LANE-48: what is not known to be the same clock is another one.
    #[test]
    fn deadlines_need_the_clock_of_the_host() {
        let here = Boot::new(1, 0, &Limits::default(), 0, vec![]);
        assert_ne!(here.host_time_namespace, 0, "/proc tells");
        assert_eq!(deadlines(&here, LaneKind::Process), Features::DEADLINES);
        for other in [0, here.host_time_namespace + 1, u64::MAX] {
            let mut there = here.clone();
            there.host_time_namespace = other;
            assert_eq!(deadlines(&there, LaneKind::Process), Features::NONE, "{other}");
            assert_eq!(deadlines(&there, LaneKind::Thread), Features::DEADLINES, "{other}");
        }
    }
}
