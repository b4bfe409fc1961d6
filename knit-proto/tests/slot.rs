//! The slot header: every message is read back, and no words of a peer lead outside the inline area
//! or the arena.

use knit_proto::{
    BlockIndex, Direction, Form, INLINE_BYTES, MAX_ABORT_CAPACITY, PayloadPlace, ProtocolViolation,
    RawSlotHeader, SLOTS, SlotHeader, SlotIndex, SlotRules, Tag, Word0,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

const DIRECTIONS: [Direction; 2] = [Direction::Request, Direction::Response];
/// Bytes of arena data and longest payload, as a lane can have them.
const LIMITS: [(u32, u32); 5] =
    [(4096, 1024), (4096, u32::MAX), (64, 64), (u32::MAX, u32::MAX), ((1 << 30) - 64, 64 << 20)];
const EDGES: [u32; 16] = [
    0,
    1,
    2,
    31,
    32,
    63,
    64,
    65,
    511,
    512,
    513,
    4096,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffc0,
    u32::MAX,
];

#[test]
fn every_message_is_read_back() {
    for tag in Tag::ASSIGNED.iter().copied() {
        for (direction, word0) in word0s() {
            for place in places(tag) {
                for call in [0, 1, u32::MAX] {
                    let message = SlotHeader { word0, call, tag, place };
                    let raw = RawSlotHeader::encode(&message);
                    for slot in (0..SLOTS).filter_map(SlotIndex::new) {
                        assert_eq!(raw.parse(&rules(direction, 4096, 1024), slot), Ok(message));
                    }
                }
            }
        }
    }
}

#[test]
fn the_smallest_and_largest_stretches_are_accepted_and_one_byte_more_is_not() {
    let len = |raw: RawSlotHeader, max| {
        raw.parse(
            &SlotRules {
                direction: Direction::Request,
                arena_bytes: 128,
                max_payload: max,
                abort_capacity: MAX_ABORT_CAPACITY,
            },
            slot(),
        )
        .is_ok()
    };
    let arena = |start, len| RawSlotHeader([0, 0, Tag::BYTES_ARENA.0, start, 0, len, 0]);
    assert!(len(arena(0, 0), 0) && len(arena(128, 0), 0) && len(arena(64, 64), 64));
    assert!(!len(arena(64, 65), 128) && !len(arena(192, 0), 128) && !len(arena(0, 65), 64));
    let inline = |len| RawSlotHeader([0, 0, Tag::BYTES_INLINE.0, 0, 0, len, 0]);
    assert!(len(inline(512), 0) && !len(inline(513), u32::MAX));
    let head = |head, body| RawSlotHeader([0, 0, Tag::ENVELOPE_JSON_ARENA.0, 0, body, head, 0]);
    assert!(len(head(64, 64), 128) && !len(head(64, 65), 256));
    assert!(!len(head(u32::MAX, u32::MAX), u32::MAX), "the sum does not wrap");
    assert!(!len(head(1 << 31, 1 << 31), u32::MAX), "the sum does not wrap to zero");
}

#[test]
fn no_edge_value_of_any_word_leads_outside() {
    for tag in (0..70).chain([255, 1 << 16, 1 << 31, u32::MAX]) {
        for w3 in EDGES {
            for w4 in EDGES {
                for w5 in EDGES {
                    for (arena_bytes, max_payload) in LIMITS {
                        check(
                            &RawSlotHeader([0, 0, tag, w3, w4, w5, 31]),
                            arena_bytes,
                            max_payload,
                        );
                    }
                }
            }
        }
        for value in EDGES {
            check(&RawSlotHeader([value, value, tag, 0, 0, 0, value]), 4096, 1024);
        }
    }
}

#[test]
fn unassigned_and_local_tags_are_refused() {
    for tag in 0..1 << 17 {
        let raw = RawSlotHeader([0, 0, tag, 0, 0, 0, 0]);
        let tag = Tag(tag);
        let expected = match tag.form() {
            None => Err(ProtocolViolation::UnassignedTag { slot: slot(), tag }),
            Some(Form::Local) => Err(ProtocolViolation::LocalTag { slot: slot(), tag }),
            Some(_) => Ok(()),
        };
        assert_eq!(raw.parse(&rules(Direction::Request, 4096, 1024), slot()).map(drop), expected);
    }
}

#[test]
fn answers_have_one_flag() {
    for flags in EDGES {
        let raw = RawSlotHeader([flags, 0, Tag::NULL.0, 0, 0, 0, 0]);
        let parsed =
            raw.parse(&rules(Direction::Response, 0, 0), slot()).map(|message| message.word0);
        match flags {
            0 | 1 => assert_eq!(parsed, Ok(Word0::Answer { rejected: flags == 1 })),
            _ => assert_eq!(parsed, Err(ProtocolViolation::AnswerFlags { slot: slot(), flags })),
        }
    }
}

#[test]
fn every_block_word_names_one_of_32_blocks() {
    for word in EDGES.into_iter().chain(0..64) {
        let raw = RawSlotHeader([0, 0, Tag::BYTES_ARENA.0, 0, 0, 4, word]);
        let message = raw.parse(&rules(Direction::Request, 64, 64), slot()).unwrap();
        assert_eq!(message.place.block().map(BlockIndex::get), Some(word % 32));
    }
}

proptest! {
    #![proptest_config(Config {
        cases: 20_000,
        rng_seed: RngSeed::Fixed(0x6b6e_6974),
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn random_words_agree_with_the_naive_parser(
        mut words in prop::array::uniform7(word()),
        tag in prop_oneof![4 => 0_u32..56, 1 => any::<u32>()],
        limits in prop::sample::select(LIMITS.to_vec()),
    ) {
        words[2] = tag;
        check(&RawSlotHeader(words), limits.0, limits.1);
    }
}

fn word() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        prop::sample::select(EDGES.to_vec()),
        (0_u32..70).prop_map(|n| n * 64)
    ]
}

