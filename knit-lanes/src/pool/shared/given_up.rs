//! Calls that were given up in the queue. A lane that comes to one drops it; where no lane comes, they would keep their
//! places and their arguments for as long.

use super::Shared;
use crate::pool::call::Wakes;
use core::sync::atomic::Ordering;
use std::collections::VecDeque;

/// Fewest calls that are given up before the queue is looked through.
const FEW: usize = 64;

impl Shared {
    /// A call has ended in the queue. Rids the queue of such calls now and then: each call is looked at about twice.
    #[cold]
    pub(super) fn gave_up_queued(&self) {
        // Relaxed, here and below: a hint when to look.
        let given_up = self.given_up.fetch_add(1, Ordering::Relaxed) + 1;
        if given_up >= FEW && given_up >= self.queued.load(Ordering::Relaxed) / 2 {
            self.drop_given_up();
        }
    }

    /// The queue is full: makes room where calls of it were given up.
    pub(super) fn make_room(&self) {
        if self.given_up.load(Ordering::Relaxed) > 0 {
            self.drop_given_up();
        }
    }

    fn drop_given_up(&self) {
        self.given_up.store(0, Ordering::Relaxed);
        let mut queue = self.queue();
        let calls = core::mem::take(&mut *queue).into_iter();
        let (over, kept): (VecDeque<_>, VecDeque<_>) = calls.partition(|call| call.state.is_done());
        *queue = kept;
        drop(queue);
        let mut wakes = Wakes::default();
        for call in &over {
            // Its caller may not have left the line by itself yet.
            self.line.forget(&call.state);
            self.left_queue(&mut wakes);
        }
        wakes.drained |= self.is_draining();
        self.wake(wakes);
    }
}
