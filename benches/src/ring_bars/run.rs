//! A run: all rows in turn, ping-pongs in between, again and again.

use super::{Reference, Row};
use crate::Failure;
use knit_cli::floor::{Floor, Plan};
use std::thread;
use std::time::{Duration, Instant};

/// By how much ping-pongs around a figure may differ, as a part of the smallest one.
const TOLERANCE: f64 = 0.15;
/// From which ratio of ping-pongs on the repetitions of a row were made at two paces.
const PACES: f64 = 1.5;
/// How often a repetition is measured before a noisy one is kept as such.
const TRIES: u32 = 3;
/// The same where the pace is prescribed: a slow repetition says nothing then.
const TRIES_AT_PACE: u32 = 10;
/// How long to wait for the prescribed pace, for each row of a repetition.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks at the pace.
const LOOK: Duration = Duration::from_millis(100);

/// How a run is made.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Repetitions of each row.
    pub repetitions: u32,
    /// How each figure is measured.
    pub plan: Plan,
    /// How the ping-pongs are.
    pub limit: Plan,
    /// Longest ping-pong, in nanoseconds, around a repetition that counts.
    pub pace: Option<f64>,
}

/// One measurement of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Repetition {
    /// Nanoseconds of the figure.
    pub figure: f64,
    /// Nanoseconds of its reference; not a number where there is none.
    pub reference: f64,
    /// The shortest ping-pong around the two, in nanoseconds.
    pub fastest: f64,
    /// The longest.
    pub slowest: f64,
}

/// What was found for one row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// The repetitions that were kept.
    pub repetitions: Vec<Repetition>,
    /// How many were thrown away because the machine changed its pace.
    pub thrown_away: u32,
}

impl Repetition {
    /// Whether the machine was another one at the end than at the begin.
    #[must_use]
    pub fn is_noisy(self) -> bool {
        self.slowest > self.fastest * (1.0 + TOLERANCE)
    }
}

impl Findings {
    /// How many of the kept repetitions are noisy.
    #[must_use]
    pub fn noisy(&self) -> usize {
        self.repetitions.iter().filter(|repetition| repetition.is_noisy()).count()
    }

    /// The shortest and the longest ping-pong around any of them, in nanoseconds.
    #[must_use]
    pub fn ping_pongs(&self) -> (f64, f64) {
        let kept = self.repetitions.iter();
        kept.fold((f64::INFINITY, 0.0), |(low, high), repetition| {
            (f64::min(low, repetition.fastest), f64::max(high, repetition.slowest))
        })
    }

    /// Whether the machine was another one in some repetitions than in others.
    #[must_use]
    pub fn has_two_paces(&self) -> bool {
        let (low, high) = self.ping_pongs();
        high > low * PACES
    }

    /// Median of what `of` says of the repetitions.
    #[must_use]
    pub fn median(&self, of: impl Fn(&Repetition) -> f64) -> f64 {
        median(&mut self.repetitions.iter().map(of).collect::<Vec<_>>())
    }
}

/// The middle value, or the mean of the two; not a number when there is none.
pub(super) fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

/// Measures all `rows` in turn, as often as `how` says. Tells `progress` which repetition begins.
///
/// # Errors
///
/// A row could not be measured, or the machine never had the prescribed pace; the name of the row is in
/// the message.
pub fn run(
    rows: &[Row],
    how: &Run,
    mut progress: impl FnMut(u32),
) -> Result<Vec<Findings>, Failure> {
    let mut findings = vec![Findings::default(); rows.len()];
    let mut last = ping_pong(&how.limit)?;
    for repetition in 0..how.repetitions {
        progress(repetition);
        for (row, findings) in rows.iter().zip(&mut findings) {
            let kept = repeat(row, how, &mut last, &mut findings.thrown_away);
            let kept = kept.map_err(|error| format!("{}: {error}", row.name))?;
            findings.repetitions.push(kept);
        }
    }
    Ok(findings)
}

/// Measures a row until the machine keeps its pace, or it was tried often enough.
fn repeat(
    row: &Row,
    how: &Run,
    last: &mut f64,
    thrown_away: &mut u32,
) -> Result<Repetition, Failure> {
    let tries = if how.pace.is_some() { TRIES_AT_PACE } else { TRIES };
    for attempt in 1.. {
        await_pace(how, last)?;
        let found = measure(row, &how.plan, &how.limit, last)?;
        let slow = how.pace.is_some_and(|pace| found.slowest > pace);
        if attempt >= tries || !found.is_noisy() && !slow {
            return Ok(found);
        }
        *thrown_away += 1;
    }
    unreachable!("the last try is kept")
}

/// Waits until a ping-pong is as fast as it has to be.
fn await_pace(how: &Run, last: &mut f64) -> Result<(), Failure> {
    let Some(pace) = how.pace else { return Ok(()) };
    let since = Instant::now();
    while *last > pace {
        if since.elapsed() > PATIENCE {
            let seconds = PATIENCE.as_secs();
            return Err(format!("no ping-pong of {pace} ns within {seconds} s").into());
        }
        // The kernel, or the machine below it, moves processors as it likes.
        thread::sleep(LOOK);
        *last = ping_pong(&how.limit)?;
    }
    Ok(())
}

/// Measures a row after the ping-pong `last`, and leaves there the one after it.
fn measure(row: &Row, plan: &Plan, limit: &Plan, last: &mut f64) -> Result<Repetition, Failure> {
    let before = *last;
    let figure = row.figure.measure(plan)?;
    let after = ping_pong(limit)?;
    let (mut fastest, mut slowest) = (before.min(after), before.max(after));
    *last = after;
    let reference = match &row.reference {
        Reference::PingPong => f64::midpoint(before, after),
        Reference::Nothing => f64::NAN,
        Reference::Other(_, reference) => {
            let reference = reference.measure(plan)?;
            *last = ping_pong(limit)?;
            (fastest, slowest) = (fastest.min(*last), slowest.max(*last));
            reference
        }
    };
    Ok(Repetition { figure, reference, fastest, slowest })
}

fn ping_pong(limit: &Plan) -> Result<f64, Failure> {
    Ok(Floor::PingPong.measure(limit)?.percentile(50.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repetition(fastest: f64, slowest: f64) -> Repetition {
        Repetition { figure: 1.0, reference: 1.0, fastest, slowest }
    }

    #[test]
    fn fifteen_percent_more_is_the_same_machine() {
        assert!(!repetition(100.0, 114.9).is_noisy());
        assert!(repetition(100.0, 115.1).is_noisy());
    }

    #[test]
    fn repetitions_on_near_and_on_far_cores_are_two_paces() {
        let found = |pairs: &[(f64, f64)]| Findings {
            repetitions: pairs.iter().map(|(low, high)| repetition(*low, *high)).collect(),
            thrown_away: 0,
        };
        assert!(!found(&[(50.0, 55.0), (60.0, 65.0)]).has_two_paces());
        let two = found(&[(50.0, 55.0), (400.0, 420.0)]);
        assert!(two.has_two_paces());
        assert_eq!((two.noisy(), two.ping_pongs()), (0, (50.0, 420.0)));
    }

    #[test]
    fn a_median_lies_in_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&mut []).is_nan());
    }
}
