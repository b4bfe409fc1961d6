//! Calls that are taken back, given up or late: each has one outcome, and both ends say of it what is so.

mod model;
mod seeds;

use crate::host_lane::MAX;
use crate::input::Input;
use knit_lanes::{CallId, HostLane, MonotonicTime, WorkerLane};
use knit_proto::{
    Features, HeaderFields, LaneState, Layout, Region, SLOTS, Stage, WordOffset, journal_index,
};
use knit_ring::{AbortReceiver, HeapMemory, SharedBytes, SharedMemory, SharedWord, create_segment};
use knit_tests::header_fields;
use model::{At, Call, Kind, Made, Model, Places, Words, each};
pub(crate) use seeds::seeds;

/// What can be agreed, by the bits of a nibble.
const FEATURES: [Features; 4] =
    [Features::JOURNAL, Features::WITHDRAW, Features::DEADLINES, Features::STAMPS];

/// How many abort signals a lane can have.
const SIGNALS: [u32; 4] = [32, 0, 8, 40];

/// Somebody writes words that are not his.
const TAMPERS: u8 = 1;
/// The worker runs what it should give back, and gives back what it has begun.
const LIES: u8 = 2;
/// The worker ends without answering what it has.
const DIES: u8 = 4;

/// Features that the host does not offer, those that the worker does not accept; how honest the parties are, and
/// how many abort signals there are; then what both sides do. The host submits calls with and without deadlines,
/// withdraws, aborts, and collects; time passes; the worker takes requests, runs or gives them back.
///
/// Every call has one outcome, which is what was sent for it. A withdrawn one has not been begun, and one that the host
/// was certain of never is. Journal, withdrawn word, deadlines and signals are what the two have stored; what both ends say
/// follows from them, also while somebody else writes there. A false word about withdrawal is the one violation, and
/// the last thing that the host says.
///
/// # Panics
///
/// They do something else.
pub fn withdrawal(input: &[u8]) {
    run(input);
}

fn run(input: &[u8]) -> Model {
    let mut input = Input::new(input);
    let (features, how) = (input.byte(), input.byte());
    let mut lane = Lane::new(features, how);
    input.steps(|input| lane.step(input));
    lane.finish();
    lane.model
}

struct Lane {
    memory: HeapMemory,
    layout: Layout,
    host: HostLane<HeapMemory>,
    worker: WorkerLane<HeapMemory>,
    aborts: AbortReceiver<HeapMemory>,
    journal: <HeapMemory as SharedMemory>::Bytes,
    deadlines: <HeapMemory as SharedMemory>::Bytes,
    model: Model,
    how: u8,
    /// Payloads that were made.
    made: u32,
}

impl Lane {
    fn new(features: u8, how: u8) -> Self {
        let some = |without: u8| {
            let with = FEATURES.iter().enumerate().filter(|(bit, _)| without >> bit & 1 == 0);
            with.fold(Features::NONE, |all, (_, feature)| all.or(*feature))
        };
        let (offered, accepted) = (some(features), some(features >> 4));
        let signals = SIGNALS[usize::from(how >> 3) % SIGNALS.len()];
        let fields = HeaderFields { optional: offered, ..header_fields(0, signals) };
        let layout = Layout::new(fields);
        let memory = HeapMemory::zeroed(layout.len()).expect("some pages");
        create_segment(&memory, &fields).expect("these fields are fine");
        HostLane::announce(&memory, &layout, 1).expect("the layout fits");
        let worker = WorkerLane::open_with(&memory, &layout, MAX, 2, accepted);
        let host = HostLane::connect(&memory, &layout, MAX).expect("an honest worker");
        let host = host.expect("the worker is there");
        assert_eq!(host.features(), offered.and(accepted));
        Self {
            model: Model::new(host.features(), signals),
            host,
            worker: worker.expect("the host is there"),
            aborts: WorkerLane::aborts(&memory, &layout).expect("the layout fits"),
            journal: memory.bytes(layout.journal()).expect("the layout fits"),
            deadlines: memory.bytes(layout.deadlines()).expect("the layout fits"),
            memory,
            layout,
            how,
            made: 0,
        }
    }

    /// One byte says what (by the names of the seeds), and how in its upper half.
    fn step(&mut self, input: &mut Input<'_>) {
        let byte = input.byte();
        let (what, how) = (byte & 15, byte >> 4);
        match what {
            0 => drop(self.submit(how, None)),
            1 => {
                let deadline = time(input);
                self.submit(how, deadline);
            }
            2 => drop((0..=how).all(|_| self.submit(0, None))),
            3 => drop(self.take(how & 1 == 1)),
            4 => drop((0..=how).all(|_| self.take(false))),
            5 | 6 => {
                let lie = what == 6 && self.how & LIES != 0;
                self.answer(input.byte(), how, lie);
            }
            7 => self.withdraw(nth(self.model.in_flight(), input.byte()), false),
            8 => {
                let places = input.word();
                self.withdraw(places, how & 1 == 1);
            }
            9 => {
                let expected = self.model.settle();
                let found = self.host.settle();
                self.named(&found, expected);
            }
            10 => self.abort(input.byte(), how & 1 == 1),
            11 => {
                let now = time(input).unwrap_or(MonotonicTime::from_nanoseconds(0));
                let expected = self.model.expire(now);
                let found = self.host.expire(now);
                self.named(&found, expected);
            }
            12 => drop(self.collect(how & 1 == 1)),
            13 => drop((0..=how).all(|_| self.collect(false))),
            14 => self.look(),
            _ => {
                let (at, value) = (input.byte(), input.word());
                if self.how & TAMPERS != 0 {
                    self.tamper(how, at, value);
                }
            }
        }
        self.hold();
    }

