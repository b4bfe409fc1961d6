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
/// The stores are relaxed, and nothing pairs with them. The host reads after the worker's process has
/// ended, and by then every store has arrived that the worker's processors had executed: an
/// interrupt that ends a process loses none that stand before it in program order, on x86-64 and on
/// AArch64 alike. So it is the order of the program that counts, and the compiler's fence keeps it: a task begins
/// after *taken* and is over before *done*. *Done* comes before the answer because E1 does.
pub(crate) struct JournalWriter<M: SharedMemory> {
    words: Vec<M::Word>,
}

impl<M: SharedMemory> JournalWriter<M> {
    pub(crate) fn new(memory: &M, layout: &Layout) -> Result<Self, AttachError> {
        Ok(Self { words: words(memory, layout)? })
    }

    /// The worker has the call. Nothing of its task has happened. LANE-34.
    #[inline]
    pub(crate) fn taken(&self, call: u32) {
        self.store(call, Stage::Taken);
        compiler_fence(Ordering::SeqCst);
    }

    /// The task is over, and its answer is not published. LANE-35.
    #[inline]
    pub(crate) fn done(&self, call: u32) {
        compiler_fence(Ordering::SeqCst);
        self.store(call, Stage::Done);
    }

    #[inline]
    fn store(&self, call: u32, stage: Stage) {
        if let Some(word) = self.words.get(journal_index(call)) {
            // Relaxed: see the type.
            word.store_relaxed(stage.of_call(call));
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

    /// Whether the worker, whose process has ended, may have begun with `call`. `before` is the last call
    /// before it in the same place. LANE-36.
    pub(crate) fn may_have_begun(&self, call: u32, before: Option<u32>) -> bool {
        // Relaxed: whoever learned of the end of the process from the kernel sees all its stores.
        let word = self.words.get(journal_index(call)).map(SharedWord::load_relaxed);
        word.is_none_or(|word| may_have_begun(word, before))
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
