//! Worker processes: starting, watching, ending.

use crate::error::StartError;
use crate::named::Offer;
use crate::passed;
use crate::{BOOT_ENV, Boot, Isolation};
use core::fmt;
use core::time::Duration;
use knit_proto::{CreatorId, LaneMessage};
use knit_ring::Origin;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

/// How often a start is tried in which some thread of the host closes a descriptor at the wrong moment ([`passed`]).
const ATTEMPTS: u32 = 8;

/// How a worker's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerExit {
    /// It ended by itself, with this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It is a thread that did not end in time, and was let go of: it ends as soon as its task returns.
    Abandoned,
}

impl fmt::Display for WorkerExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with status {code}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::Abandoned => f.write_str("did not end in time and was let go of"),
        }
    }
}

/// The end of a process of which nobody told how it was.
const EXIT_LOST: WorkerExit = WorkerExit::Code(-1);

/// The program that workers run.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    pub(crate) fn new(path: PathBuf, arguments: Vec<OsString>) -> Self {
        Self { path, arguments }
    }

    /// The program of this process, without arguments. The link of the kernel is used, so that it is
    /// the same file even when another one has taken its place on disk.
    pub(crate) fn current() -> Self {
        Self { path: PathBuf::from("/proc/self/exe"), arguments: Vec::new() }
    }

    /// Starts the program as a worker: the segment is its standard input, the control channel its
    /// descriptor 3, the boot description is in its environment. The working directory is that of this process, `isolation` says
    /// what else it has.
    ///
    /// With `named` it inherits neither segment nor channel, and is handed them over a socket.
    pub(crate) fn start(
        &self,
        mut boot: Boot,
        segment: BorrowedFd<'_>,
        channel: OwnedFd,
        isolation: &Isolation,
        named: Option<Named<'_>>,
    ) -> Result<Process, StartError> {
        let duplicate = || {
            let copy = segment.try_clone_to_owned();
            copy.map_err(StartError::system("duplicate the segment's descriptor"))
        };
        let (channel, offer) = match named {
            Some(Named { directory, creator, message }) => {
                let offer = Offer::new(directory, creator, message, duplicate()?, channel)?;
                boot = boot.with_socket(offer.path());
                (None, Some(offer))
            }
            None => (Some(channel), None),
        };
        let boot = boot.to_json()?;
        let spawn = || -> Result<std::io::Result<Child>, StartError> {
            let stdin = if channel.is_some() { duplicate()?.into() } else { Stdio::null() };
            let mut command = Command::new(&self.path);
            // First: what comes after it is meant for the worker.
            isolation.apply(&mut command)?;
            command.args(&self.arguments).env(BOOT_ENV, &boot).stdin(stdin);
            isolation.passed(channel.as_ref().map(AsFd::as_fd))?.give_to(&mut command);
            Ok(run(&mut command))
        };
        let mut spawned = spawn()?;
        for _ in 1..ATTEMPTS {
            match &spawned {
                Err(error) if passed::is_moved(error) => spawned = spawn()?,
                _ => break,
            }
        }
        let child = spawned.map_err(|error| StartError::Spawn {
            program: self.path.display().to_string(),
            error: Arc::new(error),
        })?;
        let mut process = Process::watch(child)?;
        process.offer = offer;
        isolation.restrict(Pid::from_child(&process.child))?;
        Ok(process)
    }
}

/// A worker process that is a child of this process and not yet reaped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    handle: Arc<OwnedFd>,
    origin: Origin,
    /// Its lane, until it has been handed that.
    offer: Option<Offer>,
}

/// Where a worker is handed its lane that does not inherit it.
#[derive(Debug)]
pub(crate) struct Named<'n> {
    pub(crate) directory: &'n Path,
    pub(crate) creator: &'n CreatorId,
    pub(crate) message: LaneMessage,
}

/// Something to end a process with, from any thread and at any time: does nothing when the process
/// has ended, whoever has its id now.
#[derive(Clone, Debug)]
pub(crate) struct Killer {
    handle: Arc<OwnedFd>,
    /// The process whose worker it is: a child of it has the handle too.
    origin: Origin,
}

impl Killer {
    pub(crate) fn kill(&self) {
        if self.origin.is_here() {
            // The only error that can occur is that the process has ended already.
            let _ = pidfd_send_signal(&*self.handle, Signal::KILL);
        }
    }
}

