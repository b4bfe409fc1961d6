//! How long to spin before sleeping.

use core::fmt;
use core::time::Duration;

/// A clock for [`SpinBudget`].
pub trait Clock {
    /// Time since some moment that stays the same. Never less than before.
    fn now(&self) -> Duration;
}

/// The time that a function returns, for tests and for systems without `std`.
impl<F: Fn() -> Duration> Clock for F {
    fn now(&self) -> Duration {
        self()
    }
}

/// The clock of the system that never goes back.
#[cfg(feature = "mapped")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[cfg(feature = "mapped")]
impl Clock for SystemClock {
    fn now(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
    }
}

/// Polls between two looks at the clock: reading it costs as much as a poll.
const POLLS_PER_LOOK: u32 = 64;

/// Says when to stop spinning and go to sleep, by how long waits have lasted.
///
/// Between *min* and *max*, by these rules. *Typical* is a running mean of the waits that ended while
/// spinning.
///
/// | a wait ended | typical | budget |
/// | --- | --- | --- |
/// | while spinning, after *t* | an eighth of the way towards *t* | at least 2 *t*, at most *max* |
/// | in a sleep, after 2 *max* or less in all | stays | *max* |
/// | in a sleep, after more | an eighth less | half, not below *min* and not below 2 x *typical* |
///
/// It begins with *max*. So whoever is busy keeps the whole budget, which costs nothing where waits
/// end early; whoever wakes up now and then spins for *min* each time; and whoever has short waits in
/// bursts, between long ones, spins for about twice the short ones. A sleep of up to 2 *max* counts as
/// too short, because its length holds the time that waking takes.
///
/// The clock is read every 64 polls, and once at the end of a sleep: a wait that ends within 64 polls
/// reads no clock and counts as one of no length. Everything is private to the thread that waits.
///
/// ```
/// # #[cfg(feature = "mapped")] {
/// use core::time::Duration;
/// use knit_ring::{Relax, SpinBudget};
///
/// let mut polls = 0;
/// let mut look = || { polls += 1; polls == 100 };
///
/// let mut budget = SpinBudget::new(Duration::from_micros(5), Duration::from_millis(50));
/// let mut relax = Relax::new();
/// loop {
///     if look() {
///         budget.found();
///         break;
///     }
///     if budget.is_over() {
///         // Sleep on a doorbell here.
///         budget.slept();
///         break;
///     }
///     relax.moment();
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct SpinBudget<C> {
    clock: C,
    /// In nanoseconds, as all of these.
    min: u64,
    max: u64,
    budget: u64,
    typical: u64,
    /// What this wait may last beyond the budget.
    allowed: u64,
    /// Polls of this wait.
    polls: u32,
    /// The first look at the clock in this wait.
    since: Option<u64>,
}

#[cfg(feature = "mapped")]
impl SpinBudget<SystemClock> {
    /// A budget between `min` and `max`, by the system's clock. A `min` above `max` counts as `max`.
    #[must_use]
    pub fn new(min: Duration, max: Duration) -> Self {
        Self::with_clock(min, max, SystemClock)
    }
}

impl<C: Clock> SpinBudget<C> {
    /// A budget between `min` and `max`, by `clock`. A `min` above `max` counts as `max`.
    #[must_use]
    pub fn with_clock(min: Duration, max: Duration, clock: C) -> Self {
        let max = nanos(max);
        let min = nanos(min).min(max);
        Self { clock, min, max, budget: max, typical: 0, allowed: 0, polls: 0, since: None }
    }

    /// Lets the next wait spin for `longer` beyond the budget: it is known that the other side has so much to do, such as
    /// copying a large payload. Says nothing where the budget is never more than zero.
    #[inline]
    pub fn allow(&mut self, longer: Duration) {
        if self.max != 0 {
            self.allowed = nanos(longer);
        }
    }

