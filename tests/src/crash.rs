//! Memory of a party that dies after its n-th store.

use crate::{Intercept, Intercepted, Order};
use knit_ring::HeapMemory;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};
use std::thread::panicking;

/// Heap memory of a party that dies after a number of stores. Every word of a copy is a store, so
/// a party can die in the middle of a payload.
pub type CrashMemory = Intercepted<Stop>;

/// What the first store after the last one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopBehaviour {
    /// It unwinds to [`until_stop`]: the party's code goes no further.
    Unwind,
    /// It vanishes, and so do all later ones: the party's code runs on, unseen.
    Vanish,
}

/// Lets a number of stores happen, and remembers them.
#[derive(Debug)]
pub struct Stop {
    stores: u64,
    behaviour: StopBehaviour,
    log: Mutex<Vec<(u32, u32)>>,
}

impl CrashMemory {
    /// `inner` for a party that dies after `stores` stores.
    #[must_use]
    pub fn stopping_after(inner: &HeapMemory, stores: u64, behaviour: StopBehaviour) -> Self {
        Self::over(inner, Stop { stores, behaviour, log: Mutex::default() })
    }

    /// `inner` for a party that lives.
    #[must_use]
    pub fn recording(inner: &HeapMemory) -> Self {
        Self::stopping_after(inner, u64::MAX, StopBehaviour::Vanish)
    }

    /// Offset and value of every store that happened.
    #[must_use]
    pub fn stores(&self) -> Vec<(u32, u32)> {
        self.by().log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Intercept for Stop {
    fn store(&self, at: u32, value: u32, _: Order) -> bool {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if (log.len() as u64) < self.stores {
            log.push((at, value));
            return true;
        }
        drop(log);
        // Destructors that run while the party unwinds must not store either.
        if self.behaviour == StopBehaviour::Unwind && !panicking() {
            resume_unwind(Box::new(Stopped(())));
        }
        false
    }
}

/// The payload that unwinds a party from its last store.
#[derive(Debug)]
pub struct Stopped(());

/// Runs a party over [`CrashMemory`] until it ends or dies; `None` when it died.
///
/// # Panics
///
/// The party panicked for another reason.
pub fn until_stop<T>(party: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(party)) {
        Ok(done) => Some(done),
        Err(payload) if payload.is::<Stopped>() => None,
        Err(payload) => resume_unwind(payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use knit_proto::{Span, WordOffset};
    use knit_ring::{SharedBytes, SharedMemory, SharedWord};

    #[test]
    fn a_copy_can_be_cut_in_the_middle() {
        let heap = HeapMemory::zeroed(64).unwrap();
        let memory = CrashMemory::stopping_after(&heap, 3, StopBehaviour::Unwind);
        let bytes = memory.bytes(Span::new(0, 64).unwrap()).unwrap();
        assert!(until_stop(|| bytes.deposit(0, &[0xff; 20])).is_none());
        let mut seen = [0; 20];
        heap.bytes(Span::new(0, 64).unwrap()).unwrap().snapshot(0, &mut seen).unwrap();
        assert_eq!(seen[..12], [0xff; 12]);
        assert_eq!(seen[12..], [0; 8]);
    }

    #[test]
    fn vanished_stores_stay_away() {
        let heap = HeapMemory::zeroed(64).unwrap();
        let memory = CrashMemory::stopping_after(&heap, 1, StopBehaviour::Vanish);
        let word = memory.word(WordOffset::new(8).unwrap()).unwrap();
        word.store_release(1);
        word.store_release(2);
        assert_eq!(heap.word(WordOffset::new(8).unwrap()).unwrap().load_acquire(), 1);
        assert_eq!(memory.stores(), [(8, 1)]);
    }
}
