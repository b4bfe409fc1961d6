//! Several mailboxes that one thread receives from.

use crate::{Doorbell, PeerDeath, Receiver, SharedMemory, Taken, Ticket, Until, Waiter, Woken};
use alloc::vec::Vec;
use core::fmt;
use knit_proto::ProtocolViolation;

/// The receiving ends of several mailboxes, for one thread that serves them in turn and sleeps on the
/// bells of all.
///
/// # Fairness
///
/// The set goes round. It stays with a lane while messages of it come one after the other, up to
/// [`Self::BURST`] of them, and goes on to the next: a lane that has been left alone for a while is a
/// few cache misses away. With *N* lanes, of a lane that has a message pending,
///
/// - [`Self::take`] serves at most `BURST` (*N* - 1) messages of others before one of that lane,
///   whatever the others send;
/// - [`Self::poll`] does the same where the lane's sender stamps its slots and fills them in ascending
///   order. Where it does not, the lane's receiver looks at the publish word in every 64th poll, and a
///   turn of the set polls it once, so that at most 64 `BURST` (*N* - 1) messages of others go before.
///
/// Both bounds hold for each message, in the order in which its lane is taken from. A lane that is
/// added or removed meanwhile counts while it is there.
///
/// # Violations and deaths
///
/// A sender that breaks the protocol is reported once, with the key of its lane. The lane is
/// *poisoned*: nothing of it is looked at any more, and the others go on. [`Self::remove`] gives its
/// ends back. A lane whose peer is dead keeps its messages; [`Woken::PeerDied`] says that nothing is
/// pending any more and that [`Self::dead`] names a lane to be removed.
///
/// # Parking
///
/// ```no_run
/// # use knit_ring::{Doorbell, LaneViolation, ReceiverSet, SharedMemory, Until, Woken};
/// # fn serve<M: SharedMemory>(
/// #     mut set: ReceiverSet<M>,
/// #     doorbell: &impl Doorbell<M::Word>,
/// # ) -> Result<(), LaneViolation> {
/// while !set.is_empty() {
///     while let Some((lane, message)) = set.take()? {
///         println!("lane {lane}: {:?}", message.header());
///         message.release();
///     }
///     if set.park(doorbell, Until::default(), || false)? == Woken::PeerDied {
///         while let Some(lane) = set.dead() {
///             set.remove(lane);
///         }
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// An event loop uses the steps of [`Self::park`] by themselves: [`Self::announce`],
/// [`Self::is_pending`], and, woken by its own means, [`Self::retract`].
pub struct ReceiverSet<M: SharedMemory> {
    lanes: Vec<Entry<M>>,
    /// Index of the lane to look at first.
    next: usize,
    /// How many more messages of that lane may come before the turn of the one behind it.
    left: u32,
}

/// What a [`ReceiverSet`] has of a lane.
#[derive(Debug)]
pub struct SetLane<M: SharedMemory> {
    /// The receiving end.
    pub receiver: Receiver<M>,
    /// Sleeps on the bell of the lane's sender.
    pub waiter: Waiter<M>,
    /// Tells when the lane's sender has died; `None` where something else does.
    pub death: Option<PeerDeath>,
}

struct Entry<M: SharedMemory> {
    key: usize,
    lane: SetLane<M>,
    /// Its sender broke the protocol.
    poisoned: bool,
    /// While the set has announced that it sleeps.
    ticket: Option<Ticket>,
}

/// The sender of one lane broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lane {lane}: {violation}")]
pub struct LaneViolation {
    /// Key of the lane, which is poisoned now.
    pub lane: usize,
    /// What the sender did.
    #[source]
    pub violation: ProtocolViolation,
}

/// The set has a lane with this key already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the set has a lane {lane} already")]
pub struct LaneTaken {
    /// The key.
    pub lane: usize,
}

impl<M: SharedMemory> ReceiverSet<M> {
    /// Most messages of one lane that are served in a row while others wait: as many as a mailbox
    /// holds.
    pub const BURST: u32 = knit_proto::SLOTS;

    /// A set without lanes.
    #[must_use]
    pub const fn new() -> Self {
        Self { lanes: Vec::new(), next: 0, left: Self::BURST }
    }