    /// Counts a poll that found nothing. True once this wait has spun for the budget: go to sleep, and
    /// say [`Self::slept`] afterwards.
    #[inline]
    pub fn is_over(&mut self) -> bool {
        self.polls = self.polls.wrapping_add(1);
        if !self.polls.is_multiple_of(POLLS_PER_LOOK) && self.budget != 0 {
            return false;
        }
        self.look() >= self.budget.saturating_add(self.allowed)
    }

    /// The wait has ended while spinning. To be called for every wait, of no polls too.
    #[inline]
    pub fn found(&mut self) {
        if self.since.is_some() {
            self.found_late();
        } else {
            self.typical -= self.typical.div_ceil(8);
        }
        self.polls = 0;
        self.allowed = 0;
    }

    /// The wait has ended in a sleep, for whatever reason.
    #[cold]
    pub fn slept(&mut self) {
        let time = self.look().saturating_sub(self.allowed);
        self.polls = 0;
        self.allowed = 0;
        self.since = None;
        if time <= self.max.saturating_mul(2) {
            self.budget = self.max;
        } else {
            self.typical -= self.typical.div_ceil(8);
            self.budget = (self.budget / 2).max(self.typical * 2).clamp(self.min, self.max);
        }
    }

    /// How long the next wait spins.
    #[must_use]
    pub fn budget(&self) -> Duration {
        Duration::from_nanos(self.budget)
    }

    #[cold]
    fn found_late(&mut self) {
        let time = self.look().saturating_sub(self.allowed).min(self.max);
        self.since = None;
        self.typical = if time > self.typical {
            self.typical + (time - self.typical) / 8
        } else {
            self.typical - (self.typical - time).div_ceil(8)
        };
        self.budget = self.budget.max((time * 2).min(self.max));
    }

    /// Time since the first look of this wait.
    #[inline(never)]
    fn look(&mut self) -> u64 {
        let now = nanos(self.clock.now());
        now.saturating_sub(*self.since.get_or_insert(now))
    }
}

impl<C> fmt::Debug for SpinBudget<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpinBudget")
            .field("budget", &Duration::from_nanos(self.budget))
            .field("typical", &Duration::from_nanos(self.typical))
            .finish_non_exhaustive()
    }
}

