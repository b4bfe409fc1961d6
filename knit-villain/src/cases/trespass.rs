//! A worker that writes where it must not, storms, takes memory away, or dies.

use super::actors::{Row, row, wait_for_the_end};
use crate::case::{End, Expect, Misdeed};
use crate::wire::Body;
use knit_proto::Span;
use rustix::process::{Signal, getpid, kill_process};

/// The rows, which have the numbers behind those of `actors`.
pub(super) fn all() -> Vec<Row> {
    [words(), storms(), deaths(), memory()].into_iter().flatten().collect()
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

/// Memory that is taken away, or not given back.
fn memory() -> Vec<Row> {
    let mut rows = Vec::new();
    let holes: Misdeed = Box::new(|actor| {
        // The header, and the arena of the answers, of which nothing is in use.
        let call = actor.next_call();
        actor.acted();
        let answers = actor.line.layout.region(knit_proto::Region::ResponseArena);
        for span in [Span::new(0, 4096).expect("a page"), answers] {
            if let Err(End::Skip(why)) = crate::holes::punch(&actor.line, span) {
                actor.end(&format!("skip {why}"));
            }
        }
        actor.answer(&call);
    });
    rows.push(row("holes", "SEG-10", Expect::Carries, holes));
    let hoard: Misdeed = Box::new(|actor| {
        // Requests are answered, their slots and blocks come back late.
        actor.line.gives_back = false;
        for _ in 0..6 {
            let call = actor.next_call();
            actor.acted();
            actor.answer(&call);
        }
        actor.line.gives_back = true;
        actor.line.give_back();
        actor.line.ring();
    });
    rows.push(row("gives-slots-and-blocks-back-late", "LANE-19", Expect::Carries, hoard));
    let miser: Misdeed = Box::new(|actor| {
        // Gives nothing back, ever, and ends.
        actor.line.gives_back = false;
        for _ in 0..6 {
            let call = actor.next_call();
            actor.acted();
            actor.answer(&call);
        }
        let _call = actor.next_call();
        std::process::exit(4)
    });
    rows.push(row("gives-nothing-back-and-ends", "LANE-14", Expect::Dies, miser));
    rows
}
