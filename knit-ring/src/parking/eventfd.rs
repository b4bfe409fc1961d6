//! Doorbells over eventfds (Linux).

use super::{Doorbell, PeerDeath, Ticket, UNHEARD, Until, Woken};
use crate::SharedWord;
use alloc::sync::Arc;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use rustix::io::{Errno, ReadWriteFlags};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::vec::Vec;

/// An eventfd beside the bell words, for one direction: one side waits on it, the other side wakes
/// with it. Both have it by inheritance, or by a message over a Unix socket.
///
/// Announcement, fences, bell word and second look are those of every doorbell: the word says whether
/// somebody rang, the eventfd only ends the sleep. Several notifiers can share one eventfd, each with
/// a bell word of its own, so one descriptor serves a [`ReceiverSet`](crate::ReceiverSet) of any
/// size. **One thread at a time waits**: a second one could lose its wake-up to the first.
///
/// # Event loops
///
/// The descriptor ([`AsFd`]) can stand in the epoll set of an async runtime, and no thread has to
/// block: [`Waiter::announce`](super::Waiter::announce), look again, and if there is nothing, return
/// to the loop. When the descriptor is readable: [`Self::clear`],
/// [`Waiter::retract`](super::Waiter::retract), look. Clear before the look, never after it.
///
/// # Hostile peers
///
/// The two sides share one open file, its non-blocking flag included. Waits do not depend on that
/// flag. [`Doorbell::wake`] does: a peer that clears it and fills the counter makes it block. Use an
/// eventfd for each peer, and [`FutexBell`](super::FutexBell) with peers from which even that must
/// not be expected.
#[derive(Clone, Debug)]
pub struct EventfdBell {
    fd: Arc<OwnedFd>,
}

impl EventfdBell {
    /// A doorbell with a new eventfd, closed on `exec` unless it is handed on.
    ///
    /// # Errors
    ///
    /// The process or the machine has no descriptors left.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self::from_fd(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// The doorbell of an eventfd that the other side made.
    #[must_use]
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd: Arc::new(fd) }
    }

    /// Makes the descriptor unreadable until the next wake-up. Look afterwards whether anything is
    /// new.
    pub fn clear(&self) {
        let mut count = [0; 8];
        let into = &mut [IoSliceMut::new(&mut count)];
        // The flag belongs to this call: it does not block, whatever the peer did to the file. The
        // offset stands for "none". Errors: the counter was zero, or the descriptor is no eventfd,
        // which then never says anything or always does; the caller looks in any case.
        let _ = rustix::io::preadv2(&*self.fd, into, u64::MAX, ReadWriteFlags::NOWAIT);
    }
}

impl AsFd for EventfdBell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<W: SharedWord> Doorbell<W> for EventfdBell {
    fn ticket(&self, bell: &W) -> Ticket {
        Ticket { bell: bell.load_acquire(), local: 0 }
    }

    fn wait_any(&self, bells: &[(&W, Ticket)], until: Until<'_>) -> Woken {
        if until.deaths.iter().any(PeerDeath::is_signalled) {
            return Woken::PeerDied;
        }
        // A bell that rings after this look also makes the descriptor readable, and it stays so until
        // this thread clears it.
        if bells.iter().any(|(bell, ticket)| bell.load_acquire() != ticket.bell) {
            return Woken::Rung;
        }
        let deaths: Vec<_> = until.deaths.iter().filter_map(|death| death.event().ok()).collect();
        let all = deaths.len() == until.deaths.len();
        let timeout = if all { until.timeout } else { until.timeout_or(UNHEARD) };
        let mut fds: Vec<_> = core::iter::once(&self.fd)
            .chain(&deaths)
            .map(|fd| PollFd::new(&**fd, PollFlags::IN))
            .collect();
        let polled = rustix::event::poll(&mut fds, timeout.map(super::futex::timespec).as_ref());
        let rung = !fds[0].revents().is_empty();
        drop(fds);
        if rung {
            self.clear();
        }
        match polled {
            _ if until.deaths.iter().any(PeerDeath::is_signalled) => Woken::PeerDied,
            Ok(0) if timeout == until.timeout => Woken::TimedOut,
            // A signal handler ran, or some bell was not waited on: look again.
            Ok(_) | Err(_) => Woken::Rung,
        }
    }

    fn wake(&self, _: &W) {
        ring(self.fd.as_fd());
    }
}

/// Makes an eventfd readable.
pub(super) fn ring(fd: BorrowedFd<'_>) {
    loop {
        match rustix::io::write(fd, &1_u64.to_ne_bytes()) {
            Err(Errno::INTR) => {}
            // The counter is full, so the descriptor is readable; or it is no eventfd, and nobody
            // listens.
            _ => return,
        }
    }
}
