//! One thing to measure.

use crate::Failure;
use knit_cli::floor::{Plan, Sample};
use std::fmt;

/// One thing to measure: a name, what its figures count, and how to get them.
pub struct Case {
    /// Name, `group/what`.
    pub name: String,
    /// Bytes of payload each way.
    pub payload_bytes: u32,
    /// What a figure is the time of.
    pub unit: Unit,
    /// Starts whatever it needs, checks that it works, measures.
    pub measure: Measure,
}

/// How a case is measured.
pub type Measure = Box<dyn Fn(&Plan) -> Result<Sample, Failure>>;

/// What a figure is the time of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// There and back.
    RoundTrip,
    /// One message of a stream, one way.
    Message,
    /// One of many calls that are under way at the same time.
    Call,
}

impl Case {
    /// A case whose figures are round trips.
    pub fn round_trip(
        name: impl Into<String>,
        payload_bytes: u32,
        measure: impl Fn(&Plan) -> Result<Sample, Failure> + 'static,
    ) -> Self {
        let measure = Box::new(measure);
        Self { name: name.into(), payload_bytes, unit: Unit::RoundTrip, measure }
    }

    /// A case whose figures are messages of a stream.
    pub fn stream(
        name: impl Into<String>,
        measure: impl Fn(&Plan) -> Result<Sample, Failure> + 'static,
    ) -> Self {
        let measure = Box::new(measure);
        Self { name: name.into(), payload_bytes: 0, unit: Unit::Message, measure }
    }

    /// A case whose figures are calls without payload, many of them under way at the same time.
    pub fn calls(
        name: impl Into<String>,
        measure: impl Fn(&Plan) -> Result<Sample, Failure> + 'static,
    ) -> Self {
        let measure = Box::new(measure);
        Self { name: name.into(), payload_bytes: 0, unit: Unit::Call, measure }
    }
}

impl Unit {
    /// The unit in a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundTrip => "round trip",
            Self::Message => "message",
            Self::Call => "call",
        }
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}
