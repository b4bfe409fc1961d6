//! Whose turn it is to sleep on a lane's bell.
//!
//! One thread at a time sleeps on the bell. The others that wait for the same lane sleep until their
//! own call is done; whoever stops sleeping on the bell wakes one of them to take the turn.

use super::call::CallState;
use super::lane::Memory;
use knit_ring::Waiter;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// The turn of one lane.
#[derive(Debug, Default)]
pub(super) struct Turn {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Here while nobody sleeps on the bell.
    bell: Option<BellTurn>,
    /// Epoch of the lane's segment. A turn of an older one ends when it comes back.
    epoch: u32,
    followers: VecDeque<Arc<CallState>>,
}

/// The right to sleep on the bell.
#[derive(Debug)]
pub(super) struct BellTurn {
    pub(super) waiter: Waiter<Memory>,
    pub(super) epoch: u32,
}

impl Turn {
    /// The lane has a new segment.
    pub(super) fn replace(&self, waiter: Waiter<Memory>, epoch: u32) {
        let mut inner = self.lock();
        inner.epoch = epoch;
        inner.bell = Some(BellTurn { waiter, epoch });
    }

    /// The lane has no segment any more.
    pub(super) fn retire(&self) {
        let mut inner = self.lock();
        // Supervisors count epochs from 1 on: no turn that comes back has this one.
        inner.epoch = 0;
        inner.bell = None;
    }

    /// Takes the turn; or, when another thread has it, notes down `call` as one to wake later.
    pub(super) fn take_or_follow(&self, call: &Arc<CallState>) -> Option<BellTurn> {
        let mut inner = self.lock();
        let turn = inner.bell.take();
        inner.followers.retain(|other| !other.is_done());
        let known = inner.followers.iter().any(|other| Arc::ptr_eq(other, call));
        if turn.is_none() && !known {
            inner.followers.push_back(Arc::clone(call));
        }
        turn
    }

    /// Takes the turn if nobody has it.
    pub(super) fn try_take(&self) -> Option<BellTurn> {
        self.lock().bell.take()
    }

    /// Gives the turn back.
    pub(super) fn give_back(&self, turn: BellTurn) {
        let mut inner = self.lock();
        if turn.epoch == inner.epoch {
            inner.bell = Some(turn);
        }
    }

    /// If nobody has the turn, wakes the next thread that waits for it. Returns whether somebody has
    /// the turn or was woken to take it.
    ///
    /// Call it when a thread that slept for this lane leaves: it may have been woken to take the turn
    /// and have got its answer at the same moment, and must wake another one.
    pub(super) fn pass_on(&self) -> bool {
        loop {
            let next = {
                let mut inner = self.lock();
                if inner.bell.is_none() {
                    return true;
                }
                inner.followers.pop_front()
            };
            match next {
                // Threads that are awake look after themselves before they sleep again.
                Some(call) if call.wake_sleeper() => return true,
                Some(_) => {}
                None => return false,
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
