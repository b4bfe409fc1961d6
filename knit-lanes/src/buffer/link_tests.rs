//! Both sides of a control channel in one process, and sides that send what no side may.

use super::super::SharedBuffer;
use super::*;
use knit_codec::{Encode, Limits};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::IoSlice;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

/// Two sides of one lane.
fn links(limit: u32) -> (Arc<Link>, Arc<Link>) {
    let (ours, theirs) = Socket::pair().unwrap();
    (Link::new(ours, limit), Link::new(Socket::from(theirs), limit))
}

/// A side, and the bare socket of another one.
fn bare(limit: u32) -> (Arc<Link>, OwnedFd) {
    let (ours, theirs) = Socket::pair().unwrap();
    (Link::new(ours, limit), theirs)
}

fn buffer(len: u32) -> (SharedBuffer, Buffer) {
    let shared = SharedBuffer::new(len).unwrap();
    let buffer = Buffer::from(&shared.object);
    (shared, buffer)
}

fn payload(shared: &SharedBuffer) -> Payload<'static> {
    shared.encode(&Limits::default()).unwrap().into_owned()
}

fn held(link: &Link) -> usize {
    link.lock().held.len()
}

/// LANE-27.
#[test]
fn a_buffer_is_given_once_and_found_each_time() {
    let (host, worker) = links(4);
    let (shared, buffer) = buffer(100);
    shared.write(0, b"abc").unwrap();
    for _ in 0..3 {
        assert_eq!(host.give(&buffer), Ok(true));
        host.published(&buffer);
        let found = worker.resolve(&payload(&shared)).unwrap().unwrap();
        assert_eq!((found.number, found.object.memory.len()), (buffer.number, 100));
    }
    assert_eq!(worker.drain(), Ok(true), "whoever has sent it may wait for room");
    assert_eq!(worker.drain(), Ok(false), "there was one message");
    assert_eq!(held(&worker), 1);
}

/// LANE-29, LANE-32.
#[test]
fn a_buffer_leaves_when_all_that_names_it_was_taken() {
    let (host, worker) = links(4);
    let (shared, buffer) = buffer(8);
    let words = payload(&shared);
    assert_eq!(host.give(&buffer), Ok(true));
    host.published(&buffer);
    host.published(&buffer);
    drop((shared, buffer));
    assert_eq!(host.lock().given.len(), 0, "the other side was told at once");
    let first = worker.resolve(&words).unwrap();
    assert_eq!(worker.drain(), Ok(true), "the worker has read that it was dropped, and says so");
    assert_eq!(worker.drain(), Ok(false));
    assert_eq!(held(&worker), 1);
    let second = worker.resolve(&words).unwrap();
    assert_eq!(held(&worker), 0);
    assert!(Arc::ptr_eq(&first.unwrap().object, &second.unwrap().object));
    assert!(worker.resolve(&words).unwrap().is_none());
}

/// LANE-28, LANE-29.
#[test]
fn the_limit_counts_what_both_sides_have() {
    let (host, worker) = links(2);
    let mut buffers: Vec<_> = (0..2).map(|_| buffer(4)).collect();
    for (shared, buffer) in &buffers {
        assert_eq!(host.give(buffer), Ok(true));
        host.published(buffer);
        worker.resolve(&payload(shared)).unwrap().unwrap();
    }
    let (shared, third) = buffer(4);
    assert_eq!(host.give(&third), Err(GiveError::TooMany { limit: 2 }));
    buffers.pop();
    assert_eq!(host.give(&third), Ok(true));
    assert!(worker.resolve(&payload(&shared)).unwrap().is_some());
    assert_eq!(held(&worker), 2);
}

/// LANE-27.
#[test]
fn a_full_channel_is_no_error_and_holds_less_than_one_look_reads() {
    let (host, worker) = links(2000);
    let mut buffers = Vec::new();
    loop {
        let (shared, buffer) = buffer(4);
        match host.give(&buffer) {
            Ok(true) => buffers.push((shared, buffer)),
            full => break assert_eq!(full, Ok(false)),
        }
    }
    println!("{} messages fit", buffers.len());
    assert!((33..MESSAGES_PER_DRAIN as usize).contains(&buffers.len()), "{}", buffers.len());
    assert_eq!(worker.resolve(&payload(&buffers[0].0)).map(|found| found.is_some()), Ok(true));
    assert_eq!(held(&worker), buffers.len());
    let (_, next) = buffer(4);
    assert_eq!(host.give(&next), Ok(true));
}

