//! The hex examples of the chapters are what the crates write.

use knit_codec::{External, Payload, SharedBufferRef};
use knit_lanes::{Boot, HostLane, WorkerLane};
use knit_proto::{
    CreatorId, Direction, ExtensionBytes, Features, Geometry, HEADER_LINE_AT, HeaderFields,
    LaneKind, Layout, MonotonicTime, PayloadPlace, RawHeader, Region, SlotHeader, Span, Tag,
    Version, Word0, WordOffset,
};
use knit_ring::{
    AbortSender, HeapMemory, Sender, SharedMemory, SharedWord, Stamps, create_segment,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[test]
fn the_header_of_the_segment_chapter() {
    let header = RawHeader::encode(&fields());
    let example = example("segment.md", "header");
    assert!(example.len() > 50);
    for (at, byte) in example {
        let word = header.0[at as usize / 4];
        assert_eq!(byte, word.to_le_bytes()[at as usize % 4], "byte {at}");
    }
    assert!(header.parse(Layout::new(fields()).len().into()).is_ok());
}

#[test]
fn the_lane_block_of_the_segment_chapter() {
    let (memory, layout) = lane_with_one_request();
    let start = layout.region(Region::Signals).at();
    let example = example("segment.md", "request sector");
    assert_eq!(example.len(), 8 * 4);
    for (at, byte) in example {
        assert_eq!(byte, byte_at(&memory, start + at), "byte {at}");
    }
}

#[test]
fn the_arena_of_the_arena_chapter() {
    let (memory, layout) = lane_with_one_request();
    let start = layout.region(Region::RequestArena).at();
    let example = example("arena.md", "arena");
    assert!(example.len() >= 14);
    for (at, byte) in example {
        assert_eq!(byte, byte_at(&memory, start + at), "byte {at}");
    }
}

#[test]
fn the_header_line_of_the_mailbox_chapter() {
    let layout = Layout::new(fields());
    let memory = HeapMemory::zeroed(layout.len()).unwrap();
    let mut sender = Sender::new(&memory, layout.mailbox(Direction::Request), Stamps::On).unwrap();
    let claim = sender.claim().unwrap();
    claim.deposit(b"hi").unwrap();
    let word0 = Word0::Call { function: 3, abort: None };
    let (tag, place) = (Tag::STRING_INLINE, PayloadPlace::Inline { len: 2 });
    claim.publish(&SlotHeader { word0, call: 0x21, tag, place });
    let slot = layout.region(Region::RequestSlots).at();
    let example = example("mailbox.md", "header line");
    assert_eq!(example.len(), 64);
    assert_eq!(example.keys().next(), Some(&HEADER_LINE_AT));
    for (at, byte) in example {
        assert_eq!(byte, byte_at(&memory, slot + at), "byte {at}");
    }
    assert_eq!([byte_at(&memory, slot), byte_at(&memory, slot + 1)], *b"hi");
}

#[test]
fn the_control_line_of_the_lanes_chapter() {
    let layout = Layout::new(fields());
    let memory = HeapMemory::zeroed(layout.len()).unwrap();
    create_segment(&memory, &fields()).unwrap();
    HostLane::announce(&memory, &layout, 77).unwrap();
    WorkerLane::open(&memory, &layout, 1024, 78).unwrap();
    HostLane::connect(&memory, &layout, 1024).unwrap().expect("the worker is open");
    // Rung twice.
    memory.word(layout.host_control().bell).unwrap().store_release(2);
    let line = layout.host_control().state.bytes();
    let example = example("lanes.md", "control line");
    assert_eq!(example.len(), 32);
    for (at, byte) in example {
        assert_eq!(byte, byte_at(&memory, line + at), "byte {at}");
    }
}

#[test]
fn the_abort_bits_of_the_lanes_chapter() {
    let memory = HeapMemory::zeroed(64).unwrap();
    let mut host = AbortSender::new(&memory, Span::new(0, 8).unwrap()).unwrap();
    assert!(host.set(33));
    let example = example("lanes.md", "abort bits");
    assert_eq!(example.len(), 8);
    for (at, byte) in example {
        assert_eq!(byte, byte_at(&memory, at), "byte {at}");
    }
}

#[test]
fn the_stage_journal_of_the_lanes_chapter() {
    let fields = HeaderFields { optional: Features::JOURNAL, ..fields() };
    let layout = Layout::new(fields);
    let memory = HeapMemory::zeroed(layout.len()).unwrap();
    create_segment(&memory, &fields).unwrap();
    HostLane::announce(&memory, &layout, 77).unwrap();
    let mut worker = WorkerLane::open(&memory, &layout, 1024, 78).unwrap();
    let mut host = HostLane::connect(&memory, &layout, 1024).unwrap().expect("the worker is open");
    let nothing = Payload::bare(Tag::UNDEFINED);
    let mut submit = || host.submit(0, &nothing).unwrap().call.word();
    assert_eq!([submit(), submit()], [0, 1]);
    for call in [0, 1] {
        assert_eq!(worker.take().unwrap().unwrap().call, call);
        worker.respond(call, false, &nothing).unwrap();
        host.take().unwrap().unwrap();
    }
    assert_eq!(host.submit(0, &nothing).unwrap().call.word(), 32);
    worker.take().unwrap().unwrap();
    let example = example("lanes.md", "stage journal");
    assert_eq!(example.len(), 12);
    for (at, byte) in example {
        assert_eq!(byte, byte_at(&memory, layout.extension().at() + at), "byte {at}");
    }
}

#[test]
fn the_deadlines_of_the_lanes_chapter() {
    let fields = HeaderFields { optional: Features::DEADLINES, ..fields() };
    let layout = Layout::new(fields);
    let memory = HeapMemory::zeroed(layout.len()).unwrap();
    create_segment(&memory, &fields).unwrap();
    HostLane::announce(&memory, &layout, 77).unwrap();
    let features = Features::DEADLINES.or(Features::FUTEX_BELLS);
    let mut worker = WorkerLane::open_with(&memory, &layout, 1024, 78, features).unwrap();
    let mut host = HostLane::connect(&memory, &layout, 1024).unwrap().expect("the worker is open");
    let nothing = Payload::bare(Tag::UNDEFINED);
    let mut submit = |deadline| host.submit_until(0, &nothing, deadline).unwrap().call.word();
    assert_eq!([submit(None), submit(None)], [0, 1]);
    for call in [0, 1] {
        assert_eq!(worker.take().unwrap().unwrap().call, call);
        worker.respond(call, false, &nothing).unwrap();
        host.take().unwrap().unwrap();
    }
    let deadline = MonotonicTime::from_nanoseconds((1 << 32) + 5);
    let mut submit = |deadline| host.submit_until(0, &nothing, deadline).unwrap().call.word();
    assert_eq!([submit(None), submit(Some(deadline)), submit(None)], [32, 33, 2]);
    let example = example("lanes.md", "deadlines");
    assert_eq!(example.len(), 24);
    for (at, byte) in example {
        assert_eq!(byte, byte_at(&memory, layout.extension().at() + at), "byte {at}");
    }
}

/// LANE-49: the description that the chapter shows is one, has every member that a pool writes, and the table has each of them.
#[test]
fn the_boot_description_of_the_lanes_chapter() {
    let chapter = text("lanes.md");
    let shown: String = block(&chapter, "boot description").lines().map(str::trim_start).collect();
    let shown = shown.strip_prefix("json").unwrap();
    let boot = Boot::from_json(shown).unwrap();
    assert_eq!(boot.to_json().unwrap(), shown);
    let whole = boot.with_eventfd(4).with_socket("/x").to_json().unwrap();
    let whole: serde_json::Value = serde_json::from_str(&whole).unwrap();
    let (_, table) = chapter.split_once("| member | type | meaning |").unwrap();
    let rows = table.lines().skip(2).map_while(|line| line.strip_prefix("| `"));
    let rows: BTreeMap<_, _> = rows.map(|row| row.split_once("` | ").unwrap()).collect();
    let members = whole.as_object().unwrap();
    let written: BTreeSet<_> = members.keys().map(String::as_str).collect();
    assert_eq!(rows.keys().copied().collect::<BTreeSet<_>>(), written);
    for (member, row) in rows {
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(member);
        assert_eq!(
            Boot::from_json(&without.to_string()).is_ok(),
            row.contains("Absent"),
            "{member}"
        );
        let (type_of, _) = row.split_once(" |").unwrap();
        let expected = match &members[member] {
            serde_json::Value::Number(_) => ["`u32`", "`u64`"].contains(&type_of),
            serde_json::Value::String(_) => type_of == "string",
            serde_json::Value::Bool(_) => type_of == "boolean",
            _ => type_of == "array of strings",
        };
        assert!(expected, "{member}: {type_of}");
    }
}

/// PAY-21, PAY-22: which member is which word.
#[test]
fn the_metadata_of_a_shared_buffer_in_the_payloads_chapter() {
    let words = [7, 4096, 4096, 64, 128, 1, 1, 0];
    let chapter = text("payloads.md");
    let shown: String = block(&chapter, "metadata").lines().collect();
    let metadata = |words| External::shared_buffer(&SharedBufferRef::from(words)).metadata;
    assert_eq!(metadata(words), shown.strip_prefix("text").unwrap());
    let (_, table) = chapter.split_once("| member | word of tag 46 | value |").unwrap();
    let rows: Vec<_> = table.lines().skip(2).map_while(|line| line.strip_prefix("| `")).collect();
    assert_eq!(rows.len(), 9);
    let numbers = [1000, 1001, 1002, 1003, 1004, 2, 2, 1007];
    let value: serde_json::Value = serde_json::from_str(&metadata(numbers)).unwrap();
    for row in rows {
        let (path, rest) = row.split_once("` | ").unwrap();
        let found = path.split('.').fold(&value, |value, member| &value[member]);
        let expected: serde_json::Value = match rest.split_once(" |").unwrap().0 {
            "-" => 1.into(),
            "5" => "deno".into(),
            "6" => "external-array-buffer".into(),
            word => numbers[word.parse::<usize>().unwrap()].into(),
        };
        assert_eq!(found, &expected, "{path}");
    }
}

/// The segment of the example in the segment chapter.
fn fields() -> HeaderFields {
    HeaderFields {
        version: Version { major: 1, minor: 0 },
        required: Features::FUTEX_BELLS,
        optional: Features::STAMPS,
        epoch: 1,
        creator: CreatorId { pid: 77, ..CreatorId::default() },
        kind: LaneKind::Process,
        geometry: Geometry::new(128, 128, 0).unwrap(),
        extension: ExtensionBytes::MIN,
        // FNV-1a of nothing.
        tasks: 0xcbf2_9ce4_8422_2325,
        request_reserved: 0,
        response_reserved: 0,
    }
}

/// An open lane with arenas of 256 bytes, of which a request with three bytes in the arena is pending.
fn lane_with_one_request() -> (HeapMemory, Layout) {
    let fields = HeaderFields { geometry: Geometry::new(256, 256, 0).unwrap(), ..fields() };
    let layout = Layout::new(fields);
    let memory = HeapMemory::zeroed(layout.len()).unwrap();
    create_segment(&memory, &fields).unwrap();
    HostLane::announce(&memory, &layout, 77).unwrap();
    WorkerLane::open(&memory, &layout, 1024, 78).unwrap();
    let mut host = HostLane::connect(&memory, &layout, 1024).unwrap().expect("the worker is open");
    host.submit(0, &Payload::bytes(Tag::BYTES_ARENA, vec![0xa5; 3])).unwrap();
    (memory, layout)
}

fn byte_at(memory: &HeapMemory, at: u32) -> u8 {
    let word = memory.word(WordOffset::new(at & !3).unwrap()).unwrap().load_acquire();
    word.to_le_bytes()[at as usize % 4]
}

fn text(chapter: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec").join(chapter);
    std::fs::read_to_string(path).unwrap()
}

/// What stands in the code block after `<!-- example: name -->`, the word behind its fence included.
fn block<'t>(chapter: &'t str, name: &str) -> &'t str {
    let marker = format!("<!-- example: {name} -->");
    let block = chapter.split_once(&marker).and_then(|(_, rest)| rest.split("```").nth(1));
    block.expect("a marked code block")
}

/// Offset and value of the bytes in the code block after `<!-- example: name -->`: each line has the
/// offset of its first byte, then bytes of two hex digits up to something else.
fn example(chapter: &str, name: &str) -> BTreeMap<u32, u8> {
    let text = text(chapter);
    let mut bytes = BTreeMap::new();
    for line in block(&text, name).lines() {
        let mut words = line.split_whitespace();
        let Some(start) = words.next().and_then(|word| word.parse::<u32>().ok()) else { continue };
        let hex = words.map_while(|word| match word.len() {
            2 => u8::from_str_radix(word, 16).ok(),
            _ => None,
        });
        bytes.extend((start..).zip(hex));
    }
    assert!(!bytes.is_empty(), "{chapter}: no bytes in example `{name}`");
    bytes
}
