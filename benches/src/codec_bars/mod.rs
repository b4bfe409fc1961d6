//! The bars of the codec, one row each: what is measured, what it is compared with in the same moment, and
//! how far it may be from it.
//!
//! All of it runs on one processor. A repetition measures a row and its reference one after the other, in
//! turns the one and the other first; figures are medians of the repetitions, ratios are medians of the repetitions' ratios.

mod rows;

pub use rows::all;

use crate::report::Time;
use std::fmt;
use std::time::{Duration, Instant};

/// One bar.
pub struct Row {
    /// What is measured.
    pub name: &'static str,
    figure: Work,
    reference: Option<(&'static str, Work)>,
    /// How far it may be from its reference.
    pub bar: Bar,
}

/// Does the work so many times.
type Work = Box<dyn FnMut(u32)>;

/// How far a figure may be from its reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// At most so many nanoseconds.
    Nanoseconds(f64),
    /// At most so many times as long as the reference.
    AtMost(f64),
    /// At least so many times as much in the same time as the reference.
    AtLeast(f64),
    /// No bar: information.
    None,
}

/// What was found for a row, in nanoseconds for one piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    /// The figure.
    pub figure: f64,
    /// The reference; `NaN` where there is none.
    pub reference: f64,
    /// What the bar is about.
    pub ratio: f64,
}

impl Row {
    /// Measures the row `repetitions` times, for about `budget` each.
    ///
    /// # Panics
    ///
    /// An encoding does not come back: each row checks that first.
    pub fn measure(&mut self, repetitions: u32, budget: Duration) -> Finding {
        let mut found: Vec<_> = (0..repetitions)
            .map(|repetition| {
                let mut figure = f64::NAN;
                let mut reference = f64::NAN;
                for part in [repetition % 2, 1 - repetition % 2] {
                    if part == 0 {
                        figure = nanoseconds(&mut self.figure, budget);
                    } else if let Some((_, work)) = &mut self.reference {
                        reference = nanoseconds(work, budget);
                    }
                }
                let ratio = match self.bar {
                    Bar::AtLeast(_) => reference / figure,
                    Bar::Nanoseconds(_) => figure,
                    Bar::AtMost(_) | Bar::None => figure / reference,
                };
                Finding { figure, reference, ratio }
            })
            .collect();
        let mut median = |of: fn(&Finding) -> f64| {
            found.sort_by(|one, other| of(one).total_cmp(&of(other)));
            of(&found[found.len() / 2])
        };
        Finding {
            figure: median(|found| found.figure),
            reference: median(|found| found.reference),
            ratio: median(|found| found.ratio),
        }
    }

    /// The line of the report.
    #[must_use]
    pub fn line(&self, found: &Finding) -> String {
        let beside = match &self.reference {
            Some((name, _)) => format!("{name} {}", Time(found.reference)),
            None => "-".into(),
        };
        let ratio = match self.bar {
            _ if found.reference.is_nan() => "-".into(),
            _ => format!("{:.2} x", found.ratio),
        };
        let verdict = match self.is_met(found) {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let figure = Time(found.figure).to_string();
        let bar = self.bar.to_string();
        format!("{:<28}{figure:>9}  {beside:<32}{ratio:>7}  {bar:<12}{verdict}", self.name)
    }

    /// Whether the bar is met; `None` where there is none.
    #[must_use]
    pub fn is_met(&self, found: &Finding) -> Option<bool> {
        match self.bar {
            Bar::Nanoseconds(most) | Bar::AtMost(most) => Some(found.ratio <= most),
            Bar::AtLeast(least) => Some(found.ratio >= least),
            Bar::None => None,
        }
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("name", &self.name).field("bar", &self.bar).finish()
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nanoseconds(most) => write!(f, "<= {}", Time(*most)),
            Self::AtMost(most) => write!(f, "<= {most:.2} x"),
            Self::AtLeast(least) => write!(f, ">= {least:.2} x"),
            Self::None => f.write_str("-"),
        }
    }
}

/// How long one piece of work takes, in runs that take about `budget`.
fn nanoseconds(work: &mut Work, budget: Duration) -> f64 {
    let mut time = |times: u32| {
        let start = Instant::now();
        work(times);
        start.elapsed()
    };
    let mut times = 1;
    loop {
        let took = time(times);
        if took >= budget / 4 || times > 1 << 28 {
            // At least a quarter of the budget: one more run of about all of it.
            let wanted = budget.as_secs_f64() / took.as_secs_f64().max(1e-9);
            // A small number of times; a float that is too large saturates.
            let times = (f64::from(times) * wanted).max(1.0) as u32;
            return time(times).as_secs_f64() * 1e9 / f64::from(times);
        }
        times *= 4;
    }
}
