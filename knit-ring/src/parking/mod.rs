//! Sleeping when there is nothing to do, and being woken.
//!
//! ```text
//! notifier                          waiter
//! 1 store what is new               1 load the bell
//! 2 full fence                      2 store 1 to its parked flag
//! 3 load the waiter's parked flag   3 full fence
//! 4 if it is 1: advance the bell,   4 look again; if there is something: go to 6
//!   wake everybody who waits on it  5 wait while the bell has the value of step 1
//!                                   6 store 0 to its parked flag
//! ```
//!
//! Of the notifier's step 3 and the waiter's step 4 at least one sees the other side's store: that
//! is what the two fences are for (F1, F2). If the notifier sees the flag, it advances the bell, and
//! the wait of step 5 ends or does not begin.

#[cfg(feature = "mapped")]
mod futex;

#[cfg(feature = "mapped")]
pub use futex::{FutexBell, FutexPair, MAX_BELLS};

use crate::{AttachError, SharedMemory, SharedWord};
use core::fmt;
use core::time::Duration;
use knit_proto::ControlLayout;

/// How a side waits on a bell and is woken.
///
/// The bell is a word that the notifier alone writes. Waits may end for no reason: whoever waits
/// looks again.
pub trait Doorbell<W> {
    /// The state of the bell now. A later [`Self::wait`] with it ends at once when the bell was rung
    /// in between.
    fn ticket(&self, bell: &W) -> Ticket;

    /// Waits until the bell has been rung since `ticket`, or `timeout` has passed.
    fn wait(&self, bell: &W, ticket: Ticket, timeout: Option<Duration>) -> Woken;

    /// Wakes everybody who waits on the bell, which has just been advanced.
    fn wake(&self, bell: &W);
}

/// State of a bell at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The bell word.
    pub bell: u32,
    /// A second, process-private word where the doorbell has one, else zero.
    pub local: u32,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// There was something to do before the wait began.
    Ready,
    /// The bell was rung, or the wait ended for no reason: look again.
    Rung,
    /// The time was over.
    TimedOut,
}

/// The side that tells the other one that there is something new.
pub struct Notifier<M: SharedMemory> {
    memory: M,
    /// Parked flag of the other side.
    parked: M::Word,
    /// Bell of this side, which the other side waits on.
    bell: M::Word,
    /// The bell, as this side stored it last.
    rung: u32,
}

impl<M: SharedMemory> Notifier<M> {
    /// The notifier of the side whose control line is `mine`.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn new(
        memory: &M,
        mine: &ControlLayout,
        theirs: &ControlLayout,
    ) -> Result<Self, AttachError> {
        Ok(Self {
            parked: memory.word(theirs.parked)?,
            bell: memory.word(mine.bell)?,
            memory: memory.clone(),
            rung: 0,
        })
    }

    /// Call it after storing what is new. When the other side is parked, advances the bell and
    /// returns true: the caller must then [`Doorbell::wake`] the bell.
    ///
    /// # Ordering
    ///
    /// F1.
    #[inline]
    pub fn notify(&mut self) -> bool {
        // F1: full fence. Orders the caller's store before the load of the flag; pairs with F2.
        self.memory.full_fence();
        // Relaxed: the fence orders it, and nothing is read on the strength of its value.
        if self.parked.load_relaxed() == 0 {
            return false;
        }
        self.advance();
        true
    }

    /// Advances the bell whether the other side is parked or not. The caller must then wake it.
    #[cold]
    pub fn advance(&mut self) {
        self.rung = self.rung.wrapping_add(1);
        // Release, with the acquire of the ticket: no edge rests on it, the bell only ends waits.
        self.bell.store_release(self.rung);
    }

    /// The bell, for [`Doorbell::wake`].
    #[must_use]
    pub fn bell(&self) -> &M::Word {
        &self.bell
    }
}

impl<M: SharedMemory> fmt::Debug for Notifier<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("rung", &self.rung).finish_non_exhaustive()
    }
}

/// The side that sleeps while there is nothing to do.
pub struct Waiter<M: SharedMemory> {
    memory: M,
    /// Parked flag of this side.
    parked: M::Word,
    /// Bell of the other side.
    bell: M::Word,
}

impl<M: SharedMemory> Waiter<M> {
    /// The waiter of the side whose control line is `mine`.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn new(
        memory: &M,
        mine: &ControlLayout,
        theirs: &ControlLayout,
    ) -> Result<Self, AttachError> {
        Ok(Self {
            parked: memory.word(mine.parked)?,
            bell: memory.word(theirs.bell)?,
            memory: memory.clone(),
        })
    }

    /// Sleeps until the bell is rung or `timeout` has passed, unless `ready` says that there is
    /// something to do. `ready` must look at the shared words themselves, not at a copy of them.
    ///
    /// # Ordering
    ///
    /// F2.
    pub fn park<D: Doorbell<M::Word>>(
        &mut self,
        doorbell: &D,
        timeout: Option<Duration>,
        ready: impl FnOnce() -> bool,
    ) -> Woken {
        let ticket = self.announce(doorbell);
        let woken = if ready() { Woken::Ready } else { doorbell.wait(&self.bell, ticket, timeout) };
        self.retract();
        woken
    }

    /// Steps 1 to 3: announces that this side is about to sleep. Look again, then wait on the bell
    /// with the ticket, then [`Self::retract`].
    ///
    /// # Ordering
    ///
    /// F2.
    pub fn announce<D: Doorbell<M::Word>>(&mut self, doorbell: &D) -> Ticket {
        let ticket = doorbell.ticket(&self.bell);
        // Relaxed: the fence orders it.
        self.parked.store_relaxed(1);
        // F2: full fence. Orders the store of the flag before the look; pairs with F1.
        self.memory.full_fence();
        ticket
    }

    /// Step 6: this side is awake.
    pub fn retract(&mut self) {
        // Relaxed: a notifier that still sees 1 wakes for nothing.
        self.parked.store_relaxed(0);
    }

    /// The bell, to wait on after [`Self::announce`].
    #[must_use]
    pub fn bell(&self) -> &M::Word {
        &self.bell
    }
}

impl<M: SharedMemory> fmt::Debug for Waiter<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").finish_non_exhaustive()
    }
}
