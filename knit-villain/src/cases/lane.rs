//! A host that breaks the rules of mailboxes and arenas.

use crate::case::{Case, Course, Deed, End, Expect};
use crate::host::{ECHO, Stage, Start};
use crate::wire::{At, Body, Raw};
use knit_proto::Tag;

/// First number of these cases. They end below 480.
const FIRST: u32 = 380;
/// First number of those in which the host's process ends, below 500.
const ORPHANS: u32 = 480;

/// The cases. Rows are only ever added at the end.
pub(super) fn all() -> Vec<Case> {
    let mut rows = toggles();
    rows.extend(stamps());
    rows.extend(arenas());
    rows.extend(calls());
    rows.extend(storms());
    (FIRST..)
        .zip(rows)
        .map(|(number, (name, clause, expect, signals, course))| {
            let start = Start { signals, ..Start::default() };
            Case { number, name, clause, expect, deed: Deed::Host(start, course) }
        })
        .chain((ORPHANS..).zip(orphans()).map(|(number, (name, course))| Case {
            number,
            name: format!("host-dies-{name}"),
            clause: "LANE-20",
            expect: Expect::Dies,
            deed: Deed::Orphan(course),
        }))
        .collect()
}

/// Where the worker is when its host's process ends.
fn orphans() -> Vec<(&'static str, Course)> {
    let parked: Course = Box::new(|stage| {
        let parked = stage.line.theirs().parked;
        stage.until("worker that parks", |stage| Ok((stage.line.load(parked) != 0).then_some(())))
    });
    let busy: Course = Box::new(|stage| {
        for _ in 0..32 {
            stage.submit(ECHO, &Body::text("for nobody ".repeat(100)))?;
        }
        Ok(())
    });
    let waiting: Course = Box::new(|stage| fill(stage).map(drop));
    vec![("while-parked", parked), ("while-busy", busy), ("while-waiting-for-room", waiting)]
}

/// Sixteen calls whose answers of 100 kB each do not all fit an arena of 1 MiB. Takes nine of them, which do, and gives
/// nothing back; returns the others. The worker waits for room.
fn fill(stage: &mut Stage<'_>) -> Result<Vec<u32>, End> {
    stage.line.gives_back = false;
    let body = Body::Words {
        tag: Tag::BYTES_ARENA.0,
        start: At::Word(0),
        end: At::Word(0),
        len: At::Word(100_000),
        block: 0,
    };
    let mut calls = Vec::new();
    for _ in 0..16 {
        calls.push(stage.submit(ECHO, &body)?);
    }
    for call in calls.drain(..9) {
        stage.answer(call)?;
    }
    Ok(calls)
}

