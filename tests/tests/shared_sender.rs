//! A sending end that threads share: what they publish arrives once, and a thread that stops anywhere
//! keeps nothing but the slot that it was filling.

use knit_proto::{ProtocolViolation, SLOTS, SlotMask};
use knit_ring::{
    ClaimError, HeapMemory, Mapped, Mapping, Receiver, SHARED_SENDER_BYTES, Sender, SharedMemory,
    SharedSender, SharedWord, SharedWordRmw, Stamps,
};
use knit_tests::{
    CrashMemory, Seen, StopBehaviour, lane, message, payload, read, seen, until_stop,
};
use static_assertions::{assert_impl_all, assert_not_impl_any};
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

// One thread at a time has an end, but for the shared one, which threads clone.
assert_impl_all!(Sender<HeapMemory>: Send);
assert_not_impl_any!(Sender<HeapMemory>: Sync, Clone);
assert_impl_all!(Receiver<HeapMemory>: Send);
assert_not_impl_any!(Receiver<HeapMemory>: Sync, Clone);
assert_impl_all!(SharedSender<Mapped<Mapping>, HeapMemory>: Send, Sync, Clone);

const STAMPS: [Stamps; 2] = [Stamps::On, Stamps::Off];
/// Longer than any test of this file takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);
const PRODUCERS: u32 = 3;
const MESSAGES: u32 = 30_000;

#[test]
fn three_threads_send_through_one_mailbox() {
    for stamps in STAMPS {
        let memory = HeapMemory::zeroed(lane(SLOTS).bytes).unwrap();
        exchange(&memory, &memory, stamps, 1);
    }
}

#[test]
fn three_threads_send_batches_between_two_mappings() {
    for stamps in STAMPS {
        let ours = Mapping::create(lane(SLOTS).bytes).unwrap();
        let file = ours.backing().file().try_clone_to_owned().unwrap();
        exchange(&ours, &Mapping::attach(file).unwrap(), stamps, 5);
    }
}

/// Every thread sends its calls in ascending order, `batch` at a time; all of them arrive, once.
fn exchange<M>(ours: &M, theirs: &M, stamps: Stamps, batch: u32)
where
    M: SharedMemory<Word: SharedWordRmw>,
{
    let mut sender = sender(ours, stamps);
    let mut receiver = Receiver::new(theirs, lane(SLOTS).mailbox, stamps).unwrap();
    let threads: Vec<_> = (0..PRODUCERS)
        .map(|producer| {
            let mut sender = sender.clone();
            thread::spawn(move || {
                let calls = producer * MESSAGES..(producer + 1) * MESSAGES;
                let calls: Vec<u32> = calls.collect();
                for calls in calls.chunks(batch as usize) {
                    send_all(&mut sender, calls);
                }
            })
        })
        .collect();
    let mut taken = vec![false; (PRODUCERS * MESSAGES) as usize];
    let mut pause = Pause::new();
    for round in 0..taken.len() {
        let (call, bytes) = loop {
            let found = if round % 4 == 0 { receiver.take() } else { receiver.poll() };
            match found.unwrap() {
                Some(found) => break read(found, round % 3 == 0),
                None => pause.wait("a message"),
            }
            receiver.release();
        };
        assert_eq!((call, bytes), seen(call));
        assert!(!core::mem::replace(&mut taken[call as usize], true), "call {call} came twice");
    }
    receiver.release();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(receiver.take().unwrap().is_none(), "more came out than went in");
    // All slots are free again, for whoever asks.
    let mut batch = sender.batch();
    for call in 0..SLOTS {
        batch.add(&message(call), &payload(call)).unwrap();
    }
    assert_eq!(batch.publish(), SlotMask::ALL);
    assert!(matches!(sender.claim(), Err(ClaimError::Full)));
}

fn send_all<M, P>(sender: &mut SharedSender<M, P>, calls: &[u32])
where
    M: SharedMemory<Word: SharedWordRmw>,
    P: SharedMemory<Word: SharedWordRmw>,
{
    let mut pause = Pause::new();
    let mut rest = calls;
    while let Some((first, more)) = rest.split_first() {
        let mut batch = sender.batch();
        if batch.add(&message(*first), &payload(*first)).is_err() {
            drop(batch);
            pause.wait("a free slot");
            continue;
        }
        rest = more;
        while let Some((next, more)) = rest.split_first()
            && batch.add(&message(*next), &payload(*next)).is_ok()
        {
            rest = more;
        }
        batch.publish();
    }
}

