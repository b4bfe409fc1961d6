//! Doorbells over shared futexes (Linux).
//!
//! Private futexes do not work between processes, and their waits would never end: every call here
//! uses the shared kind.

use super::{Doorbell, PeerDeath, Ticket, UNHEARD, Until, Woken};
use crate::SharedWord;
use crate::mem::{Backing, MappedWord};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use rustix::io::Errno;
use rustix::thread::futex;
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::vec::Vec;

/// Most futexes that one wait can cover, process-private words and deaths included: the kernel's
/// limit. A wait for more looks at those left out each millisecond.
pub const MAX_BELLS: usize = 128;

/// Futexes on the bell words alone.
///
/// A wait on one bell without a death signal works on every kernel; more than one word in a wait needs
/// Linux 5.16, see [`FutexPair::check`].
#[derive(Clone, Copy, Debug, Default)]
pub struct FutexBell;

impl<B: Backing> Doorbell<MappedWord<B>> for FutexBell {
    fn ticket(&self, bell: &MappedWord<B>) -> Ticket {
        Ticket { bell: bell.load_acquire(), local: 0 }
    }

    fn wait_any(&self, bells: &[(&MappedWord<B>, Ticket)], until: Until<'_>) -> Woken {
        let bells = bells.iter().map(|(bell, ticket)| (bell.as_atomic(), ticket.bell));
        wait_words(bells, until)
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
        self.wait_with(local, [], timeout.into())
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

    /// The local word counts too: the wait does not begin when it was rung since any of the tickets.
    fn wait_any(&self, bells: &[(&MappedWord<B>, Ticket)], until: Until<'_>) -> Woken {
        let local = bells.first().map_or_else(|| self.local(), |(_, ticket)| ticket.local);
        if bells.iter().any(|(_, ticket)| ticket.local != local) {
            return Woken::Rung;
        }
        self.wait_bells(bells, local, until)
    }

    fn wake(&self, bell: &MappedWord<B>) {
        wake(bell.as_atomic());
    }
}

impl FutexPair {
    /// Waits until one of `bells` was rung since its ticket, or the local word no longer has the value
    /// `local`, or `until` ends the wait. The local part of the tickets does not count.
    pub fn wait_bells<B: Backing>(
        &self,
        bells: &[(&MappedWord<B>, Ticket)],
        local: u32,
        until: Until<'_>,
    ) -> Woken {
        self.wait_with(
            local,
            bells.iter().map(|(bell, ticket)| (bell.as_atomic(), ticket.bell)),
            until,
        )
    }

    fn wait_with<'w>(
        &'w self,
        local: u32,
        bells: impl IntoIterator<Item = (&'w AtomicU32, u32)>,
        until: Until<'w>,
    ) -> Woken {
        // Sequentially consistent: see `ring_local`. The kernel reads the word after it.
        self.local.waiting.fetch_add(1, Ordering::SeqCst);
        let woken = wait_words(core::iter::once((&self.local.word, local)).chain(bells), until);
        // Release: nothing is read on the strength of it.
        self.local.waiting.fetch_sub(1, Ordering::Release);
        woken
    }
}

/// Waits until one of `words` no longer has the value beside it, or `until` ends the wait.
fn wait_words<'w>(words: impl Iterator<Item = (&'w AtomicU32, u32)>, until: Until<'w>) -> Woken {
    let died = || until.deaths.iter().any(PeerDeath::is_signalled);
    if died() {
        return Woken::PeerDied;
    }
    let words: Vec<_> = words.chain(until.deaths.iter().map(|death| (death.word(), 0))).collect();
    let all = words.len() <= MAX_BELLS;
    let timeout = if all { until.timeout } else { until.timeout_or(UNHEARD) };
    let never = AtomicU32::new(0);
    let waited = match words[..] {
        // Nobody can end this wait but the clock.
        [] => wait_one(&never, 0, timeout),
        [(word, value)] => wait_one(word, value, timeout),
        // The first ones are waited on; the others are looked at, here and after the timeout.
        _ if !all => {
            if words.iter().any(|(word, value)| word.load(Ordering::Relaxed) != *value) {
                return if died() { Woken::PeerDied } else { Woken::Rung };
            }
            wait_many(&words[..MAX_BELLS], timeout)
        }
        _ => wait_many(&words, timeout),
    };
    match waited {
        _ if died() => Woken::PeerDied,
        Err(Errno::TIMEDOUT) if timeout == until.timeout => Woken::TimedOut,
        _ => Woken::Rung,
    }
}

fn wait_one(word: &AtomicU32, value: u32, timeout: Option<Duration>) -> Result<(), Errno> {
    futex::wait(word, futex::Flags::empty(), value, timeout.map(timespec).as_ref())
}

fn wait_many(words: &[(&AtomicU32, u32)], timeout: Option<Duration>) -> Result<(), Errno> {
    let waits: Vec<_> = words.iter().map(|(word, value)| entry(word, *value)).collect();
    // `futex_waitv` takes the end of the wait, not its length.
    let end = timeout.map(|timeout| {
        let now = clock_gettime(ClockId::Monotonic);
        timespec(
            Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32).saturating_add(timeout),
        )
    });
    let flags = futex::WaitvFlags::empty();
    futex::waitv(&waits, flags, end.as_ref(), ClockId::Monotonic).map(drop)
}

fn entry(word: &AtomicU32, value: u32) -> futex::Wait {
    let mut wait = futex::Wait::new();
    wait.uaddr = futex::WaitPtr::new(word.as_ptr().cast());
    wait.val = value.into();
    wait.flags = futex::WaitFlags::SIZE_U32;
    wait
}

pub(super) fn wake(word: &AtomicU32) {
    // Waking can only fail for an address that is not mapped; this one is.
    let _ = futex::wake(word, futex::Flags::empty(), i32::MAX as u32);
}

pub(super) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
