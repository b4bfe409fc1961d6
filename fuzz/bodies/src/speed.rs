//! How many inputs of a target run in a second: what a campaign of so many executions takes.

use crate::{Target, change, corpus};
use core::time::Duration;
use knit_tests::Noise;
use rustix::time::{ClockId, clock_gettime};
use std::io;

/// Inputs between two looks at the clock.
const BETWEEN_LOOKS: u32 = 64;

/// Inputs for each second of processor time, over the kept ones and changes of them. A fuzzer's sanitizer and
/// its counters of edges come on top, and its inputs are longer.
///
/// # Errors
///
/// The corpus cannot be read.
pub fn speed(target: &Target, time: Duration) -> io::Result<f64> {
    let kept = corpus::kept(target)?;
    let mut noise = Noise::new(1);
    let start = now();
    let mut runs = 0_u32;
    loop {
        for _ in 0..BETWEEN_LOOKS {
            let mut any = || &kept[noise.below(kept.len() as u32) as usize];
            let (first, second) = (any(), any());
            (target.body)(&change(&mut noise, &first.bytes, &second.bytes));
            runs += 1;
        }
        let spent = now().saturating_sub(start);
        if spent >= time {
            return Ok(f64::from(runs) / spent.as_secs_f64());
        }
    }
}

/// What this process has had of its processors.
fn now() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // Neither is negative.
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
