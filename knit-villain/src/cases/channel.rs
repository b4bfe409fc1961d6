//! Misuse of the control channel, by a host and by a worker.

use crate::case::{Case, Course, Deed, End, Expect, Misdeed};
use crate::channel::{Channel, LEN, NUMBER, misuses};
use crate::host::{ECHO, SUM, Stage, Start, Third};
use crate::wire::Body;
use knit_proto::{Features, Tag};

/// First number of the host's cases, below 900.
const HOST: u32 = 800;
/// First number of the worker's cases, below 950.
const WORKER: u32 = 900;

/// The cases in which the villain is the host. Rows are only ever added at the end.
pub(super) fn of_host() -> Vec<Case> {
    let mut rows: Vec<(String, &str, Expect, Third, Course)> = Vec::new();
    for misuse in misuses() {
        let name = format!("channel-{}", misuse.name);
        let clause = misuse.clause;
        let course: Course = Box::new(move |stage| {
            stage.probe()?;
            misuse.send(channel(stage)?);
            // A worker reads the channel for the sake of a number that it does not know.
            stage.submit(SUM, &named(9999, 0, 1)).map(drop)
        });
        rows.push((name, clause, Expect::Rejects, Third::Channel, course));
    }
    let honest: Course = Box::new(|stage| {
        channel(stage)?.give(NUMBER).map_err(gone)?;
        for (start, len) in [(0, LEN), (LEN - 1, 1), (LEN, 0)] {
            let call = stage.submit(SUM, &named(NUMBER, start, len))?;
            let answer = stage.answer(call)?;
            if answer.word0 != 0 {
                return Err(End::Wrong(format!("{len} bytes from {start} on are inside")));
            }
        }
        Ok(())
    });
    rows.push(("buffer-inside".into(), "LANE-27", Expect::Carries, Third::Channel, honest));
    for (name, number, start, len) in [
        ("unknown", NUMBER + 1, 0, 1),
        ("standard-input", 0, 0, 1),
        ("standard-error", 2, 0, 1),
        ("the-channel", 3, 0, 1),
        ("end", NUMBER, LEN, 1),
        ("end-by-1", NUMBER, LEN - 8, 9),
        ("start", NUMBER, LEN + 1, 0),
        ("wraps", NUMBER, u32::MAX, 2),
        ("max", NUMBER, u32::MAX, u32::MAX),
    ] {
        let course: Course = Box::new(move |stage| {
            channel(stage)?.give(NUMBER).map_err(gone)?;
            // The lengths that it claims would do.
            let call = stage.submit(SUM, &named(number, start, len))?;
            stage.expect_failure(call)
        });
        rows.push((format!("buffer-{name}"), "PAY-30", Expect::Fails, Third::Channel, course));
    }
    for (name, third) in
        [("missing", Third::Offered), ("null", Third::Null), ("a-stream", Third::Stream)]
    {
        let course: Course = Box::new(|stage| {
            if stage.features & Features::BUFFER_HANDLES.bits() != 0 {
                return Err(End::Wrong("it accepts buffers without a channel".to_owned()));
            }
            let call = stage.submit(SUM, &named(0, 0, 1))?;
            stage.expect_failure(call)
        });
        rows.push((format!("channel-is-{name}"), "LANE-31", Expect::Fails, third, course));
    }
    let hang_up: Course = Box::new(|stage| {
        channel(stage)?;
        stage.channel = None;
        stage.line.ring();
        stage.probe()
    });
    rows.push(("channel-hangs-up".into(), "LANE-25", Expect::Survives, Third::Channel, hang_up));
    let missing: Course = Box::new(|stage| {
        let channel = channel(stage)?;
        for number in 0..33 {
            channel.give(number).and_then(|()| channel.drop_buffer(number, 5)).map_err(gone)?;
        }
        stage.submit(SUM, &named(9999, 0, 1)).map(drop)
    });
    rows.push((
        "channel-33-half-dropped".into(),
        "LANE-28",
        Expect::Rejects,
        Third::Channel,
        missing,
    ));
    (HOST..)
        .zip(rows)
        .map(|(number, (name, clause, expect, third, course))| {
            let start = Start { third, ..Start::default() };
            Case { number, name, clause, expect, deed: Deed::Host(start, course) }
        })
        .collect()
}

/// The cases in which the villain is a worker. Rows are only ever added at the end.
pub(super) fn of_worker() -> Vec<Case> {
    let mut rows: Vec<(String, &str, Expect, Misdeed)> = Vec::new();
    for misuse in misuses() {
        let name = format!("channel-{}", misuse.name);
        let clause = misuse.clause;
        let misdeed: Misdeed = Box::new(move |actor| {
            let call = actor.next_call();
            actor.acted();
            misuse.send(actor.channel());
            // The host reads the channel for the sake of a number that it does not know.
            actor.answer_badly(&call, &named(9999, 0, 1));
        });
        rows.push((name, clause, Expect::Rejects, misdeed));
    }
    for (name, number, start, len) in [
        ("unknown", NUMBER + 1, 0, 1),
        ("standard-input", 0, 0, 1),
        ("the-channel", 3, 0, 1),
        ("end", NUMBER, LEN, 1),
        ("start", NUMBER, LEN + 1, 0),
        ("wraps", NUMBER, u32::MAX, 2),
    ] {
        let misdeed: Misdeed = Box::new(move |actor| {
            let call = actor.next_call();
            // Nobody listens where the host is gone.
            let _ = actor.channel().give(NUMBER);
            actor.answer_badly(&call, &named(number, start, len));
        });
        rows.push((format!("buffer-{name}"), "PAY-30", Expect::Keeps, misdeed));
    }
    (WORKER..)
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

/// A payload that names a part of a buffer.
fn named(number: u32, start: u32, len: u32) -> Body {
    let words = [number, u32::MAX, u32::MAX, start, len, 9, 9, 9];
    let (inline, arena) = (Tag::SHARED_BUFFER.0, Tag::SHARED_BUFFER.0);
    Body::Bytes { inline, arena, bytes: words.map(u32::to_le_bytes).concat() }
}

/// The channel of a worker that has accepted it.
fn channel<'s>(stage: &'s mut Stage<'_>) -> Result<&'s Channel, End> {
    if stage.features & Features::BUFFER_HANDLES.bits() == 0 {
        return Err(End::Skip("the worker does not accept the feature BUFFER_HANDLES".to_owned()));
    }
    // What the worker has not seen yet is not in its way.
    stage.submit(ECHO, &Body::bare(Tag::NULL)).and_then(|call| stage.answer(call))?;
    stage.channel.as_ref().ok_or_else(|| End::Skip("there is no channel".to_owned()))
}

fn gone(error: std::io::Error) -> End {
    End::Wrong(format!("the worker does not read its channel: {error}"))
}
