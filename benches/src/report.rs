//! Figures for people and for programs.

use crate::case::Unit;
use crate::machine::Machine;
use crate::run::Outcome;
use knit_cli::floor::Cpus;
use std::fmt;

/// Heading of the table: percentiles of the stretches, the first of them also as multiple of the
/// ping-pong, and the median of the repetitions' means.
pub const TABLE_HEADING: &str = "\
case                                  p50  x ping-pong       p90       p99     p99.9       max      mean  timed as";

/// Heading of the CSV rows.
pub const CSV_HEADING: &str = "case,unit,payload_bytes,ratio,mean_ns,p50_ns,p90_ns,p99_ns,\
p99.9_ns,max_ns,rounds,rounds_per_stretch,repetitions,ping_pong_before_ns,ping_pong_after_ns,\
noisy,cores,machine,kernel,commit";

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a>(pub &'a Outcome);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { name, unit, sample, ping_pong, tries, .. } = self.0;
        let time = |percent| Time(sample.percentile(percent)).to_string();
        write!(
            f,
            "{name:<32}{:>9} {:>12.2}{:>10}{:>10}{:>10}{:>10}{:>10}",
            time(50.0),
            self.0.ratio(),
            time(90.0),
            time(99.0),
            time(99.9),
            time(100.0),
            Time(sample.median()).to_string(),
        )?;
        match sample.rounds_per_stretch() {
            1 => write!(f, "  single {}s", unit.name())?,
            rounds => write!(f, "  means of {rounds}")?,
        }
        if *unit != Unit::RoundTrip {
            write!(f, "; {:.1} M/s", 1e3 / sample.percentile(50.0))?;
        }
        if ping_pong.differ() {
            write!(
                f,
                "\n    NOISY: the ping-pong took {} before and {} after this figure, in {tries} \
                 tries: compare it with nothing",
                Time(ping_pong.before),
                Time(ping_pong.after),
            )?;
        }
        Ok(())
    }
}

/// One CSV row.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The figures.
    pub outcome: &'a Outcome,
    /// Where they were measured.
    pub machine: &'a Machine,
    /// On which processors.
    pub cpus: Cpus,
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { name, payload_bytes, unit, sample, ping_pong, .. } = self.outcome;
        let Machine { processor, kernel, commit } = self.machine;
        write!(f, "{name},{},{payload_bytes},", unit.name())?;
        write!(f, "{:.3},{:.2},", self.outcome.ratio(), sample.median())?;
        for percent in [50.0, 90.0, 99.0, 99.9, 100.0] {
            write!(f, "{:.2},", sample.percentile(percent))?;
        }
        let (rounds, stretch) = (sample.rounds(), sample.rounds_per_stretch());
        write!(f, "{rounds},{stretch},{},", sample.repetitions().len())?;
        write!(f, "{:.2},{:.2},", ping_pong.before, ping_pong.after)?;
        let cores = if self.cpus.pair().is_some() { 2 } else { 1 };
        write!(f, "{},{cores},", ping_pong.differ())?;
        write!(f, "{},{},{}", Quoted(processor), Quoted(kernel), Quoted(commit))
    }
}

/// A text as a CSV field.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// Nanoseconds in the unit that suits them.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub f64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ns if ns < 1e1 => write!(f, "{ns:.2} ns"),
            ns if ns < 1e3 => write!(f, "{ns:.0} ns"),
            ns if ns < 1e4 => write!(f, "{:.2} us", ns / 1e3),
            ns if ns < 1e6 => write!(f, "{:.0} us", ns / 1e3),
            ns => write!(f, "{:.1} ms", ns / 1e6),
        }
    }
}
