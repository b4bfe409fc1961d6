//! Workers of the links: this executable, started again.

use crate::Failure;
use crate::jobs::Job;
use crate::link::{Client, Link, serve};
use crate::with_job;
use knit_cli::floor::{Cpus, FloorError, PATIENCE, Peer, Role, enter, leave};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

/// A way between two processes.
pub trait Rival {
    /// Environment variable of its workers, with the name of the job.
    const VARIABLE: &'static str;
    /// The host's end.
    type Host: Link;
    /// The worker's end.
    type Worker: Link;

    /// Makes the way and starts the process at its other end.
    ///
    /// # Errors
    ///
    /// The system, or the crate, refuses.
    fn start(&self, needs: &Needs<'_>) -> Result<(Self::Host, Peer), Failure>;

    /// In that process: its end of the way.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    fn attach() -> Result<Self::Worker, Failure>;
}

/// What a way must be able to do.
#[derive(Clone, Copy, Debug)]
pub struct Needs<'a> {
    /// Name of the job that its worker does.
    pub job: &'static str,
    /// Most bytes of a body, either way.
    pub largest: usize,
    /// Calls in flight; what does not fit the way waits in front of it.
    pub window: u32,
    /// Processors.
    pub cpus: &'a Cpus,
}

impl Needs<'_> {
    /// How many messages of these a way should hold. Few large ones go through memory that stays in
    /// a cache.
    #[must_use]
    pub fn slots(&self) -> usize {
        let most = if self.largest > 64 << 10 { 4 } else { 128 };
        (self.window as usize).min(most)
    }
}

/// Starts the worker of a rival, and gives the host's end.
///
/// # Errors
///
/// As [`Rival::start`].
pub fn client<J: Job, R: Rival>(
    rival: &R,
    window: u32,
    cpus: &Cpus,
) -> Result<Client<R::Host>, Failure> {
    let needs = Needs { job: J::NAME, largest: J::LARGEST, window, cpus };
    let (link, peer) = rival.start(&needs)?;
    Ok(Client::new(link, peer))
}

/// Does the work of a rival when this process was started for that, and then does not return.
pub fn serve_if_worker_of<R: Rival>() {
    let Some(job) = enter(R::VARIABLE) else { return };
    let served: Result<(), Failure> = with_job!(job.as_str(), |J| serve_one::<J, R>());
    leave(served);
}

fn serve_one<J: Job, R: Rival>() -> Result<(), Failure> {
    serve::<J>(R::attach()?)
}

/// Waits until a process that was told to end has done so, with status 0.
///
/// # Errors
///
/// It does not end, or with another status.
pub(crate) fn await_end(peer: &mut Peer) -> Result<(), Failure> {
    let since = Instant::now();
    loop {
        match peer.alive() {
            Err(FloorError::PeerEnded { status, .. }) if status.success() => return Ok(()),
            Err(error) => return Err(error.into()),
            Ok(()) if since.elapsed() > PATIENCE => {
                return Err(format!("a worker goes on for {PATIENCE:?} after its end").into());
            }
            // The condition is asked for again; how long this takes does not matter.
            Ok(()) => thread::sleep(Duration::from_micros(200)),
        }
    }
}

/// Starts a worker that finds `text` at its standard input: it calls [`setup`], then [`ready`].
pub(crate) fn start_with_text(
    variable: &'static str,
    needs: &Needs<'_>,
    text: &str,
) -> Result<(Readiness, Peer), Failure> {
    let (input, to_worker) = pipe_with(PipeFlags::CLOEXEC)?;
    let (from_worker, output) = pipe_with(PipeFlags::CLOEXEC)?;
    // It is shorter than a pipe is long.
    File::from(to_worker).write_all(text.as_bytes())?;
    let role = Role { variable, name: needs.job };
    let peer = Peer::start(role, input.into(), output.into(), needs.cpus)?;
    Ok((Readiness(from_worker), peer))
}

/// Says when a worker is ready.
pub(crate) struct Readiness(OwnedFd);

impl Readiness {
    /// Waits until the worker is ready.
    pub(crate) fn wait(self) -> Result<(), Failure> {
        let mut wanted = [PollFd::new(&self.0, PollFlags::IN)];
        let limit = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        if poll(&mut wanted, Some(&limit))? == 0 {
            return Err(format!("a worker is not ready after {PATIENCE:?}").into());
        }
        let mut word = [0; 1];
        match File::from(self.0).read(&mut word)? {
            1 => Ok(()),
            _ => Err("a worker has ended before it was ready".into()),
        }
    }
}

/// In a worker: the text at its standard input.
pub(crate) fn setup() -> Result<String, Failure> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// In a worker: tells its host that it is ready.
pub(crate) fn ready() -> Result<(), Failure> {
    let mut out = io::stdout();
    out.write_all(b"+")?;
    Ok(out.flush()?)
}

/// In a worker: a standard stream as a descriptor of its own, without a buffer.
pub(crate) fn own(stream: impl AsFd) -> Result<OwnedFd, Failure> {
    Ok(stream.as_fd().try_clone_to_owned()?)
}
