//! Random histories of one thread against plain reference models: what is delivered, when a mailbox
//! or an arena is full, and what the ends say about themselves.

use knit_proto::{INLINE_BYTES, PayloadPlace, SlotHeader, SlotMask, Tag, Word0};
use knit_ring::{
    ArenaError, ArenaSender, BatchError, ClaimError, HeapMemory, Held, OwnedLoan, Receiver, Sender,
    SharedArenaReceiver, Stamps,
};
use knit_tests::arena_lane;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use std::collections::{BTreeMap, BTreeSet};

/// The same cases in every run, and no file of old failures.
fn config(cases: u32) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(0x6b6e_6974),
        failure_persistence: None,
        ..Config::default()
    }
}

#[derive(Clone, Debug)]
enum MailboxOp {
    /// Claim and publish a message with so many bytes.
    Send(usize),
    /// Claim, deposit, drop the claim.
    Abandon(usize),
    /// So many messages in one batch, published or dropped.
    Batch(usize, bool),
    /// Look for a message by `poll` or `take`; release it, or leave it finished.
    Receive { poll: bool, finish: bool },
    /// Release what is finished.
    Release,
    /// Ask whether something is pending.
    IsPending,
}

fn mailbox_op() -> impl Strategy<Value = MailboxOp> {
    let len = prop_oneof![0_usize..80, 500..=INLINE_BYTES as usize];
    prop_oneof![
        4 => len.clone().prop_map(MailboxOp::Send),
        1 => len.prop_map(MailboxOp::Abandon),
        2 => (0_usize..40, any::<bool>()).prop_map(|(len, publish)| MailboxOp::Batch(len, publish)),
        6 => (any::<bool>(), any::<bool>())
            .prop_map(|(poll, finish)| MailboxOp::Receive { poll, finish }),
        1 => Just(MailboxOp::Release),
        1 => Just(MailboxOp::IsPending),
    ]
}

/// The mailbox as a plain list of who owns which slot.
struct ReferenceMailbox {
    slots: u32,
    /// Published and not taken: slot to call.
    pending: BTreeMap<u32, u32>,
    /// Taken and not released.
    finished: BTreeSet<u32>,
    /// Slots that the sender believes not to be free.
    busy: BTreeSet<u32>,
    cursor: u32,
    next_call: u32,
}

impl ReferenceMailbox {
    fn new(slots: u32) -> Self {
        Self {
            slots,
            pending: BTreeMap::new(),
            finished: BTreeSet::new(),
            busy: BTreeSet::new(),
            cursor: 0,
            next_call: 1,
        }
    }

    /// The slot that a claim gets: the first free one from the cursor on, in cyclic order. The
    /// sender looks at the release word only when it believes that there is none.
    fn claim(&mut self, claimed: &BTreeSet<u32>) -> Option<u32> {
        let order = (0..self.slots).map(|step| (self.cursor + step) % self.slots);
        let usable: Vec<u32> = order.filter(|slot| !claimed.contains(slot)).collect();
        if usable.iter().all(|slot| self.busy.contains(slot)) {
            self.busy = self.pending.keys().chain(&self.finished).copied().collect();
        }
        usable.into_iter().find(|slot| !self.busy.contains(slot))
    }

    fn publish(&mut self, slot: u32, call: u32) {
        assert!(self.pending.insert(slot, call).is_none(), "slot {slot} published while pending");
        assert!(!self.finished.contains(&slot), "slot {slot} published while taken");
        self.busy.insert(slot);
        self.cursor = (slot + 1) % self.slots;
    }

    fn call(&mut self) -> u32 {
        self.next_call += 1;
        self.next_call - 1
    }
}

fn bytes(call: u32, len: usize) -> Vec<u8> {
    (0..len).map(|at| (call as usize * 31 + at * 7) as u8).collect()
}

fn inline(call: u32, len: usize) -> SlotHeader {
    SlotHeader {
        word0: Word0::Call { function: call as u16, abort: None },
        call,
        tag: Tag::BYTES_INLINE,
        place: PayloadPlace::Inline { len: len as u32 },
    }
}

/// Checks a message that was taken; says which slot it was in.
fn check_taken<M: knit_ring::SharedMemory>(
    taken: &knit_ring::Taken<'_, M>,
    reference: &mut ReferenceMailbox,
) -> u32 {
    let slot = taken.slot().get();
    let call = reference.pending.remove(&slot).expect("a taken slot was pending");
    let [w0, id, tag, _, _, len, _] = taken.header().0;
    assert_eq!((w0, id, tag), (call & 0xffff, call, Tag::BYTES_INLINE.0));
    let mut seen = vec![0; len as usize];
    taken.snapshot(&mut seen).unwrap();
    assert_eq!(seen, bytes(call, len as usize));
    slot
}

