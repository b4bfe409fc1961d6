//! Threads that begin together, on two processors.

use knit_cli::floor::{Cpus, Pinned};
use knit_ring::Relax;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Longest silence before a body says that something was lost.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Polls between two looks at the clock, and two offers of the processor to somebody else.
const POLLS_PER_LOOK: u32 = 1024;
/// The same for a thread that waits for the start: it may share its processor with the others.
const POLLS_PER_YIELD: u32 = 64;

/// What a thread does while it is measured, or beside the one that is.
pub type Part<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Runs `measured` on the first processor of `cpus` and `others`, each in a thread of its own, on the
/// second one, and returns how long `measured` took. All threads are there and pinned before.
///
/// # Panics
///
/// A thread cannot be pinned, or one of the parts panics.
pub fn timed(cpus: &Cpus, others: Vec<Part<'_>>, measured: impl FnOnce()) -> Duration {
    let (ready, open) = (AtomicU32::new(0), AtomicU32::new(0));
    let all = u32::try_from(others.len()).expect("a few threads");
    thread::scope(|scope| {
        for part in others {
            let (ready, open) = (&ready, &open);
            scope.spawn(move || {
                let _pinned = pin(cpus.pin_there());
                ready.fetch_add(1, Ordering::Release);
                wait_for(open, 1);
                part();
            });
        }
        let _pinned = pin(cpus.pin_here());
        wait_for(&ready, all);
        let start = Instant::now();
        open.store(1, Ordering::Release);
        measured();
        start.elapsed()
    })
}

/// The part of `time` that `messages` of `all` messages took.
#[must_use]
pub fn scaled(time: Duration, messages: u64, all: u64) -> Duration {
    time.mul_f64(messages as f64 / all.max(1) as f64)
}

fn pin(pinned: Result<Pinned, impl std::fmt::Display>) -> Pinned {
    pinned.unwrap_or_else(|error| panic!("{error}"))
}

fn wait_for(word: &AtomicU32, value: u32) {
    let mut polls = 0_u32;
    while word.load(Ordering::Acquire) != value {
        spin_loop();
        polls = polls.wrapping_add(1);
        if polls.is_multiple_of(POLLS_PER_YIELD) {
            thread::yield_now();
        }
    }
}

/// One wait: a moment after each poll that found nothing.
#[derive(Debug, Default)]
pub struct Wait {
    relax: Relax,
    /// Pause hints in a moment; zero for the moments of knit's own waits.
    pauses: u32,
    polls: u32,
    since: Option<Instant>,
}

impl Wait {
    /// A wait that begins now.
    #[inline]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A wait with so many pause hints in each moment; zero is [`Self::new`].
    #[inline]
    #[must_use]
    pub fn with_pauses(pauses: u32) -> Self {
        Self { pauses, ..Self::default() }
    }

    /// Waits a moment.
    ///
    /// # Panics
    ///
    /// The wait has lasted for [`PATIENCE`].
    #[inline]
    pub fn moment(&mut self) {
        if self.pauses == 0 {
            self.relax.moment();
        } else {
            (0..self.pauses).for_each(|_| spin_loop());
        }
        self.polls = self.polls.wrapping_add(1);
        if self.polls.is_multiple_of(POLLS_PER_LOOK) {
            self.look();
        }
    }

    #[cold]
    fn look(&mut self) {
        thread::yield_now();
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        assert!(waited < PATIENCE, "nothing came for {} s: lost?", PATIENCE.as_secs());
    }
}
