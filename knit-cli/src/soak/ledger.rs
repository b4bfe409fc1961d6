//! Who has run which call: memory with a cell for each call, in which workers count.
//!
//! The memory is nobody's lane. A worker inherits its descriptor, so that the counts of a worker that was
//! killed are still there. A caller has [`CELLS`] cells and uses them again and again; a cell says for
//! which of its calls it counts.

use super::SoakError;
use core::fmt;
use knit_proto::{Span, WordOffset};
use knit_ring::{Mapped, Mapping, SharedMemory, SharedWord, SharedWordRmw, inherited_descriptor};
use std::os::fd::OwnedFd;

/// Cells of each caller.
pub const CELLS: u32 = 1 << 18;
/// Most runs of a call that a cell tells apart from more.
pub const MOST: u32 = 3;
/// Most callers: their number has this many bits in an [`Id`].
pub const MOST_CALLERS: u64 = 1 << 7;
/// Bits of the number of a call; with those of its caller they fit the whole numbers of a float.
const NUMBER_BITS: u32 = 45;
/// Number of its descriptor in workers.
pub const DESCRIPTOR: u16 = 64;

/// One call: which caller made it, as the how-manieth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    /// Which of the callers.
    pub caller: u32,
    /// How many calls it had made before.
    pub number: u64,
}

impl Id {
    /// Both in one number below 2 to the power of 52.
    pub fn pack(self) -> u64 {
        u64::from(self.caller) << NUMBER_BITS | self.number
    }

    /// The other way.
    pub fn unpack(packed: u64) -> Self {
        let number = packed & ((1 << NUMBER_BITS) - 1);
        // The caller of any number fits: the shift leaves 19 bits.
        Self { caller: (packed >> NUMBER_BITS) as u32, number }
    }

    /// Its cell, of all cells.
    fn cell(self) -> u32 {
        self.caller.saturating_mul(CELLS).saturating_add((self.number % u64::from(CELLS)) as u32)
    }

    /// What tells it from other calls with this cell: 1 for the first one, then 2.
    fn round(self) -> u32 {
        // 30 bits are left of it, for 2^48 calls.
        (self.number / u64::from(CELLS) + 1) as u32 & (u32::MAX >> 2)
    }
}

/// The memory.
#[derive(Clone)]
pub struct Ledger(Mapped<Mapping>);

impl Ledger {
    /// For so many callers, of which nobody has called yet.
    ///
    /// # Errors
    ///
    /// The system has no memory for it.
    pub fn create(callers: u32) -> Result<Self, SoakError> {
        let len = callers * CELLS * 4;
        let memory = Mapping::create_named(c"knit-soak", len).map_err(SoakError::ledger)?;
        let all = Span::new(0, len).expect("a multiple of four");
        memory.reserve(all).map_err(SoakError::ledger)?;
        Ok(Self(memory))
    }

    /// A descriptor of it, for workers.
    ///
    /// # Errors
    ///
    /// The system has none.
    pub fn descriptor(&self) -> Result<OwnedFd, SoakError> {
        rustix::io::fcntl_dupfd_cloexec(self.0.backing().file(), 0).map_err(SoakError::ledger)
    }

    /// The ledger that this process has inherited under this number.
    ///
    /// # Errors
    ///
    /// It has not.
    pub fn inherited(number: i32) -> Result<Self, SoakError> {
        let file = inherited_descriptor(number).map_err(SoakError::ledger)?;
        Mapping::attach(file).map(Self).map_err(SoakError::ledger)
    }

    /// Counts a run of a call. Does nothing when its cell belongs to a later call already, or to nobody.
    pub fn count_run(&self, id: Id) {
        let Some(word) = self.word(id) else { return };
        let mut now = word.load_acquire();
        loop {
            let (round, runs) = (now >> 2, now & MOST);
            let runs = match round.cmp(&id.round()) {
                core::cmp::Ordering::Less => 1,
                core::cmp::Ordering::Equal => (runs + 1).min(MOST),
                core::cmp::Ordering::Greater => return,
            };
            match word.compare_exchange_acquire(now, id.round() << 2 | runs) {
                Ok(()) => return,
                Err(found) => now = found,
            }
        }
    }

    /// How often a call has run, as far as its cell says. Whoever reads an answer sees what its worker
    /// counted before: the answer's publication releases it.
    pub fn runs(&self, id: Id) -> u32 {
        let now = self.word(id).map_or(0, |word| word.load_acquire());
        if now >> 2 == id.round() { now & MOST } else { 0 }
    }

    fn word(&self, id: Id) -> Option<impl SharedWordRmw> {
        let at = WordOffset::new(id.cell().checked_mul(4)?)?;
        self.0.word(at).ok()
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("bytes", &self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_cell_counts_for_its_last_call_only() {
        let ledger = Ledger::create(2).unwrap();
        let first = Id { caller: 1, number: 5 };
        let later = Id { number: 5 + u64::from(CELLS), ..first };
        let other = Id { caller: 0, ..first };
        assert_eq!(ledger.runs(first), 0);
        ledger.count_run(first);
        assert_eq!([first, later, other].map(|id| ledger.runs(id)), [1, 0, 0]);
        for _ in 0..5 {
            ledger.count_run(first);
        }
        assert_eq!(ledger.runs(first), MOST);
        ledger.count_run(later);
        ledger.count_run(first);
        assert_eq!([first, later, other].map(|id| ledger.runs(id)), [0, 1, 0]);
        // A number that no caller of this ledger has.
        ledger.count_run(Id { caller: 2, number: 0 });
        assert_eq!(ledger.runs(Id { caller: 2, number: 0 }), 0);
    }

    #[test]
    fn ids_are_whole_numbers_of_a_float() {
        for id in [Id { caller: 0, number: 0 }, Id { caller: 127, number: (1 << 45) - 1 }] {
            assert_eq!(Id::unpack(id.pack()), id);
            assert_eq!((id.pack() as f64) as u64, id.pack());
            assert!(id.pack() < 1 << 52);
        }
    }

    #[test]
    fn whoever_inherits_the_descriptor_counts_in_the_same_memory() {
        let ledger = Ledger::create(1).unwrap();
        let file = ledger.descriptor().unwrap();
        let again = Ledger::inherited(file.as_raw_fd()).unwrap();
        let id = Id { caller: 0, number: 9 };
        again.count_run(id);
        assert_eq!(ledger.runs(id), 1);
    }
}
