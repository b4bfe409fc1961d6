//! Buffers that move between threads of one process, without a copy.
//!
//! The bytes stay where they are; what crosses the lane is a number of a table that both ends share, in
//! the words of a shared buffer. A number is private to its table (PAY-30): in another process, or
//! in another lane, it stands for nothing.

use crate::{HostLane, SendError, Submitted, WorkerLane};
use core::fmt;
use knit_codec::{Decode, DecodeError, Encode, Limits, Payload, SharedBufferRef};
use knit_ring::HeapMemory;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that one thread gives to another.
///
/// Only a lane over [`HeapMemory`] takes it, both of whose ends are in one process. It is no argument of a
/// pool, whose workers are other processes:
///
/// ```compile_fail,E0277
/// use knit_lanes::{MovedBuffer, Pool, Task};
///
/// fn send(pool: &Pool, task: Task<MovedBuffer, ()>, buffer: MovedBuffer) {
///     let _ = pool.call(task, buffer);
/// }
/// ```
///
/// while a [`SharedBuffer`](crate::SharedBuffer) is one:
///
/// ```
/// use knit_lanes::{Pool, SharedBuffer, Task};
///
/// fn send(pool: &Pool, task: Task<SharedBuffer, ()>, buffer: SharedBuffer) {
///     let _ = pool.call(task, buffer);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MovedBuffer(pub Vec<u8>);

/// Buffers that are on their way between the ends of lanes of one process.
///
/// The ends share it, in an `Arc`. What nobody takes is freed with the table.
pub struct MoveTable {
    limit: u32,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    next: u32,
    buffers: HashMap<u32, MovedBuffer>,
}

impl MoveTable {
    /// A table with room for `limit` buffers at a time.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self { limit, inner: Mutex::default() }
    }

    /// Takes the buffer that a payload stands for. It can be taken once.
    ///
    /// # Errors
    ///
    /// The payload stands for none, or the table does not have it (any more).
    pub fn take(&self, payload: &Payload<'_>) -> Result<MovedBuffer, MoveError> {
        let words = SharedBufferRef::decode(payload.clone(), &Limits::default())?;
        let SharedBufferRef { number, len, .. } = words;
        let mut inner = self.lock();
        let Entry::Occupied(entry) = inner.buffers.entry(number) else {
            return Err(MoveError::Unknown { number });
        };
        if entry.get().0.len() != len as usize {
            return Err(MoveError::Unknown { number });
        }
        Ok(entry.remove())
    }

    /// How many buffers are on their way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().buffers.len()
    }

    /// Whether no buffer is on its way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a buffer on its way by `send`; takes it back when that fails.
    fn send<T>(
        &self,
        buffer: MovedBuffer,
        send: impl FnOnce(&Payload<'_>) -> Result<T, SendError>,
    ) -> Result<T, (MoveError, MovedBuffer)> {
        let limits = Limits::default();
        let Ok(len) = u32::try_from(buffer.0.len()) else {
            return Err((MoveError::TooLong { len: buffer.0.len() }, buffer));
        };
        let number = {
            let mut inner = self.lock();
            if inner.buffers.len() >= self.limit as usize {
                return Err((MoveError::Full { limit: self.limit }, buffer));
            }
            // Ends: fewer numbers are in use than there are.
            while inner.buffers.contains_key(&inner.next) {
                inner.next = inner.next.wrapping_add(1);
            }
            let number = inner.next;
            inner.next = number.wrapping_add(1);
            inner.buffers.insert(number, buffer);
            number
        };
        let words = SharedBufferRef::whole(number, len);
        let sent = match words.encode(&limits) {
            Ok(payload) => send(&payload).map_err(MoveError::Send),
            Err(_) => Err(MoveError::TooLong { len: len as usize }),
        };
        sent.map_err(|error| (error, self.lock().buffers.remove(&number).unwrap_or_default()))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MoveTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MoveTable").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl HostLane<HeapMemory> {
    /// Hands a call to the worker, another thread, whose argument is moved.
    ///
    /// # Errors
    ///
    /// Nothing was sent, and the buffer comes back.
    pub fn submit_moved(
        &mut self,
        function: u16,
        buffer: MovedBuffer,
        table: &MoveTable,
    ) -> Result<Submitted, (MoveError, MovedBuffer)> {
        table.send(buffer, |payload| self.submit(function, payload))
    }
}

impl WorkerLane<HeapMemory> {
    /// Answers a call with a buffer that is moved. Returns whether the host sleeps and must be woken.
    ///
    /// # Errors
    ///
    /// Nothing was sent, and the buffer comes back.
    pub fn respond_moved(
        &mut self,
        call: u32,
        buffer: MovedBuffer,
        table: &MoveTable,
    ) -> Result<bool, (MoveError, MovedBuffer)> {
        table.send(buffer, |payload| self.respond(call, false, payload))
    }
}

/// Why a buffer was not moved.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MoveError {
    /// As many buffers are on their way as the table takes.
    #[error("{limit} buffers are on their way, which is the limit")]
    Full {
        /// The limit.
        limit: u32,
    },
    /// The buffer is longer than 4 GiB.
    #[error("a buffer of {len} bytes, at most {} can be moved", u32::MAX)]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The lane did not take the message.
    #[error(transparent)]
    Send(SendError),
    /// The payload stands for no buffer.
    #[error(transparent)]
    Payload(#[from] DecodeError),
    /// The table has no such buffer: it was taken before, or never put in.
    #[error("no buffer {number} is on its way")]
    Unknown {
        /// The number.
        number: u32,
    },
}
