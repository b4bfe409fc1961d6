//! The book of one lane: which buffers each side has given to the other.

use super::Object;
use super::context::Buffer;
use super::socket::{MESSAGES_PER_DRAIN, Received, SendFault, Socket, dispose};
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use knit_codec::{Payload, SharedBufferRef};
use knit_proto::{ControlFault, ControlMessage, ProtocolViolation, SLOTS};
use knit_ring::{Mapping, SharedMemory};
use rustix::io::Errno;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

pub(crate) use super::socket::CHANNEL_FD;

/// One side of the control channel of one incarnation of a lane, and what has crossed it.
///
/// Its lock is taken last, and dropping the handle of a buffer only tries it.
#[derive(Debug)]
pub(crate) struct Link {
    socket: Socket,
    limit: u32,
    /// 1 once any buffer has been given either way, as far as this side knows: before that it looks at the socket only when it is about to sleep.
    active: AtomicU32,
    /// 1 when a buffer that was given may have lost its last handle unnoticed.
    stale: AtomicU32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    given: HashMap<u32, Given>,
    held: HashMap<u32, Held>,
    /// How many of `held` the other side has dropped.
    dropped: u32,
    /// Whether anything was read that `drain` has not told of.
    untold: bool,
    closed: bool,
    fault: Option<ControlFault>,
}

/// A buffer that the other side has from this one.
#[derive(Debug)]
struct Given {
    object: Weak<Object>,
    /// How many messages that name it have been published; wraps.
    uses: u32,
}

/// A buffer that this side has from the other one.
#[derive(Debug)]
struct Held {
    object: Arc<Object>,
    /// How many messages that name it have been taken; wraps.
    uses: u32,
    /// How many there are in all, once the other side has dropped it.
    last: Option<u32>,
}

/// Why a buffer was not given to the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GiveError {
    /// The other side has no control channel: it runs a program that does not know it.
    #[error("the worker takes no shared buffers")]
    NoChannel,
    /// The other side has closed the control channel.
    #[error("the worker has closed its control channel")]
    Closed,
    /// The system takes no descriptor that is on its way to the other side. The descriptors that a user has on their way, to all processes,
    /// are limited to `RLIMIT_NOFILE` (`ETOOMANYREFS`), and the memory for messages is.
    #[error(
        "the system does not take the shared buffer's descriptor to the worker: {}",
        std::io::Error::from_raw_os_error(*.code)
    )]
    System {
        /// Number of the error (`errno`).
        code: i32,
    },
    /// It has as many buffers as it may have.
    #[error("the worker has {limit} shared buffers already, which is the limit")]
    TooMany {
        /// The limit.
        limit: u32,
    },
    /// The buffer was made before this process was forked.
    #[error(
        "the shared buffer belongs to the process that this one was forked from: make another one here"
    )]
    Forked,
    /// After 2^32 buffers their numbers come again, and this one is in use.
    #[error("the number {number} of the shared buffer is in use on this lane")]
    NumberInUse {
        /// The number.
        number: u32,
    },
}

impl Link {
    /// A channel with room for `limit` buffers each way, and the end that the worker inherits.
    pub(crate) fn pair(limit: u32) -> Result<(Arc<Self>, OwnedFd), Errno> {
        let (ours, theirs) = Socket::pair()?;
        Ok((Self::new(ours, limit), theirs))
    }

    /// The worker's side; `None` when this process has inherited no channel.
    pub(crate) fn inherited(limit: u32) -> Option<Arc<Self>> {
        Some(Self::new(Socket::inherited()?, limit))
    }

    /// The side of a worker that was handed its end.
    pub(crate) fn over(end: OwnedFd, limit: u32) -> Arc<Self> {
        Self::new(end.into(), limit)
    }

    /// Waits until no process has the other end open, at most for `timeout`. Whether that is so: then the worker has
    /// ended, also one that was started by way of another process.
    pub(crate) fn hangs_up_within(&self, timeout: Duration) -> bool {
        self.socket.hangs_up_within(timeout)
    }

    fn new(socket: Socket, limit: u32) -> Arc<Self> {
        let (active, stale) = (AtomicU32::new(0), AtomicU32::new(0));
        Arc::new(Self { socket, limit, active, stale, state: Mutex::default() })
    }

