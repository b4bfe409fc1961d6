//! E1 and E2: what is published is read whole, and a slot is not filled again before it was read.
//!
//! Two slots and three messages, so that one slot is used twice. The receiver looks at the publish
//! word only (`take`), as upstream peers need it.

use knit_proto::ProtocolViolation;
use knit_ring::{Receiver, Sender, Stamps};
use knit_tests::{
    Bounds, LoomMemory, Rejection, Seen, Weaken, Weakening, explore, lane, receive, reject, seen,
    send,
};

const MESSAGES: u32 = 3;

/// What the receiver took, and whether the sender found the mailbox full.
type Outcome = Result<(Vec<Seen>, bool), ProtocolViolation>;

/// MBX-3, MBX-11.
#[test]
fn every_message_arrives_once_and_whole() {
    explore("mailbox, released one by one", Bounds::ALL, &permitted(), || {
        run(Weakening::None, Weakening::None, |_| false)
    });
}

#[test]
fn slots_released_together_are_filled_again() {
    explore("mailbox, two released together", Bounds::ALL, &permitted(), || {
        run(Weakening::None, Weakening::None, |message| message == 0)
    });
}

/// MBX-11.
#[test]
fn model_rejects_publish_stored_relaxed() {
    let publish = Weakening::StoreRelaxed(lane(2).mailbox.publish());
    assert_eq!(rejection("publish stored relaxed", publish, Weakening::None), Rejection::Race);
}

/// MBX-12.
#[test]
fn model_rejects_publish_loaded_relaxed() {
    let publish = Weakening::LoadRelaxed(lane(2).mailbox.publish());
    assert_eq!(rejection("publish loaded relaxed", Weakening::None, publish), Rejection::Race);
}

/// MBX-13.
#[test]
fn model_rejects_release_stored_relaxed() {
    let release = Weakening::StoreRelaxed(lane(2).mailbox.release());
    assert_eq!(rejection("release stored relaxed", Weakening::None, release), Rejection::Race);
}

/// MBX-14.
#[test]
fn model_rejects_release_loaded_relaxed() {
    let release = Weakening::LoadRelaxed(lane(2).mailbox.release());
    assert_eq!(rejection("release loaded relaxed", release, Weakening::None), Rejection::Race);
}

fn rejection(name: &str, sender: Weakening, receiver: Weakening) -> Rejection {
    reject(name, Bounds::ALL, &permitted(), move || run(sender, receiver, |_| false))
}

fn permitted() -> [Outcome; 2] {
    let all: Vec<Seen> = (0..MESSAGES).map(seen).collect();
    [Ok((all.clone(), false)), Ok((all, true))]
}

fn run(weak_sender: Weakening, weak_receiver: Weakening, finish: fn(u32) -> bool) -> Outcome {
    let lane = lane(2);
    let memory = LoomMemory::zeroed(lane.bytes);
    let mut sender =
        Sender::new(&Weaken::new(&memory, weak_sender), lane.mailbox, Stamps::Off).unwrap();
    let mut receiver =
        Receiver::new(&Weaken::new(&memory, weak_receiver), lane.mailbox, Stamps::Off).unwrap();
    let thread = loom::thread::spawn(move || {
        let mut waited = false;
        for call in 0..MESSAGES {
            waited |= send(&mut sender, call)?;
        }
        Ok(waited)
    });
    let taken: Result<Vec<Seen>, _> =
        (0..MESSAGES).map(|message| receive(&mut receiver, finish(message))).collect();
    let waited: Result<bool, _> = thread.join().unwrap();
    Ok((taken?, waited?))
}
