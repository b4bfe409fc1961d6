//! Payloads recorded from Knitting 0.1.61 decode to the stated values, and encode to the same
//! words and bytes.

use std::path::Path;

use knit_codec::{
    BigInt, Body, Cause, Decode, DecodeError, Encode, EncodeError, Envelope, ErrorValue, External,
    Header, Limits, Numbers, Payload, Symbol, Value,
};
use knit_proto::{Form, Tag};
use serde_json::Value as Json;

const FILE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/knitting-0.1.61.json");

/// The recorded file; `None`, after a line that says so, where it is not at hand.
fn recorded() -> Option<Json> {
    if !Path::new(FILE).exists() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{FILE} is missing");
        println!("skipped: {FILE} is missing");
        return None;
    }
    let text = std::fs::read_to_string(FILE).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

fn entries(file: &Json) -> impl Iterator<Item = &Json> {
    file["entries"].as_array().unwrap().iter()
}

fn word(entry: &Json, index: usize) -> u32 {
    u32::try_from(entry["words"][index].as_u64().unwrap()).unwrap()
}

fn from_hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// The bytes of a recorded part; `None` where only their digest is recorded.
fn part(entry: &Json, name: &str) -> Option<Vec<u8>> {
    entry[name]["hex"].as_str().map(from_hex)
}

/// The payload of an entry; `None` where its bytes are not recorded in full.
fn payload(entry: &Json) -> Option<Payload<'static>> {
    let tag = Tag(word(entry, 2));
    let length = word(entry, 5);
    Some(match tag.form().expect("recorded tags are assigned") {
        Form::Bare => Payload::bare(tag),
        Form::Scalar => {
            Payload::scalar(tag, u64::from(word(entry, 3)) | u64::from(word(entry, 4)) << 32)
        }
        Form::Inline | Form::Local => Payload::bytes(tag, part(entry, "static")?),
        Form::Arena => Payload::bytes(tag, part(entry, "dynamic")?),
        Form::InlineHead => {
            let bytes = [part(entry, "static")?, part(entry, "dynamic")?].concat();
            Payload::two_parts(tag, bytes.into(), length)
        }
        Form::ArenaHead => Payload::two_parts(tag, part(entry, "dynamic")?.into(), length),
    })
}

/// Whether payloads of this tag can be sent: those of the others are addresses of one process.
fn is_sent(tag: Tag) -> bool {
    tag.form() != Some(Form::Local)
}

/// What the decoder of Knitting gave, as the file states it. An error without a stack is given one
/// there by the decoder itself, so errors are stated by what was sent.
fn stated(entry: &Json) -> &Json {
    let sent = &entry["value"];
    if entry["decoded"] == "equal" || sent["t"] == "error" { sent } else { &entry["decoded"] }
}

fn utf16(hex: &Json) -> Option<String> {
    let bytes = from_hex(hex.as_str()?);
    let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    Some(
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect(),
    )
}

/// Checks text that is stated in full, or by its length and start.
fn assert_text(text: &str, stated: &Json, id: &Json) {
    if let Some(whole) = stated.as_str() {
        assert_eq!(text, whole, "{id}");
    } else if let Some(whole) = utf16(&stated["utf16le_hex"]) {
        assert_eq!(text, whole, "{id}");
    } else {
        let units = text.encode_utf16().count();
        assert_eq!(Some(units as u64), stated["utf16_len"].as_u64(), "{id}");
        // Pairs of surrogates are stated as question marks.
        let head = stated["head"].as_str().unwrap();
        assert!(head.starts_with('?') || text.starts_with(head), "{id}");
    }
}

/// Checks an error, whose cause the file states as the value that was thrown. Causes without a JSON
/// form are checked by their kind only: their text is that of a JavaScript string.
fn assert_error(error: &ErrorValue, stated: &Json, id: &Json) {
    assert_eq!(error.name(), stated["name"].as_str().unwrap(), "{id}");
    assert_eq!(error.message(), stated["message"].as_str().unwrap(), "{id}");
    assert_eq!(error.stack(), stated["stack"].as_str(), "{id}");
    let cause = &stated["cause"];
    match (error.cause(), cause["t"].as_str()) {
        (None, None) => {}
        (Some(Cause::Error(inner)), Some("error")) => assert_error(inner, cause, id),
        (Some(Cause::Value(text)), Some("number")) => assert_eq!(text, &cause["repr"], "{id}"),
        (Some(Cause::Value(text)), Some("json")) if cause["text"].is_string() => {
            assert_eq!(text, &cause["text"], "{id}");
        }
        (Some(Cause::Value(text)), Some(_)) => assert!(text.starts_with('"'), "{id}: {text}"),
        other => panic!("{id}: {other:?}"),
    }
}

