//! The worker's end of a lane, as a state machine.

use crate::deadlines::DeadlineReader;
use crate::host_lane::{LaneError, stamps};
use crate::journal::JournalWriter;
use crate::peer_control::PeerControl;
use crate::transfer::{Received, SendError};
use crate::way::Way;
use crate::withdrawal::WithdrawalReceiver;
use crate::worker_ends::WorkerEnds;
use knit_codec::Payload;
use knit_proto::{
    Direction, Features, LaneState, Layout, MonotonicTime, Negotiation, Phase, ProtocolViolation,
    Region, Tag, Word0,
};
use knit_ring::{AbortReceiver, AttachError, Notifier, SharedMemory, SharedWord, Waiter};

/// The worker's end of a lane: polls requests, sends answers.
///
/// It never waits and makes no system call. Where a method says so, the caller must wake the host:
/// `Doorbell::wake` on [`WorkerLane::bell`]. The host is hostile as far as this type is concerned: the
/// first [`ProtocolViolation`] poisons the lane, and every later poll or answer returns it again.
///
/// It belongs to the process that made it, as a [`HostLane`](crate::HostLane) does.
#[derive(Debug)]
pub struct WorkerLane<M: SharedMemory> {
    ends: WorkerEnds<M>,
    notifier: Notifier<M>,
    state: M::Word,
    host: PeerControl<M>,
    negotiation: Negotiation,
    /// There where the feature is in force.
    journal: Option<JournalWriter<M>>,
    /// There where the feature is in force.
    withdrawal: Option<WithdrawalReceiver<M>>,
    deadlines: Option<DeadlineReader<M>>,
}

/// One call to serve.
#[derive(Debug)]
pub struct Request {
    /// Id of the call, to be given back with the answer.
    pub call: u32,
    /// Index of the function in the host's table of names.
    pub function: u16,
    /// Abort signal of the call, if it has one.
    pub abort: Option<u16>,
    /// Whether the host has taken the call back: its task must not run, and [`WorkerLane::respond_withdrawn`] answers it.
    /// Never without [`Features::WITHDRAW`].
    pub withdrawn: bool,
    /// The argument.
    pub payload: Payload<'static>,
    /// Whether the host sleeps and must be woken, because it may wait for arena space.
    pub wake: bool,
}

impl<M: SharedMemory> WorkerLane<M> {
    /// Attaches to a segment whose host has announced itself, accepts every offered feature that
    /// this implementation supports, and says that the worker is ready. The caller must wake the
    /// host.
    ///
    /// # Errors
    ///
    /// The host has not announced itself, or speaks for another epoch than its header.
    ///
    /// # Ordering
    ///
    /// E6.
    pub fn open(
        memory: &M,
        layout: &Layout,
        max_payload: u32,
        pid: u32,
    ) -> Result<Self, LaneError> {
        Self::open_with(memory, layout, max_payload, pid, Features::SUPPORTED)
    }

    /// As [`Self::open`], for a caller that supports other features: those of [`Features::SUPPORTED`]
    /// that it uses, and those that need more, such as [`Features::BUFFER_HANDLES`] and [`Features::WITHDRAW`].
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    ///
    /// # Ordering
    ///
    /// E6.
    pub fn open_with(
        memory: &M,
        layout: &Layout,
        max_payload: u32,
        pid: u32,
        supported: Features,
    ) -> Result<Self, LaneError> {
        let (mine, theirs) = (layout.worker_control(), layout.host_control());
        let fields = layout.fields();
        let host = PeerControl::new(memory, &theirs)?;
        let mut negotiation = Negotiation::of_worker(fields, supported);
        negotiation.observe(host.load())?;
        let accepted = negotiation.accepted().unwrap_or(Features::NONE);
        let stamps = stamps(accepted);
        let way = |direction| Way::of_segment(layout, direction, stamps, max_payload);
        let mut lane = Self {
            ends: WorkerEnds::new(memory, &way(Direction::Request), &way(Direction::Response))?,
            notifier: Notifier::new(memory, &mine, &theirs)?,
            state: memory.word(mine.state)?,
            host,
            negotiation,
            journal: accepted
                .contains(Features::JOURNAL)
                .then(|| {
                    let watched = accepted.contains(Features::WITHDRAW);
                    JournalWriter::new(memory, layout, watched)
                })
                .transpose()?,
            withdrawal: accepted
                .contains(Features::WITHDRAW)
                .then(|| WithdrawalReceiver::new(memory, layout))
                .transpose()?,
            deadlines: accepted
                .contains(Features::DEADLINES)
                .then(|| DeadlineReader::new(memory, layout))
                .transpose()?,
        };
        // Relaxed, all three: E6 orders them.
        memory.word(mine.epoch)?.store_relaxed(fields.epoch);
        memory.word(mine.pid)?.store_relaxed(pid);
        memory.word(mine.features)?.store_relaxed(accepted.bits());
        // E6: release store, pairs with the acquire load in `HostLane::connect`.
        lane.state.store_release(LaneState::Open.word());
        lane.notifier.advance();
        Ok(lane)
    }

