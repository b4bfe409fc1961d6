//! The second process: this executable, started again.

use super::{Cpus, FloorError};
use knit_ring::{Mapped, Mapping};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::env;
use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::parent_id;
use std::process::{self, Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Environment variable with the process id of the first process.
const PARENT: &str = "KNIT_FLOOR_PARENT";

/// A part for the second process to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    /// Environment variable that carries the name; whoever measures has one of their own.
    pub variable: &'static str,
    /// Name of the part.
    pub name: &'static str,
}

/// The second process, seen from the first. Dropping it ends and reaps the process.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    role: Role,
}

impl Peer {
    /// Starts this executable again to play `role`, on the second processor of `cpus`.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn start(role: Role, stdin: Stdio, stdout: Stdio, cpus: &Cpus) -> Result<Self, FloorError> {
        let executable = env::current_exe().map_err(FloorError::system("find this executable"))?;
        let child = Command::new(executable)
            .env(role.variable, role.name)
            .env(PARENT, process::id().to_string())
            .stdin(stdin)
            .stdout(stdout)
            .spawn()
            .map_err(FloorError::system("start the second process"))?;
        let peer = Self { child, role };
        cpus.pin_peer(peer.child.id())?;
        Ok(peer)
    }

    /// Starts a peer that has `memory` as its standard input; it calls [`shared_memory`].
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_with_memory(
        role: Role,
        memory: &Mapped<Mapping>,
        cpus: &Cpus,
    ) -> Result<Self, FloorError> {
        let file = memory
            .backing()
            .file()
            .try_clone_to_owned()
            .map_err(FloorError::system("duplicate the memfd"))?;
        Self::start(role, file.into(), Stdio::null(), cpus)
    }

    /// Process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Checks that the process has not ended.
    ///
    /// # Errors
    ///
    /// [`FloorError::PeerEnded`].
    pub fn alive(&mut self) -> Result<(), FloorError> {
        match self.child.try_wait().map_err(FloorError::system("ask for the second process"))? {
            None => Ok(()),
            Some(status) => Err(FloorError::PeerEnded { role: self.role.name, status }),
        }
    }

    /// Ends of the pipes that the peer was started with, if it was.
    pub(super) fn take_pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>) {
        (self.child.stdin.take(), self.child.stdout.take())
    }

    /// The error for a connection that the peer closed: it has ended, or is about to.
    pub(super) fn hung_up(&mut self) -> FloorError {
        match self.child.wait() {
            Ok(status) => FloorError::PeerEnded { role: self.role.name, status },
            Err(source) => FloorError::System { action: "wait for the second process", source },
        }
    }

    /// The error for a peer that did not answer.
    pub(super) fn silent(&self, after: Duration) -> FloorError {
        FloorError::Silent { role: self.role.name, after }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail only when the process has been reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In a second process: the name of the part that `variable` gives it. The process now ends when
/// the thread that started it does. `None` in any other process.
#[must_use]
pub fn enter(variable: &str) -> Option<String> {
    let name = env::var(variable).ok()?;
    let signal = set_parent_process_death_signal(Some(Signal::KILL));
    let parent = env::var(PARENT).ok().and_then(|id| id.parse().ok());
    if let Err(errno) = signal {
        leave(Err::<(), _>(format!("cannot tie this process to its parent: {errno}")));
    }
    // The parent may have died before the signal was asked for.
    if parent != Some(parent_id()) {
        leave(Err::<(), _>("the process that started this one is gone"));
    }
    Some(name)
}

/// Ends a second process.
pub fn leave<E: Display>(result: Result<(), E>) -> ! {
    match result {
        Ok(()) => process::exit(0),
        Err(error) => {
            eprintln!("second process: {error}");
            process::exit(1)
        }
    }
}

/// In a second process that was started with it: the shared memory.
///
/// # Errors
///
/// The standard input is no sealed memfd.
pub fn shared_memory() -> Result<Mapped<Mapping>, FloorError> {
    Ok(Mapping::attach(standard_input()?)?)
}

/// The standard input as a descriptor of its own, without a buffer.
pub(super) fn standard_input() -> Result<OwnedFd, FloorError> {
    io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(FloorError::system("duplicate the standard input"))
}

/// The standard output as a descriptor of its own, without a buffer.
pub(super) fn standard_output() -> Result<OwnedFd, FloorError> {
    io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .map_err(FloorError::system("duplicate the standard output"))
}
