//! Shared buffers while the system takes no descriptor that is on its way, because this user has as many on theirs as it may have.
//!
//! A program of its own: other tests would be refused too. Where it can it acts as a user that nobody is.

mod pool_support;

use knit_lanes::{CallError, GiveError, Pool, SendError, SharedBuffer, TaskFailure, Tasks};
use pool_support::within_deadline;
use rustix::io::{Errno, IoSlice};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};
use rustix::process::{Uid, geteuid};
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Most descriptors that one message takes.
const MOST: usize = 253;

/// Makes the calling thread, and those that it starts, one of a user who may not have more than its due, and who has nothing
/// on its way.
fn act_as_nobody() {
    if geteuid().is_root() {
        rustix::thread::set_thread_uid(Uid::from_raw(2_000_000_123)).unwrap();
    }
}

fn send(socket: &OwnedFd, files: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(files)));
    sendmsg(socket, &[IoSlice::new(b"x")], &mut control, SendFlags::empty()).map(drop)
}

/// Sockets with as many descriptors in them as the system takes.
fn fill() -> Vec<(OwnedFd, OwnedFd)> {
    let null = File::open("/dev/null").unwrap();
    let files = [null.as_fd(); MOST];
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let mut sockets = Vec::new();
    loop {
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let outcome = loop {
            if let Err(errno) = send(&pair.0, &files) {
                break errno;
            }
        };
        sockets.push(pair);
        match outcome {
            Errno::AGAIN => {}
            Errno::TOOMANYREFS => return sockets,
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_buffer_that_the_system_does_not_take_fails_its_call_alone() {
    within_deadline(|| {
        act_as_nobody();
        let mut tasks = Tasks::new();
        let len = tasks.add("len", |buffer: SharedBuffer| buffer.len());
        let make = tasks.add("make", SharedBuffer::new);
        let pool = Pool::builder().threads(1).start(tasks).unwrap();
        let known = SharedBuffer::new(12).unwrap();
        assert_eq!(pool.call(len, known.clone()).wait().unwrap(), 12);

        let full = fill();
        let error = pool.call(len, SharedBuffer::new(8).unwrap()).wait().unwrap_err();
        let code = Errno::TOOMANYREFS.raw_os_error();
        let refused = SendError::Buffer(GiveError::System { code });
        match &error {
            CallError::Unsendable(found) => assert_eq!(*found, refused),
            other => panic!("{other}"),
        }
        match pool.call(make, 8).wait().map(|buffer| buffer.len()) {
            Err(CallError::Task(error)) => {
                assert_eq!(error.failure, TaskFailure::Result);
                assert_eq!(error.error.message(), refused.to_string());
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(pool.call(len, known).wait().unwrap(), 12, "the worker has this one");

        drop(full);
        assert_eq!(pool.call(len, SharedBuffer::new(8).unwrap()).wait().unwrap(), 8);
        assert_eq!(pool.call(make, 8).wait().unwrap().len(), 8);
        assert_eq!(pool.metrics().lanes[0].restarts, 0);
    });
}
