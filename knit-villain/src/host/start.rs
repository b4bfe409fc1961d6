//! How a hostile host starts its worker: the segment, the boot description, the control channel.

use crate::line::Memory;
use knit_proto::{
    CreatorId, ExtensionBytes, Features, Geometry, HeaderFields, LaneKind, LaneState, Layout,
    PAGE_BYTES, RawHeader, Span, Version,
};
use knit_ring::{Mapping, SharedBytes, SharedMemory, SharedWord};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

/// Epoch of every segment.
pub const EPOCH: u32 = 7;
/// Longest payload of every lane, in bytes.
pub const LIMIT: u32 = 128 << 10;
/// The tasks that a worker under test has, and one that it does not have. The contract of
/// `docs/villain.md`.
pub const TASKS: [&str; 3] = ["echo", "sum", "absent"];
/// Index of `echo`.
pub const ECHO: u32 = 0;
/// Index of `sum`.
pub const SUM: u32 = 1;
/// Index of `absent`.
pub const ABSENT: u32 = 2;
/// Bytes of both arenas.
const ARENA: u32 = 1 << 20;
/// What an honest host does with the file of a segment.
pub const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// Changes the boot description: takes the honest one.
pub type BootChange = Box<dyn Fn(Value) -> OsString + Send + Sync>;

/// What the worker gets as standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// The segment.
    Segment,
    /// `/dev/null`.
    Null,
    /// A pipe.
    Pipe,
    /// A file of the file system with the bytes of a segment.
    Plain,
    /// A folder.
    Folder,
    /// A memfd of so many bytes without anything in it, sealed with these bits.
    Memfd(u64, u32),
    /// The segment in a memfd that is so many bytes longer or shorter, sealed.
    Longer(i32),
    /// The segment in a memfd with these bits of seals.
    Seals(u32),
    /// The segment, opened for reading alone.
    ReadOnly,
}

/// What the host stores into its own control line before it publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// The features that the worker has accepted.
    Accepted,
    /// Nothing.
    Nothing,
    /// Those of the worker with these bits flipped.
    Flipped(u32),
}

/// What the worker gets as descriptor 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Third {
    /// Nothing, and the feature is not offered.
    Nothing,
    /// A control channel, and the feature is offered.
    Channel,
    /// The feature is offered, without a channel.
    Offered,
    /// The feature is offered; the descriptor is `/dev/null`.
    Null,
    /// The feature is offered; the descriptor is a stream socket.
    Stream,
}

/// How a worker is started. The default is an honest host.
pub struct Start {
    /// Changes the boot description.
    pub boot: Option<BootChange>,
    /// Header words that are other ones, by index.
    pub header: Vec<(usize, u32)>,
    /// Abort signals of the lane.
    pub signals: u32,
    /// Pages of the extension.
    pub pages: u32,
    /// State of the host when the worker starts.
    pub state: u32,
    /// Epoch in the host's control line.
    pub epoch: u32,
    /// Standard input.
    pub stdin: Stdin,
    /// Features that are locked.
    pub lock: Lock,
    /// Descriptor 3.
    pub third: Third,
    /// Whether a journal is wanted, and calls may be withdrawn.
    pub withdraw: bool,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            boot: None,
            header: Vec::new(),
            signals: 0,
            pages: 1,
            state: LaneState::Open.word(),
            epoch: EPOCH,
            stdin: Stdin::Segment,
            lock: Lock::Accepted,
            third: Third::Nothing,
            withdraw: false,
        }
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("header", &self.header)
            .field("stdin", &self.stdin)
            .field("third", &self.third)
            .finish_non_exhaustive()
    }
}

impl Start {
    /// The segment: honest but for the words that are other ones.
    ///
    /// # Errors
    ///
    /// The machine has no memory for it.
    ///
    /// # Panics
    ///
    /// A case asks for more abort signals than there are.
    pub fn segment(&self) -> io::Result<(Memory, Layout)> {
        let layout = Layout::new(self.fields());
        let memory = Mapping::create(layout.len()).map_err(io::Error::other)?;
        self.write(&memory, &layout);
        Ok((memory, layout))
    }

