//! An arena with honest ends against a plain list of blocks.

use super::bytes;
use crate::arena_lane;
use knit_proto::BlockIndex;
use knit_ring::{ArenaError, ArenaSender, HeapMemory, Held, OwnedLoan, SharedArenaReceiver};

/// What is done to an arena.
#[derive(Clone, Debug)]
pub enum ArenaOp {
    /// A loan of so many bytes, and what becomes of it.
    Loan(u32, Then),
    /// Commit the n-th owned loan, counted modulo how many there are, or drop it.
    Settle(usize, bool),
    /// Hold the n-th live block in place, counted modulo how many there are.
    Hold(usize),
    /// Free the n-th live block, by dropping it where it is held.
    Free(usize),
}

/// What becomes of a loan.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// It is committed.
    Commit,
    /// It is dropped.
    Drop,
    /// It is an owned loan, and is settled later.
    Keep,
}

/// A block that was loaned, with its bytes, and is not freed.
struct Taken {
    start: u32,
    size: u32,
    bytes: Vec<u8>,
    state: State,
}

enum State {
    Owned(OwnedLoan<HeapMemory>),
    Live(BlockIndex),
    Held(Held<HeapMemory>),
}

impl Taken {
    /// Which of `all` are in a state; the n-th of them, counted modulo how many there are.
    fn nth(all: &[Self], n: usize, is: impl Fn(&State) -> bool) -> Option<usize> {
        let which: Vec<_> = (0..all.len()).filter(|at| is(&all[*at].state)).collect();
        (!which.is_empty()).then(|| which[n % which.len()])
    }
}

/// Whether `size` bytes are free in one piece: between two neighbours, before the first, or behind the last.
fn fits(taken: &[Taken], capacity: u32, size: u32) -> bool {
    let mut blocks: Vec<_> = taken.iter().map(|block| (block.start, block.size)).collect();
    blocks.sort_unstable();
    blocks.push((capacity, 0));
    let mut end = 0;
    blocks.into_iter().any(|(start, size_here)| {
        let gap = start - end;
        end = start + size_here;
        gap >= size
    })
}

/// Runs a history and holds the arena to what it promises: room is found whenever there is some, and only then; no two blocks
/// overlap that are loaned or live; what was written is read. Where a block goes is its own affair.
///
/// # Panics
///
/// It does not keep it.
pub fn run_arena(capacity: u32, ops: &[ArenaOp]) {
    let lane = arena_lane(1, capacity);
    let memory = HeapMemory::zeroed(lane.bytes).unwrap();
    let mut sender = ArenaSender::new(&memory, &lane.arena, 0).unwrap();
    let receiver = SharedArenaReceiver::new(&memory, &lane.arena).unwrap();
    assert_eq!((sender.capacity(), receiver.capacity()), (capacity, capacity));
    let mut taken: Vec<Taken> = Vec::new();
    for (step, op) in ops.iter().enumerate() {
        match op {
            ArenaOp::Loan(len, then) => {
                let size = u64::from(*len).max(1).next_multiple_of(64);
                let expected = match u32::try_from(size) {
                    Ok(size) if size <= capacity => {
                        let room = taken.len() < 32 && fits(&taken, capacity, size);
                        if room { Ok(size) } else { Err(ArenaError::Full) }
                    }
                    _ => Err(ArenaError::TooLong { len: *len, capacity }),
                };
                let bytes = bytes(step as u32, (*len).min(capacity) as usize);
                let lent = match then {
                    Then::Keep => sender.loan_owned(*len).map(|mut loan| {
                        loan.deposit(0, &bytes).unwrap();
                        let size = expected.expect("there is room");
                        assert!(loan.deposit(size, &[1]).is_err(), "wrote behind the block");
                        Some((loan.start(), State::Owned(loan)))
                    }),
                    Then::Commit | Then::Drop => sender.loan(*len).map(|mut loan| {
                        loan.deposit(0, &bytes).unwrap();
                        let size = expected.expect("there is room");
                        assert!(loan.deposit(size, &[1]).is_err(), "wrote behind the block");
                        if matches!(then, Then::Drop) {
                            return None;
                        }
                        let (index, start) = loan.commit();
                        Some((start, State::Live(index)))
                    }),
                };
                match (lent, expected) {
                    (Ok(Some((start, state))), Ok(size)) => {
                        assert!(start.is_multiple_of(64) && start + size <= capacity);
                        for other in &taken {
                            let apart =
                                start + size <= other.start || other.start + other.size <= start;
                            assert!(apart, "{start}..+{size} overlaps another block");
                        }
                        taken.push(Taken { start, size, bytes, state });
                    }
                    (Ok(None), Ok(_)) => {}
                    (Err(error), Err(expected)) => assert_eq!(error, expected),
                    (lent, expected) => panic!("{:?}, expected {expected:?}", lent.map(drop)),
                }
            }
            ArenaOp::Settle(n, commit) => {
                let owned = Taken::nth(&taken, *n, |state| matches!(state, State::Owned(_)));
                let Some(at) = owned else { continue };
                let Taken { start, size, bytes, state } = taken.swap_remove(at);
                let State::Owned(loan) = state else { unreachable!("just looked") };
                if *commit {
                    let (index, at) = sender.commit(loan);
                    assert_eq!(at, start);
                    taken.push(Taken { start, size, bytes, state: State::Live(index) });
                }
            }
            ArenaOp::Hold(n) => {
                let live = Taken::nth(&taken, *n, |state| matches!(state, State::Live(_)));
                let Some(at) = live else { continue };
                let block = &mut taken[at];
                let State::Live(index) = block.state else { unreachable!("just looked") };
                let len = block.bytes.len() as u32;
                block.state = State::Held(receiver.hold(index, block.start, len).unwrap());
            }
            ArenaOp::Free(n) => {
                let on_the_wire = |state: &State| !matches!(state, State::Owned(_));
                let Some(at) = Taken::nth(&taken, *n, on_the_wire) else { continue };
                let block = taken.swap_remove(at);
                match block.state {
                    State::Owned(_) => unreachable!("just looked"),
                    State::Live(index) => {
                        let mut seen = vec![0; block.bytes.len()];
                        receiver.snapshot(block.start, &mut seen).unwrap();
                        assert_eq!(seen, block.bytes, "another block wrote over it");
                        receiver.free(index);
                    }
                    State::Held(held) => {
                        assert_eq!(held.to_vec(), block.bytes, "another block wrote over it");
                    }
                }
            }
        }
    }
}
