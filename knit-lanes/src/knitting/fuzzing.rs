//! The ends of a worker of Knitting, as fuzzers drive them: what [`super::serve()`] does without a process around it.

use super::AnswerError;
use super::answer::Fit;
use super::signals::Signals;
use crate::transfer::{Received, SendError};
use crate::way::Way;
use crate::worker_ends::WorkerEnds;
use crate::worker_lane::Request;
use core::fmt;
use core::time::Duration;
use knit_codec::Payload;
use knit_proto::{BareLayout, Direction, ProtocolViolation, Region, Word0};
use knit_ring::{
    AbortReceiver, AttachError, SharedArenaReceiver, SharedMemory, SharedWordRmw, SpinBell,
};

/// The ends of both mailboxes, the signals and the abort bits of a bare lane block.
pub struct KnittingEnds<M: SharedMemory>
where
    M::Word: SharedWordRmw,
{
    ends: WorkerEnds<M, SharedArenaReceiver<M>>,
    signals: Signals<M>,
    aborts: AbortReceiver<M>,
}

impl<M: SharedMemory> KnittingEnds<M>
where
    M::Word: SharedWordRmw,
{
    /// The ends of a lane block, which says that the worker is awake.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn attach(memory: &M, layout: &BareLayout, max_payload: u32) -> Result<Self, AttachError> {
        let way = |direction| Way::of_bare(layout, direction, max_payload);
        let ends = WorkerEnds::new(memory, &way(Direction::Request), &way(Direction::Response))?;
        Ok(Self {
            ends: ends.freeing_by_flips(),
            aborts: AbortReceiver::new(memory, layout.region(Region::AbortBits))?,
            signals: Signals::attach(memory, layout.region(Region::Signals))?,
        })
    }

    /// A request, if it is cheap to see one.
    ///
    /// # Errors
    ///
    /// The host broke the protocol.
    pub fn poll(&mut self) -> Result<Option<Request>, ProtocolViolation> {
        Ok(self.ends.poll()?.and_then(request))
    }

    /// A request, if there is one.
    ///
    /// # Errors
    ///
    /// The host broke the protocol.
    pub fn take(&mut self) -> Result<Option<Request>, ProtocolViolation> {
        Ok(self.ends.take()?.and_then(request))
    }

    /// Whether the host has aborted the call with this signal.
    #[must_use]
    pub fn is_aborted(&self, signal: u16) -> bool {
        self.aborts.is_set(signal)
    }

    /// Announces a sleep of no length, with the look before it. Whether something was there.
    ///
    /// # Errors
    ///
    /// The host broke the protocol.
    pub fn sleep(&mut self) -> Result<bool, ProtocolViolation> {
        let (ends, mut pending) = (&mut self.ends, Ok(false));
        let _ = self.signals.host_is_busy();
        self.signals.park(&SpinBell, Duration::ZERO, || {
            pending = ends.is_pending();
            pending != Ok(false)
        });
        pending
    }

    /// Answers a call, when the host survives the answer.
    ///
    /// # Errors
    ///
    /// It would not survive it; inside: nothing was sent.
    pub fn respond(
        &mut self,
        call: u32,
        rejected: bool,
        payload: Payload<'_>,
    ) -> Result<Result<(), SendError>, AnswerError> {
        let fit = Fit::check(payload)?;
        Ok(self.ends.respond(Word0::Answer { rejected }, call, fit.payload()))
    }
}

impl<M: SharedMemory> fmt::Debug for KnittingEnds<M>
where
    M::Word: SharedWordRmw,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnittingEnds").finish_non_exhaustive()
    }
}

fn request(received: Received) -> Option<Request> {
    let Received { word0, call, payload, freed, .. } = received;
    let Word0::Call { function, abort } = word0 else { return None };
    Some(Request { call, function, abort, payload, withdrawn: false, wake: freed })
}
