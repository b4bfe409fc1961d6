//! What both ends of a lane know of its calls, and what stands in the extension, as plain values.
//!
//! The words are kept as they stand in memory, whoever wrote them last. What an end says follows from them by the rules of
//! `spec/lanes.md`; where nobody has written what is not his, it must be the truth as well.

use crate::host_lane::MAX;
use knit_codec::Payload;
use knit_lanes::{Answer, CallId, MonotonicTime, Request, SendError};
use knit_proto::{Features, ProtocolViolation, SLOTS, Tag};

const PLACES: usize = SLOTS as usize;

/// Places as bits.
pub(super) type Places = u32;

/// The places of a mask, the least first.
pub(super) fn each(mask: Places) -> impl Iterator<Item = usize> {
    let mut left = mask;
    std::iter::from_fn(move || {
        let place = (left != 0).then(|| left.trailing_zeros() as usize)?;
        left &= left - 1;
        Some(place)
    })
}

/// A payload that is told from every other one of its kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) kind: Kind,
    pub(super) number: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar,
    Inline,
    /// Two of them fit an arena.
    Arena,
    TooLong,
}

impl Made {
    pub(super) fn payload(self) -> Payload<'static> {
        let bytes = self.number.to_le_bytes();
        match self.kind {
            Kind::Scalar => Payload::scalar(Tag::NUMBER, self.number.into()),
            Kind::Inline => Payload::bytes(Tag::BYTES_INLINE, bytes.to_vec()),
            Kind::Arena => Payload::bytes(Tag::BYTES_ARENA, vec![bytes[0]; MAX as usize]),
            Kind::TooLong => Payload::bytes(Tag::BYTES_ARENA, vec![0; MAX as usize + 1]),
        }
    }
}

/// Where a call in flight is.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    /// The worker has not taken it.
    Waiting,
    /// The worker has it, and was told whether it is withdrawn.
    Held { withdrawn: bool },
    /// Its answer is under way; `None` says withdrawn.
    Answered(Option<(bool, Made)>),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) id: CallId,
    pub(super) made: Made,
    pub(super) deadline: Option<MonotonicTime>,
    pub(super) at: At,
    /// The worker has taken it, and was not told that it is withdrawn.
    pub(super) begun: bool,
}

/// The words of the extension and of the abort signals that these features are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) journal: [u32; PLACES],
    pub(super) withdrawn: Places,
    pub(super) deadlines: [[u32; 2]; PLACES],
    pub(super) aborts: Places,
}

impl Words {
    pub(super) const ZERO: Self =
        Self { journal: [0; PLACES], withdrawn: 0, deadlines: [[0; 2]; PLACES], aborts: 0 };
}

pub(super) struct Model {
    journal: bool,
    withdraw: bool,
    deadlines: bool,
    /// Places that have an abort signal.
    signals: Places,
    pub(super) calls: [Option<Call>; PLACES],
    /// Of the calls in flight, those that wait, and those that the worker has.
    in_flight: Places,
    waiting: Places,
    held: Places,
    /// The call that was in each place last.
    pub(super) last: [Option<CallId>; PLACES],
    /// Withdrawn and not answered, and those of them that the host said are not run.
    pub(super) asked: Places,
    certain: Places,
    aborted: Places,
    /// With a deadline that has not come.
    timed: Places,
    pub(super) words: Words,
    /// Entries of deadlines that the host may leave as they are when the next call there has none.
    pub(super) loose: Places,
    /// Somebody has written words that are not his.
    pub(super) tampered: bool,
    /// The worker has not done what the request said.
    pub(super) lied: bool,
    pub(super) violation: Option<ProtocolViolation>,
    pub(super) submitted: u32,
    pub(super) ended: u32,
}

impl Model {
    pub(super) fn new(agreed: Features, signals: u32) -> Self {
        Self {
            journal: agreed.contains(Features::JOURNAL),
            withdraw: agreed.contains(Features::WITHDRAW),
            deadlines: agreed.contains(Features::DEADLINES),
            signals: 1_u32.checked_shl(signals).map_or(Places::MAX, |above| above - 1),
            calls: [None; PLACES],
            in_flight: 0,
            waiting: 0,
            held: 0,
            last: [None; PLACES],
            asked: 0,
            certain: 0,
            aborted: 0,
            timed: 0,
            words: Words::ZERO,
            loose: 0,
            tampered: false,
            lied: false,
            violation: None,
            submitted: 0,
            ended: 0,
        }
    }

    pub(super) fn in_flight(&self) -> Places {
        self.in_flight
    }

    pub(super) fn held(&self) -> Places {
        self.held
    }

    pub(super) fn waiting(&self) -> Places {
        self.waiting
    }

    pub(super) fn answered(&self) -> Places {
        self.in_flight & !self.waiting & !self.held
    }

    /// The places of the calls in flight of which this is true.
    fn which(&self, is: impl Fn(&Call) -> bool) -> Places {
        let calls = each(self.in_flight).filter_map(|place| Some((place, self.calls[place]?)));
        calls.fold(0, |mask, (place, call)| mask | u32::from(is(&call)) << place)
    }

