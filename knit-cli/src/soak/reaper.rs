//! Kills workers, one at a time.

use super::noise::Random;
use knit_lanes::Pool;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Time between two looks at whether it is time to end.
const LOOK: Duration = Duration::from_millis(20);

/// Kills a worker of the pool now and then, until it is time to stop. Gives how many.
pub fn run(pool: &Pool, stop: &AtomicU32, every: Duration, seed: u64) -> u64 {
    let mut random = Random::new(!seed);
    let mut kills = 0;
    loop {
        // From a half of the time to one and a half.
        let spread = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX).max(1);
        let mut left = every / 2 + Duration::from_nanos(random.below(spread));
        while !left.is_zero() {
            if stop.load(Ordering::Relaxed) != 0 {
                return kills;
            }
            let part = left.min(LOOK);
            std::thread::sleep(part);
            left -= part;
        }
        let workers = pool.worker_ids();
        if !workers.is_empty() {
            let chosen = workers[random.below(workers.len() as u64) as usize];
            kills += u64::from(kill(chosen));
        }
    }
}

/// Kills a child of this process; nothing else, whoever has the id by now.
fn kill(worker: u32) -> bool {
    let Some(pid) = i32::try_from(worker).ok().and_then(Pid::from_raw) else { return false };
    // From here on the id cannot pass to another process unnoticed.
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    let status = fs::read_to_string(format!("/proc/{worker}/status")).unwrap_or_default();
    let parent = format!("PPid:\t{}\n", std::process::id());
    status.contains(&parent) && pidfd_send_signal(handle, Signal::KILL).is_ok()
}
