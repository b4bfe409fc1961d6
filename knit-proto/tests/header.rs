//! The header: what is written is read back, and a header that is not exactly what version and
//! geometry imply is refused or implies a layout that lies inside the mapping.

use knit_proto::{
    ControlLayout, CreatorId, Direction, ExtensionBytes, Features, Geometry, HEADER_BYTES,
    HEADER_WORDS, HeaderError, HeaderFields, LaneKind, Layout, MAX_ABORT_CAPACITY, MAX_ARENA_BYTES,
    RawHeader, Reader, Region, Span, Version, WordOffset, field,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use std::ops::Range;

#[test]
fn what_is_encoded_is_parsed() {
    for fields in valid_fields() {
        let layout = RawHeader::encode(&fields).parse(mapped(&fields)).unwrap();
        assert_eq!(*layout.fields(), fields);
        assert_eq!(layout, Layout::new(fields));
        check_layout(&layout, mapped(&fields));
    }
}

#[test]
fn every_flipped_bit_is_refused_or_harmless() {
    for fields in valid_fields() {
        let valid = RawHeader::encode(&fields);
        for word in 0..HEADER_WORDS {
            for bit in 0..32 {
                let mut raw = valid;
                raw.0[word] ^= 1 << bit;
                check(&raw, mapped(&fields));
                if let Ok(layout) = raw.parse(mapped(&fields)) {
                    // What is accepted places everything where the valid header did.
                    let valid = Layout::new(fields);
                    assert_eq!(layout.extension(), valid.extension());
                    assert!(
                        Region::ALL.iter().all(|one| layout.region(*one) == valid.region(*one))
                    );
                }
                let free = matches!(word, field::OPTIONAL | field::EPOCH | field::CREATOR_PID)
                    || (field::CREATOR_START..field::CREATOR_BOOT + 2).contains(&word)
                    || (field::TASKS..field::TASKS + 2).contains(&word)
                    || is_ignored(word);
                if free && (word != field::EPOCH || raw.0[word] != 0) {
                    assert!(raw.parse(mapped(&fields)).is_ok(), "word {word} bit {bit}");
                }
            }
        }
    }
}

#[test]
fn every_field_with_an_edge_value_is_refused_or_harmless() {
    for fields in valid_fields() {
        let valid = RawHeader::encode(&fields);
        for word in 0..HEADER_WORDS {
            let old = valid.0[word];
            let near = [old.wrapping_add(1), old.wrapping_sub(1), old.wrapping_add(64)];
            for value in EDGES.into_iter().chain(near) {
                let mut raw = valid;
                raw.0[word] = value;
                check(&raw, mapped(&fields));
            }
        }
    }
}

/// Two fields at a time, so that a wrong start can agree with a wrong length.
#[test]
fn every_pair_of_fields_with_edge_values_is_refused_or_harmless() {
    let fields = valid_fields()[0];
    let valid = RawHeader::encode(&fields);
    for first in 0..HEADER_WORDS {
        for second in first + 1..HEADER_WORDS {
            for value in EDGES {
                for other in EDGES {
                    let mut raw = valid;
                    raw.0[first] = value;
                    raw.0[second] = other;
                    check(&raw, mapped(&fields));
                }
            }
        }
    }
}

#[test]
fn a_mapping_of_another_length_is_refused() {
    for fields in valid_fields() {
        let header = RawHeader::encode(&fields);
        let len = mapped(&fields);
        let wrapped = len + (1 << 32);
        for other in [0, 1, 255, 256, 8192, len - 1, len + 1, len * 2, wrapped, u64::MAX] {
            assert!(matches!(header.parse(other), Err(HeaderError::Length { .. })), "{other}");
        }
    }
}

#[test]
fn the_high_half_of_the_length_counts() {
    let fields = valid_fields()[0];
    let mut raw = RawHeader::encode(&fields);
    raw.0[field::SEGMENT_BYTES + 1] = 1;
    assert!(matches!(raw.parse(mapped(&fields)), Err(HeaderError::Length { .. })));
    assert!(matches!(raw.parse(mapped(&fields) + (1 << 32)), Err(HeaderError::Length { .. })));
}

/// KD-28: magic, version and sizes stand in the memory itself, and each is compared.
#[test]
fn each_wrong_field_has_its_own_error() {
    let fields = valid_fields()[0];
    let wrong = |word: usize, value: u32| {
        let mut raw = RawHeader::encode(&fields);
        raw.0[word] = value;
        raw.parse(mapped(&fields)).unwrap_err()
    };
    assert_eq!(wrong(field::READY, 0), HeaderError::NotReady);
    assert_eq!(wrong(field::MAGIC, 7), HeaderError::Magic { found: 7 });
    assert_eq!(
        wrong(field::BYTE_ORDER, 0x0403_0201),
        HeaderError::ByteOrder { found: 0x0403_0201 }
    );
    assert_eq!(wrong(field::EPOCH, 0), HeaderError::Epoch);
    assert_eq!(wrong(field::LANE_KIND, 3), HeaderError::LaneKind { found: 3 });
    assert!(matches!(wrong(field::MAJOR, 9), HeaderError::Version { .. }));
    assert_eq!(
        wrong(field::MAJOR, 1 << 16),
        HeaderError::VersionRange { major: 1 << 16, minor: 0 }
    );
    assert_eq!(
        wrong(field::REQUIRED, 1 << 31),
        HeaderError::RequiredFeatures { unknown: Features::from_bits(1 << 31) }
    );
    assert_eq!(
        wrong(field::REQUEST_RESERVED, 129),
        HeaderError::Reserved { bytes: 129, data_bytes: 64 }
    );
    assert!(matches!(wrong(field::SLOTS, 31), HeaderError::Fixed { at: 68, .. }));
    assert!(matches!(wrong(field::ABORT_CAPACITY, 65_535), HeaderError::Geometry(_)));
}

/// SEG-3, SEG-14, KD-28: a reader of 1.0 takes a segment of a later minor version, whatever stands in words
/// that it does not know; and refuses drafts and other major versions.
#[test]
fn an_older_reader_takes_a_newer_minor_version() {
    let fields = valid_fields()[0];
    for minor in [1, 7, u16::MAX] {
        let version = Version { major: 1, minor };
        let mut raw = RawHeader::encode(&HeaderFields { version, ..fields });
        for word in (field::RECORDER_SPANS..field::READY).chain([21]) {
            raw.0[word] = 0xdead_beef;
        }
        raw.0[field::OPTIONAL] = u32::MAX;
        let layout = raw.parse(mapped(&fields)).unwrap();
        assert_eq!(layout.fields().version, version);
        assert_eq!(
            layout.mailbox(Direction::Request),
            Layout::new(fields).mailbox(Direction::Request)
        );
    }
    for version in [(0, 0), (0, 1), (2, 0), (u16::MAX, 0)] {
        let version = Version { major: version.0, minor: version.1 };
        let raw = RawHeader::encode(&HeaderFields { version, ..fields });
        let refused = HeaderError::Version { found: version, reader: Version::CURRENT };
        assert_eq!(raw.parse(mapped(&fields)), Err(refused));
    }
}

/// SEG-15: a reader of 1.1, which knows where the flight recorder is, reads a segment of 1.0 without
/// looking at the words that 1.1 added.
#[test]
fn a_newer_reader_takes_an_older_minor_version() {
    const SINCE: Version = Version { major: 1, minor: 1 };
    let newer = Reader { version: SINCE, features: Features::SUPPORTED.or(Features::RECORDER) };
    let recorder = |raw: &RawHeader| {
        let version = raw.parse_as(newer, mapped(&valid_fields()[0])).unwrap().fields().version;
        raw.added(field::RECORDER_SPANS, SINCE, version)
    };
    let mut old = RawHeader::encode(&valid_fields()[0]);
    assert_eq!(recorder(&old), None);
    old.0[field::RECORDER_SPANS] = 8192;
    assert_eq!(recorder(&old), None, "left-overs of an older writer have no meaning");
    let mut new = RawHeader::encode(&HeaderFields { version: SINCE, ..valid_fields()[0] });
    new.0[field::RECORDER_SPANS] = 8192;
    assert_eq!(recorder(&new), Some(8192));
}

/// SEG-8: each required bit that the reader lacks is refused, and each that it has is not.
#[test]
fn required_features_are_those_of_the_reader() {
    let fields = valid_fields()[0];
    for bit in 0..32 {
        let required = Features::from_bits(1 << bit);
        let raw = RawHeader::encode(&HeaderFields { required, ..fields });
        let without = Reader { features: Features::from_bits(!(1 << bit)), ..Reader::CURRENT };
        let with = Reader { features: required, ..Reader::CURRENT };
        let refused = HeaderError::RequiredFeatures { unknown: required };
        assert_eq!(raw.parse_as(without, mapped(&fields)), Err(refused));
        assert!(raw.parse_as(with, mapped(&fields)).is_ok());
    }
}

proptest! {
    #![proptest_config(Config {
        cases: 4000,
        rng_seed: RngSeed::Fixed(0x6b6e_6974),
        failure_persistence: None,
        ..Config::default()
    })]

    /// Random words: nearly all of it is refused early, which must not panic either.
    #[test]
    fn random_words_agree_with_the_naive_parser(
        words in prop::array::uniform32(any::<u32>()),
        mapped in any::<u64>(),
    ) {
        let mut raw = RawHeader([0; HEADER_WORDS]);
        raw.0[..32].copy_from_slice(&words);
        raw.0[32..].copy_from_slice(&words);
        check(&raw, mapped);
    }

    /// Valid headers with a few words replaced.
    #[test]
    fn damaged_headers_agree_with_the_naive_parser(
        which in 0..3_usize,
        damage in prop::collection::vec((0..HEADER_WORDS, value()), 0..3),
        off in prop_oneof![9 => Just(0_i64), 1 => -65..65_i64],
    ) {
        let fields = valid_fields()[which];
        let mut raw = RawHeader::encode(&fields);
        for (word, value) in damage {
            raw.0[word] = value;
        }
        check(&raw, mapped(&fields).wrapping_add_signed(off));
    }

    /// Any sizes: a header is consistent with itself. MBX-1, MBX-4.
    #[test]
    fn any_geometry_is_parsed_back(
        request in 2..MAX_ARENA_BYTES / 64,
        response in 2..MAX_ARENA_BYTES / 64,
        signals in 0..=MAX_ABORT_CAPACITY,
        epoch in 1..u32::MAX,
        tasks in any::<u64>(),
        pages in 1..=4096_u32,
    ) {
        let geometry = Geometry::new(request * 64, response * 64, signals).unwrap();
        let fields = HeaderFields {
            geometry, epoch, tasks,
            request_reserved: request * 64 - 64,
            response_reserved: response / 2 * 64,
            extension: ExtensionBytes::new(pages * 4096).unwrap(),
            ..valid_fields()[0]
        };
        let layout = RawHeader::encode(&fields).parse(mapped(&fields)).unwrap();
        prop_assert_eq!(*layout.fields(), fields);
        check_layout(&layout, mapped(&fields));
    }
}

