//! A worker that opens in a wrong way, or answers what was not asked.

use crate::case::{Case, Deed, Expect, Misdeed};
use crate::wire::Body;
use crate::worker::Actor;
use knit_proto::{Features, LaneState, Tag};

/// First number of these cases. They end below 1100.
const FIRST: u32 = 950;

/// The cases. Rows are only ever added at the end.
pub(super) fn all() -> Vec<Case> {
    let mut rows = opens();
    rows.extend(lines());
    rows.extend(answers());
    rows.extend(super::trespass::all());
    (FIRST..)
        .zip(rows)
        .map(|(number, (name, clause, expect, misdeed))| Case {
            number,
            name,
            clause,
            expect,
            deed: Deed::Worker(misdeed),
        })
        .collect()
}

pub(super) type Row = (String, &'static str, Expect, Misdeed);

/// A row of the table.
pub(super) fn row(
    name: impl Into<String>,
    clause: &'static str,
    expect: Expect,
    misdeed: Misdeed,
) -> Row {
    (name.into(), clause, expect, misdeed)
}

/// The control line when the worker says that it is ready.
fn opens() -> Vec<Row> {
    let mut rows = Vec::new();
    let opens = |epoch: fn(u32) -> u32, features: fn(u32) -> u32, state: u32| -> Misdeed {
        Box::new(move |actor| {
            actor.acted();
            actor.open_as(epoch(actor.epoch()), features(actor.features()), state);
        })
    };
    let open = LaneState::Open.word();
    let same: fn(u32) -> u32 = |word| word;
    for (name, epoch) in [
        ("0", (|_| 0) as fn(u32) -> u32),
        ("plus-1", |epoch| epoch.wrapping_add(1)),
        ("max", |_| u32::MAX),
    ] {
        rows.push(row(
            format!("opens-in-epoch-{name}"),
            "LANE-4",
            Expect::Rejects,
            opens(epoch, same, open),
        ));
    }
    for (name, features) in [
        ("without-required", (|_| 0) as fn(u32) -> u32),
        ("with-the-recorder", |features| features | Features::RECORDER.bits()),
        ("with-bit-31", |features| features | 1 << 31),
        ("with-all", |_| u32::MAX),
    ] {
        rows.push(row(
            format!("opens-{name}"),
            "SEG-9",
            Expect::Rejects,
            opens(same, features, open),
        ));
    }
    for state in [2, 3, 7, 1 << 31, u32::MAX] {
        rows.push(row(
            format!("opens-in-state-{state}"),
            "LANE-3",
            Expect::Rejects,
            opens(same, same, state),
        ));
    }
    rows
}

/// The control line of a worker that was open.
fn lines() -> Vec<Row> {
    let mut rows = Vec::new();
    let later = |change: Box<dyn Fn(&mut Actor) + Send + Sync>| -> Misdeed {
        Box::new(move |actor| {
            // It does not answer: the host waits, and looks.
            let _call = actor.next_call();
            actor.acted();
            change(actor);
            actor.line.ring();
            wait_for_the_end(actor)
        })
    };
    for state in [0, 2, 3, 7, u32::MAX] {
        let change = later(Box::new(move |actor| actor.line.store(actor.line.mine().state, state)));
        rows.push(row(format!("state-becomes-{state}"), "LANE-3", Expect::Rejects, change));
    }
    for (name, epoch) in [("0", 0), ("max", u32::MAX)] {
        let change = later(Box::new(move |actor| actor.line.store(actor.line.mine().epoch, epoch)));
        rows.push(row(format!("epoch-becomes-{name}"), "LANE-4", Expect::Rejects, change));
    }
    for (name, bits) in [("0", 0), ("max", u32::MAX), ("journal", 2)] {
        let change =
            later(Box::new(move |actor| actor.line.store(actor.line.mine().features, bits)));
        rows.push(row(format!("features-become-{name}"), "LANE-11", Expect::Rejects, change));
    }
    rows
}

/// Answers to no call, to an old one, or twice.
fn answers() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, forge) in [
        ("0-flipped", (|id| !id) as fn(u32) -> u32),
        ("next-round", |id| id.wrapping_add(32)),
        ("last-round", |id| id.wrapping_sub(32)),
        ("bit-6", |id| id ^ 0x40),
        ("bit-31", |id| id ^ 1 << 31),
        ("plus-2-24", |id| id.wrapping_add(1 << 24)),
        ("max", |_| u32::MAX),
    ] {
        let misdeed: Misdeed = Box::new(move |actor| {
            let call = actor.next_call();
            actor.acted();
            // The call itself has no answer: the host looks for one, and finds this.
            actor.answer_with(0, forge(call.id), &undefined());
        });
        rows.push(row(format!("answers-id-{name}"), "LANE-2", Expect::Rejects, misdeed));
    }
    for count in [2, 32] {
        let misdeed: Misdeed = Box::new(move |actor| {
            let call = actor.next_call();
            actor.answer(&call);
            actor.acted();
            for _ in 1..count {
                actor.answer(&call);
            }
            // Without an answer to the next one the host looks again.
            let _kept = actor.next_call();
        });
        rows.push(row(format!("answers-{count}-times"), "LANE-2", Expect::Rejects, misdeed));
    }
    let stale: Misdeed = Box::new(|actor| {
        let old = actor.next_call();
        actor.answer(&old);
        for _ in 0..2 {
            let call = actor.next_call();
            actor.answer(&call);
        }
        let _kept = actor.next_call();
        actor.acted();
        actor.answer(&old);
    });
    rows.push(row("answers-an-old-call", "LANE-2", Expect::Rejects, stale));
    let replay: Misdeed = Box::new(|actor| {
        let call = actor.next_call();
        let raw = actor.line.forge(0, call.id, &call.argument());
        let slot = actor.line.post(&raw);
        actor.line.ring();
        let release = actor.line.outgoing().0.release();
        // Once the host has given the slot back, it is handed over as it is.
        while actor.line.load(release) >> slot & 1 == 0 {
            std::thread::yield_now();
        }
        let _kept = actor.next_call();
        actor.acted();
        actor.line.toggle(1 << slot);
        actor.line.ring();
    });
    rows.push(row("answers-a-slot-again", "LANE-2", Expect::Rejects, replay));
    for flags in [2, 3, 4, 1 << 16, 1 << 31, u32::MAX - 1, u32::MAX] {
        let misdeed: Misdeed = Box::new(move |actor| {
            let call = actor.next_call();
            actor.acted();
            actor.answer_with(flags, call.id, &undefined());
        });
        rows.push(row(format!("answer-flags-{flags:x}"), "MBX-5", Expect::Rejects, misdeed));
    }
    let failed = |body: fn() -> Body| -> Misdeed {
        Box::new(move |actor| {
            for _ in 0..3 {
                let call = actor.next_call();
                actor.note_bad();
                actor.acted();
                actor.answer_with(1, call.id, &body());
            }
        })
    };
    for (name, body) in [
        ("undefined", (|| Body::bare(Tag::UNDEFINED)) as fn() -> Body),
        ("a-number", || Body::scalar(Tag::NUMBER, 1)),
        ("no-json", || error("not JSON at all \u{1}")),
        ("an-array", || error("[]")),
        ("no-bytes", || error("")),
        ("a-name-of-the-runtime", || error("{\"name\":\"knit.panic\",\"message\":\"\"}")),
        ("control-characters", || error("{\"name\":\"\\u0000\\u001b[2J\",\"message\":\"\\n\\n\"}")),
    ] {
        rows.push(row(format!("fails-with-{name}"), "PAY-25", Expect::Fails, failed(body)));
    }
    rows
}

fn undefined() -> Body {
    Body::bare(Tag::UNDEFINED)
}

fn error(text: &str) -> Body {
    Body::Bytes { inline: 0, arena: Tag::ERROR.0, bytes: text.into() }
}

/// Rings, and serves nobody, until somebody ends this process or closes the lane.
pub(super) fn wait_for_the_end(actor: &mut Actor) {
    loop {
        if actor.line.peer_is(LaneState::Closing) {
            actor.end("ignored");
        }
        actor.line.ring();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
