//! Misuse of the withdrawn word, by a host, and of the answer to it, by a worker.

use super::actors::wait_for_the_end;
use crate::case::{Case, Course, Deed, End, Expect, Misdeed};
use crate::host::{ECHO, Stage, Start};
use crate::wire::Body;
use crate::worker::Actor;
use knit_proto::{Features, LaneState, SLOTS, Stage as Step, Tag};

/// First number of the host's cases, below 1420.
const HOST: u32 = 1400;
/// First number of the worker's cases, below 1440.
const WORKER: u32 = 1420;
/// Word 0 of an answer that says *withdrawn*.
const WITHDRAWN: u32 = 2;

/// The cases in which the villain is the host. Rows are only ever added at the end.
pub(super) fn of_host() -> Vec<Case> {
    let mut rows: Vec<(&str, &'static str, bool, Course)> = Vec::new();
    let all: Course = Box::new(|stage| {
        store(stage, u32::MAX);
        for _ in 0..40 {
            let call = stage.submit(ECHO, &Body::text("not wanted"))?;
            expect_answer(stage, call, Some(true))?;
        }
        store(stage, 0);
        stage.probe()
    });
    rows.push(("withdraws-every-place", "LANE-39", true, all));
    let others: Course = Box::new(|stage| {
        for _ in 0..40 {
            let call = stage.new_call();
            store(stage, !(1 << (call % SLOTS)));
            stage.submit_as(ECHO, call, &Body::text("wanted"))?;
            expect_answer(stage, call, Some(false))?;
        }
        store(stage, 0);
        stage.probe()
    });
    rows.push(("withdraws-every-other-place", "LANE-39", true, others));
    let flicker: Course = Box::new(|stage| {
        for _ in 0..50 {
            let calls: Vec<_> = (0..20)
                .map(|_| stage.submit(ECHO, &Body::text("perhaps")))
                .collect::<Result<_, _>>()?;
            for round in 0..200_u32 {
                store(
                    stage,
                    if round % 2 == 0 { u32::MAX } else { round.wrapping_mul(0x9e37_79b9) },
                );
            }
            for call in calls {
                expect_answer(stage, call, None)?;
            }
        }
        store(stage, 0);
        stage.probe()
    });
    rows.push(("withdrawn-word-flickers", "LANE-39", true, flicker));
    let ended: Course = Box::new(|stage| {
        let call = stage.submit(ECHO, &Body::text("done"))?;
        stage.answer(call)?;
        // Nothing is in flight there.
        store(stage, 1 << (call % SLOTS));
        stage.line.ring();
        store(stage, 0);
        stage.probe()
    });
    rows.push(("withdraws-an-ended-call", "LANE-38", true, ended));
    let unasked: Course = Box::new(|stage| {
        store(stage, u32::MAX);
        stage.probe()
    });
    rows.push(("withdraws-without-the-feature", "LANE-38", false, unasked));
    (HOST..)
        .zip(rows)
        .map(|(number, (name, clause, withdraw, course))| {
            let start = Start { withdraw, ..Start::default() };
            let deed = Deed::Host(start, course);
            Case { number, name: name.to_owned(), clause, expect: Expect::Carries, deed }
        })
        .collect()
}

fn store(stage: &Stage<'_>, word: u32) {
    stage.line.store(stage.line.layout.withdrawn(), word);
}

/// Waits for the answer to a call of `echo`: given back or not, where that is certain. A worker without the feature gives
/// nothing back.
fn expect_answer(stage: &mut Stage<'_>, call: u32, given_back: Option<bool>) -> Result<(), End> {
    let can = stage.features & Features::WITHDRAW.bits() != 0;
    let answer = stage.answer(call)?;
    let says = answer.word0 == WITHDRAWN;
    match given_back.map(|given_back| given_back && can) {
        Some(expected) if says != expected => {
            Err(End::Wrong(format!("word 0 of the answer is {}", answer.word0)))
        }
        _ if says || answer.word0 == 0 && answer.tag == Tag::STRING_INLINE => Ok(()),
        _ => Err(End::Wrong(format!("the answer is {} with {}", answer.word0, answer.tag))),
    }
}

/// The cases in which the villain is a worker. Rows are only ever added at the end.
pub(super) fn of_worker() -> Vec<Case> {
    let undefined = || Body::bare(Tag::UNDEFINED);
    let mut rows: Vec<(&str, &'static str, Misdeed)> = Vec::new();
    for (name, clause, flags, flip, body) in [
        ("unasked", "LANE-39", WITHDRAWN, 0, undefined as fn() -> Body),
        ("with-a-number", "MBX-5", WITHDRAWN, 0, || Body::scalar(Tag::NUMBER, 1)),
        ("with-a-text", "MBX-5", WITHDRAWN, 0, || Body::text("result")),
        ("and-rejected", "MBX-5", WITHDRAWN | 1, 0, undefined),
        ("for-another-round", "LANE-2", WITHDRAWN, 32, undefined),
        ("for-no-call", "LANE-2", WITHDRAWN, u32::MAX, undefined),
    ] {
        let misdeed: Misdeed = Box::new(move |actor| {
            open(actor);
            let call = actor.next_call();
            note(actor, call.id, Step::Taken);
            actor.acted();
            note(actor, call.id, Step::Done);
            actor.answer_with(flags, call.id ^ flip, &body());
            wait_for_the_end(actor)
        });
        rows.push((name, clause, misdeed));
    }
    let after: Misdeed = Box::new(|actor| {
        open(actor);
        let call = actor.next_call();
        note(actor, call.id, Step::Taken);
        note(actor, call.id, Step::Done);
        actor.answer(&call);
        // Without an answer to the next one the host looks again.
        let kept = actor.next_call();
        note(actor, kept.id, Step::Taken);
        actor.acted();
        actor.answer_with(WITHDRAWN, call.id, &Body::bare(Tag::UNDEFINED));
        wait_for_the_end(actor)
    });
    rows.push(("after-its-result", "LANE-2", after));
    (WORKER..)
        .zip(rows)
        .map(|(number, (name, clause, misdeed))| Case {
            number,
            name: format!("gives-back-{name}"),
            clause,
            expect: Expect::Rejects,
            deed: Deed::Worker(misdeed),
        })
        .collect()
}

/// Says that the worker is ready and keeps a journal, for calls that can be withdrawn.
fn open(actor: &mut Actor) {
    let more = Features::JOURNAL.or(Features::WITHDRAW);
    let fields = actor.line.layout.fields();
    if !fields.required.or(fields.optional).contains(more) {
        actor.end("skip the host withdraws no calls");
    }
    actor.open_as(actor.epoch(), actor.features() | more.bits(), LaneState::Open.word());
}

fn note(actor: &Actor, call: u32, step: Step) {
    let at = actor.line.layout.journal().word(call % SLOTS * 4).expect("inside the journal");
    actor.line.store(at, step.of_call(call));
}
