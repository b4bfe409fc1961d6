//! An arena whose receiver stores anything into the free word.

use super::{Then, bytes};
use crate::{HostileMemory, Lane};
use knit_proto::{BlockIndex, ProtocolViolation};
use knit_ring::{
    ArenaError, ArenaSender, HeapMemory, OwnedLoan, SharedBytes, SharedMemory, SharedWord,
};
use std::collections::BTreeMap;

/// Longest loan that is filled, in bytes: what is longer fits none of the arenas.
const LONGEST: u32 = 1 << 16;

/// What the two parties do.
#[derive(Clone, Copy, Debug)]
pub enum HostileArenaOp {
    /// The receiver frees the n-th live block, counted modulo how many there are.
    FreeLive(u32),
    /// The receiver flips these bits.
    Flip(u32),
    /// The receiver stores this.
    Store(u32),
    /// The sender takes a loan of so many bytes.
    Loan(u32, Then),
    /// The sender commits the n-th owned loan, counted modulo how many there are, or drops it.
    Settle(u32, bool),
    /// The sender looks at the free word.
    Reclaim,
}

/// What came of a history.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostileArenaSeen {
    /// Blocks that were lent.
    pub lent: u32,
    /// Violations that were named.
    pub violations: u32,
    /// Those of them that were named while an owned loan was out.
    pub early: u32,
}

/// A block that was lent and is not freed, as the sender has to believe from what it loaded.
#[derive(Clone, Copy, Debug)]
struct Block {
    start: u32,
    /// Whole granules.
    size: u32,
    len: u32,
    /// Which bytes it was filled with.
    fill: u32,
}

impl Block {
    fn apart(self, other: Self) -> bool {
        self.start + self.size <= other.start || other.start + other.size <= self.start
    }
}

/// Runs a history. `hostile` is `memory` as the sender sees it: its loads of the free word may return
/// what was never stored.
///
/// The blocks that are lent or live never overlap and lie inside, a block that is only lent cannot be
/// freed, every other flip is named, and nobody but its owner writes into a block. ARN-1, ARN-4, ARN-8.
///
/// # Panics
///
/// The arena does something else.
pub fn run_hostile_arena(
    lane: &Lane,
    memory: &HeapMemory,
    hostile: &HostileMemory,
    ops: impl IntoIterator<Item = HostileArenaOp>,
) -> HostileArenaSeen {
    let (free, free_at) = (memory.word(lane.arena.free()).unwrap(), lane.arena.free().bytes());
    let mut arena = ArenaSender::new(hostile, &lane.arena, 0).unwrap();
    let mut live: BTreeMap<BlockIndex, Block> = BTreeMap::new();
    let mut loans: Vec<(OwnedLoan<HostileMemory>, Block)> = Vec::new();
    let (mut seen, mut told) = (0, HostileArenaSeen::default());
    for (fill, op) in (0..).zip(ops) {
        let nth = |n: u32, count: usize| n as usize % count.max(1);
        // The block that the arena lends by this step, and its index when it is live at once.
        let lent = match op {
            HostileArenaOp::FreeLive(n) => {
                if let Some(block) = live.keys().nth(nth(n, live.len())) {
                    free.store_release(seen ^ block.bit());
                }
                continue;
            }
            HostileArenaOp::Flip(bits) => {
                free.store_release(seen ^ bits);
                continue;
            }
            HostileArenaOp::Store(word) => {
                free.store_release(word);
                continue;
            }
            HostileArenaOp::Settle(n, commit) => {
                if loans.is_empty() {
                    continue;
                }
                let (loan, block) = loans.swap_remove(nth(n, loans.len()));
                if commit {
                    // A receiver that flips the bit of a block before it is live frees it early: that
                    // is seen by the next look, and is its own loss.
                    let (index, start) = arena.commit(loan);
                    assert_eq!(start, block.start);
                    assert!(live.insert(index, block).is_none(), "index {index:?} is live");
                }
                continue;
            }
            HostileArenaOp::Reclaim => {
                arena.reclaim().map(|()| None).map_err(ArenaError::Violation)
            }
            HostileArenaOp::Loan(len, then) => {
                let size = len.max(1).checked_next_multiple_of(64).unwrap_or(0);
                let filling = bytes(fill, len.min(LONGEST) as usize);
                let block = |start| Block { start, size, len, fill };
                match then {
                    Then::Keep => arena.loan_owned(len).map(|mut loan| {
                        loan.deposit(0, &filling).unwrap();
                        let block = block(loan.start());
                        Some((block, Some(Err(loan))))
                    }),
                    Then::Commit => arena.loan(len).map(|mut loan| {
                        loan.deposit(0, &filling).unwrap();
                        let (index, start) = loan.commit();
                        Some((block(start), Some(Ok(index))))
                    }),
                    Then::Drop => arena.loan(len).map(|_| None),
                }
            }
        };
        // Every decision is taken by one load, or by none.
        if let Some(loaded) = hostile.take_load(free_at) {
            let freed = loaded ^ seen;
            let dead = freed & !live.keys().map(|index| index.bit()).sum::<u32>();
            if dead != 0 {
                let violation = ProtocolViolation::FreedDead { blocks: dead };
                assert_eq!(lent.map(drop), Err(ArenaError::Violation(violation)));
                told.violations += 1;
                told.early += u32::from(!loans.is_empty());
                continue;
            }
            live.retain(|index, _| freed & index.bit() == 0);
            seen = loaded;
        }
        let (block, owner) = match lent {
            Ok(Some((block, Some(owner)))) => (block, owner),
            Ok(_) | Err(ArenaError::Full) => continue,
            Err(ArenaError::TooLong { len, capacity }) => {
                assert!(len > capacity && capacity == arena.capacity(), "{len} of {capacity}");
                continue;
            }
            Err(error) => panic!("an honest receiver and memory that is there: {error}"),
        };
        told.lent += 1;
        let Block { start, size, .. } = block;
        assert!(start.is_multiple_of(64) && start + size <= arena.capacity(), "outside");
        for other in loans.iter().map(|(_, block)| block).chain(live.values()) {
            assert!(block.apart(*other), "{block:?} and {other:?}");
        }
        match owner {
            Ok(index) => assert!(live.insert(index, block).is_none(), "index {index:?} is live"),
            Err(loan) => loans.push((loan, block)),
        }
    }
    let data = memory.bytes(lane.arena.data()).unwrap();
    for block in loans.iter().map(|(_, block)| block).chain(live.values()) {
        let mut found = vec![0; block.len as usize];
        data.snapshot(block.start, &mut found).unwrap();
        assert!(found == bytes(block.fill, block.len as usize), "{block:?} was written over");
    }
    told
}
