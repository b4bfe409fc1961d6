//! `spec/layout.toml` and the constants of the crates are written independently, by hand. Here they
//! are compared both ways: every number of the file has its constant, every constant its number.

use knit_codec::Limits;
use knit_proto::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use toml::Table;

/// Names and values of constants that are called the same in the file.
macro_rules! named {
    ($($name:ident),* $(,)?) => { vec![$((stringify!($name), $name as u64)),*] };
}

/// Constants of the file that the crates have under another name: theirs, and the value.
fn renamed() -> Vec<(&'static str, &'static str, u64)> {
    let limits = Limits::default();
    vec![
        ("BLOCKS", "COUNT", BlockIndex::COUNT.into()),
        ("DEFAULT_MAX_PAYLOAD", "", limits.payload.into()),
        ("DEFAULT_MAX_CAUSES", "", limits.causes.into()),
        ("DEFAULT_MAX_DEPTH", "", limits.depth.into()),
        ("MAX_CAUSES", "", Limits::MAX_CAUSES.into()),
    ]
}

/// Constants of the file that no crate has yet: shared buffers are not implemented.
const WITHOUT_CONSTANT: [&str; 1] = ["SHARED_BUFFER_BYTES"];

fn constants() -> Vec<(&'static str, u64)> {
    named![
        HEADER_BYTES,
        PAGE_BYTES,
        EXTENSION_AT,
        MIN_EXTENSION_BYTES,
        MAX_EXTENSION_BYTES,
        REGION_ALIGN,
        SLOTS,
        SLOT_STRIDE,
        INLINE_BYTES,
        HEADER_LINE_AT,
        SLOT_HEADER_WORDS,
        ARENA_GRANULE,
        ARENA_DATA_AT,
        MIN_ARENA_BYTES,
        MAX_ARENA_BYTES,
        MAX_ABORT_CAPACITY,
        READY_BIT,
        CONTROL_MESSAGE_BYTES,
        CONTROL_MESSAGE_VERSION,
        CONTROL_MESSAGE_GIVE,
        CONTROL_MESSAGE_DROP,
        CONTROL_MESSAGE_LANE,
    ]
}

