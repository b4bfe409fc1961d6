//! Whether the ends of a lane sleep, and look if the other one does.

use crate::Failure;
use knit_proto::{ControlLayout, ProtocolViolation};
use knit_ring::{Doorbell, FutexBell, Notifier, Receiver, SharedMemory, Waiter};
use std::time::Duration;

/// Longest sleep before a look whether the other end is alive.
const NAP: Duration = Duration::from_millis(200);

/// Whether an end sleeps, and whether it looks, after each publish, if the other one is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Both spin, and do not look.
    Never,
    /// Both spin, and look: the price of the look.
    Checked,
    /// Both sleep at once when there is nothing, and are woken.
    Parked,
}

/// The sleeping and waking of one end.
#[derive(Debug)]
pub(super) struct Bells<M: SharedMemory> {
    notifier: Option<Notifier<M>>,
    waiter: Option<Waiter<M>>,
}

impl<M: SharedMemory> Bells<M>
where
    FutexBell: Doorbell<M::Word>,
{
    pub(super) fn new(
        memory: &M,
        mine: &ControlLayout,
        theirs: &ControlLayout,
        wake: Wake,
    ) -> Result<Self, Failure> {
        let notifier = match wake {
            Wake::Never => None,
            Wake::Checked | Wake::Parked => Some(Notifier::new(memory, mine, theirs)?),
        };
        let waiter = match wake {
            Wake::Never | Wake::Checked => None,
            Wake::Parked => Some(Waiter::new(memory, mine, theirs)?),
        };
        Ok(Self { notifier, waiter })
    }

    /// After a publish.
    #[inline]
    pub(super) fn ring(&mut self) {
        if let Some(notifier) = &mut self.notifier
            && notifier.notify()
        {
            FutexBell.wake(notifier.bell());
        }
    }

    /// Sleeps while `receiver` has nothing; false where this end does not sleep.
    #[inline]
    pub(super) fn sleep(&mut self, receiver: &mut Receiver<M>) -> Result<bool, ProtocolViolation> {
        let Some(waiter) = &mut self.waiter else { return Ok(false) };
        let mut seen = Ok(true);
        waiter.park(&FutexBell, Some(NAP), || {
            seen = receiver.is_pending();
            seen != Ok(false)
        });
        seen.map(|_| true)
    }
}
