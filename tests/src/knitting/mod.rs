//! A simulated host of Knitting 0.1.61, for tests of workers that serve one.
//!
//! Written from the description of that protocol, not from the crates: it shares their memory types and
//! nothing of their mailbox, arena or header code. It places payloads in upstream's order, polls answers
//! as upstream does, and holds every answer against what such a host cannot survive.

mod boot;
mod host;
mod regions;

pub use boot::{Places, boot};
pub use host::{Answer, Argument, Host};
pub use regions::Regions;

/// What of a message is where, by its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// In the words alone.
    Words,
    /// `w5` bytes in the slot.
    Static,
    /// `w5` bytes in the payload region.
    Dynamic,
    /// `w5` bytes in the slot, `w4` in the payload region.
    StaticHead,
    /// `w5 + w4` bytes in the payload region.
    DynamicHead,
}

impl Part {
    /// The part of an assigned tag that may cross processes.
    #[must_use]
    pub const fn of(tag: u32) -> Option<Self> {
        Some(match tag {
            2..=6 | 9 | 10 | 25 => Self::Words,
            15 | 16 | 18 | 27 | 29 | 31..=35 | 37 | 39 | 45 | 46 | 54 => Self::Static,
            11 | 12 | 17 | 19..=24 | 26 | 28 | 36 | 38 | 44 | 53 => Self::Dynamic,
            40 | 42 | 49 | 51 => Self::StaticHead,
            41 | 43 | 50 | 52 => Self::DynamicHead,
            _ => return None,
        })
    }
}
