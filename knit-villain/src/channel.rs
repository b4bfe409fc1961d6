//! One end of the control channel, for messages that no side sends.

use crate::host::{SEALS, memfd};
use rustix::fs::SealFlags;
use rustix::io::IoSlice;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg,
};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Number of the buffers that are given in some odd way.
pub const NUMBER: u32 = 77;
/// Length of a buffer that is given, in bytes.
pub const LEN: u32 = 4096;

/// Most descriptors of one message.
const MOST: usize = 16;

/// What comes with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gift {
    /// No descriptor.
    Nothing,
    /// So many descriptors of a memfd as it has to be.
    Files(usize),
    /// `/dev/null`.
    Null,
    /// The end of a pipe.
    Pipe,
    /// A memfd of so many bytes with these bits of seals.
    Memfd(u64, u32),
}

/// One end of the control channel.
#[derive(Debug)]
pub struct Channel(OwnedFd);

impl Channel {
    /// The end that a worker inherits as descriptor 3.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn inherited() -> io::Result<Self> {
        Ok(Self(knit_ring::inherited_descriptor(3)?))
    }

    /// A host's end, and the one that its worker inherits.
    ///
    /// # Errors
    ///
    /// The system gives no sockets.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let (ours, theirs) = rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
        Ok((Self(ours), theirs))
    }

    /// Sends four words and what comes with them.
    ///
    /// # Errors
    ///
    /// The other side is gone, or the channel is full.
    pub fn send(&self, words: [u32; 4], gift: Gift) -> io::Result<()> {
        self.send_bytes(&words.map(u32::to_le_bytes).concat(), gift)
    }

    /// Gives a buffer as every side does.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub fn give(&self, number: u32) -> io::Result<()> {
        self.send([1, 1, number, LEN], Gift::Files(1))
    }

    /// Drops a buffer that `messages` messages of the lane name.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub fn drop_buffer(&self, number: u32, messages: u32) -> io::Result<()> {
        self.send([1, 2, number, messages], Gift::Nothing)
    }

    /// Sends a packet of these bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub fn send_bytes(&self, bytes: &[u8], gift: Gift) -> io::Result<()> {
        let pipe;
        let file: OwnedFd = match gift {
            Gift::Nothing | Gift::Files(_) => memfd(LEN.into(), SEALS)?,
            Gift::Null => File::open("/dev/null")?.into(),
            Gift::Pipe => {
                pipe = rustix::pipe::pipe()?;
                pipe.0.try_clone()?
            }
            Gift::Memfd(len, seals) => memfd(len, SealFlags::from_bits_retain(seals))?,
        };
        let count = match gift {
            Gift::Nothing => 0,
            Gift::Files(count) => count.min(MOST),
            _ => 1,
        };
        let files: Vec<BorrowedFd<'_>> = vec![file.as_fd(); count];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&files)) {
            return Err(io::Error::other("no room for the descriptors"));
        }
        sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// A message that breaks a clause: its packet, what comes with it, and how often it is sent.
#[derive(Clone, Debug)]
pub struct Misuse {
    /// Name of the case.
    pub name: &'static str,
    /// The clause that it breaks.
    pub clause: &'static str,
    /// The packet.
    pub packet: Vec<u8>,
    /// What comes with it.
    pub gift: Gift,
    /// How many of them, each with a number of its own in word 2; 0: twice the same.
    pub count: u32,
}

impl Misuse {
    /// Sends it. The other side may end meanwhile: then nobody listens.
    pub fn send(&self, channel: &Channel) {
        let mut packet = self.packet.clone();
        let (count, numbered) = match self.count {
            0 => (2, false),
            1 => (1, false),
            count => (count, true),
        };
        for number in 0..count {
            if numbered {
                packet[8..12].copy_from_slice(&(1000 + number).to_le_bytes());
            }
            if channel.send_bytes(&packet, self.gift).is_err() {
                return;
            }
        }
    }
}

/// Every message that no side may send. Rows are only ever added at the end.
#[must_use]
pub fn misuses() -> Vec<Misuse> {
    let all = SEALS.bits();
    let words = |words: [u32; 4]| words.map(u32::to_le_bytes).concat();
    let give = || words([1, 1, NUMBER, LEN]);
    let len = u64::from(LEN);
    let (shrink, grow, seal) =
        (SealFlags::SHRINK.bits(), SealFlags::GROW.bits(), SealFlags::SEAL.bits());
    let format = |name, packet, gift| Misuse { name, clause: "LANE-25", packet, gift, count: 1 };
    let file = |name, packet, gift| Misuse { name, clause: "LANE-28", packet, gift, count: 1 };
    let mut rows = vec![
        format("length-1", vec![1], Gift::Files(1)),
        format("length-15", vec![0; 15], Gift::Files(1)),
        format("length-17", [give(), vec![0]].concat(), Gift::Files(1)),
        format("length-4096", vec![1; 4096], Gift::Files(1)),
        format("version-0", words([0, 1, NUMBER, LEN]), Gift::Files(1)),
        format("version-2", words([2, 1, NUMBER, LEN]), Gift::Files(1)),
        format("version-max", words([u32::MAX, 1, NUMBER, LEN]), Gift::Files(1)),
        format("kind-0", words([1, 0, NUMBER, LEN]), Gift::Files(1)),
        format("kind-3", words([1, 3, NUMBER, LEN]), Gift::Files(1)),
        format("kind-max", words([1, u32::MAX, NUMBER, LEN]), Gift::Files(1)),
        format("no-file", give(), Gift::Nothing),
        format("two-files", give(), Gift::Files(2)),
        format("sixteen-files", give(), Gift::Files(16)),
        format("drop-with-a-file", words([1, 2, NUMBER, 0]), Gift::Files(1)),
        file("null", give(), Gift::Null),
        file("pipe", give(), Gift::Pipe),
        file("unsealed", give(), Gift::Memfd(len, 0)),
        file("shrinks", give(), Gift::Memfd(len, grow | seal)),
        file("grows", give(), Gift::Memfd(len, shrink | seal)),
        file("seals-open", give(), Gift::Memfd(len, shrink | grow)),
        file("sealed-against-writing", give(), Gift::Memfd(len, all | SealFlags::WRITE.bits())),
        file("empty", words([1, 1, NUMBER, 0]), Gift::Memfd(0, all)),
        file("length-of-6", words([1, 1, NUMBER, 6]), Gift::Memfd(6, all)),
        file("length-2-32", words([1, 1, NUMBER, 0]), Gift::Memfd(1 << 32, all)),
        file("states-more", words([1, 1, NUMBER, LEN + 4096]), Gift::Files(1)),
        file("states-less", words([1, 1, NUMBER, LEN - 4]), Gift::Files(1)),
        file("drops-unknown", words([1, 2, NUMBER, 0]), Gift::Nothing),
    ];
    rows.push(Misuse { count: 0, ..file("gives-twice", give(), Gift::Files(1)) });
    rows.push(Misuse { count: 257, ..file("flood", give(), Gift::Files(1)) });
    rows
}