/// A handle is the only one, then one of several, then the only one again, while messages are under
/// way: each of them arrives once, and the threads never lose count of the toggles.
#[test]
fn handles_come_and_go() {
    for stamps in STAMPS {
        let memory = HeapMemory::zeroed(lane(8).bytes).unwrap();
        let mut sender = sender_of(&memory, 8, stamps);
        let mut receiver = Receiver::new(&memory, lane(8).mailbox, stamps).unwrap();
        let rounds = 300;
        let reader = thread::spawn(move || {
            let mut taken = vec![0_u8; rounds as usize * 40];
            let mut pause = Pause::new();
            for _ in 0..taken.len() {
                let (call, bytes) = loop {
                    match receiver.poll().unwrap() {
                        Some(found) => break read(found, false),
                        None => pause.wait("a message"),
                    }
                };
                assert_eq!((call, bytes), seen(call));
                taken[call as usize] += 1;
            }
            assert!(receiver.take().unwrap().is_none());
            taken
        });
        for round in 0..rounds {
            let calls: Vec<u32> = (round * 40..(round + 1) * 40).collect();
            send_all(&mut sender, &calls[..10]);
            let mut clone = sender.clone();
            let (theirs, ours) = (calls[10..20].to_vec(), &calls[20..30]);
            let other = thread::spawn(move || send_all(&mut clone, &theirs));
            send_all(&mut sender, ours);
            other.join().unwrap();
            send_all(&mut sender, &calls[30..]);
        }
        assert!(reader.join().unwrap().iter().all(|times| *times == 1));
    }
}

/// MBX-3: nothing but the owner words, which no other process sees, ever changes.
#[test]
fn an_abandoned_claim_leaves_no_trace() {
    let memory = HeapMemory::zeroed(lane(4).bytes).unwrap();
    let private = HeapMemory::zeroed(SHARED_SENDER_BYTES).unwrap();
    let recording = CrashMemory::recording(&memory);
    let mut sender = SharedSender::new(&recording, &private, lane(4).mailbox, Stamps::On).unwrap();
    for _ in 0..20 {
        drop(sender.claim().unwrap());
        let mut batch = sender.batch();
        assert!(batch.is_empty());
        batch.add(&message(1), &[]).unwrap();
        batch.add(&message(2), &[]).unwrap();
        assert!(batch.add(&message(3), &[0; 513]).is_err());
        assert_eq!(batch.len(), 2);
        drop(batch);
    }
    let toggles = [lane(4).mailbox.publish(), lane(4).mailbox.release()].map(|word| word.bytes());
    assert!(recording.stores().iter().all(|(at, _)| !toggles.contains(at)));
    let mut batch = sender.batch();
    for call in 0..4 {
        batch.add(&message(call), &[]).unwrap();
    }
    assert_eq!(batch.publish().len(), 4);
}

/// MBX-8: the receiver flips a slot that is free, and one that does not exist; noticed at the next look.
#[test]
fn a_free_slot_that_is_released_is_a_violation() {
    let memory = HeapMemory::zeroed(lane(2).bytes).unwrap();
    let mut sender = sender_of(&memory, 2, Stamps::On);
    drop(sender.claim().unwrap());
    let release = memory.word(lane(2).mailbox.release()).unwrap();
    release.store_release(1 << 1);
    let found = loop {
        match sender.claim() {
            Ok(claim) => drop(claim),
            Err(error) => break error,
        }
    };
    let slots = SlotMask::from_bits(1 << 1);
    assert_eq!(found, ClaimError::Violation(ProtocolViolation::ReleasedFree { slots }));
    release.store_release(1 << 2);
    let slots = SlotMask::from_bits(1 << 2);
    let found = sender.claim().err();
    assert_eq!(found, Some(ClaimError::Violation(ProtocolViolation::NoSuchSlot { slots })));
}

