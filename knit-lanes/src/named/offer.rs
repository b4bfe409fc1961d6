//! The host's side: a socket with a name, and what is handed to the first that connects.

use super::Name;
use crate::debug::say;
use crate::error::StartError;
use knit_proto::{CreatorId, LaneMessage};
use knit_ring::Origin;
use rustix::fs::Mode;
use rustix::io::{Errno, IoSlice};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, accept_with, bind, listen, sendmsg, socket_with,
};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use tracing::field::display;

/// Connections that may wait: more than one only where others of this user meddle.
const BACKLOG: i32 = 8;

/// A lane that its worker has not taken yet. Dropping it removes the name. LANE-43.
#[derive(Debug)]
pub(crate) struct Offer {
    path: PathBuf,
    listener: OwnedFd,
    message: LaneMessage,
    /// The worker's end of the control channel, and a descriptor of the segment.
    channel: OwnedFd,
    segment: OwnedFd,
    /// Children of this process do not remove its names.
    origin: Origin,
}

impl Offer {
    /// Makes a socket in the directory that nobody but this user can connect to.
    pub(crate) fn new(
        directory: &Path,
        creator: &CreatorId,
        message: LaneMessage,
        segment: OwnedFd,
        channel: OwnedFd,
    ) -> Result<Self, StartError> {
        let failed = StartError::system;
        let refuse = |problem| StartError::Setting { setting: "named_lanes", problem };
        let name = Name::fresh(creator).map_err(failed("choose a name for the lane"))?;
        let path = directory.join(name.to_string());
        if path.to_str().is_none() {
            // The boot description is JSON.
            return Err(refuse(format!("{} is not UTF-8", directory.display())));
        }
        let address = SocketAddrUnix::new(&path).map_err(|_| {
            refuse(format!("{}: the path of a socket may have 107 bytes", path.display()))
        })?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .map_err(|errno| failed("make the lane's socket")(errno.into()))?;
        // Before it has a name, which gets the mode of the socket: at no moment may others connect.
        rustix::fs::fchmod(&listener, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| failed("keep the lane's socket from other users")(errno.into()))?;
        bind(&listener, &address).map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR => {
                refuse(format!("{} is no directory", directory.display()))
            }
            errno => failed("name the lane's socket")(errno.into()),
        })?;
        let offer = Self { path, listener, message, channel, segment, origin: Origin::here() };
        listen(&offer.listener, BACKLOG)
            .map_err(|errno| failed("listen on the lane's socket")(errno.into()))?;
        Ok(offer)
    }

    /// Where the worker connects.
    pub(crate) fn path(&self) -> &str {
        self.path.to_str().unwrap_or_else(|| unreachable!("checked when it was made"))
    }

    /// What is readable when somebody has connected.
    pub(crate) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Hands the lane to who has connected. Whether the offer is over: then it is to be dropped.
    pub(crate) fn serve(&self) -> bool {
        let connection = match accept_with(&self.listener, SocketFlags::CLOEXEC) {
            Ok(connection) => connection,
            // Whoever it was has thought better of it.
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return false,
            Err(errno) => {
                not_handed_over(errno);
                return true;
            }
        };
        // Before the worker can go on: once it is ready, no end of this process leaves a name behind.
        self.remove();
        let bytes = self.message.to_bytes();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let files = [self.segment.as_fd(), self.channel.as_fd()];
        if control.push(SendAncillaryMessage::ScmRights(&files)) {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            // A new connection has room for one packet. Whoever has closed it already was not the worker, or ends.
            if let Err(errno) = sendmsg(&connection, &[IoSlice::new(&bytes)], &mut control, flags) {
                not_handed_over(errno);
            }
        }
        true
    }

    fn remove(&self) {
        // Somebody may have removed it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The worker finds its connection closed or no socket, and ends; the lane gets another one.
fn not_handed_over(errno: Errno) {
    say!(WARN, LIFECYCLE, "a lane was not handed over to its worker", error = display(errno));
}

impl Drop for Offer {
    fn drop(&mut self) {
        if self.origin.is_here() {
            self.remove();
        }
    }
}
