//! Either end of a lane, while its peer writes anything between any two loads.

use crate::corpus::{Seed, of_kind};
use crate::host_lane::{MAX, hold_sendable, payload, write_payload};
use crate::input::{Input, Output};
use knit_codec::Payload;
use knit_lanes::{HostLane, LaneError, SendError, WorkerLane};
use knit_proto::{
    Direction, Features, Form, HEADER_LINE_AT, HeaderFields, Layout, ProtocolViolation,
    SLOT_STRIDE, SLOTS, STAMP_AT, WordOffset,
};
use knit_ring::{
    HeapMemory, SharedBytes, SharedMemory, SharedWord, attach_segment, create_segment,
};
use knit_tests::vector_files::{File, bits, folder, text, words};
use knit_tests::{Accesses, HostileMemory, Noise, header_fields};
use std::collections::BTreeSet;

/// Abort signals of the lane.
const SIGNALS: u32 = 40;

/// Words that one step may load or store besides the bytes of a payload: two looks at toggle words, a header
/// line, a control line, flags.
const STEP: u64 = 64;

/// Who is watched and whether slots are stamped; how many of 256 loads are tampered with, and a script of what
/// they return; then what the party under watch does, what an honest peer does, and what another one writes.
///
/// The party never panics and takes a bounded number of accesses for each step, loads no word twice in one, and
/// reports nothing but answers to its own calls, or requests within the rules, all in private memory; the
/// first violation is the last thing that it says, and from then on it leaves the segment alone. All other calls
/// stay accounted for.
///
/// # Panics
///
/// It does something else.
pub fn segment(bytes: &[u8]) {
    let _ = run(bytes);
}

/// The violation that the party under watch has seen.
fn run(bytes: &[u8]) -> Option<ProtocolViolation> {
    let mut input = Input::new(bytes);
    let how = input.byte();
    let (rate, early) = (input.byte().into(), how & 4 != 0);
    let noise = Noise::scripted(input.bytes(), input.wide());
    let mut fields = header_fields(0, SIGNALS);
    if how & 2 != 0 {
        fields.optional = Features::NONE;
    }
    let stage = Stage::new(&fields, noise, if early { rate } else { 0 })?;
    if how & 1 == 0 {
        watch_host(&stage, rate, &mut input)
    } else {
        watch_worker(&stage, rate, &mut input)
    }
}

/// The segment, as it is and as the party under watch sees it.
struct Stage {
    memory: HeapMemory,
    hostile: HostileMemory,
    layout: Layout,
}

impl Stage {
    /// `None`: the party does not attach to this segment.
    fn new(fields: &HeaderFields, noise: Noise, rate: u32) -> Option<Self> {
        let memory = HeapMemory::zeroed(Layout::new(*fields).len()).expect("some pages");
        create_segment(&memory, fields).expect("these fields are fine");
        let hostile = HostileMemory::driven(&memory, noise, rate);
        let attached = attach_segment(&hostile);
        let Accesses { loads, stores, twice } = hostile.take_accesses();
        assert!(loads <= 64 && stores == 0 && twice.is_none(), "{loads} loads, {stores} stores");
        let layout = attached.ok()?;
        assert_eq!(layout.len(), memory.len());
        Some(Self { memory, hostile, layout })
    }

    fn word(&self, at: WordOffset) -> <HeapMemory as SharedMemory>::Word {
        self.memory.word(at).expect("a layout lies inside the memory")
    }

    /// The peer writes.
    fn tamper(&self, direction: Direction, input: &mut Input<'_>) {
        let (mailbox, arena) = (self.layout.mailbox(direction), self.layout.arena(direction));
        let (host, worker) = (self.layout.host_control(), self.layout.worker_control());
        let slot = u32::from(input.below(32)) * SLOT_STRIDE;
        let in_slot = |at: u32| mailbox.slots().word(slot + at).expect("32 slots");
        let at = match input.below(20) {
            0 => mailbox.publish(),
            1 => mailbox.release(),
            2 => arena.free(),
            3 => arena.allocate(),
            4 => in_slot(STAMP_AT),
            word @ 5..12 => in_slot(HEADER_LINE_AT + 4 * u32::from(word - 5)),
            12 => host.state,
            13 => worker.state,
            14 => worker.epoch,
            15 => worker.features,
            16 => worker.parked,
            17 => host.parked,
            18 => host.bell,
            _ => {
                let words = self.memory.len() / 4;
                WordOffset::new(input.word() % words * 4).expect("a multiple of four")
            }
        };
        let word = self.word(at);
        let value = input.word();
        word.store_release(if input.flag() { value } else { word.load_acquire() ^ value });
    }

