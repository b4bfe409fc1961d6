//! Loans and held messages over real memory.

mod support;

use knit_proto::{BlockIndex, Span, WordOffset};
use knit_ring::{
    ArenaError, ArenaReceiver, ArenaSender, HeapMemory, OutOfBounds, ReserveError,
    SharedArenaReceiver, SharedMemory,
};
use support::{ARENA_BYTES, Places, content};

/// A message that is held can be read at any byte, and no further than its end.
#[test]
fn a_held_message_is_read_within_its_bounds() {
    let (memory, places) = (HeapMemory::zeroed(Places::new().bytes).unwrap(), Places::new());
    let mut arena = ArenaSender::new(&memory, &places.arena, 0).unwrap();
    let receiver = SharedArenaReceiver::new(&memory, &places.arena).unwrap();
    for len in [0_u32, 1, 3, 4, 5, 17, 64, 65, 300] {
        let data = content(len, len as usize);
        let mut loan = arena.loan(len).unwrap();
        loan.deposit(0, &data).unwrap();
        let (block, start) = loan.commit();
        let held = receiver.hold(block, start, len).unwrap();
        assert_eq!((held.len(), held.is_empty(), held.block()), (len, len == 0, block));
        assert_eq!(held.to_vec(), data);
        for at in 0..=len + 5 {
            for count in 0..9.min(data.len() + 1) {
                let mut seen = vec![0; count];
                match data.get(at as usize..at as usize + count) {
                    Some(expected) => {
                        held.snapshot(at, &mut seen).unwrap();
                        assert_eq!(seen, expected, "{count} of {len} bytes at {at}");
                    }
                    None => {
                        let error = held.snapshot(at, &mut seen).unwrap_err();
                        assert_eq!((error.at, error.available), (at, len));
                    }
                }
            }
        }
        assert!(held.read::<1>(u32::MAX).is_err());
    }
    let end = receiver.capacity();
    let block = BlockIndex::from_low_bits(0);
    for (start, len) in [(end, 1), (end - 64, 65), (2, 4), (u32::MAX - 3, 4), (0, u32::MAX)] {
        assert!(receiver.hold(block, start, len).is_err(), "{len} bytes at {start}");
    }
}

/// ARN-6: a block comes back when the message that was held is dropped, and not before.
#[test]
fn a_held_block_is_not_reused() {
    let (memory, places) = (HeapMemory::zeroed(Places::new().bytes).unwrap(), Places::new());
    let mut arena = ArenaSender::new(&memory, &places.arena, 0).unwrap();
    let receiver = ArenaReceiver::new(&memory, &places.arena).unwrap().into_shared();
    let mut send = || arena.loan(ARENA_BYTES / 2).map(|loan| loan.commit());
    let hold = |(block, start)| receiver.clone().hold(block, start, ARENA_BYTES / 2).unwrap();
    let [first, second] = [(); 2].map(|()| hold(send().unwrap()));
    assert_eq!(send(), Err(ArenaError::Full));
    drop(second);
    let third = hold(send().unwrap());
    assert_eq!(send(), Err(ArenaError::Full));
    std::thread::spawn(move || drop((first, third))).join().unwrap();
    send().unwrap();
    send().unwrap();
}

/// After a burst, large payloads that go one at a time use one block, not all of the burst's in turn.
#[test]
fn a_large_payload_takes_the_block_that_came_back_last() {
    const LEN: u32 = ARENA_BYTES / 4;
    let (memory, places) = (HeapMemory::zeroed(Places::new().bytes).unwrap(), Places::new());
    let mut arena = ArenaSender::new(&memory, &places.arena, 0).unwrap();
    let mut receiver = ArenaReceiver::new(&memory, &places.arena).unwrap();
    let burst = [(); 3].map(|()| arena.loan(LEN).unwrap().commit());
    for (block, _) in burst {
        receiver.free(block);
    }
    let starts = [(); 8].map(|()| {
        let (block, start) = arena.loan(LEN).unwrap().commit();
        receiver.free(block);
        start
    });
    assert_eq!(starts, [starts[0]; 8]);
}

