//! Control lines with which a lane does not go on.

use super::super::VectorFile;
use super::super::build::bits;
use super::{Fault, also, fault};
use serde_json::{Value, json};

const HOST: &str = "host";
const WORKER: &str = "worker";
const EPOCH: u32 = 7;
/// FUTEX_BELLS, which is required here, and STAMPS, which is optional.
const REQUIRED: u32 = 0x8;
const OPTIONAL: u32 = 0x1;
const BOTH: u32 = 0x9;

/// What a side sees: lines that were fine, then the one that is not.
struct Look {
    side: &'static str,
    required: u32,
    optional: u32,
    supported: u32,
    closing: bool,
    observed: Vec<[u32; 3]>,
    /// State, epoch, features.
    line: [u32; 3],
    request: bool,
}

/// A side that has seen these lines, and loads this one.
fn look(side: &'static str, observed: &[[u32; 3]], line: [u32; 3]) -> Look {
    Look {
        side,
        required: REQUIRED,
        optional: OPTIONAL,
        supported: BOTH,
        closing: false,
        observed: observed.to_vec(),
        line,
        request: false,
    }
}

impl Look {
    fn refused(self, fault: Fault, words: &str, doc: &str) -> VectorFile {
        let line = |[state, epoch, features]: [u32; 3]| json!({ "state": state, "epoch": epoch, "features": bits(features) });
        let mut input = json!({
            "side": self.side,
            "required": bits(self.required),
            "optional": bits(self.optional),
        });
        if self.side == WORKER {
            input["supported"] = bits(self.supported);
        }
        input["epoch"] = EPOCH.into();
        input["closing"] = self.closing.into();
        input["observed"] = self.observed.into_iter().map(line).collect::<Vec<Value>>().into();
        input["line"] = line(self.line);
        input["request"] = self.request.into();
        fault.refuse("control", words, &[], doc, input)
    }
}

pub(super) fn vectors() -> Vec<VectorFile> {
    [epochs(), states(), accepted(), changed(), locked()].concat()
}

fn epochs() -> Vec<VectorFile> {
    let epoch = fault("epoch_mismatch", "LANE-4");
    let mut files = Vec::new();
    for (words, doc, found) in [
        ("0", "The other side is open and has not said for which epoch.", 0),
        ("older", "The other side speaks for the epoch before.", 6),
        ("newer", "The other side speaks for the next epoch.", 8),
        ("high-bit", "The epochs differ in their highest bit.", 0x8000_0007),
    ] {
        for (name, side, features) in [("host", HOST, BOTH), ("worker", WORKER, 0)] {
            let words = format!("{name}-{words}");
            files.push(look(side, &[], [1, found, features]).refused(epoch, &words, doc));
        }
    }
    let doc = "The epoch changes after the worker has opened.";
    files.push(look(HOST, &[[1, EPOCH, BOTH]], [1, 8, BOTH]).refused(epoch, "changed", doc));
    files
}

fn states() -> Vec<VectorFile> {
    let state = fault("state", "LANE-3");
    let open = [1, EPOCH, BOTH];
    let mut files = Vec::new();
    for (words, value) in [("3", 3), ("high-half", 0x0001_0000), ("largest", u32::MAX)] {
        for (name, side) in [("host", HOST), ("worker", WORKER)] {
            let words = format!("{name}-{words}");
            let doc = "A state that is not assigned.";
            files.push(look(side, &[], [value, EPOCH, BOTH]).refused(state, &words, doc));
        }
    }
    let doc = "A worker starts after its host has spoken.";
    files.push(also(look(WORKER, &[], [0, 0, 0]).refused(state, "host-absent", doc), "LANE-5"));
    let doc = "A worker that was open is absent again.";
    files.push(look(HOST, &[open], [0, EPOCH, BOTH]).refused(state, "worker-gone-back", doc));
    let doc = "A host that was open is absent again.";
    files.push(look(WORKER, &[open], [0, EPOCH, BOTH]).refused(state, "host-gone-back", doc));
    let doc = "A host that was closing is open again.";
    let seen = [open, [2, EPOCH, BOTH]];
    files.push(look(WORKER, &seen, open).refused(state, "host-open-again", doc));
    let doc = "A worker that was closing is open again.";
    let closing = Look { closing: true, ..look(HOST, &seen, open) };
    files.push(closing.refused(state, "worker-open-again", doc));
    let doc = "A worker leaves after its host.";
    files.push(also(
        look(HOST, &[open], [2, EPOCH, BOTH]).refused(state, "worker-leaves-first", doc),
        "LANE-12",
    ));
    let doc = "A worker that leaves before it has opened.";
    files.push(also(
        look(HOST, &[], [2, EPOCH, BOTH]).refused(state, "worker-never-open", doc),
        "LANE-12",
    ));
    files
}

