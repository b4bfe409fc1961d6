//! The host's end of a lane, as a state machine.

mod expiry;
mod withdraw;

use crate::call_table::{CallId, CallTable};
use crate::deadlines::DeadlineWriter;
use crate::journal::JournalReader;
use crate::peer_control::PeerControl;
use crate::transfer::{Inbox, Outbox, SendError};
use crate::way::Way;
use crate::withdrawal::WithdrawalSender;
use knit_codec::Payload;
use knit_proto::{
    Direction, Features, LaneState, Layout, MonotonicTime, Negotiation, ProtocolViolation, Region,
    SLOTS, SlotIndex, SlotMask, Word0,
};
use knit_ring::{
    AbortSender, AttachError, Notifier, OutOfBounds, SharedMemory, SharedWord, Stamps, Waiter,
};

/// The host's end of a lane: submits calls, polls answers.
///
/// It never waits and makes no system call. Where a method says so, the caller must wake the
/// worker: `Doorbell::wake` on [`HostLane::bell`].
///
/// It belongs to the process that made it. In a child of `fork` it must not be used, which this type does not look for: keep an
/// [`Origin`](knit_ring::Origin) beside it.
///
/// The worker is hostile as far as this type is concerned. The first [`ProtocolViolation`] poisons
/// the lane: every later submission or poll returns it again, and reads and sends nothing more.
#[derive(Debug)]
pub struct HostLane<M: SharedMemory> {
    out: Outbox<M>,
    inbox: Inbox<M>,
    notifier: Notifier<M>,
    state: M::Word,
    peer: PeerControl<M>,
    negotiation: Negotiation,
    features: Features,
    calls: CallTable,
    /// A call has its place as abort signal, where the lane has that many.
    aborts: AbortSender<M>,
    /// Places whose signal is set.
    aborted: SlotMask,
    abort_capacity: u32,
    /// There where the feature is in force.
    journal: Option<JournalReader<M>>,
    /// There where the feature is in force.
    withdrawal: Option<WithdrawalSender<M>>,
    deadlines: Option<DeadlineWriter<M>>,
    expiry: expiry::Expiry,
    poisoned: Option<ProtocolViolation>,
}

/// A call that was handed to the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Its id; the answer carries it again.
    pub call: CallId,
    /// Whether the worker sleeps and must be woken.
    pub wake: bool,
}

/// The answer to one call.
#[derive(Debug)]
pub struct Answer {
    /// The call, which is no longer in flight.
    pub call: CallId,
    /// Whether the value is the error of a failed call.
    pub rejected: bool,
    /// Whether the call has not run, as [`HostLane::withdraw`] had asked for: there is no value.
    pub withdrawn: bool,
    /// The value.
    pub payload: Payload<'static>,
    /// Whether the worker sleeps and must be woken, because it may wait for arena space.
    pub wake: bool,
}

impl<M: SharedMemory> HostLane<M> {
    /// Announces the host in a segment that it has just created: stores epoch, pid and state. Do it
    /// before the worker starts. LANE-5.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    ///
    /// # Ordering
    ///
    /// E6.
    pub fn announce(memory: &M, layout: &Layout, pid: u32) -> Result<(), AttachError> {
        let control = layout.host_control();
        // Relaxed, as the pid: E6 orders them.
        memory.word(control.epoch)?.store_relaxed(layout.fields().epoch);
        memory.word(control.pid)?.store_relaxed(pid);
        // E6: release store. Epoch and pid are visible before the state.
        memory.word(control.state)?.store_release(LaneState::Open.word());
        Ok(())
    }

    /// Connects to the worker; `None` while it has not said that it is ready.
    ///
    /// # Errors
    ///
    /// The worker speaks for another epoch, accepted features that were not offered, or left already.
    ///
    /// # Ordering
    ///
    /// E6.
    pub fn connect(
        memory: &M,
        layout: &Layout,
        max_payload: u32,
    ) -> Result<Option<Self>, LaneError> {
        let (mine, theirs) = (layout.host_control(), layout.worker_control());
        let peer = PeerControl::new(memory, &theirs)?;
        let mut negotiation = Negotiation::of_host(layout.fields());
        negotiation.observe(peer.load())?;
        let Some(features) = negotiation.lock() else { return Ok(None) };
        // Relaxed: E1 of the first request orders it. LANE-9.
        memory.word(mine.features)?.store_relaxed(features.bits());
        let withdraw = features.contains(Features::WITHDRAW);
        let way = |direction| Way {
            withdraw,
            ..Way::of_segment(layout, direction, stamps(features), max_payload)
        };
        Ok(Some(Self {
            out: Outbox::new(memory, &way(Direction::Request))?,
            inbox: Inbox::new(memory, &way(Direction::Response))?,
            notifier: Notifier::new(memory, &mine, &theirs)?,
            state: memory.word(mine.state)?,
            peer,
            negotiation,
            features,
            calls: CallTable::default(),
            aborts: AbortSender::new(memory, layout.region(Region::AbortBits))?,
            aborted: SlotMask::EMPTY,
            abort_capacity: layout.fields().geometry.abort_capacity(),
            journal: features
                .contains(Features::JOURNAL)
                .then(|| JournalReader::new(memory, layout))
                .transpose()?,
            withdrawal: withdraw.then(|| WithdrawalSender::new(memory, layout)).transpose()?,
            deadlines: features
                .contains(Features::DEADLINES)
                .then(|| DeadlineWriter::new(memory, layout))
                .transpose()?,
            expiry: expiry::Expiry::default(),
            poisoned: None,
        }))
    }

