//! What a pool has done: plain numbers, as of one moment.

#[cfg(feature = "metrics")]
mod facade;
mod latency;

pub use latency::Latency;

use core::fmt;

/// What a pool has done since it started. A copy: it does not change any more. See
/// [`Pool::metrics`](crate::Pool::metrics).
///
/// Each lane is as of one moment, different lanes are as of slightly different ones. Everything but what is in
/// flight or in the queue only grows. It displays as a small table.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// The lanes, in their order. They go on counting when a worker is replaced.
    pub lanes: Vec<LaneMetrics>,
    /// The queue, which belongs to no lane.
    pub queue: QueueMetrics,
}

/// What one lane has done, or all of them together.
///
/// Every call of a lane is answered, or has failed, or has returned, or was withdrawn, or is in flight: `calls` is the sum of these five.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LaneMetrics {
    /// Calls that were handed to a worker.
    pub calls: u64,
    /// Calls that a worker has answered, and the pool has read.
    pub answers: u64,
    /// Answers that were errors.
    pub rejected: u64,
    /// Calls that no worker has answered, because theirs had ended or had broken the protocol.
    pub failed: u64,
    /// Calls that a worker which died had not begun: back in the queue, and counted again when a worker gets them.
    pub returned: u64,
    /// Calls that were taken back from a worker which had not begun them, for a lane that was idle: back in the queue, and
    /// counted again when a worker gets them.
    pub withdrawn: u64,
    /// Calls that were aborted, or out of time, while a worker had them. Each counts as answered or failed later.
    pub given_up: u64,
    /// Payload bytes that went to workers: what an argument takes beside its slot header. A number of 64 bits
    /// or less has none, shared buffers do not count.
    pub bytes_out: u64,
    /// Payload bytes that came back.
    pub bytes_in: u64,
    /// Calls that workers have now.
    pub in_flight: u64,
    /// Looks at the lane that found nothing: by threads that spin, and by those that look once more before they sleep.
    pub spins: u64,
    /// How often a thread went to sleep to wait for something of the lane. Those of the worker are its own business.
    pub parks: u64,
    /// How often the host woke the worker.
    pub wakes: u64,
    /// Workers that were started after the first.
    pub restarts: u64,
    /// Workers that broke the protocol, and were killed for it.
    pub poisonings: u64,
    /// How long calls took, from the moment in which a worker was given one to that in which the answer was read. There with
    /// [`Builder::measure_latency`](crate::Builder::measure_latency).
    pub latency: Option<Latency>,
}

/// What has gone through the queue of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueMetrics {
    /// Calls that are in the queue now: no worker has them, and they are not in the inline lane. Those with `waiting` callers are among them, and those that lanes
    /// have returned or withdrawn. One that a lane is just being offered counts until the lane has it, and one that was given up until a lane comes to it or
    /// the queue is looked through, which happens when it is full, or when many were given up.
    pub depth: u64,
    /// How often a call that somebody made has come into the queue: every lane was full, or others were in the queue already, which go first, or the inline lane has
    /// handed it on. At most once for each call: those that lanes return or withdraw do not count again, and those that are `refused` do not count. With `waited`
    /// it counts from the moment in which its caller begins to wait.
    pub queued: u64,
    /// Calls that failed because the queue was full: `CallError::QueueFull`.
    pub refused: u64,
    /// Calls whose callers wait now for room in the queue: see [`QueuePolicy::Wait`](crate::QueuePolicy::Wait).
    pub waiting: u64,
    /// Calls that have found the queue full, and whose callers have waited.
    pub waited: u64,
    /// Calls that were aborted, or out of time, in the queue.
    pub given_up: u64,
    /// Calls that failed in the queue because there was no worker any more, or the pool was closed.
    pub failed: u64,
}

impl Metrics {
    /// All lanes together.
    #[must_use]
    pub fn total(&self) -> LaneMetrics {
        self.lanes.iter().fold(LaneMetrics::default(), |mut total, lane| {
            total.add(lane);
            total
        })
    }
}

impl LaneMetrics {
    fn add(&mut self, other: &Self) {
        let (mine, theirs) = (self.numbers_mut(), other.clone().numbers_mut().map(|n| *n));
        for (mine, theirs) in mine.into_iter().zip(theirs) {
            *mine += theirs;
        }
        match (&mut self.latency, &other.latency) {
            (Some(mine), Some(theirs)) => mine.add(theirs),
            (mine @ None, theirs) => mine.clone_from(theirs),
            (Some(_), None) => {}
        }
    }

