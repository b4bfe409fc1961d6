//! Workers that break the protocol: the calls that were with them fail with an error that names the
//! clause, their process is ended, and the other lane serves every call. H5, H12, H20; KD-7, KD-14.

mod pool_support;

use knit_lanes::codec::DecodeError;
use knit_lanes::{
    Builder, CallError, Error, GiveError, Pool, ProtocolViolation, SendError, SharedBuffer,
    StartError, Task, TaskFailure, Tasks, WorkerExit,
};
use pool_support::process::{is_gone, until_gone, with_argument};
use pool_support::{fresh_path, until, within_deadline};
use std::time::Instant;

const VILLAIN: &str = env!("CARGO_BIN_EXE_knit-test-villain");

type Text = Task<String, String>;

/// Settings of a pool whose lane 0 has a villain until it is restarted. `marker` is a file that the
/// villain makes when the damage is done; it also tells this pool's processes from others.
fn villains(processes: usize, mode: &str, marker: &str) -> Builder {
    // No villain keeps the journal: calls that it took would look as if it had not begun with them.
    Pool::builder().command(VILLAIN, [mode, marker]).processes(processes).retry(false)
}

fn tasks() -> (Tasks, Text) {
    let mut tasks = Tasks::new();
    let text = tasks.declare("text");
    (tasks, text)
}

/// A text of this number that does not fit inline.
fn long(number: u32) -> String {
    format!("{number:0>700}")
}

/// What a call that was with a villain may come to.
fn check(mode: &str, clauses: &[&str], outcome: &Result<String, CallError>, sent: &str) -> bool {
    match outcome {
        Ok(text) => {
            assert_eq!(text, sent, "{mode}");
            false
        }
        // The answer that came with or before the misdeed.
        Err(CallError::Answer(DecodeError::WrongType { .. })) => false,
        Err(error @ CallError::Violation { lane: 0, violation }) => {
            let clause = violation.clause().id();
            assert!(clauses.contains(&clause), "{mode}: {error}");
            assert!(error.to_string().contains(clause), "{mode}: {error}");
            true
        }
        other => panic!("{mode}: {other:?}"),
    }
}