    /// The header that an honest host would write.
    ///
    /// # Panics
    ///
    /// A case asks for more abort signals than there are.
    #[must_use]
    pub fn fields(&self) -> HeaderFields {
        let handles = match self.third {
            Third::Nothing => Features::NONE,
            _ => Features::BUFFER_HANDLES,
        };
        let withdraw = match self.withdraw {
            true => Features::JOURNAL.or(Features::WITHDRAW),
            false => Features::NONE,
        };
        let geometry = Geometry::new(ARENA, ARENA, self.signals).expect("a geometry of lanes");
        HeaderFields {
            version: Version::CURRENT,
            required: Features::FUTEX_BELLS,
            optional: Features::STAMPS.or(handles).or(withdraw),
            epoch: EPOCH,
            creator: CreatorId { pid: std::process::id(), start_time: 0, boot: 0 },
            kind: LaneKind::Process,
            geometry,
            extension: ExtensionBytes::new(self.pages * PAGE_BYTES).expect("pages"),
            tasks: hash(TASKS.iter().flat_map(|name| name.bytes().chain([0]))),
            request_reserved: 64 << 10,
            response_reserved: 64 << 10,
        }
    }

    fn write(&self, memory: &Memory, layout: &Layout) {
        let mut header = RawHeader::encode(layout.fields());
        for (index, word) in &self.header {
            header.0[*index] = *word;
        }
        let page = memory.bytes(Span::new(0, knit_proto::HEADER_BYTES).expect("a span"));
        page.and_then(|page| page.store_words(0, &header.0)).expect("the header lies inside");
        let control = layout.host_control();
        let store = |at, value| memory.word(at).expect("inside").store_release(value);
        store(control.epoch, self.epoch);
        store(control.pid, std::process::id());
        store(control.state, self.state);
    }

    /// The boot description.
    #[must_use]
    pub fn description(&self) -> OsString {
        let namespace = std::fs::metadata("/proc/self/ns/pid").map_or(0, |file| file.ino());
        let honest = json!({
            "version": 1,
            "epoch": EPOCH,
            "lane": 0,
            "host_pid": std::process::id(),
            "host_pid_namespace": namespace,
            "max_payload": LIMIT,
            "max_causes": 16,
            "max_depth": 128,
            "max_text": u32::MAX,
            "max_elements": u32::MAX,
            "max_limbs": 131_072,
            "max_fields": 64,
            "spin_us": 50,
            "max_buffers": 256,
            "new_privileges": false,
            "tasks": TASKS,
        });
        match &self.boot {
            Some(change) => change(honest),
            None => honest.to_string().into(),
        }
    }

    /// What the worker gets as standard input, and the file of it where that is another one than that of `memory`.
    ///
    /// # Errors
    ///
    /// The system gives no such file.
    pub fn stdin(&self, memory: &Memory) -> io::Result<(Stdio, Option<OwnedFd>)> {
        let all = SEALS.bits();
        let bytes = || -> io::Result<Vec<u8>> {
            let mut bytes = vec![0; memory.len() as usize];
            let all = memory.bytes(Span::new(0, memory.len()).expect("a span"));
            all.and_then(|all| all.snapshot(0, &mut bytes)).map_err(io::Error::other)?;
            Ok(bytes)
        };
        let copy = |more: i32, seals| -> io::Result<OwnedFd> {
            let len = memory.len().checked_add_signed(more).ok_or(Errno::INVAL)?;
            let mut file = File::from(memfd(len.into(), SealFlags::empty())?);
            let mut bytes = bytes()?;
            bytes.truncate(len as usize);
            file.write_all(&bytes)?;
            rustix::fs::fcntl_add_seals(&file, SealFlags::from_bits_retain(seals))?;
            Ok(file.into())
        };
        let file: OwnedFd = match self.stdin {
            Stdin::Segment => {
                return Ok((memory.backing().file().try_clone_to_owned()?.into(), None));
            }
            Stdin::Null => File::open("/dev/null")?.into(),
            Stdin::Pipe => rustix::pipe::pipe()?.0,
            Stdin::Plain => {
                let name = format!(
                    "knit-villain-{}-{}",
                    std::process::id(),
                    memory.backing().file().as_raw_fd()
                );
                let path = std::env::temp_dir().join(name);
                std::fs::write(&path, bytes()?)?;
                let file = File::options().read(true).write(true).open(&path)?;
                std::fs::remove_file(&path)?;
                file.into()
            }
            Stdin::Folder => File::open(std::env::temp_dir())?.into(),
            Stdin::Memfd(len, seals) => memfd(len, SealFlags::from_bits_retain(seals))?,
            Stdin::Longer(more) => copy(more, all)?,
            Stdin::Seals(seals) => copy(0, seals)?,
            Stdin::ReadOnly => {
                let file = memory.backing().file();
                let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
                rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?
            }
        };
        let shadow = file.try_clone()?;
        Ok((file.into(), Some(shadow)))
    }
}

/// A memfd of this length with these seals.
///
/// # Errors
///
/// The system refuses it.
pub fn memfd(len: u64, seals: SealFlags) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create(c"knit-villain", flags)?;
    rustix::fs::ftruncate(&file, len)?;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file)
}

/// 64-bit FNV-1a.
fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