    /// The peer publishes a header line, by toggle and stamp.
    fn forge(&self, direction: Direction, slot: u32, header: [u32; 7]) {
        let mailbox = self.layout.mailbox(direction);
        let slots = self.memory.bytes(mailbox.slots()).expect("32 slots");
        slots.store_words(slot * SLOT_STRIDE + HEADER_LINE_AT, &header).expect("a slot");
        let publish = self.word(mailbox.publish());
        publish.store_release(publish.load_acquire() ^ 1 << slot);
        let stamp = mailbox.slots().word(slot * SLOT_STRIDE + STAMP_AT).expect("a slot");
        let stamp = self.word(stamp);
        stamp.store_release(stamp.load_acquire().wrapping_add(1));
    }

    /// The accesses of one step are few, and no word is loaded twice; of a party that has seen a violation there
    /// are none.
    fn hold_accesses(&self, payload: usize, before: Option<ProtocolViolation>) {
        let Accesses { loads, stores, twice } = self.hostile.take_accesses();
        let words = payload.max(MAX as usize) as u64 / 4 + STEP;
        assert!(loads <= words && stores <= words, "{loads} loads, {stores} stores");
        assert_eq!(twice, None, "a word is loaded twice");
        if let Some(violation) = before {
            assert_eq!((loads, stores), (0, 0), "after {violation}");
        }
    }
}

/// A violation names a clause, and the first one is the only one.
fn hold_violation(violation: ProtocolViolation, first: &mut Option<ProtocolViolation>) {
    let text = violation.to_string();
    assert!(text.starts_with(violation.clause().id()) && text.len() < 200, "{text}");
    assert_eq!(*first.get_or_insert(violation), violation);
}

fn hold_refusal(refusal: SendError, payload: &Payload<'_>, first: &mut Option<ProtocolViolation>) {
    match refusal {
        SendError::Poisoned(violation) => hold_violation(violation, first),
        SendError::Full => {}
        SendError::TooLong { len, max } => assert!(len > max as usize && len <= payload.len()),
        SendError::Tag(tag) => assert_eq!(tag, payload.tag()),
        other => panic!("{other}"),
    }
}

fn watch_host(stage: &Stage, rate: u32, input: &mut Input<'_>) -> Option<ProtocolViolation> {
    let Stage { memory, hostile, layout } = stage;
    HostLane::announce(hostile, layout, 1).expect("the layout fits");
    let worker = WorkerLane::open(memory, layout, MAX, 2);
    let mut host = match HostLane::connect(hostile, layout, MAX) {
        Ok(Some(host)) => host,
        Ok(None) => return None,
        Err(LaneError::Violation(violation)) => return Some(violation),
        Err(other) => panic!("{other}"),
    };
    let mut worker = worker.expect("the host announced itself as it should");
    hostile.set_rate(rate);
    let _ = hostile.take_accesses();
    let (mut in_flight, mut taken) = (BTreeSet::new(), Vec::new());
    let mut first = None;
    input.steps(|input| {
        let (before, mut size) = (first, 0);
        match input.below(10) {
            0 | 1 => {
                let (function, payload) = (input.short(), payload(input));
                size = payload.len();
                match host.submit(function, &payload) {
                    Ok(submitted) => {
                        hold_sendable(&payload);
                        assert!(in_flight.insert(submitted.call.word()), "two calls of one id");
                    }
                    Err(refusal) => hold_refusal(refusal, &payload, &mut first),
                }
            }
            which @ 2..5 => {
                let found = if which == 2 { host.poll() } else { host.take() };
                match found {
                    Ok(None) => {}
                    Ok(Some(answer)) => {
                        let call = answer.call.word();
                        assert!(in_flight.remove(&call), "an outcome of no call");
                        hold_received(&answer.payload);
                    }
                    Err(violation) => hold_violation(violation, &mut first),
                }
            }
            5 => match host.is_pending() {
                Ok(_) => {}
                Err(violation) => hold_violation(violation, &mut first),
            },
            // An honest worker, as far as it still believes its host.
            6 => taken.extend(worker.take().ok().flatten().map(|request| request.call)),
            7 => {
                let (nth, payload) = (usize::from(input.byte()), payload(input));
                if !taken.is_empty() {
                    let call = taken.swap_remove(nth % taken.len());
                    let _ = worker.respond(call, input.flag(), &payload);
                }
            }
            8 => {
                let direction = if input.flag() { Direction::Request } else { Direction::Response };
                stage.tamper(direction, input);
            }
            _ => {
                let slot = input.below(32).into();
                let mut header: [u32; 7] = std::array::from_fn(|_| input.word());
                // Mostly for a call that is in flight.
                if let Some(call) = in_flight.iter().nth(header[1] as usize) {
                    header[1] = *call;
                }
                stage.forge(Direction::Response, slot, header);
            }
        }
        stage.hold_accesses(size, before);
        assert_eq!(host.in_flight() as usize, in_flight.len());
        assert_eq!(host.poisoned(), first);
        assert!(in_flight.len() <= SLOTS as usize);
    });
    first
}

