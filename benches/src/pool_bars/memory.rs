//! Memory that a lane holds when it has nothing to do.

use super::bare::Bare;
use crate::{Failure, work};
use knit_lanes::Pool;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

/// Name of the row.
pub const NAME: &str = "memory/idle_lane";

/// Most bytes of an idle lane beyond what its arenas have reserved.
pub const BAR: u64 = 128 << 10;

/// How many lanes are measured.
pub const LANES: u64 = 8;

/// What a pool reserves of the two arenas of a lane, so that small payloads never find memory short.
const RESERVED: u64 = 2 * (64 << 10);

/// Bytes of a block of `st_blocks`, see inode(7).
const BLOCK: u64 = 512;

/// What a program calls a segment in `/proc/PID/fd`.
const SEGMENT: &str = "/memfd:knit";

/// Time for everything to fall asleep: far more than anything spins.
const SETTLE: Duration = Duration::from_millis(200);

/// Bytes of one lane, means of [`LANES`] of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleLane {
    /// Pages of the segment that exist.
    pub segment: u64,
    /// Private pages of the host that exist because of the lane: threads, books, buffers.
    pub host: u64,
    /// Private pages of the worker that exist beside those of a process of the same program without a pool.
    pub worker: u64,
}

/// Measures lanes that have each answered a call and get no more. To be done before the process has had
/// other pools: what they have freed would be used again, and not be counted.
///
/// # Errors
///
/// A process does not start, or the kernel does not tell.
pub fn run() -> Result<IdleLane, Failure> {
    // What the first pool of a process makes once is there before.
    let (first, _) = idle_pool(1)?;
    let bare = Bare::start()?;
    let host_before = private("self")?;
    let segments_before = segments()?;
    let (pool, ids) = idle_pool(LANES as usize)?;
    let host = private("self")?.checked_sub(host_before);
    let host =
        host.ok_or("the host holds less than before: other pools have left memory behind")?;
    let segments = segments()?;
    let own = private(&bare.id().to_string())?;
    let mut workers = 0;
    for id in &ids {
        workers += private(&id.to_string())?.saturating_sub(own);
    }
    if pool.worker_ids() != ids {
        return Err("a worker has ended".into());
    }
    let (count, before) = (segments.len() as u64, segments_before.len() as u64);
    if count != before + LANES {
        return Err(format!("{count} segments, {before} before: not one more for each lane").into());
    }
    let sum = |all: &[u64]| all.iter().sum::<u64>();
    let segment = (sum(&segments) - sum(&segments_before)) / LANES;
    drop((first, pool));
    Ok(IdleLane { segment, host: host / LANES, worker: workers / LANES })
}

/// A pool whose lanes have all answered a call and sleep, and its workers.
fn idle_pool(lanes: usize) -> Result<(Pool, Vec<u32>), Failure> {
    let (pool, work) = work::start(Pool::builder().processes(lanes))?;
    let calls: Vec<_> = (0..lanes).map(|_| pool.call(work.sleep, 20.0)).collect();
    for call in calls {
        call.wait()?;
    }
    thread::sleep(SETTLE);
    let ids = pool.worker_ids();
    if ids.len() != lanes {
        return Err("a worker has ended".into());
    }
    Ok((pool, ids))
}

/// Bytes of anonymous memory of the process with this directory below `/proc`: its own, in no file.
fn private(id: &str) -> Result<u64, Failure> {
    let path = format!("/proc/{id}/smaps_rollup");
    let text = fs::read_to_string(&path)?;
    anonymous(&text).ok_or_else(|| format!("{path} says nothing of anonymous memory").into())
}

fn anonymous(smaps: &str) -> Option<u64> {
    let rest = smaps.lines().find_map(|line| line.strip_prefix("Anonymous:"))?;
    Some(rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

/// Bytes of the pages of each segment that this process has.
fn segments() -> Result<Vec<u64>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let path = entry?.path();
        // The descriptor of the listing itself is gone by now.
        let Ok(target) = fs::read_link(&path) else { continue };
        if target.to_string_lossy().starts_with(SEGMENT) {
            found.push(fs::metadata(&path)?.blocks() * BLOCK);
        }
    }
    Ok(found)
}

impl IdleLane {
    /// Bytes of the lane beyond what its arenas have reserved.
    #[must_use]
    pub fn beyond(self) -> u64 {
        self.segment.saturating_sub(RESERVED) + self.host + self.worker
    }

    /// Whether that is within the bar.
    #[must_use]
    pub fn passes(self) -> bool {
        self.beyond() <= BAR
    }
}

impl fmt::Display for IdleLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kib = |bytes: u64| format!("{:>8.1} KiB", bytes as f64 / 1024.0);
        writeln!(f, "{NAME}: means of {LANES} lanes that have answered a call")?;
        for (what, bytes) in [
            ("segment", self.segment),
            ("of which its arenas have reserved", RESERVED),
            ("private memory of the host", self.host),
            ("private memory of the worker, beside a bare process", self.worker),
        ] {
            writeln!(f, "    {what:<52}{}", kib(bytes))?;
        }
        let verdict = if self.passes() { "pass" } else { "FAIL" };
        let (beyond, bar) = (kib(self.beyond()), kib(BAR));
        write!(f, "    {verdict}: {} beyond the reserve; bar: {}", beyond.trim(), bar.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anonymous_memory_is_read_in_bytes() {
        let text =
            "55d0-7ff [rollup]\nRss:   2000 kB\nAnonymous:   136 kB\nAnonHugePages:   0 kB\n";
        assert_eq!(anonymous(text), Some(136 << 10));
        assert_eq!(anonymous("Rss: 1 kB\n"), None);
    }

    #[test]
    fn the_reserve_does_not_count() {
        let lane = IdleLane { segment: RESERVED + 4096, host: 100 << 10, worker: 24 << 10 };
        assert_eq!(lane.beyond(), 128 << 10);
        assert!(lane.passes());
        assert!(!IdleLane { host: lane.host + 1, ..lane }.passes());
    }
}
