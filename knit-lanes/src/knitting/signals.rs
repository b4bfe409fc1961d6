//! The three words of the signals region: how a worker of Knitting sleeps.
//!
//! | word | writer | meaning |
//! | --- | --- | --- |
//! | `op`, at 0 | host | wake token, the word that is waited on |
//! | `rxStatus`, at 64 | worker | 1 = awake, 0 = asleep or about to be |
//! | `txStatus`, at 128 | host | 1 = the host is at work: a hint |
//!
//! A host publishes and then loads `rxStatus`, both sequentially consistent. A worker stores 0 there, and
//! looks at the mailbox once more before it waits, so that no request is overlooked (KD-27). The host's
//! wake-up itself can still be lost, because it may store a value of `op` that is there already: every
//! wait ends by the clock too.

use core::time::Duration;
use knit_proto::{SIGNALS_HOST_BUSY_AT, SIGNALS_RECEIVER_AWAKE_AT, SIGNALS_WAKE_AT, Span};
use knit_ring::{AttachError, Doorbell, OutOfBounds, SharedMemory, SharedWord, Until};

/// Value of `rxStatus` of a worker that needs no wake-up.
const AWAKE: u32 = 1;
/// Value of `rxStatus` of a worker that sleeps or is about to.
const ASLEEP: u32 = 0;
/// Value of `txStatus` of a host that is at work.
const BUSY: u32 = 1;

/// The worker's view of the signals.
#[derive(Debug)]
pub(super) struct Signals<M: SharedMemory> {
    memory: M,
    wake: M::Word,
    awake: M::Word,
    host_busy: M::Word,
}

impl<M: SharedMemory> Signals<M> {
    /// Attaches, and says that the worker is awake: from here on the host may count on it.
    pub(super) fn attach(memory: &M, region: Span) -> Result<Self, AttachError> {
        let word = |at| {
            let outside = OutOfBounds { at, len: 4, available: region.len() };
            memory.word(region.word(at).ok_or(outside)?)
        };
        let signals = Self {
            wake: word(SIGNALS_WAKE_AT)?,
            awake: word(SIGNALS_RECEIVER_AWAKE_AT)?,
            host_busy: word(SIGNALS_HOST_BUSY_AT)?,
            memory: memory.clone(),
        };
        // Relaxed: nothing is read on the strength of its value.
        signals.awake.store_relaxed(AWAKE);
        Ok(signals)
    }

    /// Whether the host says that it is at work. A hint: what waits for it to end must end besides,
    /// since a host may be unable to take it back (KD-20).
    pub(super) fn host_is_busy(&self) -> bool {
        // Relaxed: a hint.
        self.host_busy.load_relaxed() == BUSY
    }

    /// Sleeps until the host wakes this worker, at most `longest`, unless `ready` says that there is
    /// something to do.
    pub(super) fn park<D: Doorbell<M::Word>>(
        &self,
        doorbell: &D,
        longest: Duration,
        ready: impl FnOnce() -> bool,
    ) {
        let ticket = doorbell.ticket(&self.wake);
        // Relaxed: the fence orders it.
        self.awake.store_relaxed(ASLEEP);
        // As F2: full fence, orders the store of the flag before the look. Its partner is the host's
        // sequentially consistent store and load.
        self.memory.full_fence();
        if !ready() {
            doorbell.wait_any(&[(&self.wake, ticket)], Until::after(longest));
        }
        // Relaxed: a host that still sees 0 wakes for nothing.
        self.awake.store_relaxed(AWAKE);
    }
}
