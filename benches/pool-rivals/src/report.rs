//! Figures for people and for programs.

use crate::run::{Broken, Findings, Row};
use knit_benches::machine::Machine;
use knit_benches::report::Time;
use serde_json::json;
use std::fmt;

/// What a run has found.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Where.
    pub machine: &'a Machine,
    /// Load of the machine before the run, of one, five and fifteen minutes.
    pub load: &'a str,
    /// The columns.
    pub implementations: &'a [&'static str],
    /// The rows.
    pub rows: &'a [Row],
    /// What was found for them, in the same order.
    pub findings: &'a [Findings],
    /// What could not be measured.
    pub broken: &'a [Broken],
}

impl Report<'_> {
    /// The same as JSON: one object for each row and implementation.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let mut figures = Vec::new();
        for (row, found) in self.rows.iter().zip(self.findings) {
            for (column, implementation) in self.implementations.iter().enumerate() {
                let each: Vec<_> = found.repetitions.iter().map(|times| times[column]).collect();
                let (fastest, slowest) = found.ping_pong();
                figures.push(json!({
                    "payload": row.job,
                    "in_flight": row.window,
                    "implementation": implementation,
                    "ns": found.time(column),
                    "times_knit": found.ratio(column),
                    "repetitions_ns": each,
                    "ping_pong_ns": [fastest, slowest],
                    "noisy_repetitions": found.noisy(),
                }));
            }
        }
        let broken = self.broken.iter().map(|broken| {
            let Broken { row, implementation, error } = broken;
            json!({ "row": row, "implementation": implementation, "error": error })
        });
        let Machine { processor, kernel, commit } = self.machine;
        json!({
            "machine": { "processor": processor, "kernel": kernel, "load": self.load },
            "commit": commit,
            "figures": figures,
            "broken": broken.collect::<Vec<_>>(),
        })
    }

    fn heading(&self, f: &mut fmt::Formatter<'_>, what: &str) -> fmt::Result {
        write!(f, "{what:<18}")?;
        for name in self.implementations {
            write!(f, "{name:>13}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.heading(f, "time of a call")?;
        writeln!(f, "   ping-pong")?;
        for (row, found) in self.rows.iter().zip(self.findings) {
            write!(f, "{:<18}", row.name())?;
            for column in 0..self.implementations.len() {
                match found.time(column) {
                    time if time.is_nan() => write!(f, "{:>13}", "BROKEN")?,
                    time => write!(f, "{:>13}", Time(time).to_string())?,
                }
            }
            let (fastest, slowest) = found.ping_pong();
            write!(f, "   {fastest:.0}-{slowest:.0} ns")?;
            let (noisy, all) = (found.noisy(), found.repetitions.len());
            if noisy > 0 {
                write!(f, "  NOISY: {noisy} of {all} repetitions")?;
            }
            writeln!(f)?;
        }
        writeln!(f)?;
        self.heading(f, "in times of knit")?;
        writeln!(f)?;
        for (row, found) in self.rows.iter().zip(self.findings) {
            write!(f, "{:<18}", row.name())?;
            for column in 0..self.implementations.len() {
                match found.ratio(column) {
                    ratio if ratio.is_nan() => write!(f, "{:>13}", "-")?,
                    ratio => write!(f, "{ratio:>13.2}")?,
                }
            }
            writeln!(f)?;
        }
        for Broken { row, implementation, error } in self.broken {
            writeln!(f, "\nBROKEN {row} {implementation}: {error}")?;
        }
        Ok(())
    }
}
