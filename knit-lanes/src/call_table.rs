//! Ids of the calls in flight on one lane.

use knit_proto::{SLOTS, SlotIndex, SlotMask};

/// Id of a call, unique among the calls of a lane until 2^27 more have used its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(u32);

impl CallId {
    /// The id as it stands in word 1 of a slot header.
    #[must_use]
    pub const fn word(self) -> u32 {
        self.0
    }

    /// The place of the call in its lane: below 32, and free again once the call has ended.
    #[must_use]
    pub const fn place(self) -> usize {
        (self.0 % SLOTS) as usize
    }
}

/// At most 32 calls (LANE-1), each with an id whose low five bits are its place and whose high 27 bits count
/// how often the place was used.
#[derive(Debug, Default)]
pub(crate) struct CallTable {
    in_flight: SlotMask,
    generations: [u32; SLOTS as usize],
}

/// After so many calls of a place their ids come again.
const COME_AGAIN: u32 = u32::MAX / SLOTS + 1;

impl CallTable {
    /// A place for one more call; `None` when 32 are in flight.
    #[inline]
    pub(crate) fn begin(&mut self) -> Option<CallId> {
        let place = SlotMask::ALL.minus(self.in_flight).next_from(0)?;
        self.in_flight = self.in_flight.with(place);
        Some(self.id(place))
    }

    /// Ends the call with this id; `None` when no such call is in flight.
    #[inline]
    pub(crate) fn end(&mut self, word: u32) -> Option<CallId> {
        let place = SlotIndex::new(word % SLOTS)?;
        let id = self.id(place);
        if !self.in_flight.contains(place) || id.0 != word {
            return None;
        }
        self.in_flight = self.in_flight.without(place);
        let generation = &mut self.generations[place.index()];
        // Not to zero, which says that there was no call before: the id is the same.
        *generation = generation.checked_add(1).unwrap_or(COME_AGAIN);
        Some(id)
    }

    /// Takes back a call that was begun last in its place and never sent: its id was not used.
    #[cold]
    pub(crate) fn cancel(&mut self, call: CallId) {
        if let Some(place) = self.place(call) {
            self.in_flight = self.in_flight.without(place);
        }
    }

    /// The call that had the place of `call`, which is in flight, before it; `None` when it is the first one.
    pub(crate) fn before(&self, call: CallId) -> Option<u32> {
        let generation = self.generations[call.place()].checked_sub(1)?;
        Some((generation << 5) | (call.0 % SLOTS))
    }

    /// The place of a call that is in flight.
    pub(crate) fn place(&self, call: CallId) -> Option<SlotIndex> {
        let place = SlotIndex::new(call.0 % SLOTS)?;
        (self.in_flight.contains(place) && self.id(place) == call).then_some(place)
    }

    /// The calls in flight, by their place.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = CallId> + '_ {
        let places = (0..SLOTS).filter_map(SlotIndex::new);
        places.filter(|place| self.in_flight.contains(*place)).map(|place| self.id(place))
    }

    pub(crate) fn len(&self) -> u32 {
        self.in_flight.len()
    }

    /// As if each place had had so many calls.
    #[cfg(test)]
    pub(crate) fn after(calls: u32) -> Self {
        Self { in_flight: SlotMask::EMPTY, generations: [calls; SLOTS as usize] }
    }

    fn id(&self, place: SlotIndex) -> CallId {
        CallId(self.generations[place.index()] << 5 | place.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_two_calls_fit_and_no_more() {
        let mut table = CallTable::default();
        let ids: Vec<_> = (0..32).map(|_| table.begin().unwrap()).collect();
        assert_eq!(table.begin(), None);
        assert_eq!(table.end(ids[7].word()), Some(ids[7]));
        assert_eq!(table.begin().map(CallId::place), Some(7));
    }

    /// LANE-36: what the journal says of a place is about the call before, not about one that was never sent.
    #[test]
    fn a_cancelled_call_leaves_no_trace() {
        let mut table = CallTable::default();
        let first = table.begin().unwrap();
        assert_eq!(table.before(first), None);
        table.cancel(first);
        assert_eq!((table.len(), table.begin()), (0, Some(first)));
        assert_eq!(table.end(first.word()), Some(first));
        let second = table.begin().unwrap();
        assert_eq!(table.before(second), Some(first.word()));
        table.cancel(second);
        let again = table.begin().unwrap();
        assert_eq!((again, table.before(again)), (second, Some(first.word())));
    }

    #[test]
    fn an_ended_or_forged_id_ends_nothing() {
        let mut table = CallTable::default();
        let id = table.begin().unwrap();
        for forged in [id.word() ^ 32, id.word() + 1, u32::MAX, id.word() | 1 << 31] {
            assert_eq!(table.end(forged), None, "{forged:#x}");
        }
        assert_eq!(table.end(id.word()), Some(id));
        assert_eq!(table.end(id.word()), None);
        let again = table.begin().unwrap();
        assert_eq!(again.place(), id.place());
        assert_ne!(again, id);
        assert_eq!(table.end(id.word()), None);
    }
}
