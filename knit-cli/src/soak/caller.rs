//! A thread that calls: bursts of calls of one kind, each outcome held against what it has to be.

use super::ledger::{CELLS, Id, Ledger};
use super::noise::{Random, hash};
use super::outcome::{self, Ran};
use super::tally::{Kind, Tally, Verdict};
use super::tasks::{Handles, answer, failure, panics, reply, request, rewritten, short};
use super::values;
use knit_lanes::{Call, CallError, Decode, Pool, SharedBuffer, TaskFailure, Value};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Longest payload of most calls, and of one burst in [`ONE_OF`].
const MOST_BYTES: usize = 1 << 20;
const HUGE_BYTES: usize = 4 << 20;
const ONE_OF: u64 = 256;
/// Faults that are told one by one.
const MOST_NOTES: usize = 10;

/// What all callers share.
#[derive(Debug)]
pub struct Shared {
    pub pool: Pool,
    pub handles: Handles,
    pub ledger: Ledger,
    /// Whether workers are killed: then calls may fail for that.
    pub kills: bool,
    /// Calls that are over.
    pub calls: AtomicU64,
    /// Time to end: 1.
    pub stop: AtomicU32,
    /// The first faults, in words.
    pub notes: Mutex<Vec<String>>,
}

/// One of them.
#[derive(Debug)]
pub struct Caller<'s> {
    shared: &'s Shared,
    caller: u32,
    random: Random,
    /// Waits for its calls as futures.
    futures: bool,
    patience: Duration,
    tally: Tally,
    /// Calls that it has made whose runs are counted.
    counted: u64,
    /// What is known of the last [`CELLS`] of them.
    book: Vec<Ran>,
}

/// A call under way.
struct One<Out, E> {
    id: Option<Id>,
    expected: E,
    call: Call<Out>,
}

impl<'s> Caller<'s> {
    /// The caller of this number; every second one waits by futures.
    pub fn new(shared: &'s Shared, caller: u32, seed: u64, patience: Duration) -> Self {
        Self {
            shared,
            caller,
            random: Random::new(seed ^ u64::from(caller) << 56),
            futures: caller % 2 == 1,
            patience,
            tally: Tally::default(),
            counted: 0,
            book: vec![Ran::No; CELLS as usize],
        }
    }

    /// Calls until it is time to end.
    pub fn run(mut self) -> Ended {
        while self.shared.stop.load(Ordering::Relaxed) == 0 {
            match self.random.below(100) {
                0..84 => self.numbers(),
                84..91 => self.bytes(),
                91..95 => self.values(),
                95..96 => self.buffers(),
                96..97 => self.failures(),
                97..98 => self.aborted(),
                _ => self.timed(),
            }
        }
        Ended { caller: self.caller, tally: self.tally, counted: self.counted, book: self.book }
    }

    fn numbers(&mut self) {
        let calls = self.some(32, 1024);
        let task = self.shared.handles.number;
        let calls =
            self.make(calls, |pool, id, _| (answer(id.pack()), pool.call(task, id.pack() as f64)));
        self.settle(Kind::Number, calls, |expected, found| expected == found);
    }

    fn bytes(&mut self) {
        let most = if self.random.below(ONE_OF) == 0 { HUGE_BYTES } else { MOST_BYTES };
        // All of one size, or each of its own: blocks are reused in other ways.
        let same = (self.random.below(2) == 0).then(|| self.random.len(most));
        // Not more than a few arenas of them.
        let calls = self.some(1, if same.is_some_and(|len| len > 64 << 10) { 24 } else { 200 });
        let task = self.shared.handles.bytes;
        let calls = self.make(calls, |pool, id, random| {
            let len = same.unwrap_or_else(|| random.len(most)).max(8);
            let sent = request(id.pack(), len);
            let expected = hash(&reply(hash(&sent), sent.len()));
            (expected, pool.call(task, sent))
        });
        self.settle(Kind::Bytes, calls, |expected, found| *expected == hash(found));
    }

    fn values(&mut self) {
        let calls = self.some(1, 64);
        let task = self.shared.handles.value;
        let calls: Vec<_> = (0..calls)
            .map(|_| {
                let expected = values::any(&mut self.random);
                let call = self.shared.pool.call(task, expected.clone());
                One { id: None, expected, call }
            })
            .collect();
        self.settle(Kind::Value, calls, |expected: &Value, found| expected == found);
    }

    fn buffers(&mut self) {
        let calls = self.some(1, 16);
        let task = self.shared.handles.buffer;
        let calls = self.make(calls, |pool, id, random| {
            let sent = request(id.pack(), random.len(64 << 10).max(8));
            let buffer = SharedBuffer::new(sent.len() as u32).expect("64 KiB are there");
            buffer.write(0, &sent).expect("it has that length");
            ((hash(&sent), buffer.clone()), pool.call(task, buffer))
        });
        self.settle(Kind::Buffer, calls, |(hash, buffer), found| {
            let left = buffer.to_vec();
            *found == short(*hash) && left == rewritten(*hash, left.len())
        });
    }

