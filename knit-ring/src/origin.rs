//! Which process made something, so that a child of `fork` can tell that it was not itself.
//!
//! A child has a copy of everything that its parent had: the mappings of segments, descriptors, pidfds, and
//! private state whose locks may be held by threads that the child does not have. Two processes at one end of a
//! lane break what the other side was promised, so whoever has an end asks first.
//!
//! One word in a page of its own is what tells: the kernel fills the page with zeros in each child
//! (`MADV_WIPEONFORK`, Linux 4.14), so that asking costs a load. Asking for the process id would be a system call.

#![allow(unsafe_code, reason = "listed in ARCHITECTURE.md")]

use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// The process that made this value.
///
/// `vfork`, and what starts programs in that way, is no fork here: until the program has begun, its process and the
/// one that started it have one memory.
///
/// ```
/// let origin = knit_ring::Origin::here();
/// assert!(origin.is_here());
/// // In a child of this process that was forked after this, `origin.is_here()` is false, for ever.
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The number of the process that runs, as far as numbers were given out; 0 in a child that has none yet.
    word: &'static AtomicU32,
    /// The number of the process that made this.
    number: u32,
    /// Its id, where the kernel cannot wipe the page; otherwise 0.
    pid: u32,
}

impl Origin {
    /// This process.
    #[must_use]
    pub fn here() -> Self {
        let (word, wiped) = match page() {
            Some(word) => (word, true),
            None => (&UNWIPED, false),
        };
        let pid = if wiped { 0 } else { std::process::id() };
        // Relaxed, here and below: nothing is read on the strength of the number, and a child has one thread when it
        // begins.
        let number = match word.load(Ordering::Relaxed) {
            0 => number(word),
            known => known,
        };
        Self { word, number, pid }
    }

    /// Whether the calling process is the one that made this, and not a child of it. Takes no lock and, unless the
    /// kernel is older than Linux 4.14 or a filter forbids `madvise`, makes no system call.
    ///
    /// In these two cases ids of processes are compared: a child of a child may then have the id of an ancestor that
    /// has ended, and is not told apart.
    #[inline]
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.word.load(Ordering::Relaxed) == self.number && (self.pid == 0 || self.has_its_id())
    }

    #[cold]
    fn has_its_id(&self) -> bool {
        std::process::id() == self.pid
    }
}

/// Gives this process a number, unless another thread has just done that.
#[cold]
fn number(word: &AtomicU32) -> u32 {
    // One that no ancestor has: the counter is inherited as it was.
    let fresh = NUMBERS.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1);
    let set = word.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed);
    set.map_or_else(|known| known, |_| fresh)
}

/// The number that was given out last in this process or an ancestor.
static NUMBERS: AtomicU32 = AtomicU32::new(0);
/// The word where there is no page that is wiped: children keep its value.
static UNWIPED: AtomicU32 = AtomicU32::new(0);
/// The page; null until it is made. No lock, which a fork could leave taken.
static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

/// What is mapped, in bytes: the kernel makes a whole page of it, of whatever size.
const BYTES: usize = 4096;

/// The word in the page that children find zeroed; `None` where the system does not do that.
fn page() -> Option<&'static AtomicU32> {
    // Acquire: pairs with the release below. The page begins as zeros, so it would not even be needed.
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        let made = make_page()?;
        match PAGE.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => page = made,
            Err(known) => {
                // SAFETY: the page was just mapped by `make_page`, with this address and length, and nobody else has
                // seen it.
                let _ = unsafe { munmap(made.cast(), BYTES) };
                page = known;
            }
        }
    }
    // SAFETY: not null: either just made or published by whoever made it. Readable and writable, aligned to a page,
    // and never unmapped. It is private memory of this process, which is accessed through this atomic alone; the
    // kernel changes it in a child only, before that runs.
    Some(unsafe { &*page })
}

fn make_page() -> Option<*mut AtomicU32> {
    let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
    // SAFETY: the kernel chooses the address, so that no memory in use is replaced.
    let page = unsafe { mmap_anonymous(ptr::null_mut(), BYTES, access, flags) }.ok()?;
    // SAFETY: the page was just mapped, and nobody has a reference into it. The advice leaves its content alone in
    // this process.
    if unsafe { madvise(page, BYTES, Advice::LinuxWipeOnFork) }.is_err() {
        // SAFETY: as above; nobody has seen the page.
        let _ = unsafe { munmap(page, BYTES) };
        return None;
    }
    Some(page.cast())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use alloc::vec::Vec;

    #[test]
    fn all_of_one_process_agree() {
        let origins: Vec<_> = (0..4).map(|_| std::thread::spawn(Origin::here)).collect();
        let origins: Vec<_> = origins.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(origins.iter().all(Origin::is_here));
        assert!(origins.iter().all(|origin| origin.number == origins[0].number && origin.pid == 0));
    }

    /// What a child finds in its page, and what its own first value then is.
    #[test]
    fn a_zeroed_word_is_another_process() {
        let word: &'static AtomicU32 = Box::leak(Box::default());
        let origin = Origin { word, number: 7, pid: 0 };
        assert!(!origin.is_here());
        word.store(8, Ordering::Relaxed);
        assert!(!origin.is_here());
        word.store(7, Ordering::Relaxed);
        assert!(origin.is_here());
    }

    #[test]
    fn without_a_wiped_page_the_id_tells() {
        UNWIPED.store(3, Ordering::Relaxed);
        let pid = std::process::id();
        assert!(Origin { word: &UNWIPED, number: 3, pid }.is_here());
        assert!(!Origin { word: &UNWIPED, number: 3, pid: pid + 1 }.is_here());
    }
}
