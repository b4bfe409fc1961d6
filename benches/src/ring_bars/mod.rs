//! The bars of the ring, one row each: what is measured, what it is compared with, and how far it may
//! be from it.
//!
//! A row is measured between ping-pongs, and so is what it is compared with, all in the same minute.
//! Rows take turns: a repetition measures each of them once, so that a machine that changes its pace
//! changes it for all.

mod rows;
mod run;
mod table;

pub use rows::all;
pub use run::{Findings, Repetition, Run, run};
pub use table::Table;

use crate::Failure;
use knit_cli::floor::Plan;
use std::fmt;

/// One bar.
#[derive(Debug)]
pub struct Row {
    /// What is measured.
    pub name: &'static str,
    /// How.
    pub figure: Measured,
    /// What it is compared with.
    pub reference: Reference,
    /// How far it may be from it.
    pub bar: Bar,
    /// How figures are written.
    pub unit: Unit,
}

/// Something that takes time: nanoseconds for one round trip, call or message.
pub struct Measured(Measure);

type Measure = Box<dyn Fn(&Plan) -> Result<f64, Failure>>;

/// What a figure is compared with.
#[derive(Debug)]
pub enum Reference {
    /// The one-line ping-pong around it.
    PingPong,
    /// Something else that is measured after it.
    Other(&'static str, Measured),
    /// Nothing: the bar is a rate.
    Nothing,
}

/// How far a figure may be from its reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// At most so many times as long.
    AtMost(f64),
    /// At least so many times as many in the same time.
    AtLeast(f64),
    /// At least so many millions in a second.
    Millions(f64),
    /// No bar: information.
    None,
}

/// How figures are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// As a time.
    Time,
    /// As millions in a second.
    Rate,
}

impl Measured {
    pub(crate) fn new(measure: impl Fn(&Plan) -> Result<f64, Failure> + 'static) -> Self {
        Self(Box::new(measure))
    }

    /// Nanoseconds.
    ///
    /// # Errors
    ///
    /// It could not be measured.
    pub fn measure(&self, plan: &Plan) -> Result<f64, Failure> {
        (self.0)(plan)
    }
}

impl Bar {
    /// What the bar is about, of a figure that takes `figure` nanoseconds where its reference takes
    /// `reference`.
    #[must_use]
    pub fn ratio(self, figure: f64, reference: f64) -> f64 {
        match self {
            Self::AtMost(_) | Self::None => figure / reference,
            Self::AtLeast(_) => reference / figure,
            Self::Millions(_) => 1e3 / figure,
        }
    }

    /// Whether `ratio` meets the bar; `None` where there is none.
    #[must_use]
    pub fn is_met(self, ratio: f64) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(ratio <= most),
            Self::AtLeast(least) | Self::Millions(least) => Some(ratio >= least),
            Self::None => None,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<= {most:.2} x"),
            Self::AtLeast(least) => write!(f, ">= {least:.2} x"),
            Self::Millions(least) => write!(f, ">= {least:.0} M/s"),
            Self::None => f.write_str("-"),
        }
    }
}

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Measured")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_what_the_bar_says() {
        assert_eq!(Bar::AtMost(1.6).ratio(75.0, 50.0), 1.5);
        assert_eq!(Bar::AtLeast(0.75).ratio(10.0, 8.0), 0.8);
        assert_eq!(Bar::Millions(60.0).ratio(10.0, f64::NAN), 100.0);
    }

    #[test]
    fn a_bar_is_met_up_to_and_with_its_value() {
        assert_eq!(Bar::AtMost(1.6).is_met(1.6), Some(true));
        assert_eq!(Bar::AtMost(1.6).is_met(1.61), Some(false));
        assert_eq!(Bar::AtLeast(0.75).is_met(0.75), Some(true));
        assert_eq!(Bar::AtLeast(0.75).is_met(0.74), Some(false));
        assert_eq!(Bar::Millions(60.0).is_met(59.0), Some(false));
        assert_eq!(Bar::None.is_met(1.0), None);
        assert_eq!(Bar::AtMost(1.6).is_met(f64::NAN), Some(false));
    }
}
