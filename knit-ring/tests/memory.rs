//! Real memory: copies of every length, bounds, and two threads that call each other through it.

mod support;

use knit_proto::{MailboxLayout, SECTOR_BYTES, SLOT_STRIDE, SLOTS, WordOffset};
use knit_ring::{
    ArenaSender, HeapMemory, Receiver, Sender, SharedBytes, SharedMemory, SharedWord, Stamps,
};
use support::{
    COPIED, DEADLINE, FILL, MESSAGES, Pause, Places, check_deposits, check_snapshots, content,
    exchange_messages, exchange_payloads, inline_message, span,
};

#[test]
fn a_deposit_writes_its_bytes_and_zeros_to_the_end_of_the_word() {
    check_deposits(&HeapMemory::zeroed(COPIED).unwrap());
}

#[test]
fn a_snapshot_fills_its_buffer_and_nothing_else() {
    check_snapshots(&HeapMemory::zeroed(COPIED).unwrap());
}

#[test]
fn parts_of_a_memory_are_apart() {
    let memory = HeapMemory::zeroed(256).unwrap();
    let middle = memory.bytes(span(64, 128)).unwrap();
    assert_eq!(middle.len(), 128);
    middle.deposit(0, &[FILL; 128]).unwrap();
    let mut seen = [0; 256];
    memory.bytes(span(0, 256)).unwrap().snapshot(0, &mut seen).unwrap();
    assert!(
        seen.iter().enumerate().all(|(at, b)| *b == if (64..192).contains(&at) { FILL } else { 0 })
    );
}

#[test]
fn words_and_bytes_of_one_place_agree() {
    let memory = HeapMemory::zeroed(64).unwrap();
    let bytes = memory.bytes(span(16, 32)).unwrap();
    bytes.store_words(4, &[0x0403_0201, 0x0807_0605]).unwrap();
    let mut seen = [0; 8];
    bytes.snapshot(4, &mut seen).unwrap();
    assert_eq!(seen, [0x0403_0201_u32.to_ne_bytes(), 0x0807_0605_u32.to_ne_bytes()].concat()[..]);
    let word = memory.word(WordOffset::new(20).unwrap()).unwrap();
    assert_eq!((word.load_acquire(), word.load_relaxed()), (0x0403_0201, 0x0403_0201));
    word.store_relaxed(9);
    word.store_release(word.load_relaxed() + 1);
    let mut words = [0; 2];
    bytes.load_words(4, &mut words).unwrap();
    assert_eq!(words, [10, 0x0807_0605]);
}

#[test]
fn nothing_outside_the_memory_is_touched() {
    let memory = HeapMemory::zeroed(128).unwrap();
    assert_eq!(memory.len(), 128);
    assert!(memory.word(WordOffset::new(124).unwrap()).is_ok());
    for at in [128, 132, 1 << 31, u32::MAX - 3] {
        assert!(memory.word(WordOffset::new(at).unwrap()).is_err(), "word {at}");
    }
    for (at, len) in [(0, 132), (128, 4), (64, 68), (u32::MAX - 3, 0), (0, u32::MAX - 3)] {
        assert!(memory.bytes(span(at, len)).is_err(), "{len} bytes at {at}");
        assert!(memory.reserve(span(at, len)).is_err(), "{len} bytes at {at}");
    }
    let part = memory.bytes(span(64, 32)).unwrap();
    for (at, len) in [(0, 33), (32, 1), (28, 5), (36, 0), (1, 0), (2, 4), (u32::MAX, 1)] {
        assert!(part.deposit(at, &vec![1; len]).is_err(), "{len} bytes at {at}");
        assert!(part.snapshot(at, &mut vec![1; len]).is_err(), "{len} bytes at {at}");
        assert!(part.to_vec(at, len as u32).is_err(), "{len} bytes at {at}");
    }
    for (at, len) in [(0, 9), (32, 1), (28, 2), (2, 1), (u32::MAX - 3, 1)] {
        assert!(part.store_words(at, &vec![1; len]).is_err(), "{len} words at {at}");
        assert!(part.load_words(at, &mut vec![1; len]).is_err(), "{len} words at {at}");
    }
    let mut seen = [1; 128];
    memory.bytes(span(0, 128)).unwrap().snapshot(0, &mut seen).unwrap();
    assert_eq!(seen, [0; 128], "what is refused writes nothing");
    assert!(HeapMemory::zeroed(0).is_err());
}

#[test]
fn two_threads_exchange_messages_through_the_publish_word() {
    let memory = HeapMemory::zeroed(Places::new().bytes).unwrap();
    exchange_messages(&memory, &memory, Stamps::Off);
}