/// Loans that other threads fill and drop: what is dropped comes back, what is committed holds what
/// they wrote.
#[test]
fn owned_loans_are_filled_by_other_threads() {
    let (memory, places) = (HeapMemory::zeroed(Places::new().bytes).unwrap(), Places::new());
    let mut arena = ArenaSender::new(&memory, &places.arena, 0).unwrap();
    let mut receiver = ArenaReceiver::new(&memory, &places.arena).unwrap();
    for round in 0..if cfg!(miri) { 3 } else { 50 } {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let mut loan = arena.loan_owned(ARENA_BYTES / 4).unwrap();
                let seed = round * 4 + writer;
                std::thread::spawn(move || {
                    loan.deposit(0, &content(seed, loan.len() as usize)).unwrap();
                    (seed % 3 != 0).then_some((seed, loan))
                })
            })
            .collect();
        for (seed, loan) in writers.into_iter().filter_map(|writer| writer.join().unwrap()) {
            let (len, at) = (loan.len() as usize, loan.start());
            let (block, start) = arena.commit(loan);
            assert_eq!(start, at);
            let mut seen = vec![0; len];
            receiver.snapshot(start, &mut seen).unwrap();
            assert!(seen == content(seed, len), "payload {seed}");
            receiver.free(block);
        }
    }
}

#[test]
#[should_panic(expected = "committed to the arena that lent it")]
fn a_loan_of_another_arena_is_refused() {
    let memory = HeapMemory::zeroed(Places::new().bytes).unwrap();
    let mut arenas = [(); 2].map(|()| ArenaSender::new(&memory, &Places::new().arena, 0).unwrap());
    let loan = arenas[0].loan_owned(1).unwrap();
    arenas[1].commit(loan);
}

/// ARN-9: where the machine has no memory, the send fails, and those that fit what there is go on.
#[test]
fn a_full_machine_is_an_error() {
    let places = Places::new();
    let inner = HeapMemory::zeroed(places.bytes).unwrap();
    let limit = places.arena.data().at() + 4096 + 4096 + 512;
    let memory = Scarce { inner, limit };
    let mut arena = ArenaSender::new(&memory, &places.arena, 0).unwrap();
    let mut receiver = ArenaReceiver::new(&memory, &places.arena).unwrap();
    for _ in 0..2 {
        let error = arena.loan(9000).map(drop).unwrap_err();
        assert!(matches!(error, ArenaError::Reserve(_)), "{error}");
    }
    for _ in 0..3 {
        // Twice as much is not there, nor is the step by which an arena grows: so much is.
        let live = [4096, 4096, 512].map(|len| arena.loan(len).unwrap().commit().0);
        let error = arena.loan_owned(1).map(drop).unwrap_err();
        assert!(matches!(error, ArenaError::Reserve(_)), "{error}");
        for block in live {
            receiver.free(block);
        }
    }
}

/// Heap memory of a machine that has nothing behind `limit`.
#[derive(Clone)]
struct Scarce {
    inner: HeapMemory,
    limit: u32,
}

impl SharedMemory for Scarce {
    type Word = <HeapMemory as SharedMemory>::Word;
    type Bytes = <HeapMemory as SharedMemory>::Bytes;

    fn len(&self) -> u32 {
        self.inner.len()
    }

    fn word(&self, at: WordOffset) -> Result<Self::Word, OutOfBounds> {
        self.inner.word(at)
    }

    fn bytes(&self, span: Span) -> Result<Self::Bytes, OutOfBounds> {
        self.inner.bytes(span)
    }

    fn full_fence(&self) {
        self.inner.full_fence();
    }

    fn reserve(&self, span: Span) -> Result<(), ReserveError> {
        if span.end() > self.limit {
            return Err(ReserveError::NoMemory { bytes: span.len(), errno: 28 });
        }
        self.inner.reserve(span)
    }
}
