//! Snapshots for the `metrics` crate.

use super::{LaneMetrics, Metrics};
use metrics::{counter, gauge};

/// Percentiles that are handed on.
const QUANTILES: [(&str, f64); 4] = [("0.5", 50.0), ("0.9", 90.0), ("0.99", 99.0), ("1", 100.0)];

impl Metrics {
    /// Hands the numbers to the recorder of the `metrics` crate; does nothing without one. Do it whenever they are wanted,
    /// before a scrape for instance: calls themselves do not know of the recorder.
    ///
    /// `pool` is a label that tells the pools of a program apart. A counter never goes back, so one label is for one
    /// pool in the life of a program.
    ///
    /// | name | labels beside `pool` | kind |
    /// | --- | --- | --- |
    /// | `knit_calls`, `knit_answers`, `knit_rejected`, `knit_failed`, `knit_returned`, `knit_withdrawn`, `knit_given_up` | `lane` | counter |
    /// | `knit_bytes_out`, `knit_bytes_in` | `lane` | counter, bytes |
    /// | `knit_spins`, `knit_parks`, `knit_wakes`, `knit_restarts`, `knit_poisonings` | `lane` | counter |
    /// | `knit_in_flight` | `lane` | gauge |
    /// | `knit_latency_seconds` | `lane`, `quantile`: 0.5, 0.9, 0.99, 1 | gauge, where it is measured |
    /// | `knit_queued`, `knit_queue_refused`, `knit_queue_waited`, `knit_queue_given_up`, `knit_queue_failed` | | counter |
    /// | `knit_queue_depth`, `knit_queue_waiting` | | gauge |
    pub fn emit(&self, pool: &str) {
        for (lane, numbers) in self.lanes.iter().enumerate() {
            emit_lane(pool, lane.to_string(), numbers);
        }
        let queue = &self.queue;
        for (name, value) in [
            ("knit_queued", queue.queued),
            ("knit_queue_refused", queue.refused),
            ("knit_queue_waited", queue.waited),
            ("knit_queue_given_up", queue.given_up),
            ("knit_queue_failed", queue.failed),
        ] {
            counter!(name, "pool" => pool.to_owned()).absolute(value);
        }
        gauge!("knit_queue_depth", "pool" => pool.to_owned()).set(queue.depth as f64);
        gauge!("knit_queue_waiting", "pool" => pool.to_owned()).set(queue.waiting as f64);
    }
}

fn emit_lane(pool: &str, lane: String, numbers: &LaneMetrics) {
    for (name, value) in [
        ("knit_calls", numbers.calls),
        ("knit_answers", numbers.answers),
        ("knit_rejected", numbers.rejected),
        ("knit_failed", numbers.failed),
        ("knit_returned", numbers.returned),
        ("knit_withdrawn", numbers.withdrawn),
        ("knit_given_up", numbers.given_up),
        ("knit_bytes_out", numbers.bytes_out),
        ("knit_bytes_in", numbers.bytes_in),
        ("knit_spins", numbers.spins),
        ("knit_parks", numbers.parks),
        ("knit_wakes", numbers.wakes),
        ("knit_restarts", numbers.restarts),
        ("knit_poisonings", numbers.poisonings),
    ] {
        counter!(name, "pool" => pool.to_owned(), "lane" => lane.clone()).absolute(value);
    }
    gauge!("knit_in_flight", "pool" => pool.to_owned(), "lane" => lane.clone())
        .set(numbers.in_flight as f64);
    let Some(latency) = &numbers.latency else { return };
    for (quantile, percent) in QUANTILES {
        gauge!(
            "knit_latency_seconds",
            "pool" => pool.to_owned(),
            "lane" => lane.clone(),
            "quantile" => quantile
        )
        .set(latency.percentile(percent).as_secs_f64());
    }
}
