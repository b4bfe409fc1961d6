//! Ids of the clauses that a violation names.

use core::fmt;

/// Id of a clause of the specification, such as `MBX-3`. The sentences are in the chapters of `spec/`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Clause(&'static str);

impl Clause {
    pub(crate) const fn new(id: &'static str) -> Self {
        Self(id)
    }

    /// The id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
