//! Memory whose parties are trusted: copies are `memcpy`, loans and held messages are slices.

#![allow(unsafe_code, reason = "promises that the threads of these tests keep to the rules")]

mod support;

use knit_ring::{ArenaSender, HeapBlock, HeapMemory, Mapped, Plain, SharedArenaReceiver, Stamps};
use support::{
    COPIED, Places, check_deposits, check_snapshots, content, exchange_messages, exchange_payloads,
};

fn cooperative(len: u32) -> Mapped<HeapBlock, Plain> {
    let memory = HeapMemory::zeroed(len).unwrap();
    // SAFETY: A1 to A3: nobody else has the memory; each test makes one end of each role, or
    // copies from one thread, and holds what it sent, once.
    unsafe { memory.assume_cooperative() }
}

#[test]
fn copies_are_those_of_other_memory() {
    check_deposits(&cooperative(COPIED));
    check_snapshots(&cooperative(COPIED));
}

#[test]
fn two_threads_exchange_messages_and_payloads() {
    let bytes = Places::new().bytes;
    let memory = cooperative(bytes);
    exchange_messages(&memory, &memory, Stamps::On);
    let memory = cooperative(bytes);
    exchange_payloads(&memory, &memory);
}

#[test]
fn loans_and_held_messages_are_slices() {
    let places = Places::new();
    let memory = cooperative(places.bytes);
    let mut arena = ArenaSender::new(&memory, &places.arena, 0).unwrap();
    let receiver = SharedArenaReceiver::new(&memory, &places.arena).unwrap();
    for round in 0..40 {
        let len = 1 + round * 37;
        let mut owned = arena.loan_owned(len).unwrap();
        let mut loan = arena.loan(len).unwrap();
        assert_eq!((loan[..].len(), owned[..].len()), (len as usize, len as usize));
        loan.copy_from_slice(&content(round, len as usize));
        owned.copy_from_slice(&content(round + 1000, len as usize));
        assert_eq!(*loan, *content(round, len as usize));
        let sent = [loan.commit(), arena.commit(owned)];
        let [first, second] = sent.map(|(block, start)| receiver.hold(block, start, len));
        let reader = std::thread::spawn(move || {
            assert_eq!(*first.unwrap(), *content(round, len as usize));
        });
        assert_eq!(second.unwrap().as_ref(), content(round + 1000, len as usize));
        reader.join().unwrap();
    }
}
