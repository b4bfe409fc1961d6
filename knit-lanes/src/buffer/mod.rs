//! Shared buffers: memory that host and workers have in common, handed over by handle.
//!
//! The memory is a sealed memfd. Its descriptor crosses the lane's control channel once; after that a
//! payload of 32 bytes names the buffer and a part of it. Whoever has been given a buffer keeps it as
//! long as it has a handle, whatever becomes of the other side.
//!
//! `socket` moves messages, `link` keeps the book of one lane, `context` connects the values of
//! tasks with that book, `copy` reads and writes at any byte. `values` puts texts and numbers into a
//! buffer; `moved` is for threads of one process and knows no memory that two processes share.

pub(crate) mod context;
mod copy;
mod enveloped;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
pub(crate) mod link;
mod moved;
mod socket;
mod values;

pub use enveloped::EnvelopedBuffer;
pub use moved::{MoveError, MoveTable, MovedBuffer};
pub use values::{Element, ValueError};

use context::Buffer;
use copy::Memory;
use core::fmt;
use core::ops::{Bound, RangeBounds};
use core::sync::atomic::{AtomicU32, Ordering};
use knit_codec::{Decode, DecodeError, Encode, EncodeError, Limits, Payload, SharedBufferRef};
use knit_proto::Span;
use knit_ring::{Mapping, MemfdError, Origin, ReserveError, SharedMemory};
use link::Link;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Most buffers that each side of a lane has from the other one, unless the builder says otherwise. Each
/// is a descriptor and a mapping; many systems give a process 1024 descriptors.
pub const DEFAULT_MAX_BUFFERS: u32 = 256;

/// Memory that several processes read and write: an argument or a result of a task.
///
/// A handle stands for all of the memory or for a part of it ([`Self::slice`]). Clones are cheap and
/// share the memory, which is given back when the last handle in any process is gone. To send a
/// handle copies nothing.
///
/// Nobody owns the bytes: any process that has been given the buffer may write them at any moment, those
/// outside of the part that it was sent included. They are therefore copied, never referenced. What was
/// written before a call is visible to its task, what the task wrote before it returned is
/// visible to the caller. A read that races with a write gives some mixture of old and new
/// bytes. A write changes its own bytes only, whatever others write beside them.
///
/// A process that is forked shares the bytes of its parent's buffers, reads and writes them, and cannot send them:
/// [`GiveError::Forked`](crate::GiveError::Forked).
///
/// # Examples
///
/// ```
/// use knit_lanes::SharedBuffer;
///
/// let buffer = SharedBuffer::new(4096)?;
/// let part = buffer.slice(100..200)?;
/// part.write(1, b"abc")?;
/// let mut bytes = [0; 4];
/// buffer.read(100, &mut bytes)?;
/// assert_eq!(&bytes, b"\0abc");
/// assert!(part.write(98, b"abc").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SharedBuffer {
    object: Arc<Object>,
    start: u32,
    len: u32,
}

impl SharedBuffer {
    /// A new buffer of `len` zero bytes. The memory is taken at once, so that no access can fail later
    /// for want of it.
    ///
    /// # Errors
    ///
    /// `len` is more than 4 GiB less 4 bytes, or the system has no memory or no descriptor left.
    pub fn new(len: u32) -> Result<Self, BufferError> {
        let bytes = len.checked_next_multiple_of(4).ok_or(BufferError::TooLong { len })?.max(4);
        let memory = Mapping::create_named(c"knit-buffer", bytes).map_err(BufferError::Memfd)?;
        let all = Span::new(0, bytes).ok_or(BufferError::TooLong { len })?;
        memory.reserve(all)?;
        Ok(Self { object: Object::new(memory), start: 0, len })
    }

    /// Length of the part that this handle stands for, in bytes.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether the part has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies the bytes from `at` on into private memory, as many as `into` has.
    ///
    /// # Errors
    ///
    /// [`BufferError::Range`] when they do not lie inside; nothing is copied.
    ///
    /// # Ordering
    ///
    /// None of its own: calls and answers order what was written before them.
    pub fn read(&self, at: u32, into: &mut [u8]) -> Result<(), BufferError> {
        let at = self.place(at, into.len())?;
        copy::read(&self.object.memory, at, into);
        Ok(())
    }

    /// Copies `from` into the buffer from `at` on. No other byte changes, even where another party
    /// writes the bytes beside these at the same time.
    ///
    /// # Errors
    ///
    /// [`BufferError::Range`] when they do not lie inside; nothing is copied.
    ///
    /// # Ordering
    ///
    /// As [`Self::read`].
    pub fn write(&self, at: u32, from: &[u8]) -> Result<(), BufferError> {
        let at = self.place(at, from.len())?;
        copy::write(&self.object.memory, at, from);
        Ok(())
    }

