//! Worker processes: starting, watching, ending.

use crate::buffer::link::CHANNEL_FD;
use crate::error::StartError;
use crate::{BOOT_ENV, Boot, Isolation};
use command_fds::{CommandFdExt, FdMapping};
use core::fmt;
use core::time::Duration;
use knit_proto::CreatorId;
use knit_ring::Origin;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::ffi::OsString;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

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
    pub(crate) fn start(
        &self,
        boot: &Boot,
        segment: BorrowedFd<'_>,
        channel: OwnedFd,
        isolation: &Isolation,
    ) -> Result<Process, StartError> {
        let segment = segment
            .try_clone_to_owned()
            .map_err(StartError::system("duplicate the segment's descriptor"))?;
        let mut descriptors = isolation.descriptors()?;
        descriptors.push(FdMapping { parent_fd: channel, child_fd: CHANNEL_FD });
        let mut command = Command::new(&self.path);
        // First: what comes after it is meant for the worker.
        isolation.apply(&mut command)?;
        let child = command
            .args(&self.arguments)
            .env(BOOT_ENV, boot.to_json()?)
            .stdin(Stdio::from(segment))
            .fd_mappings(descriptors)
            .unwrap_or_else(|_| unreachable!("`Isolation` has each number once, and from 4 on"))
            .spawn()
            .map_err(|error| StartError::Spawn {
                program: self.path.display().to_string(),
                error: Arc::new(error),
            })?;
        let process = Process::watch(child)?;
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
            Ok(handle) => Ok(Self { child, handle: Arc::new(handle), origin: Origin::here() }),
            Err(errno) => {
                // Without this error the id is still the child's: it is not reaped yet.
                if errno != Errno::SRCH {
                    let _ = child.kill();
                }
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

    /// Waits until the process has ended and reaps it; `None` when `timeout` has passed before.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Option<WorkerExit> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let timeout = end.map(|end| end.saturating_duration_since(Instant::now()));
            let timeout = timeout.map(|timeout| Timespec {
                tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: timeout.subsec_nanos().into(),
            });
            let mut fds = [PollFd::new(&*self.handle, PollFlags::IN)];
            match rustix::event::poll(&mut fds, timeout.as_ref()) {
                Ok(0) => return None,
                Ok(_) => break,
                // A signal handler ran.
                Err(Errno::INTR) => {}
                // Nothing else can happen to a valid descriptor; waiting for the child is right.
                Err(_) => break,
            }
        }
        Some(match self.child.wait() {
            Ok(status) => match status.signal() {
                Some(signal) => WorkerExit::Signal(signal),
                None => WorkerExit::Code(status.code().unwrap_or_default()),
            },
            // Somebody else in this process reaped our child: how it ended is lost.
            Err(_) => WorkerExit::Code(-1),
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
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Field 22 of proc_pid_stat(5); the command in field 2 may hold spaces and parentheses.
    let start_time = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(19))
        .and_then(|field| field.parse().ok())
        .unwrap_or_default();
    // Zero stands for "not known". SEG-30.
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or(0, |text| crate::boot::fnv1a(text.trim().bytes()));
    CreatorId { pid: std::process::id(), start_time, boot }
}

#[cfg(test)]
mod tests {
    use super::*;

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