/// Structure, field, constant, offset in bytes.
fn offsets() -> Vec<(&'static str, &'static str, &'static str, u64)> {
    macro_rules! header {
        ($($field:literal $name:ident $(+ $words:literal)?),* $(,)?) => {
            vec![$(("header", $field, stringify!($name), 4 * (field::$name $(+ $words)?) as u64)),*]
        };
    }
    macro_rules! at {
        ($structure:literal: $($field:literal $name:ident),* $(,)?) => {
            vec![$(($structure, $field, stringify!($name), $name as u64)),*]
        };
    }
    macro_rules! slot {
        ($($field:literal $name:ident),* $(,)?) => {
            vec![$(("slot", $field, stringify!($name), u64::from(HEADER_LINE_AT + 4 * word::$name))),*]
        };
    }
    let header = header![
        "magic" MAGIC, "byte_order" BYTE_ORDER, "major" MAJOR, "minor" MINOR,
        "header_bytes" HEADER_BYTES, "page_bytes" PAGE_BYTES, "segment_bytes" SEGMENT_BYTES,
        "required" REQUIRED, "optional" OPTIONAL, "epoch" EPOCH, "creator_pid" CREATOR_PID,
        "creator_start" CREATOR_START, "creator_boot" CREATOR_BOOT, "lane_kind" LANE_KIND,
        "slots" SLOTS, "slot_stride" SLOT_STRIDE, "inline_bytes" INLINE_BYTES,
        "abort_capacity" ABORT_CAPACITY, "tasks" TASKS,
        "extension_at" EXTENSION, "extension_bytes" EXTENSION + 1,
        "lane_block_at" LANE_BLOCK, "lane_block_bytes" LANE_BLOCK + 1,
        "signals_at" REGIONS, "signals_bytes" REGIONS + 1,
        "request_sector_at" REGIONS + 2, "request_sector_bytes" REGIONS + 3,
        "response_sector_at" REGIONS + 4, "response_sector_bytes" REGIONS + 5,
        "request_slots_at" REGIONS + 6, "request_slots_bytes" REGIONS + 7,
        "response_slots_at" REGIONS + 8, "response_slots_bytes" REGIONS + 9,
        "abort_bits_at" REGIONS + 10, "abort_bits_bytes" REGIONS + 11,
        "request_arena_at" REGIONS + 12, "request_arena_bytes" REGIONS + 13,
        "response_arena_at" REGIONS + 14, "response_arena_bytes" REGIONS + 15,
        "request_reserved" REQUEST_RESERVED, "response_reserved" RESPONSE_RESERVED,
        "recorder_spans" RECORDER_SPANS, "split_spans" SPLIT_SPANS, "ready" READY,
    ];
    let segment = at!["segment": "extension" EXTENSION_AT];
    let arena = at!["arena_region": "data" ARENA_DATA_AT];
    let extension = at!["extension": "host_control" HOST_CONTROL_AT,
        "withdrawn" WITHDRAWN_AT, "worker_control" WORKER_CONTROL_AT, "stage_journal" JOURNAL_AT, "deadlines" DEADLINES_AT,
        "host_counters" HOST_COUNTERS_AT, "worker_counters" WORKER_COUNTERS_AT];
    let control = at!["control_line": "state" CONTROL_STATE_AT, "epoch" CONTROL_EPOCH_AT,
        "parked" CONTROL_PARKED_AT, "bell" CONTROL_BELL_AT, "features" CONTROL_FEATURES_AT,
        "pid" CONTROL_PID_AT];
    let block = at!["lane_block": "request_sector" REQUEST_SECTOR_AT,
        "response_sector" RESPONSE_SECTOR_AT, "request_slots" REQUEST_SLOTS_AT,
        "response_slots" RESPONSE_SLOTS_AT, "abort_bits" ABORT_BITS_AT];
    let signals = at!["signals": "wake" SIGNALS_WAKE_AT,
        "receiver_awake" SIGNALS_RECEIVER_AWAKE_AT, "host_busy" SIGNALS_HOST_BUSY_AT];
    let sector = at!["sector": "publish" SECTOR_PUBLISH_AT, "release" SECTOR_RELEASE_AT,
        "allocate" SECTOR_ALLOCATE_AT, "free" SECTOR_FREE_AT];
    let slot = slot!["word0" WORD0, "call" CALL, "tag" TAG, "start" START, "end" END,
        "payload_len" PAYLOAD_LEN, "block" BLOCK, "scratch" SCRATCH, "stealing" STEALING,
        "reserved_560" RESERVED, "stamp" STAMP];
    [header, segment, arena, extension, control, block, signals, sector, slot].concat()
}

/// Structure, constant, length in bytes.
fn sizes() -> [(&'static str, &'static str, u64); 6] {
    [
        ("header", "HEADER_BYTES", HEADER_BYTES.into()),
        ("extension", "MIN_EXTENSION_BYTES", MIN_EXTENSION_BYTES.into()),
        ("control_line", "CONTROL_BYTES", CONTROL_BYTES.into()),
        ("signals", "SIGNALS_BYTES", SIGNALS_BYTES.into()),
        ("sector", "SECTOR_BYTES", SECTOR_BYTES.into()),
        ("slot", "SLOT_STRIDE", SLOT_STRIDE.into()),
    ]
}

/// Public constants that say nothing of the wire, or follow from others by a formula beside them.
const DERIVED: [&str; 19] = [
    "ALL",
    "ASSIGNED",
    "CURRENT",
    "EMPTY",
    "MIN",
    "NONE",
    "START",
    "SUPPORTED",
    "COUNT",
    "HEADER_WORDS",
    "JOURNAL_WORDS",
    "DEADLINE_PLACES",
    "HEADER_LINE_BYTES",
    "SLOTS_BYTES",
    "STAMP_AT",
    "WORD_STRIDE",
    "BYTE_ORDER_MARK",
    "MAGIC",
    "RESERVED",
];

macro_rules! features {
    ($($name:ident),* $(,)?) => { vec![$((stringify!($name), Features::$name.bits())),*] };
}

