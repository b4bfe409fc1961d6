//! A case: what a villain does, and what an implementation has to make of it.

use crate::host::{Stage, Start};
use crate::wire::Forged;
use crate::worker::Actor;
use serde_json::{Value, json};
use std::fmt;

/// What the villain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The villain is the host: a worker is under test.
    Host,
    /// The villain is a worker: a host is under test.
    Worker,
}

impl Role {
    /// The word in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Worker => "worker",
        }
    }
}

/// What an implementation has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Refuse to attach: a worker ends with status 78.
    Refuses,
    /// See a violation: a worker ends with status 76; a host names it in the error of a call or of its
    /// start, ends the worker, and serves later calls by other ones.
    Rejects,
    /// Serve on as if nothing had happened.
    Carries,
    /// Fail the calls that were answered badly, and serve on.
    Fails,
    /// Keep the lane, whatever it makes of the calls that were answered in an odd way.
    Keeps,
    /// Any of the above, in good order: the specification does not say, or it depends on time.
    Survives,
    /// See that the other process has ended: a worker ends too, a host fails the calls that were with it and no
    /// others.
    Dies,
}

impl Expect {
    /// The word in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refuses => "refuses",
            Self::Rejects => "rejects",
            Self::Carries => "carries on",
            Self::Fails => "fails the call alone",
            Self::Keeps => "keeps the lane",
            Self::Survives => "survives",
            Self::Dies => "sees the death",
        }
    }
}

/// Why the course of a case ended early.
#[derive(Clone, Debug)]
pub enum End {
    /// The process under test has ended.
    Exited,
    /// It gave a wrong answer, or broke the protocol itself.
    Wrong(String),
    /// It did not do something within the deadline.
    Late(String),
    /// The case cannot be run here.
    Skip(String),
}

/// What happens to the lane once a worker is open.
pub type Course = Box<dyn Fn(&mut Stage<'_>) -> Result<(), End> + Send + Sync>;

/// What a hostile worker does with its lane.
pub type Misdeed = Box<dyn Fn(&mut Actor) + Send + Sync>;

/// What the villain does.
pub enum Deed {
    /// The host starts its worker in this way, and then serves it this.
    Host(Start, Course),
    /// The host does this, and then its process ends.
    Orphan(Course),
    /// The host sends this message.
    Request(Forged),
    /// The worker does this.
    Worker(Misdeed),
    /// The worker answers in this way.
    Answer(Forged),
}

impl fmt::Debug for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(start, _) => f.debug_tuple("Host").field(start).finish_non_exhaustive(),
            Self::Orphan(_) => f.debug_tuple("Orphan").finish_non_exhaustive(),
            Self::Request(forged) => f.debug_tuple("Request").field(forged).finish(),
            Self::Worker(_) => f.debug_tuple("Worker").finish_non_exhaustive(),
            Self::Answer(forged) => f.debug_tuple("Answer").field(forged).finish(),
        }
    }
}

/// One case.
#[derive(Debug)]
pub struct Case {
    /// Its number: never given to another case.
    pub number: u32,
    /// What it does, in a word or two.
    pub name: String,
    /// The clause that it breaks, or tries.
    pub clause: &'static str,
    /// What an implementation has to do.
    pub expect: Expect,
    /// What the villain does.
    pub deed: Deed,
}

impl Case {
    /// The id, such as `V0007`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("V{:04}", self.number)
    }

    /// What the villain is.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.deed {
            Deed::Host(..) | Deed::Orphan(_) | Deed::Request(_) => Role::Host,
            Deed::Worker(_) | Deed::Answer(_) => Role::Worker,
        }
    }

    /// The members that the list and the reports have of a case.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id(),
            "role": self.role().name(),
            "name": self.name,
            "clause": self.clause,
            "expect": self.expect.name(),
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:6} {:8} {:20} {}",
            self.id(),
            self.role().name(),
            self.clause,
            self.expect.name(),
            self.name
        )
    }
}
