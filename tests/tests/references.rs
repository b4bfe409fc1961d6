//! The slow readers and the crates agree on every vector, and on every change of one word of it.

use knit_proto::SlotIndex;
use knit_proto::{Features, HeaderFields, Negotiation, RawControl, RawHeader, RawSlotHeader};
use knit_tests::differential::{hold_channel, hold_header, hold_line, hold_slot};
use knit_tests::reference::Observer;
use knit_tests::vector_files::{
    File, bits, bytes, flag, folder, number, reader_of, slot_rules, text, word, words,
};
use knit_tests::{EDGES, header_fields};

/// The vectors of a folder, and those that are refused of its kind.
fn of_kind(kind: &str) -> Vec<File> {
    let refused = folder("reject").into_iter().filter(|file| text(&file.json, "kind") == kind);
    folder(kind).into_iter().chain(refused).collect()
}

/// Calls `run` with the words themselves, and with each one changed in several ways.
fn changed<const N: usize>(words: [u32; N], mut run: impl FnMut([u32; N])) {
    run(words);
    for at in 0..N {
        let near = [words[at].wrapping_add(1), words[at].wrapping_sub(1), words[at] ^ 64];
        for word in EDGES.into_iter().chain(near) {
            let mut words = words;
            words[at] = word;
            run(words);
        }
    }
}

#[test]
fn headers() {
    let (mut read, mut refused) = (0, 0);
    for file in of_kind("header") {
        let (reader, mapped) = (reader_of(&file.json), number(&file.json, "mapped"));
        changed(words::<64>(&file.json, "bytes"), |words| {
            match hold_header(&RawHeader(words), reader, mapped) {
                Some(_) => read += 1,
                None => refused += 1,
            }
        });
    }
    println!("{read} headers read, {refused} refused");
    assert!(read > 1_000 && refused > 1_000);
}

#[test]
fn header_lines() {
    let (mut read, mut refused) = (0, 0);
    for file in of_kind("slot") {
        let [w0, w1, w2, w3, w4, w5, w6, ..]: [u32; 16] = words(&file.json, "bytes");
        changed([w0, w1, w2, w3, w4, w5, w6], |words| {
            let slot = SlotIndex::new(9).unwrap();
            match hold_slot(&RawSlotHeader(words), &slot_rules(&file.json), slot) {
                Some(_) => read += 1,
                None => refused += 1,
            }
        });
    }
    println!("{read} header lines read, {refused} refused");
    assert!(read > 1_000 && refused > 1_000);
}

#[test]
fn control_lines() {
    let mut refused = 0;
    for File { json, .. } in of_kind("control") {
        let [required, optional] = ["required", "optional"].map(|name| bits(&json, name));
        let epoch = word(&json, "epoch");
        let features = Features::from_bits;
        let fields = HeaderFields {
            required: features(required),
            optional: features(optional),
            epoch,
            ..header_fields(0, 0)
        };
        let (mut negotiation, mut observer) = if text(&json, "side") == "host" {
            (Negotiation::of_host(&fields), Observer::host(required, optional, epoch))
        } else {
            let supported = bits(&json, "supported");
            let negotiation = Negotiation::of_worker(&fields, features(supported));
            (negotiation, Observer::worker(required, optional, supported, epoch))
        };
        if flag(&json, "closing") {
            negotiation.leave();
            observer.closing = true;
        }
        let line = |json: &serde_json::Value| RawControl {
            state: word(json, "state"),
            epoch: word(json, "epoch"),
            features: bits(json, "features"),
        };
        for observed in json["observed"].as_array().unwrap() {
            assert_eq!(hold_line(&mut negotiation, &mut observer, line(observed), false), None);
        }
        let (request, last) = (flag(&json, "request"), line(&json["line"]));
        let violation = hold_line(&mut negotiation, &mut observer, last, request);
        assert_eq!(violation.map(|violation| violation.name()), Some(text(&json, "error")));
        refused += 1;
    }
    assert!(refused > 40, "{refused} lines");
}

#[test]
fn packets() {
    let mut refused = 0;
    for File { json, .. } in of_kind("channel") {
        for descriptors in 0..4 {
            hold_channel(&bytes(&json, "bytes"), descriptors);
        }
        assert_eq!(hold_channel(&bytes(&json, "bytes"), word(&json, "descriptors")), None);
        refused += 1;
    }
    assert!(refused > 10, "{refused} packets");
}