fn features() -> Vec<(&'static str, u32)> {
    features![
        STAMPS,
        JOURNAL,
        RECORDER,
        FUTEX_BELLS,
        EVENTFD,
        BUFFER_HANDLES,
        NAMED_GROWTH,
        SEVERAL_RECEIVERS,
        WRITE_SPLIT,
        MANY_SLOTS,
        IN_PLACE_REPLIES,
        WITHDRAW,
        DEADLINES,
    ]
}

#[test]
fn constants_are_those_of_the_file() {
    let file: BTreeMap<_, _> = entries("constant")
        .iter()
        .map(|entry| (text(entry, "name").to_owned(), number(entry, "value")))
        .collect();
    let renamed = renamed().into_iter().map(|(name, _, value)| (name, value));
    let mut ours: BTreeMap<_, _> = constants().into_iter().chain(renamed).collect();
    for name in WITHOUT_CONSTANT {
        assert!(!ours.contains_key(name), "{name} is implemented: compare it");
        ours.insert(name, file[name]);
    }
    let ours: BTreeMap<_, _> = ours.into_iter().map(|(name, v)| (name.to_owned(), v)).collect();
    assert_eq!(ours, file);
}

#[test]
fn protocol_numbers_are_those_of_the_file() {
    let protocol = file()["protocol"].as_table().unwrap().clone();
    assert_eq!(number(&protocol, "magic"), u64::from(MAGIC));
    assert_eq!(MAGIC.to_le_bytes(), *b"KNIT");
    assert_eq!(number(&protocol, "byte_order_mark"), u64::from(BYTE_ORDER_MARK));
    let layout = protocol["layout"].as_table().unwrap();
    let version = (number(layout, "major"), number(layout, "minor"));
    let ours = (u64::from(Version::CURRENT.major), u64::from(Version::CURRENT.minor));
    assert_eq!(ours, version);
}

/// Every field with a meaning has its constant at the right place. Fields without one are reserved,
/// at the start of their structure, or after arenas of any length.
#[test]
fn offsets_are_those_of_the_file() {
    let mut ours: BTreeMap<_, _> = offsets()
        .into_iter()
        .map(|(s, field, _, at)| ((s.to_owned(), field.to_owned()), at))
        .collect();
    for structure in entries("struct") {
        let name = text(&structure, "name").to_owned();
        for field in structure["field"].as_array().unwrap() {
            let field = field.as_table().unwrap();
            let key = (name.clone(), text(field, "name").to_owned());
            let offset = field.get("offset").map(|_| number(field, "offset"));
            match (ours.remove(&key), offset) {
                (Some(ours), theirs) => assert_eq!(Some(ours), theirs, "{key:?}"),
                (None, Some(0) | None) => {}
                (None, Some(_)) => assert!(field.contains_key("rule"), "no constant for {key:?}"),
            }
        }
    }
    assert!(ours.is_empty(), "not in the file: {ours:?}");
}

/// Bit fields have no constants: what is written with all their bits set, and nothing else, is the mask
/// of the file.
#[test]
fn bit_fields_are_those_of_the_file() {
    let slot = |word0, block| {
        let place = PayloadPlace::Arena { block, start: 0, len: 0 };
        RawSlotHeader::encode(&SlotHeader { word0, call: 0, tag: Tag(0), place }).0
    };
    let none = BlockIndex::from_low_bits(0);
    let call = |function, abort| slot(Word0::Call { function, abort }, none)[0];
    let ready = |major, minor| ready_word(Version { major, minor });
    let ours = BTreeMap::from([
        (("word0", "function"), call(u16::MAX, None)),
        (("word0", "abort"), call(0, Some(u16::MAX - 1))),
        (("word0", "rejected"), slot(Word0::Answer { rejected: true }, none)[0]),
        (("word0", "withdrawn"), slot(Word0::Withdrawn, none)[0]),
        (
            ("block", "index"),
            slot(Word0::Answer { rejected: false }, BlockIndex::from_low_bits(31))[6],
        ),
        // Read by nobody: the bits that are left.
        (("block", "time"), !BlockIndex::from_low_bits(u32::MAX).get()),
        (("ready", "minor"), ready(0, u16::MAX) & !ready(0, 0)),
        (("ready", "major"), ready(0x7fff, 0) & !ready(0, 0)),
        (("ready", "ready"), READY_BIT),
    ]);
    let mut file = BTreeMap::new();
    for structure in entries("struct") {
        for field in structure["field"].as_array().unwrap() {
            let field = field.as_table().unwrap();
            for bits in field.get("bits").and_then(|bits| bits.as_array()).into_iter().flatten() {
                let bits = bits.as_table().unwrap();
                let mask = ((1_u64 << number(bits, "width")) - 1) << number(bits, "lsb");
                let key = (text(field, "name").to_owned(), text(bits, "name").to_owned());
                file.insert(key, u32::try_from(mask).unwrap());
            }
        }
    }
    let ours: BTreeMap<_, _> = ours
        .into_iter()
        .map(|((field, bits), mask)| ((field.to_owned(), bits.to_owned()), mask))
        .collect();
    assert_eq!(ours, file);
}

