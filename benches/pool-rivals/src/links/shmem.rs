//! `shmem_ipc`: a ring of bytes each way, in memfds.

use super::stream::{ByteStream, Framed};
use crate::Failure;
use crate::link::HEAD;
use crate::peer::{Needs, Rival, ready, setup, start_with_text};
use crate::raw;
use knit_cli::floor::Peer;
use rustix::event::{EventfdFlags, eventfd};
use shmem_ipc::sharedring::{Receiver, Sender};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process;

/// Rings that are polled.
#[derive(Clone, Copy, Debug)]
pub struct SharedRing;

/// Room of a ring for messages that are not large.
const SMALL_RING: usize = 256 << 10;

/// Both rings of one side.
pub struct Rings {
    sender: Sender<u8>,
    receiver: Receiver<u8>,
}

impl Rival for SharedRing {
    const VARIABLE: &'static str = "KNIT_RIVAL_SHMEM_IPC";
    type Host = Framed<Rings>;
    type Worker = Framed<Rings>;

    fn start(&self, needs: &Needs<'_>) -> Result<(Self::Host, Peer), Failure> {
        let capacity = SMALL_RING.max(2 * (needs.largest + HEAD));
        let (sender, receiver) = (Sender::new(capacity)?, Receiver::new(capacity)?);
        let path = |file: &File| format!("/proc/{}/fd/{}", process::id(), file.as_raw_fd());
        let (to, from) = (path(sender.memfd().as_file()), path(receiver.memfd().as_file()));
        let text = format!("{capacity}\n{to}\n{from}");
        let (worker, peer) = start_with_text(Self::VARIABLE, needs, &text)?;
        worker.wait()?;
        Ok((Framed::new(Rings { sender, receiver }), peer))
    }

    fn attach() -> Result<Self::Worker, Failure> {
        let text = setup()?;
        let mut lines = text.lines();
        let mut line = || lines.next().ok_or("a line of the setup is missing");
        let capacity = line()?.parse()?;
        let open = |path: &str| File::options().read(true).write(true).open(PathBuf::from(path));
        // The events of this side: nothing sleeps, so nobody wakes.
        let event = || -> Result<File, Failure> { Ok(eventfd(0, EventfdFlags::CLOEXEC)?.into()) };
        let receiver = Receiver::open(capacity, open(line()?)?, event()?, event()?)?;
        let sender = Sender::open(capacity, open(line()?)?, event()?, event()?)?;
        ready()?;
        Ok(Framed::new(Rings { sender, receiver }))
    }
}

impl ByteStream for Rings {
    fn write(&mut self, head: &[u8], body: &[u8]) -> Result<usize, Failure> {
        raw::ring_write(self.sender.sender_mut(), [head, body])
    }

    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<(), Failure> {
        raw::ring_read(self.receiver.receiver_mut(), bytes)
    }
}
