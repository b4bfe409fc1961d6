//! Cache lines that go back and forth.

use super::{Floor, FloorError, Patience, Peer, Plan, Sample, shared_memory, start_with_memory};
use knit_proto::{Span, WordOffset};
use knit_ring::{
    Mapped, MappedBytes, MappedWord, Mapping, OutOfBounds, SharedBytes, SharedMemory, SharedWord,
};

/// Words that cross with the stamp in [`Floor::TwoLines`]: as many as a slot header has.
pub(super) const BODY_WORDS: usize = 7;

const LINE_BYTES: u32 = 64;
/// The stamp is the last word of its line, as in a slot header.
const STAMP_AT: u32 = 60;
const PAGE_BYTES: u32 = 4096;
/// Lines each way of [`Floor::RotatingLines`], and the distance between two: as in a mailbox.
const ROTATING: u32 = 32;
const ROTATING_STRIDE: u32 = 576;
/// Start of the second direction: past all lines of the first, whole pages away from them.
const BACK_AT: u32 = ((ROTATING * ROTATING_STRIDE).div_ceil(PAGE_BYTES) + 1) * PAGE_BYTES;
/// Bytes of shared memory that [`Lines`] take, whatever their number.
pub(super) const LINES_BYTES: u32 = 2 * BACK_AT;

/// One line in place: the asking side stores odd values, the answering side the next even one.
pub(super) fn ping_pong(plan: &Plan) -> Result<Sample, FloorError> {
    let (memory, mut peer) = start_with_memory(Floor::PingPong, PAGE_BYTES, &plan.cpus)?;
    let word = toggled_word(&memory)?;
    let mut value = 0_u32;
    Sample::collect(plan, |rounds| {
        for _ in 0..rounds {
            let asked = value.wrapping_add(1);
            value = value.wrapping_add(2);
            // Release, and acquire below: the shape of every published word. Nothing else is read.
            word.store_release(asked);
            let mut patience = Patience::new();
            loop {
                let found = word.load_acquire();
                if found == value {
                    break;
                }
                if found != asked {
                    return Err(wrong(value, found));
                }
                patience.spin(&mut peer)?;
            }
        }
        Ok(())
    })
}

pub(super) fn serve_ping_pong() -> Result<(), FloorError> {
    let memory = shared_memory()?;
    let word = toggled_word(&memory)?;
    loop {
        let mut patience = Patience::new();
        let asked = loop {
            let found = word.load_acquire();
            if found % 2 == 1 {
                break found;
            }
            patience.spin_forever();
        };
        word.store_release(asked.wrapping_add(1));
    }
}

fn toggled_word(memory: &Mapped<Mapping>) -> Result<MappedWord<Mapping>, OutOfBounds> {
    memory.word(WordOffset::new(0).expect("0 is a multiple of four"))
}

/// One line each way, always the same or the next of many.
pub(super) fn lines(plan: &Plan, floor: Floor) -> Result<Sample, FloorError> {
    let (memory, mut peer) = start_with_memory(floor, LINES_BYTES, &plan.cpus)?;
    let mut lines = Lines::asking(&memory, number_of(floor))?;
    Sample::collect(plan, |rounds| {
        for _ in 0..rounds {
            lines.ask()?;
            lines.await_answer(&mut peer)?;
        }
        Ok(())
    })
}

pub(super) fn serve_lines(floor: Floor) -> Result<(), FloorError> {
    let memory = shared_memory()?;
    let mut lines = Lines::answering(&memory, number_of(floor))?;
    loop {
        let body = lines.await_question()?;
        lines.send(&body)?;
    }
}

/// Lines that a floor takes in turn, each way.
fn number_of(floor: Floor) -> u32 {
    if floor == Floor::RotatingLines { ROTATING } else { 1 }
}

/// Lines each way, taken in turn: seven words, and as last word how many messages there have been.
pub(super) struct Lines {
    out: Vec<Line>,
    back: Vec<Line>,
    /// One less than the number of lines each way, which is a power of two.
    mask: u32,
    count: u32,
}

struct Line {
    body: MappedBytes<Mapping>,
    stamp: MappedWord<Mapping>,
}

impl Lines {
    /// The side that asks, with `number` lines each way: a power of two, at most 32.
    pub(super) fn asking(memory: &Mapped<Mapping>, number: u32) -> Result<Self, FloorError> {
        Self::new(memory, number, 0, BACK_AT)
    }

    /// The side that answers.
    pub(super) fn answering(memory: &Mapped<Mapping>, number: u32) -> Result<Self, FloorError> {
        Self::new(memory, number, BACK_AT, 0)
    }

    fn new(
        memory: &Mapped<Mapping>,
        number: u32,
        out_at: u32,
        back_at: u32,
    ) -> Result<Self, FloorError> {
        let lines = |at| -> Result<Vec<_>, OutOfBounds> {
            (0..number).map(|index| Line::new(memory, at + index * ROTATING_STRIDE)).collect()
        };
        Ok(Self { out: lines(out_at)?, back: lines(back_at)?, mask: number - 1, count: 0 })
    }

    /// Sends seven words that nobody has sent before.
    #[inline]
    pub(super) fn ask(&mut self) -> Result<(), FloorError> {
        let body = self.next_body();
        self.send(&body)
    }

    /// Spins until the answer is there, and checks that it has the words that were sent.
    #[inline]
    pub(super) fn await_answer(&mut self, peer: &mut Peer) -> Result<(), FloorError> {
        let back = &self.back[(self.count & self.mask) as usize];
        let mut patience = Patience::new();
        // Acquire: pairs with the release store in `send` of the other side.
        while back.stamp.load_acquire() != self.count {
            patience.spin(peer)?;
        }
        let mut found = [0; BODY_WORDS];
        back.body.load_words(0, &mut found)?;
        let expected = [self.count; BODY_WORDS];
        if found != expected { Err(wrong(expected[0], found[0])) } else { Ok(()) }
    }

    /// Spins until there is a question.
    #[inline]
    pub(super) fn await_question(&mut self) -> Result<[u32; BODY_WORDS], FloorError> {
        let next = self.count.wrapping_add(1);
        let back = &self.back[(next & self.mask) as usize];
        let mut patience = Patience::new();
        // Acquire: pairs with the release store in `send` of the other side.
        while back.stamp.load_acquire() != next {
            patience.spin_forever();
        }
        let mut body = [0; BODY_WORDS];
        back.body.load_words(0, &mut body)?;
        Ok(body)
    }

    #[inline]
    pub(super) fn send(&mut self, body: &[u32; BODY_WORDS]) -> Result<(), FloorError> {
        self.count = self.count.wrapping_add(1);
        let out = &self.out[(self.count & self.mask) as usize];
        out.body.store_words(0, body)?;
        // Release: the words before are visible with it.
        out.stamp.store_release(self.count);
        Ok(())
    }

    #[inline]
    fn next_body(&self) -> [u32; BODY_WORDS] {
        [self.count.wrapping_add(1); BODY_WORDS]
    }
}

impl Line {
    /// The line at `at`.
    fn new(memory: &Mapped<Mapping>, at: u32) -> Result<Self, OutOfBounds> {
        let span = Span::new(at, LINE_BYTES).expect("lines start at multiples of 64");
        let stamp = span.word(STAMP_AT).expect("inside the line");
        Ok(Self { body: memory.bytes(span)?, stamp: memory.word(stamp)? })
    }
}

fn wrong(expected: u32, found: u32) -> FloorError {
    FloorError::WrongAnswer { expected: expected.into(), found: found.into() }
}
