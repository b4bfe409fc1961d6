//! Version of the layout.

use core::fmt;

/// Version of the segment layout. SEG-3.
///
/// Major 0 is a draft: two drafts understand each other only when both numbers agree, and a draft
/// never understands a release. From major 1 on, a reader takes every minor of its own major.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// Changes when an older reader could not read the layout.
    pub major: u16,
    /// Changes when an older reader still can.
    pub minor: u16,
}

impl Version {
    /// The version that this crate writes.
    pub const CURRENT: Self = Self { major: 1, minor: 0 };

    /// Whether a reader of version `self` may read a segment of version `other`.
    #[must_use]
    pub const fn reads(self, other: Self) -> bool {
        self.major == other.major && (self.major != 0 || self.minor == other.minor)
    }

    /// Whether a segment of this version has a field that was added in version `since`. A reader gives
    /// no meaning to a field that the segment's version does not have. SEG-15.
    #[must_use]
    pub const fn has(self, since: Self) -> bool {
        self.major == since.major && self.minor >= since.minor
    }

    /// Both numbers in one word, major in the high half.
    #[must_use]
    pub const fn packed(self) -> u32 {
        (self.major as u32) << 16 | self.minor as u32
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SEG-3.
    #[test]
    fn drafts_understand_only_themselves() {
        let draft = Version { major: 0, minor: 1 };
        let next = Version { major: 0, minor: 2 };
        let release = Version { major: 1, minor: 1 };
        assert!(draft.reads(draft));
        assert!(!draft.reads(next) && !next.reads(draft));
        assert!(!draft.reads(release) && !release.reads(draft));
    }

    /// SEG-3 and SEG-15.
    #[test]
    fn releases_read_every_minor_of_their_major() {
        let (old, new) = (Version { major: 1, minor: 0 }, Version { major: 1, minor: 7 });
        assert!(old.reads(new) && new.reads(old));
        assert!(!old.reads(Version { major: 2, minor: 0 }));
        assert!(new.has(old) && !old.has(new) && !new.has(Version { major: 2, minor: 0 }));
        assert_eq!(new.packed(), 0x0001_0007);
    }
}
