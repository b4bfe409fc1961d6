//! Bytes behind pointers: two of the rivals hand out nothing else.

#![allow(unsafe_code, reason = "listed in ARCHITECTURE.md")]

use crate::Failure;
use raw_sync::events::{BusyEvent, EventImpl, EventInit};
use shared_memory::{Shmem, ShmemConf};
use shmem_ipc::ringbuf::{Receiver, Sender};
use std::ptr;

/// Writes as much as there is room for of `bytes` to a ring. Returns how much that was.
pub(crate) fn ring_write(ring: &mut Sender<u8>, bytes: [&[u8]; 2]) -> Result<usize, Failure> {
    let all = bytes[0].len() + bytes[1].len();
    let mut written = 0;
    // What does not fit the end of the ring goes to its begin.
    for _ in 0..2 {
        if written == all {
            break;
        }
        ring.send(|to, room| {
            let mut here = 0;
            let mut skipped = written;
            for part in bytes {
                let rest = &part[skipped.min(part.len())..];
                skipped = skipped.saturating_sub(part.len());
                let len = rest.len().min(room - here);
                let to = to.wrapping_add(here);
                // SAFETY: the ring lends `room` bytes from `to` on, of which `here` are taken; they are shared
                // memory that the receiver leaves alone, and no part of `rest`.
                unsafe { ptr::copy_nonoverlapping(rest.as_ptr(), to, len) };
                here += len;
            }
            written += here;
            here
        })?;
    }
    Ok(written)
}

/// Appends what a ring holds to `bytes`, at most as much as fits their capacity.
pub(crate) fn ring_read(ring: &mut Receiver<u8>, bytes: &mut Vec<u8>) -> Result<(), Failure> {
    // What is at the end of the ring goes on at its begin.
    for _ in 0..2 {
        let mut all = false;
        ring.recv(|from, there| {
            let len = there.min(bytes.capacity() - bytes.len());
            // SAFETY: the ring lends `there` bytes from `from` on, which the sender leaves alone.
            unsafe { append(from, len, bytes) };
            all = len == there;
            len
        })?;
        if !all {
            break;
        }
    }
    Ok(())
}

/// Appends the `len` bytes at `from` to `bytes`.
///
/// # Safety
///
/// There are as many, nobody changes them meanwhile, and they are no part of the vector.
unsafe fn append(from: *const u8, len: usize, bytes: &mut Vec<u8>) {
    bytes.reserve_exact(len);
    let before = bytes.len();
    // SAFETY: there is room for `len` bytes more, so that this is in the vector's memory or at its end.
    let to = unsafe { bytes.as_mut_ptr().add(before) };
    // SAFETY: they can be read, as the caller promises, and there is room for them.
    unsafe { ptr::copy_nonoverlapping(from, to, len) };
    // SAFETY: they were reserved, and written just now.
    unsafe { bytes.set_len(before + len) };
}

/// Memory of the crate `shared_memory`, with places for events of `raw_sync`.
pub(crate) struct Region {
    memory: Shmem,
}

impl Region {
    /// New zeroed memory of `len` bytes.
    pub(crate) fn create(len: usize) -> Result<Self, Failure> {
        Ok(Self { memory: ShmemConf::new().size(len).create()? })
    }

    /// The memory with this name.
    pub(crate) fn open(name: &str) -> Result<Self, Failure> {
        Ok(Self { memory: ShmemConf::new().os_id(name).open()? })
    }

    /// The name.
    pub(crate) fn name(&self) -> &str {
        self.memory.get_os_id()
    }

    /// Copies `bytes` to the place `at`. The other side leaves it alone until an event says otherwise.
    pub(crate) fn write(&self, at: usize, bytes: &[u8]) {
        let to = self.place(at, bytes.len());
        // SAFETY: `place` has checked that the memory has as many bytes there; it is none of Rust's, so that it
        // cannot be a part of `bytes`; the other side leaves it alone.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Copies the bytes at `at` to `bytes`. The other side does not change them meanwhile.
    pub(crate) fn read(&self, at: usize, bytes: &mut [u8]) {
        let from = self.place(at, bytes.len());
        // SAFETY: `place` has checked that the memory has as many bytes there; the other side leaves them alone.
        unsafe { ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
    }

    /// The `len` bytes at `at`. The other side does not change them meanwhile.
    pub(crate) fn read_vec(&self, at: usize, len: usize) -> Vec<u8> {
        let from = self.place(at, len);
        let mut bytes = Vec::new();
        // SAFETY: `place` has checked that the memory has as many bytes there; the other side leaves them alone;
        // the vector is a new one.
        unsafe { append(from, len, &mut bytes) };
        bytes
    }

    /// Makes an event at `at` that resets itself when a wait has seen it.
    pub(crate) fn new_event(&self, at: usize) -> Result<Box<dyn EventImpl>, Failure> {
        let place = self.event_place(at);
        // SAFETY: the memory is there as long as the region, which outlives the event in the same structure.
        let made = unsafe { BusyEvent::new(place, true) };
        Ok(made.map_err(|error| error.to_string())?.0)
    }

    /// The event that the other side has made at `at`.
    pub(crate) fn event(&self, at: usize) -> Result<Box<dyn EventImpl>, Failure> {
        let place = self.event_place(at);
        // SAFETY: as in `new_event`.
        let found = unsafe { BusyEvent::from_existing(place) };
        Ok(found.map_err(|error| error.to_string())?.0)
    }

    fn event_place(&self, at: usize) -> *mut u8 {
        self.place(at, BusyEvent::size_of(None))
    }

    fn place(&self, at: usize, len: usize) -> *mut u8 {
        let end = at.checked_add(len);
        assert!(end.is_some_and(|end| end <= self.memory.len()), "{len} bytes at {at}: outside");
        self.memory.as_ptr().wrapping_add(at)
    }
}
