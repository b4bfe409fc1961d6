//! Workers whose boot description names a socket: what they are handed there, and what they refuse.

mod boot_support;
mod pool_support;

use boot_support::{Memory, boot, file, refusal, segment, segment_len, spawn};
use knit_lanes::codec::Payload;
use knit_lanes::{EXIT_BOOT_FAILED, Encode, HostLane, Limits};
use knit_proto::LaneMessage;
use knit_ring::{Doorbell, FutexBell, Mapping};
use pool_support::{fresh_path, fresh_short_path, until, within_deadline};
use rustix::fs::{Mode, OFlags};
use rustix::io::IoSlice;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, accept, bind, listen, sendmsg, socket,
};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Stdio};

/// A socket with a name, as a host makes it by hand.
struct Named {
    path: String,
    listener: OwnedFd,
}

impl Named {
    fn new() -> Self {
        let path = fresh_short_path("lane");
        let listener = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&listener, 1).unwrap();
        Self { path, listener }
    }

    /// A worker that is told of the socket, and inherits nothing.
    fn spawn(&self) -> Child {
        spawn(boot().with_socket(&self.path).to_json().unwrap(), Stdio::null())
    }

    /// Sends a packet with descriptors to the next that connects.
    fn send(&self, packet: &[u8], files: &[BorrowedFd<'_>]) {
        let connection = accept(&self.listener).unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(files)));
        }
        sendmsg(&connection, &[IoSlice::new(packet)], &mut control, SendFlags::NOSIGNAL).unwrap();
    }

    /// A worker that is sent this must end with status 78 and a line that has all of `parts`.
    #[track_caller]
    fn refuses(&self, packet: &[u8], files: &[BorrowedFd<'_>], parts: &[&str]) {
        let worker = self.spawn();
        self.send(packet, files);
        let text = refusal(&worker.wait_with_output().unwrap(), EXIT_BOOT_FAILED);
        assert!(parts.iter().all(|part| text.contains(part)), "{parts:?}: {text}");
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn lane() -> [u8; 16] {
    LaneMessage { epoch: 1, len: segment_len() }.to_bytes()
}

/// LANE-43, LANE-44: with and without a control channel.
#[test]
fn a_worker_takes_its_lane_from_the_socket() {
    within_deadline(|| {
        let named = Named::new();
        for with_channel in [false, true] {
            let (memory, layout): (Memory, _) = segment();
            let (ours, theirs) = rustix::net::socketpair(
                AddressFamily::UNIX,
                SocketType::SEQPACKET,
                SocketFlags::CLOEXEC,
                None,
            )
            .unwrap();
            let mut worker = named.spawn();
            let segment = file(&memory);
            let files = [segment.as_fd(), theirs.as_fd()];
            named.send(&lane(), if with_channel { &files } else { &files[..1] });
            drop(theirs);
            let mut host = None;
            until("the worker is ready", || {
                host = HostLane::connect(&memory, &layout, 1 << 17).unwrap();
                host.is_some()
            });
            let mut host = host.unwrap();
            let three: Payload<'_> = 3.0.encode(&Limits::DEFAULT).unwrap();
            host.submit(0, &three).unwrap();
            FutexBell.wake(host.bell());
            until("the worker answers", || host.take().unwrap().is_some());
            if with_channel {
                // Nobody holds the host's end any more: the host has ended.
                drop(ours);
                assert_eq!(worker.wait().unwrap().code(), None);
            } else {
                host.close();
                FutexBell.wake(host.bell());
                assert!(worker.wait().unwrap().success());
            }
        }
    });
}

/// LANE-44.
#[test]
fn what_is_no_lane_is_refused() {
    within_deadline(|| {
        let named = Named::new();
        let (memory, _) = segment();
        let segment = file(&memory);
        let one = [segment.as_fd()];
        let mut other = lane();
        other[4] = 1;
        named.refuses(&other, &one, &["no lane", "kind 1"]);
        let mut other = lane();
        other[0] = 9;
        named.refuses(&other, &one, &["no lane", "9"]);
        named.refuses(&lane()[..15], &one, &["no lane", "15"]);
        named.refuses(&[lane().as_slice(), &[0]].concat(), &one, &["no lane", "17"]);
        named.refuses(&lane(), &[], &["no lane", "0"]);
        named.refuses(&lane(), &[segment.as_fd(); 3], &["no lane", "3"]);
        named.refuses(&lane(), &[segment.as_fd(); 8], &["no lane"]);
        let epoch = LaneMessage { epoch: 2, len: segment_len() }.to_bytes();
        named.refuses(&epoch, &one, &["epoch 2", "says 1"]);
        let len = LaneMessage { epoch: 1, len: segment_len() + 64 }.to_bytes();
        named.refuses(&len, &one, &["bytes", &(segment_len() + 64).to_string()]);
    });
}

/// The memory is looked at as if it were inherited. SEG-24.
#[test]
fn memory_that_is_no_sealed_segment_is_refused() {
    within_deadline(|| {
        let named = Named::new();
        let unsealed = rustix::fs::memfd_create("t", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&unsealed, segment_len().into()).unwrap();
        named.refuses(&lane(), &[unsealed.as_fd()], &["not sealed"]);
        // A file with a name is not taken for memory, though it has the length.
        let path = fresh_path("file");
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC;
        let on_disk = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR).unwrap();
        rustix::fs::ftruncate(&on_disk, segment_len().into()).unwrap();
        named.refuses(&lane(), &[on_disk.as_fd()], &["not sealed"]);
        std::fs::remove_file(path).unwrap();
        // Sealed, and empty of a header.
        let empty = Mapping::create(segment_len()).unwrap();
        named.refuses(&lane(), &[file(&empty).as_fd()], &["the segment is refused"]);
    });
}

#[test]
fn a_socket_that_is_not_there_or_closes_is_refused() {
    within_deadline(|| {
        let named = Named::new();
        let worker = named.spawn();
        drop(accept(&named.listener).unwrap());
        let text = refusal(&worker.wait_with_output().unwrap(), EXIT_BOOT_FAILED);
        assert!(text.contains("has closed the connection"), "{text}");
        let path = fresh_path("plain");
        std::fs::write(&path, "").unwrap();
        let long = format!("/{}", "x".repeat(200));
        for (path, part) in [
            (named.path.replace("lane", "none"), "No such file"),
            (path.clone(), "Connection refused"),
            (long, "use the path"),
            (String::new(), "connect"),
        ] {
            let boot = boot().with_socket(path).to_json().unwrap();
            let output = spawn(boot, Stdio::null()).wait_with_output().unwrap();
            let text = refusal(&output, EXIT_BOOT_FAILED);
            assert!(text.contains(part), "{part}: {text}");
        }
        std::fs::remove_file(path).unwrap();
    });
}