    pub(super) fn call(&mut self, place: usize) -> &mut Call {
        self.calls[place].as_mut().expect("a call in flight")
    }

    /// LANE-33, LANE-46. `entry` is what stands in the call's entry now.
    pub(super) fn submit(&mut self, call: Call, entry: [u32; 2]) {
        let place = call.id.place();
        assert!(self.calls[place].is_none(), "two calls in place {place}");
        assert!(self.last[place].is_none_or(|last| last.word() < call.id.word()), "an old id");
        if self.deadlines {
            let stated = entry == MonotonicTime::words(call.deadline);
            let loose = call.deadline.is_none() && self.loose >> place & 1 == 1;
            assert!(stated || loose, "{entry:?} for {:?}", call.deadline);
            self.words.deadlines[place] = entry;
            self.loose &= !(u32::from(call.deadline.is_some()) << place);
        }
        self.timed |= u32::from(call.deadline.is_some()) << place;
        self.calls[place] = Some(call);
        self.in_flight |= 1 << place;
        self.waiting |= 1 << place;
        self.submitted += 1;
    }

    /// LANE-34, LANE-39: a request is a call as it was submitted, once.
    pub(super) fn take(&mut self, request: &Request) {
        let place = request.call as usize % PLACES;
        let bit = 1 << place;
        let withdrawn = self.withdraw && self.words.withdrawn & bit != 0;
        let signal = (self.signals & bit != 0).then_some(place as u16);
        let (tampered, asked) = (self.tampered, self.asked & bit != 0);
        let certain = self.certain & bit != 0;
        let call = self.call(place);
        assert!(matches!(call.at, At::Waiting), "taken twice");
        assert_eq!((request.call, request.function), (call.id.word(), call.made.number as u16));
        assert_eq!(request.payload, call.made.payload());
        assert_eq!((request.withdrawn, request.abort), (withdrawn, signal));
        assert!(tampered || withdrawn == asked, "asked: {asked}");
        assert!(tampered || !certain || withdrawn, "it was said that it does not run");
        call.at = At::Held { withdrawn };
        call.begun = !withdrawn;
        self.waiting &= !bit;
        self.held |= bit;
        self.note(place, 1);
    }

    /// The worker's answer is under way.
    pub(super) fn sent(&mut self, place: usize, said: Option<(bool, Made)>) {
        self.call(place).at = At::Answered(said);
        self.held &= !(1 << place);
    }

    /// LANE-35: the worker is about to answer.
    pub(super) fn done(&mut self, place: usize) {
        self.note(place, 2);
    }

    fn note(&mut self, place: usize, stage: u32) {
        if self.journal {
            self.words.journal[place] = self.call(place).id.word() / SLOTS * SLOTS + stage;
        }
    }

    /// LANE-38, LANE-41: what the host names when it withdraws these calls.
    pub(super) fn withdraw(&mut self, places: Places) -> Places {
        if self.can_withdraw() {
            self.asked |= places & self.in_flight();
            self.words.withdrawn = self.asked;
        }
        self.settle()
    }

    pub(super) fn settle(&mut self) -> Places {
        let taken = |call: &Call| call.id.word() / SLOTS * SLOTS + 1;
        let is_open = |call: &Call| self.words.journal[call.id.place()] == taken(call);
        if !self.can_withdraw() || self.which(is_open) == 0 {
            return 0;
        }
        let settled = self.asked & !self.certain & self.untouched();
        assert!(self.tampered || settled & !self.waiting() == 0, "they may run");
        self.certain |= settled;
        settled
    }

    fn can_withdraw(&self) -> bool {
        self.journal && self.withdraw && self.violation.is_none()
    }

    /// What the host knows that the worker has begun.
    pub(super) fn begun(&self) -> Option<Places> {
        self.can_withdraw().then(|| self.in_flight() & !self.untouched())
    }

    /// Calls in flight whose journal word is still that of the call before. LANE-36.
    fn untouched(&self) -> Places {
        self.which(|call| {
            let place = call.id.place();
            let before = self.last[place].map_or(0, |last| last.word() / SLOTS * SLOTS + 2);
            self.words.journal[place] == before
        })
    }

    /// LANE-36: of a call in flight.
    pub(super) fn may_have_run(&self, place: usize) -> bool {
        let known = self.journal && self.violation.is_none();
        let untouched = (self.untouched() >> place & 1) == 1;
        assert!(!known || self.tampered || untouched == (self.waiting() >> place & 1 == 1));
        assert!(
            !known || self.tampered || self.certain >> place & 1 == 0 || !self.has_begun(place)
        );
        !(known && untouched)
    }

    fn has_begun(&self, place: usize) -> bool {
        self.calls[place].is_some_and(|call| call.begun)
    }

    /// Whether the worker is told of it. LANE-17.
    pub(super) fn abort(&mut self, place: usize) -> bool {
        let can = self.violation.is_none() && self.signals >> place & 1 == 1;
        if can && self.calls[place].is_some() {
            self.aborted |= 1 << place;
            self.words.aborts = self.aborted;
            return true;
        }
        false
    }

