//! The other side of a control channel: a bare socket, and files of all kinds.

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::{IoSlice, IoSliceMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::LazyLock;

/// What a descriptor stands for that the peer sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Paper {
    /// A sealed memfd of so many bytes.
    Good(u32),
    /// One that can still be made shorter.
    NotSealed,
    /// One that nobody can write.
    ReadOnly,
    /// One of an odd length.
    Odd,
    /// No memfd.
    Other,
}

/// Length of a file of one page, in bytes.
const PAGE: u32 = 4096;
/// Length of the odd one, in bytes.
const ODD: u32 = 4097;

impl Paper {
    pub(super) fn of(byte: u8) -> Self {
        match byte % 8 {
            2 => Self::NotSealed,
            3 => Self::ReadOnly,
            4 => Self::Odd,
            5 => Self::Other,
            6 => Self::Good(4),
            _ => Self::Good(PAGE),
        }
    }

    /// The length that an honest side states.
    pub(super) fn len(self) -> u32 {
        match self {
            Self::Good(len) => len,
            Self::Odd => ODD,
            _ => PAGE,
        }
    }

    /// Whether the system tells of any seals.
    pub(super) fn has_seals(self) -> bool {
        self != Self::Other
    }

    /// Whether it may be given.
    pub(super) fn is_good(self) -> bool {
        matches!(self, Self::Good(_))
    }

    fn file(self) -> BorrowedFd<'static> {
        static FILES: LazyLock<Files> = LazyLock::new(Files::new);
        let files = &*FILES;
        match self {
            Self::Good(4) => &files.word,
            Self::Good(_) => &files.page,
            Self::NotSealed => &files.not_sealed,
            Self::ReadOnly => &files.read_only,
            Self::Odd => &files.odd,
            Self::Other => &files.other,
        }
        .as_fd()
    }
}

/// Made once: a file may be sent any number of times.
struct Files {
    page: OwnedFd,
    word: OwnedFd,
    not_sealed: OwnedFd,
    read_only: OwnedFd,
    odd: OwnedFd,
    other: OwnedFd,
}

impl Files {
    fn new() -> Self {
        let sealed = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        Self {
            page: memfd(PAGE, sealed),
            word: memfd(4, sealed),
            not_sealed: memfd(PAGE, SealFlags::GROW.union(SealFlags::SEAL)),
            read_only: memfd(PAGE, sealed.union(SealFlags::WRITE)),
            odd: memfd(ODD, sealed),
            other: null.expect("a device of every system"),
        }
    }
}

fn memfd(len: u32, seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    let file = rustix::fs::memfd_create(c"knit-fuzz", flags).expect("a descriptor");
    rustix::fs::ftruncate(&file, len.into()).expect("a new file");
    rustix::fs::fcntl_add_seals(&file, seals).expect("a file without seals");
    file
}

/// The peer's end; `None` once it is closed.
pub(super) struct Peer(Option<OwnedFd>);

impl Peer {
    pub(super) fn new(socket: OwnedFd) -> Self {
        LazyLock::force(&FIRST);
        Self(Some(socket))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn close(&mut self) {
        self.0 = None;
    }

    /// Sends a packet with these files; false when it did not go out.
    pub(super) fn send(&self, bytes: &[u8], papers: &[Paper]) -> bool {
        let Some(socket) = &self.0 else { return false };
        let files: Vec<_> = papers.iter().map(|paper| paper.file()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(files.is_empty() || control.push(SendAncillaryMessage::ScmRights(&files)));
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags).is_ok()
    }

    /// The next packet with its descriptors; `None` when there is none.
    pub(super) fn receive(&self) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
        let mut bytes = vec![0; 64];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let socket = self.0.as_ref()?;
        let mut into = [IoSliceMut::new(&mut bytes)];
        let found = recvmsg(socket, &mut into, &mut control, flags).ok()?;
        let files = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(files) => Some(files),
            _ => None,
        });
        let files = files.flatten().collect();
        bytes.truncate(found.bytes);
        Some((bytes, files))
    }
}

/// The threads of this process, by their ids.
fn threads() -> BTreeSet<OsString> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    tasks.filter_map(|task| Some(task.ok()?.file_name())).collect()
}

/// The threads that were there before the first packet was sent.
static FIRST: LazyLock<BTreeSet<OsString>> = LazyLock::new(threads);

/// Waits for the thread that closes the descriptors of a packet which was refused. What a thread has allocated while it begins
/// is a leak to a sanitizer that looks just then. Until it has a name of its own it has that of its maker.
pub(super) fn until_disposed() {
    let name =
        |thread: &str| std::fs::read_to_string(format!("/proc/{thread}/comm")).unwrap_or_default();
    let own = name("thread-self");
    let is_closing = |thread: &OsString| {
        let name = name(&format!("self/task/{}", thread.to_string_lossy()));
        name.trim_end() == "knit-close" || name == own
    };
    let this = std::fs::read_link("/proc/thread-self").ok();
    let this = this.as_deref().and_then(Path::file_name);
    let others = || threads().into_iter().filter(|thread| !FIRST.contains(thread));
    while others().any(|thread| Some(&*thread) != this && is_closing(&thread)) {
        std::thread::yield_now();
    }
}
