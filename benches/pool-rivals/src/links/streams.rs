//! Unix sockets and pipes.

use super::stream::{ByteStream, Framed};
use crate::Failure;
use crate::link::{NAP, Slept};
use crate::peer::{Needs, Rival, own};
use knit_cli::floor::{Peer, Role};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio, read, writev};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

/// A pair of stream sockets. Both sides are polled.
#[derive(Clone, Copy, Debug)]
pub struct PolledSocket;

/// The same; who has nothing to do sleeps.
#[derive(Clone, Copy, Debug)]
pub struct Socket;

/// A pipe each way. Both sides are polled.
#[derive(Clone, Copy, Debug)]
pub struct PolledPipe;

/// The same; who has nothing to do sleeps.
#[derive(Clone, Copy, Debug)]
pub struct Pipe;

/// The descriptors of one side. They do not block.
pub struct Descriptors {
    reader: OwnedFd,
    writer: OwnedFd,
    sleeps: bool,
}

macro_rules! rival {
    ($rival:ident, $variable:literal, $start:ident, $sleeps:literal) => {
        impl Rival for $rival {
            const VARIABLE: &'static str = $variable;
            type Host = Framed<Descriptors>;
            type Worker = Framed<Descriptors>;

            fn start(&self, needs: &Needs<'_>) -> Result<(Self::Host, Peer), Failure> {
                $start(Self::VARIABLE, needs, $sleeps)
            }

            fn attach() -> Result<Self::Worker, Failure> {
                let (reader, writer) = (own(io::stdin())?, own(io::stdout())?);
                Ok(Framed::new(Descriptors::new(reader, writer, $sleeps)?))
            }
        }
    };
}

rival!(PolledSocket, "KNIT_RIVAL_POLLED_SOCKET", sockets, false);
rival!(Socket, "KNIT_RIVAL_SOCKET", sockets, true);
rival!(PolledPipe, "KNIT_RIVAL_POLLED_PIPE", pipes, false);
rival!(Pipe, "KNIT_RIVAL_PIPE", pipes, true);

fn sockets(
    variable: &'static str,
    needs: &Needs<'_>,
    sleeps: bool,
) -> Result<(Framed<Descriptors>, Peer), Failure> {
    let (ours, theirs) = UnixStream::pair()?;
    let (reader, writer) = (OwnedFd::from(ours.try_clone()?), OwnedFd::from(ours));
    let (input, output) = (OwnedFd::from(theirs.try_clone()?), OwnedFd::from(theirs));
    start(variable, needs, sleeps, (reader, writer), (input, output))
}

fn pipes(
    variable: &'static str,
    needs: &Needs<'_>,
    sleeps: bool,
) -> Result<(Framed<Descriptors>, Peer), Failure> {
    let ((input, writer), (reader, output)) =
        (pipe_with(PipeFlags::CLOEXEC)?, pipe_with(PipeFlags::CLOEXEC)?);
    start(variable, needs, sleeps, (reader, writer), (input, output))
}

fn start(
    variable: &'static str,
    needs: &Needs<'_>,
    sleeps: bool,
    (reader, writer): (OwnedFd, OwnedFd),
    (input, output): (OwnedFd, OwnedFd),
) -> Result<(Framed<Descriptors>, Peer), Failure> {
    let role = Role { variable, name: needs.job };
    let peer = Peer::start(role, Stdio::from(input), Stdio::from(output), needs.cpus)?;
    Ok((Framed::new(Descriptors::new(reader, writer, sleeps)?), peer))
}

impl Descriptors {
    fn new(reader: OwnedFd, writer: OwnedFd, sleeps: bool) -> Result<Self, Failure> {
        ioctl_fionbio(&reader, true)?;
        ioctl_fionbio(&writer, true)?;
        Ok(Self { reader, writer, sleeps })
    }
}

impl ByteStream for Descriptors {
    fn write(&mut self, head: &[u8], body: &[u8]) -> Result<usize, Failure> {
        match writev(&self.writer, &[IoSlice::new(head), IoSlice::new(body)]) {
            Ok(bytes) => Ok(bytes),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<(), Failure> {
        match read(&self.reader, spare_capacity(bytes)) {
            Ok(0) => Err("the other side hung up".into()),
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn sleep(&mut self, room_wanted: bool) -> Result<Slept, Failure> {
        if !self.sleeps {
            return Ok(Slept::Never);
        }
        let reader = PollFd::new(&self.reader, PollFlags::IN);
        let writer = PollFd::new(&self.writer, PollFlags::OUT);
        let mut wanted = [reader, writer];
        let wanted = if room_wanted { &mut wanted[..] } else { &mut wanted[..1] };
        let nap = Timespec { tv_sec: 0, tv_nsec: NAP.subsec_nanos().into() };
        match poll(wanted, Some(&nap)) {
            Ok(0) => Ok(Slept::Long),
            Ok(_) | Err(Errno::INTR) => Ok(Slept::Woken),
            Err(error) => Err(error.into()),
        }
    }
}
