//! Which processors the two processes run on.

use super::FloorError;
use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};
use std::fs;

/// The processors of a measurement: two that do not share a core, when the machine has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpus {
    pair: Option<(usize, usize)>,
}

impl Cpus {
    /// No pinning: the kernel may move both processes.
    pub const ANY: Self = Self { pair: None };

    /// Chooses among the processors that the calling thread may use: the first one, and the next
    /// one that is no sibling of it. [`Self::ANY`] when there is one processor only.
    ///
    /// # Errors
    ///
    /// The kernel does not tell which processors the thread may use.
    pub fn choose() -> Result<Self, FloorError> {
        let allowed = affinity()?;
        let mut cpus = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
        let Some(here) = cpus.next() else { return Ok(Self::ANY) };
        let others: Vec<_> = cpus.collect();
        let core = core_of(here);
        let apart = others.iter().find(|cpu| core.is_none() || core_of(**cpu) != core);
        Ok(Self { pair: apart.or(others.first()).map(|there| (here, *there)) })
    }

    /// Processor of the measuring thread and processor of its peer; `None` when nothing is pinned.
    #[must_use]
    pub fn pair(&self) -> Option<(usize, usize)> {
        self.pair
    }

    /// Pins the calling thread to the first processor, until the guard is dropped.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn pin_here(&self) -> Result<Pinned, FloorError> {
        Pinned::new(self.pair.map(|(here, _)| here))
    }

    /// Pins the calling thread to the second processor, until the guard is dropped: for a peer that
    /// is a thread.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn pin_there(&self) -> Result<Pinned, FloorError> {
        Pinned::new(self.pair.map(|(_, there)| there))
    }

    /// Pins the process `peer` to the second processor.
    pub(super) fn pin_peer(&self, peer: u32) -> Result<(), FloorError> {
        let peer = i32::try_from(peer).ok().and_then(Pid::from_raw);
        match (self.pair, peer) {
            (Some((_, there)), Some(_)) => set_affinity(peer, &only(there)),
            _ => Ok(()),
        }
    }
}

/// The calling thread is pinned. Dropping it gives the thread its processors back.
#[must_use = "the thread is pinned only as long as this lives"]
#[derive(Debug)]
pub struct Pinned {
    before: Option<CpuSet>,
}

impl Pinned {
    fn new(cpu: Option<usize>) -> Result<Self, FloorError> {
        let Some(cpu) = cpu else { return Ok(Self { before: None }) };
        let before = affinity()?;
        set_affinity(None, &only(cpu))?;
        Ok(Self { before: Some(before) })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            // The thread ran on these processors before. If they are gone, the kernel has already
            // chosen others.
            let _ = set_affinity(None, &before);
        }
    }
}

fn only(cpu: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(cpu);
    set
}

fn affinity() -> Result<CpuSet, FloorError> {
    sched_getaffinity(None)
        .map_err(|errno| FloorError::system("read the processors of the thread")(errno.into()))
}

fn set_affinity(of: Option<Pid>, to: &CpuSet) -> Result<(), FloorError> {
    sched_setaffinity(of, to)
        .map_err(|errno| FloorError::system("pin to a processor")(errno.into()))
}

/// What tells the core of a processor: the list of its siblings.
fn core_of(cpu: usize) -> Option<String> {
    let topology = format!("/sys/devices/system/cpu/cpu{cpu}/topology");
    fs::read_to_string(format!("{topology}/thread_siblings_list")).ok()
}
