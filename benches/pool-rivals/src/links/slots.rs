//! `raw_sync` events over `shared_memory`: slots that take turns, an answer in the slot of its call.

#![allow(clippy::disallowed_methods, reason = "fences of memory that is none of knit's")]

use crate::Failure;
use crate::link::{HEAD, Head, Link};
use crate::peer::{Needs, Rival, ready, setup, start_with_text};
use crate::raw::Region;
use knit_cli::floor::Peer;
use raw_sync::Timeout;
use raw_sync::events::{EventImpl, EventState};
use std::borrow::Cow;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

/// Slots with two events each.
#[derive(Clone, Copy, Debug)]
pub struct EventSlots;

/// Bytes of a cache line; two, since they come in pairs.
const LINE: usize = 128;

/// The longest wait for an event: after that the other side is looked after.
const WAIT: Duration = Duration::from_millis(100);

/// One side's slots. `HOST` says which side.
pub struct Slots<const HOST: bool> {
    // The events point into the region: they are dropped first.
    slots: Vec<Slot>,
    region: Region,
    /// Slots that were sent and slots that were received, since the begin.
    sent: usize,
    received: usize,
}

struct Slot {
    call: Box<dyn EventImpl>,
    answer: Box<dyn EventImpl>,
    /// Where its message is.
    at: usize,
}

impl Rival for EventSlots {
    const VARIABLE: &'static str = "KNIT_RIVAL_RAW_SYNC";
    type Host = Slots<true>;
    type Worker = Slots<false>;

    fn start(&self, needs: &Needs<'_>) -> Result<(Self::Host, Peer), Failure> {
        let count = needs.slots();
        let stride = 2 * LINE + (HEAD + needs.largest).next_multiple_of(LINE);
        let region = Region::create(count * stride)?;
        let text = format!("{count}\n{stride}\n{}", region.name());
        let slots = Slots::new(region, count, stride)?;
        let (worker, peer) = start_with_text(Self::VARIABLE, needs, &text)?;
        worker.wait()?;
        Ok((slots, peer))
    }

    fn attach() -> Result<Self::Worker, Failure> {
        let text = setup()?;
        let mut lines = text.lines();
        let mut line = || lines.next().ok_or("a line of the setup is missing");
        let (count, stride) = (line()?.parse()?, line()?.parse()?);
        let slots = Slots::new(Region::open(line()?)?, count, stride)?;
        ready()?;
        Ok(slots)
    }
}

impl<const HOST: bool> Slots<HOST> {
    fn new(region: Region, count: usize, stride: usize) -> Result<Self, Failure> {
        let event = |at| if HOST { region.new_event(at) } else { region.event(at) };
        let slot = |index| -> Result<_, Failure> {
            let from = index * stride;
            let (call, answer) = (event(from)?, event(from + LINE)?);
            Ok(Slot { call, answer, at: from + 2 * LINE })
        };
        let slots = (0..count).map(slot).collect::<Result<_, _>>()?;
        Ok(Self { slots, region, sent: 0, received: 0 })
    }
}

impl<const HOST: bool> Link for Slots<HOST> {
    fn room(&mut self, _len: usize) -> Result<bool, Failure> {
        // The worker answers in the slot that it has taken.
        Ok(!HOST || self.sent - self.received < self.slots.len())
    }

    fn send(&mut self, head: Head, body: Cow<'_, [u8]>) -> Result<(), Failure> {
        let slot = &self.slots[self.sent % self.slots.len()];
        self.sent += 1;
        self.region.write(slot.at, &head.to_bytes());
        self.region.write(slot.at + HEAD, &body);
        // The crate's own accesses are relaxed.
        fence(Ordering::Release);
        let set = slot.event(HOST).set(EventState::Signaled);
        Ok(set.map_err(|error| error.to_string())?)
    }

    fn receive<R>(
        &mut self,
        read: impl FnOnce(Head, Cow<'_, [u8]>) -> R,
    ) -> Result<Option<R>, Failure> {
        let slot = &self.slots[self.received % self.slots.len()];
        // It fails when the time is over, and otherwise never.
        if slot.event(!HOST).wait(Timeout::Val(WAIT)).is_err() {
            return Ok(None);
        }
        fence(Ordering::Acquire);
        self.received += 1;
        let mut head = [0; HEAD];
        self.region.read(slot.at, &mut head);
        let head = Head::from_bytes(&head)?;
        let body = self.region.read_vec(slot.at + HEAD, head.len as usize);
        Ok(Some(read(head, Cow::Owned(body))))
    }
}

impl Slot {
    /// What the host signals, or the worker.
    fn event(&self, of_host: bool) -> &dyn EventImpl {
        if of_host { &*self.call } else { &*self.answer }
    }
}