fn watch_worker(stage: &Stage, rate: u32, input: &mut Input<'_>) -> Option<ProtocolViolation> {
    let Stage { memory, hostile, layout } = stage;
    HostLane::announce(memory, layout, 1).expect("the layout fits");
    let mut worker = match WorkerLane::open(hostile, layout, MAX, 2) {
        Ok(worker) => worker,
        Err(LaneError::Violation(violation)) => return Some(violation),
        Err(other) => panic!("{other}"),
    };
    // What the worker has accepted it may have been told in a tampered header.
    let mut host = HostLane::connect(memory, layout, MAX).ok().flatten();
    hostile.set_rate(rate);
    let _ = hostile.take_accesses();
    let (mut taken, mut first) = (Vec::new(), None);
    input.steps(|input| {
        let (before, mut size) = (first, 0);
        match input.below(10) {
            which @ 0..3 => {
                let found = if which == 0 { worker.poll() } else { worker.take() };
                match found {
                    Ok(None) => {}
                    Ok(Some(request)) => {
                        assert!(request.abort.is_none_or(|signal| u32::from(signal) < SIGNALS));
                        hold_received(&request.payload);
                        taken.push(request.call);
                    }
                    Err(violation) => hold_violation(violation, &mut first),
                }
            }
            3 => match worker.is_pending() {
                Ok(_) => {}
                Err(violation) => hold_violation(violation, &mut first),
            },
            4 => match worker.host_state() {
                Ok(_) => {}
                Err(violation) => hold_violation(violation, &mut first),
            },
            5 => {
                let (nth, rejected, payload) = (input.byte(), input.flag(), payload(input));
                let call = taken.get(usize::from(nth)).copied().unwrap_or_default();
                size = payload.len();
                match worker.respond(call, rejected, &payload) {
                    Ok(_) => hold_sendable(&payload),
                    Err(refusal) => hold_refusal(refusal, &payload, &mut first),
                }
            }
            6 => {
                let (function, payload) = (input.short(), payload(input));
                let _ = host.as_mut().map(|host| host.submit(function, &payload));
            }
            7 => drop(host.as_mut().map(HostLane::take)),
            8 => {
                let direction = if input.flag() { Direction::Response } else { Direction::Request };
                stage.tamper(direction, input);
            }
            _ => {
                let slot = input.below(32).into();
                stage.forge(Direction::Request, slot, std::array::from_fn(|_| input.word()));
            }
        }
        stage.hold_accesses(size, before);
    });
    first
}

/// A payload that was received is one that may cross, within the limit. Its bytes are private: the type says so.
fn hold_received(payload: &Payload<'static>) {
    // A part in the slot comes on top of the limit, which is that of the arena's part.
    assert!(payload.len() <= MAX as usize + 512, "{payload:?}");
    assert!(payload.tag().form().is_some_and(|form| form != Form::Local));
}

