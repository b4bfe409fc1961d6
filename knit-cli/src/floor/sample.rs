//! What a measurement gives.

use super::Plan;
use std::time::{Duration, Instant};

/// Length of a stretch between two readings of the clock that makes the reading (about 25 ns) less
/// than half a percent of it.
const SHORTEST_STRETCH: Duration = Duration::from_micros(6);
/// Most rounds of an automatic stretch.
const LONGEST_STRETCH: u32 = 256;

/// Times of round trips, in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Mean of each repetition, ascending. Never empty.
    repetitions: Vec<f64>,
    /// Mean of each stretch, ascending. Never empty.
    stretches: Vec<f64>,
    rounds_per_stretch: u32,
    rounds: u64,
}

impl Sample {
    /// Calls `round_trips(n)`, which makes `n` round trips, as often as `plan` says, and times it.
    ///
    /// Before that it warms up, and estimates how many rounds fit the budget.
    ///
    /// # Errors
    ///
    /// The first error of `round_trips`.
    pub fn collect<E>(
        plan: &Plan,
        mut round_trips: impl FnMut(u32) -> Result<(), E>,
    ) -> Result<Self, E> {
        let repetitions = plan.repetitions.max(1);
        let estimate = warm_up(plan, &mut round_trips)?;
        let stretch = match plan.stretch {
            Some(rounds) => rounds.max(1),
            None => fit(SHORTEST_STRETCH, estimate).clamp(1, LONGEST_STRETCH),
        };
        let affordable = fit(plan.budget.mul_f64(0.85) / repetitions, estimate);
        let stretches = plan.rounds.min(affordable).div_ceil(stretch).max(1);
        let mut sample = Self {
            repetitions: Vec::with_capacity(repetitions as usize),
            stretches: Vec::with_capacity((repetitions * stretches) as usize),
            rounds_per_stretch: stretch,
            rounds: 0,
        };
        let end = Instant::now() + plan.budget;
        for _ in 0..repetitions {
            let start = Instant::now();
            let (mut from, mut done) = (start, 0);
            // The machine may have become slower since the warm-up.
            while done < stretches && (done == 0 || from < end) {
                round_trips(stretch)?;
                let now = Instant::now();
                sample.stretches.push(nanoseconds(now - from, stretch.into()));
                from = now;
                done += 1;
            }
            let rounds = u64::from(done) * u64::from(stretch);
            sample.repetitions.push(nanoseconds(from - start, rounds));
            sample.rounds += rounds;
        }
        sample.repetitions.sort_by(f64::total_cmp);
        sample.stretches.sort_by(f64::total_cmp);
        Ok(sample)
    }

    /// Median of the repetitions, each the mean of its round trips.
    #[must_use]
    pub fn median(&self) -> f64 {
        let (low, high) = ((self.repetitions.len() - 1) / 2, self.repetitions.len() / 2);
        (self.repetitions[low] + self.repetitions[high]) / 2.0
    }

    /// The mean of each repetition, ascending.
    #[must_use]
    pub fn repetitions(&self) -> &[f64] {
        &self.repetitions
    }

    /// The value that `percent` of the stretches do not exceed (nearest rank).
    ///
    /// A stretch is a single round trip when [`Self::rounds_per_stretch`] is one, else the mean of
    /// so many.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> f64 {
        let count = self.stretches.len();
        // The product lies between 0 and the count; a NaN becomes 0.
        let rank = (percent / 100.0 * count as f64).ceil() as usize;
        self.stretches[rank.clamp(1, count) - 1]
    }

    /// The longest stretch.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.percentile(100.0)
    }

    /// Round trips between two readings of the clock.
    #[must_use]
    pub fn rounds_per_stretch(&self) -> u32 {
        self.rounds_per_stretch
    }

    /// Round trips that were timed.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.rounds
    }
}

/// Makes round trips, twice as many each time, until a tenth of the budget or of the rounds is used.
/// Returns the time of one in nanoseconds.
fn warm_up<E>(plan: &Plan, round_trips: &mut impl FnMut(u32) -> Result<(), E>) -> Result<f64, E> {
    let begin = Instant::now();
    let mut rounds = 1;
    loop {
        let start = Instant::now();
        round_trips(rounds)?;
        let estimate = nanoseconds(start.elapsed(), rounds.into());
        if begin.elapsed() >= plan.budget / 20 || rounds >= plan.rounds.div_ceil(2) {
            return Ok(estimate);
        }
        rounds *= 2;
    }
}

/// How many rounds of `estimate` nanoseconds fit `time`.
fn fit(time: Duration, estimate: f64) -> u32 {
    // A float that is too large saturates.
    (time.as_secs_f64() * 1e9 / estimate.max(0.1)).ceil() as u32
}

fn nanoseconds(time: Duration, rounds: u64) -> f64 {
    time.as_secs_f64() * 1e9 / rounds as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::Cpus;

    fn sample(stretches: &[f64]) -> Sample {
        Sample {
            repetitions: stretches.to_vec(),
            stretches: stretches.to_vec(),
            rounds_per_stretch: 1,
            rounds: stretches.len() as u64,
        }
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred: Vec<_> = (1..=100).map(f64::from).collect();
        let sample = sample(&hundred);
        assert_eq!(sample.percentile(50.0), 50.0);
        assert_eq!(sample.percentile(99.0), 99.0);
        assert_eq!(sample.percentile(99.9), 100.0);
        assert_eq!(sample.percentile(0.0), 1.0);
        assert_eq!(sample.max(), 100.0);
        assert_eq!(sample.median(), 50.5);
    }

    #[test]
    fn one_observation_is_every_percentile() {
        let sample = sample(&[7.0]);
        assert_eq!((sample.median(), sample.percentile(50.0), sample.max()), (7.0, 7.0, 7.0));
    }

    #[test]
    fn a_slow_round_trip_keeps_to_the_budget() {
        let plan = Plan { budget: Duration::from_millis(50), ..Plan::quick(Cpus::ANY) };
        let mut made = 0;
        let sample = Sample::collect(&plan, |rounds| {
            made += rounds;
            for _ in 0..rounds {
                let start = Instant::now();
                while start.elapsed() < Duration::from_micros(500) {}
            }
            Ok::<_, ()>(())
        })
        .unwrap();
        assert_eq!(sample.rounds_per_stretch(), 1);
        assert!(sample.median() >= 500_000.0);
        assert_eq!(sample.repetitions().len(), 5);
        // A hundred fill the budget, and each repetition has one. Before them 1, 2 and 4 warm up.
        assert!(sample.rounds() <= 105 && made <= 112, "{} of {made}", sample.rounds());
    }

    #[test]
    fn a_failed_round_trip_ends_the_measurement() {
        assert_eq!(Sample::collect(&Plan::quick(Cpus::ANY), |_| Err("no")), Err("no"));
    }
}
