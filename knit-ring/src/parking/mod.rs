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
//!
//! Every wait ends at its timeout, and when the peer's death is signalled: [`Until`]. How the wait of
//! step 5 is done is a [`Doorbell`]:
//!
//! | doorbell | waits by | for |
//! | --- | --- | --- |
//! | [`SpinBell`] | looking | a core of its own |
//! | [`FutexBell`] | shared futexes on the bells | the default between processes |
//! | [`FutexPair`] | the same, and a word of this process | waits that other threads of the process end |
//! | [`EventfdBell`] | a descriptor that both sides have | event loops |

mod death;
#[cfg(feature = "mapped")]
mod eventfd;
#[cfg(feature = "mapped")]
mod futex;
#[cfg(feature = "mapped")]
mod spin;

pub use death::PeerDeath;
#[cfg(feature = "mapped")]
pub use eventfd::EventfdBell;
#[cfg(feature = "mapped")]
pub use futex::{FutexBell, FutexPair, MAX_BELLS};
#[cfg(feature = "mapped")]
pub use spin::SpinBell;

use crate::{AttachError, SharedMemory, SharedWord};
use core::fmt;
use core::time::Duration;
use knit_proto::ControlLayout;

/// Longest wait while some bell or death is not waited on: it is looked at after that.
#[cfg(feature = "mapped")]
const UNHEARD: Duration = Duration::from_millis(1);

/// How a side waits on bells and is woken.
///
/// A bell is a word that its notifier alone writes. Waits may end for no reason: whoever waits looks
/// again. WAKE-5.
pub trait Doorbell<W> {
    /// The state of the bell now. A later wait with it ends at once when the bell was rung in between.
    fn ticket(&self, bell: &W) -> Ticket;

    /// Waits until one of the bells has been rung since its ticket, or `until` ends the wait. Without
    /// a bell, only `until` does.
    ///
    /// A death is told before a bell: after [`Woken::PeerDied`], look once more at what the peer left.
    fn wait_any(&self, bells: &[(&W, Ticket)], until: Until<'_>) -> Woken;

    /// Waits until the bell has been rung since `ticket`, or `timeout` has passed.
    fn wait(&self, bell: &W, ticket: Ticket, timeout: Option<Duration>) -> Woken {
        self.wait_any(&[(bell, ticket)], timeout.into())
    }

    /// Wakes everybody who waits on the bell, which has just been advanced.
    fn wake(&self, bell: &W);
}

/// What ends a wait besides a bell.
///
/// ```
/// use core::time::Duration;
/// use knit_ring::{PeerDeath, Until};
///
/// let death = PeerDeath::new();
/// let until = Until::death(&death).or_after(Duration::from_millis(20));
/// assert_eq!(until.timeout, Some(Duration::from_millis(20)));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Until<'d> {
    /// Longest wait; `None` waits as long as it takes.
    pub timeout: Option<Duration>,
    /// Peers of which the end of any ends the wait. WAKE-7.
    pub deaths: &'d [PeerDeath],
}

impl<'d> Until<'d> {
    /// Until the time has passed.
    #[must_use]
    pub const fn after(timeout: Duration) -> Self {
        Self { timeout: Some(timeout), deaths: &[] }
    }

    /// Until the peer has died.
    #[must_use]
    pub const fn death(death: &'d PeerDeath) -> Self {
        Self { timeout: None, deaths: core::slice::from_ref(death) }
    }

    /// Until the time has passed, or what `self` says.
    #[must_use]
    pub fn or_after(self, timeout: Duration) -> Self {
        Self { timeout: self.timeout_or(timeout), ..self }
    }

    /// The shorter of the timeout and `other`.
    fn timeout_or(&self, other: Duration) -> Option<Duration> {
        Some(self.timeout.map_or(other, |timeout| timeout.min(other)))
    }
}

/// Until that much time has passed; `None` is for ever.
impl From<Option<Duration>> for Until<'_> {
    fn from(timeout: Option<Duration>) -> Self {
        Self { timeout, deaths: &[] }
    }
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
    /// A death that was waited for has been signalled. Look once more: the peer may have sent
    /// something before.
    PeerDied,
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

    /// As if it had advanced the bell so often.
    #[cfg(test)]
    pub(crate) fn has_rung(&mut self, times: u32) {
        self.rung = times;
        self.bell.store_release(times);
    }

    /// Advances the bell whether the other side is parked or not. The caller must then wake it.
    #[cold]
    pub fn advance(&mut self) {
        self.rung = self.rung.wrapping_add(1);
        // E7: release store, pairs with the acquire load of the ticket. What was stored before, a state
        // above all, is visible to whoever sees the bell advanced. WAKE-8.
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

    /// Sleeps until the bell is rung or `until` ends the wait, unless `ready` says that there is
    /// something to do. `ready` must look at the shared words themselves, not at a copy of them.
    ///
    /// # Ordering
    ///
    /// F2.
    pub fn park<'d, D: Doorbell<M::Word>>(
        &mut self,
        doorbell: &D,
        until: impl Into<Until<'d>>,
        ready: impl FnOnce() -> bool,
    ) -> Woken {
        let ticket = self.announce(doorbell);
        let woken = if ready() {
            Woken::Ready
        } else {
            doorbell.wait_any(&[(&self.bell, ticket)], until.into())
        };
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
