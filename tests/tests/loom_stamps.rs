//! E3: a message found by its stamp is read whole, and nothing is counted twice whichever way it is
//! found.
//!
//! Two slots and three messages. `poll` looks at the publish word every 32nd time only, so the
//! models that need both ways mix it with `take`. A stamp may become visible long after its message
//! was taken by the publish word.

use knit_proto::{ProtocolViolation, SLOT_STRIDE, STAMP_AT, WordOffset};
use knit_ring::{Receiver, Sender, SharedMemory, Stamps};
use knit_tests::{
    Bounds, LoomMemory, Rejection, Seen, Weaken, Weakening, explore, lane, read, reject, seen, send,
};

const MESSAGES: u32 = 3;
const BOUNDS: Bounds = Bounds::ALL;

/// What was taken, and the call that found each message.
type Outcome = Result<(Vec<Seen>, Vec<Way>), ProtocolViolation>;

/// The call that found a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// `poll`: by its stamp.
    Poll,
    /// `take`: by the publish word.
    Take,
}

use Way::{Poll, Take};

/// Which calls the receiver makes for its n-th message, from 0 on.
type Calls = fn(usize) -> &'static [Way];

#[test]
fn stamps_alone_deliver_every_message_once() {
    explore("stamps, polls only", BOUNDS, &permitted(&[[Poll; 3]]), || {
        run(Weakening::None, Weakening::None, polls)
    });
}

#[test]
fn stamps_and_words_together_deliver_every_message_once() {
    let ways = [
        [Poll, Poll, Poll],
        [Poll, Poll, Take],
        [Poll, Take, Poll],
        [Poll, Take, Take],
        [Take, Poll, Poll],
        [Take, Poll, Take],
        [Take, Take, Poll],
        [Take, Take, Take],
    ];
    explore("stamps, polls and takes", Bounds::preemptions(4), &permitted(&ways), || {
        run(Weakening::None, Weakening::None, both)
    });
}

/// MBX-10.
#[test]
fn a_message_taken_by_its_word_is_not_taken_again_by_its_late_stamp() {
    explore("stamps, first message by its word", BOUNDS, &permitted(&[[Take, Poll, Poll]]), || {
        run(Weakening::None, Weakening::None, take_then_poll)
    });
}

#[test]
fn model_rejects_stamp_stored_relaxed() {
    let weakening = Weakening::StoreRelaxed(stamp(0));
    for calls in [polls as Calls, both] {
        let rejection = rejection("stamp stored relaxed", weakening, Weakening::None, calls);
        assert_eq!(rejection, Rejection::Race);
    }
}

#[test]
fn model_rejects_stamp_loaded_relaxed() {
    let weakening = Weakening::LoadRelaxed(stamp(0));
    for calls in [polls as Calls, both] {
        let rejection = rejection("stamp loaded relaxed", Weakening::None, weakening, calls);
        assert_eq!(rejection, Rejection::Race);
    }
}

/// The receiver counts a message that is not published yet, and then sees it published: it takes it
/// twice or calls the sender a liar. MBX-9.
#[test]
fn model_rejects_stamp_before_toggle() {
    let publish = Weakening::StoreLate(lane(2).mailbox.publish());
    let rejection = rejection("stamp before toggle", publish, Weakening::None, both);
    assert_eq!(rejection, Rejection::Outcome);
}

fn rejection(name: &str, sender: Weakening, receiver: Weakening, calls: Calls) -> Rejection {
    let mut ways = Vec::new();
    for set in 0..8 {
        ways.push([0, 1, 2].map(|message| if set >> message & 1 == 0 { Poll } else { Take }));
    }
    reject(name, BOUNDS, &permitted(&ways), move || run(sender, receiver, calls))
}

fn permitted(ways: &[[Way; 3]]) -> Vec<Outcome> {
    let all: Vec<Seen> = (0..MESSAGES).map(seen).collect();
    ways.iter().map(|ways| Ok((all.clone(), ways.to_vec()))).collect()
}

fn polls(_: usize) -> &'static [Way] {
    &[Poll]
}

fn both(_: usize) -> &'static [Way] {
    &[Poll, Take]
}

fn take_then_poll(message: usize) -> &'static [Way] {
    if message == 0 { &[Take] } else { &[Poll] }
}

fn stamp(slot: u32) -> WordOffset {
    lane(2).mailbox.slots().word(slot * SLOT_STRIDE + STAMP_AT).expect("the slot is in the span")
}

fn run(weak_sender: Weakening, weak_receiver: Weakening, calls: Calls) -> Outcome {
    let lane = lane(2);
    let memory = LoomMemory::zeroed(lane.bytes);
    let mut sender =
        Sender::new(&Weaken::new(&memory, weak_sender), lane.mailbox, Stamps::On).unwrap();
    let mut receiver =
        Receiver::new(&Weaken::new(&memory, weak_receiver), lane.mailbox, Stamps::On).unwrap();
    let thread = loom::thread::spawn(move || {
        (0..MESSAGES).try_for_each(|call| send(&mut sender, call).map(drop))
    });
    let taken = (0..MESSAGES as usize).map(|message| next(&mut receiver, calls(message)));
    let taken: Result<Vec<(Seen, Way)>, _> = taken.collect();
    // A receiver that took all that will be sent finds nothing more, by no way.
    let more = match (&taken, receiver.take()?) {
        (Ok(_), Some(taken)) => Some(read(taken, false)),
        _ => None,
    };
    thread.join().unwrap()?;
    let (mut messages, ways): (Vec<Seen>, Vec<Way>) = taken?.into_iter().unzip();
    messages.extend(more);
    Ok((messages, ways))
}

fn next<M: SharedMemory>(
    receiver: &mut Receiver<M>,
    calls: &[Way],
) -> Result<(Seen, Way), ProtocolViolation> {
    loop {
        for way in calls {
            let found = match way {
                Poll => receiver.poll()?,
                Take => receiver.take()?,
            };
            if let Some(taken) = found {
                return Ok((read(taken, false), *way));
            }
        }
        loom::thread::yield_now();
    }
}