    /// Whether it was submitted.
    fn submit(&mut self, kind: u8, deadline: Option<MonotonicTime>) -> bool {
        let made = self.make(kind);
        let (function, payload) = (made.number as u16, made.payload());
        let submitted = match deadline {
            None => self.host.submit(function, &payload),
            Some(_) => self.host.submit_until(function, &payload, deadline),
        };
        match submitted {
            Ok(submitted) => {
                assert_eq!(self.model.violation, None);
                let entry = self.entry(submitted.call);
                let call =
                    Call { id: submitted.call, made, deadline, at: At::Waiting, begun: false };
                self.model.submit(call, entry);
                true
            }
            Err(refusal) => {
                self.model.refuse(refusal, made, true);
                false
            }
        }
    }

    /// Whether there was a request.
    fn take(&mut self, poll: bool) -> bool {
        let found = if poll { self.worker.poll() } else { self.worker.take() };
        match found.expect("an honest host") {
            Some(request) => {
                self.model.take(&request);
                true
            }
            None => {
                assert!(poll || self.model.waiting() == 0, "a request stays unseen");
                false
            }
        }
    }

    /// The worker ends one of the calls that it has, as the request said, or not.
    fn answer(&mut self, which: u8, kind: u8, lie: bool) {
        let Some(place) = each(nth(self.model.held(), which)).next() else { return };
        let made = self.make(kind);
        let call = self.model.call(place);
        let word = call.id.word();
        let At::Held { withdrawn } = call.at else { unreachable!("the worker has it") };
        self.model.lied |= lie;
        self.model.done(place);
        let (sent, said) = if withdrawn == lie {
            let rejected = kind & 4 != 0;
            (self.worker.respond(word, rejected, &made.payload()), Some((rejected, made)))
        } else {
            (self.worker.respond_withdrawn(word), None)
        };
        match sent {
            Ok(_) => self.model.sent(place, said),
            Err(refusal) => {
                assert!(said.is_some(), "there is room for it always");
                self.model.refuse(refusal, made, false);
            }
        }
    }

    /// Calls in flight, and perhaps some that have ended.
    fn withdraw(&mut self, places: Places, ended: bool) {
        let mut calls = Vec::with_capacity(2 * SLOTS as usize);
        for place in each(places) {
            calls.extend(self.model.calls[place].map(|call| call.id));
            calls.extend(self.model.last[place].filter(|_| ended));
        }
        let expected = self.model.withdraw(places);
        let found = self.host.withdraw(&calls);
        self.named(&found, expected);
    }

    fn abort(&mut self, which: u8, ended: bool) {
        let call = if ended {
            self.model.last[usize::from(which) % self.model.last.len()]
        } else {
            let place = each(nth(self.model.in_flight(), which)).next();
            place.map(|place| self.model.call(place).id)
        };
        let Some(call) = call else { return };
        let expected = !ended && self.model.abort(call.place());
        assert_eq!(self.host.abort(call), expected);
    }

    /// The host looks for an outcome; whether it went on.
    fn collect(&mut self, poll: bool) -> bool {
        let found = if poll { self.host.poll() } else { self.host.take() };
        match found {
            Ok(Some(answer)) => {
                self.model.answer(&answer);
                true
            }
            Ok(None) => {
                assert!(poll || self.model.answered() == 0, "an answer stays unseen");
                assert_eq!(self.model.violation, None);
                false
            }
            Err(violation) => {
                self.model.violate(violation);
                false
            }
        }
    }

    /// Everything that the two can ask without a change.
    fn look(&mut self) {
        match self.host.is_pending() {
            Ok(pending) => assert_eq!(pending, self.model.answered() != 0),
            Err(violation) => assert_eq!(Some(violation), self.model.violation),
        }
        assert_eq!(self.worker.is_pending(), Ok(self.model.waiting() != 0));
        assert_eq!(self.worker.host_state(), Ok(LaneState::Open));
        for place in each(self.model.in_flight()) {
            let id = self.model.call(place).id;
            assert_eq!(self.host.may_have_run(id), self.model.may_have_run(place), "{id:?}");
        }
        for place in each(self.model.held()) {
            let id = self.model.call(place).id;
            assert_eq!(self.worker.deadline(id.word()), self.model.deadline(place), "{id:?}");
            let aborted = self.model.words.aborts >> place & 1 == 1;
            assert_eq!(self.aborts.is_set(place as u16), aborted, "{id:?}");
        }
    }