#[test]
fn two_threads_exchange_messages_through_stamps() {
    let memory = HeapMemory::zeroed(Places::new().bytes).unwrap();
    exchange_messages(&memory, &memory, Stamps::On);
}

#[test]
fn two_threads_exchange_payloads_through_the_arena() {
    let memory = HeapMemory::zeroed(Places::new().bytes).unwrap();
    exchange_payloads(&memory, &memory);
}

/// SEG-28: a word that two parties access is never seen half old and half new.
#[test]
fn a_word_is_never_torn() {
    let memory = HeapMemory::zeroed(64).unwrap();
    let at = WordOffset::new(4).unwrap();
    let (ours, theirs) = (memory.word(at).unwrap(), memory.word(at).unwrap());
    let writer = std::thread::spawn(move || {
        for round in 0..MESSAGES {
            ours.store_relaxed(if round % 2 == 0 { u32::MAX } else { 0 });
        }
        ours.store_release(0x5a5a_5a5a);
    });
    let mut pause = Pause::new();
    loop {
        match theirs.load_acquire() {
            0 | u32::MAX => pause.wait("the last value"),
            0x5a5a_5a5a => break,
            torn => panic!("{torn:#010x}"),
        }
    }
    writer.join().unwrap();
}

/// What schedulers ask: nothing is taken, released or published by asking.
#[test]
fn ends_tell_how_much_is_under_way() {
    let places = Places::new();
    for stamps in [Stamps::On, Stamps::Off] {
        let memory = HeapMemory::zeroed(places.bytes).unwrap();
        let mut sender = Sender::new(&memory, places.mailbox, stamps).unwrap();
        let mut receiver = Receiver::new(&memory, places.mailbox, stamps).unwrap();
        assert_eq!((sender.capacity(), sender.len()), (SLOTS, 0));
        assert!(sender.is_empty() && receiver.is_empty().unwrap());
        assert_eq!(receiver.peek(), Ok(None));
        for call in 0..SLOTS {
            assert!(!sender.is_full());
            sender.claim().unwrap().publish(&inline_message(call, 0));
            assert_eq!((sender.len(), receiver.len()), (call + 1, Ok(call + 1)));
        }
        assert!(sender.is_full() && !receiver.is_empty().unwrap());
        for call in 0..SLOTS {
            for _ in 0..3 {
                assert_eq!(receiver.peek().unwrap().map(|header| header.0[1]), Some(call));
            }
            let taken = receiver.take().unwrap().expect("what was peeked at");
            assert_eq!(taken.header().0[1], call);
            taken.release();
            assert_eq!(receiver.len(), Ok(SLOTS - call - 1));
        }
        // The sender knows no better until it looks.
        assert!(sender.is_full());
        drop(sender.claim().unwrap());
        assert!(sender.is_empty());
    }
}

/// MBX-18, WAKE-6: a receiver that polls stamps finds what a sender that does not stamp published, in
/// any slot, after a bounded number of polls, and at once when it looks before parking.
#[test]
fn a_message_without_a_stamp_is_found() {
    let places = Places::new();
    for skipped in 0..SLOTS {
        let memory = HeapMemory::zeroed(places.bytes).unwrap();
        let mut sender = Sender::new(&memory, places.mailbox, Stamps::Off).unwrap();
        let mut receiver = Receiver::new(&memory, places.mailbox, Stamps::On).unwrap();
        // Both ends go on from slot `skipped`; then the sender moves on alone.
        for call in 0..skipped {
            sender.claim().unwrap().publish(&inline_message(call, 0));
            receiver.take().unwrap().expect("one is pending").release();
        }
        sender.claim().unwrap().publish(&inline_message(1000, 0));
        let polls = (1..).find(|_| {
            receiver.poll().unwrap().is_some_and(|taken| {
                assert_eq!(taken.header().0[1], 1000);
                true
            })
        });
        assert!(polls.is_some_and(|polls| polls <= 64), "{polls:?} polls");
        sender.claim().unwrap().publish(&inline_message(1001, 0));
        assert!(receiver.is_pending().unwrap(), "the look before parking goes by the word");
    }
}

#[cfg(feature = "mapped")]
mod mapped {
    use super::*;
    use knit_ring::{Doorbell, FutexBell, Mapped, Mapping, Notifier, Waiter, Woken};

    const PINGS: u32 = if cfg!(miri) { 20 } else { 20_000 };

    #[test]
    fn two_mappings_exchange_messages_through_the_publish_word() {
        let [ours, theirs] = mappings();
        exchange_messages(&ours, &theirs, Stamps::Off);
    }

