//! A run: each case between two ping-pongs.

use crate::Failure;
use crate::case::{Case, Unit};
use knit_cli::floor::{Floor, Plan, Sample};

/// By how much the ping-pongs around a figure may differ, as a part of the smaller one.
const TOLERANCE: f64 = 0.25;
/// How often a case is measured before a noisy figure is accepted as such.
const TRIES: u32 = 3;

/// The figures of one case.
#[derive(Debug)]
pub struct Outcome {
    /// Name of the case.
    pub name: String,
    /// Bytes of payload each way.
    pub payload_bytes: u32,
    /// What a figure is the time of.
    pub unit: Unit,
    /// The figures.
    pub sample: Sample,
    /// The limit, measured before and after.
    pub ping_pong: PingPongs,
    /// How often the case was measured.
    pub tries: u32,
}

/// One-line ping-pongs around a figure: medians of their stretches, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PingPongs {
    /// Before it.
    pub before: f64,
    /// After it.
    pub after: f64,
}

impl PingPongs {
    /// The limit that the figure is compared with.
    #[must_use]
    pub fn mean(self) -> f64 {
        (self.before + self.after) / 2.0
    }

    /// Whether the machine was another one after the figure than before it.
    #[must_use]
    pub fn differ(self) -> bool {
        let (low, high) = (self.before.min(self.after), self.before.max(self.after));
        high > low * (1.0 + TOLERANCE)
    }
}

impl Outcome {
    /// The figure as a multiple of the ping-pong of the same moment. Both are medians of stretches:
    /// a mean also counts the time that other processes took away.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.sample.percentile(50.0) / self.ping_pong.mean()
    }
}

/// Measures `cases` one after the other, a ping-pong between any two, and hands each outcome to
/// `report` as soon as it is there. A case whose two ping-pongs differ is measured again, up to
/// three times in all; the last try is reported, whatever it is.
///
/// # Errors
///
/// A case could not be measured; its name is in the message.
pub fn run(
    cases: &[Case],
    plan: &Plan,
    mut report: impl FnMut(&Outcome),
) -> Result<Vec<Outcome>, Failure> {
    let mut outcomes = Vec::with_capacity(cases.len() + 1);
    let mut limit = Floor::PingPong.measure(plan)?;
    for case in cases {
        let mut tries = 0;
        let outcome = loop {
            tries += 1;
            let sample = (case.measure)(plan).map_err(|error| format!("{}: {error}", case.name))?;
            let before = limit.percentile(50.0);
            limit = Floor::PingPong.measure(plan)?;
            let ping_pong = PingPongs { before, after: limit.percentile(50.0) };
            if !ping_pong.differ() || tries == TRIES {
                break Outcome {
                    name: case.name.clone(),
                    payload_bytes: case.payload_bytes,
                    unit: case.unit,
                    sample,
                    ping_pong,
                    tries,
                };
            }
        };
        report(&outcome);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_more_is_the_same_machine() {
        assert!(!PingPongs { before: 50.0, after: 62.0 }.differ());
        assert!(!PingPongs { before: 62.0, after: 50.0 }.differ());
        assert!(PingPongs { before: 50.0, after: 63.0 }.differ());
        assert!(PingPongs { before: 400.0, after: 50.0 }.differ());
    }
}
