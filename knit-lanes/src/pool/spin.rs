//! How long a thread that waits for a call polls before it sleeps.

use core::time::Duration;
use std::time::Instant;

/// The spin of one wait for one call. It has the whole limit each time: any thread may wait for any
/// call, so none has a history that would tell how long the next wait lasts. Counts polls, and looks at
/// the clock only now and then.
pub(super) struct Spin {
    polls: u32,
    limit: Duration,
    since: Option<Instant>,
}

impl Spin {
    /// Polls between two looks at the clock: reading it costs as much as a poll.
    const POLLS_PER_LOOK: u32 = 64;

    pub(super) fn new(limit: Duration) -> Self {
        Self { polls: 0, limit, since: None }
    }

    /// Counts a poll. True once polling has gone on for the limit.
    #[inline]
    pub(super) fn over(&mut self) -> bool {
        self.polls = self.polls.wrapping_add(1);
        if !self.polls.is_multiple_of(Self::POLLS_PER_LOOK) && !self.limit.is_zero() {
            return false;
        }
        self.since.get_or_insert_with(Instant::now).elapsed() >= self.limit
    }
}
