//! E1 and P1 with two threads that share a sender: what each publishes arrives once and whole, a slot
//! that one of them gives up can be filled by the other, and stamps count right whoever stamps.
//!
//! Two slots, two producers and three messages, so that one slot changes hands between the producers.
//! Nobody waits in a loop: a message that finds no slot is not sent, and the receiver looks three times
//! before the producers end and once more after. Explored with at most two preemptions for each
//! execution: three threads have too many schedules for all of them.

use knit_proto::{ProtocolViolation, WordOffset};
use knit_ring::{ClaimError, Receiver, SHARED_SENDER_BYTES, SharedSender, Stamps};
use knit_tests::{
    Bounds, LoomMemory, Rejection, Seen, Weaken, Weakening, explore, lane, message, payload, read,
    reject, seen,
};

type Shared = SharedSender<Weaken<LoomMemory>, Weaken<LoomMemory>>;

const BOUNDS: Bounds = Bounds::preemptions(2);

/// Calls that were sent, in ascending order, and whether exactly those were taken, each once and whole.
type Outcome = Result<(Vec<u32>, bool), ProtocolViolation>;

/// MBX-3, MBX-7, MBX-11.
#[test]
fn messages_of_two_threads_arrive_once_and_whole() {
    explore("two producers, by the publish word", BOUNDS, &permitted(), || {
        run(Stamps::Off, Weak::NONE)
    });
}

/// MBX-9, MBX-10.
#[test]
fn stamps_of_two_threads_count_as_those_of_one() {
    explore("two producers, by stamps and word", BOUNDS, &permitted(), || {
        run(Stamps::On, Weak::NONE)
    });
}

/// MBX-12.
#[test]
fn model_rejects_publish_loaded_relaxed() {
    let publish = Weakening::LoadRelaxed(lane(2).mailbox.publish());
    let weak = Weak { receiver: publish, ..Weak::NONE };
    assert_eq!(rejection("publish loaded relaxed", weak), Rejection::Race);
}

/// A flip that is a load and a store loses the flip of the other thread.
#[test]
fn model_rejects_publish_flipped_in_two_steps() {
    let publish = Weakening::StoreRelaxed(lane(2).mailbox.publish());
    let weak = Weak { sender: publish, ..Weak::NONE };
    assert_eq!(rejection("publish flipped in two steps", weak), Rejection::Outcome);
}

/// The bytes of a claim that was given up come before those of the next one.
#[test]
fn model_rejects_owner_stored_relaxed() {
    let weak = Weak { private: Weakening::StoreRelaxed(owner(0)), ..Weak::NONE };
    assert_eq!(rejection("owner stored relaxed", weak), Rejection::Race);
}

/// What is taken away from whom.
#[derive(Clone, Copy)]
struct Weak {
    sender: Weakening,
    receiver: Weakening,
    private: Weakening,
}

impl Weak {
    const NONE: Self =
        Self { sender: Weakening::None, receiver: Weakening::None, private: Weakening::None };
}

fn rejection(name: &str, weak: Weak) -> Rejection {
    reject(name, BOUNDS, &permitted(), move || run(Stamps::Off, weak))
}

fn permitted() -> [Outcome; 3] {
    [&[0, 1, 2][..], &[0, 1], &[0, 2]].map(|calls| Ok((calls.to_vec(), true)))
}

fn owner(slot: u32) -> WordOffset {
    WordOffset::new(slot * 64).expect("a multiple of four")
}

/// One thread gives a filled claim up, then sends calls 0 and 1; the other one sends call 2.
fn run(stamps: Stamps, weak: Weak) -> Outcome {
    let lane = lane(2);
    let memory = LoomMemory::zeroed(lane.bytes);
    let private = LoomMemory::zeroed(SHARED_SENDER_BYTES);
    let (shared, private) =
        (Weaken::new(&memory, weak.sender), Weaken::new(&private, weak.private));
    let mut first = Shared::new(&shared, &private, lane.mailbox, stamps).unwrap();
    let mut second = first.clone();
    // A third handle: a thread whose handle is the last one would go on as a plain sender does.
    let third = first.clone();
    let mut receiver =
        Receiver::new(&Weaken::new(&memory, weak.receiver), lane.mailbox, stamps).unwrap();
    let first = loom::thread::spawn(move || {
        if let Ok(mut claim) = first.claim() {
            claim.deposit(&payload(99)).expect("four bytes fit a slot");
        }
        Ok([send(&mut first, 0)?, send(&mut first, 1)?])
    });
    let second = loom::thread::spawn(move || send(&mut second, 2));
    let mut taken = Vec::new();
    for look in 0..3 {
        let by_stamp = stamps == Stamps::On && look < 2;
        let found = if by_stamp { receiver.poll()? } else { receiver.take()? };
        taken.extend(found.map(|found| read(found, false)));
    }
    let first: Result<_, ProtocolViolation> = first.join().unwrap();
    let mut sent: Vec<_> = first?.into_iter().chain([second.join().unwrap()?]).flatten().collect();
    while let Some(found) = receiver.take()? {
        taken.push(read(found, false));
    }
    drop(third);
    taken.sort_unstable();
    sent.sort_unstable();
    let exact = taken == sent.iter().copied().map(seen).collect::<Vec<Seen>>();
    Ok((sent, exact))
}

/// Sends a call if a slot is free; returns it if it was sent.
fn send(sender: &mut Shared, call: u32) -> Result<Option<u32>, ProtocolViolation> {
    match sender.claim() {
        Ok(mut claim) => {
            claim.deposit(&payload(call)).expect("four bytes fit a slot");
            claim.publish(&message(call));
            Ok(Some(call))
        }
        Err(ClaimError::Violation(violation)) => Err(violation),
        Err(_) => Ok(None),
    }
}
