//! Messages and values.

use super::{bits, bits64, bytes, canonical, flag, text, word};
use knit_codec::{
    ArrayBuffer, BigInt, Body, Cause, DataView, Date, Decode, DecodeError, Encode, EncodeError,
    Envelope, ErrorValue, External, Header, Limits, NodeBuffer, Numbers, Payload, SharedBufferRef,
    Symbol, Value,
};
use knit_proto::{
    BlockIndex, Direction, Form, PayloadPlace, RawSlotHeader, SlotHeader, SlotIndex, SlotRules,
    Word0,
};
use serde_json::Value as Json;

/// Decodes the `message` of a vector within its `limits`.
pub fn decode(json: &Json) -> Result<Value, DecodeError> {
    Value::decode(Message::of_file(json).received(), &limits(json))
}

/// The payload that a receiver has copied out.
pub fn received(json: &Json) -> Payload<'static> {
    Message::of_file(json).received()
}

/// A reader decodes the message to the value; a writer of the value produces the message.
pub fn hold_payload(json: &Json) {
    let value = value(&json["value"]);
    assert_eq!(decode(json).as_ref(), Ok(&value));
    match value.encode_owned(&limits(json)) {
        Ok(payload) => {
            let written = Message::of_writer(&payload);
            assert_eq!(written == Message::of_file(json), canonical(json), "{written:?}");
        }
        // What a receiver takes for data, no sender of these crates writes.
        Err(EncodeError::ReservedCodec { .. }) => assert!(!canonical(json)),
        Err(error) => panic!("{error}"),
    }
}

/// A message as it is shared: words 2 to 5 of the header line, and bytes.
#[derive(Debug, PartialEq)]
pub struct Message {
    /// Words 2 to 5.
    pub words: [u32; 4],
    /// Bytes in the slot.
    pub inline: Vec<u8>,
    /// Bytes in the arena.
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

/// The `limits` of a vector.
pub fn limits(json: &Json) -> Limits {
    let limits = &json["limits"];
    let given = Limits::default()
        .with_payload(word(limits, "max_payload"))
        .with_depth(word(limits, "max_depth"))
        .with_causes(word(limits, "max_causes"));
    let more = |name| limits.get(name).map(|_| word(limits, name));
    given
        .with_text(more("max_text").unwrap_or(given.text))
        .with_elements(more("max_elements").unwrap_or(given.elements))
        .with_limbs(more("max_limbs").unwrap_or(given.limbs))
        .with_fields(more("max_fields").unwrap_or(given.fields))
}

/// The `value` of a vector.
pub fn value(json: &Json) -> Value {
    match text(json, "type") {
        "undefined" => Value::Undefined,
        "null" => Value::Null,
        "boolean" => Value::Bool(flag(json, "value")),
        "number" => Value::Number(f64::from_bits(bits64(&json["bits"]))),
        "bigint" => Value::BigInt(bigint(text(json, "value"))),
        "string" => Value::String(text(json, "value").into()),
        "symbol" => Value::from(Symbol::from(text(json, "key"))),
        "json" => Value::Json(text(json, "text").into()),
        "date" => Value::from(Date::from_millis(f64::from_bits(bits64(&json["bits"])))),
        "bytes" => Value::Bytes(bytes(json, "hex")),
        "array_buffer" => Value::from(ArrayBuffer(bytes(json, "hex"))),
        "node_buffer" => Value::from(NodeBuffer(bytes(json, "hex"))),
        "data_view" => Value::from(DataView(bytes(json, "hex"))),
        "i32_array" => {
            let element = |value: &Json| value.as_i64().and_then(|value| i32::try_from(value).ok());
            Value::from(elements(json, element))
        }
        "i64_array" => Value::I64Array(elements(json, |value| value.as_str()?.parse().ok())),
        "u64_array" => Value::U64Array(elements(json, |value| value.as_str()?.parse().ok())),
        "f64_array" => Value::from(elements(json, |value| Some(f64::from_bits(bits64(value))))),
        "numbers" => {
            Value::from(Numbers(elements(json, |value| Some(f64::from_bits(bits64(value))))))
        }
        "error" => Value::Error(error(json)),
        "envelope" => Value::from(Envelope {
            header: match json["header"].get("json") {
                Some(_) => Header::Json(text(&json["header"], "json").into()),
                None => Header::Text(text(&json["header"], "text").into()),
            },
            body: match json["body"].get("external") {
                Some(body) => Body::External(external(body)),
                None => Body::Bytes(bytes(&json["body"], "hex")),
            },
        }),
        "external" => Value::External(external(json)),
        "shared_buffer" => {
            let words: Vec<u32> =
                elements_of(&json["words"], |word| word.as_u64().and_then(|w| w.try_into().ok()));
            Value::from(SharedBufferRef::from(<[u32; 8]>::try_from(words).unwrap()))
        }
        other => panic!("the codec has no {other}"),
    }
}

fn external(json: &Json) -> External {
    External::new(text(json, "codec"), text(json, "metadata"))
}

fn elements<T>(json: &Json, element: impl Fn(&Json) -> Option<T>) -> Vec<T> {
    elements_of(&json["values"], element)
}

fn elements_of<T>(array: &Json, element: impl Fn(&Json) -> Option<T>) -> Vec<T> {
    let array = array.as_array().unwrap().iter();
    array.map(|value| element(value).unwrap_or_else(|| panic!("{value}"))).collect()
}

/// The integer of decimal digits.
fn bigint(digits: &str) -> BigInt {
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, digits),
    };
    let mut magnitude = Vec::new();
    for digit in digits.chars() {
        let mut carry = digit.to_digit(10).expect("decimal digits");
        for byte in &mut magnitude {
            carry += u32::from(*byte) * 10;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry > 0 {
            magnitude.push(u8::try_from(carry).expect("a carry below ten"));
        }
    }
    BigInt::from_le_magnitude(negative, &magnitude)
}

fn error(json: &Json) -> ErrorValue {
    let error = ErrorValue::new(text(json, "name"), text(json, "message"));
    let error = match json["stack"].as_str() {
        Some(stack) => error.with_stack(stack),
        None => error,
    };
    let fields = json["fields"].as_array().into_iter().flatten();
    let error = fields
        .fold(error, |error, field| error.with_field(text(field, "name"), text(field, "json")));
    match json["cause"].as_object() {
        None => error,
        Some(cause) if cause.contains_key("error") => {
            error.with_cause(self::error(&json["cause"]["error"]))
        }
        Some(_) => error.with_cause(Cause::Value(text(&json["cause"], "json").into())),
    }
}
