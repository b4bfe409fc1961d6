//! The worker's side: connects, and is handed its lane.

use knit_proto::{CONTROL_MESSAGE_BYTES, ControlFault, LaneMessage};
use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg, socket_with,
};
use rustix::process::{Signal, geteuid, getpid, kill_process};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

/// Descriptors that are told apart: more than a packet may have.
const DESCRIPTORS: usize = 4;

/// What a worker has been handed.
pub(crate) struct Taken {
    pub(crate) segment: OwnedFd,
    /// There when the host has a control channel.
    pub(crate) channel: Option<OwnedFd>,
}

/// Takes the lane of this epoch from the socket with this path. LANE-44.
pub(crate) fn take(path: &str, epoch: u32) -> Result<Taken, TakeError> {
    let system = |action| move |errno: Errno| TakeError::System { action, error: errno.into() };
    let address = SocketAddrUnix::new(path).map_err(system("use the path of the socket"))?;
    let (domain, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    let socket =
        socket_with(domain, kind, SocketFlags::CLOEXEC, None).map_err(system("make a socket"))?;
    loop {
        match connect(&socket, &address) {
            Ok(()) => break,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(system("connect to it")(errno)),
        }
    }
    // One byte more than the packet, so that a longer one shows.
    let mut bytes = [0; CONTROL_MESSAGE_BYTES as usize + 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let found = loop {
        let mut into = [IoSliceMut::new(&mut bytes)];
        // Waits: the host answers or ends, and in both cases this ends too.
        match recvmsg(&socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(found) => break found,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(system("receive the lane")(errno)),
        }
    };
    let files = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    let mut files: Vec<_> = files.flatten().collect();
    if found.bytes == 0 && files.is_empty() {
        return Err(TakeError::Closed);
    }
    // A few; those that the system has cut off count as one more.
    let count = files.len() as u32 + u32::from(found.flags.contains(ReturnFlags::CTRUNC));
    let message = LaneMessage::parse(&bytes[..found.bytes], count)?;
    if message.epoch != epoch {
        return Err(TakeError::Epoch { found: message.epoch, expected: epoch });
    }
    let channel = if files.len() > 1 { files.pop() } else { None };
    let segment = files.pop().ok_or(ControlFault::Descriptors { found: 0 })?;
    let stat = rustix::fs::fstat(&segment).map_err(system("look at the segment"))?;
    if stat.st_uid != geteuid().as_raw() {
        return Err(TakeError::Owner { found: stat.st_uid, expected: geteuid().as_raw() });
    }
    if i64::from(message.len) != stat.st_size {
        return Err(TakeError::Length { found: stat.st_size, expected: message.len });
    }
    Ok(Taken { segment, channel })
}

/// Ends this process when the host has: nobody else may hold the other end of the channel. The parent of a worker that came
/// to its lane by a name may live on when the host has ended.
pub(crate) fn end_with_host(channel: &OwnedFd) -> std::io::Result<()> {
    let channel = channel.try_clone()?;
    let watch = move || {
        loop {
            // A hang-up is told without being asked for.
            let mut fds = [PollFd::new(&channel, PollFlags::empty())];
            match rustix::event::poll(&mut fds, None) {
                Err(Errno::INTR) | Ok(0) => {}
                // At once, as the kernel ends a worker whose parent has ended.
                _ => {
                    let _ = kill_process(getpid(), Signal::KILL);
                    // The first process of a namespace cannot kill itself.
                    std::process::abort();
                }
            }
        }
    };
    std::thread::Builder::new().name("knit-host".to_owned()).spawn(watch).map(drop)
}

impl From<ControlFault> for TakeError {
    fn from(fault: ControlFault) -> Self {
        Self::Message(fault)
    }
}

/// Why a worker was not handed its lane.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    #[error("the host has closed the connection: it has ended, or the lane is another worker's")]
    Closed,
    #[error("what the socket sent is no lane: {0}")]
    Message(ControlFault),
    #[error("the socket sent a lane of epoch {found}, the boot description says {expected}")]
    Epoch { found: u32, expected: u32 },
    #[error("the segment belongs to user {found}, this worker is of user {expected}")]
    Owner { found: u32, expected: u32 },
    #[error("the segment has {found} bytes, {expected} were announced")]
    Length { found: i64, expected: u32 },
    #[error("cannot {action}: {error}")]
    System { action: &'static str, error: std::io::Error },
}
