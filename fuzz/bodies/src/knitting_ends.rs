//! A worker's ends on the bare lane block of a Knitting host, which writes anything between any two loads.

use crate::corpus::{Seed, of_kind};
use crate::host_lane::{payload, write_payload};
use crate::input::{Input, Output};
use host::Host;
use knit_codec::Payload;
use knit_lanes::SendError;
use knit_lanes::fuzzing::KnittingEnds;
use knit_lanes::knitting::AnswerError;
use knit_proto::{BareLayout, Form, INLINE_BYTES, ProtocolViolation, Region, Tag};
use knit_ring::HeapMemory;
use knit_tests::knitting::Places;
use knit_tests::reference::is_json;
use knit_tests::vector_files::{File, bits, folder, text, words};
use knit_tests::{Accesses, HostileMemory, Noise};

mod host;

/// Abort signals of the lane.
const SIGNALS: u32 = 40;
/// Bytes of each payload region.
const REGION: u32 = 8192;
/// Longest payload in a region, in bytes.
pub(crate) const MAX: u32 = 1600;
/// Words that one step may load or store besides the bytes of a payload.
const STEP: u64 = 64;

/// How many of 256 loads are tampered with, and a script of what they return; then what the worker does, what an
/// honest host does, and what another one writes.
///
/// The worker never panics, takes a bounded number of accesses for each step, loads no word twice in one, and
/// reports requests within the rules alone, all in private memory; the first violation is the last thing that
/// it says. As long as nobody has written what an honest host does not, every request is the one that was posted, every
/// answer is found as it was sent, and nothing is refused for want of room that is there.
///
/// # Panics
///
/// It does something else.
pub fn knitting_ends(bytes: &[u8]) {
    let _ = run(bytes);
}

/// What an input came to.
#[derive(Debug, PartialEq)]
struct Came {
    violation: Option<ProtocolViolation>,
    /// How many requests were taken and how many answers were found, by an honest host.
    honest: (u32, u32),
}

fn run(bytes: &[u8]) -> Came {
    let mut input = Input::new(bytes);
    let rate = input.byte().into();
    let noise = Noise::scripted(input.bytes(), input.wide());
    let places = Places::new(REGION, Some(SIGNALS));
    let memory = HeapMemory::zeroed(places.size).expect("some pages");
    let hostile = HostileMemory::driven(&memory, noise, rate);
    let layout = layout(&places);
    let ends = KnittingEnds::attach(&hostile, &layout, MAX).expect("the layout fits");
    let mut lane = Lane {
        host: Host::new(memory, places),
        hostile,
        ends,
        taken: Vec::new(),
        first: None,
        clean: rate == 0,
        honest: (0, 0),
    };
    let _ = lane.hostile.take_accesses();
    input.steps(|input| lane.step(input));
    lane.finish();
    Came { violation: lane.first, honest: lane.honest }
}

fn layout(places: &Places) -> BareLayout {
    let (aborts, signals) = places.aborts.expect("a lane with signals");
    let [locks, headers, payloads] = [places.locks, places.headers, places.payloads];
    let regions = Region::ALL.map(|region| match region {
        Region::Signals => places.signals,
        Region::RequestSector => locks[0],
        Region::ResponseSector => locks[1],
        Region::RequestSlots => headers[0],
        Region::ResponseSlots => headers[1],
        Region::AbortBits => aborts,
        Region::RequestArena => payloads[0],
        Region::ResponseArena => payloads[1],
    });
    let regions = regions.map(|(at, len)| (at.into(), len.into()));
    BareLayout::new(places.size, regions, signals).expect("the areas are apart")
}

struct Lane {
    host: Host,
    hostile: HostileMemory,
    ends: KnittingEnds<HostileMemory>,
    /// Calls that were taken and not answered.
    taken: Vec<u32>,
    first: Option<ProtocolViolation>,
    /// Nothing was written that an honest host does not write.
    clean: bool,
    honest: (u32, u32),
}

impl Lane {
    fn step(&mut self, input: &mut Input<'_>) {
        let (before, mut size) = (self.first, 0);
        match input.below(11) {
            0 => self.took(false),
            1 => self.took(true),
            2 => {
                let (nth, rejected) = (usize::from(input.byte()), input.flag());
                let payload = payload(input);
                size = payload.len();
                self.answer(nth, rejected, payload);
            }
            3 => return self.sleep(),
            4 | 5 => {
                let (function, abort) = (input.short(), input.byte());
                let abort = Some(u32::from(abort)).filter(|signal| *signal < SIGNALS);
                self.host.post(function, abort, payload(input), self.clean);
            }
            6 => self.collect(),
            7 => {
                let (signal, set) = (u32::from(input.below(SIGNALS as u8)), input.flag());
                self.host.abort(signal, set);
                let aborted = self.ends.is_aborted(signal as u16);
                assert!(!self.clean || aborted == set);
            }
            8 => self.host.roll_back(),
            9 => {
                self.clean = false;
                self.host.tamper(input);
            }
            _ => {
                self.clean = false;
                self.host.forge(input.below(32).into(), std::array::from_fn(|_| input.word()));
            }
        }
        self.hold_accesses(size, before);
    }