type Row = (String, &'static str, Expect, u32, Course);

fn row(name: impl Into<String>, clause: &'static str, expect: Expect, course: Course) -> Row {
    (name.into(), clause, expect, 0, course)
}

/// Toggle words: published twice, taken back, released without cause.
fn toggles() -> Vec<Row> {
    use Expect::{Carries, Rejects, Survives};
    let mut rows = Vec::new();
    for (name, slots) in [("one-slot", 1 << 5), ("half", 0xffff_0000), ("all-slots", u32::MAX)] {
        let course: Course = Box::new(move |stage| {
            stage.line.toggle(slots);
            stage.line.ring();
            Ok(())
        });
        // Zeros stand in the slots: tag 0.
        rows.push(row(format!("publishes-{name}-unfilled"), "PAY-1", Rejects, course));
    }
    let back: Course = Box::new(|stage| {
        for _ in 0..100 {
            let (_, raw) = stage.echo_of(&Body::text("now you see me"));
            let slot = stage.line.write(&raw);
            stage.line.toggle(1 << slot);
            stage.line.toggle(1 << slot);
            stage.line.ring();
        }
        lost(stage)
    });
    rows.push(row("toggles-flip-back", "MBX-7", Survives, back));
    let flicker: Course = Box::new(|stage| {
        for _ in 0..2000 {
            stage.line.toggle(u32::MAX);
            stage.line.toggle(u32::MAX);
        }
        stage.line.ring();
        lost(stage)
    });
    rows.push(row("toggles-flicker", "MBX-7", Survives, flicker));
    for (name, bits) in [("one", 1_u32 << 31), ("all", u32::MAX)] {
        let course: Course = Box::new(move |stage| {
            stage.probe()?;
            // The answers' release word: slots that are free. A worker that looks only when it knows of no
            // free slot cannot tell: by then they have been published.
            let release = stage.line.incoming().0.release();
            for _ in 0..70 {
                let now = stage.line.load(release);
                stage.line.store(release, now ^ bits);
                let (call, raw) = stage.echo_of(&Body::text("one"));
                stage.submit_as(ECHO, call, &Body::text("one"))?;
                // Else the slots would be taken from the worker for good, which a host may do.
                stage.line.store(release, now);
                stage.line.ring();
                stage.expect_back(call, &raw)?;
            }
            Ok(())
        });
        rows.push(row(format!("releases-{name}-free"), "MBX-8", Survives, course));
    }
    let own: Course = Box::new(|stage| {
        stage.probe()?;
        let requests = stage.line.outgoing().0;
        let (answers, answer_arena) = stage.line.incoming();
        for at in [requests.release(), answers.publish(), answer_arena.allocate()] {
            let now = stage.line.load(at);
            stage.line.store(at, !now);
            stage.line.store(at, now);
        }
        stage.probe()
    });
    rows.push(row("worker-words-flicker", "MBX-15", Carries, own));
    let allocate: Course = Box::new(|stage| {
        let arena = stage.line.incoming().1;
        stage.line.store(arena.allocate(), 0x5555_5555);
        (0..40).try_for_each(|_| stage.probe())
    });
    rows.push(row("worker-allocate-word-overwritten", "MBX-15", Carries, allocate));
    let release: Course = Box::new(|stage| {
        // The worker stores its own value again, and the host reads that.
        let release = stage.line.outgoing().0.release();
        stage.probe()?;
        let now = stage.line.load(release);
        stage.line.store(release, now ^ 1 << 20);
        let (call, raw) = stage.echo_of(&Body::text("mine"));
        stage.line.post(&raw);
        stage.line.ring();
        stage.expect_back(call, &raw)
    });
    rows.push(row("worker-release-word-overwritten", "MBX-15", Carries, release));
    let order: Course = Box::new(|stage| {
        // Every slot filled, published with one store.
        let mut calls = Vec::new();
        for n in 0..32_u32 {
            let (call, raw) = stage.echo_of(&Body::text(format!("batch {n}")));
            stage.line.write(&raw);
            calls.push((call, raw));
        }
        stage.line.toggle(u32::MAX);
        stage.line.ring();
        calls.iter().try_for_each(|(call, raw)| stage.expect_back(*call, raw))
    });
    rows.push(row("publishes-32-at-once", "MBX-11", Carries, order));
    rows
}

/// Stamps that count wrongly, or are from the future.
fn stamps() -> Vec<Row> {
    use Expect::{Carries, Survives};
    let mut rows = Vec::new();
    for (name, ahead) in
        [("1-ahead", 2_u32), ("1000-ahead", 1000), ("max", u32::MAX), ("2-31", 1 << 31)]
    {
        let course: Course = Box::new(move |stage| {
            for slot in 0..32 {
                let stamp = stage.line.published(slot).wrapping_add(ahead);
                stage.line.stamp(slot, stamp);
            }
            stage.probe()
        });
        rows.push(row(format!("stamps-{name}"), "MBX-10", Carries, course));
    }
    for (name, all) in [("next", false), ("all", true)] {
        // Each slot is stamped once more than it was published: as if it had been.
        let course: Course = Box::new(move |stage| {
            stage.probe()?;
            let (_, raw) = stage.echo_of(&Body::text("from the future"));
            for slot in 0..if all { 32 } else { 8 } {
                stage.line.rewrite(slot, &raw);
                stage.line.stamp(slot, stage.line.published(slot) + 1);
            }
            stage.line.ring();
            lost(stage)
        });
        rows.push(row(format!("stamps-unpublished-{name}"), "MBX-9", Survives, course));
    }
    let without: Course = Box::new(|stage| {
        stage.line.stamps = false;
        (0..20).try_for_each(|_| stage.probe())
    });
    rows.push(row("stamps-missing", "MBX-18", Carries, without));
    let zero: Course = Box::new(|stage| {
        for slot in 0..32 {
            stage.line.stamp(slot, 0);
        }
        stage.probe()?;
        for slot in 0..32 {
            stage.line.stamp(slot, 0);
        }
        stage.probe()
    });
    rows.push(row("stamps-zeroed", "MBX-10", Carries, zero));
    rows
}

/// Blocks that overlap, are freed twice, or never.
fn arenas() -> Vec<Row> {
    use Expect::{Carries, Rejects};
    let mut rows = Vec::new();
    for (name, blocks) in [("one", 1_u32 << 9), ("last", 1 << 31), ("all", u32::MAX)] {
        let course: Course = Box::new(move |stage| {
            stage.probe()?;
            stage.line.free_more(blocks);
            // An answer that needs a block makes the worker look.
            (0..40).try_for_each(|_| stage.echo(&Body::text("needs a block ".repeat(100))))
        });
        rows.push(row(format!("frees-{name}-dead"), "ARN-4", Rejects, course));
    }
    let shared = |tag: Tag, start, end, len| Body::Words { tag: tag.0, start, end, len, block: 0 };
    let overlap: Course = Box::new(move |stage| {
        let fill = Raw { arena: vec![b'o'; 4096], ..Raw::default() };
        stage.line.rewrite(31, &fill);
        let bodies = [(0, 1024), (64, 1024), (0, 4096), (1024, 64)].map(|(start, len)| {
            shared(Tag::BYTES_ARENA, At::Word(start), At::Word(0), At::Word(len))
        });
        let mut calls = Vec::new();
        for body in &bodies {
            calls.push(stage.submit(ECHO, body)?);
        }
        for (call, len) in calls.into_iter().zip([1024, 1024, 4096, 64]) {
            let answer = stage.answer(call)?;
            if answer.word0 != 0 || answer.bytes != vec![b'o'; len] {
                let what = format!("{len} overlapping bytes came back as {}", answer.bytes.len());
                return Err(End::Wrong(what));
            }
        }
        Ok(())
    });
    rows.push(row("blocks-overlap", "ARN-8", Carries, overlap));
    let same: Course = Box::new(move |stage| {
        // One block named by every message: its free bit flips each time.
        for n in 0..20_u32 {
            let start = At::Word(64 * n);
            let body = shared(Tag::BYTES_ARENA, start, At::Word(0), At::Word(64));
            let (call, mut raw) = stage.echo_of(&body);
            raw.words[6] = 3;
            raw.live = false;
            stage.line.post(&raw);
            stage.line.ring();
            stage.answer(call)?;
        }
        Ok(())
    });
    rows.push(row("blocks-named-again", "ARN-1", Carries, same));
    let dead: Course = Box::new(move |stage| {
        let body = shared(Tag::BYTES_ARENA, At::Word(0), At::Word(0), At::Word(0));
        let (call, mut raw) = stage.echo_of(&body);
        raw.live = false;
        stage.line.post(&raw);
        stage.line.ring();
        stage.expect_back(call, &raw)
    });
    rows.push(row("blocks-not-allocated", "ARN-5", Carries, dead));
    let hoard: Course = Box::new(|stage| {
        let waiting = fill(stage)?;
        stage.line.give_back();
        stage.line.gives_back = true;
        stage.line.ring();
        for call in waiting {
            stage.answer(call)?;
        }
        Ok(())
    });
    rows.push(row("arena-filled-and-emptied", "LANE-19", Carries, hoard));
    let closing: Course = Box::new(|stage| {
        // The worker waits for room that never comes, and the host closes.
        fill(stage)?;
        stage.close()
    });
    rows.push(row("arena-filled-and-closed", "LANE-20", Carries, closing));
    rows
}

/// Call ids, functions, abort signals, words that nobody reads.
fn calls() -> Vec<Row> {
    use Expect::{Carries, Fails, Rejects};
    let mut rows = Vec::new();
    for id in [0, 1, 31, 32, 1 << 31, u32::MAX - 1, u32::MAX] {
        let course: Course = Box::new(move |stage| {
            for _ in 0..3 {
                let body = Body::text("any id");
                let raw = stage.line.forge(ECHO, id, &body);
                stage.submit_as(ECHO, id, &body)?;
                stage.expect_back(id, &raw)?;
            }
            Ok(())
        });
        rows.push(row(format!("call-id-{id}"), "LANE-10", Carries, course));
    }
    let twice: Course = Box::new(|stage| {
        let body = Body::text("twins");
        let raw = stage.line.forge(ECHO, 5, &body);
        for _ in 0..32 {
            stage.submit_as(ECHO, 5, &body)?;
        }
        (0..32).try_for_each(|_| stage.expect_back(5, &raw))
    });
    rows.push(row("call-ids-all-the-same", "LANE-10", Carries, twice));
    for function in [2, 3, 4, 255, 256, 32_767, 65_534, 65_535] {
        let course: Course = Box::new(move |stage| {
            let call = stage.submit(function, &Body::bare(Tag::NULL))?;
            stage.expect_failure(call)
        });
        rows.push(row(format!("function-{function}"), "LANE-18", Fails, course));
    }
    for (signals, plus_one) in [(0, 1_u32), (0, 65_535), (32, 33), (33, 34), (32, 65_535)] {
        let course: Course =
            Box::new(move |stage| stage.offend(ECHO | plus_one << 16, &Body::bare(Tag::NULL)));
        let name = format!("abort-signal-{}-of-{signals}", plus_one - 1);
        rows.push((name, "LANE-17", Rejects, signals, course));
    }
    let last: Course = Box::new(|stage| {
        let body = Body::text("with a signal");
        for signal in [0, 31, 32, 63_u32] {
            let (call, raw) = stage.echo_of(&body);
            stage.submit_as(ECHO | (signal + 1) << 16, call, &body)?;
            stage.expect_back(call, &raw)?;
        }
        Ok(())
    });
    rows.push(("abort-signals-0-to-63".into(), "LANE-17", Carries, 64, last));
    let set: Course = Box::new(|stage| {
        // Every bit is set, also those of calls that nobody aborted, and those beyond the capacity.
        let bits = stage.line.layout.region(knit_proto::Region::AbortBits);
        for at in (0..bits.len()).step_by(4) {
            stage.line.store_at(bits.at() + at, u32::MAX);
        }
        stage.probe()?;
        // This one may fail: it was aborted.
        let call = stage.submit(ECHO | 1 << 16, &Body::bare(Tag::NULL))?;
        stage.answer(call).map(drop)
    });
    rows.push(("abort-bits-all-set".into(), "LANE-16", Carries, 40, set));
    let scratch: Course = Box::new(|stage| {
        for slot in 0..32 {
            for word in 135..143 {
                stage.line.store(stage.line.slot_word(slot, word), u32::MAX);
            }
        }
        stage.probe()
    });
    rows.push(row("header-words-7-to-14", "MBX-17", Carries, scratch));
    rows
}

/// Words that change while the worker looks at them.
fn storms() -> Vec<Row> {
    let mut rows = Vec::new();
    let torn: Course = Box::new(|stage| {
        // The header of a pending slot changes between a right and a wrong length.
        let body = Body::text("a text that is there");
        for _ in 0..50 {
            let (call, raw) = stage.echo_of(&body);
            let slot = stage.line.post(&raw);
            let len = stage.line.slot_word(slot, 128 + 5);
            stage.line.ring();
            for _ in 0..200 {
                stage.line.store(len, u32::MAX);
                stage.line.store(len, 20);
            }
            stage.answer(call)?;
        }
        Ok(())
    });
    rows.push(row("header-changes-while-read", "MBX-16", Expect::Survives, torn));
    let places: Course = Box::new(|stage| {
        let body = Body::text("in the arena ".repeat(100));
        for _ in 0..50 {
            let (call, raw) = stage.echo_of(&body);
            let slot = stage.line.post(&raw);
            let start = stage.line.slot_word(slot, 128 + 3);
            stage.line.ring();
            for n in 0..200_u32 {
                stage.line.store(start, n.wrapping_mul(0x0101_0101));
                stage.line.store(start, raw.words[3]);
            }
            stage.answer(call)?;
        }
        Ok(())
    });
    rows.push(row("place-changes-while-read", "MBX-16", Expect::Survives, places));
    let bytes: Course = Box::new(|stage| {
        // Text that becomes no text while it is copied: a mixture is checked like any other bytes.
        let body = Body::text("x".repeat(20_000));
        for round in 0..20_u8 {
            let (call, raw) = stage.echo_of(&body);
            let slot = stage.line.post(&raw);
            stage.line.ring();
            let mut torn = raw.clone();
            torn.arena.fill(0x80 | round);
            for _ in 0..20 {
                stage.line.rewrite(slot, &torn);
                stage.line.rewrite(slot, &raw);
            }
            stage.answer(call)?;
        }
        Ok(())
    });
    rows.push(row("bytes-change-while-read", "PAY-26", Expect::Survives, bytes));
    for seed in 1..=8_u64 {
        let course: Course = Box::new(move |stage| {
            stage.probe()?;
            random_words(stage, seed);
            // What the worker says from here on may be what the villain wrote.
            stage.close()
        });
        rows.push(row(format!("random-words-{seed}"), "LANE-15", Expect::Survives, course));
    }
    for (name, region) in [
        ("answers", knit_proto::Region::ResponseArena),
        ("requests", knit_proto::Region::RequestArena),
    ] {
        let course: Course = Box::new(move |stage| {
            stage.probe()?;
            // Nothing of it is in use.
            let arena = stage.line.layout.region(region);
            crate::holes::punch(&stage.line, arena)?;
            stage.probe()
        });
        rows.push(row(format!("holes-in-the-arena-of-{name}"), "ARN-9", Expect::Carries, course));
    }
    rows
}

/// Closes a lane on which slots have changed hands in ways that no side keeps count of: a message that comes in between
/// may be lost, which is the villain's own affair.
fn lost(stage: &mut Stage<'_>) -> Result<(), End> {
    stage.close()
}

/// Writes numbers into every word up to the first arena, those of the worker included.
fn random_words(stage: &mut Stage<'_>, seed: u64) {
    let words = stage.line.layout.region(knit_proto::Region::RequestArena).at() / 4;
    crate::random::words(seed, 100_000, words, |at, value| stage.line.store_at(at, value));
}
