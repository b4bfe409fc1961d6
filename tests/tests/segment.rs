//! What a creator leaves in a new segment, and that words without a meaning stay as they are.

use knit_codec::{Encode, Limits, Payload};
use knit_lanes::{HostLane, WorkerLane};
use knit_proto::{
    Direction, HEADER_LINE_AT, Layout, RawHeader, Region, SLOT_STRIDE, SLOTS, Tag, WordOffset, word,
};
use knit_ring::{HeapMemory, SharedMemory, SharedWord, create_segment};
use knit_tests::header_fields;
use std::collections::BTreeSet;
use std::path::Path;
use toml::Table;

const MAX: u32 = 1024;

/// SEG-13, SEG-29, MBX-2: all of it but the header's words.
#[test]
fn a_new_segment_is_zero_but_for_its_header() {
    let fields = header_fields(4032, 258);
    let layout = Layout::new(fields);
    let memory = HeapMemory::zeroed(layout.len()).unwrap();
    create_segment(&memory, &fields).unwrap();
    let header = RawHeader::encode(&fields);
    for at in (0..layout.len()).step_by(4) {
        let expected = header.0.get(at as usize / 4).copied().unwrap_or_default();
        assert_eq!(load(&memory, at), expected, "byte {at}");
    }
    for direction in [Direction::Request, Direction::Response] {
        let mailbox = layout.mailbox(direction);
        assert_eq!(load(&memory, mailbox.publish().bytes()), 0);
        assert_eq!(load(&memory, mailbox.release().bytes()), 0);
    }
}

/// SEG-13, MBX-17: thousands of messages of every form later, every byte that `layout.toml` calls
/// reserved is still zero, and so is every byte that no structure has.
#[test]
fn reserved_bytes_stay_zero() {
    let fields = header_fields(4032, 33);
    let layout = Layout::new(fields);
    let memory = HeapMemory::zeroed(layout.len()).unwrap();
    create_segment(&memory, &fields).unwrap();
    HostLane::announce(&memory, &layout, 1).unwrap();
    let mut worker = WorkerLane::open(&memory, &layout, MAX, 2).unwrap();
    let mut host = HostLane::connect(&memory, &layout, MAX).unwrap().expect("the worker is open");
    for round in 0..3_000 {
        let payload = payload(round);
        host.submit(round as u16, &payload).unwrap();
        let request = worker.take().unwrap().expect("a request");
        worker.respond(request.call, round % 2 == 1, &payload).unwrap();
        host.take().unwrap().expect("an answer");
    }
    host.close();
    worker.close();

    let mut checked = 0;
    let mut meaning = BTreeSet::new();
    let file = layout_toml();
    for (structure, base) in places(&layout) {
        for (at, len, reserved) in structure_fields(&file, structure) {
            for byte in (base + at..base + at + len).step_by(4) {
                if reserved {
                    assert_eq!(load(&memory, byte), 0, "byte {byte}, {structure}");
                    checked += 1;
                } else if load(&memory, byte) != 0 {
                    meaning.insert(structure);
                }
            }
        }
    }
    // The header, both control lines, both sectors and the slots were used, so the test saw traffic.
    assert_eq!(meaning.len(), 4, "{meaning:?}");
    assert!(checked > 1500, "{checked} reserved words");
    // The first 64 bytes of an arena belong to nobody.
    for arena in [Region::RequestArena, Region::ResponseArena] {
        let at = layout.region(arena).at();
        assert!((at..at + 64).step_by(4).all(|byte| load(&memory, byte) == 0));
    }
    let stamp = layout.region(Region::RequestSlots).at() + HEADER_LINE_AT + 4 * word::STAMP;
    assert_eq!(load(&memory, stamp), 3_000_u32.div_ceil(SLOTS));
}

/// One payload of each form in turn.
fn payload(round: u32) -> Payload<'static> {
    let len = (round % 400) as usize;
    match round % 6 {
        0 => Payload::bare(Tag::NULL),
        1 => f64::from(round).encode(&Limits::default()).unwrap().into_owned(),
        2 => Payload::bytes(Tag::BYTES_INLINE, vec![0xa5; len]),
        3 => Payload::bytes(Tag::BYTES_ARENA, vec![0xa5; len]),
        4 => Payload::two_parts(Tag::ENVELOPE_TEXT_INLINE, vec![0xa5; 2 * len].into(), len as u32),
        _ => Payload::two_parts(Tag::ENVELOPE_TEXT_ARENA, vec![0xa5; 2 * len].into(), len as u32),
    }
}

/// The structures of a segment, by name, and where each stands.
fn places(layout: &Layout) -> Vec<(&'static str, u32)> {
    let extension = layout.extension().at();
    let region = |region| layout.region(region).at();
    let mut places = vec![
        ("header", 0),
        ("extension", extension),
        ("control_line", layout.host_control().state.bytes()),
        ("control_line", layout.worker_control().state.bytes()),
        ("signals", region(Region::Signals)),
        ("sector", region(Region::RequestSector)),
        ("sector", region(Region::ResponseSector)),
    ];
    for slots in [Region::RequestSlots, Region::ResponseSlots] {
        places.extend((0..SLOTS).map(|slot| ("slot", region(slots) + slot * SLOT_STRIDE)));
    }
    places
}

/// Offset and length in bytes of the fields of a structure, and whether they are reserved in 1.0.
/// Structures inside are left out: they have a place of their own.
fn structure_fields(file: &Table, name: &str) -> Vec<(u32, u32, bool)> {
    let structures = file["struct"].as_array().unwrap();
    let structure = structures.iter().find(|structure| structure["name"].as_str() == Some(name));
    let fields = structure.expect("in the file")["field"].as_array().unwrap();
    fields
        .iter()
        .filter_map(|field| {
            let field = field.as_table().unwrap();
            let at = u32::try_from(field["offset"].as_integer()?).ok()?;
            let (unit, count) = match field["type"].as_str()?.split_once('[') {
                Some((unit, count)) => (unit, count.trim_end_matches(']').parse().ok()?),
                None => (field["type"].as_str()?, 1),
            };
            let unit = match unit {
                "u8" => 1,
                "u32" => 4,
                "u64" => 8,
                _ => return None,
            };
            Some((at, unit * count, field.contains_key("rule")))
        })
        .collect()
}

fn layout_toml() -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/layout.toml");
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

fn load(memory: &HeapMemory, byte: u32) -> u32 {
    memory.word(WordOffset::new(byte).unwrap()).unwrap().load_relaxed()
}