const fn rules(direction: Direction, arena_bytes: u32, max_payload: u32) -> SlotRules {
    SlotRules { direction, arena_bytes, max_payload, abort_capacity: MAX_ABORT_CAPACITY }
}

fn slot() -> SlotIndex {
    SlotIndex::new(3).expect("below 32")
}

fn word0s() -> Vec<(Direction, Word0)> {
    let calls = [(0, None), (u16::MAX, None), (7, Some(0)), (u16::MAX, Some(65_533))];
    let calls = calls
        .into_iter()
        .map(|(function, abort)| (Direction::Request, Word0::Call { function, abort }));
    let answers = [false, true].map(|rejected| (Direction::Response, Word0::Answer { rejected }));
    calls.chain(answers).collect()
}

/// Places that a tag can have in an arena of 4096 bytes with payloads up to 1024.
fn places(tag: Tag) -> Vec<PayloadPlace> {
    let blocks = [0, 31].map(BlockIndex::from_low_bits);
    let inline = [0, 1, INLINE_BYTES];
    let stretches = [(0, 0), (64, 1), (4096 - 1024, 1024), (4096, 0)];
    let mut places = Vec::new();
    match tag.form().expect("assigned") {
        Form::Local => {}
        Form::Bare => places.push(PayloadPlace::Bare),
        Form::Scalar => places.extend([0, 1, 1 << 32, u64::MAX].map(PayloadPlace::Scalar)),
        Form::Inline => places.extend(inline.map(|len| PayloadPlace::Inline { len })),
        Form::Arena => {
            for (start, len) in stretches {
                places.extend(blocks.map(|block| PayloadPlace::Arena { block, start, len }));
            }
        }
        Form::InlineHead => {
            for (start, body) in stretches {
                for head in inline {
                    let place = |block| PayloadPlace::InlineHead { head, block, start, body };
                    places.extend(blocks.map(place));
                }
            }
        }
        Form::ArenaHead => {
            for (start, len) in stretches {
                for head in [0, len / 2, len] {
                    let body = len - head;
                    let place = |block| PayloadPlace::ArenaHead { head, block, start, body };
                    places.extend(blocks.map(place));
                }
            }
        }
    }
    places
}