    /// The waiter with which the host sleeps until this lane's worker rings.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn waiter(memory: &M, layout: &Layout) -> Result<Waiter<M>, AttachError> {
        Waiter::new(memory, &layout.host_control(), &layout.worker_control())
    }

    /// Hands a call to the worker.
    ///
    /// # Errors
    ///
    /// Nothing was sent; see [`SendError`].
    #[inline]
    pub fn submit(&mut self, function: u16, payload: &Payload<'_>) -> Result<Submitted, SendError> {
        self.submit_until(function, payload, None)
    }

    /// As [`Self::submit`], for a call whose caller waits until `deadline`, a moment of this process's `CLOCK_MONOTONIC`: the
    /// worker can tell the task. When the time is over, [`Self::expire`] names the call; nothing happens by itself. Where
    /// [`Features::DEADLINES`] is not in force, the worker is not told.
    ///
    /// # Errors
    ///
    /// Nothing was sent; see [`SendError`].
    #[inline]
    pub fn submit_until(
        &mut self,
        function: u16,
        payload: &Payload<'_>,
        deadline: Option<MonotonicTime>,
    ) -> Result<Submitted, SendError> {
        if let Some(violation) = self.poisoned {
            return Err(SendError::Poisoned(violation));
        }
        let call = self.calls.begin().ok_or(SendError::Full)?;
        // LANE-17. Places are below 32.
        let abort =
            Some(call.place() as u16).filter(|signal| u32::from(*signal) < self.abort_capacity);
        let word0 = Word0::Call { function, abort };
        if let (Some(deadlines), Some(place)) =
            (&mut self.deadlines, SlotIndex::new(call.place() as u32))
        {
            deadlines.state(place, deadline);
        }
        if let Err(error) = self.out.send(word0, call.word(), payload) {
            self.calls.cancel(call);
            if let SendError::Poisoned(violation) = error {
                self.poisoned = Some(violation);
            }
            return Err(error);
        }
        if let Some(deadline) = deadline {
            self.expiry.begin(call.place(), deadline);
        }
        Ok(Submitted { call, wake: self.notifier.notify() })
    }

    /// An answer, if it is cheap to see one: for spinning.
    ///
    /// # Errors
    ///
    /// The worker broke the protocol; the lane is poisoned.
    #[inline]
    pub fn poll(&mut self) -> Result<Option<Answer>, ProtocolViolation> {
        self.next(Inbox::poll)
    }

    /// An answer, if there is one. Where there is none, looks at the worker's control line, of which
    /// only the state may change: this is a look before sleeping.
    ///
    /// # Errors
    ///
    /// The worker broke the protocol; the lane is poisoned.
    ///
    /// # Ordering
    ///
    /// E1, E6.
    #[inline]
    pub fn take(&mut self) -> Result<Option<Answer>, ProtocolViolation> {
        let answer = self.next(Inbox::take)?;
        if answer.is_none() {
            self.look_at_worker()?;
        }
        Ok(answer)
    }

    /// Whether an answer is pending. Looks at the worker's control line as [`Self::take`] does.
    ///
    /// # Errors
    ///
    /// The worker broke the protocol; the lane is poisoned.
    ///
    /// # Ordering
    ///
    /// E1, E6.
    pub fn is_pending(&mut self) -> Result<bool, ProtocolViolation> {
        if let Some(violation) = self.poisoned {
            return Err(violation);
        }
        self.look_at_worker()?;
        self.inbox.is_pending().inspect_err(|violation| self.poisoned = Some(*violation))
    }

    /// Whether the task of a call in flight may have run, in part or whole, once the worker's process has
    /// ended and [`Self::take`] has returned `None`: false when nothing of it has happened, so that the call can
    /// be made again on another lane. True when nobody knows: the lane is poisoned, or the worker keeps no journal.
    /// While the process lives the answer means nothing. LANE-36.
    #[must_use]
    pub fn may_have_run(&self, call: CallId) -> bool {
        let Some(journal) = self.journal.as_ref().filter(|_| self.poisoned.is_none()) else {
            return true;
        };
        self.calls.place(call).is_none()
            || journal.may_have_begun(call.word(), self.calls.before(call))
    }

    /// Asks the worker to end. The caller must wake it.
    ///
    /// # Ordering
    ///
    /// E6.
    pub fn close(&mut self) {
        self.negotiation.leave();
        // E6: release store, pairs with the acquire load in `PeerControl::load`.
        self.state.store_release(LaneState::Closing.word());
        self.notifier.advance();
    }

    /// Call it after something changed beside the segment that the worker looks at before it sleeps.
    /// Whether it sleeps and must be woken.
    ///
    /// # Ordering
    ///
    /// F1.
    pub fn notify(&mut self) -> bool {
        self.notifier.notify()
    }

    /// How many calls are in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.calls.len()
    }

    /// Whether one more call can be in flight.
    #[must_use]
    pub fn has_place(&self) -> bool {
        self.calls.len() < SLOTS
    }

    /// The features in force.
    #[must_use]
    pub fn features(&self) -> Features {
        self.features
    }

    /// What the worker did wrong, if it did.
    #[must_use]
    pub fn poisoned(&self) -> Option<ProtocolViolation> {
        self.poisoned
    }

    /// The bell that the worker sleeps on.
    #[must_use]
    pub fn bell(&self) -> &M::Word {
        self.notifier.bell()
    }

    /// Tells the worker that the answer to a call is not wanted any more. The call stays in flight: the
    /// worker still answers it, sooner if its task looks at the abort flag. Returns whether the
    /// worker can be told: the call is in flight, and the lane has room for an abort signal of its own.
    ///
    /// A worker whose tasks are futures may sleep meanwhile: call [`Self::notify`], and wake it if that says so.
    pub fn abort(&mut self, call: CallId) -> bool {
        let Some(place) = self.calls.place(call) else { return false };
        if self.poisoned.is_some() || place.get() >= self.abort_capacity {
            return false;
        }
        self.aborted = self.aborted.with(place);
        // Below 32.
        self.aborts.set(place.get() as u16)
    }

    /// LANE-23: the call that had the signal has ended, and no other one is published yet.
    #[cold]
    fn clear_abort(&mut self, place: SlotIndex) {
        self.aborted = self.aborted.without(place);
        self.aborts.clear(place.get() as u16);
    }

    #[cold]
    fn look_at_worker(&mut self) -> Result<(), ProtocolViolation> {
        let state = self.negotiation.observe(self.peer.load());
        state.map(drop).inspect_err(|violation| self.poisoned = Some(*violation))
    }

    #[inline]
    fn next(
        &mut self,
        read: impl FnOnce(&mut Inbox<M>) -> Result<Option<crate::transfer::Received>, ProtocolViolation>,
    ) -> Result<Option<Answer>, ProtocolViolation> {
        if let Some(violation) = self.poisoned {
            return Err(violation);
        }
        self.answer(read).inspect_err(|violation| self.poisoned = Some(*violation))
    }

    #[inline]
    fn answer(
        &mut self,
        read: impl FnOnce(&mut Inbox<M>) -> Result<Option<crate::transfer::Received>, ProtocolViolation>,
    ) -> Result<Option<Answer>, ProtocolViolation> {
        let Some(received) = read(&mut self.inbox)? else { return Ok(None) };
        let unknown = ProtocolViolation::UnknownCall { slot: received.slot, call: received.call };
        let call = self.calls.end(received.call).ok_or(unknown)?;
        if let Some(place) = SlotIndex::new(call.place() as u32) {
            self.expiry.end(place);
            if self.aborted.contains(place) {
                self.clear_abort(place);
            }
        }
        let (rejected, withdrawn) = match received.word0 {
            Word0::Answer { rejected } if !self.is_withdrawing() => (rejected, false),
            Word0::Answer { rejected } => (rejected, self.end_withdrawal(call, &received)?),
            Word0::Withdrawn => (false, self.end_withdrawal(call, &received)?),
            Word0::Call { .. } => return Err(unknown),
        };
        let wake = received.freed && self.notifier.notify();
        Ok(Some(Answer { call, rejected, withdrawn, payload: received.payload, wake }))
    }
}

/// Whether these features in force mean that senders stamp.
pub(crate) fn stamps(features: Features) -> Stamps {
    if features.contains(Features::STAMPS) { Stamps::On } else { Stamps::Off }
}

/// Why two sides of a lane did not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaneError {
    /// The other side broke the protocol.
    #[error(transparent)]
    Violation(#[from] ProtocolViolation),
    /// The layout does not fit the memory.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
}

#[cfg(test)]
#[path = "wrap_tests.rs"]
mod wrap_tests;
