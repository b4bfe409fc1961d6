//! A host made by hand: segments, boot descriptions, and worker processes on top of them.

#![allow(dead_code, reason = "each test program uses a part of it")]

use command_fds::{CommandFdExt, FdMapping};
use knit_lanes::{BOOT_ENV, Boot, HostLane, Limits};
use knit_proto::{
    CreatorId, ExtensionBytes, Features, Geometry, HeaderFields, LaneKind, Layout, Version,
};
use knit_ring::{Mapped, Mapping, create_segment};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Output, Stdio};

/// The program under test.
pub const WORKER: &str = env!("CARGO_BIN_EXE_knit-test-worker");

/// Names that the hand-made host knows, by their index. The last one no worker has.
pub const NAMES: [&str; 4] = ["square", "text", "bytes", "missing"];

/// The same for a host with a control channel.
pub const BUFFER_NAMES: [&str; 2] = ["square", "sum"];

pub type Memory = Mapped<Mapping>;

/// Small arenas: a segment that is cheap to make.
pub fn geometry() -> Geometry {
    Geometry::new(1 << 20, 1 << 20, 0).expect("a multiple of 64")
}

/// Length of a segment of [`geometry`], in bytes.
pub fn segment_len() -> u32 {
    ExtensionBytes::MIN.lane_block_at() + geometry().block_bytes()
}

/// The header that a pool writes, for [`NAMES`].
pub fn fields() -> HeaderFields {
    HeaderFields {
        version: Version::CURRENT,
        required: Features::FUTEX_BELLS,
        optional: Features::STAMPS,
        epoch: 1,
        creator: CreatorId { pid: std::process::id(), start_time: 0, boot: 0 },
        kind: LaneKind::Process,
        geometry: geometry(),
        extension: ExtensionBytes::MIN,
        tasks: hash(&NAMES),
        request_reserved: 64 << 10,
        response_reserved: 64 << 10,
    }
}

/// 64-bit FNV-1a over the names, each followed by a zero byte: what a header says of its tasks.
pub fn hash(names: &[&str]) -> u64 {
    names
        .iter()
        .flat_map(|name| name.bytes().chain([0]))
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

/// A segment whose host has announced itself.
pub fn segment() -> (Memory, Layout) {
    segment_with(&fields())
}

/// The same with another header.
pub fn segment_with(fields: &HeaderFields) -> (Memory, Layout) {
    let memory = Mapping::create(segment_len()).unwrap();
    let layout = create_segment(&memory, fields).unwrap();
    HostLane::announce(&memory, &layout, std::process::id()).unwrap();
    (memory, layout)
}

/// The boot description that goes with [`segment`].
pub fn boot() -> Boot {
    Boot::new(1, 0, &Limits::default().with_payload(1 << 17), 0, NAMES.map(str::to_owned).into())
}

/// The file of a segment.
pub fn file(memory: &Memory) -> OwnedFd {
    memory.backing().file().try_clone_to_owned().unwrap()
}

/// Starts the worker program with this boot description and standard input.
pub fn spawn(boot: impl AsRef<OsStr>, stdin: impl Into<Stdio>) -> Child {
    spawn_with(boot, stdin, Vec::new())
}

/// The same with another worker program.
pub fn spawn_worker(program: &str, boot: impl AsRef<OsStr>, stdin: impl Into<Stdio>) -> Child {
    spawn_program(program, boot, stdin, Vec::new())
}

/// The same with an end of a control channel.
pub fn spawn_with_channel(
    boot: impl AsRef<OsStr>,
    stdin: impl Into<Stdio>,
    channel: OwnedFd,
) -> Child {
    spawn_with(boot, stdin, vec![FdMapping { parent_fd: channel, child_fd: 3 }])
}

/// The same with an eventfd, or what should be one, as descriptor 4.
pub fn spawn_with_eventfd(
    boot: impl AsRef<OsStr>,
    stdin: impl Into<Stdio>,
    eventfd: OwnedFd,
) -> Child {
    spawn_with(boot, stdin, vec![FdMapping { parent_fd: eventfd, child_fd: 4 }])
}

fn spawn_with(
    boot: impl AsRef<OsStr>,
    stdin: impl Into<Stdio>,
    descriptors: Vec<FdMapping>,
) -> Child {
    spawn_program(WORKER, boot, stdin, descriptors)
}

fn spawn_program(
    program: &str,
    boot: impl AsRef<OsStr>,
    stdin: impl Into<Stdio>,
    descriptors: Vec<FdMapping>,
) -> Child {
    Command::new(program)
        .env(BOOT_ENV, boot)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .fd_mappings(descriptors)
        .unwrap()
        .spawn()
        .unwrap()
}

/// Exit status and standard error of a worker that must not serve.
#[track_caller]
pub fn refusal(output: &Output, status: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{text}");
    assert_eq!(text.lines().count(), 1, "one line: {text}");
    assert!(text.starts_with("knit worker: "), "{text}");
    assert!(output.stdout.is_empty());
    text
}