    /// Somebody stores anything into a word that these features are about.
    fn tamper(&mut self, how: u8, at: u8, value: u32) {
        let place = usize::from(at) % SLOTS as usize;
        let id = self.model.calls[place].map_or(0, |call| call.id.word());
        let words = &mut self.model.words;
        let word = match how & 3 {
            0 => &mut words.journal[place],
            1 => &mut words.withdrawn,
            2 => {
                self.model.loose |= 1 << place;
                &mut words.deadlines[place][usize::from(how >> 3 & 1)]
            }
            _ => match abort_word(&self.layout) {
                Some(_) => &mut words.aborts,
                None => return,
            },
        };
        *word = match how >> 2 {
            // What may stand in a journal.
            0 if how & 3 == 0 => {
                let stages = [Stage::Taken.of_call(id), Stage::Done.of_call(id)];
                let before = self.model.last[place].map(|last| Stage::Done.of_call(last.word()));
                [stages[0], stages[1], before.unwrap_or(0), 0][value as usize % 4]
            }
            0 | 2 => *word ^ 1 << (value % 32),
            _ => value,
        };
        let value = *word;
        let at = match how & 3 {
            0 => self.layout.journal().word(place as u32 * 4),
            1 => Some(self.layout.withdrawn()),
            2 => self.layout.deadlines().word(place as u32 * 8 + (u32::from(how >> 3 & 1)) * 4),
            _ => abort_word(&self.layout),
        };
        self.memory.word(at.expect("inside")).expect("inside").store_relaxed(value);
        self.model.tampered = true;
    }

    /// What was named is what had to be, once, in the order of the places.
    fn named(&self, found: &[CallId], expected: Places) {
        let expected = each(expected).map(|place| self.model.calls[place].map(|call| call.id));
        assert!(found.iter().copied().map(Some).eq(expected), "{found:?}");
    }

    /// What holds between any two steps.
    fn hold(&self) {
        let (host, model) = (&self.host, &self.model);
        assert_eq!(host.in_flight(), model.in_flight().count_ones());
        assert_eq!(host.has_place(), model.in_flight() != Places::MAX);
        assert_eq!(host.poisoned(), model.violation);
        assert_eq!(host.is_withdrawing(), model.asked != 0);
        assert_eq!(host.next_deadline(), model.next_deadline());
        assert_eq!(host.begun().map(|places| places.bits()), model.begun());
        model.hold(self.words());
    }

    /// The words as they stand in memory.
    fn words(&self) -> Words {
        let load = |at: WordOffset| self.memory.word(at).expect("inside").load_relaxed();
        let mut words = Words::ZERO;
        self.journal.load_words(0, &mut words.journal).expect("32 words");
        self.deadlines.load_words(0, words.deadlines.as_flattened_mut()).expect("64 words");
        words.withdrawn = load(self.layout.withdrawn());
        words.aborts = abort_word(&self.layout).map_or(0, load);
        words
    }

    fn entry(&self, call: CallId) -> [u32; 2] {
        let mut entry = [0; 2];
        let at = journal_index(call.word()) as u32 * 8;
        self.deadlines.load_words(at, &mut entry).expect("an entry");
        entry
    }

    fn make(&mut self, kind: u8) -> Made {
        self.made += 1;
        let kind = match kind {
            15 => Kind::TooLong,
            _ => [Kind::Scalar, Kind::Scalar, Kind::Inline, Kind::Arena][usize::from(kind & 3)],
        };
        Made { kind, number: self.made }
    }

    /// The worker ends every call, or dies with them.
    fn finish(&mut self) {
        if self.how & DIES != 0 {
            while self.collect(false) {}
            self.look();
            self.hold();
            return;
        }
        // A turn takes and answers at least one call, or collects one answer.
        for _ in 0..4 * SLOTS {
            if self.model.violation.is_some() || self.model.in_flight() == 0 {
                break;
            }
            while self.take(false) {}
            for _ in each(self.model.held()) {
                self.answer(0, 0, false);
            }
            while self.collect(false) {}
        }
        self.hold();
        let left = self.model.in_flight();
        match self.model.violation {
            // The calls that are left have this for their outcome.
            Some(violation) => assert_eq!(self.host.take().map(drop), Err(violation)),
            None => assert_eq!((left, self.host.is_withdrawing()), (0, false)),
        }
    }
}

/// The word of the first 32 signals.
fn abort_word(layout: &Layout) -> Option<WordOffset> {
    layout.region(Region::AbortBits).word(0)
}

/// The n-th place of a mask, counted round and round.
fn nth(mask: Places, n: u8) -> Places {
    let len = mask.count_ones() as usize;
    let place = (len > 0).then(|| each(mask).nth(usize::from(n) % len)).flatten();
    place.map_or(0, |place| 1 << place)
}

/// A deadline or a moment: few that are near each other, some with a high word, and any.
fn time(input: &mut Input<'_>) -> Option<MonotonicTime> {
    let byte = input.byte();
    let nanoseconds = match byte {
        0 => return None,
        1..128 => byte.into(),
        128..192 => u64::from(byte & 63) << 32 | u64::from(byte),
        _ => input.wide(),
    };
    Some(MonotonicTime::from_nanoseconds(nanoseconds))
}