fn run_mailbox(slots: u32, stamps: Stamps, ops: &[MailboxOp]) {
    let lane = arena_lane(slots, 64);
    let memory = HeapMemory::zeroed(lane.bytes).unwrap();
    let mut sender = Sender::new(&memory, lane.mailbox, stamps).unwrap();
    let mut receiver = Receiver::new(&memory, lane.mailbox, stamps).unwrap();
    let mut reference = ReferenceMailbox::new(slots);
    for op in ops {
        match op {
            MailboxOp::Send(len) => match (sender.claim(), reference.claim(&BTreeSet::new())) {
                (Ok(claim), Some(slot)) => {
                    assert_eq!(claim.slot().get(), slot);
                    let call = reference.call();
                    claim.deposit(&bytes(call, *len)).unwrap();
                    assert_eq!(claim.publish(&inline(call, *len)).get(), slot);
                    reference.publish(slot, call);
                }
                (Err(ClaimError::Full), None) => {}
                (claim, expected) => panic!("claimed {claim:?}, expected {expected:?}"),
            },
            MailboxOp::Abandon(len) => match (sender.claim(), reference.claim(&BTreeSet::new())) {
                (Ok(claim), Some(slot)) => {
                    assert_eq!(claim.slot().get(), slot);
                    claim.deposit(&vec![0xee; *len]).unwrap();
                }
                (Err(ClaimError::Full), None) => {}
                (claim, expected) => panic!("claimed {claim:?}, expected {expected:?}"),
            },
            MailboxOp::Batch(len, publish) => {
                let mut claimed = BTreeSet::new();
                let mut added = Vec::new();
                let mut batch = sender.batch();
                for _ in 0..*len {
                    let call = reference.call();
                    let expected = reference.claim(&claimed);
                    match (batch.add(&inline(call, 9), &bytes(call, 9)), expected) {
                        (Ok(slot), Some(expected)) => {
                            assert_eq!(slot.get(), expected);
                            claimed.insert(expected);
                            added.push((expected, call));
                        }
                        (Err(BatchError::Claim(ClaimError::Full)), None) => {}
                        (added, expected) => panic!("added {added:?}, expected {expected:?}"),
                    }
                }
                assert_eq!(batch.len() as usize, added.len());
                if *publish {
                    let mask: u32 = added.iter().map(|(slot, _)| 1 << slot).sum();
                    assert_eq!(batch.publish(), SlotMask::from_bits(mask));
                    for (slot, call) in added {
                        reference.publish(slot, call);
                    }
                }
            }
            MailboxOp::Receive { poll, finish } => {
                let found = if *poll { receiver.poll() } else { receiver.take() }.unwrap();
                match found {
                    Some(taken) => {
                        let slot = check_taken(&taken, &mut reference);
                        reference.finished.insert(slot);
                        if *finish {
                            taken.finish();
                        } else {
                            taken.release();
                            reference.finished.clear();
                        }
                    }
                    None if *poll && stamps == Stamps::On => {}
                    None => assert!(reference.pending.is_empty(), "a message stayed unseen"),
                }
            }
            MailboxOp::Release => {
                receiver.release();
                reference.finished.clear();
            }
            MailboxOp::IsPending => {
                assert_eq!(receiver.is_pending().unwrap(), !reference.pending.is_empty());
            }
        }
        assert_eq!(sender.len() as usize, reference.busy.len());
        assert_eq!(sender.is_empty(), reference.busy.is_empty());
        assert!(sender.len() as usize >= reference.pending.len() + reference.finished.len());
    }
    // Polls alone find the rest: the publish word is looked at every 32nd time.
    let mut idle = 0;
    while idle < 64 {
        match receiver.poll().unwrap() {
            Some(taken) => {
                check_taken(&taken, &mut reference);
                idle = 0;
            }
            None => idle += 1,
        }
    }
    assert!(reference.pending.is_empty(), "polls never found {:?}", reference.pending);
}

#[derive(Clone, Debug)]
enum ArenaOp {
    /// A loan of so many bytes, and what becomes of it.
    Loan(u32, Then),
    /// Commit the n-th owned loan, counted modulo how many there are, or drop it.
    Settle(usize, bool),
    /// Hold the n-th live block in place, counted modulo how many there are.
    Hold(usize),
    /// Free the n-th live block, by dropping it where it is held.
    Free(usize),
}