/// A thread that stops with a claim keeps one slot; the others go on with the rest, for ever.
#[test]
fn a_thread_that_stops_in_a_claim_costs_one_slot() {
    for stamps in STAMPS {
        let memory = HeapMemory::zeroed(lane(4).bytes).unwrap();
        let mut stopped = sender_of(&memory, 4, stamps);
        let mut other = stopped.clone();
        let claim = stopped.claim().unwrap();
        let mut receiver = Receiver::new(&memory, lane(4).mailbox, stamps).unwrap();
        for round in 0..50 {
            for call in 0..3 {
                let mut sent = other.claim().unwrap();
                assert_ne!(sent.slot(), claim.slot());
                sent.deposit(&payload(3 * round + call)).unwrap();
                sent.publish(&message(3 * round + call));
            }
            assert!(matches!(other.claim(), Err(ClaimError::Full)));
            let mut calls: Vec<Seen> = Vec::new();
            while let Some(taken) = receiver.take().unwrap() {
                calls.push(read(taken, false));
            }
            calls.sort_unstable();
            assert_eq!(calls, (3 * round..3 * round + 3).map(seen).collect::<Vec<_>>());
        }
        drop(claim);
        for call in 0..4 {
            other.claim().unwrap().publish(&message(call));
        }
    }
}

/// A thread stops after its n-th store, for every n: what it had published is delivered once, what it
/// had not is not, and the other thread loses one slot at most.
#[test]
fn a_thread_that_stops_after_any_store_costs_one_slot() {
    for stamps in STAMPS {
        let mut n = 0;
        loop {
            let memory = HeapMemory::zeroed(lane(4).bytes).unwrap();
            let private = HeapMemory::zeroed(SHARED_SENDER_BYTES).unwrap();
            let dying = CrashMemory::stopping_after(&memory, n, StopBehaviour::Vanish);
            let dying_private = dying.beside(&private);
            let mut first =
                SharedSender::new(&dying, &dying_private, lane(4).mailbox, stamps).unwrap();
            // A handle that is the only one goes on as a plain sender.
            let _other = first.clone();
            let done = until_stop(|| {
                for call in 1000..1003 {
                    let mut claim = first.claim().unwrap();
                    claim.deposit(&payload(call)).unwrap();
                    claim.publish(&message(call));
                }
            });
            assert!(done.is_some());
            let all = dying.stores().len() as u64 == n;
            let publish = memory.word(lane(4).mailbox.publish()).unwrap();
            let published: Vec<_> = (1000..1003)
                .filter(|call| publish.load_acquire() & 1 << (call - 1000) != 0)
                .collect();

            let mut receiver = Receiver::new(&memory, lane(4).mailbox, stamps).unwrap();
            let mut second = SharedSender::new(&memory, &private, lane(4).mailbox, stamps).unwrap();
            let _other = second.clone();
            let mut taken = Vec::new();
            let mut sent = BTreeSet::new();
            for call in 0..40 {
                while let Some(found) = receiver.take().unwrap() {
                    taken.push(read(found, false));
                }
                let mut free = 0;
                while let Ok(mut claim) = second.claim() {
                    claim.deposit(&payload(10 * call + free)).unwrap();
                    claim.publish(&message(10 * call + free));
                    sent.insert(10 * call + free);
                    free += 1;
                }
                assert!(free >= 3, "{free} slots are left after {n} stores");
            }
            while let Some(found) = receiver.take().unwrap() {
                taken.push(read(found, false));
            }
            taken.sort_unstable();
            let mut expected: Vec<Seen> = sent.into_iter().chain(published).map(seen).collect();
            expected.sort_unstable();
            assert_eq!(taken, expected, "after {n} stores");
            if !all {
                break;
            }
            n += 1;
        }
        assert!(n > 30, "{n} stores");
    }
}

fn sender<M>(memory: &M, stamps: Stamps) -> SharedSender<M, HeapMemory>
where
    M: SharedMemory<Word: SharedWordRmw>,
{
    sender_of(memory, SLOTS, stamps)
}

fn sender_of<M>(memory: &M, slots: u32, stamps: Stamps) -> SharedSender<M, HeapMemory>
where
    M: SharedMemory<Word: SharedWordRmw>,
{
    let private = HeapMemory::zeroed(SHARED_SENDER_BYTES).unwrap();
    SharedSender::new(memory, &private, lane(slots).mailbox, stamps).unwrap()
}

/// Waits for another thread, and fails when it does not come.
struct Pause {
    since: Instant,
}

impl Pause {
    fn new() -> Self {
        Self { since: Instant::now() }
    }

    fn wait(&mut self, what: &str) {
        assert!(self.since.elapsed() < DEADLINE, "waited too long for {what}");
        thread::yield_now();
    }
}
