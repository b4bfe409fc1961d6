//! Long histories of a shared sender against a reference: handles that come and go, single messages,
//! batches, claims that are given up, a receiver that takes by stamps or by the word and releases when
//! it likes. One thread, so that a history can be repeated; the models have the threads.

use knit_proto::SLOTS;
use knit_ring::{
    BatchError, ClaimError, HeapMemory, Receiver, SHARED_SENDER_BYTES, SharedSender, Stamps,
};
use knit_tests::{Seen, lane, message, payload, read, seen};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use std::collections::BTreeSet;

type Handle = SharedSender<HeapMemory, HeapMemory>;

/// Most handles at a time.
const HANDLES: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    /// A handle sends one message.
    Send(usize),
    /// A handle sends up to so many messages at once.
    Batch(usize, u32),
    /// A handle fills a claim, and a batch, and gives both up.
    Abandon(usize),
    /// Another handle.
    Clone(usize),
    /// A handle goes, unless it is the only one.
    Drop(usize),
    /// The receiver takes up to so many, by stamps first; the last one releases, or none.
    Take { most: u32, poll: bool, release: bool },
}

fn op() -> impl Strategy<Value = Op> {
    let handle = 0..HANDLES;
    prop_oneof![
        6 => handle.clone().prop_map(Op::Send),
        3 => (handle.clone(), 0..SLOTS + 2).prop_map(|(handle, count)| Op::Batch(handle, count)),
        1 => handle.clone().prop_map(Op::Abandon),
        1 => handle.clone().prop_map(Op::Clone),
        1 => handle.prop_map(Op::Drop),
        5 => (0..SLOTS + 2, any::<bool>(), any::<bool>())
            .prop_map(|(most, poll, release)| Op::Take { most, poll, release }),
    ]
}

/// The real thing, and what must be true of it.
struct History {
    handles: Vec<Handle>,
    receiver: Receiver<HeapMemory>,
    slots: u32,
    /// Calls that were sent and not taken.
    sent: BTreeSet<u32>,
    /// Messages taken whose slots are not released.
    held: u32,
    next: u32,
}

impl History {
    fn new(slots: u32, stamps: Stamps) -> Self {
        let memory = HeapMemory::zeroed(lane(slots).bytes).unwrap();
        let private = HeapMemory::zeroed(SHARED_SENDER_BYTES).unwrap();
        let mailbox = lane(slots).mailbox;
        Self {
            handles: vec![SharedSender::new(&memory, &private, mailbox, stamps).unwrap()],
            receiver: Receiver::new(&memory, mailbox, stamps).unwrap(),
            slots,
            sent: BTreeSet::new(),
            held: 0,
            next: 0,
        }
    }

    /// How many messages find a slot.
    fn room(&self) -> u32 {
        self.slots - self.held - u32::try_from(self.sent.len()).unwrap()
    }

    fn apply(&mut self, op: &Op) {
        let count = self.handles.len();
        match *op {
            Op::Send(handle) => {
                let room = self.room();
                match self.handles[handle % count].claim() {
                    Ok(mut claim) => {
                        assert!(room > 0, "a slot that was not released");
                        claim.deposit(&payload(self.next)).unwrap();
                        claim.publish(&message(self.next));
                        self.sent.insert(self.next);
                        self.next += 1;
                    }
                    Err(ClaimError::Full) => assert_eq!(room, 0, "a free slot was not found"),
                    Err(error) => panic!("{error}"),
                }
            }
            Op::Batch(handle, wanted) => {
                let room = self.room();
                let mut batch = self.handles[handle % count].batch();
                let mut added = 0;
                while added < wanted {
                    match batch.add(&message(self.next + added), &payload(self.next + added)) {
                        Ok(_) => added += 1,
                        Err(BatchError::Claim(ClaimError::Full)) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                assert_eq!(added, wanted.min(room));
                assert_eq!(batch.publish().len(), added);
                self.sent.extend(self.next..self.next + added);
                self.next += added;
            }
            Op::Abandon(handle) => {
                let handle = &mut self.handles[handle % count];
                if let Ok(mut claim) = handle.claim() {
                    claim.deposit(&[0xee; 4]).unwrap();
                }
                let mut batch = handle.batch();
                while batch.add(&message(u32::MAX), &[0xee; 4]).is_ok() {}
            }
            Op::Clone(handle) if count < HANDLES => {
                let clone = self.handles[handle % count].clone();
                self.handles.push(clone);
            }
            Op::Drop(handle) if count > 1 => drop(self.handles.swap_remove(handle % count)),
            Op::Clone(_) | Op::Drop(_) => {}
            Op::Take { most, poll, release } => self.take(most, poll, release),
        }
    }

    fn take(&mut self, most: u32, poll: bool, release: bool) {
        for _ in 0..most {
            let polled = if poll { self.receiver.poll().unwrap() } else { None };
            let found: Option<Seen> = match polled.map(|taken| read(taken, true)) {
                Some(found) => Some(found),
                None => self.receiver.take().unwrap().map(|taken| read(taken, true)),
            };
            let Some((call, bytes)) = found else {
                assert!(self.sent.is_empty(), "{:?} were not found", self.sent);
                break;
            };
            assert!(self.sent.remove(&call), "call {call} was not sent, or came twice");
            assert_eq!((call, bytes), seen(call));
            self.held += 1;
        }
        if release {
            self.receiver.release();
            self.held = 0;
        }
    }
}

proptest! {
    #![proptest_config(Config {
        cases: 600,
        rng_seed: RngSeed::Fixed(0x6b6e_6974),
        failure_persistence: None,
        ..Config::default()
    })]

    /// MBX-3, MBX-7, MBX-9, MBX-10.
    #[test]
    fn a_shared_sender_agrees_with_the_reference(
        ops in prop::collection::vec(op(), 1..200),
        slots in prop::sample::select(vec![1, 2, 5, SLOTS]),
        stamps in prop::sample::select(vec![Stamps::On, Stamps::Off]),
    ) {
        let mut history = History::new(slots, stamps);
        for op in &ops {
            history.apply(op);
        }
        history.take(2 * SLOTS, false, true);
        prop_assert!(history.sent.is_empty());
        // Every slot can be used again, by whichever handle.
        history.apply(&Op::Batch(0, slots));
        prop_assert_eq!(history.room(), 0);
    }
}
