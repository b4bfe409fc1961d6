//! Headers and header lines.

use super::{bits, bits64, canonical, flag, number, text, wide, word, words};
use knit_proto::{
    BlockIndex, CreatorId, Direction, ExtensionBytes, Features, Geometry, HeaderFields, LaneKind,
    Layout, PayloadPlace, RawHeader, RawSlotHeader, Reader, Region, SlotHeader, SlotIndex,
    SlotRules, Span, Tag, Version, Word0,
};
use serde_json::Value as Json;

/// A reader parses the bytes to the fields and the layout; a writer of the fields produces them.
pub fn hold_header(json: &Json) {
    let raw = RawHeader(words(json, "bytes"));
    let layout = raw.parse_as(reader_of(json), number(json, "mapped")).unwrap();
    let fields = fields(&json["fields"]);
    assert_eq!(*layout.fields(), fields);
    assert_eq!(layout, Layout::new(fields));
    hold_layout(&layout, &json["layout"]);
    assert_eq!(RawHeader::encode(&fields) == raw, canonical(json));
}

/// The `reader` of a vector.
pub fn reader_of(json: &Json) -> Reader {
    let reader = &json["reader"];
    let version = version(&reader["layout"]);
    Reader { version, features: Features::from_bits(bits(reader, "features")) }
}

fn version(json: &Json) -> Version {
    let half = |name| word(json, name).try_into().unwrap();
    Version { major: half("major"), minor: half("minor") }
}

/// The `fields` of a vector, which say what a header says.
pub fn fields(json: &Json) -> HeaderFields {
    let features = |name| Features::from_bits(bits(json, name));
    HeaderFields {
        version: version(json),
        required: features("required"),
        optional: features("optional"),
        epoch: word(json, "epoch"),
        creator: CreatorId {
            pid: word(json, "creator_pid"),
            start_time: wide(json, "creator_start"),
            boot: wide(json, "creator_boot"),
        },
        kind: match word(json, "lane_kind") {
            1 => LaneKind::Process,
            2 => LaneKind::Thread,
            other => panic!("lane kind {other}"),
        },
        geometry: Geometry::new(
            word(json, "request_arena_bytes"),
            word(json, "response_arena_bytes"),
            word(json, "abort_capacity"),
        )
        .unwrap(),
        extension: ExtensionBytes::new(word(json, "extension_bytes")).unwrap(),
        tasks: wide(json, "tasks"),
        request_reserved: word(json, "request_reserved"),
        response_reserved: word(json, "response_reserved"),
    }
}

fn hold_layout(layout: &Layout, json: &Json) {
    let stated = |name: &str| (word(&json[name], "at"), word(&json[name], "bytes"));
    let place = |span: Span| (span.at(), span.len());
    let block_bytes = layout.fields().geometry.block_bytes();
    assert_eq!(stated("segment"), (0, layout.len()));
    assert_eq!(stated("extension"), place(layout.extension()));
    assert_eq!(stated("lane_block"), (layout.lane_block_at(), block_bytes));
    for region in Region::ALL {
        let name = region.name().replace(' ', "_");
        assert_eq!(stated(&name), place(layout.region(region)), "{name}");
    }
    assert_eq!(json.as_object().unwrap().len(), 3 + Region::ALL.len());
}

/// A receiver parses the line to the header; a writer of the header produces the line.
pub fn hold_slot(json: &Json) {
    let line: [u32; 16] = words(json, "bytes");
    let parsed = parse_slot(json).unwrap();
    assert_eq!(parsed, header(&json["header"]));
    let mut written = [0; 16];
    written[..7].copy_from_slice(&RawSlotHeader::encode(&parsed).0);
    assert_eq!(written == line, canonical(json));
}

/// What a receiver makes of a `slot` input.
pub fn parse_slot(json: &Json) -> Result<SlotHeader, knit_proto::ProtocolViolation> {
    let [w0, w1, w2, w3, w4, w5, w6, ..]: [u32; 16] = words(json, "bytes");
    RawSlotHeader([w0, w1, w2, w3, w4, w5, w6]).parse(&slot_rules(json), SlotIndex::new(9).unwrap())
}

/// The rules of a receiver that reads a `slot` input.
pub fn slot_rules(json: &Json) -> SlotRules {
    let limits = &json["limits"];
    SlotRules {
        direction: match text(json, "direction") {
            "request" => Direction::Request,
            "response" => Direction::Response,
            other => panic!("direction {other}"),
        },
        arena_bytes: word(limits, "arena_bytes"),
        max_payload: word(limits, "max_payload"),
        abort_capacity: word(limits, "abort_capacity"),
    }
}

/// The `header` of a vector.
pub fn header(json: &Json) -> SlotHeader {
    let half = |member: &Json| u16::try_from(member.as_u64().unwrap()).unwrap();
    let word0 = if json["rejected"].is_boolean() {
        Word0::Answer { rejected: flag(json, "rejected") }
    } else {
        let abort = (!json["abort"].is_null()).then(|| half(&json["abort"]));
        Word0::Call { function: half(&json["function"]), abort }
    };
    let block = || {
        let block = BlockIndex::from_low_bits(word(json, "block"));
        assert_eq!(block.get(), word(json, "block"));
        block
    };
    let [len, start, head, body] =
        ["len", "start", "head", "body"].map(|name| move || word(json, name));
    let place = match text(json, "form") {
        "BARE" => PayloadPlace::Bare,
        "SCALAR" => PayloadPlace::Scalar(bits64(&json["scalar"])),
        "INLINE" => PayloadPlace::Inline { len: len() },
        "ARENA" => PayloadPlace::Arena { block: block(), start: start(), len: len() },
        "INLINE_HEAD" => {
            PayloadPlace::InlineHead { head: head(), block: block(), start: start(), body: body() }
        }
        "ARENA_HEAD" => {
            PayloadPlace::ArenaHead { head: head(), block: block(), start: start(), body: body() }
        }
        other => panic!("form {other}"),
    };
    SlotHeader { word0, call: word(json, "call"), tag: Tag(word(json, "tag")), place }
}
