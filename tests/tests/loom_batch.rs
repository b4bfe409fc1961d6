//! A batch becomes visible as a whole, with every byte of it, and a dropped batch not at all.
//!
//! Two slots. The sender abandons a batch, publishes two messages together, then a third one in a
//! slot that was used before.

use knit_proto::ProtocolViolation;
use knit_ring::{BatchError, ClaimError, Receiver, Sender, SharedMemory, Stamps};
use knit_tests::{
    Bounds, LoomMemory, Rejection, Seen, Weaken, Weakening, explore, lane, message, payload, read,
    receive, reject, seen, send,
};

const BOUNDS: Bounds = Bounds::ALL;
/// Call id of the message that is never published.
const ABANDONED: u32 = 99;

/// What was taken, in order.
type Outcome = Result<Vec<Seen>, ProtocolViolation>;

#[test]
fn a_batch_is_seen_whole_through_the_publish_word() {
    explore("batch, taken", BOUNDS, &[permitted()], || run(Weakening::None, Stamps::Off, taken));
}

#[test]
fn a_batch_is_seen_whole_by_a_receiver_that_polls_stamps() {
    explore("batch, polled", BOUNDS, &[permitted()], || run(Weakening::None, Stamps::On, polled));
}

/// As the stamps of a batch come one after the other, a receiver finds some messages by their
/// stamps and some by the word.
#[test]
fn a_batch_is_delivered_once_by_polls_and_takes() {
    explore("batch, polled and taken", BOUNDS, &[permitted()], || {
        run(Weakening::None, Stamps::On, mixed)
    });
}

#[test]
fn model_rejects_batch_published_relaxed() {
    let publish = Weakening::StoreRelaxed(lane(2).mailbox.publish());
    let rejection = reject("batch published relaxed", BOUNDS, &[permitted()], move || {
        run(publish, Stamps::Off, taken)
    });
    assert_eq!(rejection, Rejection::Race);
}

#[test]
fn model_rejects_batch_stamped_before_toggle() {
    let publish = Weakening::StoreLate(lane(2).mailbox.publish());
    let rejection = reject("batch stamped before toggle", BOUNDS, &[permitted()], move || {
        run(publish, Stamps::On, mixed)
    });
    assert_eq!(rejection, Rejection::Outcome);
}

fn permitted() -> Outcome {
    Ok((0..3).map(seen).collect())
}

fn run<R>(weak_sender: Weakening, stamps: Stamps, receive: R) -> Outcome
where
    R: Fn(&mut Receiver<LoomMemory>) -> Outcome,
{
    let lane = lane(2);
    let memory = LoomMemory::zeroed(lane.bytes);
    let mut sender = Sender::new(&Weaken::new(&memory, weak_sender), lane.mailbox, stamps).unwrap();
    let mut receiver = Receiver::new(&memory, lane.mailbox, stamps).unwrap();
    let thread = loom::thread::spawn(move || {
        batch(&mut sender, &[ABANDONED], false)?;
        batch(&mut sender, &[0, 1], true)?;
        send(&mut sender, 2).map(drop)
    });
    let taken = receive(&mut receiver);
    thread.join().unwrap()?;
    taken
}

fn batch<M: SharedMemory>(
    sender: &mut Sender<M>,
    calls: &[u32],
    publish: bool,
) -> Result<(), ProtocolViolation> {
    let mut batch = sender.batch();
    for call in calls {
        match batch.add(&message(*call), &payload(*call)) {
            Ok(_) => {}
            Err(BatchError::Claim(ClaimError::Violation(violation))) => return Err(violation),
            Err(error) => panic!("an unused mailbox has room: {error}"),
        }
    }
    if publish {
        batch.publish();
    }
    Ok(())
}

/// The second message of the batch needs no second look.
fn taken(receiver: &mut Receiver<LoomMemory>) -> Outcome {
    let first = receive(receiver, true)?;
    let Some(second) = receiver.take()? else { return Ok(vec![first]) };
    let second = read(second, false);
    Ok(vec![first, second, receive(receiver, false)?])
}

fn polled(receiver: &mut Receiver<LoomMemory>) -> Outcome {
    let mut messages = Vec::new();
    while messages.len() < 3 {
        match receiver.poll()? {
            Some(taken) => messages.push(read(taken, false)),
            None => loom::thread::yield_now(),
        }
    }
    Ok(messages)
}

fn mixed(receiver: &mut Receiver<LoomMemory>) -> Outcome {
    let mut messages = Vec::new();
    while messages.len() < 3 {
        if let Some(taken) = receiver.poll()? {
            messages.push(read(taken, false));
        } else if let Some(taken) = receiver.take()? {
            messages.push(read(taken, true));
        } else {
            receiver.release();
            loom::thread::yield_now();
        }
    }
    if let Some(more) = receiver.take()? {
        messages.push(read(more, false));
    }
    Ok(messages)
}