/// The integer of a sign and hex digits.
fn bigint(hex: &str) -> BigInt {
    let (negative, digits) = match hex.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, hex),
    };
    let even = if digits.len() % 2 == 0 { digits.into() } else { format!("0{digits}") };
    let mut magnitude = from_hex(&even);
    magnitude.reverse();
    BigInt::from_le_magnitude(negative, &magnitude)
}

/// Checks bytes that are stated in full, or by their length.
fn assert_bytes(bytes: &Vec<u8>, stated: &Json, name: &str, id: &Json) {
    assert_eq!(Some(bytes.len() as u64), stated[name]["len"].as_u64(), "{id}");
    if let Some(whole) = part(stated, name) {
        assert_eq!(bytes, &whole, "{id}");
    }
}

fn assert_envelope(envelope: &Envelope, stated: &Json, id: &Json) {
    match (&envelope.header, &stated["header"]) {
        (Header::Json(text), header) if header.get("json").is_some() => {
            assert_text(text, &header["json"], id);
        }
        (Header::Text(text), header) => assert_text(text, &header["string"], id),
        other => panic!("{id}: {other:?}"),
    }
    match &envelope.body {
        Body::Bytes(bytes) => assert_bytes(bytes, &stated["body"], "bytes", id),
        Body::External(external) => assert_shared_buffer(external, &stated["body"], id),
    }
}

/// Checks a shared buffer as an external payload. One that has a name is data and no buffer.
fn assert_shared_buffer(external: &External, stated: &Json, id: &Json) {
    assert_eq!(external.codec, External::SHARED_BUFFER, "{id}");
    let mut described: Json = serde_json::from_str(&external.metadata).unwrap();
    described["t"] = "ProcessSharedBuffer".into();
    assert_eq!(&described, stated, "{id}");
    let named = stated["descriptor"].get("name").is_some();
    let buffer = external.as_shared_buffer();
    assert_eq!(buffer.is_none(), named, "{id}");
    if let Some(buffer) = buffer {
        assert_eq!(&External::shared_buffer(&buffer), external, "{id}");
    }
}

fn assert_value(value: &Value, stated: &Json, id: &Json) {
    match (value, stated["t"].as_str().unwrap()) {
        (Value::Undefined, "undefined") | (Value::Null, "null") => {}
        (Value::Bool(value), "boolean") => assert_eq!(Some(*value), stated["v"].as_bool(), "{id}"),
        (Value::Number(value), "number") => {
            let hex = stated["f64le_hex"].as_str().unwrap();
            if hex == "nan" {
                assert!(value.is_nan(), "{id}");
            } else {
                assert_eq!(value.to_le_bytes().as_slice(), from_hex(hex), "{id}");
            }
        }
        (Value::BigInt(value), "bigint") => match stated["hex"].as_str() {
            Some(hex) => assert_eq!(value, &bigint(hex), "{id}"),
            // Long ones are stated by their number of hex digits.
            None => {
                let bits = value.bits().next_multiple_of(4);
                assert_eq!(Some(bits), stated["hex"]["bits"].as_u64(), "{id}");
            }
        },
        (Value::String(text), "string") => assert_text(text, stated, id),
        (Value::Symbol(Symbol(key)), "symbol") => assert_text(key, &stated["key"], id),
        (Value::Json(text), "json") => assert_text(text, &stated["text"], id),
        (Value::Date(date), "date") => assert_eq!(date.millis(), stated["ms"].as_f64(), "{id}"),
        (Value::ArrayBuffer(bytes), "ArrayBuffer") => assert_bytes(&bytes.0, stated, "bytes", id),
        (Value::NodeBuffer(bytes), "Buffer") => assert_bytes(&bytes.0, stated, "bytes", id),
        (Value::DataView(bytes), "DataView") => assert_bytes(&bytes.0, stated, "bytes", id),
        (Value::I32Array(array), "Int32Array") => {
            assert_bytes(
                &array.iter().flat_map(|e| e.to_le_bytes()).collect(),
                stated,
                "bytes",
                id,
            );
        }
        (Value::F64Array(array), "Float64Array") => {
            assert_bytes(
                &array.iter().flat_map(|e| e.to_le_bytes()).collect(),
                stated,
                "bytes",
                id,
            );
        }
        (Value::I64Array(array), "BigInt64Array") => {
            assert_bytes(
                &array.iter().flat_map(|e| e.to_le_bytes()).collect(),
                stated,
                "bytes",
                id,
            );
        }
        (Value::U64Array(array), "BigUint64Array") => {
            assert_bytes(
                &array.iter().flat_map(|e| e.to_le_bytes()).collect(),
                stated,
                "bytes",
                id,
            );
        }
        (Value::Numbers(Numbers(array)), "NumericArray") => {
            assert_eq!(Some(array.len() as u64), stated["length"].as_u64(), "{id}");
            assert_bytes(
                &array.iter().flat_map(|e| e.to_le_bytes()).collect(),
                stated,
                "f64le",
                id,
            );
        }
        (Value::Envelope(envelope), "envelope") => assert_envelope(envelope, stated, id),
        (Value::External(external), "external-decoded") => {
            assert_eq!(external.codec, stated["codec"], "{id}");
            let metadata: Json = serde_json::from_str(&external.metadata).unwrap();
            assert_eq!(metadata, stated["metadata"], "{id}");
        }
        (Value::External(external), "ProcessSharedBuffer") => {
            assert_shared_buffer(external, stated, id);
        }
        (Value::SharedBuffer(buffer), "ProcessSharedBuffer") => {
            let text = External::shared_buffer(buffer).metadata;
            let mut described: Json = serde_json::from_str(&text).unwrap();
            described["t"] = "ProcessSharedBuffer".into();
            assert_eq!(&described, stated, "{id}");
        }
        (Value::Bytes(bytes), "Uint8Array") => assert_bytes(bytes, stated, "bytes", id),
        (Value::Error(error), "error") => assert_error(error, stated, id),
        other => panic!("{id}: {other:?}"),
    }
}

