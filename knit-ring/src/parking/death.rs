//! The end of the peer's process, as this process knows it.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

#[cfg(feature = "mapped")]
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
#[cfg(feature = "mapped")]
use rustix::io::Errno;
#[cfg(feature = "mapped")]
use std::os::fd::{AsFd, OwnedFd};
#[cfg(feature = "mapped")]
use std::sync::{Mutex, PoisonError};

/// Says once and for all that a peer's process has ended. Clones are one and the same.
///
/// Whoever learns of the end calls [`Self::signal`]: a thread that sleeps on a pidfd
/// ([`Self::watch`]), an event loop, the code that reaps children. Every wait with this signal in its
/// [`Until`](super::Until) then ends, and every later one ends at once. It lives in memory of this
/// process, so that no peer can raise or hold it back. It is raised by the end of a process alone,
/// never by time that has passed. WAKE-7, LANE-13.
///
/// What the peer stored before its end is visible to whoever has seen the signal: one more look finds
/// the last messages.
#[derive(Clone, Default)]
pub struct PeerDeath {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// 1 once the peer is dead. A futex.
    word: AtomicU32,
    /// Readable once the peer is dead; made when a wait first needs it.
    #[cfg(feature = "mapped")]
    event: Mutex<Option<Arc<OwnedFd>>>,
}

impl PeerDeath {
    /// A signal that nobody has given.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the peer is dead.
    #[must_use]
    pub fn is_signalled(&self) -> bool {
        // Acquire: pairs with `signal`.
        self.inner.word.load(Ordering::Acquire) != 0
    }

    /// The peer is dead: ends every wait.
    pub fn signal(&self) {
        // Release: what the caller saw of the peer's end happens before what a woken thread does.
        self.inner.word.store(1, Ordering::Release);
        #[cfg(feature = "mapped")]
        {
            super::futex::wake(&self.inner.word);
            // The lock comes after the store: a wait that makes the descriptor later, under the same
            // lock, sees the word.
            let event = self.inner.event.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(event) = &*event {
                super::eventfd::ring(event.as_fd());
            }
        }
    }

    /// Blocks until the process behind `pidfd` has ended, then signals.
    ///
    /// # Errors
    ///
    /// `pidfd` cannot be waited on. Nothing is signalled.
    #[cfg(feature = "mapped")]
    pub fn watch(&self, pidfd: impl AsFd) -> std::io::Result<()> {
        loop {
            let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
            match rustix::event::poll(&mut fds, None) {
                Ok(_) if fds[0].revents().contains(PollFlags::IN) => break,
                Ok(0) | Err(Errno::INTR) => {}
                // An error of the descriptor, or one that cannot be waited on: no death.
                Ok(_) => return Err(Errno::INVAL.into()),
                Err(errno) => return Err(errno.into()),
            }
        }
        self.signal();
        Ok(())
    }

    /// The word, to wait on while it is 0.
    #[cfg(feature = "mapped")]
    pub(super) fn word(&self) -> &AtomicU32 {
        &self.inner.word
    }

    /// A descriptor that becomes readable when the peer is dead and stays so.
    ///
    /// # Errors
    ///
    /// The process has no descriptors left.
    #[cfg(feature = "mapped")]
    pub(super) fn event(&self) -> std::io::Result<Arc<OwnedFd>> {
        let mut event = self.inner.event.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = &*event {
            return Ok(Arc::clone(event));
        }
        let count = self.is_signalled().into();
        let made = Arc::new(eventfd(count, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        *event = Some(Arc::clone(&made));
        Ok(made)
    }
}

impl fmt::Debug for PeerDeath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerDeath").field("signalled", &self.is_signalled()).finish()
    }
}