/// Nanoseconds, at most a quarter of what 64 bits hold: sums of a few do not overflow.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::rc::Rc;
    use alloc::vec::Vec;
    use core::cell::Cell;

    const MIN: u64 = 5;
    const MAX: u64 = 40;

    /// A budget of 5 to 40 us on a clock that the test turns, and counts the looks at.
    struct Bench {
        now: Rc<Cell<u64>>,
        looks: Rc<Cell<u32>>,
    }

    fn bench(min: u64) -> (Bench, SpinBudget<impl Clock>) {
        let bench = Bench { now: Rc::default(), looks: Rc::default() };
        let (now, looks) = (Rc::clone(&bench.now), Rc::clone(&bench.looks));
        let clock = move || {
            looks.set(looks.get() + 1);
            us(now.get())
        };
        (bench, SpinBudget::with_clock(us(min), us(MAX), clock))
    }

    fn us(time: u64) -> Duration {
        Duration::from_micros(time)
    }

    #[test]
    fn a_wait_that_is_allowed_more_spins_longer_once() {
        let (bench, mut spin) = bench(MIN);
        let spun = |spin: &mut SpinBudget<_>| {
            let mut spun = 0;
            while !(0..POLLS_PER_LOOK).any(|_| spin.is_over()) {
                spun += 1;
                bench.now.set(bench.now.get() + 1);
            }
            spin.slept();
            spun
        };
        spin.allow(us(100));
        assert_eq!(spun(&mut spin), MAX + 100);
        assert_eq!(spin.budget(), us(MAX), "what was allowed does not count as too long");
        assert_eq!(spun(&mut spin), MAX);
        let (_, mut never) = self::bench(0);
        never.max = 0;
        never.budget = 0;
        never.allow(us(100));
        assert!(never.is_over());
    }

    impl Bench {
        /// A wait of `time` microseconds of which 64 polls take one, and what it does to the budget.
        fn wait(&self, spin: &mut SpinBudget<impl Clock>, time: u64) -> u64 {
            let mut spun = 0;
            loop {
                if spun == time {
                    spin.found();
                    break;
                }
                if (0..POLLS_PER_LOOK).any(|_| spin.is_over()) {
                    self.now.set(self.now.get() + (time - spun));
                    spin.slept();
                    break;
                }
                spun += 1;
                self.now.set(self.now.get() + 1);
            }
            u64::try_from(spin.budget().as_micros()).unwrap()
        }
    }

    #[test]
    fn waits_that_end_early_keep_the_whole_budget_and_read_no_clock() {
        let (bench, mut spin) = bench(MIN);
        for _ in 0..1000 {
            assert!((1..POLLS_PER_LOOK).all(|_| !spin.is_over()));
            spin.found();
        }
        assert_eq!((spin.budget(), bench.looks.get()), (us(MAX), 0));
    }

    #[test]
    fn a_wait_spins_for_the_budget_and_not_longer() {
        let (bench, mut spin) = bench(MIN);
        let mut polls = 0;
        while !spin.is_over() {
            polls += 1;
            if polls % POLLS_PER_LOOK == 0 {
                bench.now.set(bench.now.get() + 1);
            }
        }
        assert_eq!(bench.now.get(), MAX);
        assert_eq!(u64::from(bench.looks.get()), MAX + 1);
    }

    #[test]
    fn long_sleeps_shrink_the_budget_to_its_minimum() {
        let (bench, mut spin) = bench(MIN);
        let budgets: Vec<_> = (0..5).map(|_| bench.wait(&mut spin, 1000)).collect();
        assert_eq!(budgets, [20, 10, 5, 5, 5]);
    }

    #[test]
    fn a_sleep_that_was_too_short_gives_the_whole_budget_back() {
        for min in [MIN, 0] {
            let (bench, mut spin) = bench(min);
            for _ in 0..40 {
                bench.wait(&mut spin, 1000);
            }
            assert_eq!(spin.budget(), us(min));
            assert_eq!(bench.wait(&mut spin, 2 * MAX + 1), min, "this one was long");
            assert_eq!(bench.wait(&mut spin, 2 * MAX - min), MAX);
        }
    }

    #[test]
    fn a_wait_that_ends_late_in_the_spin_doubles_its_time() {
        let (bench, mut spin) = bench(MIN);
        for _ in 0..2 {
            bench.wait(&mut spin, 1000);
        }
        assert_eq!(spin.budget(), us(10));
        assert_eq!(bench.wait(&mut spin, 8), 16);
        assert_eq!(bench.wait(&mut spin, 3), 16, "a shorter one takes nothing away");
    }

    #[test]
    fn short_waits_between_long_ones_keep_twice_their_time() {
        let (bench, mut spin) = bench(0);
        for _ in 0..100 {
            for _ in 0..20 {
                bench.wait(&mut spin, 9);
            }
            bench.wait(&mut spin, 1000);
        }
        let budget = spin.budget();
        assert!(us(12) <= budget && budget <= us(18), "{budget:?}");
        for _ in 0..60 {
            bench.wait(&mut spin, 1000);
        }
        assert_eq!(spin.budget(), Duration::ZERO, "the bursts are over");
    }

    #[test]
    fn no_budget_at_all_never_spins() {
        let (bench, _) = bench(0);
        let now = Rc::clone(&bench.now);
        let mut spin = SpinBudget::with_clock(us(3), us(0), move || us(now.get()));
        for time in [1, 1000, 0] {
            assert!(spin.is_over());
            bench.now.set(bench.now.get() + time);
            spin.slept();
            assert_eq!(spin.budget(), us(0));
        }
    }

    #[test]
    fn lengths_that_no_clock_shows_do_no_harm() {
        let mut spin = SpinBudget::with_clock(Duration::MAX, Duration::MAX, || Duration::MAX);
        assert!((0..1000).all(|_| !spin.is_over()));
        spin.found();
        spin.slept();
        assert!(!spin.is_over());
    }
}
