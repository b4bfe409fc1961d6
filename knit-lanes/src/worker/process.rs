//! A worker that is a process: what it inherits, and whose end it follows.

use super::bell::Bell;
use super::{EXIT_BOOT_FAILED, EXIT_WARM_UP_FAILED, Memory, OpenError, Worker, complain};
use crate::buffer::link::Link;
use crate::debug;
use crate::named;
use crate::tasks::Tasks;
use crate::{Boot, BootError};
use knit_ring::{FutexPair, Mapping, MemfdError};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use std::os::fd::OwnedFd;

/// Serves calls until the host closes the lane. Returns the exit status.
pub(crate) fn serve(tasks: &Tasks) -> i32 {
    match boot(tasks) {
        Ok(mut worker) => worker.serve(),
        Err(error) => {
            complain(&error);
            match error {
                ServeError::Open(OpenError::WarmUp(_)) => EXIT_WARM_UP_FAILED,
                _ => EXIT_BOOT_FAILED,
            }
        }
    }
}

fn boot(tasks: &Tasks) -> Result<Worker<'_>, ServeError> {
    let boot = Boot::from_env()?;
    debug::begin_worker(debug::Worker { lane: boot.lane, epoch: boot.epoch });
    follow_host(&boot)?;
    if !boot.new_privileges {
        rustix::thread::set_no_new_privs(true)
            .map_err(ServeError::system("give up new privileges"))?;
    }
    let max_buffers = boot.max_buffers;
    let is_named = boot.socket.is_some();
    let (memory, channel) = match &boot.socket {
        Some(path) => take_named(path, boot.epoch)?,
        None => (take_segment()?, None),
    };
    // Only a worker with futures waits for more than the host.
    let threads = if tasks.has_futures() {
        FutexPair::check().map_err(|error| ServeError::System {
            action: "wait for several futexes at once",
            error,
        })?;
        Some(FutexPair::default())
    } else {
        None
    };
    let bell = Bell::new(threads).with_inherited_eventfd(boot.eventfd);
    let link = || match channel {
        Some(channel) => Some(Link::over(channel, max_buffers)),
        None if is_named => None,
        None => Link::inherited(max_buffers),
    };
    Ok(Worker::open(&memory, boot, link, bell, tasks)?)
}

/// Takes segment and control channel from the host's socket. This process ends with the host from then on.
fn take_named(path: &str, epoch: u32) -> Result<(Memory, Option<OwnedFd>), ServeError> {
    let failed = |error| ServeError::Named { path: path.to_owned(), error };
    let lane = named::take(path, epoch).map_err(failed)?;
    let memory = Mapping::attach(lane.segment)?;
    if let Some(channel) = &lane.channel {
        named::end_with_host(channel)
            .map_err(|error| ServeError::System { action: "follow the host", error })?;
    }
    Ok((memory, lane.channel))
}

/// Makes the kernel end this process when its parent ends, and refuses to begin when the host has
/// ended already.
fn follow_host(boot: &Boot) -> Result<(), ServeError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(ServeError::system("follow the host's process"))?;
    let host = i32::try_from(boot.host_pid).ok().and_then(Pid::from_raw);
    let Some(host) = host else { return Err(ServeError::HostGone { host: boot.host_pid }) };
    // The host may have ended before the line above. Its id tells, unless it is our parent, or means
    // nothing here because it is of another pid namespace, or of one that is not known.
    let own = crate::process::pid_namespace();
    let same_namespace = own != 0 && own == boot.host_pid_namespace;
    let gone = same_namespace
        && rustix::process::getppid() != Some(host)
        && crate::process::has_ended(host);
    if gone { Err(ServeError::HostGone { host: boot.host_pid }) } else { Ok(()) }
}

/// Takes the segment off standard input and puts `/dev/null` in its place.
fn take_segment() -> Result<Memory, ServeError> {
    let file = rustix::stdio::stdin().try_clone_to_owned().map_err(|error| ServeError::System {
        action: "take the segment from standard input",
        error,
    })?;
    let memory = Mapping::attach(file)?;
    let null = std::fs::File::open("/dev/null")
        .map_err(|error| ServeError::System { action: "open /dev/null", error })?;
    rustix::stdio::dup2_stdin(&null).map_err(ServeError::system("replace standard input"))?;
    Ok(memory)
}

/// Why a worker process could not begin to serve.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Boot(#[from] BootError),
    #[error("the host's socket {path} does not hand over a lane: {error}")]
    Named { path: String, error: named::TakeError },
    #[error("standard input is not a segment of this pool: {0}")]
    Memfd(#[from] MemfdError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the host (process {host}) has ended already")]
    HostGone { host: u32 },
    #[error("cannot {action}: {error}")]
    System { action: &'static str, error: std::io::Error },
}

impl ServeError {
    fn system(action: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::System { action, error: errno.into() }
    }
}
