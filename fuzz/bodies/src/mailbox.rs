//! Operations on a mailbox with two honest ends, or with one, against plain models.

use crate::corpus::{Seed, of_kind};
use crate::input::{Input, Output};
use knit_proto::INLINE_BYTES;
use knit_ring::{HeapMemory, Stamps};
use knit_tests::histories::{
    HostileReceiverOp, HostileSenderOp, MailboxOp, run_hostile_receiver, run_hostile_sender,
    run_mailbox,
};
use knit_tests::vector_files::{File, bits, folder, text};
use knit_tests::{HostileMemory, Noise, arena_lane};
use serde_json::Value as Json;

/// Who is hostile.
const NOBODY: u8 = 0;
const RECEIVER: u8 = 1;

/// Numbers of slots that are tried.
const SLOTS: [u32; 4] = [32, 1, 2, 5];
/// Most messages of a batch.
const BATCH: u8 = 40;

/// Number of slots and who is hostile, whether slots are stamped, then operations. Where an end is hostile, before
/// them: how many of 256 loads of the other one return what was never stored, and a script of what they return.
///
/// Every message is delivered once, in its order, with its bytes; the mailbox is full when the list says so. An
/// end believes what it loads, once, or names the slots that changed hands out of turn.
///
/// # Panics
///
/// It does something else.
pub fn mailbox(bytes: &[u8]) {
    let _ = run(bytes);
}

/// How many violations were named.
fn run(bytes: &[u8]) -> u32 {
    let mut input = Input::new(bytes);
    let how = input.below(12);
    let (slots, who) = (SLOTS[usize::from(how % 4)], how / 4);
    let stamps = if input.flag() { Stamps::Off } else { Stamps::On };
    if who == NOBODY {
        run_mailbox(slots, stamps, &input.steps(op));
        return 0;
    }
    let rate = input.byte().into();
    let noise = Noise::scripted(input.bytes(), input.wide());
    let lane = arena_lane(slots, 64);
    let memory = HeapMemory::zeroed(lane.bytes).expect("a few kilobytes");
    let hostile = HostileMemory::driven(&memory, noise, rate);
    if who == RECEIVER {
        run_hostile_receiver(&lane, &memory, &hostile, stamps, input.steps(receiver_op))
    } else {
        run_hostile_sender(&lane, &memory, &hostile, stamps, input.steps(sender_op))
    }
}

fn receiver_op(input: &mut Input<'_>) -> HostileReceiverOp {
    match input.below(4) {
        0 => HostileReceiverOp::Send(input.below(BATCH).into(), input.flag()),
        1 => HostileReceiverOp::Release(input.word()),
        2 => HostileReceiverOp::Flip(input.word()),
        _ => HostileReceiverOp::Store(input.word()),
    }
}

fn sender_op(input: &mut Input<'_>) -> HostileSenderOp {
    match input.below(6) {
        0 => {
            let how = input.byte();
            HostileSenderOp::Receive { poll: how & 1 != 0, finish: how & 2 != 0 }
        }
        1 => HostileSenderOp::Flip(input.word()),
        2 => HostileSenderOp::Store(input.word()),
        3 => HostileSenderOp::Stamp(input.byte().into()),
        4 => HostileSenderOp::IsPending,
        _ => HostileSenderOp::Release,
    }
}

fn op(input: &mut Input<'_>) -> MailboxOp {
    let len = |input: &mut Input<'_>| usize::from(input.short()) % (INLINE_BYTES as usize + 1);
    match input.below(6) {
        0 => MailboxOp::Send(len(input)),
        1 => MailboxOp::Abandon(len(input)),
        2 => MailboxOp::Batch(input.below(BATCH).into(), input.flag()),
        3 => {
            let how = input.byte();
            MailboxOp::Receive { poll: how & 1 != 0, finish: how & 2 != 0 }
        }
        4 => MailboxOp::Release,
        _ => MailboxOp::IsPending,
    }
}