    /// Makes sure that the other side has been given a buffer; false when it has to read first. LANE-27.
    pub(crate) fn give(self: &Arc<Self>, buffer: &Buffer) -> Result<bool, GiveError> {
        let Buffer { number, object } = buffer;
        // Its book, and the lock of that, are another process's.
        if !object.origin.is_here() {
            return Err(GiveError::Forked);
        }
        let mut state = self.lock();
        self.active.store(1, Ordering::Relaxed);
        self.sweep(&mut state);
        let full = state.given.len() >= self.limit as usize;
        if full || state.given.get(number).is_some_and(|given| given.object.strong_count() == 0) {
            // Whoever drops the last handle of one of them may have yet to say so, and then wakes nobody.
            self.tell_dropped(&mut state);
        }
        let full = state.given.len() >= self.limit as usize;
        match state.given.entry(*number) {
            Entry::Occupied(given) => match given.get().object.upgrade() {
                Some(known) if Arc::ptr_eq(&known, object) => return Ok(true),
                Some(_) => return Err(GiveError::NumberInUse { number: *number }),
                None => return Ok(false),
            },
            Entry::Vacant(_) if full => {
                // Those that nobody here holds leave as soon as the other side reads.
                let left = state.given.values().any(|given| given.object.strong_count() == 0);
                return if left {
                    Ok(false)
                } else {
                    Err(GiveError::TooMany { limit: self.limit })
                };
            }
            Entry::Vacant(place) => {
                let file = object.memory.backing().file();
                let give = ControlMessage::Give { number: *number, len: object.memory.len() };
                match self.socket.send(give, &[file]) {
                    Ok(()) => {}
                    Err(SendFault::Full) => return Ok(false),
                    Err(SendFault::Closed) => return Err(GiveError::Closed),
                    // Nobody would say when it is worth another try.
                    Err(SendFault::Refused(errno)) => {
                        return Err(GiveError::System { code: errno.raw_os_error() });
                    }
                }
                place.insert(Given { object: Arc::downgrade(object), uses: 0 });
            }
        }
        drop(state);
        let mut links = object.given_to.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(self));
        Ok(true)
    }

    /// A message that names the buffer has been published.
    pub(crate) fn published(&self, buffer: &Buffer) {
        if let Some(given) = self.lock().given.get_mut(&buffer.number) {
            given.uses = given.uses.wrapping_add(1);
        }
    }

    /// The buffer that a payload names which was just taken from the lane, when the other side has given it:
    /// PAY-30.
    #[inline]
    pub(crate) fn resolve(
        &self,
        payload: &Payload<'_>,
    ) -> Result<Option<Box<Buffer>>, ProtocolViolation> {
        if SharedBufferRef::may_be_named_by(payload.tag()) { self.find(payload) } else { Ok(None) }
    }

    #[cold]
    fn find(&self, payload: &Payload<'_>) -> Result<Option<Box<Buffer>>, ProtocolViolation> {
        let Some(SharedBufferRef { number, .. }) = SharedBufferRef::named_by(payload) else {
            return Ok(None);
        };
        let found = self.find_number(number).map_err(violation)?;
        Ok(found.map(|object| Box::new(Buffer { number, object })))
    }

    fn find_number(&self, number: u32) -> Result<Option<Arc<Object>>, ControlFault> {
        let mut state = self.lock();
        self.active.store(1, Ordering::Relaxed);
        if !state.held.contains_key(&number) {
            self.drain_locked(&mut state)?;
        }
        let Entry::Occupied(mut entry) = state.held.entry(number) else { return Ok(None) };
        let held = entry.get_mut();
        held.uses = held.uses.wrapping_add(1);
        let object = Arc::clone(&held.object);
        if held.last == Some(held.uses) {
            entry.remove();
            state.dropped -= 1;
        }
        Ok(Some(object))
    }

    /// Whether buffers have ever crossed, as far as this side knows.
    #[inline]
    pub(crate) fn is_active(&self) -> bool {
        // Relaxed: whoever needs a message finds it with `resolve`.
        self.active.load(Ordering::Relaxed) != 0
    }

    /// Reads what the other side has sent. Returns whether there was anything since it last returned that: the other
    /// side may wait for room.
    ///
    /// To be called before this side sleeps, also where no buffer has crossed: the other side may have filled the channel with buffers
    /// whose messages it could not publish.
    pub(crate) fn drain(&self) -> Result<bool, ProtocolViolation> {
        let mut state = self.lock();
        self.sweep(&mut state);
        self.drain_locked(&mut state).map_err(violation)?;
        Ok(core::mem::take(&mut state.untold))
    }

    fn drain_locked(&self, state: &mut State) -> Result<(), ControlFault> {
        for _ in 0..MESSAGES_PER_DRAIN {
            if let Some(fault) = state.fault {
                return Err(fault);
            }
            if state.closed {
                break;
            }
            let taken = match self.socket.receive() {
                Ok(Received::Empty) => break,
                Ok(Received::Closed) => {
                    state.closed = true;
                    break;
                }
                Ok(Received::Message(message, file)) => state.take(message, file, self.limit),
                Err(fault) => Err(fault),
            };
            state.untold = true;
            if let Err(fault) = taken {
                state.fault = Some(fault);
            }
        }
        state.fault.map_or(Ok(()), Err)
    }

    /// The last handle of a buffer that was given to the other side is gone. Tells it at once when nobody
    /// else is at the book, otherwise with the next message.
    #[cold]
    pub(super) fn object_dropped(&self) {
        // Release: whoever sees it finds the buffer gone.
        self.stale.store(1, Ordering::Release);
        match self.state.try_lock() {
            Ok(mut state) => self.sweep(&mut state),
            Err(TryLockError::Poisoned(state)) => self.sweep(&mut state.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    /// Says which of the given buffers this side has no handle of any more, if there may be any. LANE-29.
    fn sweep(&self, state: &mut State) {
        // Acquire: pairs with the release store in `object_dropped`.
        if self.stale.swap(0, Ordering::Acquire) == 0 {
            return;
        }
        self.tell_dropped(state);
    }

    fn tell_dropped(&self, state: &mut State) {
        let mut left = false;
        state.given.retain(|number, given| {
            if left || given.object.strong_count() > 0 {
                return true;
            }
            let message = ControlMessage::Drop { number: *number, uses: given.uses };
            match self.socket.send(message, &[]) {
                Ok(()) => false,
                Err(SendFault::Closed) => false,
                // The next look tries again.
                Err(SendFault::Full | SendFault::Refused(_)) => {
                    left = true;
                    true
                }
            }
        });
        if left {
            self.stale.store(1, Ordering::Relaxed);
        }
    }

    /// How many buffers the other side has from this one, and this one from the other.
    #[cfg(feature = "fuzzing")]
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.given.len(), state.held.len())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Enters a message into the book, when it is one that the other side may send. LANE-28.
    fn take(
        &mut self,
        message: ControlMessage,
        file: Option<OwnedFd>,
        limit: u32,
    ) -> Result<(), ControlFault> {
        match message {
            ControlMessage::Give { number, len } => {
                let file = file.ok_or(ControlFault::Descriptors { found: 0 })?;
                let unfit = ControlFault::File { number };
                // Only memfds have seals, and those alone are closed here.
                if rustix::fs::fcntl_get_seals(&file).is_err() {
                    dispose(vec![file]);
                    return Err(unfit);
                }
                if self.held.contains_key(&number) {
                    return Err(ControlFault::Number { number });
                }
                if self.held.len() as u64 >= u64::from(limit) + u64::from(self.dropped) {
                    return Err(ControlFault::TooMany { limit });
                }
                let memory = Mapping::attach(file).map_err(|_| unfit)?;
                if memory.len() != len || !len.is_multiple_of(4) {
                    return Err(unfit);
                }
                let object = Object::new(memory);
                self.held.insert(number, Held { object, uses: 0, last: None });
            }
            ControlMessage::Drop { number, uses } => {
                let Entry::Occupied(mut entry) = self.held.entry(number) else {
                    return Err(ControlFault::Number { number });
                };
                let held = entry.get_mut();
                if held.last.is_some() || self.dropped >= SLOTS && held.uses != uses {
                    return Err(ControlFault::Number { number });
                }
                if held.uses == uses {
                    entry.remove();
                } else {
                    held.last = Some(uses);
                    self.dropped += 1;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;

fn violation(fault: ControlFault) -> ProtocolViolation {
    ProtocolViolation::ControlChannel { fault }
}
