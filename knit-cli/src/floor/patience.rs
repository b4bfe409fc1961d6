//! Spinning with an end.

use super::{FloorError, Peer};
use knit_ring::Relax;
use std::hint::spin_loop;
use std::thread;
use std::time::{Duration, Instant};

/// How long a peer may be silent before a measurement fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Polls between two looks at anything but the polled word. About 25 us with pause hints here.
const POLLS_PER_YIELD: u32 = 1024;
/// Polls between two questions whether the peer is alive, which cost a system call.
const POLLS_PER_LOOK: u32 = 64 * POLLS_PER_YIELD;

/// One wait of a spinning side: a moment after each poll, and from time to time a look whether
/// waiting still makes sense.
#[derive(Debug, Default)]
pub struct Patience {
    /// What a moment is: with it as in knit's own waits, without it one pause hint.
    relax: Option<Relax>,
    polls: u32,
    since: Option<Instant>,
}

impl Patience {
    /// A wait that begins now, with one pause hint for each poll: the best for one line that goes to
    /// and fro.
    #[inline]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A wait that begins now, with the moments of knit's own waits: the best for lines that go one
    /// way.
    #[inline]
    #[must_use]
    pub fn relaxed() -> Self {
        Self { relax: Some(Relax::new()), ..Self::default() }
    }

    #[inline]
    fn moment(&mut self) {
        match &mut self.relax {
            Some(relax) => relax.moment(),
            None => spin_loop(),
        }
    }

    /// Call it after a poll that found nothing.
    ///
    /// # Errors
    ///
    /// The peer ended, or the wait has lasted for [`PATIENCE`].
    #[inline]
    pub fn spin(&mut self, peer: &mut Peer) -> Result<(), FloorError> {
        self.moment();
        self.polls = self.polls.wrapping_add(1);
        if self.polls.is_multiple_of(POLLS_PER_YIELD) { self.look(peer) } else { Ok(()) }
    }

    /// Call it after a poll that found nothing, on a side that something else ends.
    #[inline]
    pub fn spin_forever(&mut self) {
        self.moment();
        self.polls = self.polls.wrapping_add(1);
        if self.polls.is_multiple_of(POLLS_PER_YIELD) {
            thread::yield_now();
        }
    }

    #[cold]
    fn look(&mut self, peer: &mut Peer) -> Result<(), FloorError> {
        // On a machine with one processor the peer answers in this moment.
        thread::yield_now();
        if self.since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return Err(peer.silent(PATIENCE));
        }
        if self.polls.is_multiple_of(POLLS_PER_LOOK) { peer.alive() } else { Ok(()) }
    }
}