fn accepted() -> Vec<VectorFile> {
    let features = fault("features", "SEG-9");
    let mut files: Vec<_> = [
        ("none", "A required feature is missing.", 0),
        ("optional-only", "The required feature is missing, an optional one accepted.", 0x1),
        ("not-offered", "A feature is accepted that was not offered.", 0xb),
        ("highest", "The highest bit was not offered.", 0x8000_0009),
        ("all", "Every feature is accepted.", u32::MAX),
    ]
    .into_iter()
    .map(|(words, doc, found)| look(HOST, &[], [1, EPOCH, found]).refused(features, words, doc))
    .collect();
    let nothing = Look { required: 0, optional: 0, ..look(HOST, &[], [1, EPOCH, 0x1]) };
    let doc = "A feature is accepted where none was offered.";
    files.push(nothing.refused(features, "none-offered", doc));
    files.push(Look { observed: vec![[0, 0, 0]], ..look(HOST, &[], [1, EPOCH, 0x4]) }.refused(
        features,
        "after-absent",
        "The worker comes, and accepts what was not offered.",
    ));
    files
}

fn changed() -> Vec<VectorFile> {
    let changed = fault("features_changed", "LANE-11");
    let open = [1, EPOCH, BOTH];
    let mut files = Vec::new();
    for (words, doc, found) in [
        ("one-less", "An accepted feature disappears.", REQUIRED),
        ("none", "Every accepted feature disappears.", 0),
        ("one-more", "A feature comes that was not offered.", 0xb),
        ("all", "Every feature.", u32::MAX),
    ] {
        let line = [1, EPOCH, found];
        let words_of = format!("worker-{words}");
        files.push(look(HOST, &[open], line).refused(changed, &words_of, doc));
        let words_of = format!("host-{words}");
        files.push(look(WORKER, &[open], line).refused(changed, &words_of, doc));
    }
    let doc = "An offered feature comes that the worker had not accepted.";
    let late = look(HOST, &[[1, EPOCH, REQUIRED]], open);
    files.push(late.refused(changed, "worker-accepts-late", doc));
    let doc = "The host locks fewer features than the worker has accepted.";
    let fewer = look(WORKER, &[[1, EPOCH, 0]], [1, EPOCH, REQUIRED]);
    files.push(fewer.refused(changed, "host-locks-fewer", doc));
    let doc = "The host locks a feature that the worker does not know, and so has not accepted.";
    let more = Look { supported: REQUIRED, ..look(WORKER, &[], open) };
    files.push(more.refused(changed, "host-locks-more", doc));
    let doc = "The features change while the host is leaving.";
    let leaving = look(WORKER, &[open], [2, EPOCH, REQUIRED]);
    files.push(leaving.refused(changed, "host-leaving", doc));
    files
}

fn locked() -> Vec<VectorFile> {
    let not_locked = fault("not_locked", "LANE-9");
    let with_request = |look| Look { request: true, ..look };
    vec![
        with_request(look(WORKER, &[[1, EPOCH, 0]], [1, EPOCH, 0])).refused(
            not_locked,
            "request",
            "A request came before the host had locked any features.",
        ),
        with_request(look(WORKER, &[], [1, EPOCH, 0])).refused(
            not_locked,
            "first-look",
            "The same, at the first look.",
        ),
        with_request(look(WORKER, &[[1, EPOCH, 0]], [2, EPOCH, 0])).refused(
            not_locked,
            "leaving",
            "A request came from a host that leaves without having locked any features.",
        ),
        with_request(Look { required: 0, ..look(WORKER, &[], [1, EPOCH, 0]) }).refused(
            not_locked,
            "optional",
            "The only accepted feature was optional. It has to be locked too.",
        ),
    ]
}
