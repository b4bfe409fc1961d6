//! A worker's end of the control channel, for messages that no worker sends.

#![allow(dead_code, reason = "each user misbehaves in some of the ways")]

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::IoSlice;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg,
};
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The number of the buffers that are given in some odd way.
pub const NUMBER: u32 = 7;
const LEN: u32 = 4096;
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

pub struct Channel(OwnedFd);

impl Channel {
    pub fn inherited() -> Self {
        Self(knit_ring::inherited_descriptor(3).expect("a channel"))
    }

    /// A host's end, and the one that its worker inherits.
    pub fn pair() -> (Self, OwnedFd) {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let pair = rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.expect("a socket");
        (Self(ours), theirs)
    }

    /// Sends what `mode` says: [`Self::give`] and the one thing that is wrong.
    pub fn misuse(&self, mode: &str) {
        let file = memfd(SEALS);
        let one = [file.as_fd()];
        let give = [1, 1, NUMBER, LEN];
        match mode {
            "channel-length" => self.send(&[0; 15], &one),
            "channel-long" => self.send(&[0; 4096], &one),
            "channel-version" => self.send_words([2, 1, NUMBER, LEN], &one),
            "channel-kind" => self.send_words([1, 3, NUMBER, LEN], &one),
            "channel-no-file" => self.send_words(give, &[]),
            "channel-two-files" => self.send_words(give, &[file.as_fd(), file.as_fd()]),
            "channel-many-files" => self.send_words(give, &[file.as_fd(); 16]),
            "channel-null" => {
                let null = File::open("/dev/null").expect("Linux");
                self.send_words(give, &[null.as_fd()]);
            }
            "channel-unsealed" => {
                self.send_words(give, &[memfd(SealFlags::GROW.union(SealFlags::SEAL)).as_fd()]);
            }
            "channel-stated-length" => self.send_words([1, 1, NUMBER, LEN + 4096], &one),
            "channel-drop" => self.send_words([1, 2, NUMBER, 0], &[]),
            "channel-twice" => (0..2).for_each(|_| self.give(NUMBER)),
            "channel-flood" => (0..257).for_each(|number| self.give(number)),
            other => panic!("no mode is called {other}"),
        }
    }

    /// Gives a buffer as every worker does.
    pub fn give(&self, number: u32) {
        self.send_words([1, 1, number, LEN], &[memfd(SEALS).as_fd()]);
    }

    fn send_words(&self, words: [u32; 4], files: &[BorrowedFd<'_>]) {
        self.send(&words.map(u32::to_le_bytes).concat(), files);
    }

    fn send(&self, bytes: &[u8], files: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(files)));
        }
        let sent = sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL);
        sent.expect("the host has not gone, and there is room");
    }
}

fn memfd(seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    let file = rustix::fs::memfd_create(c"knit-buffer-villain", flags).expect("a memfd");
    rustix::fs::ftruncate(&file, LEN.into()).expect("a length");
    rustix::fs::fcntl_add_seals(&file, seals).expect("seals");
    file
}
