//! F1 and F2: a side that goes to sleep is woken for every message.
//!
//! The waiter sleeps without a timeout, so a wake-up that gets lost is a deadlock, which loom
//! reports. Two slots; the waiter looks at the publish word before it sleeps.

use knit_proto::ProtocolViolation;
use knit_ring::{Doorbell, Notifier, Receiver, Sender, SharedMemory, Stamps, Waiter};
use knit_tests::{
    Bounds, LoomBell, LoomMemory, Rejection, Seen, Weaken, Weakening, explore, lane, read, reject,
    seen, send,
};

/// What the waiter took, and whether the notifier found it parked at all.
type Outcome = Result<(Vec<Seen>, bool), ProtocolViolation>;

/// What is wrong with the two sides.
#[derive(Clone, Copy)]
struct Mutant {
    notifier: Weakening,
    waiter: Weakening,
    /// The waiter looks again between announcing that it parks and sleeping.
    looks_again: bool,
    /// The notifier advances the bell, but does not wake.
    wakes: bool,
}

const NONE: Mutant =
    Mutant { notifier: Weakening::None, waiter: Weakening::None, looks_again: true, wakes: true };

/// WAKE-1, WAKE-2.
#[test]
fn one_message_wakes_a_sleeping_receiver() {
    explore("parking, one message", Bounds::ALL, &permitted(1), || run(1, NONE));
}

/// WAKE-3.
#[test]
fn a_receiver_that_slept_can_sleep_again() {
    explore("parking, two messages", Bounds::preemptions(4), &permitted(2), || run(2, NONE));
}

/// WAKE-2.
#[test]
fn model_rejects_notifier_without_fence() {
    let mutant = Mutant { notifier: Weakening::NoFence, ..NONE };
    assert_eq!(rejection("notifier without fence", mutant), Rejection::Deadlock);
}

/// WAKE-1.
#[test]
fn model_rejects_waiter_without_fence() {
    let mutant = Mutant { waiter: Weakening::NoFence, ..NONE };
    assert_eq!(rejection("waiter without fence", mutant), Rejection::Deadlock);
}

/// WAKE-1, WAKE-6.
#[test]
fn model_rejects_waiter_without_second_look() {
    let mutant = Mutant { looks_again: false, ..NONE };
    assert_eq!(rejection("waiter without second look", mutant), Rejection::Deadlock);
}

#[test]
fn model_rejects_notifier_that_does_not_wake() {
    let mutant = Mutant { wakes: false, ..NONE };
    assert_eq!(rejection("notifier that does not wake", mutant), Rejection::Deadlock);
}

fn rejection(name: &str, mutant: Mutant) -> Rejection {
    reject(name, Bounds::ALL, &permitted(1), move || run(1, mutant))
}

fn permitted(messages: u32) -> Vec<Outcome> {
    let all: Vec<Seen> = (0..messages).map(seen).collect();
    vec![Ok((all.clone(), false)), Ok((all, true))]
}

fn run(messages: u32, mutant: Mutant) -> Outcome {
    let lane = lane(2);
    let memory = LoomMemory::zeroed(lane.bytes);
    let ours = Weaken::new(&memory, mutant.notifier);
    let theirs = Weaken::new(&memory, mutant.waiter);
    let mut sender = Sender::new(&ours, lane.mailbox, Stamps::Off).unwrap();
    let mut notifier = Notifier::new(&ours, &lane.sender, &lane.receiver).unwrap();
    let mut receiver = Receiver::new(&theirs, lane.mailbox, Stamps::Off).unwrap();
    let mut waiter = Waiter::new(&theirs, &lane.receiver, &lane.sender).unwrap();
    let doorbell = LoomBell::new();
    let thread = loom::thread::spawn({
        let doorbell = doorbell.clone();
        move || {
            let mut parked = false;
            for call in 0..messages {
                send(&mut sender, call)?;
                if notifier.notify() {
                    parked = true;
                    if mutant.wakes {
                        doorbell.wake(notifier.bell());
                    }
                }
            }
            Ok(parked)
        }
    });
    let mut taken = Vec::new();
    while taken.len() < messages as usize {
        match next(&mut receiver, &mut waiter, &doorbell, mutant.looks_again) {
            Ok(seen) => taken.extend(seen),
            Err(violation) => return Err(violation),
        }
    }
    let parked: Result<bool, _> = thread.join().unwrap();
    Ok((taken, parked?))
}

fn next<M: SharedMemory>(
    receiver: &mut Receiver<M>,
    waiter: &mut Waiter<M>,
    doorbell: &impl Doorbell<M::Word>,
    looks_again: bool,
) -> Result<Option<Seen>, ProtocolViolation> {
    if let Some(taken) = receiver.take()? {
        return Ok(Some(read(taken, false)));
    }
    let mut looked = Ok(false);
    waiter.park(doorbell, None, || {
        looked = if looks_again { receiver.is_pending() } else { Ok(false) };
        // A violation is something to do, too.
        !matches!(looked, Ok(false))
    });
    looked.map(|_| None)
}