/// The scripts of the traces, as far as they are about calls, the header lines, and the toggle words that are
/// refused.
pub(crate) fn seeds() -> Vec<Seed> {
    let traces = folder("trace");
    let traces = traces.iter().flat_map(|file| [false, true].map(|host| of_trace(file, host)));
    let lines = of_kind("slot");
    let words = [of_kind("sender"), of_kind("receiver"), of_kind("arena")].concat();
    traces.flatten().chain(lines.iter().map(of_line)).chain(words.iter().map(of_words)).collect()
}

/// The start of an input without tampering.
fn start(host: bool) -> Output {
    let mut output = Output::default();
    output.byte((!host).into()).byte(0).bytes(&[]).wide(0);
    output
}

fn of_trace(file: &File, host: bool) -> Option<Seed> {
    let mut output = start(host);
    let mut steps = 0;
    for step in file.json["script"].as_array()? {
        match (text(step, "do"), host) {
            ("submit", _) => {
                output.byte(if host { 0 } else { 6 }).short(step["function"].as_u64()? as u16);
                write_payload(&step["payload"], &mut output);
            }
            ("serve", _) => drop(output.byte(if host { 6 } else { 1 })),
            ("answer", _) => {
                let rejected = u8::from(step["rejected"] == true);
                output.byte(if host { 7 } else { 5 }).byte(0);
                if !host {
                    output.byte(rejected);
                }
                write_payload(&step["payload"], &mut output);
                if host {
                    output.byte(rejected);
                }
            }
            ("collect", _) => drop(output.byte(if host { 3 } else { 7 })),
            ("look", true) => drop(output.byte(5)),
            ("look", false) => drop(output.byte(4)),
            // Withdrawals among them: no lane of this target offers them, and deadlines are not told.
            _ => continue,
        }
        steps += 1;
    }
    let who = if host { "host" } else { "worker" };
    (steps > 0).then(|| Seed::new(format!("{}-{who}", text(&file.json, "name")), output.done()))
}

/// The header line is published to whom it is for.
fn of_line(file: &File) -> Seed {
    let host = text(&file.json, "direction") == "response";
    let line = words::<16>(&file.json, "bytes");
    let mut output = start(host);
    if host {
        for _ in 0..2 {
            output.byte(0).short(0).byte(5);
        }
    }
    output.byte(9).byte(0).words(&line[..7]).byte(if host { 3 } else { 1 });
    Seed::of_vector(file, output.done())
}

/// The peer's word is stored into the mailbox or the arena of a host that has sent some messages.
fn of_words(file: &File) -> Seed {
    let json = &file.json;
    let (at, name) = match text(json, "kind") {
        "receiver" => (0, "publish"),
        "sender" => (1, "release"),
        _ => (2, "free"),
    };
    // The publish word is that of the answers; the other two are about what the host sends.
    let requests = u8::from(at != 0);
    let mut output = start(true);
    let submit = |output: &mut Output| {
        output.byte(0).short(0).byte(17).bytes(&[7; 8]);
    };
    (0..4).for_each(|_| submit(&mut output));
    output.byte(8).byte(requests).byte(0).byte(at).word(bits(json, name)).byte(1);
    (0..29).for_each(|_| submit(&mut output));
    Seed::of_vector(file, output.byte(3).byte(5).done())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeds that show nothing are none.
    #[test]
    fn what_the_vectors_reject_is_seen_by_the_party_under_watch() {
        let mut shown = 0;
        for (kind, seed) in [
            ("slot", of_line as fn(&File) -> Seed),
            ("sender", of_words),
            ("receiver", of_words),
            ("arena", of_words),
        ] {
            for file in of_kind(kind).iter().filter(|file| file.json["error"].is_string()) {
                let found = run(&seed(file).bytes).map(|violation| violation.name());
                // Limits and toggle words of the vector may be within those of this lane.
                if found == Some(text(&file.json, "error")) {
                    shown += 1;
                } else {
                    println!("{}: {found:?}", file.path);
                }
            }
        }
        println!("{shown} of them are shown");
        assert!(shown > 60, "{shown}");
    }

    #[test]
    fn the_scripts_of_the_traces_have_no_violation() {
        for file in folder("trace") {
            for seed in [false, true].into_iter().filter_map(|host| of_trace(&file, host)) {
                assert_eq!(run(&seed.bytes), None, "{}", seed.name);
            }
        }
    }
}