/// LANE-27: the first messages of a channel may be of buffers that no message of the lane names.
#[test]
fn a_channel_that_is_full_before_any_buffer_was_named_is_read() {
    let (host, worker) = links(2000);
    while host.give(&buffer(4).1) == Ok(true) {}
    let (_shared, next) = buffer(4);
    assert_eq!(host.give(&next), Ok(false));
    assert_eq!(worker.drain(), Ok(true));
    assert_eq!(host.give(&next), Ok(true));
}

/// LANE-29: the thread that drops the last handle has not got as far as to say so.
#[test]
fn a_buffer_whose_last_handle_is_just_being_dropped_makes_room() {
    let (host, _worker) = links(1);
    let (shared, first) = buffer(4);
    assert_eq!(host.give(&first), Ok(true));
    // So nobody says so.
    shared.object.given_to.lock().unwrap().clear();
    drop((shared, first));
    let (_shared, second) = buffer(4);
    assert_eq!(host.give(&second), Ok(true));
}

#[test]
fn a_side_that_has_gone_is_an_error_of_the_sender() {
    let (host, worker) = links(4);
    drop(worker);
    let (_shared, buffer) = buffer(4);
    assert_eq!(host.give(&buffer), Err(GiveError::Closed));
    assert_eq!(host.drain(), Ok(false));
}

#[test]
fn what_a_side_sent_before_it_ended_is_found() {
    let (host, worker) = links(4);
    // That the worker has not read this is told to the host, once.
    let (_ours, ours) = buffer(4);
    assert_eq!(host.give(&ours), Ok(true));
    let (shared, theirs) = buffer(4);
    assert_eq!(worker.give(&theirs), Ok(true));
    drop(worker);
    assert!(host.resolve(&payload(&shared)).unwrap().is_some());
}

fn send(socket: &OwnedFd, bytes: &[u8], files: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(files)));
    }
    let bytes = [IoSlice::new(bytes)];
    rustix::net::sendmsg(socket, &bytes, &mut control, SendFlags::NOSIGNAL).unwrap();
}

fn words(words: [u32; 4]) -> Vec<u8> {
    words.map(u32::to_le_bytes).concat()
}

/// A memfd of `len` bytes with these seals.
fn memfd(len: u64, seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    let file = rustix::fs::memfd_create(c"link-test", flags).unwrap();
    rustix::fs::ftruncate(&file, len).unwrap();
    rustix::fs::fcntl_add_seals(&file, seals).unwrap();
    file
}

const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// What a side says to one message of the other side, which stays.
fn fault(bytes: &[u8], files: &[BorrowedFd<'_>]) -> Option<ControlFault> {
    let (link, socket) = bare(4);
    send(&socket, bytes, files);
    // Buffers have crossed before: the socket is looked at.
    link.active.store(1, Ordering::Relaxed);
    let found = link.drain();
    assert_eq!(link.drain().is_err(), found.is_err(), "a fault stays");
    match found {
        Ok(any) => {
            assert!(any);
            None
        }
        Err(ProtocolViolation::ControlChannel { fault }) => Some(fault),
        Err(other) => panic!("{other}"),
    }
}

/// LANE-25.
#[test]
fn messages_of_another_form_are_refused() {
    let good = memfd(4096, SEALS);
    let file = [good.as_fd()];
    let give = words([1, 1, 7, 4096]);
    assert_eq!(fault(&give, &file), None);
    for len in [1, 4, 15, 17, 20, 400] {
        let long = vec![0; len];
        let seen = len.min(17) as u32;
        assert_eq!(fault(&long, &[]), Some(ControlFault::Length { len: seen }));
        assert_eq!(fault(&long, &file), Some(ControlFault::Length { len: seen }));
    }
    // Nothing but a descriptor.
    assert_eq!(fault(&[], &file), Some(ControlFault::Length { len: 0 }));
    for version in [0, 2, u32::MAX] {
        let message = words([version, 1, 7, 4096]);
        assert_eq!(fault(&message, &file), Some(ControlFault::Version { found: version }));
    }
    for kind in [0, 3, u32::MAX] {
        assert_eq!(
            fault(&words([1, kind, 7, 4096]), &file),
            Some(ControlFault::Kind { found: kind })
        );
    }
    for count in [0, 2, 4, 5, 16] {
        let files = vec![good.as_fd(); count];
        let Some(ControlFault::Descriptors { found }) = fault(&give, &files) else {
            panic!("{count} descriptors")
        };
        // Of many, the system drops some, and says no more than that.
        assert!(found as usize == count || count > 4 && found > 4, "{found} of {count}");
    }
    let one = Some(ControlFault::Descriptors { found: 1 });
    assert_eq!(fault(&words([1, 2, 7, 0]), &file), one);
    assert_eq!(fault(&words([1, 2, 7, 0]), &[]), Some(ControlFault::Number { number: 7 }));
}

/// LANE-28.
#[test]
fn files_that_are_no_sealed_memfd_of_the_stated_length_are_refused() {
    let null = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let directory = OwnedFd::from(std::fs::File::open("/").unwrap());
    let sealed = memfd(4096, SEALS);
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&sealed));
    let read_only = OwnedFd::from(std::fs::File::open(path).unwrap());
    let (_, socket) = Socket::pair().unwrap();
    let unfit = [
        null,
        directory,
        socket,
        read_only,
        memfd(4096, SealFlags::empty()),
        memfd(4096, SealFlags::SHRINK.union(SealFlags::GROW)),
        memfd(4096, SEALS.difference(SealFlags::SHRINK)),
        memfd(4096, SEALS.union(SealFlags::WRITE)),
        memfd(4092, SEALS),
        memfd(8192, SEALS),
        memfd(0, SEALS),
        memfd(4096 + (1 << 32), SEALS),
    ];
    for (index, file) in unfit.iter().enumerate() {
        let found = fault(&words([1, 1, 7, 4096]), &[file.as_fd()]);
        assert_eq!(found, Some(ControlFault::File { number: 7 }), "file {index}");
    }
    let odd = memfd(4097, SEALS);
    let found = fault(&words([1, 1, 7, 4097]), &[odd.as_fd()]);
    assert_eq!(found, Some(ControlFault::File { number: 7 }));
}

