//! A thread that polls a future and sleeps in between.

use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Waker;
use std::sync::Arc;
use std::task::Wake;
use std::thread::Thread;

/// The calling thread's sleep between two polls, and the waker that ends it.
///
/// A wake-up is a flag, and unparking only makes the thread look: the future that is polled may park the thread itself, and would
/// take a wake-up along that were nothing else.
pub(crate) struct Parker {
    unpark: Arc<Unpark>,
    waker: Waker,
}

impl Parker {
    /// Of the calling thread.
    pub(crate) fn new() -> Self {
        let thread = std::thread::current();
        let unpark = Arc::new(Unpark { thread, woken: AtomicU32::new(0) });
        Self { waker: Waker::from(Arc::clone(&unpark)), unpark }
    }

    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Sleeps until the waker has been woken since the last sleep.
    pub(crate) fn park(&self) {
        // Acquire: pairs with the release in `wake_by_ref`.
        while self.unpark.woken.swap(0, Ordering::Acquire) == 0 {
            std::thread::park();
        }
    }
}

struct Unpark {
    thread: Thread,
    /// 1: it was woken, and has not looked since.
    woken: AtomicU32,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: what the waking thread did is visible to the next poll.
        self.woken.store(1, Ordering::Release);
        self.thread.unpark();
    }
}
