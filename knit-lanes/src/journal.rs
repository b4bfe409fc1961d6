//! Both ends of a lane's stage journal: the worker notes how far it is with each call, and the host
//! reads that when the worker has died.

use core::fmt;
use core::sync::atomic::{Ordering, compiler_fence};
use knit_proto::{Layout, Stage, journal_index, may_have_begun};
use knit_ring::{AttachError, SharedMemory, SharedWord};

/// The worker's end.
///
/// # Ordering
///
/// What the host reads after the worker's process has ended needs no ordering: by then every store has arrived that the worker's processors had executed: an
/// interrupt that ends a process loses none that stand before it in program order, on x86-64 and on
/// AArch64 alike. So it is the order of the program that counts, and the compiler's fence keeps it: a task begins
/// after *taken* and is over before *done*. *Done* comes before the answer because E1 does.
///
/// A host that withdraws calls reads while the worker runs: E8, F3 and F4.
pub(crate) struct JournalWriter<M: SharedMemory> {
    words: Vec<M::Word>,
    /// Whether the host may read while the worker runs: where WITHDRAW is in force.
    watched: bool,
}

impl<M: SharedMemory> JournalWriter<M> {
    pub(crate) fn new(memory: &M, layout: &Layout, watched: bool) -> Result<Self, AttachError> {
        Ok(Self { words: words(memory, layout)?, watched })
    }

    /// The worker has the call. Nothing of its task has happened. LANE-34.
    #[inline]
    pub(crate) fn taken(&self, call: u32) {
        if let Some(word) = self.words.get(journal_index(call)) {
            let taken = Stage::Taken.of_call(call);
            if self.watched {
                // E8: release store. Whoever sees this call taken sees so those that were taken before.
                word.store_release(taken);
            } else {
                // Relaxed: see the type.
                word.store_relaxed(taken);
            }
        }
        compiler_fence(Ordering::SeqCst);
    }

    /// The task is over, and its answer is not published. LANE-35.
    #[inline]
    pub(crate) fn done(&self, call: u32) {
        compiler_fence(Ordering::SeqCst);
        if let Some(word) = self.words.get(journal_index(call)) {
            // Relaxed: see the type. F4 stands between this and the next look at the withdrawn calls.
            word.store_relaxed(Stage::Done.of_call(call));
        }
    }
}

/// The host's end.
pub(crate) struct JournalReader<M: SharedMemory> {
    words: Vec<M::Word>,
}

impl<M: SharedMemory> JournalReader<M> {
    pub(crate) fn new(memory: &M, layout: &Layout) -> Result<Self, AttachError> {
        Ok(Self { words: words(memory, layout)? })
    }

    /// Whether the worker may have begun with `call`. `before` is the last call before it in the same place. LANE-36, LANE-41.
    ///
    /// # Ordering
    ///
    /// E8.
    pub(crate) fn may_have_begun(&self, call: u32, before: Option<u32>) -> bool {
        // E8: acquire load, as LANE-41 has it while the worker lives. Of one that has ended a relaxed one would do: whoever learned
        // of that from the kernel sees all its stores.
        let word = self.words.get(journal_index(call)).map(SharedWord::load_acquire);
        word.is_none_or(|word| may_have_begun(word, before))
    }

    /// Whether the worker has taken `call`, and its task is not over.
    ///
    /// # Ordering
    ///
    /// E8.
    pub(crate) fn is_open(&self, call: u32) -> bool {
        // E8: acquire load. The looks after this one see what was taken before `call`.
        let word = self.words.get(journal_index(call)).map(SharedWord::load_acquire);
        word == Some(Stage::Taken.of_call(call))
    }
}

fn words<M: SharedMemory>(memory: &M, layout: &Layout) -> Result<Vec<M::Word>, AttachError> {
    let journal = layout.journal();
    let places = (0..journal.len() / 4).filter_map(|index| journal.word(index * 4));
    places.map(|at| memory.word(at)).collect()
}

impl<M: SharedMemory> fmt::Debug for JournalWriter<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalWriter").finish_non_exhaustive()
    }
}

impl<M: SharedMemory> fmt::Debug for JournalReader<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalReader").finish_non_exhaustive()
    }
}