/// Calls a pool whose first lane misbehaves, and one that does not.
fn misbehaviour(mode: &'static str, clauses: &'static [&'static str]) {
    within_deadline(move || {
        let marker = fresh_path("villain");
        let (tasks, text) = tasks();
        let pool = villains(2, mode, &marker).start(tasks).unwrap();
        let workers = pool.worker_ids();
        assert_eq!(workers.len(), 2);
        let start = Instant::now();
        let calls: Vec<_> = (0..64).map(|n| (n, pool.call(text, long(n)))).collect();
        let mut violations = 0;
        for (n, call) in calls {
            violations += u32::from(check(mode, clauses, &call.wait(), &long(n)));
        }
        assert!((1..=32).contains(&violations), "{mode}: {violations} calls name the clause");
        println!("{mode}: {violations} calls failed within {:?}", start.elapsed());
        until_gone(&[workers[0]]);
        // The honest worker, and whoever replaces the villain, serve all that comes.
        assert!(!is_gone(workers[1]));
        for n in 0..100 {
            assert_eq!(pool.call(text, long(n)).wait().unwrap(), long(n), "{mode}");
        }
        drop(pool);
        assert_eq!(with_argument(&marker), [0; 0]);
        let _ = std::fs::remove_file(marker);
    });
}

#[test]
fn an_answer_to_no_call_poisons_the_lane() {
    misbehaviour("unknown-call", &["LANE-2"]);
}

/// LANE-2.
#[test]
fn a_second_answer_poisons_the_lane() {
    misbehaviour("answer-twice", &["LANE-2"]);
    misbehaviour("replay", &["LANE-2"]);
}

#[test]
fn an_unassigned_tag_poisons_the_lane() {
    // KD-14: such a call resolved with the caller's own argument.
    misbehaviour("unassigned-tag", &["PAY-1"]);
    misbehaviour("huge-tag", &["PAY-1"]);
}

#[test]
fn a_tag_of_one_process_poisons_the_lane() {
    misbehaviour("local-tag", &["PAY-3"]);
}

#[test]
fn a_length_beyond_the_inline_area_poisons_the_lane() {
    // KD-14: the bytes of neighbouring slots were returned.
    misbehaviour("inline-length", &["PAY-4"]);
    misbehaviour("inline-length-65536", &["PAY-4"]);
}

#[test]
fn a_length_beyond_the_limit_poisons_the_lane() {
    // KD-14: 4 GiB were allocated, or the whole mapping returned.
    misbehaviour("payload-length", &["PAY-5"]);
    misbehaviour("payload-length-max", &["PAY-5"]);
    misbehaviour("envelope-length", &["PAY-5"]);
}

#[test]
fn a_place_outside_the_arena_poisons_the_lane() {
    misbehaviour("arena-bounds", &["ARN-3"]);
    misbehaviour("arena-start-max", &["ARN-3"]);
    misbehaviour("arena-alignment", &["ARN-2"]);
}

#[test]
fn unknown_answer_flags_poison_the_lane() {
    misbehaviour("answer-flags", &["MBX-5"]);
    misbehaviour("answer-flags-all", &["MBX-5"]);
    misbehaviour("withdrawn-value", &["MBX-5"]);
    misbehaviour("withdrawn-rejected", &["MBX-5"]);
}

/// LANE-39: nobody has withdrawn the call.
#[test]
fn a_call_that_is_given_back_unasked_poisons_the_lane() {
    misbehaviour("withdrawn", &["LANE-39"]);
}

#[test]
fn slots_published_but_never_filled_poison_the_lane() {
    misbehaviour("flip-all", &["PAY-1"]);
}

#[test]
fn a_dead_block_that_is_freed_poisons_the_lane() {
    within_deadline(|| {
        let marker = fresh_path("villain");
        let (tasks, text) = tasks();
        let pool = villains(2, "free-dead-block", &marker).start(tasks).unwrap();
        let workers = pool.worker_ids();
        let mut calls = Vec::new();
        // The villain acts when it has a call, which it does not answer.
        until("the villain has freed a dead block", || {
            if calls.len() < 60 {
                let n = calls.len() as u32;
                calls.push((n, pool.call(text, long(n))));
            }
            std::fs::exists(&marker).unwrap()
        });
        // The host looks when it needs a block in that arena; a full lane needs none, and says
        // nothing before its worker ends.
        for _ in 0..4 {
            let n = calls.len() as u32;
            calls.push((n, pool.call(text, long(n))));
        }
        let mut failed = 0;
        for (n, call) in calls {
            match call.wait() {
                Err(CallError::WorkerDied { lane: 0, exit: WorkerExit::Code(99), .. }) => {
                    failed += 1
                }
                outcome => {
                    failed += u32::from(check("free-dead-block", &["ARN-4"], &outcome, &long(n)));
                }
            }
        }
        assert!((1..=32).contains(&failed), "{failed}");
        until_gone(&[workers[0]]);
        std::fs::remove_file(marker).unwrap();
    });
}

#[test]
fn a_stamp_without_publication_is_seen_or_does_nothing() {
    within_deadline(|| {
        let marker = fresh_path("villain");
        let (tasks, text) = tasks();
        let pool = villains(1, "stamp-unpublished", &marker).start(tasks).unwrap();
        let calls: Vec<_> = (0..8).map(|n| (n, pool.call(text, long(n)))).collect();
        let mut failed = 0;
        for (n, call) in calls {
            match call.wait() {
                // Nobody looked at the stamp, and the villain gave up.
                Err(CallError::WorkerDied { exit: WorkerExit::Code(99), .. }) => failed += 1,
                outcome => {
                    let clauses = &["LANE-2", "MBX-7"];
                    failed += u32::from(check("stamp-unpublished", clauses, &outcome, &long(n)));
                }
            }
        }
        assert!(failed >= 6, "{failed}");
        assert_eq!(pool.call(text, long(9)).wait().unwrap(), long(9));
        let _ = std::fs::remove_file(marker);
    });
}

#[test]
fn random_words_everywhere_harm_nobody_else() {
    // H1, H2: what the host wrote it never reads back, and what it reads it reads once.
    within_deadline(|| {
        for seed in 1..=8 {
            random_words(&format!("random-words-{seed}"));
        }
    });
}

fn random_words(mode: &str) {
    let marker = fresh_path("villain");
    let (mut tasks, text) = tasks();
    let signed = tasks.declare::<String, String>("signed");
    let pool = villains(2, mode, &marker).start(tasks).unwrap();
    let [villain, honest] = pool.worker_ids()[..] else { panic!("two workers") };
    let mut by_honest = 0;
    for round in 0..10 {
        let calls: Vec<_> = (0..64)
            .map(|n| long(round * 64 + n))
            .map(|text| (format!("{honest} {text}"), pool.call(signed, text)))
            .collect();
        for (wanted, call) in calls {
            match call.wait() {
                // Whatever a worker writes is its answer; it can choose a wrong one.
                Ok(text) => by_honest += u64::from(text == wanted),
                Err(CallError::Answer(_) | CallError::Task(_)) => {}
                Err(CallError::Violation { lane: 0, .. }) => {}
                Err(CallError::WorkerDied { lane: 0, exit: WorkerExit::Code(99), .. }) => {}
                other => panic!("{mode}: {other:?}"),
            }
        }
    }
    // Each answer of the honest worker was the right one.
    assert_eq!(pool.metrics().lanes[1].answers, by_honest, "{mode}");
    assert!(by_honest > 0, "{mode}");
    until_gone(&[villain]);
    for n in 0..100 {
        assert_eq!(pool.call(text, long(n)).wait().unwrap(), long(n), "{mode}");
    }
    // Made only when the villain came to the end of its writes.
    let _ = std::fs::remove_file(marker);
}

/// Every call that a lane of an odd worker gets ends with an error of that call alone.
fn oddity(mode: &'static str, expected: fn(&CallError) -> bool) {
    within_deadline(move || {
        let (tasks, text) = tasks();
        let marker = fresh_path("odd");
        let pool = villains(2, mode, &marker).start(tasks).unwrap();
        let workers = pool.worker_ids();
        let mut odd = 0;
        for round in 0..3 {
            let calls: Vec<_> = (0..64).map(|n| (n, pool.call(text, long(n)))).collect();
            for (n, call) in calls {
                match call.wait() {
                    Ok(answer) => assert_eq!(answer, long(n)),
                    Err(error) => {
                        assert!(expected(&error), "{mode}: {error}");
                        odd += 1;
                    }
                }
            }
            assert!(odd > round, "{mode}: no call was with the odd worker");
        }
        assert_eq!(pool.worker_ids(), workers, "{mode}: nobody broke the protocol");
    });
}

#[test]
fn an_error_that_is_no_error_value_fails_its_call_alone() {
    // KD-7: invalid JSON in one answer ended the host or hung the lane.
    for mode in ["garbage-error", "empty-error", "error-of-number"] {
        oddity(
            mode,
            |error| matches!(error, CallError::Task(task) if task.failure == TaskFailure::Returned),
        );
    }
}

/// PAY-25.
#[test]
fn an_answer_that_cannot_be_decoded_fails_its_call_alone() {
    oddity("bad-utf8", |error| {
        matches!(error, CallError::Answer(DecodeError::Utf8 { valid_up_to: 2 }))
    });
    oddity("wrong-type", |error| matches!(error, CallError::Answer(DecodeError::WrongType { .. })));
}

/// PAY-22. PAY-30.
#[test]
fn a_number_of_a_descriptor_is_never_opened() {
    // KD-15: the host would have mapped whatever descriptor the worker named.
    oddity("shared-buffer", |error| {
        let CallError::Answer(DecodeError::WrongType { found, .. }) = error else { return false };
        *found == knit_proto::Tag::SHARED_BUFFER
    });
}

/// LANE-25.
#[test]
fn a_control_message_of_another_form_poisons_the_lane() {
    for mode in ["length", "long", "version", "kind", "no-file", "two-files", "many-files"] {
        misbehaviour(format!("channel-{mode}").leak(), &["LANE-25"]);
    }
}

/// LANE-28.
#[test]
fn a_buffer_that_no_side_may_give_poisons_the_lane() {
    for mode in ["null", "unsealed", "stated-length", "drop", "twice", "flood"] {
        misbehaviour(format!("channel-{mode}").leak(), &["LANE-25"]);
    }
}

/// PAY-30.
#[test]
fn a_part_outside_of_a_given_buffer_fails_its_call_alone() {
    type Check = fn(&Result<SharedBuffer, CallError>) -> bool;
    let modes: [(_, Check); 5] = [
        ("buffer-number", |found| {
            matches!(found, Err(CallError::Answer(DecodeError::UnknownSharedBuffer { number: 8 })))
        }),
        ("buffer-end", out_of_range),
        ("buffer-start", out_of_range),
        ("buffer-wrap", out_of_range),
        // The last six bytes are inside.
        ("buffer-part", |found| {
            found
                .as_ref()
                .is_ok_and(|buffer| buffer.to_vec() == [0; 6] && buffer.write(0, &[1; 7]).is_err())
        }),
    ];
    within_deadline(move || {
        for (mode, expected) in modes {
            let marker = fresh_path("buffers");
            let pool = villains(1, mode, &marker).start(tasks().0).unwrap();
            let buffer = pool.task::<String, SharedBuffer>("text").unwrap();
            let workers = pool.worker_ids();
            for n in 0..40 {
                // Inline: the villain frees no blocks.
                let found = pool.call(buffer, n.to_string()).wait();
                assert!(expected(&found), "{mode}: {found:?}");
            }
            assert_eq!(pool.worker_ids(), workers, "{mode}: nobody broke the protocol");
        }
    });
}

/// LANE-31.
#[test]
fn a_worker_without_a_channel_is_sent_no_buffers() {
    within_deadline(|| {
        let marker = fresh_path("no-handles");
        let pool = villains(1, "no-handles", &marker).start(tasks().0).unwrap();
        let workers = pool.worker_ids();
        let buffer = pool.task::<SharedBuffer, ()>("text").unwrap();
        let unit = pool.task::<(), ()>("text").unwrap();
        for _ in 0..3 {
            let refused = pool.call(buffer, SharedBuffer::new(4).unwrap()).wait();
            assert!(
                matches!(
                    refused,
                    Err(CallError::Unsendable(SendError::Buffer(GiveError::NoChannel)))
                ),
                "{refused:?}"
            );
            pool.call(unit, ()).wait().unwrap();
        }
        assert_eq!(pool.worker_ids(), workers);
    });
}

fn out_of_range(found: &Result<SharedBuffer, CallError>) -> bool {
    matches!(
        found,
        Err(CallError::Answer(DecodeError::SharedBufferRange { number: 7, available: 4096, .. }))
    )
}

#[test]
fn a_worker_that_opens_in_a_wrong_way_does_not_start() {
    type Check = fn(&ProtocolViolation) -> bool;
    let modes: [(_, Check); 5] = [
        ("open-other-epoch", |found| {
            matches!(found, ProtocolViolation::Epoch { expected: 1, found: 2 })
        }),
        ("open-more-features", |found| matches!(found, ProtocolViolation::Features { .. })),
        ("open-without-required", |found| matches!(found, ProtocolViolation::Features { .. })),
        ("open-state-7", |found| matches!(found, ProtocolViolation::State { state: 7 })),
        ("open-closing", |found| matches!(found, ProtocolViolation::State { state: 2 })),
    ];
    within_deadline(move || {
        for (mode, expected) in modes {
            let marker = fresh_path("opens");
            match villains(2, mode, &marker).start(tasks().0) {
                Err(Error::Start(StartError::Violation(violation))) => {
                    assert!(expected(&violation), "{mode}: {violation}");
                }
                other => panic!("{mode}: {other:?}"),
            }
            assert_eq!(with_argument(&marker), [0; 0], "{mode}: a worker is left");
            let _ = std::fs::remove_file(marker);
        }
    });
}

/// LANE-3, LANE-4, LANE-11: the worker answers nothing, and the host that waits looks at its line.
#[test]
fn a_control_line_that_changes_poisons_the_lane() {
    misbehaviour("change-features", &["LANE-11"]);
    misbehaviour("state-back", &["LANE-3"]);
    misbehaviour("change-epoch", &["LANE-4"]);
}

#[test]
fn a_poisoned_worker_that_had_served_is_replaced() {
    // One process only: there is no other lane to take the call.
    within_deadline(|| {
        let marker = fresh_path("villain");
        let (tasks, text) = tasks();
        let pool = villains(1, "unassigned-tag", &marker).start(tasks).unwrap();
        let villain = pool.worker_ids();
        let outcome = pool.call(text, long(1)).wait();
        assert!(check("unassigned-tag", &["PAY-1"], &outcome, ""), "{outcome:?}");
        let next = pool.call(text, long(2)).wait();
        assert_eq!(next.unwrap(), long(2));
        assert_ne!(pool.worker_ids(), villain);
        let _ = std::fs::remove_file(marker);
    });
}

/// H16: wakes without a reason cost looks, and nothing else: every call has its answer, on both lanes.
#[test]
fn a_storm_of_wakes_loses_no_call_and_poisons_nobody() {
    oddity("ring-storm", |error| matches!(error, CallError::Answer(DecodeError::WrongType { .. })));
}

#[test]
fn dropping_a_pool_ends_a_worker_that_does_not_listen() {
    within_deadline(|| {
        let marker = fresh_path("villain");
        let (tasks, _) = tasks();
        let pool = villains(2, "deaf", &marker).start(tasks).unwrap();
        let workers = pool.worker_ids();
        drop(pool);
        assert!(workers.into_iter().all(is_gone));
    });
}
