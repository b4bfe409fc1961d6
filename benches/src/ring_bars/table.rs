//! The table of the bars.

use super::{Bar, Findings, Reference, Row, Unit};
use crate::report::Time;
use std::fmt;

/// One line for each row: figure, reference, ratio, bar, verdict, and the ping-pongs around it.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// The rows.
    pub rows: &'a [Row],
    /// What was found for them, in the same order.
    pub findings: &'a [Findings],
}

impl Table<'_> {
    /// Rows that missed their bar, and rows that mean nothing because ping-pongs differ: around one
    /// figure, or between repetitions.
    #[must_use]
    pub fn missed_and_noisy(&self) -> (usize, usize) {
        let lines = || self.rows.iter().zip(self.findings);
        let missed =
            lines().filter(|(row, found)| row.bar.is_met(ratio(row, found)) == Some(false));
        (
            missed.count(),
            lines().filter(|(_, found)| found.noisy() > 0 || found.has_two_paces()).count(),
        )
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<24}{:>11}  {:<31}{:>9}  {:<11}{:<8}ping-pong",
            "what", "measured", "beside", "ratio", "bar", "",
        )?;
        for (row, found) in self.rows.iter().zip(self.findings) {
            let ratio = ratio(row, found);
            let verdict = match row.bar.is_met(ratio) {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "",
            };
            let reference = Value(found.median(|repetition| repetition.reference), row.unit);
            let beside = match &row.reference {
                Reference::PingPong => format!("ping-pong {reference}"),
                Reference::Other(name, _) => format!("{name} {reference}"),
                Reference::Nothing => "-".into(),
            };
            let ratio = match row.bar {
                Bar::Millions(_) => "-".into(),
                _ => format!("{ratio:.2} x"),
            };
            let figure = Value(found.median(|repetition| repetition.figure), row.unit).to_string();
            let (fastest, slowest) = found.ping_pongs();
            write!(f, "{:<24}{figure:>11}  {beside:<31}{ratio:>9}  ", row.name)?;
            write!(f, "{:<11}{verdict:<8}{fastest:.0}-{slowest:.0} ns", row.bar.to_string())?;
            let noisy = found.noisy();
            if noisy > 0 {
                write!(f, "  NOISY: {noisy} of {} repetitions", found.repetitions.len())?;
            }
            if found.has_two_paces() {
                write!(f, "  TWO PACES")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Median of the ratios: figure and reference of a repetition belong together.
fn ratio(row: &Row, found: &Findings) -> f64 {
    found.median(|repetition| row.bar.ratio(repetition.figure, repetition.reference))
}

/// Nanoseconds in the unit of a row.
struct Value(f64, Unit);

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Unit::Time => Time(self.0).fmt(f),
            Unit::Rate => write!(f, "{:.1} M/s", 1e3 / self.0),
        }
    }
}