    pub(super) fn next_deadline(&self) -> Option<MonotonicTime> {
        each(self.timed).filter_map(|place| self.calls[place]?.deadline).min()
    }

    /// The calls whose time is over.
    pub(super) fn expire(&mut self, now: MonotonicTime) -> Places {
        let is_over = |call: &Call| call.deadline.is_some_and(|deadline| deadline <= now);
        let over = self.timed & self.which(is_over);
        self.timed &= !over;
        for place in each(over) {
            // A lane may have no signal for it: its time is over all the same.
            let _ = self.abort(place);
        }
        over
    }

    /// What the worker is told of the time that a call has. LANE-47.
    pub(super) fn deadline(&self, place: usize) -> Option<MonotonicTime> {
        if !self.deadlines {
            return None;
        }
        let [low, high] = self.words.deadlines[place];
        let told = MonotonicTime::from_words(low, high);
        assert!(self.tampered || told == self.calls[place].and_then(|call| call.deadline));
        told
    }

    /// The one outcome of a call: what was sent for it.
    pub(super) fn answer(&mut self, answer: &Answer) {
        assert_eq!(self.violation, None);
        let place = answer.call.place();
        let call = self.calls[place].expect("an outcome of no call");
        let At::Answered(said) = call.at else { panic!("nothing was sent for {call:?}") };
        assert_eq!((answer.call, answer.withdrawn), (call.id, said.is_none()));
        match said {
            Some((rejected, made)) => {
                assert_eq!((answer.rejected, &answer.payload), (rejected, &made.payload()));
            }
            None => {
                assert!(!answer.rejected && answer.payload == Payload::bare(Tag::UNDEFINED));
            }
        }
        assert!(!self.is_false(place, said.is_none()), "a false word is believed: {call:?}");
        let honest = !self.tampered && !self.lied;
        assert!(!honest || answer.withdrawn != call.begun, "{call:?}");
        self.end(place);
    }

    /// LANE-39: whether what an answer says of withdrawal is what no worker may say.
    fn is_false(&self, place: usize, says: bool) -> bool {
        let mask = if says { !self.asked } else { self.certain };
        mask >> place & 1 == 1
    }

    /// The call is in flight no more, and the host takes back what it had said of it. LANE-23, LANE-42.
    fn end(&mut self, place: usize) {
        let bit = 1 << place;
        self.in_flight &= !bit;
        self.last[place] = self.calls[place].take().map(|call| call.id);
        self.ended += 1;
        self.timed &= !bit;
        if self.aborted & bit != 0 {
            self.aborted &= !bit;
            self.words.aborts = self.aborted;
        }
        if self.asked & bit != 0 {
            self.asked &= !bit;
            self.words.withdrawn = self.asked;
        }
        self.certain &= !bit;
    }

    /// The host has seen a violation: the first one has its reason, and is the only one.
    pub(super) fn violate(&mut self, violation: ProtocolViolation) {
        if let Some(first) = self.violation {
            assert_eq!(violation, first);
            return;
        }
        assert!(self.tampered || self.lied, "{violation}");
        match violation {
            ProtocolViolation::Withdrawn { call, says, .. } => {
                assert!(self.withdraw, "{violation}");
                let place = call as usize % PLACES;
                let found = *self.call(place);
                assert_eq!(found.id.word(), call);
                assert!(matches!(found.at, At::Answered(said) if said.is_none() == says));
                assert!(self.is_false(place, says), "{violation}: {found:?}");
                self.end(place);
            }
            // MBX-5: without the feature there is no such answer.
            ProtocolViolation::AnswerFlags { flags: 2, .. } => {
                assert!(!self.withdraw);
                assert_ne!(self.which(|call| matches!(call.at, At::Answered(None))), 0);
            }
            other => panic!("{other}"),
        }
        self.violation = Some(violation);
    }

    /// A refusal of the host or of its worker has its reason.
    pub(super) fn refuse(&self, refusal: SendError, made: Made, host: bool) {
        let in_arena = self.which(|call| match call.at {
            At::Waiting => host && call.made.kind == Kind::Arena,
            At::Answered(Some((_, made))) => !host && made.kind == Kind::Arena,
            _ => false,
        });
        let holds = match refusal {
            SendError::Poisoned(violation) => host && self.violation == Some(violation),
            SendError::Full if made.kind == Kind::Arena && in_arena != 0 => true,
            SendError::Full => host && self.in_flight() == Places::MAX,
            SendError::TooLong { .. } => made.kind == Kind::TooLong,
            _ => false,
        };
        assert!(holds, "{refusal}: {made:?}, {in_arena:#x} in the arena");
    }

    /// What stands in memory is what these ends have stored there. What stands in entries of no call is nobody's.
    pub(super) fn hold(&self, mut words: Words) {
        for place in each(!self.in_flight()).filter(|_| self.deadlines) {
            words.deadlines[place] = self.words.deadlines[place];
        }
        assert_eq!(words, self.words);
        assert_eq!(self.submitted, self.ended + self.in_flight().count_ones());
    }
}
