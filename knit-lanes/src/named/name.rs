//! Names of sockets: who has made one can be told from its name alone.

use core::fmt;
use knit_proto::CreatorId;
use rustix::rand::{GetRandomFlags, getrandom};

/// What every name begins with.
const PREFIX: &str = "knit";

/// A name: its creator, where that is to be found, and something that nobody can guess.
///
/// As text `knit-PID-START-WORLD-RANDOM`: process id and start time in decimal digits, the others with 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// Process id of the creator.
    pub(super) pid: u32,
    /// When it started, in clock ticks since boot; 0 where it does not know.
    pub(super) start: u64,
    /// Where id and start mean something: see [`world`]; 0 where that is not known.
    pub(super) world: u64,
    random: u64,
}

impl Name {
    /// A name that nobody has.
    pub(crate) fn fresh(creator: &CreatorId) -> std::io::Result<Self> {
        let mut random = [0; 8];
        // Eight bytes come whole or not at all.
        let filled = getrandom(&mut random, GetRandomFlags::empty())?;
        debug_assert_eq!(filled, random.len());
        let CreatorId { pid, start_time: start, .. } = *creator;
        Ok(Self { pid, start, world: world().unwrap_or(0), random: u64::from_ne_bytes(random) })
    }

    /// The name that this text is, if [`Self::fresh`] can have made it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut part = || parts.next();
        if part()? != PREFIX {
            return None;
        }
        let (pid, start) = (part()?.parse().ok()?, part()?.parse().ok()?);
        let mut hex = || u64::from_str_radix(part()?, 16).ok();
        let name = Self { pid, start, world: hex()?, random: hex()? };
        // Signs, leading zeros, capitals and what comes after the last part.
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, start, world, random } = self;
        write!(f, "{PREFIX}-{pid}-{start}-{world:016x}-{random:016x}")
    }
}

/// Boot, pid namespace and time namespace of this process in one number: elsewhere its id may be another process's, and its start
/// is another number. A directory may be shared by containers, and by machines. `None` when `/proc` does not tell.
pub(super) fn world() -> Option<u64> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let processes = Some(crate::process::pid_namespace()).filter(|inode| *inode != 0)?;
    // 0 where the system has no such namespaces.
    let times = crate::clock::time_namespace();
    let namespaces = [processes, times].into_iter().flat_map(u64::to_le_bytes);
    Some(crate::boot::fnv1a(boot.trim().bytes().chain(namespaces)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_no_two_are_equal() {
        let creator = crate::process::creator();
        let names = [Name::fresh(&creator).unwrap(), Name::fresh(&creator).unwrap()];
        assert_ne!(names[0], names[1]);
        for name in names {
            assert_eq!(Name::parse(&name.to_string()), Some(name));
            assert_eq!((name.pid, name.start), (std::process::id(), creator.start_time));
        }
        let largest = Name { pid: u32::MAX, start: u64::MAX, world: u64::MAX, random: u64::MAX };
        assert_eq!(Name::parse(&largest.to_string()), Some(largest));
        assert!(largest.to_string().len() < 80);
    }

    #[test]
    fn other_texts_are_no_names() {
        let name = Name { pid: 7, start: 80, world: 0xab, random: 0xcd }.to_string();
        assert_eq!(name, "knit-7-80-00000000000000ab-00000000000000cd");
        let others = [
            String::new(),
            "knit".to_owned(),
            "knit-7-80".to_owned(),
            name.replace("knit", "Knit"),
            name.replace("knit-7", "knit--7"),
            name.replace("knit-7", "knit-+7"),
            name.replace("knit-7", "knit-07"),
            name.replace("knit-7", "knit- 7"),
            name.replace("knit-7", "knit-4294967296"),
            name.replace("-80-", "-18446744073709551616-"),
            name.replace("ab", "AB"),
            name.replace("-00000000000000ab", "-ab"),
            name.replace("-00000000000000ab", "-000000000000000ab"),
            format!("{name}-"),
            format!("{name}-1"),
            format!("{name}\n"),
            format!("{name}{}", "0".repeat(4000)),
            name.replace("-80", ""),
        ];
        for other in others {
            assert_eq!(Name::parse(&other), None, "{other:?}");
        }
    }
}
