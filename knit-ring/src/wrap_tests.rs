//! Long runs: every counter of a mailbox and of a bell passes 2^32, and nobody notices.

use crate::mailbox::Slots;
use crate::{
    FutexPair, HeapMemory, Notifier, Receiver, SHARED_SENDER_BYTES, Sender, SharedMemory,
    SharedSender, SharedWord, SpinBell, Stamps, Waiter, Woken,
};
use alloc::vec::Vec;
use core::time::Duration;
use knit_proto::{
    ControlLayout, HOST_CONTROL_AT, MIN_EXTENSION_BYTES, MailboxLayout, PayloadPlace, SECTOR_BYTES,
    SLOT_STRIDE, SLOTS, SlotHeader, Span, Tag, WORKER_CONTROL_AT, Word0, WordOffset,
};

/// How often each slot has been published when a test begins.
const LONG_AGO: u32 = u32::MAX - 2;
/// More polls than a receiver makes by stamps alone.
const POLLS: u32 = 100_000;

fn mailbox() -> (HeapMemory, MailboxLayout) {
    let sector = Span::new(0, SECTOR_BYTES).unwrap();
    let slots = Span::new(SECTOR_BYTES, SLOTS * SLOT_STRIDE).unwrap();
    let memory = HeapMemory::zeroed(slots.end()).unwrap();
    (memory, MailboxLayout::new(sector, slots).unwrap())
}

fn message(call: u32) -> SlotHeader {
    let word0 = Word0::Call { function: 0, abort: None };
    SlotHeader { word0, call, tag: Tag::UNDEFINED, place: PayloadPlace::Bare }
}

/// Takes the next message, by polls alone.
fn poll(receiver: &mut Receiver<HeapMemory>) -> u32 {
    for _ in 0..POLLS {
        if let Some(taken) = receiver.poll().unwrap() {
            let call = taken.header().0[1];
            taken.release();
            return call;
        }
    }
    panic!("no message in {POLLS} polls")
}

/// MBX-9, MBX-10: the publication that is numbered 0 has a stamp that says nothing, and is found all the same.
#[test]
fn stamps_pass_their_end_and_every_message_is_found_once() {
    let (memory, layout) = mailbox();
    let mut sender = Sender::new(&memory, layout, Stamps::On).unwrap();
    let mut receiver = Receiver::new(&memory, layout, Stamps::On).unwrap();
    let slots = Slots::new(&memory, &layout).unwrap();
    sender.has_published(LONG_AGO);
    receiver.has_taken(LONG_AGO);
    // One at a time, six times around.
    for call in 0..6 * SLOTS {
        let slot = sender.claim().unwrap().publish(&message(call));
        let round = call / SLOTS;
        assert_eq!(slots.stamp(slot).load_relaxed(), LONG_AGO.wrapping_add(round + 1));
        assert_eq!(poll(&mut receiver), call);
        assert!(receiver.poll().unwrap().is_none() && receiver.take().unwrap().is_none());
    }
    // All slots at once, over the same end.
    sender.has_published(LONG_AGO);
    receiver.has_taken(LONG_AGO);
    for round in 0..6 {
        for call in 0..SLOTS {
            let _ = sender.claim().unwrap().publish(&message(round * SLOTS + call));
        }
        assert!(sender.claim().is_err());
        let calls: Vec<_> = (0..SLOTS).map(|_| poll(&mut receiver)).collect();
        assert_eq!(calls, (round * SLOTS..(round + 1) * SLOTS).collect::<Vec<_>>());
    }
}

/// The owner words of threads that share a sender count to 2^31, their stamps to 2^32.
#[test]
fn generations_of_a_shared_sender_pass_their_end() {
    let (memory, layout) = mailbox();
    let private = HeapMemory::zeroed(SHARED_SENDER_BYTES).unwrap();
    for slot in 0..SLOTS {
        let word = |at| private.word(WordOffset::new(slot * 64 + at).unwrap()).unwrap();
        // Not claimed, published an even number of times: as the publish word says.
        word(0).store_relaxed(u32::MAX - 3);
        word(4).store_relaxed(LONG_AGO);
    }
    let mut receiver = Receiver::new(&memory, layout, Stamps::On).unwrap();
    receiver.has_taken(LONG_AGO);
    // The only handle stores, two compare and exchange.
    let mut first = SharedSender::new(&memory, &private, layout, Stamps::On).unwrap();
    let mut next = 0;
    for _ in 0..2 * SLOTS {
        let _ = first.claim().unwrap().publish(&message(next));
        assert_eq!(poll(&mut receiver), next);
        next += 1;
    }
    let mut second = first.clone();
    for round in 0..4 * SLOTS {
        let sender = if round % 2 == 0 { &mut first } else { &mut second };
        let _ = sender.claim().unwrap().publish(&message(next));
        assert_eq!(poll(&mut receiver), next);
        next += 1;
    }
    assert!(receiver.take().unwrap().is_none());
}

/// WAKE-8: a bell is compared with its ticket, and is any number.
#[test]
fn a_bell_that_passes_its_end_wakes_whoever_waits() {
    let extension = Span::new(0, MIN_EXTENSION_BYTES).unwrap();
    let memory = HeapMemory::zeroed(extension.end()).unwrap();
    let [mine, theirs] =
        [HOST_CONTROL_AT, WORKER_CONTROL_AT].map(|at| ControlLayout::new(extension, at).unwrap());
    let mut notifier = Notifier::new(&memory, &mine, &theirs).unwrap();
    let mut waiter = Waiter::new(&memory, &theirs, &mine).unwrap();
    notifier.has_rung(LONG_AGO);
    for _ in 0..6 {
        let ticket = waiter.announce(&SpinBell);
        assert!(notifier.notify(), "the other side is parked");
        let until = Some(Duration::from_secs(600)).into();
        let woken = crate::Doorbell::wait_any(&SpinBell, &[(waiter.bell(), ticket)], until);
        assert_eq!(woken, Woken::Rung);
        waiter.retract();
        assert!(!notifier.notify(), "nobody is parked");
    }
    assert_eq!(waiter.bell().load_relaxed(), LONG_AGO.wrapping_add(6));
    let pair = FutexPair::default();
    let ticket = pair.local();
    pair.ring_local();
    assert_eq!(pair.wait_local(ticket, None), Woken::Rung);
}
