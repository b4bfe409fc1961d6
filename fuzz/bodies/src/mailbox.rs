//! Operations on a mailbox, against a plain list.

use crate::corpus::Seed;
use crate::input::{Input, Output};
use knit_proto::INLINE_BYTES;
use knit_ring::Stamps;
use knit_tests::histories::{MailboxOp, run_mailbox};
use knit_tests::vector_files::{File, folder, text};
use serde_json::Value as Json;

/// Numbers of slots that are tried.
const SLOTS: [u32; 4] = [32, 1, 2, 5];
/// Most messages of a batch.
const BATCH: u8 = 40;

/// Number of slots, whether slots are stamped, then operations.
///
/// Every message is delivered once, in its order, with its bytes; the mailbox is full when the list says so.
///
/// # Panics
///
/// It is not.
pub fn mailbox(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let slots = SLOTS[usize::from(input.below(4))];
    let stamps = if input.flag() { Stamps::Off } else { Stamps::On };
    run_mailbox(slots, stamps, &input.steps(op));
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

/// The scripts of the traces, as far as they are about mailboxes.
pub(crate) fn seeds() -> Vec<Seed> {
    folder("trace").iter().filter_map(of_trace).collect()
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