    /// The accesses of one step are few, and no word is loaded twice; of a worker that has seen a violation there
    /// are none in mailboxes and arenas.
    fn hold_accesses(&self, payload: usize, before: Option<ProtocolViolation>) {
        let Accesses { loads, stores, twice } = self.hostile.take_accesses();
        let words = payload.max(MAX as usize) as u64 / 4 + STEP;
        assert!(loads <= words && stores <= words, "{loads} loads, {stores} stores");
        assert_eq!(twice, None, "a word is loaded twice");
        if let Some(violation) = before {
            // One look at an abort bit.
            assert!(loads <= 1 && stores == 0, "after {violation}");
        }
    }

    fn took(&mut self, take: bool) {
        let found = if take { self.ends.take() } else { self.ends.poll() };
        let request = match found {
            Ok(request) => request,
            Err(violation) => return self.violated(violation),
        };
        assert!(!self.clean || request.is_some() == self.host.has_posted());
        let Some(request) = request else { return };
        hold_received(&request.payload);
        assert!(request.abort.is_none_or(|signal| u32::from(signal) < SIGNALS));
        if self.clean {
            let signal = request.abort.map(u32::from);
            self.host.was_taken(request.call, request.function, signal, &request.payload);
            self.honest.0 += 1;
        }
        self.taken.push(request.call);
    }

    fn answer(&mut self, nth: usize, rejected: bool, payload: Payload<'static>) {
        if self.taken.is_empty() {
            return;
        }
        let at = nth % self.taken.len();
        let call = self.taken[at];
        let sent = match self.ends.respond(call, rejected, payload.clone()) {
            Ok(sent) => sent,
            Err(refusal) => return hold_unfit(&payload, &refusal),
        };
        match sent {
            Ok(()) => {
                hold_fit(&payload);
                self.taken.swap_remove(at);
                if self.clean {
                    self.host.was_answered(call, rejected, payload);
                }
            }
            Err(SendError::Poisoned(violation)) => self.violated(violation),
            Err(SendError::Full) => {
                assert!(!self.clean || self.host.has_answers(), "there is room");
            }
            Err(SendError::TooLong { len, max }) => {
                let most = max.min(INLINE_BYTES) as usize;
                assert!(len > most && len <= payload.len());
            }
            Err(SendError::Tag(tag)) => assert_eq!(tag, payload.tag()),
            Err(other) => panic!("{other}"),
        }
    }

    /// The look before a sleep loads the wake word again after it.
    fn sleep(&mut self) {
        let found = self.ends.sleep();
        let Accesses { loads, stores, .. } = self.hostile.take_accesses();
        assert!(loads <= STEP && stores <= STEP, "{loads} loads, {stores} stores");
        match found {
            Ok(pending) => assert!(!self.clean || pending == self.host.has_posted()),
            Err(violation) => self.violated(violation),
        }
    }

    fn collect(&mut self) {
        if self.clean {
            self.honest.1 += self.host.collect();
        }
    }

    /// A violation names a clause, and the first one is the only one. An honest host sees none.
    fn violated(&mut self, violation: ProtocolViolation) {
        assert!(!self.clean, "{violation}");
        let text = violation.to_string();
        assert!(text.starts_with(violation.clause().id()) && text.len() < 200, "{text}");
        assert_eq!(*self.first.get_or_insert(violation), violation);
    }

    /// An honest host is told everything.
    fn finish(&mut self) {
        if !self.clean {
            return;
        }
        while self.host.has_posted() {
            self.took(true);
        }
        // A turn answers at least one call.
        while !self.taken.is_empty() {
            self.collect();
            self.answer(0, false, Payload::bare(Tag::NULL));
        }
        self.collect();
        assert!(!self.host.has_answers(), "an answer stays unseen");
    }
}

/// A payload that was received is one that may cross, within the limit.
fn hold_received(payload: &Payload<'static>) {
    assert!(payload.len() <= (MAX + INLINE_BYTES) as usize, "{payload:?}");
    assert!(payload.tag().form().is_some_and(|form| form != Form::Local));
}

/// What was sent does not end the host's drain loop.
fn hold_fit(payload: &Payload<'_>) {
    let (tag, bytes) = (payload.tag(), payload.as_bytes());
    assert!(tag.form().is_some_and(|form| form != Form::Local), "{payload:?}");
    assert_ne!(tag, Tag::SHARED_BUFFER);
    let (head, _) = bytes.split_at_checked(payload.head_len() as usize).expect("a head inside");
    // By its grammar: JavaScript takes numbers that are out of range, unpaired surrogates and any depth.
    let json =
        |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(|text| is_json(text, usize::MAX));
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
    let fits = match tag.0 {
        11 | 15 | 26 | 27 => text(bytes),
        12 | 16 | 24 => json(bytes),
        19 | 31 => bytes.len() % 4 == 0,
        20..=22 | 32..=34 | 53 | 54 => bytes.len() % 8 == 0,
        28 | 29 => bytes.first().is_some_and(|sign| *sign < 2),
        40 | 41 | 49 | 50 => json(head),
        42 | 43 | 51 | 52 => text(head),
        _ => true,
    };
    assert!(fits, "{payload:?}");
}