#[test]
fn recorded_payloads_decode_to_the_stated_values_and_encode_to_the_same_bytes() {
    let Some(file) = recorded() else { return };
    let limits = Limits::default();
    let mut seen = Vec::new();
    for entry in entries(&file) {
        let id = &entry["id"];
        let Some(payload) = payload(entry).filter(|payload| is_sent(payload.tag())) else {
            continue;
        };
        if matches!(payload.tag().form(), Some(Form::Inline | Form::Arena)) {
            assert_eq!(payload.len(), word(entry, 5) as usize, "{id}");
        }
        let value = Value::decode(payload.clone(), &limits).unwrap_or_else(|e| panic!("{id}: {e}"));
        assert_value(&value, stated(entry), id);
        seen.push(payload.tag());
        if let Value::External(External { codec, .. }) = &value
            && codec == External::SHARED_BUFFER
        {
            // Buffers by name are read as data, and only upstream sends them.
            assert!(matches!(value.encode(&limits), Err(EncodeError::ReservedCodec { .. })));
            continue;
        }
        assert_eq!(value.encode(&limits), Ok(payload.clone()), "{id}");
        assert_eq!(value.encode_owned(&limits).as_ref(), Ok(&payload), "{id}");
    }
    println!("{} entries decoded and encoded", seen.len());
    assert!(seen.len() >= 95, "{} entries", seen.len());
    // Of the one recorded envelope with a long JSON header there is only a digest; the vector
    // `envelope-json-608-and-1000` has its bytes.
    let unseen = Tag::ASSIGNED.iter().filter(|tag| is_sent(**tag) && !seen.contains(tag));
    assert!(unseen.eq([&Tag::ENVELOPE_JSON_ARENA]));
}

#[test]
fn recorded_payloads_of_one_process_are_refused() {
    let Some(file) = recorded() else { return };
    let mut seen = 0;
    for entry in entries(&file) {
        let Some(payload) = payload(entry).filter(|payload| !is_sent(payload.tag())) else {
            continue;
        };
        let refusal = DecodeError::LocalTag(payload.tag());
        assert_eq!(Value::decode(payload, &Limits::default()), Err(refusal), "{}", entry["id"]);
        seen += 1;
    }
    assert_eq!(seen, 2);
}

#[test]
fn values_too_long_for_knitting_are_too_long_here_with_the_same_code() {
    let Some(file) = recorded() else { return };
    let limits = Limits::default();
    let mut seen = 0;
    for entry in file["refused"].as_array().unwrap() {
        let refused = match entry["id"].as_str().unwrap() {
            "u8_over_8MiB" => {
                let len = entry["value"]["bytes"]["len"].as_u64().unwrap();
                vec![0_u8; usize::try_from(len).unwrap()].encode_owned(&limits)
            }
            "err_string_over_8MiB" => {
                let len = entry["value"]["utf16_len"].as_u64().unwrap();
                "s".repeat(usize::try_from(len).unwrap()).encode_owned(&limits)
            }
            _ => continue,
        };
        let refused = refused.unwrap_err();
        assert!(matches!(refused, EncodeError::TooLong(_)), "{refused}");
        assert_eq!(refused.code(), entry["error_code"].as_str());
        seen += 1;
    }
    assert_eq!(seen, 2);
}
