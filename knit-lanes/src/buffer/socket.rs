//! Messages of the control channel: a sequenced-packet socket between host and worker. LANE-25.

use knit_proto::{CONTROL_MESSAGE_BYTES, ControlFault, ControlMessage};
use knit_ring::inherited_descriptor;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair, sockopt,
};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// The descriptor that a worker inherits its end as. LANE-26.
pub(crate) const CHANNEL_FD: RawFd = 3;

/// What is asked of the system as room for messages on their way, in bytes. Linux doubles it and
/// counts some 800 bytes for a message, so that some 300 fit: fewer than [`MESSAGES_PER_DRAIN`].
const SEND_BUFFER: usize = 128 << 10;
/// Most messages that one look at a socket reads. All that an honest side can have sent before it
/// published a call are among them.
pub(super) const MESSAGES_PER_DRAIN: u32 = 1024;
/// Descriptors of a message that are told apart. Of more, the system drops the surplus and says so.
const DESCRIPTORS: usize = 4;

/// One end of a control channel. Nothing here blocks.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl From<OwnedFd> for Socket {
    fn from(end: OwnedFd) -> Self {
        Self(end)
    }
}

/// Why a message did not go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendFault {
    /// The other side has to read first.
    Full,
    /// The other side has no channel any more.
    Closed,
    /// The system refuses, whether the other side reads or not.
    Refused(Errno),
}

/// What a look at the socket found.
pub(super) enum Received {
    /// A message, and the descriptor of one that gives a buffer.
    Message(ControlMessage, Option<OwnedFd>),
    /// Nothing for now.
    Empty,
    /// The other side has closed its end: nothing will come any more.
    Closed,
}

impl Socket {
    /// A channel: this side's end, and the one that a worker inherits.
    pub(super) fn pair() -> Result<(Self, OwnedFd), Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        for end in [&ours, &theirs] {
            sockopt::set_socket_send_buffer_size(end, SEND_BUFFER)?;
        }
        Ok((Self(ours), theirs))
    }

    /// The end that this process has inherited; `None` when there is no such socket.
    pub(super) fn inherited() -> Option<Self> {
        let socket = inherited_descriptor(CHANNEL_FD).ok()?;
        let fits = sockopt::socket_domain(&socket) == Ok(AddressFamily::UNIX)
            && sockopt::socket_type(&socket) == Ok(SocketType::SEQPACKET);
        fits.then_some(Self(socket))
    }

    /// Waits until no process has the other end open, at most for `timeout`. Whether that is so.
    pub(super) fn hangs_up_within(&self, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let left = Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            // A hang-up is told without being asked for.
            let mut fds = [PollFd::new(&self.0, PollFlags::empty())];
            match rustix::event::poll(&mut fds, Some(&left)) {
                Err(Errno::INTR) => {}
                Ok(_) => return fds[0].revents().contains(PollFlags::HUP),
                Err(_) => return false,
            }
        }
    }

    /// Sends a message with the descriptors that belong to it.
    pub(super) fn send(
        &self,
        message: ControlMessage,
        files: &[BorrowedFd<'_>],
    ) -> Result<(), SendFault> {
        let bytes = message.to_bytes();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() && !control.push(SendAncillaryMessage::ScmRights(files)) {
            return Err(SendFault::Refused(Errno::NOBUFS));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        loop {
            return match sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut control, flags) {
                Ok(_) => Ok(()),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => Err(SendFault::Full),
                // The last one is what kernels before 6.2 say while the other end is closing.
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN | Errno::CONNREFUSED) => {
                    Err(SendFault::Closed)
                }
                Err(errno) => Err(SendFault::Refused(errno)),
            };
        }
    }

    /// The next message. Descriptors that do not belong to one are closed.
    pub(super) fn receive(&self) -> Result<Received, ControlFault> {
        // One byte more than a message, so that a longer one shows.
        let mut bytes = [0; CONTROL_MESSAGE_BYTES as usize + 1];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let found = loop {
            match recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags) {
                Ok(found) => break found,
                // The second one is said once, when the other side has ended without reading all. What it
                // has sent before comes after that.
                Err(Errno::INTR | Errno::CONNRESET) => {}
                Err(Errno::AGAIN) => return Ok(Received::Empty),
                Err(_) => return Ok(Received::Closed),
            }
        };
        let mut files: Vec<_> = control
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(files) => Some(files),
                _ => None,
            })
            .flatten()
            .collect();
        if found.bytes == 0 && files.is_empty() {
            return Ok(Received::Closed);
        }
        // A few; those that the system has cut off count as one more.
        let cut = found.flags.contains(ReturnFlags::CTRUNC);
        let descriptors = files.len() as u32 + u32::from(cut);
        match ControlMessage::parse(&bytes[..found.bytes], descriptors) {
            Ok(message) => Ok(Received::Message(message, files.pop())),
            Err(fault) => {
                dispose(files);
                Err(fault)
            }
        }
    }
}

/// Closes descriptors of files that are not known to be memfds: to close one of a file system of the peer's
/// lasts as long as the peer likes. A peer can do this once, before its lane is poisoned.
#[cold]
pub(super) fn dispose(files: Vec<OwnedFd>) {
    if files.is_empty() {
        return;
    }
    // Without a thread they stay open rather than hold this one up.
    let files = ManuallyDrop::new(files);
    let close = move || drop(ManuallyDrop::into_inner(files));
    let _ = std::thread::Builder::new().name("knit-close".to_owned()).spawn(close);
}
