//! What the tests with real processes share.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod channel;
pub mod forge;
pub mod futures;
pub mod gate;
pub mod process;
pub mod worker;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long anything may take before a test fails instead of hanging.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Runs `body` and fails when it is not over within [`DEADLINE`].
pub fn within_deadline<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    within(DEADLINE, body)
}

/// Runs `body` and fails when it is not over within `limit`.
pub fn within<T: Send + 'static>(limit: Duration, body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, outcome) = channel();
    let thread = std::thread::spawn(move || {
        let value = body();
        let _ = done.send(value);
    });
    match outcome.recv_timeout(limit) {
        Ok(value) => value,
        Err(RecvTimeoutError::Timeout) => panic!("hangs: not over after {limit:?}"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("the value is sent before the thread ends"),
        },
    }
}

/// Looks at `condition` until it holds, and fails when it does not within [`DEADLINE`].
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        std::thread::yield_now();
    }
}

/// A path in the build's directory for test files that nobody else uses.
pub fn fresh_path(name: &str) -> String {
    fresh_path_in(env!("CARGO_TARGET_TMPDIR"), name)
}

/// A path for sockets that nobody else uses: it has to be short, wherever the project was cloned to.
pub fn fresh_short_path(name: &str) -> String {
    fresh_path_in(&std::env::temp_dir().to_string_lossy(), &format!("knit-test-{name}"))
}

fn fresh_path_in(directory: &str, name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{directory}/{name}-{}-{number}", std::process::id())
}

/// Bytes that only this seed gives.
pub fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..len).map(|_| random.next().to_le_bytes()[0]).collect()
}

/// Numbers without a pattern, the same for the same seed (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }
}
