//! When which calls are over: those with a timeout, and those that were given up while a worker has them.
//!
//! Nothing is taken out when a call ends in time. What is over by itself leaves when the driver
//! looks, or when the heap has doubled.

use super::call::CallState;
use crate::clock;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use knit_proto::MonotonicTime;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

/// How long a call may take: when its time is over, for the driver and for its task.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeLimit {
    pub(super) timeout: Duration,
    pub(super) at: Instant,
    /// The same moment as a number.
    pub(super) deadline: Option<MonotonicTime>,
}

impl TimeLimit {
    /// So much time from now on; `None` when that has no end.
    #[cold]
    pub(super) fn from_now(timeout: Duration) -> Option<Self> {
        // Not after `at`: the answer of a task that keeps to it is still waited for.
        let deadline = clock::now().checked_add(timeout);
        Some(Self { timeout, at: Instant::now().checked_add(timeout)?, deadline })
    }
}

/// What is to happen at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The call has had this much time.
    Expire(Duration),
    /// The worker of this lane has not answered a call that was given up: it is killed.
    Kill(usize),
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    due: Due,
    call: Weak<CallState>,
}

impl Entry {
    /// Whether nothing has to happen any more.
    fn is_over(&self) -> bool {
        match self.due {
            Due::Expire(_) => self.call.upgrade().is_none_or(|call| call.is_done()),
            // A call that was given up is done, and its lane has it until the answer comes.
            Due::Kill(_) => self.call.strong_count() == 0,
        }
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

/// The deadlines of a pool, earliest first.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: Mutex<Heap>,
    /// Length of the heap, for a look without the lock.
    len: AtomicUsize,
}

#[derive(Debug, Default)]
struct Heap {
    entries: BinaryHeap<Reverse<Entry>>,
    /// Entries from which on it is rid of what is over.
    crowded: usize,
}

/// Fewest entries that are looked through for what is over.
const FEW: usize = 64;

impl Deadlines {
    /// Adds one. Returns whether it is the next one: then the driver may sleep for too long.
    pub(super) fn add(&self, at: Instant, due: Due, call: Weak<CallState>) -> bool {
        let mut heap = self.lock();
        let Heap { entries, crowded } = &mut *heap;
        if entries.len() >= FEW.max(*crowded) {
            entries.retain(|Reverse(entry)| !entry.is_over());
            *crowded = entries.len() * 2;
        }
        let is_next = entries.peek().is_none_or(|Reverse(next)| at < next.at);
        entries.push(Reverse(Entry { at, due, call }));
        self.len.store(entries.len(), Ordering::Relaxed);
        is_next
    }

    /// Whether there are any. A hint: one that is just being added rings for the driver.
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.len.load(Ordering::Relaxed) != 0
    }

    /// Time until the next one; `None` when there is none.
    pub(super) fn remaining(&self) -> Option<Duration> {
        if !self.any() {
            return None;
        }
        let mut heap = self.lock();
        self.drop_what_is_over(&mut heap);
        heap.entries.peek().map(|Reverse(next)| next.at.saturating_duration_since(Instant::now()))
    }

    /// Takes what is due by now.
    pub(super) fn take_due(&self) -> Option<(Due, Weak<CallState>)> {
        if !self.any() {
            return None;
        }
        let mut heap = self.lock();
        self.drop_what_is_over(&mut heap);
        if heap.entries.peek()?.0.at > Instant::now() {
            return None;
        }
        let Reverse(entry) = heap.entries.pop()?;
        self.len.store(heap.entries.len(), Ordering::Relaxed);
        Some((entry.due, entry.call))
    }

    fn drop_what_is_over(&self, heap: &mut Heap) {
        while heap.entries.peek().is_some_and(|Reverse(entry)| entry.is_over()) {
            heap.entries.pop();
        }
        self.len.store(heap.entries.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Heap> {
        self.heap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::call::Wakes;
    use super::*;
    use crate::error::CallError;
    use std::sync::Arc;

    #[test]
    fn what_is_over_goes_and_what_is_due_comes_in_its_order() {
        let deadlines = Deadlines::default();
        let now = Instant::now();
        let past = |ms| now.checked_sub(Duration::from_millis(ms)).unwrap();
        let calls: Vec<_> = (0..4).map(|_| CallState::new(None)).collect();
        let expire = Due::Expire(Duration::ZERO);
        let add = |at, call: &Arc<CallState>| deadlines.add(at, expire, Arc::downgrade(call));
        assert_eq!((deadlines.any(), deadlines.remaining()), (false, None));
        assert!(add(past(1), &calls[0]));
        assert!(add(past(3), &calls[1]));
        assert!(!add(past(2), &calls[2]));
        assert!(!add(now + Duration::from_secs(600), &calls[3]));
        calls[2].complete(Err(Box::new(CallError::Closed)), &mut Wakes::default());
        let due = || deadlines.take_due().map(|(_, call)| call.as_ptr());
        assert_eq!(due(), Some(Arc::as_ptr(&calls[1])));
        assert_eq!(due(), Some(Arc::as_ptr(&calls[0])));
        assert_eq!(due(), None);
        assert!(deadlines.remaining().unwrap() > Duration::from_secs(500));
        drop(calls);
        assert_eq!((deadlines.remaining(), deadlines.any()), (None, false));
    }

    /// A million calls that end in time do not leave a million entries.
    #[test]
    fn calls_that_end_in_time_do_not_pile_up() {
        let deadlines = Deadlines::default();
        let at = Instant::now() + Duration::from_secs(600);
        for _ in 0..10_000 {
            let call = CallState::new(None);
            deadlines.add(at, Due::Expire(Duration::ZERO), Arc::downgrade(&call));
            assert!(deadlines.len.load(Ordering::Relaxed) <= 2 * FEW);
        }
    }
}
