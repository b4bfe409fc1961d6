//! A worker process and its segment, as a host has them that does everything by itself.

use crate::Function;
use command_fds::{CommandFdExt, FdMapping};
use knit_lanes::{BOOT_ENV, Boot, BootError, HostLane, LaneError, Limits};
use knit_proto::{
    CreatorId, ExtensionBytes, Features, Geometry, GeometryError, HeaderFields, LaneKind, Layout,
    Version,
};
use knit_ring::{
    EventfdBell, Mapped, Mapping, MemfdError, OutOfBounds, SegmentError, Waiter, create_segment,
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// The memory of a segment that a hostile process may write at the same time.
pub type Memory = Mapped<Mapping>;

/// Limits of both ends of the lane.
pub const LIMITS: Limits = Limits::DEFAULT.with_payload(1 << 20);

/// Bytes of each arena.
const ARENA: u32 = 4 << 20;
/// Bytes of each arena that have memory from the start.
const RESERVED: u32 = 64 << 10;
/// Calls that can be told apart by an abort signal: one for each place of the lane.
const ABORT_SIGNALS: u32 = 32;
/// The descriptor that the worker inherits the eventfd as.
const EVENTFD: u32 = 4;
/// How long a worker polls before it sleeps, in microseconds.
const SPIN_US: u32 = 50;

/// One life of a worker: its process, its segment, and the two descriptors that an event loop waits for.
///
/// Dropped, it kills the process and reaps it.
#[derive(Debug)]
pub struct LaneProcess {
    memory: Memory,
    layout: Layout,
    bell: EventfdBell,
    child: Child,
    pidfd: OwnedFd,
}

impl LaneProcess {
    /// The link of the kernel to the program of this process: the same file even when another one has taken its
    /// place on disk.
    pub const THIS_PROGRAM: &str = "/proc/self/exe";

    /// Makes a segment, announces the host in it, and starts a program as the worker.
    ///
    /// Each worker has an epoch of its own, from 1 on, and a segment of its own: that of a dead one is never
    /// used again. LANE-14.
    ///
    /// The kernel ends the worker when the thread ends that calls this (`PR_SET_PDEATHSIG`): it must be one that
    /// lives as long as the host.
    ///
    /// # Errors
    ///
    /// The system refuses memory, a descriptor or a process.
    pub fn start(program: &Path, epoch: u32) -> Result<Self, StartError> {
        let names = Function::ALL.map(|function| function.name().to_owned()).into();
        let boot = Boot::new(epoch, 0, &LIMITS, SPIN_US, names).with_eventfd(EVENTFD);
        let geometry = Geometry::new(ARENA, ARENA, ABORT_SIGNALS)?;
        let memory = Mapping::create(ExtensionBytes::MIN.lane_block_at() + geometry.block_bytes())?;
        let fields = HeaderFields {
            version: Version::CURRENT,
            required: Features::FUTEX_BELLS,
            // The worker accepts EVENTFD when it finds the descriptor that the boot description names.
            optional: Features::STAMPS.or(Features::EVENTFD),
            epoch,
            creator: CreatorId { pid: std::process::id(), start_time: 0, boot: 0 },
            kind: LaneKind::Process,
            geometry,
            extension: ExtensionBytes::MIN,
            tasks: boot.tasks_hash(),
            request_reserved: RESERVED,
            response_reserved: RESERVED,
        };
        let layout = create_segment(&memory, &fields)?;
        // Before the worker starts. LANE-5.
        HostLane::announce(&memory, &layout, std::process::id())?;
        let bell = EventfdBell::new()?;
        let child = spawn(program, &boot, &memory, &bell)?;
        let (child, pidfd) = watch(child)?;
        Ok(Self { memory, layout, bell, child, pidfd })
    }

    /// The waiter with which the host says that it is about to sleep.
    ///
    /// # Errors
    ///
    /// None: the layout was made for this memory.
    pub fn waiter(&self) -> Result<Waiter<Memory>, OutOfBounds> {
        HostLane::waiter(&self.memory, &self.layout)
    }

    /// The host's end, once the worker says that it is ready; `None` before.
    ///
    /// # Errors
    ///
    /// The worker broke the protocol.
    pub fn connect(&self) -> Result<Option<HostLane<Memory>>, LaneError> {
        HostLane::connect(&self.memory, &self.layout, LIMITS.payload)
    }

    /// The doorbell that the worker rings.
    #[must_use]
    pub fn bell(&self) -> &EventfdBell {
        &self.bell
    }

    /// A descriptor that is readable once the process has ended.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// The process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process. Does nothing when it has ended.
    pub fn kill(&self) {
        // A pidfd never means another process. That this one has ended is the only error.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Waits until the process has ended, which it has when the pidfd is readable, and says how.
    ///
    /// # Errors
    ///
    /// Somebody else in this program has reaped it.
    pub fn reap(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

impl Drop for LaneProcess {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}

/// The segment is the worker's descriptor 0 (LANE-6), the boot description stands in its environment (LANE-22),
/// and says which descriptor is the eventfd (WAKE-10). It gets nothing else but the output streams.
fn spawn(
    program: &Path,
    boot: &Boot,
    memory: &Memory,
    bell: &EventfdBell,
) -> Result<Child, StartError> {
    let segment = memory.backing().file().try_clone_to_owned()?;
    let parent_fd = bell.as_fd().try_clone_to_owned()?;
    // Below i32::MAX: it is 4.
    let child_fd = EVENTFD as i32;
    Command::new(program)
        .env_clear()
        .env(BOOT_ENV, boot.to_json()?)
        .stdin(Stdio::from(segment))
        .fd_mappings(vec![FdMapping { parent_fd, child_fd }])
        .unwrap_or_else(|_| unreachable!("one descriptor collides with no other"))
        .spawn()
        .map_err(|error| StartError::Spawn { program: program.to_owned(), error })
}

/// A child that nobody has reaped has its id for sure.
fn watch(mut child: Child) -> Result<(Child, OwnedFd), StartError> {
    match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
        Ok(pidfd) => Ok((child, pidfd)),
        Err(errno) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(io::Error::from(errno).into())
        }
    }
}

/// Why a worker could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No memory for a segment.
    #[error("no memory for a segment: {0}")]
    Memory(#[from] MemfdError),
    /// The segment cannot be made.
    #[error("the segment cannot be made: {0}")]
    Segment(#[from] SegmentError),
    /// Its layout does not fit it.
    #[error("the segment cannot be used: {0}")]
    Attach(#[from] OutOfBounds),
    /// Its arenas cannot have this length.
    #[error("the segment cannot have this form: {0}")]
    Geometry(#[from] GeometryError),
    /// The boot description is too long.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The program cannot be started.
    #[error("cannot start {program}: {error}", program = .program.display())]
    Spawn {
        /// Its path.
        program: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The system refuses a descriptor.
    #[error("no descriptor for a worker: {0}")]
    System(#[from] io::Error),
}