const EDGES: [u32; 15] = [
    0,
    1,
    2,
    3,
    63,
    64,
    65,
    127,
    128,
    4096,
    65_536,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffc0,
    u32::MAX,
];

fn value() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), prop::sample::select(EDGES.to_vec())]
}

fn valid_fields() -> [HeaderFields; 3] {
    let fields = HeaderFields {
        version: Version::CURRENT,
        required: Features::NONE,
        optional: Features::SUPPORTED,
        epoch: 1,
        creator: CreatorId { pid: 77, start_time: 1 << 40, boot: u64::MAX },
        kind: LaneKind::Process,
        geometry: Geometry::new(128, 128, 0).unwrap(),
        extension: ExtensionBytes::MIN,
        tasks: 0x0123_4567_89ab_cdef,
        request_reserved: 64,
        response_reserved: 0,
    };
    [
        fields,
        HeaderFields {
            required: Features::STAMPS,
            optional: Features::from_bits(u32::MAX),
            epoch: u32::MAX,
            kind: LaneKind::Thread,
            geometry: Geometry::new(64 << 20, 4096, 258).unwrap(),
            request_reserved: (64 << 20) - 64,
            extension: ExtensionBytes::new(3 * 4096).unwrap(),
            ..fields
        },
        HeaderFields {
            geometry: Geometry::new(MAX_ARENA_BYTES, MAX_ARENA_BYTES, MAX_ABORT_CAPACITY).unwrap(),
            ..fields
        },
    ]
}

