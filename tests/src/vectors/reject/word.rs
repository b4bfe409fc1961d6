//! Toggle words that no peer may store, and answers that no call waits for.

use super::super::VectorFile;
use super::super::build::bits;
use super::fault;
use serde_json::json;

pub(super) fn vectors() -> Vec<VectorFile> {
    [receiver(), sender(), arena(), answer(), withdrawal()].concat()
}

/// What the receiver has taken, what it has released, and what the sender shows it.
fn receiver() -> Vec<VectorFile> {
    [
        ("first", "Slot 0 was taken, not released, and is published again.", 0x1, 0, 0),
        ("last", "Slot 31 was taken, not released, and is published again.", 0x8000_0000, 0, 0),
        ("one-of-three", "Three slots are held, one of them is published again.", 0x7, 0, 0x5),
        ("with-new-ones", "A held slot is published again together with free ones.", 0x1, 0, 0xf0),
        ("all", "Every slot is held, and published again.", u32::MAX, 0, 0),
        ("one-of-32", "Every slot is held, one is published again.", u32::MAX, 0, 0xffff_feff),
        (
            "second-round",
            "Slots 0 to 3 were released once. Slot 1 was taken a second time, and is published a third time.",
            0x0d,
            0x0f,
            0x0f,
        ),
        (
            "held-among-released",
            "Slot 2 is held while its neighbours have been released.",
            0x1f,
            0x1b,
            0x1b,
        ),
    ]
    .into_iter()
    .map(|(words, doc, taken, released, publish)| {
        let input = json!({
            "publish": bits(publish),
            "taken": bits(taken),
            "released": bits(released),
        });
        fault("republished", "MBX-7").refuse("receiver", words, &["MBX-3"], doc, input)
    })
    .collect()
}

/// What the sender has published, what it saw released, and what the receiver shows it.
fn sender() -> Vec<VectorFile> {
    [
        ("unused", "Nothing was published, and slot 0 is released.", 0, 0, 0x1),
        ("unused-last", "Nothing was published, and slot 31 is released.", 0, 0, 0x8000_0000),
        ("unused-all", "Nothing was published, and everything is released.", 0, 0, u32::MAX),
        ("neighbour", "Slots 0 to 2 are pending, and slot 3 is released.", 0x7, 0, 0x8),
        ("one-too-many", "Slots 0 to 2 are pending, and slots 0 and 3 are released.", 0x7, 0, 0x9),
        ("all-but-one", "Slots 0 to 30 are pending, and all 32 are released.", 0x7fff_ffff, 0, u32::MAX),
        (
            "twice",
            "Of 32 slots eight have been released. The release of slot 0 is taken back.",
            u32::MAX,
            0xff,
            0xfe,
        ),
        (
            "second-round",
            "Slots 0 to 3 are pending a second time, slots 4 to 7 have been released: slot 4 changes.",
            0xffff_fff0,
            0xff,
            0xef,
        ),
        (
            "good-and-bad",
            "Slots 0 and 1 are released a second time, and so is slot 7, which is free.",
            0xffff_fff0,
            0xff,
            0x7c,
        ),
    ]
    .into_iter()
    .map(|(words, doc, mine, seen, release)| {
        let input = json!({ "release": bits(release), "seen": bits(seen), "mine": bits(mine) });
        fault("released_free", "MBX-8").refuse("sender", words, &["MBX-3"], doc, input)
    })
    .collect()
}

/// What the sender has made live, what it saw freed, and what the receiver shows it.
fn arena() -> Vec<VectorFile> {
    [
        ("unused", "No block was ever live, and block 0 is freed.", 0, 0, 0x1),
        ("unused-last", "No block was ever live, and block 31 is freed.", 0, 0, 0x8000_0000),
        ("unused-all", "No block was ever live, and all are freed.", 0, 0, u32::MAX),
        ("neighbour", "Blocks 0 to 2 are live, and block 3 is freed.", 0x7, 0, 0x8),
        ("one-too-many", "Blocks 0 to 2 are live, and blocks 0 and 3 are freed.", 0x7, 0, 0x9),
        ("twice", "Block 1 has been freed, and its word goes back.", 0x7, 0x2, 0),
        (
            "second-round",
            "Block 0 is live a second time, and block 1, which is free, changes.",
            0x6,
            0x7,
            0x5,
        ),
        ("all-but-one", "Blocks 0 to 30 are live, and all 32 are freed.", 0x7fff_ffff, 0, u32::MAX),
    ]
    .into_iter()
    .map(|(words, doc, mine, seen, free)| {
        let input = json!({ "free": bits(free), "seen": bits(seen), "mine": bits(mine) });
        fault("freed_dead", "ARN-4").refuse("arena", words, &[], doc, input)
    })
    .collect()
}

fn answer() -> Vec<VectorFile> {
    let all: Vec<u32> = (0..32).collect();
    [
        ("none", "No call is in flight.", &[][..], 0),
        ("never", "A call that was never made.", &[0, 1, 2], 3),
        ("ended", "A call that has been answered already.", &[1, 2], 0),
        ("next-use", "The id that the same place will have next.", &[0], 32),
        ("last-use", "The id that the same place had before.", &[32], 0),
        ("high-bit", "An id in flight with its highest bit set.", &[5], 0x8000_0005),
        ("low-byte", "An id in flight in its low byte only.", &[7], 0x0100_0007),
        ("largest", "The largest id.", &all, u32::MAX),
        ("one-more", "All 32 calls are in flight, and the answer is to another.", &all, 32),
    ]
    .into_iter()
    .map(|(words, doc, in_flight, call)| {
        let input = json!({ "in_flight": in_flight, "call": call });
        fault("unknown_call", "LANE-2").refuse("answer", words, &[], doc, input)
    })
    .collect()
}

/// The host's withdrawn word, the calls of those that it has found not begun, and an answer to a call in flight.
fn withdrawal() -> Vec<VectorFile> {
    [
        ("nothing", "No call is withdrawn, and the answer says that one was.", 0, 0, 5, 2),
        ("neighbour", "The calls beside it are withdrawn.", 0x50, 0x50, 5, 2),
        ("all-others", "Every other call is withdrawn.", 0xfffe_fffe, 0xfffe_fffe, 16, 2),
        ("last", "No call is withdrawn, and the answer is to that of the last place.", 0, 0, 31, 2),
        ("result", "The call is withdrawn and was not begun: its result.", 0x20, 0x20, 5, 0),
        ("result-of-last", "The same of the last place.", 0x8000_0000, 0x8000_0000, 31, 0),
        ("result-of-many", "Every call but one is withdrawn and not begun.", !1, !1, 9, 0),
        (
            "result-after-others",
            "Call 3 was begun when it was withdrawn, call 4 was not.",
            0x18,
            0x10,
            4,
            0,
        ),
    ]
    .into_iter()
    .map(|(words, doc, withdrawn, not_begun, call, word0)| {
        let (withdrawn, not_begun) = (bits(withdrawn), bits(not_begun));
        let input = json!({
            "withdrawn": withdrawn,
            "not_begun": not_begun,
            "call": call,
            "word0": word0,
        });
        fault("withdrawn", "LANE-39").refuse("withdrawal", words, &[], doc, input)
    })
    .collect()
}
