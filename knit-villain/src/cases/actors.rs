//! A worker that opens in a wrong way, answers what was not asked, writes where it must not, or dies.

use crate::case::{Case, Deed, Expect, Misdeed};
use crate::wire::Body;
use crate::worker::Actor;
use knit_proto::{Features, LaneState, Tag};
use rustix::process::{Signal, getpid, kill_process};

/// First number of these cases. They end below 1100.
const FIRST: u32 = 950;

/// The cases. Rows are only ever added at the end.
pub(super) fn all() -> Vec<Case> {
    let mut rows = opens();
    rows.extend(lines());
    rows.extend(answers());
    rows.extend(words());
    rows.extend(storms());
    rows.extend(deaths());
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

type Row = (String, &'static str, Expect, Misdeed);

fn row(name: impl Into<String>, clause: &'static str, expect: Expect, misdeed: Misdeed) -> Row {
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
        ("with-the-journal", |features| features | Features::JOURNAL.bits()),
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

/// Toggle words, stamps, free words, and what is not the worker's.
fn words() -> Vec<Row> {
    use Expect::{Carries, Rejects, Survives};
    let mut rows = Vec::new();
    for (name, slots) in [("one-slot", 1_u32 << 30), ("all-slots", u32::MAX)] {
        let misdeed: Misdeed = Box::new(move |actor| {
            let _call = actor.next_call();
            actor.acted();
            actor.line.toggle(slots);
            actor.line.ring();
        });
        // Zeros stand there.
        rows.push(row(format!("publishes-{name}-unfilled"), "PAY-1", Rejects, misdeed));
    }
    for (name, blocks) in [("last", 1_u32 << 31), ("all", u32::MAX)] {
        let misdeed: Misdeed = Box::new(move |actor| {
            let call = actor.next_call();
            actor.acted();
            actor.line.free_more(blocks);
            actor.answer(&call);
        });
        // A host may look late, and until then frees of the villain's own make it right again.
        rows.push(row(format!("frees-{name}-dead"), "ARN-4", Survives, misdeed));
    }
    let release: Misdeed = Box::new(|actor| {
        let call = actor.next_call();
        let at = actor.line.incoming().0.release();
        actor.acted();
        actor.line.store(at, actor.line.load(at) ^ 1 << 29);
        actor.answer(&call);
    });
    rows.push(row("releases-a-free-slot", "MBX-8", Survives, release));
    let back: Misdeed = Box::new(|actor| {
        let call = actor.next_call();
        actor.acted();
        for _ in 0..2000 {
            actor.line.toggle(1 << 30);
            actor.line.toggle(1 << 30);
        }
        actor.answer(&call);
    });
    rows.push(row("toggles-flip-back", "MBX-7", Survives, back));
    let unpublished: Misdeed = Box::new(|actor| {
        let call = actor.next_call();
        let raw = actor.line.forge(0, call.id, &Body::text("from the future"));
        actor.acted();
        for slot in 0..32 {
            actor.line.rewrite(slot, &raw);
            actor.line.stamp(slot, actor.line.published(slot) + 1);
        }
        actor.line.ring();
        actor.answer(&call);
    });
    rows.push(row("stamps-unpublished", "MBX-9", Survives, unpublished));
    for (name, ahead) in [("2-ahead", 3_u32), ("max", u32::MAX)] {
        let misdeed: Misdeed = Box::new(move |actor| {
            let call = actor.next_call();
            for slot in 0..32 {
                actor.line.stamp(slot, actor.line.published(slot).wrapping_add(ahead));
            }
            actor.acted();
            actor.answer(&call);
        });
        rows.push(row(format!("stamps-{name}"), "MBX-10", Carries, misdeed));
    }
    let without: Misdeed = Box::new(|actor| {
        actor.open();
        actor.line.stamps = false;
        actor.acted();
    });
    rows.push(row("stamps-missing", "MBX-18", Carries, without));
    let header = |word: u32| -> Misdeed {
        Box::new(move |actor| {
            let call = actor.next_call();
            for at in (0..256).step_by(4) {
                actor.line.store_at(at, word);
            }
            actor.acted();
            actor.answer(&call);
        })
    };
    rows.push(row("header-to-zeros", "SEG-10", Carries, header(0)));
    rows.push(row("header-to-ones", "SEG-10", Carries, header(u32::MAX)));
    let extension: Misdeed = Box::new(|actor| {
        let call = actor.next_call();
        let start = actor.line.layout.extension().at();
        for at in (24..64).chain(64..128).chain(152..4096).step_by(4) {
            actor.line.store_at(start + at, 0xa5a5_a5a5);
        }
        actor.acted();
        actor.answer(&call);
    });
    rows.push(row("rest-of-the-extension", "SEG-14", Carries, extension));
    let allocate: Misdeed = Box::new(|actor| {
        let call = actor.next_call();
        let arena = actor.line.incoming().1;
        actor.line.store(arena.allocate(), 0x5555_5555);
        actor.acted();
        actor.answer(&call);
    });
    rows.push(row("host-allocate-word-overwritten", "MBX-15", Carries, allocate));
    let scratch: Misdeed = Box::new(|actor| {
        let call = actor.next_call();
        for slot in 0..32 {
            for word in 135..143 {
                actor.line.store(actor.line.slot_word(slot, word), u32::MAX);
            }
        }
        actor.acted();
        actor.answer(&call);
    });
    rows.push(row("header-words-7-to-14", "MBX-17", Carries, scratch));
    rows
}

/// Bells, flags and words without end.
fn storms() -> Vec<Row> {
    let mut rows = Vec::new();
    let bells: Misdeed = Box::new(|actor| {
        let call = actor.next_call();
        actor.acted();
        for _ in 0..50_000 {
            actor.line.ring();
        }
        actor.answer(&call);
    });
    rows.push(row("bell-storm", "WAKE-5", Expect::Carries, bells));
    let back: Misdeed = Box::new(|actor| {
        for bell in [u32::MAX, 0, 5, 4, 1 << 31, 4, 4] {
            let call = actor.next_call();
            actor.acted();
            actor.line.ring_with(bell);
            actor.answer(&call);
        }
    });
    rows.push(row("bell-goes-back", "WAKE-1", Expect::Carries, back));
    for flag in [1, 2, u32::MAX] {
        let misdeed: Misdeed = Box::new(move |actor| {
            actor.open();
            actor.line.store(actor.line.mine().parked, flag);
            actor.acted();
        });
        rows.push(row(format!("parked-{flag}"), "WAKE-2", Expect::Carries, misdeed));
    }
    let torn: Misdeed = Box::new(|actor| {
        for _ in 0..20 {
            let call = actor.next_call();
            actor.note_bad();
            actor.acted();
            let raw = actor.line.forge(0, call.id, &Body::text("a text that is there"));
            let slot = actor.line.post(&raw);
            let len = actor.line.slot_word(slot, 128 + 5);
            actor.line.ring();
            for _ in 0..500 {
                actor.line.store(len, u32::MAX);
                actor.line.store(len, 20);
            }
        }
    });
    rows.push(row("header-changes-while-read", "MBX-16", Expect::Survives, torn));
    for seed in 1..=8_u64 {
        let misdeed: Misdeed = Box::new(move |actor| {
            let call = actor.next_call();
            actor.note_bad();
            actor.acted();
            let words = actor.line.layout.region(knit_proto::Region::RequestArena).at() / 4;
            crate::random::words(seed, 100_000, words, |at, value| actor.line.store_at(at, value));
            // Whatever it has made of the lane, it does not serve it any more.
            let _ = call;
            std::process::exit(3)
        });
        rows.push(row(format!("random-words-{seed}"), "LANE-15", Expect::Survives, misdeed));
    }
    let shrinks: Misdeed = Box::new(|actor| {
        let call = actor.next_call();
        actor.acted();
        // A file that is sealed refuses both.
        let file = actor.line.memory.backing().file();
        let _ = rustix::fs::ftruncate(file, 4096);
        let _ = rustix::fs::ftruncate(file, 1 << 33);
        actor.answer(&call);
    });
    rows.push(row("truncates-the-segment", "SEG-23", Expect::Carries, shrinks));
    rows
}

/// Processes that end at a bad time.
fn deaths() -> Vec<Row> {
    let mut rows = Vec::new();
    for status in [0, 1, 71, 76, 78, 101] {
        let misdeed: Misdeed = Box::new(move |actor| {
            let _call = actor.next_call();
            actor.acted();
            std::process::exit(status)
        });
        rows.push(row(format!("exits-{status}-in-a-call"), "LANE-13", Expect::Dies, misdeed));
    }
    for (name, signal) in [("kill", Signal::KILL), ("segv", Signal::SEGV), ("abort", Signal::ABORT)]
    {
        let misdeed: Misdeed = Box::new(move |actor| {
            let _call = actor.next_call();
            actor.acted();
            // This process: it exists. The runtime takes the first SIGSEGV for the end of a stack, and lets the second
            // one do what it does.
            let _ = kill_process(getpid(), signal);
            let _ = kill_process(getpid(), signal);
            wait_for_the_end(actor)
        });
        rows.push(row(format!("ends-by-{name}-in-a-call"), "LANE-13", Expect::Dies, misdeed));
    }
    let half: Misdeed = Box::new(|actor| {
        // Dies after it has filled a slot and before it has published it.
        let call = actor.next_call();
        let raw = actor.line.forge(0, call.id, &Body::text("half"));
        actor.line.write(&raw);
        actor.acted();
        std::process::exit(5)
    });
    rows.push(row("dies-before-it-publishes", "LANE-24", Expect::Dies, half));
    let last: Misdeed = Box::new(|actor| {
        // What was published before the end counts.
        for _ in 0..4 {
            let call = actor.next_call();
            actor.acted();
            actor.answer(&call);
        }
        std::process::exit(5)
    });
    rows.push(row("dies-after-it-has-answered", "LANE-24", Expect::Survives, last));
    for (name, status) in [("exits-0", 0), ("refuses", 78), ("exits-1", 1)] {
        let misdeed: Misdeed = Box::new(move |actor| {
            actor.acted();
            std::process::exit(status)
        });
        rows.push(row(format!("{name}-before-it-is-open"), "LANE-13", Expect::Dies, misdeed));
    }
    rows
}

/// Rings, and serves nobody, until somebody ends this process or closes the lane.
fn wait_for_the_end(actor: &mut Actor) {
    loop {
        if actor.line.peer_is(LaneState::Closing) {
            actor.end("ignored");
        }
        actor.line.ring();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
