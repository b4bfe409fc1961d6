//! Both ends of a lane's deadlines: the host says until when the caller of each call waits, and the
//! worker looks when a task asks.

use core::fmt;
use knit_proto::{Layout, MonotonicTime, SLOTS, SlotIndex, SlotMask, deadline_index};
use knit_ring::{AttachError, SharedMemory, SharedWord};

/// The host's end.
///
/// # Ordering
///
/// The stores are relaxed: E1 of the request, which comes after them, makes them visible to the worker that
/// has taken it. An entry is stored anew only once the call that had it has been answered.
pub(crate) struct DeadlineWriter<M: SharedMemory> {
    entries: Vec<[M::Word; 2]>,
    /// Entries that are not zero, as far as this side has written them.
    stated: SlotMask,
}

impl<M: SharedMemory> DeadlineWriter<M> {
    pub(crate) fn new(memory: &M, layout: &Layout) -> Result<Self, AttachError> {
        Ok(Self { entries: entries(memory, layout)?, stated: SlotMask::EMPTY })
    }

    /// States the deadline of the call that is about to be published in this place. Where there is none and
    /// the last one had none either, nothing is stored. LANE-46.
    #[inline]
    pub(crate) fn state(&mut self, place: SlotIndex, deadline: Option<MonotonicTime>) {
        if deadline.is_some() || self.stated.contains(place) {
            self.store(place, deadline);
        }
    }

    #[cold]
    fn store(&mut self, place: SlotIndex, deadline: Option<MonotonicTime>) {
        if let Some(entry) = self.entries.get(place.index()) {
            for (word, value) in entry.iter().zip(MonotonicTime::words(deadline)) {
                // Relaxed: see the type.
                word.store_relaxed(value);
            }
        }
        self.stated = match deadline {
            Some(_) => self.stated.with(place),
            None => self.stated.without(place),
        };
    }
}

/// The worker's end.
pub(crate) struct DeadlineReader<M: SharedMemory> {
    entries: Vec<[M::Word; 2]>,
}

impl<M: SharedMemory> DeadlineReader<M> {
    pub(crate) fn new(memory: &M, layout: &Layout) -> Result<Self, AttachError> {
        Ok(Self { entries: entries(memory, layout)? })
    }

    /// The deadline of a call that this worker has. LANE-47. What a host says there while it may not is a
    /// number too.
    pub(crate) fn of_call(&self, call: u32) -> Option<MonotonicTime> {
        let [low, high] = self.entries.get(deadline_index(call))?;
        // Relaxed, both: E1 of the request has made them visible, and its host stores nothing there before the answer.
        MonotonicTime::from_words(low.load_relaxed(), high.load_relaxed())
    }
}

fn entries<M: SharedMemory>(memory: &M, layout: &Layout) -> Result<Vec<[M::Word; 2]>, AttachError> {
    let table = layout.deadlines();
    let places = (0..SLOTS).filter_map(|n| Some((table.word(n * 8)?, table.word(n * 8 + 4)?)));
    places.map(|(low, high)| Ok([memory.word(low)?, memory.word(high)?])).collect()
}

impl<M: SharedMemory> fmt::Debug for DeadlineWriter<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadlineWriter").field("stated", &self.stated).finish_non_exhaustive()
    }
}

impl<M: SharedMemory> fmt::Debug for DeadlineReader<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadlineReader").finish_non_exhaustive()
    }
}