/// The scripts of the traces, as far as they are about mailboxes, and the toggle words that are refused.
pub(crate) fn seeds() -> Vec<Seed> {
    let traces = folder("trace");
    let (sender, receiver) = (of_kind("sender"), of_kind("receiver"));
    let refused = sender.iter().map(of_release).chain(receiver.iter().map(of_publish));
    traces.iter().filter_map(of_trace).chain(refused).chain(stamps()).collect()
}

/// Stamps that are due, in a slot that is free and in one that the receiver holds.
fn stamps() -> [Seed; 2] {
    let start = || {
        let mut output = Output::default();
        output.byte(4 * (RECEIVER + 1) + 1).byte(0).byte(0).bytes(&[]).wide(0);
        output
    };
    let free = start().byte(3).byte(0).byte(0).byte(1).byte(1).word(0).byte(0).byte(0).done();
    let held = start().byte(1).word(1).byte(0).byte(2).byte(3).byte(0).byte(0).byte(1).done();
    [Seed::new("stamp-without-toggle", free), Seed::new("stamp-of-a-held-slot", held)]
}

/// The start of an input in which `who` is hostile, and no load is tampered with.
fn start(who: u8) -> Output {
    let mut output = Output::default();
    output.byte(4 * who).byte(1).byte(0).bytes(&[]).wide(0);
    output
}

/// A release word that a sender refuses.
fn of_release(file: &File) -> Seed {
    let (mine, seen) = (bits(&file.json, "mine"), bits(&file.json, "seen"));
    let mut output = start(RECEIVER);
    if seen != 0 {
        // All slots are filled, some come back, the rest is filled again as far as the vector says.
        output.byte(0).byte(32).byte(1).byte(3).word(seen).byte(0).byte(1).byte(0);
        output.byte(0).byte((!mine & seen).count_ones() as u8).byte(1);
    } else {
        output.byte(0).byte(mine.count_ones() as u8).byte(1);
    }
    output.byte(3).word(bits(&file.json, "release")).byte(0).byte(33).byte(0);
    Seed::of_vector(file, output.done())
}

/// A publish word that a receiver refuses.
fn of_publish(file: &File) -> Seed {
    let word = |name: &str| bits(&file.json, name);
    let mut output = start(RECEIVER + 1);
    let take = |output: &mut Output, slots: u32, how: u8| {
        for _ in 0..slots.count_ones() {
            output.byte(0).byte(how);
        }
    };
    output.byte(2).word(word("released"));
    take(&mut output, word("released"), 0);
    output.byte(2).word(word("taken"));
    take(&mut output, word("taken") ^ word("released"), 2);
    output.byte(2).word(word("publish")).byte(0).byte(0);
    Seed::of_vector(file, output.done())
}

fn of_trace(file: &File) -> Option<Seed> {
    let mut output = Output::default();
    output.byte(0).byte(u8::from(file.json["stamps"] != true));
    let mut steps = 0;
    for step in file.json["script"].as_array()? {
        let count = |member: &str| step[member].as_array().map_or(0, Vec::len);
        let inline = |message: &Json| message["inline"].as_str().map_or(0, |hex| hex.len() / 2);
        // Lengths are those of inline areas, numbers of messages those of slots.
        match text(step, "do") {
            "send" => drop(output.byte(0).short(inline(&step["message"]) as u16)),
            "abandon" => drop(output.byte(1).short(0)),
            "batch" => drop(output.byte(2).byte(count("messages") as u8).byte(1)),
            // A trace takes and releases by steps of their own.
            "take" => drop(output.byte(3).byte(2)),
            "poll" => drop(output.byte(3).byte(3)),
            "release" => drop(output.byte(4)),
            _ => continue,
        }
        steps += 1;
    }
    (steps > 0).then(|| Seed::of_vector(file, output.done()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeds that show nothing are none.
    #[test]
    fn the_toggle_words_that_the_vectors_reject_are_named() {
        let (sender, receiver) = (of_kind("sender"), of_kind("receiver"));
        assert!(sender.len() > 5 && receiver.len() > 5);
        for seed in sender.iter().map(of_release).chain(receiver.iter().map(of_publish)) {
            assert_eq!(run(&seed.bytes), 1, "{}", seed.name);
        }
    }
}
