//! Calls through a lane: each has one outcome, and its own.

use crate::corpus::{Seed, of_kind};
use crate::input::{Input, Output};
use knit_codec::Payload;
use knit_lanes::{HostLane, SendError, WorkerLane};
use knit_proto::{
    Features, Form, HeaderFields, INLINE_BYTES, Layout, ProtocolViolation, SLOTS, Tag,
};
use knit_ring::{HeapMemory, create_segment};
use knit_tests::header_fields;
use knit_tests::vector_files::{File, bytes, folder, text, word};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The payload limit of both ends, in bytes: two of them fit an arena.
pub(crate) const MAX: u32 = 1600;

/// Whether slots are stamped; then what the two sides do. The host submits and collects; the worker takes
/// requests, answers those that it has taken, and sends answers nobody asked for.
///
/// Every call that was submitted has exactly one outcome, which is one that was sent for it, or is in flight
/// until the end; every request is a call as it was submitted. A refusal has its reason. An answer to no call is
/// the one violation, and the last thing that the host says.
///
/// # Panics
///
/// They do something else.
pub fn host_lane(input: &[u8]) {
    let mut input = Input::new(input);
    let mut lane = Lane::new(input.flag());
    input.steps(|input| lane.step(input));
    lane.finish();
}

/// An answer that was sent.
type Sent = (bool, Payload<'static>);

struct Lane {
    host: HostLane<HeapMemory>,
    worker: WorkerLane<HeapMemory>,
    /// Calls without an outcome: what was submitted, and whether the worker has it.
    in_flight: BTreeMap<u32, (u16, Payload<'static>, bool)>,
    /// Calls that the worker has taken and not answered.
    taken: Vec<u32>,
    /// Answers that were sent and not collected, by call.
    sent: BTreeMap<u32, Vec<Sent>>,
    submitted: u64,
    /// Requests that the worker has not taken.
    untaken: usize,
    outcomes: u64,
    violation: Option<ProtocolViolation>,
}

impl Lane {
    fn new(plain: bool) -> Self {
        let optional = if plain { Features::NONE } else { Features::SUPPORTED };
        let fields = HeaderFields { optional, ..header_fields(0, 0) };
        let layout = Layout::new(fields);
        let memory = HeapMemory::zeroed(layout.len()).expect("some pages");
        create_segment(&memory, &fields).expect("these fields are fine");
        HostLane::announce(&memory, &layout, 1).expect("the layout fits");
        let worker = WorkerLane::open(&memory, &layout, MAX, 2).expect("the host is there");
        let host = HostLane::connect(&memory, &layout, MAX).expect("an honest worker");
        Self {
            host: host.expect("the worker is there"),
            worker,
            in_flight: BTreeMap::new(),
            taken: Vec::new(),
            sent: BTreeMap::new(),
            submitted: 0,
            untaken: 0,
            outcomes: 0,
            violation: None,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(8) {
            0 | 1 => {
                let function = input.short();
                self.submit(function, payload(input));
            }
            2 => self.serve(),
            3 => {
                let nth = usize::from(input.byte());
                let (rejected, payload) = (input.flag(), payload(input));
                if !self.taken.is_empty() {
                    let nth = nth % self.taken.len();
                    if self.answer(self.taken[nth], rejected, payload) {
                        self.taken.swap_remove(nth);
                    }
                }
            }
            4 => drop(self.collect(true)),
            5 => drop(self.collect(false)),
            6 => match self.host.is_pending() {
                Ok(pending) => assert_eq!(pending, !self.sent.is_empty()),
                Err(violation) => assert_eq!(Some(violation), self.violation),
            },
            // An answer nobody waits for, or not yet.
            _ => {
                let call = match self.in_flight.keys().nth(usize::from(input.byte())) {
                    Some(call) if input.flag() => *call,
                    _ => input.word(),
                };
                self.answer(call, false, Payload::bare(Tag::NULL));
            }
        }
        assert_eq!(self.host.in_flight() as usize, self.in_flight.len());
        assert_eq!(self.host.poisoned(), self.violation);
        assert_eq!(self.submitted, self.outcomes + self.in_flight.len() as u64);
    }

    fn submit(&mut self, function: u16, payload: Payload<'static>) {
        match self.host.submit(function, &payload) {
            Ok(submitted) => {
                assert_eq!(self.violation, None);
                hold_sendable(&payload);
                let known =
                    self.in_flight.insert(submitted.call.word(), (function, payload, false));
                assert!(known.is_none(), "two calls have the id {:#x}", submitted.call.word());
                self.submitted += 1;
                self.untaken += 1;
            }
            // A call that was answered before it was taken still has its slot.
            Err(refusal) => {
                let waiting = self.untaken.max(self.in_flight.len());
                self.hold_refusal(refusal, &payload, waiting, true);
            }
        }
    }

    /// The worker takes a request: a call as it was submitted, and each one once.
    fn serve(&mut self) {
        let found = self.worker.take().expect("an honest host");
        let Some(request) = found else {
            let waiting = self.in_flight.values().filter(|(_, _, taken)| !taken).count();
            assert_eq!((waiting, self.untaken), (0, 0), "a request stays unseen");
            return;
        };
        self.untaken -= 1;
        // A call that was answered before it was taken has had its outcome.
        if let Some((function, payload, taken)) = self.in_flight.get_mut(&request.call) {
            assert_eq!((request.function, &request.payload), (*function, &*payload));
            assert!(!std::mem::replace(taken, true), "taken twice");
        }
        self.taken.push(request.call);
    }

    /// Whether the answer was sent.
    fn answer(&mut self, call: u32, rejected: bool, payload: Payload<'static>) -> bool {
        let waiting: usize = self.sent.values().map(Vec::len).sum();
        match self.worker.respond(call, rejected, &payload) {
            Ok(_) => {
                hold_sendable(&payload);
                self.sent.entry(call).or_default().push((rejected, payload));
                true
            }
            Err(refusal) => {
                self.hold_refusal(refusal, &payload, waiting, false);
                false
            }
        }
    }

    /// A refusal has its reason.
    fn hold_refusal(&self, refusal: SendError, payload: &Payload<'_>, waiting: usize, host: bool) {
        let form = payload.tag().form();
        let in_arena = matches!(form, Some(Form::Arena | Form::InlineHead | Form::ArenaHead));
        let len = match form {
            Some(Form::InlineHead) => payload.head_len() as usize,
            _ => payload.len(),
        };
        let inline = matches!(form, Some(Form::Inline | Form::InlineHead));
        let holds = match refusal {
            SendError::Poisoned(violation) => host && self.violation == Some(violation),
            SendError::Tag(tag) => tag == payload.tag() && matches!(form, None | Some(Form::Local)),
            SendError::TooLong { len: found, max } => {
                let over_all = found == payload.len() && found > MAX as usize && max == MAX;
                over_all || inline && found == len && found > INLINE_BYTES as usize
            }
            // Every slot, or no room for a payload that needs some.
            SendError::Full => waiting >= SLOTS as usize || in_arena && waiting > 0,
            _ => false,
        };
        assert!(holds, "{refusal}: {payload:?}, {waiting} under way");
    }

    /// The host looks for an answer; whether it went on.
    fn collect(&mut self, take: bool) -> bool {
        let found = if take { self.host.take() } else { self.host.poll() };
        match found {
            Ok(None) => {
                assert_eq!(self.violation, None);
                assert!(!take || self.sent.is_empty(), "an answer stays unseen");
                false
            }
            Ok(Some(answer)) => {
                assert_eq!(self.violation, None);
                let call = answer.call.word();
                assert!(self.in_flight.remove(&call).is_some(), "an outcome of no call");
                self.outcomes += 1;
                self.received(call, Some((answer.rejected, answer.payload)));
                true
            }
            Err(violation) => {
                if self.violation.is_none() {
                    let ProtocolViolation::UnknownCall { call, .. } = violation else {
                        panic!("{violation}");
                    };
                    assert!(!self.in_flight.contains_key(&call), "the call is in flight");
                    self.received(call, None);
                }
                assert_eq!(*self.violation.get_or_insert(violation), violation);
                false
            }
        }
    }

    /// One of the answers that were sent for `call` has arrived.
    fn received(&mut self, call: u32, found: Option<Sent>) {
        let sent = self.sent.get_mut(&call).expect("nothing was sent for this call");
        let at = match found {
            Some(found) => sent.iter().position(|sent| *sent == found),
            None => Some(0),
        };
        sent.swap_remove(at.expect("what arrives is not what was sent"));
        if sent.is_empty() {
            self.sent.remove(&call);
        }
    }

    /// Everything that is left is answered and collected.
    fn finish(&mut self) {
        // A turn takes and answers at least one call, or collects one answer.
        for _ in 0..4 * SLOTS {
            if self.violation.is_some() || self.in_flight.is_empty() {
                break;
            }
            while self.collect(true) {}
            while self.in_flight.values().any(|(_, _, taken)| !taken) {
                self.serve();
            }
            while let Some(call) = self.taken.pop() {
                if !self.answer(call, false, Payload::bare(Tag::NULL)) {
                    self.taken.push(call);
                    break;
                }
            }
        }
        let left = self.in_flight.len();
        assert!(self.violation.is_some() || left == 0, "{left} calls without an outcome");
        if let Some(violation) = self.violation {
            // The calls that are left have this for their outcome.
            assert_eq!(self.host.take().map(drop), Err(violation));
            assert_eq!(self.host.in_flight() as usize, left);
        }
    }
}

/// What was sent may be sent. PAY-5: the limit is for what is in the arena.
pub(crate) fn hold_sendable(payload: &Payload<'_>) {
    let form = payload.tag().form();
    assert!(!matches!(form, None | Some(Form::Local)), "{payload:?}");
    let inline = if form == Some(Form::InlineHead) { payload.head_len() as usize } else { 0 };
    assert!(
        inline <= INLINE_BYTES as usize && payload.len() - inline <= MAX as usize,
        "{payload:?}"
    );
}

/// A payload of any tag, with bytes as its form has them.
pub(crate) fn payload(input: &mut Input<'_>) -> Payload<'static> {
    let tag = match input.byte() {
        u8::MAX => Tag(input.word()),
        tag => Tag(tag.into()),
    };
    match tag.form() {
        None | Some(Form::Bare | Form::Local) => Payload::bare(tag),
        Some(Form::Scalar) => Payload::scalar(tag, input.wide()),
        Some(Form::Inline | Form::Arena) => Payload::bytes(tag, input.bytes()),
        Some(Form::InlineHead | Form::ArenaHead) => {
            let head = input.short().into();
            Payload::two_parts(tag, input.bytes().into(), head)
        }
    }
}

/// The payload of a step of a trace, as [`payload`] reads it.
pub(crate) fn write_payload(json: &Json, output: &mut Output) {
    let tag = json["tag"].as_u64().and_then(|tag| u8::try_from(tag).ok()).expect("an assigned tag");
    output.byte(tag);
    let bytes: Vec<u8> = match json["hex"].as_str() {
        Some(_) => bytes(json, "hex"),
        None => Vec::new(),
    };
    match Tag(tag.into()).form() {
        Some(Form::Scalar) => {
            let bits = json["scalar"].as_str().and_then(|hex| u64::from_str_radix(hex, 16).ok());
            output.wide(bits.expect("sixteen digits"));
        }
        Some(Form::Inline | Form::Arena) => drop(output.bytes(&bytes)),
        Some(Form::InlineHead | Form::ArenaHead) => {
            let head = json["head"].as_u64().and_then(|head| u16::try_from(head).ok());
            output.short(head.expect("a short one")).bytes(&bytes);
        }
        _ => {}
    }
}

/// The scripts of the traces, as far as they are about calls, and the answers that are refused.
pub(crate) fn seeds() -> Vec<Seed> {
    let traces = folder("trace");
    traces.iter().filter_map(of_trace).chain(of_kind("answer").iter().map(of_refusal)).collect()
}

fn of_trace(file: &File) -> Option<Seed> {
    let mut output = Output::default();
    output.byte(0);
    let mut steps = 0;
    for step in file.json["script"].as_array()? {
        match text(step, "do") {
            "submit" => {
                output.byte(0).short(step["function"].as_u64()? as u16);
                write_payload(&step["payload"], &mut output);
            }
            "serve" => drop(output.byte(2)),
            "answer" => {
                output.byte(3).byte(0).byte((step["rejected"] == true).into());
                write_payload(&step["payload"], &mut output);
            }
            "collect" => drop(output.byte(4)),
            "look" => drop(output.byte(6)),
            // Withdrawals among them: no lane of this target offers them, and deadlines are not told.
            _ => continue,
        }
        steps += 1;
    }
    (steps > 0).then(|| Seed::of_vector(file, output.done()))
}

fn of_refusal(file: &File) -> Seed {
    let mut output = Output::default();
    output.byte(0);
    // As many calls as the vector has in flight; their ids are another matter.
    for _ in file.json["in_flight"].as_array().into_iter().flatten() {
        output.byte(0).short(0).byte(5);
    }
    let call = word(&file.json, "call");
    Seed::of_vector(file, output.byte(7).byte(u8::MAX).word(call).byte(4).done())
}