impl Process {
    fn watch(mut child: Child) -> Result<Self, StartError> {
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(handle) => {
                let (handle, origin) = (Arc::new(handle), Origin::here());
                Ok(Self { child, handle, origin, offer: None })
            }
            // It has ended, and was reaped by others, who know how: the host ignores SIGCHLD, or waits for any child.
            Err(Errno::SRCH) => {
                let _ = child.wait();
                Err(StartError::Exited { exit: EXIT_LOST })
            }
            Err(errno) => {
                // The id is still the child's: it is not reaped yet.
                let _ = child.kill();
                let _ = child.wait();
                Err(StartError::system("open a pidfd")(errno.into()))
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn killer(&self) -> Killer {
        Killer { handle: Arc::clone(&self.handle), origin: self.origin }
    }

    /// Waits until the process has ended and reaps it; `None` when `timeout` has passed before. Hands it its lane
    /// meanwhile, where it does not inherit that.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Option<WorkerExit> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let timeout = end.map(|end| end.saturating_duration_since(Instant::now()));
            let timeout = timeout.map(|timeout| Timespec {
                tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: timeout.subsec_nanos().into(),
            });
            let end = PollFd::new(&*self.handle, PollFlags::IN);
            let offer = self.offer.as_ref();
            // Twice the same where there is nothing else.
            let mut fds = [end.clone(), end];
            if let Some(offer) = offer {
                fds[1] = PollFd::from_borrowed_fd(offer.listener(), PollFlags::IN);
            }
            match rustix::event::poll(&mut fds, timeout.as_ref()) {
                Ok(0) => return None,
                Ok(_) if !fds[0].revents().is_empty() => break,
                Ok(_) => {
                    if offer.is_some_and(Offer::serve) {
                        self.offer = None;
                    }
                }
                // A signal handler ran.
                Err(Errno::INTR) => {}
                // Nothing else can happen to a valid descriptor; waiting for the child is right.
                Err(_) => break,
            }
        }
        self.offer = None;
        Some(match self.child.wait() {
            Ok(status) => match status.signal() {
                Some(signal) => WorkerExit::Signal(signal),
                None => WorkerExit::Code(status.code().unwrap_or_default()),
            },
            // Somebody else in this process reaped our child.
            Err(_) => EXIT_LOST,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.origin.is_here() {
            return;
        }
        // Ends and reaps a child whose supervisor unwound; does nothing when `wait` saw the end.
        self.killer().kill();
        let _ = self.child.wait();
    }
}

/// Runs a program. Where it cannot be run and others have reaped the child that was to become it (this process ignores `SIGCHLD`, or
/// waits for any child), the standard library panics: a supervisor that unwinds would leave its lane without an owner.
fn run(command: &mut Command) -> std::io::Result<Child> {
    let lost =
        "it cannot be run, and why is lost: this process ignores SIGCHLD, or waits for any child";
    catch_unwind(AssertUnwindSafe(|| command.spawn()))
        .unwrap_or_else(|_| Err(std::io::Error::other(lost)))
}

/// Whether a process that was there has ended, reaped or not.
pub(crate) fn has_ended(process: Pid) -> bool {
    match pidfd_open(process, PidfdFlags::empty()) {
        Ok(handle) => {
            let mut fds = [PollFd::new(&handle, PollFlags::IN)];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            rustix::event::poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
        }
        Err(errno) => errno == Errno::SRCH,
    }
}

/// Inode of this process's pid namespace; 0 when `/proc` does not tell.
pub(crate) fn pid_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |file| file.ino())
}

/// Identity of this process, for the header of its segments.
pub(crate) fn creator() -> CreatorId {
    let pid = std::process::id();
    // Zero stands for "not known", here and below. SEG-30.
    let start_time = start_time(pid).unwrap_or_default();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or(0, |text| crate::boot::fnv1a(text.trim().bytes()));
    CreatorId { pid, start_time, boot }
}

/// When a process has started, in clock ticks since boot; `None` when `/proc` does not tell.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Field 22 of proc_pid_stat(5); the command in field 2 may hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ResourceLimit;
    use rustix::process::{WaitOptions, waitpid};

    fn ends_at_once() -> Child {
        Command::new("true").spawn().unwrap()
    }

    /// As a host that waits for any child, or has the system do that.
    fn reap(child: Pid) {
        waitpid(Some(child), WaitOptions::empty()).unwrap();
    }

    #[test]
    fn a_child_that_was_reaped_by_others_has_ended_and_nothing_else_is_wrong() {
        let child = ends_at_once();
        reap(Pid::from_child(&child));
        let error = Process::watch(child).map(drop).unwrap_err();
        assert!(matches!(error, StartError::Exited { exit: EXIT_LOST }), "{error}");
        assert_eq!(error.to_string(), "the worker exited with status -1 before it was ready");

        // A little later: before its resources are limited.
        let mut process = Process::watch(ends_at_once()).unwrap();
        let id = Pid::from_child(&process.child);
        reap(id);
        let isolation = Isolation::default().limit(ResourceLimit::OpenFiles, 256);
        isolation.restrict(id).unwrap();
        assert_eq!(process.wait(None), Some(EXIT_LOST));
    }

    /// SEG-30.
    #[test]
    fn the_creator_is_this_process() {
        let creator = creator();
        assert_eq!(creator.pid, std::process::id());
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let seconds: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
        // A clock tick is 1 to 10 ms.
        assert!(creator.start_time > 0 && creator.start_time <= seconds as u64 * 1000 + 1000);
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let boot = boot.strip_suffix('\n').unwrap();
        assert_eq!(boot.len(), 36);
        assert_eq!(creator.boot, crate::boot::fnv1a(boot.bytes()));
    }
}