/// Parses in both directions, compares with the naive parser, and checks what was accepted.
fn check(raw: &RawSlotHeader, arena_bytes: u32, max_payload: u32) {
    for direction in DIRECTIONS {
        for abort_capacity in [0, 1, 33, MAX_ABORT_CAPACITY] {
            let rules = SlotRules { abort_capacity, ..rules(direction, arena_bytes, max_payload) };
            let parsed = raw.parse(&rules, slot());
            let naive = naive_reads(raw, &rules);
            let found = parsed.map(drop).map_err(|violation| violation.name());
            assert_eq!(found, naive, "{raw:?} {rules:?}");
            if let Ok(message) = parsed {
                check_message(raw, &message, arena_bytes, max_payload);
            }
        }
    }
}

fn check_message(raw: &RawSlotHeader, message: &SlotHeader, arena_bytes: u32, max_payload: u32) {
    let (inline, arena) = match message.place {
        PayloadPlace::Bare | PayloadPlace::Scalar(_) => (0, None),
        PayloadPlace::Inline { len } => (len, None),
        PayloadPlace::Arena { start, len, .. } => (0, Some((start, u64::from(len)))),
        PayloadPlace::InlineHead { head, start, body, .. } => (head, Some((start, body.into()))),
        PayloadPlace::ArenaHead { head, start, body, .. } => {
            (0, Some((start, u64::from(head) + u64::from(body))))
        }
    };
    assert!(inline <= INLINE_BYTES);
    if let Some((start, len)) = arena {
        assert!(start.is_multiple_of(64));
        assert!(len <= max_payload.into());
        assert!(u64::from(start) + len <= arena_bytes.into(), "{message:?} in {arena_bytes} bytes");
    }
    assert_eq!(arena.is_some(), message.place.block().is_some());
    // What was understood is written the same way, words that do not count aside.
    let again = RawSlotHeader::encode(message);
    assert_eq!((again.0[0], again.0[1], again.0[2]), (raw.0[0], raw.0[1], raw.0[2]));
    let direction = match message.word0 {
        Word0::Call { .. } => Direction::Request,
        Word0::Answer { .. } | Word0::Withdrawn => Direction::Response,
    };
    assert_eq!(again.parse(&rules(direction, arena_bytes, max_payload), slot()), Ok(*message));
}

/// The rules of the slot header, written down again from the list of tags, at 64 bits: the name of
/// the first violation in the order of the specification.
fn naive_reads(raw: &RawSlotHeader, rules: &SlotRules) -> Result<(), &'static str> {
    let [w0, _, tag, w3, w4, w5, _] = raw.0.map(u64::from);
    let need = |holds: bool, name: &'static str| if holds { Ok(()) } else { Err(name) };
    match rules.direction {
        Direction::Request => need(w0 / 65_536 <= rules.abort_capacity.into(), "abort_signal")?,
        Direction::Response => need(w0 < 2, "answer_flags")?,
    }
    let inline = |len: u64| need(len <= 512, "inline_length");
    let arena = |start: u64, len: u64| {
        need(len <= rules.max_payload.into(), "payload_length")?;
        need(start.is_multiple_of(64), "arena_alignment")?;
        need(start + len <= rules.arena_bytes.into(), "arena_bounds")
    };
    match tag {
        3..=6 | 10 | 2 | 9 | 25 => Ok(()),
        15 | 16 | 18 | 27 | 29 | 31..=35 | 37 | 39 | 45 | 46 | 54 => inline(w5),
        11 | 12 | 17 | 19..=24 | 26 | 28 | 36 | 38 | 44 | 53 => arena(w3, w5),
        40 | 42 | 49 | 51 => inline(w5).and_then(|()| arena(w3, w4)),
        41 | 43 | 50 | 52 => arena(w3, w4 + w5),
        47 | 48 => Err("local_tag"),
        _ => Err("unassigned_tag"),
    }
}
