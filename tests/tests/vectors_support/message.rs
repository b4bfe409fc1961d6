//! Messages and values.

use super::{bits, bits64, bytes, canonical, flag, text, word};
use knit_codec::{Cause, Decode, DecodeError, Encode, ErrorValue, Limits, Payload, Value};
use knit_proto::{
    BlockIndex, Direction, Form, PayloadPlace, RawSlotHeader, SlotHeader, SlotIndex, SlotRules,
    Tag, Word0,
};
use serde_json::Value as Json;

/// What the codec makes of a message.
#[derive(Debug, PartialEq)]
pub enum Decoded {
    /// A value.
    Value(Value),
    /// Bytes that are no value.
    Refused(DecodeError),
    /// An assigned tag that the codec does not decode.
    Unsupported(Tag),
}

/// Decodes the `message` of a vector within its `limits`.
pub fn decode(json: &Json) -> Decoded {
    match Value::decode(Message::of_file(json).received(), &limits(json)) {
        Ok(value) => Decoded::Value(value),
        Err(DecodeError::UnsupportedTag(tag)) => Decoded::Unsupported(tag),
        Err(error) => Decoded::Refused(error),
    }
}

/// A reader decodes the message to the value; a writer of the value produces the message. Returns
/// the tag when the codec does not decode it.
pub fn hold_payload(json: &Json) -> Option<Tag> {
    match decode(json) {
        Decoded::Unsupported(tag) => return Some(tag),
        Decoded::Refused(error) => panic!("{error}"),
        Decoded::Value(found) => assert_eq!(found, value(&json["value"])),
    }
    let written = Message::of_writer(&value(&json["value"]).encode_owned(&limits(json)).unwrap());
    assert_eq!(written == Message::of_file(json), canonical(json), "{written:?}");
    None
}

/// A message as it is shared: words 2 to 5 of the header line, and bytes.
#[derive(Debug, PartialEq)]
pub struct Message {
    pub words: [u32; 4],
    pub inline: Vec<u8>,
    pub arena: Vec<u8>,
}

impl Message {
    /// The message of a vector.
    pub fn of_file(json: &Json) -> Self {
        let message = &json["message"];
        let [w3, w4, w5] = ["word3", "word4", "word5"].map(|name| bits(message, name));
        Self {
            words: [word(message, "tag"), w3, w4, w5],
            inline: bytes(message, "inline"),
            arena: bytes(message, "arena"),
        }
    }

    /// What a writer shares, with its bytes at arena offset 0 in block 0.
    fn of_writer(payload: &Payload<'_>) -> Self {
        let (tag, bytes) = (payload.tag(), payload.as_bytes());
        let (head, all) = (payload.head_len(), u32::try_from(payload.len()).unwrap());
        let (block, start) = (BlockIndex::from_low_bits(0), 0);
        let (first, second) = bytes.split_at(head as usize);
        let (place, inline, arena) = match tag.form().unwrap() {
            Form::Bare => (PayloadPlace::Bare, &[][..], &[][..]),
            Form::Scalar => (PayloadPlace::Scalar(payload.scalar_bits()), &[][..], &[][..]),
            Form::Inline => (PayloadPlace::Inline { len: all }, bytes, &[][..]),
            Form::Arena => (PayloadPlace::Arena { block, start, len: all }, &[][..], bytes),
            Form::InlineHead => {
                (PayloadPlace::InlineHead { head, block, start, body: all - head }, first, second)
            }
            Form::ArenaHead => {
                (PayloadPlace::ArenaHead { head, block, start, body: all - head }, &[][..], bytes)
            }
            Form::Local => panic!("{tag}"),
        };
        let header = SlotHeader { word0: Word0::Answer { rejected: false }, call: 0, tag, place };
        let [_, _, tag, w3, w4, w5, _] = RawSlotHeader::encode(&header).0;
        Self { words: [tag, w3, w4, w5], inline: inline.into(), arena: arena.into() }
    }

    /// What a receiver copies out of the slot and the arena.
    fn received(&self) -> Payload<'static> {
        let [tag, w3, w4, w5] = self.words;
        let arena_bytes = u32::try_from(self.arena.len()).unwrap();
        let rules = SlotRules {
            direction: Direction::Response,
            arena_bytes,
            max_payload: arena_bytes,
            abort_capacity: 0,
        };
        let raw = RawSlotHeader([0, 0, tag, w3, w4, w5, 0]);
        let header = raw.parse(&rules, SlotIndex::new(0).unwrap()).unwrap();
        let all = [&self.inline[..], &self.arena].concat();
        let (inline, arena) = match header.place {
            PayloadPlace::Bare | PayloadPlace::Scalar(_) => (0, 0),
            PayloadPlace::Inline { len } => (len, 0),
            PayloadPlace::Arena { start: 0, len, .. } => (0, len),
            PayloadPlace::InlineHead { head, start: 0, body, .. } => (head, body),
            PayloadPlace::ArenaHead { head, start: 0, body, .. } => (0, head + body),
            other => panic!("{other:?} starts elsewhere"),
        };
        assert_eq!((self.inline.len(), self.arena.len()), (inline as usize, arena as usize));
        match header.place {
            PayloadPlace::Bare => Payload::bare(header.tag),
            PayloadPlace::Scalar(bits) => Payload::scalar(header.tag, bits),
            PayloadPlace::InlineHead { head, .. } | PayloadPlace::ArenaHead { head, .. } => {
                Payload::two_parts(header.tag, all.into(), head)
            }
            PayloadPlace::Inline { .. } | PayloadPlace::Arena { .. } => {
                Payload::bytes(header.tag, all)
            }
        }
    }
}

fn limits(json: &Json) -> Limits {
    let limits = &json["limits"];
    Limits::default()
        .with_payload(word(limits, "max_payload"))
        .with_depth(word(limits, "max_depth"))
        .with_causes(word(limits, "max_causes"))
}

/// The `value` of a vector, of a type that the codec has.
fn value(json: &Json) -> Value {
    match text(json, "type") {
        "undefined" => Value::Undefined,
        "null" => Value::Null,
        "boolean" => Value::Bool(flag(json, "value")),
        "number" => Value::Number(f64::from_bits(bits64(&json["bits"]))),
        "bigint" => Value::BigInt(text(json, "value").parse().unwrap()),
        "string" => Value::String(text(json, "value").into()),
        "json" => Value::Json(text(json, "text").into()),
        "bytes" => Value::Bytes(bytes(json, "hex")),
        "error" => Value::Error(error(json)),
        other => panic!("the codec has no {other}"),
    }
}

fn error(json: &Json) -> ErrorValue {
    let error = ErrorValue::new(text(json, "name"), text(json, "message"));
    let error = match json["stack"].as_str() {
        Some(stack) => error.with_stack(stack),
        None => error,
    };
    match json["cause"].as_object() {
        None => error,
        Some(cause) if cause.contains_key("error") => {
            error.with_cause(self::error(&json["cause"]["error"]))
        }
        Some(_) => error.with_cause(Cause::Value(text(&json["cause"], "json").into())),
    }
}