#[derive(Clone, Copy, Debug)]
enum Then {
    Commit,
    Drop,
    /// It is an owned loan, and is settled later.
    Keep,
}

fn arena_op() -> impl Strategy<Value = ArenaOp> {
    let len = prop_oneof![6 => 0_u32..300, 1 => 300_u32..5000, 1 => Just(u32::MAX)];
    let then = prop_oneof![6 => Just(Then::Commit), 1 => Just(Then::Drop), 2 => Just(Then::Keep)];
    prop_oneof![
        6 => (len, then).prop_map(|(len, then)| ArenaOp::Loan(len, then)),
        2 => (any::<usize>(), prop::bool::weighted(0.7))
            .prop_map(|(which, commit)| ArenaOp::Settle(which, commit)),
        1 => any::<usize>().prop_map(ArenaOp::Hold),
        4 => any::<usize>().prop_map(ArenaOp::Free),
    ]
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
    Live(knit_proto::BlockIndex),
    Held(Held<HeapMemory>),
}

impl Taken {
    /// Which of `all` are in a state; the n-th of them, counted modulo how many there are.
    fn nth(all: &[Self], n: usize, is: impl Fn(&State) -> bool) -> Option<usize> {
        let which: Vec<_> = (0..all.len()).filter(|at| is(&all[*at].state)).collect();
        (!which.is_empty()).then(|| which[n % which.len()])
    }
}

/// Whether `size` bytes are free in one piece, granule by granule.
fn fits(taken: &[Taken], capacity: u32, size: u32) -> bool {
    let mut run = 0;
    (0..capacity).step_by(64).any(|at| {
        let free = taken.iter().all(|block| at < block.start || at >= block.start + block.size);
        run = if free { run + 64 } else { 0 };
        run >= size
    })
}

/// What the arena promises: room is found whenever there is some, and only then; no two blocks
/// overlap that are loaned or live; what was written is read. Where a block goes is its own affair.
fn run_arena(capacity: u32, ops: &[ArenaOp]) {
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

/// Payloads of one size go through as many places as are live at a time, not through all of the
/// arena: its bytes stay in the cache.
fn run_pool(most_live: usize, frees: &[(usize, bool)]) {
    let lane = arena_lane(1, 64 << 10);
    let memory = HeapMemory::zeroed(lane.bytes).unwrap();
    let mut sender = ArenaSender::new(&memory, &lane.arena, 0).unwrap();
    let receiver = SharedArenaReceiver::new(&memory, &lane.arena).unwrap();
    let mut live = Vec::new();
    for (which, refill) in frees {
        while *refill && live.len() < most_live {
            let (block, start) = sender.loan(200).unwrap().commit();
            assert!(start < 256 * most_live as u32, "block at {start} is a cold one");
            live.push(block);
        }
        if !live.is_empty() {
            receiver.free(live.swap_remove(which % live.len()));
        }
    }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn two_slots_deliver_every_message_once(
        ops in prop::collection::vec(mailbox_op(), 0..200),
        stamps in prop::sample::select(vec![Stamps::On, Stamps::Off]),
    ) {
        run_mailbox(2, stamps, &ops);
    }

    #[test]
    fn five_slots_deliver_every_message_once(
        ops in prop::collection::vec(mailbox_op(), 0..200),
        stamps in prop::sample::select(vec![Stamps::On, Stamps::Off]),
    ) {
        run_mailbox(5, stamps, &ops);
    }

    #[test]
    fn all_slots_deliver_every_message_once(
        ops in prop::collection::vec(mailbox_op(), 0..300),
        stamps in prop::sample::select(vec![Stamps::On, Stamps::Off]),
    ) {
        run_mailbox(32, stamps, &ops);
    }

    #[test]
    fn blocks_of_a_small_arena_never_overlap(ops in prop::collection::vec(arena_op(), 0..200)) {
        run_arena(1024, &ops);
    }

    #[test]
    fn at_most_32_blocks_are_live(ops in prop::collection::vec(arena_op(), 0..300)) {
        run_arena(64 << 10, &ops);
    }

    #[test]
    fn a_pool_of_blocks_stays_hot(
        most_live in 1_usize..32,
        frees in prop::collection::vec((any::<usize>(), any::<bool>()), 0..200),
    ) {
        run_pool(most_live, &frees);
    }
}
