//! One life of a lane's worker: a process or a thread, from its start to its end.

use super::shared::Shared;
use crate::Boot;
use crate::error::StartError;
use crate::process::{Killer, Named, Process, WorkerExit};
use crate::worker::{ThreadEnd, WorkerThread};
use core::time::Duration;
use knit_proto::{LaneKind, LaneMessage};
use knit_ring::SharedMemory;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::lane::Memory;

/// A worker that has started and whose end is not yet known.
#[derive(Debug)]
pub(super) enum Incarnation {
    Process(Process),
    Thread(WorkerThread),
}

/// Something to end a worker with, from any thread and at any time: does nothing when it has ended.
#[derive(Clone, Debug)]
pub(super) enum Ender {
    Process(Killer),
    Thread(Arc<ThreadEnd>),
}

impl Incarnation {
    /// Starts a worker of this kind on the segment.
    pub(super) fn start(
        shared: &Shared,
        kind: LaneKind,
        memory: &Memory,
        boot: Boot,
        channel: OwnedFd,
    ) -> Result<Self, StartError> {
        match kind {
            LaneKind::Process => {
                let segment = memory.backing().file();
                let message = LaneMessage { epoch: boot.epoch, len: memory.len() };
                let creator = &shared.creator;
                let named = shared.named_lanes.as_deref();
                let named = named.map(|directory| Named { directory, creator, message });
                let isolation = &shared.isolation;
                let process = shared.program.start(boot, segment, channel, isolation, named)?;
                Ok(Self::Process(process))
            }
            LaneKind::Thread => {
                let tasks = Arc::clone(&shared.tasks);
                Ok(Self::Thread(WorkerThread::start(memory.clone(), boot, channel, tasks)?))
            }
        }
    }

    /// Id of the process, if it is one.
    pub(super) fn process_id(&self) -> Option<u32> {
        match self {
            Self::Process(process) => Some(process.id()),
            Self::Thread(_) => None,
        }
    }

    pub(super) fn ender(&self) -> Ender {
        match self {
            Self::Process(process) => Ender::Process(process.killer()),
            Self::Thread(thread) => Ender::Thread(thread.end()),
        }
    }

    /// Waits until the worker has ended; `None` when `timeout` has passed before.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> Option<WorkerExit> {
        match self {
            Self::Process(process) => process.wait(timeout),
            Self::Thread(thread) => thread.wait(timeout),
        }
    }
}

impl Ender {
    /// Ends the worker: kills a process, lets go of a thread.
    pub(super) fn end(&self) {
        match self {
            Self::Process(killer) => killer.kill(),
            Self::Thread(end) => end.abandon(),
        }
    }
}
