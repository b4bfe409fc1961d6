//! What a process has: descriptors, mappings of memory without a name, threads, children.

use super::SoakError;
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// How long threads that were joined may take to leave `/proc`.
const PATIENCE: Duration = Duration::from_secs(5);

/// What this process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Open descriptors, by what they are of.
    descriptors: BTreeMap<String, usize>,
    mappings: usize,
    threads: usize,
    children: usize,
}

impl Resources {
    /// Those of this moment.
    ///
    /// # Errors
    ///
    /// There is no `/proc`.
    pub fn now() -> Result<Self, SoakError> {
        let proc = |error| SoakError::Look { error };
        let mut descriptors = BTreeMap::new();
        for entry in fs::read_dir("/proc/self/fd").map_err(proc)? {
            let Ok(link) = fs::read_link(entry.map_err(proc)?.path()) else { continue };
            let link = link.to_string_lossy().into_owned();
            // The directory that is being read is among them.
            if !link.starts_with("/proc/") {
                *descriptors.entry(link).or_default() += 1;
            }
        }
        let maps = fs::read_to_string("/proc/self/maps").map_err(proc)?;
        let mappings = maps.lines().filter(|line| line.contains("memfd:")).count();
        let threads = fs::read_dir("/proc/self/task").map_err(proc)?.count();
        Ok(Self { descriptors, mappings, threads, children: children().map_err(proc)? })
    }

    /// What there is now that was not there then, in words; nothing when nothing was left behind.
    ///
    /// # Errors
    ///
    /// There is no `/proc`.
    pub fn left_behind(&self) -> Result<Vec<String>, SoakError> {
        let start = Instant::now();
        loop {
            let now = Self::now()?;
            if now == *self || start.elapsed() > PATIENCE {
                return Ok(now.beyond(self));
            }
            // The kernel says nothing when a thread has left.
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn beyond(&self, before: &Self) -> Vec<String> {
        let mut left = Vec::new();
        for (what, count) in &self.descriptors {
            let had = before.descriptors.get(what).copied().unwrap_or_default();
            if *count > had {
                left.push(format!("{} descriptors of {what}", count - had));
            }
        }
        let counts = [
            (self.mappings, before.mappings, "mappings"),
            (self.threads, before.threads, "threads"),
            (self.children, before.children, "processes"),
        ];
        let more = counts.iter().filter(|(now, then, _)| now > then);
        left.extend(more.map(|(now, then, what)| format!("{} {what}", now - then)));
        left
    }
}

/// Child processes of this one, those that nobody has reaped among them.
fn children() -> Result<usize, std::io::Error> {
    let own = std::process::id().to_string();
    let mut count = 0;
    for entry in fs::read_dir("/proc")? {
        let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else { continue };
        // Field 4 of proc_pid_stat(5); the command in field 2 may hold spaces and parentheses.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        count += usize::from(parent == Some(&own));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_named() {
        let before = Resources {
            descriptors: BTreeMap::from([("pipe".to_owned(), 1)]),
            mappings: 1,
            threads: 2,
            children: 0,
        };
        assert_eq!(before.beyond(&before), [""; 0]);
        let mut after = before.clone();
        after.descriptors.insert("pipe".to_owned(), 3);
        after.descriptors.insert("/memfd:knit-lane".to_owned(), 1);
        (after.mappings, after.children) = (2, 4);
        let expected = [
            "1 descriptors of /memfd:knit-lane",
            "2 descriptors of pipe",
            "1 mappings",
            "4 processes",
        ];
        assert_eq!(after.beyond(&before), expected);
        assert_eq!(before.beyond(&after), [""; 0]);
    }
}