/// LANE-28.
#[test]
fn numbers_that_do_not_fit_and_floods_are_refused() {
    let file = memfd(4096, SEALS);
    let give = |socket: &OwnedFd, number| {
        send(socket, &words([1, 1, number, 4096]), &[file.as_fd()]);
    };
    let drop_it = |socket: &OwnedFd, number, uses| send(socket, &words([1, 2, number, uses]), &[]);
    let refused = |fault| Err(ProtocolViolation::ControlChannel { fault });
    let check = |limit, send: &dyn Fn(&OwnedFd), fault| {
        let (link, socket) = bare(limit);
        link.active.store(1, Ordering::Relaxed);
        send(&socket);
        assert_eq!(link.drain(), refused(fault));
    };
    let twice = |socket: &OwnedFd| (0..2).for_each(|_| give(socket, 5));
    check(4, &twice, ControlFault::Number { number: 5 });
    let flood = |socket: &OwnedFd| (0..5).for_each(|number| give(socket, number));
    check(4, &flood, ControlFault::TooMany { limit: 4 });
    // Buffers that are dropped, although messages that name them never come.
    let dropped = |socket: &OwnedFd| {
        for number in 0..33 {
            give(socket, number);
            drop_it(socket, number, 1);
        }
    };
    check(4, &dropped, ControlFault::Number { number: 32 });
    let dropped_twice = |socket: &OwnedFd| {
        give(socket, 5);
        drop_it(socket, 5, 1);
        drop_it(socket, 5, 1);
    };
    check(4, &dropped_twice, ControlFault::Number { number: 5 });
    // A message that names the first one is on its way: under this number it has to be found.
    let again = |socket: &OwnedFd| {
        give(socket, 5);
        drop_it(socket, 5, 1);
        give(socket, 5);
    };
    check(4, &again, ControlFault::Number { number: 5 });
    // Given and dropped is no flood.
    let (link, socket) = bare(1);
    link.active.store(1, Ordering::Relaxed);
    for number in 0..50 {
        give(&socket, number);
        drop_it(&socket, number, 0);
    }
    assert_eq!(link.drain(), Ok(true));
    assert_eq!(held(&link), 0);
    // Once all that named it was taken, a number can stand for another buffer.
    let named = SharedBufferRef::whole(5, 4096).encode_owned(&Limits::default()).unwrap();
    for _ in 0..3 {
        give(&socket, 5);
        assert!(link.resolve(&named).unwrap().is_some());
        drop_it(&socket, 5, 1);
        assert_eq!((link.drain(), held(&link)), (Ok(true), 0));
    }
}
