//! The codec and the reference agree on every vector, on every truncation and every change of one byte of
//! it, under every tag, and on random payloads: the same value, or the same fault.

use knit_codec::{Decode, Limits, Payload, Value};
use knit_proto::{Form, Tag};
use knit_tests::differential::hold_payload as hold;
use knit_tests::vector_files::{File, folder, limits, received, text};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use std::cell::Cell;

const SEED: u64 = 0x6B6E_6974;

/// Changes are made to every byte of payloads up to here, and to a sample of them beyond.
const SHORT: usize = 700;
/// All other values of a byte are tried in payloads up to here, and some of them beyond.
const SHORTEST: usize = 40;

/// Distance between the places of a payload that are tried: every one of a short payload. The digits of a
/// long bigint take the reference time that grows with the square of their number.
fn step(payload: &Payload<'_>) -> usize {
    let is_bigint = [28, 29].contains(&payload.tag().0);
    let most = if is_bigint && payload.len() > 64 { 8 } else { SHORT };
    payload.len() / most + 1
}

/// Every vector that is a payload, valid or not.
fn vectors() -> impl Iterator<Item = File> {
    let refused = folder("reject").into_iter().filter(|file| text(&file.json, "kind") == "payload");
    folder("payload").into_iter().chain(refused)
}

fn with_bytes<'a>(payload: &Payload<'_>, bytes: &'a [u8]) -> Payload<'a> {
    match payload.tag().form() {
        Some(Form::InlineHead | Form::ArenaHead) => {
            Payload::two_parts(payload.tag(), bytes.into(), payload.head_len())
        }
        _ => Payload::bytes(payload.tag(), bytes),
    }
}

#[test]
fn every_vector() {
    let mut count = 0;
    for file in vectors() {
        hold(&received(&file.json), &limits(&file.json));
        count += 1;
    }
    assert!(count > 300, "{count} vectors");
}

#[test]
fn every_vector_under_every_tag() {
    for file in vectors() {
        let payload = received(&file.json);
        for tag in (0..60).map(Tag) {
            if [28, 29].contains(&tag.0) && payload.len() > SHORT {
                continue;
            }
            let (bytes, head) = (payload.as_bytes().into(), payload.head_len());
            hold(&Payload::two_parts(tag, bytes, head), &limits(&file.json));
            hold(&Payload::scalar(tag, payload.scalar_bits()), &limits(&file.json));
        }
    }
}

#[test]
fn every_truncation_of_every_vector() {
    let mut count = 0;
    for file in vectors() {
        let payload = received(&file.json);
        for len in (0..payload.len()).step_by(step(&payload)) {
            hold(&with_bytes(&payload, &payload.as_bytes()[..len]), &limits(&file.json));
            count += 1;
        }
    }
    println!("{count} truncations");
    assert!(count > 20_000, "{count} truncations");
}

#[test]
fn every_change_of_one_byte_of_every_vector() {
    // What means something to some kind, and the edges.
    const BYTES: [u8; 12] = [0, 1, 0x1F, b' ', b'"', b'\\', b',', b'[', b'}', 0x80, 0xC3, 0xFF];
    let mut count = 0;
    for file in vectors() {
        let payload = received(&file.json);
        let mut bytes = payload.as_bytes().to_vec();
        // Fewer places than are truncated at, at an odd distance: every place within a word is tried.
        let distance = if payload.len() <= 128 { 1 } else { (step(&payload) * 4) | 1 };
        for at in (0..bytes.len()).step_by(distance) {
            let before = bytes[at];
            let mut change = |byte| {
                bytes[at] = byte;
                hold(&with_bytes(&payload, &bytes), &limits(&file.json));
                count += 1;
            };
            if payload.len() <= SHORTEST {
                (0..=u8::MAX).filter(|byte| *byte != before).for_each(&mut change);
            } else {
                let flipped = before ^ 1 << (at % 8);
                BYTES
                    .into_iter()
                    .chain([flipped])
                    .filter(|byte| *byte != before)
                    .for_each(&mut change);
            }
            bytes[at] = before;
        }
    }
    println!("{count} changes");
    assert!(count > 100_000, "{count} changes");
}

#[test]
fn random_payloads() {
    println!("seed {SEED:#x}");
    let config = Config {
        cases: 20_000,
        rng_seed: RngSeed::Fixed(SEED),
        failure_persistence: None,
        ..Config::default()
    };
    // Parts of texts of every kind, in any order.
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"name\":",
        "\"message\":",
        "\"stack\":",
        "\"cause\":",
        "\"a\"",
        "\"a\":",
        "\"\\ud800\"",
        "7",
        "-1.5e3",
        "null",
        "true",
        " ",
        "é",
        "\\",
        "{\"name\":\"\",\"message\":\"\"}",
        "[\"c\",1]",
        "\u{0}",
        "\u{1}",
    ];
    let texts = prop::collection::vec(0..pieces.len(), 0..14).prop_map(move |some| {
        some.into_iter().flat_map(|piece| pieces[piece].bytes()).collect::<Vec<u8>>()
    });
    let bytes = prop_oneof![3 => texts, 1 => prop::collection::vec(any::<u8>(), 0..48)];
    let decoded = Cell::new(0);
    proptest!(config, |(tag in 0_u32..56, bits: u64, bytes in bytes, head in 0_u32..32, small: bool)| {
        let limits = Limits::default();
        let limits = if small { limits.with_payload(20).with_depth(2).with_causes(1) } else { limits };
        let payload = Payload::two_parts(Tag(tag), bytes.as_slice().into(), head);
        decoded.set(decoded.get() + u32::from(Value::decode(payload.clone(), &limits).is_ok()));
        hold(&payload, &limits);
        hold(&Payload::scalar(Tag(tag), bits), &limits);
    });
    println!("{} of them are values", decoded.get());
    assert!(decoded.get() > 1000);
}
