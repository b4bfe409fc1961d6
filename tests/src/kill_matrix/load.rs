//! Random calls, and what became of each.

use super::Random;
use super::ledger::{Event, Ledger};
use knit_lanes::{Builder, Call, CallError, Pool, Task, Tasks};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// The task that all calls are of: number of the call, time that it takes in microseconds, and any bytes; returns the
/// number, the id of its process, and the bytes.
pub const MARK: &str = "mark";
/// Bytes of the two numbers.
pub const NUMBERS: usize = 8;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its answer came, from this process.
    Finished(u32),
    /// Its task did not run.
    NotRun,
    /// Its task may have run.
    MayHaveRun,
}

impl Outcome {
    /// How the ledger of a host calls it.
    #[must_use]
    pub fn event(self) -> Event {
        match self {
            Self::Finished(_) => Event::Finished,
            Self::NotRun => Event::NotRun,
            Self::MayHaveRun => Event::MayHaveRun,
        }
    }
}

/// A builder of pools whose workers are this program.
///
/// # Panics
///
/// The path of this program is not known.
pub fn builder(ledger: &Path, role: &str, seed: u64) -> Builder {
    let program = std::env::current_exe().expect("Linux");
    let ledger = ledger.display().to_string();
    Pool::builder().command(program, [role.to_owned(), ledger, seed.to_string()]).processes(2)
}

/// The table of a host, and the one task in it.
#[must_use]
pub fn tasks() -> (Tasks, Mark) {
    let mut tasks = Tasks::new();
    let mark = tasks.declare(MARK);
    (tasks, mark)
}

/// A handle of [`MARK`].
pub type Mark = Task<Vec<u8>, Vec<u8>>;

/// What makes calls until it is told to stop.
pub struct Load<'a> {
    /// Where to.
    pub pool: &'a Pool,
    /// What.
    pub mark: Mark,
    /// Whether batches and payloads stay small: workers that end themselves after some stores finish no others.
    pub small: bool,
    /// Number of the next call.
    pub next: &'a AtomicU32,
    /// Not 0: make no more calls.
    pub over: &'a AtomicU32,
    /// Notes that a call is about to be made.
    pub made: &'a (dyn Fn(u32) + Sync),
    /// Is told what became of each call, and when; or what no call may end with.
    pub ended: &'a (dyn Fn(u32, Result<Outcome, String>, Instant) + Sync),
}

impl fmt::Debug for Load<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Load<'_> {
    /// Makes calls in batches, and waits for all of one before the next.
    pub fn run(&self, seed: u64) {
        let mut random = Random::new(seed);
        while self.over.load(Ordering::Relaxed) == 0 {
            // Some fill the lanes and the queue.
            let size = random.pick(if self.small { &[1, 2, 7][..] } else { &[1, 1, 2, 7, 20, 80] });
            let batch: Vec<_> = (0..size).map(|_| self.make(&mut random)).collect();
            for (number, argument, call) in batch {
                let outcome = outcome(number, &argument, call.wait());
                (self.ended)(number, outcome, Instant::now());
            }
        }
    }

    fn make(&self, random: &mut Random) -> (u32, Vec<u8>, Call<Vec<u8>>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let work: u32 = random.pick(&[0, 0, 0, 5, 50, 300]);
        let mut argument = [number.to_le_bytes(), work.to_le_bytes()].concat();
        let lens = [0, 4, 60, 500, 504, 505, 3000, 70_000];
        let len = random.pick(if self.small { &lens[..6] } else { &lens });
        argument.resize(NUMBERS + len, number as u8);
        (self.made)(number);
        let mark = if random.below(2) == 0 { self.mark } else { self.mark.without_retry() };
        (number, argument.clone(), self.pool.call(mark, argument))
    }
}

fn outcome(
    number: u32,
    argument: &[u8],
    result: Result<Vec<u8>, CallError>,
) -> Result<Outcome, String> {
    match result {
        Ok(answer) => {
            let [call, process] = numbers(&answer)?;
            if call != number || answer[NUMBERS..] != argument[NUMBERS..] {
                return Err(format!("call {number} has the answer of call {call}"));
            }
            Ok(Outcome::Finished(process))
        }
        Err(CallError::WorkerDied { may_have_run: true, .. }) => Ok(Outcome::MayHaveRun),
        Err(CallError::WorkerDied { may_have_run: false, .. }) => Ok(Outcome::NotRun),
        Err(error) => Err(format!("call {number}: {error}")),
    }
}

/// The two numbers that a payload begins with.
///
/// # Errors
///
/// It is shorter.
pub fn numbers(payload: &[u8]) -> Result<[u32; 2], String> {
    let Some((head, _)) = payload.split_first_chunk::<NUMBERS>() else {
        return Err(format!("a payload of {} bytes", payload.len()));
    };
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    Ok([word(0), word(4)])
}

/// Does what a task does: takes its time between two entries of the ledger. Returns the answer.
///
/// # Panics
///
/// The argument does not begin with two numbers.
#[must_use]
pub fn mark(ledger: &Ledger, mut payload: Vec<u8>) -> Vec<u8> {
    let [call, work] = numbers(&payload).expect("made by `Load`");
    ledger.note(call, Event::Began);
    let since = Instant::now();
    while since.elapsed().as_micros() < work.into() {
        std::hint::spin_loop();
    }
    payload[4..NUMBERS].copy_from_slice(&std::process::id().to_le_bytes());
    ledger.note(call, Event::Over);
    payload
}