/// What is refused is a buffer, or broken.
fn hold_unfit(payload: &Payload<'_>, refusal: &AnswerError) {
    match refusal {
        AnswerError::Buffer => assert!(matches!(payload.tag().0, 44..=46 | 49..=52)),
        AnswerError::Malformed { tag } => {
            assert_eq!(*tag, payload.tag());
            // These have no wrong bytes.
            assert!(!matches!(tag.0, 2..=6 | 9 | 10 | 17 | 18 | 23 | 25 | 35..=39), "{payload:?}");
        }
        other => panic!("{other}"),
    }
}

/// The scripts of the traces, as far as they are about calls, the header lines, and the toggle words that are
/// refused.
pub(crate) fn seeds() -> Vec<Seed> {
    let traces = folder("trace");
    let lines = of_kind("slot");
    let words = [of_kind("receiver"), of_kind("arena")].concat();
    let lines = lines.iter().filter_map(of_line);
    traces.iter().filter_map(of_trace).chain(lines).chain(words.iter().map(of_words)).collect()
}

/// The start of an input without tampering.
fn start() -> Output {
    let mut output = Output::default();
    output.byte(0).bytes(&[]).wide(0);
    output
}

fn of_trace(file: &File) -> Option<Seed> {
    let mut output = start();
    let mut steps = 0;
    for step in file.json["script"].as_array()? {
        match text(step, "do") {
            "submit" => {
                output.byte(4).short(step["function"].as_u64()? as u16).byte(u8::MAX);
                write_payload(&step["payload"], &mut output);
            }
            "serve" => drop(output.byte(1)),
            "answer" => {
                output.byte(2).byte(0).byte((step["rejected"] == true).into());
                write_payload(&step["payload"], &mut output);
            }
            "collect" => drop(output.byte(6)),
            "look" => drop(output.byte(3)),
            // Withdrawals among them: no lane of this target offers them, and deadlines are not told.
            _ => continue,
        }
        steps += 1;
    }
    (steps > 0).then(|| Seed::of_vector(file, output.done()))
}

/// The header line of a request is published.
fn of_line(file: &File) -> Option<Seed> {
    if text(&file.json, "direction") != "request" {
        return None;
    }
    let line = words::<16>(&file.json, "bytes");
    let mut output = start();
    output.byte(10).byte(0).words(&line[..8]).byte(1);
    Some(Seed::of_vector(file, output.done()))
}

/// The peer's word is stored into the mailbox or the arena of a worker that has sent some answers.
fn of_words(file: &File) -> Seed {
    let json = &file.json;
    let (which, name) = match text(json, "kind") {
        "receiver" => (0, "publish"),
        _ => (7, "free"),
    };
    let mut output = start();
    for _ in 0..4 {
        output.byte(4).short(0).byte(u8::MAX).byte(10).byte(1);
    }
    let answer = |output: &mut Output| {
        output.byte(2).byte(0).byte(0).byte(17).bytes(&[7; 8]);
    };
    (0..3).for_each(|_| answer(&mut output));
    output.byte(9).byte(which).word(bits(json, name)).byte(1);
    answer(&mut output);
    Seed::of_vector(file, output.byte(3).done())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_of_the_traces_are_calls_of_an_honest_host() {
        let mut honest = (0, 0);
        for file in folder("trace") {
            let Some(seed) = of_trace(&file) else { continue };
            let came = run(&seed.bytes);
            assert_eq!(came.violation, None, "{}", seed.name);
            honest = (honest.0 + came.honest.0, honest.1 + came.honest.1);
        }
        println!("{honest:?} requests and answers");
        assert!(honest.0 > 10 && honest.1 > 10, "{honest:?}");
    }

    /// Seeds that show nothing are none.
    #[test]
    fn what_the_vectors_reject_is_seen_by_the_worker() {
        let mut shown = 0;
        for kind in ["slot", "receiver", "arena"] {
            for file in of_kind(kind).iter().filter(|file| file.json["error"].is_string()) {
                let seed = if kind == "slot" { of_line(file) } else { Some(of_words(file)) };
                let Some(seed) = seed else { continue };
                // Limits and toggle words of the vector may be within those of this lane.
                match run(&seed.bytes).violation {
                    Some(found) if found.name() == text(&file.json, "error") => shown += 1,
                    found => println!("{}: {found:?}", file.path),
                }
            }
        }
        println!("{shown} of them are shown");
        assert!(shown > 50, "{shown}");
    }
}