#[test]
fn structures_have_the_sizes_of_the_file() {
    let file: BTreeMap<_, _> = entries("struct")
        .iter()
        .map(|entry| (text(entry, "name").to_owned(), number(entry, "size")))
        .filter(|(_, size)| *size != 0)
        .collect();
    let ours: BTreeMap<_, _> =
        sizes().into_iter().map(|(name, _, size)| (name.to_owned(), size)).collect();
    assert_eq!(ours, file);
}

#[test]
fn features_and_states_are_those_of_the_file() {
    let file: BTreeSet<_> = entries("feature")
        .iter()
        .map(|entry| (text(entry, "name").to_owned(), 1_u32 << number(entry, "bit")))
        .collect();
    let ours: BTreeSet<_> =
        features().into_iter().map(|(name, bits)| (name.to_owned(), bits)).collect();
    assert_eq!(ours, file);
    let now: u32 = entries("feature")
        .iter()
        .filter(|entry| text(entry, "since") == "1.0")
        .map(|entry| 1 << number(entry, "bit"))
        .sum();
    // Those of a segment; the control channel needs a socket beside it, the eventfd is a descriptor, deadlines need a clock,
    // withdrawal a worker that asks.
    let supported = Features::SUPPORTED
        .or(Features::BUFFER_HANDLES)
        .or(Features::EVENTFD)
        .or(Features::DEADLINES)
        .or(Features::WITHDRAW);
    assert_eq!(supported.bits(), now, "the features of 1.0 are those supported");

    let names: Vec<_> =
        entries("enum").iter().map(|entry| text(entry, "name").to_owned()).collect();
    assert_eq!(
        names,
        ["lane_state", "lane_kind", "parked", "stage"],
        "compare the values of every one"
    );
    let states = [LaneState::Absent, LaneState::Open, LaneState::Closing];
    let states = states.map(|state| (format!("{state:?}"), state.word()));
    assert_eq!(enumeration("lane_state"), states);
    assert!((3..100).chain([u32::MAX]).all(|word| LaneState::from_word(word).is_none()));
    let kinds = [LaneKind::Process, LaneKind::Thread];
    assert_eq!(enumeration("lane_kind"), kinds.map(|kind| (format!("{kind:?}"), kind.word())));
    let stages = [Stage::Taken, Stage::Done].map(|stage| (format!("{stage:?}"), stage.word()));
    assert_eq!(enumeration("stage"), stages);
    let parked = [("AWAKE".to_owned(), AWAKE), ("PARKED".to_owned(), PARKED)];
    assert_eq!(enumeration("parked").map(|(name, value)| (name.to_uppercase(), value)), parked);
}

#[test]
fn tags_and_forms_are_those_of_the_file() {
    let forms: BTreeSet<_> =
        entries("form").iter().map(|entry| text(entry, "name").to_owned()).collect();
    let ours = [
        Form::Bare,
        Form::Scalar,
        Form::Inline,
        Form::Arena,
        Form::InlineHead,
        Form::ArenaHead,
        Form::Local,
    ];
    assert_eq!(ours.map(form_name).into_iter().collect::<BTreeSet<_>>(), forms);

    let file: Vec<_> = entries("tag")
        .iter()
        .map(|entry| (number(entry, "value"), text(entry, "form").to_owned()))
        .collect();
    let ours: Vec<_> = Tag::ASSIGNED
        .iter()
        .map(|tag| (u64::from(tag.0), form_name(tag.form().expect("assigned"))))
        .collect();
    assert_eq!(ours, file);
    // Names: the table of the source, which the macro turns into constants.
    let source = std::fs::read_to_string(root().join("knit-proto/src/tag.rs")).unwrap();
    for entry in entries("tag") {
        let line = format!("    {} = {}, ", text(&entry, "name"), number(&entry, "value"));
        assert_eq!(source.matches(&line).count(), 1, "no tag `{}`", line.trim());
    }
}

