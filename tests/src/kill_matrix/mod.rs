//! The kill matrix: hosts and workers die in every way and at every step of a call, under load, and what the
//! pool says of each call is held against what the tasks themselves wrote down.
//!
//! `knit-kill-matrix` is the program; it is its own host and its own worker. Four kinds of rounds:
//!
//! - *outside*: the workers of the crate, ended by signals at random times ([`round`]);
//! - *inside*: a worker over [intercepted](crate::Intercepted) memory that ends itself instead of its n-th store
//!   ([`worker`]);
//! - *host*: a host in a process of its own, which is ended with all its calls under way ([`host`]);
//! - *steps*: a host over intercepted memory that ends itself instead of its n-th store ([`steps`]).
//!
//! After each round nothing may be left ([`leaks`]).

pub mod host;
pub mod leaks;
pub mod ledger;
pub mod load;
pub mod report;
pub mod round;
pub mod steps;
pub mod stopped;
pub mod worker;

use std::path::PathBuf;
use std::time::Duration;

/// How long anything may take before the run fails instead of hanging.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// What a run is asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many processes are ended, at least.
    pub kills: u32,
    /// Everything random follows from it, except what the scheduler does.
    pub seed: u64,
    /// Directory for the ledgers.
    pub directory: PathBuf,
    /// Instead of a number of kills: a host ends itself at each of its stores, in each way.
    pub every_host_store: bool,
    /// Instead of kills: processes are stopped for so many seconds, and go on.
    pub stop: Option<u64>,
}

/// How a process is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGKILL some time later.
    Stop,
    /// SIGABRT; from inside `abort`.
    Abort,
    /// SIGTERM, which ends a process that has no handler.
    Terminate,
    /// From inside: `exit`, with its handlers.
    Exit,
}

impl Way {
    /// From outside.
    pub const OUTSIDE: [Self; 4] = [Self::Kill, Self::Stop, Self::Abort, Self::Terminate];
    /// By the process itself.
    pub const INSIDE: [Self; 3] = [Self::Kill, Self::Abort, Self::Exit];
}

/// Numbers without a pattern, the same for the same seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "there is no end to iterate to")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u32) -> u32 {
        // Below a `u32`.
        (self.next() % u64::from(end)) as u32
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u32) as usize]
    }
}
