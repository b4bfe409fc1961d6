//! The control channel of a lane, as the pool uses it.

use super::{Core, MOST_DEATHS, Memory, Offered, Phase, refused};
use crate::buffer::context::Parcel;
use crate::buffer::link::Link;
use crate::pool::call::{CallState, Wakes};
use crate::pool::shared::Shared;
use crate::{GiveError, HostLane, ProtocolViolation, SendError};
use core::time::Duration;
use knit_codec::Payload;
use knit_ring::{Doorbell, FutexBell};
use std::sync::Arc;

impl Core {
    /// Reads the control channel, where buffers have crossed it or when this side is `idle`: it may be about to sleep. Returns whether the phase changed.
    #[cold]
    pub(super) fn drain(
        &mut self,
        lane: usize,
        shared: &Shared,
        idle: bool,
        wakes: &mut Wakes,
    ) -> bool {
        let (Phase::Open(host), Some(link)) = (&mut self.phase, &self.link) else { return false };
        if !idle && !link.is_active() {
            return false;
        }
        match link.drain() {
            Ok(any) => {
                // The worker may wait for room in the channel.
                if any && host.notify() {
                    FutexBell.wake(host.bell());
                    self.counts.woke(lane);
                }
                false
            }
            Err(violation) => {
                self.poison(lane, shared, violation, wakes);
                true
            }
        }
    }

    /// A call whose buffer did not reach the worker.
    #[cold]
    pub(super) fn not_given(
        &mut self,
        lane: usize,
        shared: &Shared,
        error: SendError,
        call: &Arc<CallState>,
        wakes: &mut Wakes,
    ) -> Offered {
        if error == SendError::Buffer(GiveError::Closed)
            && self.has_hung_up()
            && self.counts.found_closed() <= MOST_DEATHS
        {
            // A process that has ended, which its supervisor is about to notice; or it is of no use any more. The call was
            // not published, whether it may be made again or not. A thread closes its end when it ends.
            if let Some((Some(_), ender)) = &self.worker {
                ender.end();
            }
            return Offered::Declined;
        }
        if error != SendError::Full {
            call.complete(Err(Box::new(refused(error))), wakes);
            return Offered::Taken;
        }
        // The worker reads the channel before it sleeps, and must be awake for that. Both channels
        // may be full: this side reads too.
        if let Phase::Open(host) = &mut self.phase
            && host.notify()
        {
            FutexBell.wake(host.bell());
            self.counts.woke(lane);
        }
        self.drain(lane, shared, true, wakes);
        Offered::Declined
    }
}

impl Core {
    /// Whether nobody has the worker's end of the channel any more.
    fn has_hung_up(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.hangs_up_within(Duration::ZERO))
    }
}

/// Makes sure that the worker has been given the buffer that a parcel names.
#[cold]
pub(super) fn give(
    host: &HostLane<Memory>,
    link: Option<&Arc<Link>>,
    parcel: &Parcel,
) -> Result<(), SendError> {
    if !host.has_place() {
        // Another lane will take the call, and this worker has no use for the buffer.
        return Err(SendError::Full);
    }
    let link = link.ok_or(GiveError::NoChannel)?;
    match &parcel.buffer {
        Some(buffer) if !link.give(buffer)? => Err(SendError::Full),
        _ => Ok(()),
    }
}

/// An answer, with the buffer that it names.
#[inline]
pub(super) fn resolve(
    link: Option<&Arc<Link>>,
    payload: Payload<'static>,
) -> Result<Parcel, ProtocolViolation> {
    let buffer = match link {
        Some(link) => link.resolve(&payload)?,
        None => None,
    };
    Ok(Parcel { payload, buffer })
}