    /// Where the host says which calls it wants no answer to any more: [`Request::abort`] of a request is
    /// its signal there.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn aborts(memory: &M, layout: &Layout) -> Result<AbortReceiver<M>, AttachError> {
        AbortReceiver::new(memory, layout.region(Region::AbortBits))
    }

    /// The waiter with which the worker sleeps until its host rings.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn waiter(memory: &M, layout: &Layout) -> Result<Waiter<M>, AttachError> {
        Waiter::new(memory, &layout.worker_control(), &layout.host_control())
    }

    /// A request, if it is cheap to see one: for spinning. From here on the host takes its task for one that
    /// may have run, should this process end.
    ///
    /// # Errors
    ///
    /// The host broke the protocol; the lane is poisoned.
    #[inline]
    pub fn poll(&mut self) -> Result<Option<Request>, ProtocolViolation> {
        let received = self.ends.poll()?;
        self.request(received)
    }

    /// A request, if there is one; else as [`Self::poll`].
    ///
    /// # Errors
    ///
    /// The host broke the protocol; the lane is poisoned.
    #[inline]
    pub fn take(&mut self) -> Result<Option<Request>, ProtocolViolation> {
        let received = self.ends.take()?;
        self.request(received)
    }

    /// Whether a request is pending: the look before sleeping.
    ///
    /// # Errors
    ///
    /// The host broke the protocol; the lane is poisoned.
    pub fn is_pending(&mut self) -> Result<bool, ProtocolViolation> {
        self.ends.is_pending()
    }

    /// Until when the caller of this call waits, as the host's `CLOCK_MONOTONIC` has it: two loads. `None` when it waits without end, and
    /// where [`Features::DEADLINES`] is not in force. Ask from the taking of the request until its answer: at other times it
    /// is the deadline of another call, or of none. A hostile host says any number, and another one each time.
    #[must_use]
    pub fn deadline(&self, call: u32) -> Option<MonotonicTime> {
        self.deadlines.as_ref()?.of_call(call)
    }

    /// The same, for a task that asks when it likes.
    #[inline]
    pub(crate) fn deadlines(&self) -> Option<&DeadlineReader<M>> {
        self.deadlines.as_ref()
    }

    /// Answers a call, whose task is over. Returns whether the host sleeps and must be woken.
    ///
    /// # Errors
    ///
    /// Nothing was sent; see [`SendError`].
    #[inline]
    pub fn respond(
        &mut self,
        call: u32,
        rejected: bool,
        payload: &Payload<'_>,
    ) -> Result<bool, SendError> {
        self.send(Word0::Answer { rejected }, call, payload)
    }

    /// Answers a call of which [`Request::withdrawn`] says that the host has taken it back, and of which nothing has
    /// happened. Returns whether the host sleeps and must be woken.
    ///
    /// # Errors
    ///
    /// The host broke the protocol: [`SendError::Poisoned`]. There is room for such an answer always.
    #[cold]
    pub fn respond_withdrawn(&mut self, call: u32) -> Result<bool, SendError> {
        self.send(Word0::Withdrawn, call, &Payload::bare(Tag::UNDEFINED))
    }

    /// Call it after something changed beside the segment that the host looks at before it sleeps.
    /// Whether it sleeps and must be woken.
    ///
    /// # Ordering
    ///
    /// F1.
    pub fn notify(&mut self) -> bool {
        self.notifier.notify()
    }

    /// Whether the host still wants answers. Looks at its control line, of which only the state may
    /// change once the features are locked.
    ///
    /// # Errors
    ///
    /// The host broke the protocol; the lane is poisoned.
    ///
    /// # Ordering
    ///
    /// E6.
    pub fn host_state(&mut self) -> Result<LaneState, ProtocolViolation> {
        self.ends.intact()?;
        let state = self.negotiation.observe(self.host.load());
        state.map_err(|violation| self.ends.poison(violation))
    }

    /// Says that this worker answers no more calls. The caller must wake the host.
    ///
    /// # Ordering
    ///
    /// E6.
    pub fn close(&mut self) {
        // E6: release store. Every answer is visible before it.
        self.state.store_release(LaneState::Closing.word());
        self.notifier.advance();
    }

    /// The bell that the host sleeps on.
    #[must_use]
    pub fn bell(&self) -> &M::Word {
        self.notifier.bell()
    }

    #[inline]
    fn send(&mut self, word0: Word0, call: u32, payload: &Payload<'_>) -> Result<bool, SendError> {
        // LANE-15: nothing is stored for a host that broke the protocol.
        self.ends.intact()?;
        if let Some(journal) = &self.journal {
            journal.done(call);
        }
        self.ends.respond(word0, call, payload)?;
        let wake = self.notifier.notify();
        if let Some(withdrawal) = &mut self.withdrawal {
            // F4: `notify` has executed the fence.
            withdrawal.answered();
        }
        Ok(wake)
    }

    #[inline]
    fn request(
        &mut self,
        received: Option<Received>,
    ) -> Result<Option<Request>, ProtocolViolation> {
        let Some(received) = received else { return Ok(None) };
        if self.negotiation.phase() != Phase::Locked {
            self.lock()?;
        }
        let Word0::Call { function, abort } = received.word0 else { return Ok(None) };
        if let Some(journal) = &self.journal {
            journal.taken(received.call);
        }
        // LANE-39: after *taken* is stored.
        let withdrawal = self.withdrawal.as_mut();
        let withdrawn = withdrawal.is_some_and(|it| it.is_withdrawn(received.call));
        let wake = received.freed && self.notifier.notify();
        let Received { call, payload, .. } = received;
        Ok(Some(Request { call, function, abort, withdrawn, payload, wake }))
    }

    /// Checks, once, that the host had locked the features when it published its first request.
    #[cold]
    fn lock(&mut self) -> Result<(), ProtocolViolation> {
        let state = self.negotiation.observe_locked(self.host.load());
        state.map(drop).map_err(|violation| self.ends.poison(violation))
    }
}