    /// A copy of all bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        // On every target of this crate `usize` has 64 bits: it needs 64-bit Linux.
        let mut bytes = vec![0; self.len as usize];
        copy::read(&self.object.memory, self.start, &mut bytes);
        bytes
    }

    /// A handle for a part of this one. It keeps the whole memory alive.
    ///
    /// # Errors
    ///
    /// [`BufferError::Range`] when the part does not lie inside.
    pub fn slice(&self, part: impl RangeBounds<u32>) -> Result<Self, BufferError> {
        let start = match part.start_bound() {
            Bound::Included(start) => u64::from(*start),
            Bound::Excluded(start) => u64::from(*start) + 1,
            Bound::Unbounded => 0,
        };
        let end = match part.end_bound() {
            Bound::Included(end) => u64::from(*end) + 1,
            Bound::Excluded(end) => u64::from(*end),
            Bound::Unbounded => self.len.into(),
        };
        let outside = BufferError::Range { start, end, available: self.len };
        if start > end || end > self.len.into() {
            return Err(outside);
        }
        // Both are at most `len`, as just compared.
        let (start, end) = (start as u32, end as u32);
        Ok(Self { object: Arc::clone(&self.object), start: self.start + start, len: end - start })
    }

    /// Whether both handles stand for parts of one mapping of this process.
    #[must_use]
    pub fn shares_memory_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.object, &other.object)
    }

    /// What payloads call it.
    fn reference(&self) -> SharedBufferRef {
        let whole = SharedBufferRef::whole(self.object.number, self.object.memory.len());
        SharedBufferRef { start: self.start, len: self.len, ..whole }
    }

    /// The buffer that a payload means, among those that the other side has given. PAY-30.
    fn resolve(reference: &SharedBufferRef) -> Result<Self, DecodeError> {
        let SharedBufferRef { number, start, len, .. } = *reference;
        let object =
            context::received(number).ok_or(DecodeError::UnknownSharedBuffer { number })?;
        let available = object.memory.len();
        if u64::from(start) + u64::from(len) > available.into() {
            return Err(DecodeError::SharedBufferRange { number, start, len, available });
        }
        Ok(Self { object, start, len })
    }

    /// The place in the object of `len` bytes from `at` on, checked.
    fn place(&self, at: u32, len: usize) -> Result<u32, BufferError> {
        let start = u64::from(at);
        let end = start.saturating_add(len as u64);
        if end > self.len.into() {
            return Err(BufferError::Range { start, end, available: self.len });
        }
        // `start + len` of every handle lies inside the object: `new`, `slice` and `decode` see to it.
        Ok(self.start + at)
    }
}

impl fmt::Debug for SharedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBuffer")
            .field("start", &self.start)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// A payload of a shared buffer. The pool that sends it gives the memory to the worker first; elsewhere
/// the payload is a number that nobody knows.
impl Encode for SharedBuffer {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        let payload = self.reference().encode_owned(limits)?;
        context::keep(&self.object);
        Ok(payload)
    }
}

/// The buffer that the other side of the lane has given by the number in the payload. PAY-30.
impl Decode for SharedBuffer {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        Self::resolve(&SharedBufferRef::decode(payload, limits)?)
    }

    fn expected() -> &'static str {
        SharedBufferRef::expected()
    }
}

/// The memory of a buffer, in this process.
pub(crate) struct Object {
    /// What this process calls it when it gives it to others.
    number: u32,
    /// A multiple of four bytes.
    memory: Memory,
    /// The lanes whose other sides have it from this process.
    given_to: Mutex<Vec<Weak<Link>>>,
    /// The process that made it or was given it.
    origin: Origin,
}

impl Object {
    fn new(memory: Memory) -> Arc<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // Relaxed: only the value matters. After 2^32 buffers numbers come again; a lane on which such a
        // number is still in use refuses the second buffer (`Link::give`).
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { number, memory, given_to: Mutex::default(), origin: Origin::here() })
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // The channels of a process that was forked are its parent's.
        if !self.origin.is_here() {
            return;
        }
        let links = self.given_to.get_mut().unwrap_or_else(PoisonError::into_inner);
        for link in links.iter().filter_map(Weak::upgrade) {
            link.object_dropped();
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("number", &self.number).finish_non_exhaustive()
    }
}

impl From<&Arc<Object>> for Buffer {
    fn from(object: &Arc<Object>) -> Self {
        Self { number: object.number, object: Arc::clone(object) }
    }
}

/// What can go wrong with a shared buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BufferError {
    /// The bytes do not lie inside.
    #[error("bytes {start} to {end} of a shared buffer that has {available}")]
    Range {
        /// First byte.
        start: u64,
        /// The byte after the last one.
        end: u64,
        /// Bytes that there are.
        available: u32,
    },
    /// No buffer is that long.
    #[error("a shared buffer of {len} bytes: at most {} are possible", u32::MAX - 3)]
    TooLong {
        /// Length asked for, in bytes.
        len: u32,
    },
    /// The memory could not be made.
    #[error("cannot make a shared buffer: {0}")]
    Memfd(MemfdError),
    /// The machine has no memory left.
    #[error("cannot make a shared buffer: {0}")]
    Memory(#[from] ReserveError),
}

#[cfg(test)]
mod tests;