    /// Every number, in the order of [`COLUMNS`].
    fn numbers_mut(&mut self) -> [&mut u64; COLUMNS.len()] {
        let Self {
            calls,
            answers,
            rejected,
            failed,
            returned,
            withdrawn,
            given_up,
            bytes_out,
            bytes_in,
            in_flight,
            spins,
            parks,
            wakes,
            restarts,
            poisonings,
            latency: _,
        } = self;
        [
            calls, answers, rejected, failed, returned, withdrawn, given_up, bytes_out, bytes_in,
            in_flight, spins, parks, wakes, restarts, poisonings,
        ]
    }
}

/// Headings of the table.
const COLUMNS: [&str; 15] = [
    "calls",
    "answers",
    "rejected",
    "failed",
    "returned",
    "withdrawn",
    "given up",
    "bytes out",
    "bytes in",
    "in flight",
    "spins",
    "parks",
    "wakes",
    "restarts",
    "poisonings",
];

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows =
            vec![[vec!["lane"], COLUMNS.to_vec()].concat().iter().map(|h| (*h).into()).collect()];
        let lanes = self.lanes.iter().enumerate().map(|(at, lane)| (at.to_string(), lane.clone()));
        let lanes: Vec<_> = lanes.chain([("total".to_owned(), self.total())]).collect();
        for (name, lane) in &lanes {
            let mut row = vec![name.clone()];
            row.extend(lane.clone().numbers_mut().map(|number| number.to_string()));
            rows.push(row);
        }
        if lanes.iter().any(|(_, lane)| lane.latency.is_some()) {
            let headings = ["p50", "p99", "max"].map(str::to_owned);
            rows[0].extend(headings);
            for (row, (_, lane)) in rows[1..].iter_mut().zip(&lanes) {
                let times = lane
                    .latency
                    .as_ref()
                    .map(|it| [it.percentile(50.0), it.percentile(99.0), it.max()]);
                let times = times.map(|times| times.map(|time| format!("{time:?}")));
                row.extend(times.unwrap_or_default());
            }
        }
        write_table(f, &rows)?;
        let QueueMetrics { depth, queued, refused, waiting, waited, given_up, failed } = self.queue;
        write!(
            f,
            "queue: {depth} now, {queued} ever, {refused} refused, {waiting} waiting, {waited} waited, \
             {given_up} given up, {failed} failed"
        )
    }
}

/// Columns to the right.
fn write_table(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>]) -> fmt::Result {
    let width = |at: usize| {
        rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max()
    };
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            let gap = if at == 0 { "" } else { "  " };
            write!(f, "{gap}{cell:>width$}", width = width(at).unwrap_or_default())?;
        }
        writeln!(f)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn lane(calls: u64, micros: &[u64]) -> LaneMetrics {
        let mut latency = Latency::new();
        micros.iter().for_each(|micros| latency.record(Duration::from_micros(*micros)));
        LaneMetrics { calls, parks: 1, latency: Some(latency), ..LaneMetrics::default() }
    }

    #[test]
    fn the_total_is_the_sum_of_the_lanes() {
        let lanes = vec![lane(2, &[10]), lane(3, &[20, 30]), LaneMetrics::default()];
        let total = Metrics { lanes, ..Metrics::default() }.total();
        assert_eq!((total.calls, total.parks, total.wakes), (5, 2, 0));
        let latency = total.latency.unwrap();
        assert_eq!(latency.count(), 3);
        assert!(latency.max() >= Duration::from_micros(30));
    }

    #[test]
    fn it_displays_as_a_table() {
        let queue = QueueMetrics { depth: 1, queued: 7, waited: 2, ..QueueMetrics::default() };
        let metrics = Metrics { lanes: vec![LaneMetrics::default(), lane(12345, &[])], queue };
        let text = metrics.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 5);
        assert!(lines[0].starts_with(" lane  calls  answers"), "{text}");
        assert!(lines[2].starts_with("    1  12345        0"), "{text}");
        assert!(lines[3].starts_with("total  12345        0"), "{text}");
        assert!(lines[..4].iter().all(|line| line.len() == lines[0].len()), "{text}");
        assert_eq!(
            lines[4],
            "queue: 1 now, 7 ever, 0 refused, 0 waiting, 2 waited, 0 given up, 0 failed"
        );
    }
}