    #[test]
    fn two_mappings_exchange_messages_through_stamps() {
        let [ours, theirs] = mappings();
        exchange_messages(&ours, &theirs, Stamps::On);
    }

    #[test]
    fn two_mappings_exchange_payloads_through_the_arena() {
        let [ours, theirs] = mappings();
        exchange_payloads(&ours, &theirs);
    }

    /// ARN-9: whatever the header had reserved, memory stands behind a block before it is written.
    #[test]
    fn memory_stands_behind_every_block() {
        use std::os::unix::fs::MetadataExt;
        let memory = Mapping::create(Places::new().bytes).unwrap();
        let file = std::fs::File::from(memory.backing().file().try_clone_to_owned().unwrap());
        let backed = || file.metadata().unwrap().blocks() * 512;
        assert_eq!(backed(), 0);
        let mut arena = ArenaSender::new(&memory, &Places::new().arena, 0).unwrap();
        let mut end = 0;
        for len in [64, 9000, 20_000] {
            let mut room = arena.loan(len).unwrap();
            let before = backed();
            end = (end + len).next_multiple_of(64);
            assert!(before >= u64::from(end), "{before} bytes for {end}");
            room.deposit(0, &content(len, len as usize)).unwrap();
            assert_eq!(backed(), before, "the deposit touched pages that were not reserved");
            room.commit();
        }
    }

    /// One message at a time, there and back: each side sleeps until the other one has answered.
    /// The bell of a wake-up that got lost rings at the deadline only.
    #[test]
    fn no_wake_up_is_lost_between_two_sleeping_threads() {
        let [ours, theirs] = mappings();
        let places = Places::new();
        let back = back(&places);
        let [host, worker] = places.control;
        let mut ping = Side {
            sender: Sender::new(&ours, places.mailbox, Stamps::Off).unwrap(),
            receiver: Receiver::new(&ours, back, Stamps::Off).unwrap(),
            notifier: Notifier::new(&ours, &host, &worker).unwrap(),
            waiter: Waiter::new(&ours, &host, &worker).unwrap(),
            slept: 0,
        };
        let mut pong = Side {
            sender: Sender::new(&theirs, back, Stamps::Off).unwrap(),
            receiver: Receiver::new(&theirs, places.mailbox, Stamps::Off).unwrap(),
            notifier: Notifier::new(&theirs, &worker, &host).unwrap(),
            waiter: Waiter::new(&theirs, &worker, &host).unwrap(),
            slept: 0,
        };
        let thread = std::thread::spawn(move || {
            for call in 0..PINGS {
                pong.receive(call);
                pong.send(call);
            }
            pong.slept
        });
        for call in 0..PINGS {
            ping.send(call);
            ping.receive(call);
        }
        let slept = (ping.slept, thread.join().unwrap());
        println!("waits of the two sides: {slept:?}");
        assert!(slept.0 > 0 && slept.1 > 0, "nobody slept: the test tells nothing");
    }

    struct Side {
        sender: Sender<Mapped<Mapping>>,
        receiver: Receiver<Mapped<Mapping>>,
        notifier: Notifier<Mapped<Mapping>>,
        waiter: Waiter<Mapped<Mapping>>,
        slept: u32,
    }

    impl Side {
        fn send(&mut self, call: u32) {
            self.sender.claim().unwrap().publish(&inline_message(call, 0));
            if self.notifier.notify() {
                FutexBell.wake(self.notifier.bell());
            }
        }

        fn receive(&mut self, call: u32) {
            loop {
                if let Some(taken) = self.receiver.take().unwrap() {
                    assert_eq!(taken.header().0[1], call);
                    return taken.release();
                }
                let ready = || self.receiver.is_pending().unwrap();
                match self.waiter.park(&FutexBell, Some(DEADLINE), ready) {
                    Woken::TimedOut => panic!("nobody woke the waiter for call {call}"),
                    Woken::Rung => self.slept += 1,
                    Woken::Ready | Woken::PeerDied => {}
                }
            }
        }
    }

    /// One memfd, mapped twice.
    fn mappings() -> [Mapped<Mapping>; 2] {
        let ours = Mapping::create(Places::new().bytes).unwrap();
        let file = ours.backing().file().try_clone_to_owned().unwrap();
        let theirs = Mapping::attach(file).unwrap();
        [ours, theirs]
    }

    /// The mailbox of the answers. It stands in the arena, which this test does not use.
    fn back(places: &Places) -> MailboxLayout {
        let data = places.arena.data();
        let sector = data.part(0, SECTOR_BYTES).unwrap();
        MailboxLayout::new(sector, data.part(SECTOR_BYTES, SLOTS * SLOT_STRIDE).unwrap()).unwrap()
    }
}
