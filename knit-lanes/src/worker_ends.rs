//! The worker's ends of both mailboxes: what every lane has, whatever is around it.

use crate::transfer::{Inbox, Outbox, Received, SendError};
use crate::way::{Blocks, Way};
use knit_codec::Payload;
use knit_proto::{ProtocolViolation, Word0};
use knit_ring::{ArenaReceiver, AttachError, SharedArenaReceiver, SharedMemory, SharedWordRmw};

/// Takes requests and sends answers. The first [`ProtocolViolation`] poisons the ends: everything
/// returns it again.
#[derive(Debug)]
pub(crate) struct WorkerEnds<M: SharedMemory, A = ArenaReceiver<M>> {
    inbox: Inbox<M, A>,
    out: Outbox<M>,
    poisoned: Option<ProtocolViolation>,
}

impl<M: SharedMemory> WorkerEnds<M> {
    pub(crate) fn new(memory: &M, requests: &Way, answers: &Way) -> Result<Self, AttachError> {
        let (inbox, out) = (Inbox::new(memory, requests)?, Outbox::new(memory, answers)?);
        Ok(Self { inbox, out, poisoned: None })
    }

    /// The same for a host that flips the free word of its arena too.
    pub(crate) fn freeing_by_flips(self) -> WorkerEnds<M, SharedArenaReceiver<M>>
    where
        M::Word: SharedWordRmw,
    {
        let Self { inbox, out, poisoned } = self;
        WorkerEnds { inbox: inbox.freeing_by_flips(), out, poisoned }
    }
}

impl<M: SharedMemory, A: Blocks> WorkerEnds<M, A> {
    /// A request, if it is cheap to see one.
    #[inline]
    pub(crate) fn poll(&mut self) -> Result<Option<Received>, ProtocolViolation> {
        self.intact()?;
        self.inbox.poll().map_err(|violation| self.poison(violation))
    }

    /// A request, if there is one.
    #[inline]
    pub(crate) fn take(&mut self) -> Result<Option<Received>, ProtocolViolation> {
        self.intact()?;
        self.inbox.take().map_err(|violation| self.poison(violation))
    }

    /// Whether a request is pending: the look before sleeping.
    pub(crate) fn is_pending(&mut self) -> Result<bool, ProtocolViolation> {
        self.intact()?;
        self.inbox.is_pending().map_err(|violation| self.poison(violation))
    }

    /// Answers a call. On an error nothing was sent.
    #[inline]
    pub(crate) fn respond(
        &mut self,
        word0: Word0,
        call: u32,
        payload: &Payload<'_>,
    ) -> Result<(), SendError> {
        self.intact()?;
        let sent = self.out.send(word0, call, payload);
        if let Err(SendError::Poisoned(violation)) = sent {
            self.poison(violation);
        }
        sent
    }

    /// The violation that was seen first, if one was.
    #[inline]
    pub(crate) fn intact(&self) -> Result<(), ProtocolViolation> {
        self.poisoned.map_or(Ok(()), Err)
    }

    /// Does nothing more for this host.
    #[cold]
    pub(crate) fn poison(&mut self, violation: ProtocolViolation) -> ProtocolViolation {
        *self.poisoned.get_or_insert(violation)
    }
}
