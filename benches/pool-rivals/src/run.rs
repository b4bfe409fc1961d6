//! A run: all rows in turn, in each of them all implementations, again and again.

use crate::rivals::{self, KNIT};
use crate::{Failure, jobs};
use knit_cli::floor::{Floor, Plan};

/// Calls in flight of the rows.
pub const WINDOWS: [u32; 3] = [1, 10, 100];

/// By how much ping-pongs of a row may differ, as a part of the shortest one.
const TOLERANCE: f64 = 0.25;

/// One row: a job, and how many calls of it are in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Name of the job.
    pub job: &'static str,
    /// Calls in flight.
    pub window: u32,
}

/// How a run is made.
#[derive(Clone, Debug)]
pub struct Run {
    /// Repetitions of each row.
    pub repetitions: u32,
    /// How each figure is measured.
    pub plan: Plan,
    /// How the ping-pongs are.
    pub limit: Plan,
    /// How often a row is measured before a noisy repetition is kept as such.
    pub tries: u32,
    /// The implementations; the first one is knit.
    pub implementations: Vec<&'static str>,
}

/// What was found for one row.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// For each repetition, nanoseconds of each implementation; not a number where it has failed.
    pub repetitions: Vec<Vec<f64>>,
    /// The shortest and the longest ping-pong of each repetition, in nanoseconds.
    pub ping_pongs: Vec<(f64, f64)>,
    /// How many repetitions were thrown away because the machine changed its pace.
    pub thrown_away: u32,
}

/// Something that could not be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Name of the row.
    pub row: String,
    /// Name of the implementation.
    pub implementation: &'static str,
    /// What happened.
    pub error: String,
}

/// Every row, in the order of the report.
#[must_use]
pub fn rows() -> Vec<Row> {
    let of_job = |job| WINDOWS.map(|window| Row { job, window });
    jobs::NAMES.into_iter().flat_map(of_job).collect()
}

impl Row {
    /// Name of the row.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.job, self.window)
    }
}

impl Findings {
    /// Median nanoseconds of the implementation in this column.
    #[must_use]
    pub fn time(&self, column: usize) -> f64 {
        median(self.repetitions.iter().map(|times| times[column]).collect())
    }

    /// Median of what this column takes in times of the first one.
    #[must_use]
    pub fn ratio(&self, column: usize) -> f64 {
        median(self.repetitions.iter().map(|times| times[column] / times[0]).collect())
    }

    /// The shortest and the longest ping-pong of all repetitions.
    #[must_use]
    pub fn ping_pong(&self) -> (f64, f64) {
        let all = self.ping_pongs.iter();
        all.fold((f64::INFINITY, 0.0), |(low, high), found| (low.min(found.0), high.max(found.1)))
    }

    /// How many of the kept repetitions were made while the machine changed its pace.
    #[must_use]
    pub fn noisy(&self) -> usize {
        self.ping_pongs.iter().filter(|found| differ(**found)).count()
    }
}

/// Measures all `rows` in turn, as often as `how` says, and tells `progress` what comes next. What an
/// implementation cannot do is [`Broken`], and not tried again in that row.
///
/// # Errors
///
/// A ping-pong fails.
pub fn run(
    rows: &[Row],
    how: &Run,
    mut progress: impl FnMut(u32, &Row),
) -> Result<(Vec<Findings>, Vec<Broken>), Failure> {
    let mut findings = vec![Findings::default(); rows.len()];
    let mut broken = Vec::new();
    for repetition in 0..how.repetitions {
        for (row, findings) in rows.iter().zip(&mut findings) {
            progress(repetition, row);
            for attempt in 1.. {
                let (times, ping_pongs) = measure(row, how, repetition, &mut broken)?;
                if attempt >= how.tries || !differ(ping_pongs) {
                    findings.repetitions.push(times);
                    findings.ping_pongs.push(ping_pongs);
                    break;
                }
                findings.thrown_away += 1;
            }
        }
    }
    Ok((findings, broken))
}

/// Measures a row once, a ping-pong before each implementation and after the last.
fn measure(
    row: &Row,
    how: &Run,
    repetition: u32,
    broken: &mut Vec<Broken>,
) -> Result<(Vec<f64>, (f64, f64)), Failure> {
    let count = how.implementations.len();
    let mut times = vec![f64::NAN; count];
    let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
    let mut limit = || -> Result<(), Failure> {
        let found = Floor::PingPong.measure(&how.limit)?.percentile(50.0);
        (low, high) = (low.min(found), high.max(found));
        Ok(())
    };
    for turn in 0..count {
        // Each begins once in a while: what comes first finds another machine than what comes last.
        let column = (turn + repetition as usize) % count;
        let implementation = how.implementations[column];
        let name = row.name();
        if broken.iter().any(|one| one.row == name && one.implementation == implementation) {
            continue;
        }
        limit()?;
        match rivals::measure(implementation, row.job, row.window, &how.plan) {
            Ok(time) => times[column] = time,
            Err(error) => {
                broken.push(Broken { row: name, implementation, error: error.to_string() });
            }
        }
    }
    limit()?;
    Ok((times, (low, high)))
}

fn differ((low, high): (f64, f64)) -> bool {
    high > low * (1.0 + TOLERANCE)
}

/// The middle value, or the mean of the two; not a number when there is none, or one is none.
fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() || values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    values.sort_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}

/// Those of all implementations whose name contains one of `wanted`, and knit before them; all when nothing is
/// wanted.
#[must_use]
pub fn implementations(wanted: &[String]) -> Vec<&'static str> {
    let is_wanted = |name: &&str| {
        *name == KNIT || wanted.is_empty() || wanted.iter().any(|part| name.contains(&**part))
    };
    rivals::NAMES.into_iter().filter(is_wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_those_of_the_repetitions() {
        let repetitions = vec![vec![10.0, 20.0], vec![100.0, 300.0], vec![20.0, 80.0]];
        let ping_pongs = vec![(50.0, 55.0), (50.0, 70.0), (48.0, 50.0)];
        let found = Findings { repetitions, ping_pongs, thrown_away: 0 };
        assert_eq!((found.time(0), found.time(1), found.ratio(1)), (20.0, 80.0, 3.0));
        assert_eq!((found.ping_pong(), found.noisy()), ((48.0, 70.0), 1));
    }

    #[test]
    fn knit_is_always_there_and_first() {
        assert_eq!(implementations(&[]), rivals::NAMES);
        assert_eq!(implementations(&["pipe".into()]), ["knit", "pipe", "pipe/poll"]);
        assert_eq!(rows().len(), 21);
    }
}
