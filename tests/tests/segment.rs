//! What a creator leaves in a new segment, and that words without a meaning stay as they are.

use knit_codec::{Encode, Limits, Payload};
use knit_lanes::{HostLane, WorkerLane};
use knit_proto::{
    Direction, Geometry, HEADER_LINE_AT, HeaderFields, Layout, RawHeader, Region, SLOT_STRIDE,
    SLOTS, Tag, WordOffset, word,
};
use knit_ring::{
    Doorbell, FutexBell, HeapMemory, Mapping, Notifier, SharedMemory, SharedWord, Waiter, Woken,
    create_segment,
};
use knit_tests::header_fields;
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use toml::Table;

const MAX: u32 = 1024;
/// Longer than any test of this file takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// SEG-13, SEG-29, MBX-2: all of it but the header's words.
#[test]
fn a_new_segment_is_zero_but_for_its_header() {
    let fields = header_fields(4032, 258);
    let layout = Layout::new(fields);
    let memory = Mapping::create(layout.len()).unwrap();
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

/// SEG-22, KD-32: memory stands behind everything that a segment promises, and behind little more.
#[test]
fn what_the_header_reserves_has_memory() {
    let geometry = Geometry::new(8 << 20, 8 << 20, 0).unwrap();
    for (request, response) in [(0, 0), (1 << 20, 0), (64 << 10, 3 << 20)] {
        let fields = HeaderFields {
            geometry,
            request_reserved: request,
            response_reserved: response,
            ..header_fields(0, 0)
        };
        let layout = Layout::new(fields);
        let memory = Mapping::create(layout.len()).unwrap();
        create_segment(&memory, &fields).unwrap();
        let file = memory.backing().file().try_clone_to_owned().unwrap();
        let backed = File::from(file).metadata().unwrap().blocks() * 512;
        let promised = u64::from(layout.region(Region::RequestArena).at() + request + response);
        // Both ends of a stretch can lie inside a page.
        let pages = promised..promised + 5 * 4096;
        assert!(pages.contains(&backed), "{backed} bytes for {promised}");
    }
}

/// WAKE-5: rings without anything new end no wait for good: the side looks, and parks again.
#[test]
fn rings_without_news_are_looked_at_and_slept_on() {
    let fields = header_fields(0, 0);
    let layout = Layout::new(fields);
    let memory = HeapMemory::zeroed(layout.len()).unwrap();
    let (mine, theirs) = (layout.host_control(), layout.worker_control());
    let mut waiter = Waiter::new(&memory, &mine, &theirs).unwrap();
    let mut notifier = Notifier::new(&memory, &theirs, &mine).unwrap();
    let state = memory.word(theirs.state).unwrap();
    let parks = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&parks);
    let thread = std::thread::spawn(move || {
        // A ring that comes before the side has loaded the bell ends no wait: ring on.
        while seen.load(Ordering::Acquire) < 1000 {
            notifier.advance();
            FutexBell.wake(notifier.bell());
            std::thread::yield_now();
        }
        state.store_release(1);
        notifier.advance();
        FutexBell.wake(notifier.bell());
    });
    let news = memory.word(theirs.state).unwrap();
    while news.load_acquire() == 0 {
        let woken = waiter.park(&FutexBell, Some(DEADLINE), || news.load_acquire() != 0);
        assert_ne!(woken, Woken::TimedOut);
        parks.fetch_add(1, Ordering::Release);
    }
    thread.join().unwrap();
    assert!(parks.load(Ordering::Relaxed) >= 1000, "a wait outlasted the rings");
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
    // The header, both control lines, the journal, both sectors and the slots were used, so the test saw traffic.
    assert_eq!(meaning.len(), 5, "{meaning:?}");
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

fn load<M: SharedMemory>(memory: &M, byte: u32) -> u32 {
    memory.word(WordOffset::new(byte).unwrap()).unwrap().load_relaxed()
}
