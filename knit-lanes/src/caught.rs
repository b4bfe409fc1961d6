//! Drops of what is somebody else's: values, futures, what they have panicked with.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Drops a value whose drop may panic; that takes no thread along.
pub(crate) fn drop_caught<T>(value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value)))
        && let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic)))
    {
        // So might the drop of this one, and so on without end.
        core::mem::forget(again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::sync::Arc;

    /// Counts its drops, and panics in each with one that has this many more to panic with.
    struct Panics(Arc<AtomicU32>, u32);

    impl Drop for Panics {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            if self.1 > 0 {
                std::panic::resume_unwind(Box::new(Self(Arc::clone(&self.0), self.1 - 1)));
            }
        }
    }

    #[test]
    fn a_drop_that_panics_is_caught_and_what_it_panics_with_is_dropped() {
        for (more, drops) in [(0, 1), (1, 2), (2, 2), (9, 2)] {
            let count = Arc::new(AtomicU32::new(0));
            drop_caught(Panics(Arc::clone(&count), more));
            assert_eq!(count.load(Ordering::Relaxed), drops);
        }
    }
}
