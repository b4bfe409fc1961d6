//! What a round may not leave behind.

use super::DEADLINE;
use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

/// What this process has and what the machine shows, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holdings {
    descriptors: Vec<String>,
    mappings: usize,
    threads: usize,
    children: BTreeSet<u32>,
    named: BTreeSet<String>,
}

impl Holdings {
    /// Looks.
    #[must_use]
    pub fn now() -> Self {
        let me = std::process::id();
        let links = names("/proc/self/fd").into_iter();
        let mut descriptors: Vec<_> = links
            .filter_map(|fd| fs::read_link(format!("/proc/self/fd/{fd}")).ok())
            .map(|link| link.to_string_lossy().into_owned())
            // The directory that is being read is among them; pipes and files have numbers.
            .filter(|link| !link.starts_with("/proc/"))
            .collect();
        descriptors.sort();
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let children = processes().filter(|pid| parent(*pid) == Some(me)).collect();
        let shm = names("/dev/shm").into_iter().filter(|name| name.contains("knit")).collect();
        Self {
            descriptors,
            mappings: maps.lines().filter(|line| line.contains("memfd:")).count(),
            threads: names("/proc/self/task").len(),
            children,
            named: shm,
        }
    }

    /// Waits until there is no more than before: a thread that was joined leaves `/proc` a moment later.
    ///
    /// # Errors
    ///
    /// What is left after [`DEADLINE`].
    pub fn until_back(&self) -> Result<(), String> {
        let since = Instant::now();
        loop {
            let now = Self::now();
            if now == *self {
                return Ok(());
            }
            if since.elapsed() > DEADLINE {
                return Err(format!("left behind: {now:?}, before: {self:?}"));
            }
            std::thread::yield_now();
        }
    }
}

/// Waits until no process runs whose command line has `argument`.
///
/// # Errors
///
/// Those that still run after [`DEADLINE`].
pub fn until_gone(argument: &str) -> Result<(), String> {
    let since = Instant::now();
    loop {
        let has_argument = |pid: u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(argument)
        };
        let left: Vec<_> = processes()
            .filter(|pid| *pid != std::process::id() && !is_gone(*pid))
            .filter(|pid| has_argument(*pid))
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        if since.elapsed() > DEADLINE {
            return Err(format!("{left:?} of {argument} still run"));
        }
        std::thread::yield_now();
    }
}

/// Whether no such process runs. One that waits to be reaped does not run.
#[must_use]
pub fn is_gone(pid: u32) -> bool {
    matches!(field(pid, 0).as_deref(), None | Some("Z" | "X"))
}

/// Whether the process is stopped.
#[must_use]
pub fn is_stopped(pid: u32) -> bool {
    field(pid, 0).as_deref() == Some("T")
}

fn parent(pid: u32) -> Option<u32> {
    field(pid, 1)?.parse().ok()
}

/// A field of proc_pid_stat(5), counted from the state on.
fn field(pid: u32, index: usize) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command may hold spaces and parentheses.
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(index).map(str::to_owned)
}

fn processes() -> impl Iterator<Item = u32> {
    names("/proc").into_iter().filter_map(|name| name.parse().ok())
}

fn names(directory: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect()
}