    /// Adds a lane under a key of the caller's choice. It is looked at after the others.
    ///
    /// # Errors
    ///
    /// The set has a lane with this key, poisoned or not.
    pub fn add(&mut self, key: usize, lane: SetLane<M>) -> Result<(), LaneTaken> {
        if self.index(key).is_some() {
            return Err(LaneTaken { lane: key });
        }
        let entry = Entry { key, lane, poisoned: false, ticket: None };
        // Behind all others in the cyclic order from `next` on.
        if self.next == 0 {
            self.lanes.push(entry);
        } else {
            self.lanes.insert(self.next, entry);
            self.next += 1;
        }
        Ok(())
    }

    /// Removes a lane, poisoned or not. The order of the others stays.
    pub fn remove(&mut self, key: usize) -> Option<SetLane<M>> {
        let index = self.index(key)?;
        let mut entry = self.lanes.remove(index);
        if index < self.next {
            self.next -= 1;
        } else if index == self.next {
            self.left = Self::BURST;
        }
        if self.next == self.lanes.len() {
            self.next = 0;
        }
        if entry.ticket.take().is_some() {
            entry.lane.waiter.retract();
        }
        Some(entry.lane)
    }

    /// The lane with this key, poisoned or not.
    pub fn lane_mut(&mut self, key: usize) -> Option<&mut SetLane<M>> {
        self.lanes.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.lane)
    }

    /// How many lanes can have messages: all but the poisoned ones.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sound().count()
    }

    /// Whether no lane can have a message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sound().next().is_none()
    }

    /// Takes the next message of any lane if it is cheap to see one: for spinning. Looks at each lane
    /// once, by [`Receiver::poll`].
    ///
    /// # Errors
    ///
    /// The sender of a lane published a slot that was not free. The lane is poisoned.
    ///
    /// # Ordering
    ///
    /// E3 or E1.
    #[inline]
    pub fn poll(&mut self) -> Result<Option<(usize, Taken<'_, M>)>, LaneViolation> {
        self.next_message(Receiver::poll)
    }

    /// Takes the next message of any lane; `None` when there is none. Looks at each lane once, by
    /// [`Receiver::take`].
    ///
    /// # Errors
    ///
    /// The sender of a lane published a slot that was not free. The lane is poisoned.
    ///
    /// # Ordering
    ///
    /// E1.
    #[inline]
    pub fn take(&mut self) -> Result<Option<(usize, Taken<'_, M>)>, LaneViolation> {
        self.next_message(Receiver::take)
    }

    /// Whether a message is pending on any lane. Looks at the publish words: this is the look before
    /// parking. WAKE-6.
    ///
    /// # Errors
    ///
    /// The sender of a lane published a slot that was not free. The lane is poisoned.
    pub fn is_pending(&mut self) -> Result<bool, LaneViolation> {
        for entry in &mut self.lanes {
            if entry.poisoned {
                continue;
            }
            match entry.lane.receiver.is_pending() {
                Ok(false) => {}
                Ok(true) => return Ok(true),
                Err(violation) => return Err(entry.poison(violation)),
            }
        }
        Ok(false)
    }

    /// Releases every finished slot: one store for each lane that has any.
    ///
    /// # Ordering
    ///
    /// E2.
    pub fn release(&mut self) {
        for entry in self.lanes.iter_mut().filter(|entry| !entry.poisoned) {
            entry.lane.receiver.release();
        }
    }

    /// Key of a lane whose peer is dead. Its messages can still be taken; without any, remove it.
    #[must_use]
    pub fn dead(&self) -> Option<usize> {
        let dead = |entry: &&Entry<M>| entry.death().is_some_and(PeerDeath::is_signalled);
        self.sound().find(dead).map(|entry| entry.key)
    }

    /// Sleeps until a bell of any lane is rung or `until` ends the wait, unless a message is pending
    /// or `ready` says that there is something else to do.
    ///
    /// The death of any lane's peer ends the wait. [`Woken::PeerDied`] is returned only when nothing
    /// is pending on any lane, and again until the lane is removed. A set without lanes has nobody to
    /// wait for, and is [`Woken::Ready`] at once. So is one that still has finished slots: they are
    /// released, and the caller can notify senders that wait for a slot. MBX-19.
    ///
    /// # Errors
    ///
    /// The sender of a lane published a slot that was not free. The lane is poisoned, and this side
    /// is awake.
    ///
    /// # Ordering
    ///
    /// F2 for every lane.
    pub fn park<'d, D: Doorbell<M::Word>>(
        &mut self,
        doorbell: &D,
        until: impl Into<Until<'d>>,
        ready: impl FnOnce() -> bool,
    ) -> Result<Woken, LaneViolation> {
        if self.is_empty() {
            return Ok(Woken::Ready);
        }
        if self.sound().any(|entry| entry.lane.receiver.has_finished()) {
            self.release();
            return Ok(Woken::Ready);
        }
        self.announce(doorbell);
        let woken = match self.is_pending() {
            Ok(false) if !ready() => Ok(self.wait(doorbell, until.into())),
            Ok(_) => Ok(Woken::Ready),
            Err(violation) => Err(violation),
        };
        self.retract();
        // What a peer sent before its end was stored before its death was signalled.
        if woken == Ok(Woken::PeerDied) && self.is_pending()? {
            return Ok(Woken::Rung);
        }
        woken
    }

    /// Announces on every lane that this side is about to sleep. Look again
    /// ([`Self::is_pending`]), then [`Self::wait`], then [`Self::retract`]. WAKE-1.
    ///
    /// # Ordering
    ///
    /// F2 for every lane.
    pub fn announce<D: Doorbell<M::Word>>(&mut self, doorbell: &D) {
        for entry in self.lanes.iter_mut().filter(|entry| !entry.poisoned) {
            entry.ticket = Some(entry.lane.waiter.announce(doorbell));
        }
    }

    /// Waits until a bell has been rung since [`Self::announce`], a peer of any lane has died, or
    /// `until` ends the wait. Lanes that were not announced are not waited for.
    pub fn wait<D: Doorbell<M::Word>>(&self, doorbell: &D, until: Until<'_>) -> Woken {
        let bells: Vec<_> = self
            .sound()
            .filter_map(|entry| Some((entry.lane.waiter.bell(), entry.ticket?)))
            .collect();
        let mut deaths: Vec<PeerDeath> = self.sound().filter_map(Entry::death).cloned().collect();
        deaths.extend_from_slice(until.deaths);
        doorbell.wait_any(&bells, Until { deaths: &deaths, ..until })
    }

    /// This side is awake. WAKE-3.
    pub fn retract(&mut self) {
        for entry in &mut self.lanes {
            if entry.ticket.take().is_some() {
                entry.lane.waiter.retract();
            }
        }
    }

    #[inline(always)]
    fn next_message<'s>(
        &'s mut self,
        look: impl Fn(&'s mut Receiver<M>) -> Result<Option<Taken<'s, M>>, ProtocolViolation>,
    ) -> Result<Option<(usize, Taken<'s, M>)>, LaneViolation> {
        let count = self.lanes.len();
        let (next, left) = (&mut self.next, &mut self.left);
        let (before, from) = self.lanes.split_at_mut(*next);
        let mut behind = *next;
        for entry in from.iter_mut().chain(before) {
            let index = behind;
            behind = if index + 1 == count { 0 } else { index + 1 };
            if entry.poisoned {
                continue;
            }
            match look(&mut entry.lane.receiver) {
                Ok(None) => {}
                Ok(Some(taken)) => {
                    let rest = if index == *next { *left } else { Self::BURST } - 1;
                    (*next, *left) = if rest == 0 { (behind, Self::BURST) } else { (index, rest) };
                    return Ok(Some((entry.key, taken)));
                }
                Err(violation) => {
                    entry.poisoned = true;
                    return Err(LaneViolation { lane: entry.key, violation });
                }
            }
        }
        Ok(None)
    }

    fn sound(&self) -> impl Iterator<Item = &Entry<M>> {
        self.lanes.iter().filter(|entry| !entry.poisoned)
    }

    fn index(&self, key: usize) -> Option<usize> {
        self.lanes.iter().position(|entry| entry.key == key)
    }
}

impl<M: SharedMemory> Entry<M> {
    #[cold]
    fn poison(&mut self, violation: ProtocolViolation) -> LaneViolation {
        self.poisoned = true;
        LaneViolation { lane: self.key, violation }
    }

    fn death(&self) -> Option<&PeerDeath> {
        self.lane.death.as_ref()
    }
}

impl<M: SharedMemory> Default for ReceiverSet<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: SharedMemory> fmt::Debug for ReceiverSet<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.lanes.iter().map(|entry| entry.key).collect();
        f.debug_struct("ReceiverSet")
            .field("lanes", &keys)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
