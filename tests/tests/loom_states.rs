//! E7: a side that stores a state and then rings needs no fence and no look at the parked flag. Whoever
//! is about to sleep sees the state, or is woken. WAKE-8.

use knit_proto::{LaneState, WordOffset};
use knit_ring::{Doorbell, Notifier, SharedMemory, SharedWord, Waiter, Woken};
use knit_tests::{
    Bounds, LoomBell, LoomMemory, Rejection, Weaken, Weakening, explore, lane, reject,
};

/// Whether the side that parks has slept, or was about to.
type Outcome = bool;

/// WAKE-1, WAKE-8.
#[test]
fn a_side_that_sleeps_sees_the_other_one_close() {
    explore("close and park", Bounds::ALL, &permitted(), || run(Weakening::None, Weakening::None));
}

#[test]
fn model_rejects_bell_stored_relaxed() {
    let rejection = reject("bell stored relaxed", Bounds::ALL, &permitted(), || {
        run(Weakening::StoreRelaxed(bell()), Weakening::None)
    });
    assert_eq!(rejection, Rejection::Deadlock);
}

#[test]
fn model_rejects_bell_rung_before_the_state() {
    let rejection = reject("bell rung before the state", Bounds::ALL, &permitted(), || {
        run(Weakening::StoreLate(state()), Weakening::None)
    });
    assert_eq!(rejection, Rejection::Deadlock);
}

fn permitted() -> [Outcome; 2] {
    [false, true]
}

fn bell() -> WordOffset {
    lane(1).sender.bell
}

fn state() -> WordOffset {
    lane(1).sender.state
}

/// The sender closes; the receiver parks until it sees that. A sleep that nobody ends is a deadlock.
fn run(weak_sender: Weakening, weak_receiver: Weakening) -> Outcome {
    let lane = lane(1);
    let memory = LoomMemory::zeroed(lane.bytes);
    let (ours, theirs) = (Weaken::new(&memory, weak_receiver), Weaken::new(&memory, weak_sender));
    let mut notifier = Notifier::new(&theirs, &lane.sender, &lane.receiver).unwrap();
    let state = theirs.word(lane.sender.state).unwrap();
    let seen = ours.word(lane.sender.state).unwrap();
    let mut waiter = Waiter::new(&ours, &lane.receiver, &lane.sender).unwrap();
    let doorbell = LoomBell::new();
    let ringing = doorbell.clone();
    let thread = loom::thread::spawn(move || {
        // E6, then E7.
        state.store_release(LaneState::Closing.word());
        notifier.advance();
        ringing.wake(notifier.bell());
    });
    let closing = || seen.load_acquire() == LaneState::Closing.word();
    let mut slept = false;
    while !closing() {
        slept |= waiter.park(&doorbell, None, closing) == Woken::Rung;
    }
    thread.join().unwrap();
    slept
}
