//! Doorbells over shared futexes (Linux).
//!
//! Private futexes do not work between processes, and their waits would never end: every call here
//! uses the shared kind.

use super::{Doorbell, Ticket, Woken};
use crate::SharedWord;
use crate::mem::{Backing, HeapBlock, MappedWord};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use rustix::io::Errno;
use rustix::thread::futex;
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::vec::Vec;

/// Most bells that one wait can cover, the process-private word included: the kernel's limit.
pub const MAX_BELLS: usize = 128;

/// A futex on the bell word alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct FutexBell;

impl<B: Backing> Doorbell<MappedWord<B>> for FutexBell {
    fn ticket(&self, bell: &MappedWord<B>) -> Ticket {
        Ticket { bell: bell.load_acquire(), local: 0 }
    }

    fn wait(&self, bell: &MappedWord<B>, ticket: Ticket, timeout: Option<Duration>) -> Woken {
        let timeout = timeout.map(timespec);
        let flags = futex::Flags::empty();
        match futex::wait(bell.as_atomic(), flags, ticket.bell, timeout.as_ref()) {
            Err(Errno::TIMEDOUT) => Woken::TimedOut,
            _ => Woken::Rung,
        }
    }

    fn wake(&self, bell: &MappedWord<B>) {
        wake(bell.as_atomic());
    }
}

/// A futex on the bell word and on a word of this process: the wait also ends when a thread of this
/// process rings the local one, which no peer can touch.
#[derive(Clone, Debug, Default)]
pub struct FutexPair {
    local: Arc<Local>,
}

/// The local word, and how many threads are about to wait on it or do.
#[derive(Debug, Default)]
struct Local {
    word: AtomicU32,
    waiting: AtomicU32,
}

impl FutexPair {
    /// Rings the local word: every wait with an older ticket ends.
    pub fn ring_local(&self) {
        // Sequentially consistent, with the accesses of `wait_any`: either this thread sees the
        // waiter, or the waiter's wait sees the new value and does not begin. It also releases what
        // was stored before to whoever takes a ticket with the new value.
        self.local.word.fetch_add(1, Ordering::SeqCst);
        if self.local.waiting.load(Ordering::SeqCst) != 0 {
            wake(&self.local.word);
        }
    }

    /// Whether this system can wait for several futexes at once.
    ///
    /// # Errors
    ///
    /// What the system said: it is older than Linux 5.16, or a filter forbids the call.
    pub fn check() -> std::io::Result<()> {
        let word = AtomicU32::new(0);
        // A wait for another value than the word has ends at once.
        match futex::waitv(&[entry(&word, 1)], futex::WaitvFlags::empty(), None, ClockId::Monotonic)
        {
            Err(Errno::AGAIN) | Ok(_) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits until the local word no longer has the value `local`, or `timeout` has passed.
    pub fn wait_local(&self, local: u32, timeout: Option<Duration>) -> Woken {
        self.wait_any::<HeapBlock>(&[], local, timeout)
    }

    /// State of the local word now.
    #[must_use]
    pub fn local(&self) -> u32 {
        // Acquire: pairs with `ring_local`.
        self.local.word.load(Ordering::Acquire)
    }
}

impl<B: Backing> Doorbell<MappedWord<B>> for FutexPair {
    fn ticket(&self, bell: &MappedWord<B>) -> Ticket {
        Ticket { bell: bell.load_acquire(), local: self.local() }
    }

    fn wait(&self, bell: &MappedWord<B>, ticket: Ticket, timeout: Option<Duration>) -> Woken {
        self.wait_any(&[(bell, ticket.bell)], ticket.local, timeout)
    }

    fn wake(&self, bell: &MappedWord<B>) {
        wake(bell.as_atomic());
    }
}

impl FutexPair {
    /// Waits until one of `bells` no longer has the value beside it, or the local word no longer has
    /// the value `local`, or `timeout` has passed. Bells beyond [`MAX_BELLS`]` - 1` are not waited
    /// on.
    pub fn wait_any<B: Backing>(
        &self,
        bells: &[(&MappedWord<B>, u32)],
        local: u32,
        timeout: Option<Duration>,
    ) -> Woken {
        // Sequentially consistent: see `ring_local`. The kernel reads the word after it.
        self.local.waiting.fetch_add(1, Ordering::SeqCst);
        let woken = wait_any(bells, &self.local.word, local, timeout);
        // Release: nothing is read on the strength of it.
        self.local.waiting.fetch_sub(1, Ordering::Release);
        woken
    }
}

/// Waits on several bells and one word of this process, as [`FutexPair::wait_any`].
fn wait_any<B: Backing>(
    bells: &[(&MappedWord<B>, u32)],
    local: &AtomicU32,
    local_value: u32,
    timeout: Option<Duration>,
) -> Woken {
    let mut waits = Vec::with_capacity(bells.len() + 1);
    waits.push(entry(local, local_value));
    waits.extend(
        bells.iter().take(MAX_BELLS - 1).map(|(word, value)| entry(word.as_atomic(), *value)),
    );
    // `futex_waitv` takes the end of the wait, not its length.
    let end = timeout.map(|timeout| {
        let now = clock_gettime(ClockId::Monotonic);
        timespec(
            Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32).saturating_add(timeout),
        )
    });
    let flags = futex::WaitvFlags::empty();
    match futex::waitv(&waits, flags, end.as_ref(), ClockId::Monotonic) {
        Err(Errno::TIMEDOUT) => Woken::TimedOut,
        _ => Woken::Rung,
    }
}

fn entry(word: &AtomicU32, value: u32) -> futex::Wait {
    let mut wait = futex::Wait::new();
    wait.uaddr = futex::WaitPtr::new(word.as_ptr().cast());
    wait.val = value.into();
    wait.flags = futex::WaitFlags::SIZE_U32;
    wait
}

fn wake(word: &AtomicU32) {
    // Waking can only fail for an address that is not mapped; this one is.
    let _ = futex::wake(word, futex::Flags::empty(), i32::MAX as u32);
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
