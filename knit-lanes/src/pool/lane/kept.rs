//! What a lane keeps of the calls that its worker has, so that they can be made again.

use crate::CallId;
use crate::buffer::context::Parcel;
use crate::pool::call::CallState;
use crate::pool::shared::{Offer, Queued};
use knit_codec::Payload;
use knit_proto::{SLOTS, Tag};
use std::sync::Arc;

/// The arguments of the calls that a worker has, by their place. Beside the calls and not in them: an answer then
/// moves no argument, and one without bytes is not even looked at again.
#[derive(Debug)]
pub(super) struct Kept {
    /// Grows from one call to the next.
    order: u64,
    places: [Again; SLOTS as usize],
}

/// What it takes to make one call again.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) order: u64,
    function: u16,
    /// 0: it is not made again, or there is no call.
    retries: u8,
    parcel: Parcel,
}

impl Again {
    const NOTHING: Self = Self { order: 0, function: 0, retries: 0, parcel: NOTHING };

    /// The call, for the queue.
    pub(super) fn queued(self, state: Arc<CallState>) -> Queued {
        let Self { function, retries, parcel, .. } = self;
        Queued { function, retries, parcel, state }
    }
}

const NOTHING: Parcel = Parcel { payload: Payload::bare(Tag::UNDEFINED), buffer: None };

impl Default for Kept {
    fn default() -> Self {
        Self { order: 0, places: [const { Again::NOTHING }; SLOTS as usize] }
    }
}

impl Kept {
    /// Takes the argument out of a call that was handed to the worker, if it may be made again.
    #[inline]
    pub(super) fn keep(&mut self, id: CallId, call: &mut Offer<'_>) {
        self.order += 1;
        let again = &mut self.places[id.place()];
        again.retries = call.retries;
        if call.retries > 0 {
            again.order = self.order;
            again.function = call.function;
            again.parcel = core::mem::replace(call.parcel, NOTHING);
        }
    }

    /// The call has been answered: its argument is not wanted any more.
    #[inline]
    pub(super) fn forget(&mut self, id: CallId) {
        let again = &mut self.places[id.place()];
        if !again.parcel.payload.is_empty() || again.parcel.buffer.is_some() {
            again.parcel = NOTHING;
        }
    }

    /// Of two calls the later one has the larger number; `None` when it may not be made again.
    pub(super) fn order(&self, id: CallId) -> Option<u64> {
        let again = &self.places[id.place()];
        (again.retries > 0).then_some(again.order)
    }

    /// What it takes to make the call again; `None` when it may not be.
    pub(super) fn take(&mut self, id: CallId) -> Option<Again> {
        let again = core::mem::replace(&mut self.places[id.place()], Again::NOTHING);
        (again.retries > 0).then_some(again)
    }
}