/// The sources hold the names of the errors as `("name", "CLAUSE")`, once each.
#[test]
fn errors_are_those_of_the_file() {
    let sources = [
        ("header", "knit-proto/src/header_error.rs"),
        ("violation", "knit-proto/src/violation.rs"),
        ("decode", "knit-codec/src/error.rs"),
    ];
    // Violations that the codec reports too.
    let violations = ["unassigned_tag", "local_tag"];
    for (layer, path) in sources {
        let source = std::fs::read_to_string(root().join(path)).unwrap();
        let ours: BTreeSet<_> = source
            .split("=> (\"")
            .skip(1)
            .filter_map(|rest| {
                let (name, rest) = rest.split_once("\", \"")?;
                Some((name.to_owned(), rest.split_once('"')?.0.to_owned()))
            })
            .filter(|(name, _)| layer != "decode" || !violations.contains(&name.as_str()))
            .collect();
        let file: BTreeSet<_> = entries("error")
            .iter()
            .filter(|entry| text(entry, "layer") == layer)
            .map(|entry| (text(entry, "name").to_owned(), text(entry, "clause").to_owned()))
            .collect();
        assert_eq!(ours, file, "{layer}");
        assert!(ours.len() > 5);
    }
}

/// Nothing extra: every public constant of the crate is compared with the file above.
#[test]
fn no_constant_is_left_out() {
    let mut known: BTreeSet<&str> = DERIVED.into_iter().collect();
    known.extend(constants().iter().map(|(name, _)| *name));
    known.extend(offsets().iter().map(|(_, _, name, _)| *name));
    known.extend(sizes().iter().map(|(_, name, _)| *name));
    known.extend(features().iter().map(|(name, _)| *name));
    known.extend(["AWAKE", "PARKED"]);
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(root().join("knit-proto/src")).unwrap() {
        let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for declaration in source.split("pub const ").skip(1) {
            let name = declaration.split(':').next().unwrap_or_default();
            if name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') {
                assert!(known.contains(name), "{name} is compared with nothing");
                found.insert(name.to_owned());
            }
        }
    }
    assert!(found.len() > 80, "{} constants found", found.len());
    let gone: Vec<_> = known.iter().filter(|name| !found.contains(**name)).collect();
    assert!(gone.is_empty(), "listed but not in the crate: {gone:?}");
}

fn form_name(form: Form) -> String {
    let mut name = String::new();
    for letter in format!("{form:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Names (first letter large, as in Rust) and values of an enumeration of the file.
fn enumeration<const N: usize>(name: &str) -> [(String, u32); N] {
    let entries = entries("enum");
    let entry = entries.iter().find(|entry| text(entry, "name") == name).expect("in the file");
    let values: Vec<_> = entry["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| {
            let value = value.as_table().unwrap();
            let (first, rest) = text(value, "name").split_at(1);
            let name = format!("{first}{}", rest.to_lowercase());
            (name, u32::try_from(number(value, "value")).unwrap())
        })
        .collect();
    values.try_into().expect("as many values as in Rust")
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn file() -> Table {
    let text = std::fs::read_to_string(root().join("spec/layout.toml")).unwrap();
    text.parse().unwrap()
}

fn entries(key: &str) -> Vec<Table> {
    let file = file();
    let entries = file[key].as_array().expect("a list of tables");
    assert!(!entries.is_empty());
    entries.iter().map(|entry| entry.as_table().unwrap().clone()).collect()
}

fn text<'t>(entry: &'t Table, key: &str) -> &'t str {
    entry[key].as_str().unwrap()
}

fn number(entry: &Table, key: &str) -> u64 {
    entry[key].as_integer().and_then(|n| u64::try_from(n).ok()).unwrap()
}
