//! How long calls took.

use core::fmt;
use core::time::Duration;
use hdrhistogram::Histogram;

/// How long calls took: a histogram from a nanosecond to an hour, with two significant digits. Longer
/// ones count as an hour.
#[derive(Clone)]
pub struct Latency {
    nanos: Histogram<u64>,
}

/// An hour, in nanoseconds.
const LONGEST: u64 = 3_600_000_000_000;

impl Latency {
    pub(in crate::pool) fn new() -> Self {
        let nanos = Histogram::new_with_bounds(1, LONGEST, 2);
        Self { nanos: nanos.unwrap_or_else(|error| unreachable!("the bounds are right: {error}")) }
    }

    #[inline]
    pub(in crate::pool) fn record(&mut self, time: Duration) {
        self.nanos.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn add(&mut self, other: &Self) {
        let added = self.nanos.add(&other.nanos);
        added.unwrap_or_else(|error| unreachable!("both have the same bounds: {error}"));
    }

    /// How many calls it knows of: those that were answered.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.nanos.len()
    }

    /// The time that `percent` of the calls did not exceed, from 0 to 100; zero when there were none.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.nanos.value_at_percentile(percent))
    }

    /// The shortest time; zero when there were no calls.
    #[must_use]
    pub fn min(&self) -> Duration {
        Duration::from_nanos(if self.nanos.is_empty() { 0 } else { self.nanos.min() })
    }

    /// The longest time; zero when there were no calls.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.nanos.max())
    }

    /// The mean; zero when there were no calls.
    #[must_use]
    pub fn mean(&self) -> Duration {
        // Positive, and at most an hour.
        Duration::from_nanos(self.nanos.mean() as u64)
    }

    /// Every time that calls took, as the longest of those that count as equal, and how many took that long;
    /// shortest first.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let buckets = self.nanos.iter_recorded();
        buckets.map(|bucket| {
            (Duration::from_nanos(bucket.value_iterated_to()), bucket.count_at_value())
        })
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latency")
            .field("count", &self.count())
            .field("min", &self.min())
            .field("p50", &self.percentile(50.0))
            .field("p99", &self.percentile(99.0))
            .field("max", &self.max())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_known_to_two_digits() {
        let mut latency = Latency::new();
        (1..=100).for_each(|n| latency.record(Duration::from_micros(n)));
        let near = |found: Duration, micros: u64| {
            let wanted = micros as f64 * 1e3;
            assert!((found.as_nanos() as f64 / wanted - 1.0).abs() < 0.01, "{found:?}");
        };
        assert_eq!(latency.count(), 100);
        near(latency.min(), 1);
        near(latency.percentile(50.0), 50);
        near(latency.percentile(99.0), 99);
        near(latency.max(), 100);
        assert_eq!(latency.buckets().map(|(_, count)| count).sum::<u64>(), 100);
    }

    #[test]
    fn no_time_is_too_short_or_too_long() {
        let mut latency = Latency::new();
        assert_eq!((latency.min(), latency.max(), latency.mean()), Default::default());
        for time in [Duration::ZERO, Duration::from_secs(3600), Duration::MAX] {
            latency.record(time);
        }
        assert_eq!(latency.count(), 3);
        assert!(latency.max() >= Duration::from_secs(3600));
        assert!(latency.max() < Duration::from_secs(3700));
    }
}