fn mapped(fields: &HeaderFields) -> u64 {
    Layout::new(*fields).len().into()
}

/// Parses, compares with the naive parser, and checks what was accepted.
fn check(raw: &RawHeader, mapped: u64) {
    let parsed = raw.parse(mapped);
    let naive = naive_reads(&raw.0, mapped, (1, 0), 1 | 1 << 1 | 1 << 3);
    assert_eq!(parsed.map(drop).map_err(|error| error.name()), naive, "{parsed:?}");
    match parsed {
        Ok(layout) => check_layout(&layout, mapped),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The rules of the header page, written down again, in numbers and at 64 bits: the name of the first
/// error in the order of the specification.
fn naive_reads(
    words: &[u32; HEADER_WORDS],
    mapped: u64,
    reader: (u64, u64),
    features: u64,
) -> Result<(), &'static str> {
    let word = |at: usize| u64::from(words[at]);
    let need = |holds: bool, name: &'static str| if holds { Ok(()) } else { Err(name) };
    need(word(63) != 0, "not_ready")?;
    need(word(0) == 0x5449_4e4b, "magic")?;
    need(word(1) == 0x0102_0304, "byte_order")?;
    let (major, minor) = (word(2), word(3));
    need(major < 65_536 && minor < 65_536, "version_range")?;
    need(major == reader.0 && (major != 0 || minor == reader.1), "version")?;
    need(word(63) == 0x8000_0000 + major * 65_536 + minor, "ready_word")?;
    need((word(4), word(5)) == (256, 4096), "fixed_field")?;
    need((word(17), word(18), word(19)) == (32, 576, 512), "fixed_field")?;
    need(word(8) & !features == 0, "required_features")?;
    need(word(10) != 0, "epoch")?;
    need(matches!(word(16), 1 | 2), "lane_kind")?;
    let extension = word(25);
    need(extension.is_multiple_of(4096), "extension_length")?;
    need((4096..=16 << 20).contains(&extension), "extension_length")?;
    let (request, response, signals) = (word(41), word(43), word(20));
    for arena in [request, response] {
        need(arena.is_multiple_of(64) && (128..=1 << 30).contains(&arena), "arena_length")?;
    }
    need(signals <= 65_534, "abort_capacity")?;
    let abort = signals.div_ceil(32) * 4;
    let block_at = 4096 + extension;
    let arenas = block_at + 37_568 + abort.next_multiple_of(64);
    let end = arenas + request + response;
    let places = [
        (4096, extension),
        (block_at, end - block_at),
        (block_at, 192),
        (block_at + 192, 256),
        (block_at + 448, 256),
        (block_at + 704, 18_432),
        (block_at + 19_136, 18_432),
        (block_at + 37_568, abort),
        (arenas, request),
        (arenas + request, response),
    ];
    for (place, (start, len)) in places.into_iter().enumerate() {
        need((word(24 + 2 * place), word(25 + 2 * place)) == (start, len), "region")?;
    }
    need(word(7) << 32 | word(6) == end && mapped == end, "segment_length")?;
    for (at, arena) in [(44, request), (45, response)] {
        need(word(at) <= arena - 64 && word(at).is_multiple_of(64), "reserved_bytes")?;
    }
    Ok(())
}

/// Words that a reader of this version ignores.
fn is_ignored(word: usize) -> bool {
    word == 21 || (46..63).contains(&word)
}

/// Everything that a layout gives out lies inside the mapping, aligned, and nothing overlaps.
fn check_layout(layout: &Layout, mapped: u64) {
    assert_eq!(u64::from(layout.len()), mapped);
    let mut words = Vec::new();
    let mut spans = Vec::new();
    for direction in [Direction::Request, Direction::Response] {
        let (mailbox, arena) = (layout.mailbox(direction), layout.arena(direction));
        words.extend([mailbox.publish(), mailbox.release(), arena.allocate(), arena.free()]);
        spans.extend([mailbox.slots(), arena.data()]);
        assert_eq!((mailbox.slot_count(), mailbox.slots().len()), (32, 32 * 576));
        assert_eq!(arena.data().len(), layout.fields().geometry.arena_bytes(direction) - 64);
        assert!(arena.data().at().is_multiple_of(64));
    }
    for control in [layout.host_control(), layout.worker_control()] {
        let ControlLayout { state, epoch, parked, bell, features, pid } = control;
        words.extend([state, epoch, parked, bell, features, pid]);
    }
    spans.push(layout.region(Region::Signals));
    spans.push(layout.region(Region::AbortBits));
    let header = Span::new(0, HEADER_BYTES).unwrap();
    spans.push(header);
    let mut taken: Vec<Range<u64>> = words.into_iter().map(word_range).collect();
    taken.extend(spans.into_iter().map(span_range));
    taken.retain(|range| !range.is_empty());
    taken.sort_by_key(|range| range.start);
    for pair in taken.windows(2) {
        assert!(pair[0].end <= pair[1].start, "{:?} and {:?} overlap", pair[0], pair[1]);
    }
    assert!(taken.iter().all(|range| range.start.is_multiple_of(4) && range.end <= mapped));

    let mut end = u64::from(layout.lane_block_at());
    for region in Region::ALL {
        let span = span_range(layout.region(region));
        assert!(span.start >= end && span.end <= mapped, "{}", region.name());
        end = span.end;
    }
    assert_eq!(end, mapped);
}

fn word_range(word: WordOffset) -> Range<u64> {
    u64::from(word.bytes())..u64::from(word.bytes()) + 4
}

fn span_range(span: Span) -> Range<u64> {
    u64::from(span.at())..u64::from(span.at()) + u64::from(span.len())
}