    fn failures(&mut self) {
        let calls = self.some(1, 64);
        let task = self.shared.handles.fail;
        let calls = self.make(calls, |pool, id, _| (id.pack(), pool.call(task, id.pack() as f64)));
        let right = |expected: &u64, outcome: &Result<f64, CallError>| {
            let wanted = match panics(*expected) {
                true => TaskFailure::Panicked,
                false => TaskFailure::Returned,
            };
            matches!(outcome, Err(CallError::Task(error))
                if error.failure == wanted && error.error.message() == failure(*expected))
        };
        self.settle_outcomes(Kind::Failure, calls, right);
    }

    fn aborted(&mut self) {
        let calls = self.some(1, 48);
        let task = self.shared.handles.linger;
        let calls = self.make(calls, |pool, id, random| {
            let call = pool.call(task, id.pack() as f64);
            if random.below(2) == 0 {
                call.abort();
            }
            (answer(id.pack()), call)
        });
        // The others of them, when some of the first have run.
        for one in calls.iter().filter(|one| one.id.is_some_and(|id| id.number % 4 == 0)) {
            one.call.abort();
        }
        self.settle(Kind::Aborted, calls, |expected, found| expected == found);
    }

    fn timed(&mut self) {
        let calls = self.some(1, 256);
        let timeout = Duration::from_nanos(self.random.below(400_000));
        let task = self.shared.handles.number.with_timeout(timeout);
        let calls =
            self.make(calls, |pool, id, _| (answer(id.pack()), pool.call(task, id.pack() as f64)));
        self.settle(Kind::Timed, calls, |expected, found| expected == found);
    }

    fn some(&mut self, least: u64, most: u64) -> u64 {
        least + self.random.below(most - least + 1)
    }

    /// Makes so many calls whose runs are counted.
    fn make<Out, E>(
        &mut self,
        calls: u64,
        mut one: impl FnMut(&Pool, Id, &mut Random) -> (E, Call<Out>),
    ) -> Vec<One<Out, E>> {
        let ids = self.counted..self.counted + calls;
        self.counted += calls;
        ids.map(|number| {
            let id = Id { caller: self.caller, number };
            let (expected, call) = one(&self.shared.pool, id, &mut self.random);
            One { id: Some(id), expected, call }
        })
        .collect()
    }

    /// Waits for calls that return values.
    fn settle<Out: Decode, E>(
        &mut self,
        kind: Kind,
        calls: Vec<One<Out, E>>,
        right: fn(&E, &Out) -> bool,
    ) {
        self.settle_outcomes(kind, calls, |expected, outcome| {
            outcome.as_ref().is_ok_and(|value| right(expected, value))
        });
    }

    fn settle_outcomes<Out: Decode, E>(
        &mut self,
        kind: Kind,
        calls: Vec<One<Out, E>>,
        right: impl Fn(&E, &Result<Out, CallError>) -> bool,
    ) {
        let made = calls.len() as u64;
        self.tally.make(kind, made);
        for One { id, expected, call } in calls {
            let outcome = outcome::of(call, self.futures, self.patience);
            let is_right = outcome.as_ref().is_some_and(|outcome| right(&expected, outcome));
            let error = outcome.as_ref().and_then(|outcome| outcome.as_ref().err());
            let (verdict, ran) = outcome::judge(
                kind,
                outcome.as_ref().map(|outcome| outcome.as_ref().err()),
                is_right,
                self.shared.kills,
            );
            let verdict = match id {
                Some(id) => self.check_runs(id, verdict, ran),
                None => verdict,
            };
            if verdict == Verdict::Lost {
                // One is enough to wait for.
                self.patience = Duration::from_millis(100);
            }
            if verdict.is_fault() {
                self.note(format!("{kind:?} {id:?}: {verdict:?}, {error:?}"));
            }
            self.tally.judge(kind, verdict);
        }
        self.shared.calls.fetch_add(made, Ordering::Relaxed);
    }

    /// Holds what the outcome says of a run against the ledger.
    fn check_runs(&mut self, id: Id, verdict: Verdict, ran: Ran) -> Verdict {
        self.book[(id.number % u64::from(CELLS)) as usize] = ran;
        let runs = self.shared.ledger.runs(id);
        if verdict.is_fault() { verdict } else { ran.against(runs).unwrap_or(verdict) }
    }

    fn note(&self, text: String) {
        let mut notes = self.shared.notes.lock().unwrap_or_else(|poison| poison.into_inner());
        if notes.len() < MOST_NOTES {
            notes.push(text);
        }
    }
}

/// What a caller leaves.
#[derive(Debug)]
pub struct Ended {
    caller: u32,
    /// Its counts.
    pub tally: Tally,
    counted: u64,
    book: Vec<Ran>,
}

impl Ended {
    /// Looks once more at its last calls, when no worker is left that could run them: how many have run
    /// otherwise than was reported, after that was checked.
    pub fn late_faults(&self, ledger: &Ledger) -> u64 {
        let first = self.counted.saturating_sub(u64::from(CELLS));
        let wrong = (first..self.counted).filter(|number| {
            let id = Id { caller: self.caller, number: *number };
            let ran = self.book[(number % u64::from(CELLS)) as usize];
            ran.against(ledger.runs(id)).is_some()
        });
        wrong.count() as u64
    }
}
