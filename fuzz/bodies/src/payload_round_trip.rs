//! A value, encoded and decoded again.

use crate::corpus::{Seed, of_kind};
use crate::input::{Input, Output};
use crate::limits::{limits, write_limits};
use crate::value::{value, write_value};
use knit_codec::{
    Body, Cause, Decode, Encode, EncodeError, ErrorValue, External, Header, INLINE_BYTES, Limits,
    Value,
};
use knit_proto::Form;
use knit_tests::differential::hold_payload;
use knit_tests::reference::is_json;
use knit_tests::vector_files::{self, text};

/// Longest bigint of which the reference finds the digits, in bytes.
const LONGEST_BIGINT: usize = 200;

/// Names that a field of an error cannot have.
const MEMBERS: [&str; 4] = ["name", "message", "stack", "cause"];
/// Codec ids that are never sent.
const RESERVED: [&str; 3] =
    ["knitting.processSharedBuffer", "knitting.bufferReference", "knitting.sharedArrayBuffer"];

/// Limits, then a value.
///
/// What is encoded is within the limits and the form of its tag, is read alike by the reference, and is the value
/// again. What is refused is what the error says.
///
/// # Panics
///
/// It is not.
pub fn payload_round_trip(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let limits = limits(&mut input);
    let value = value(&mut input);
    let payload = match value.encode(&limits) {
        Ok(payload) => payload,
        Err(error) => return hold_refusal(&value, &error, &limits),
    };
    assert_eq!(value.clone().encode_owned(&limits).as_ref(), Ok(&payload));
    let (len, head) = (payload.len(), payload.head_len() as usize);
    assert!(len <= limits.payload as usize);
    match payload.tag().form() {
        Some(Form::Bare | Form::Scalar) => assert_eq!(len, 0),
        Some(Form::Inline) => assert!(len <= INLINE_BYTES),
        Some(Form::InlineHead) => assert!(head <= INLINE_BYTES),
        Some(Form::Arena | Form::ArenaHead) => {}
        other => panic!("{} of form {other:?}", payload.tag()),
    }
    let is_long = matches!(&value, Value::BigInt(_)) && len > LONGEST_BIGINT;
    let again = if is_long {
        Value::decode(payload.clone(), &limits).ok()
    } else {
        hold_payload(&payload, &limits)
    };
    let again = again.expect("what is encoded within limits is decoded within them");
    // A cause that is JSON text of an error comes back as an error.
    let may_differ = matches!(&value, Value::Error(error) if ends_in_an_object(error));
    assert!(again == value || may_differ, "{value:?} came back as {again:?}");
}

fn ends_in_an_object(error: &ErrorValue) -> bool {
    let last = error.chain().last().and_then(ErrorValue::cause);
    matches!(last, Some(Cause::Value(text)) if text.starts_with('{'))
}

/// The JSON texts of a value, and how deep the value itself puts them.
fn json_texts(value: &Value) -> Vec<(&str, u32)> {
    fn external(external: &External) -> (&str, u32) {
        (&external.metadata, 1)
    }
    match value {
        Value::Json(text) => vec![(text, 0)],
        Value::External(value) => vec![external(value)],
        Value::Envelope(envelope) => {
            let header = match &envelope.header {
                Header::Json(text) => Some((text.as_str(), 0)),
                Header::Text(_) => None,
            };
            let body = match &envelope.body {
                Body::External(value) => Some(external(value)),
                Body::Bytes(_) => None,
            };
            header.into_iter().chain(body).collect()
        }
        Value::Error(error) => (1..)
            .zip(error.chain())
            .flat_map(|(level, error)| {
                let cause = match error.cause() {
                    Some(Cause::Value(text)) => Some(text.as_str()),
                    _ => None,
                };
                let texts = error.fields().map(|(_, text)| text).chain(cause);
                texts.map(move |text| (text, level)).collect::<Vec<_>>()
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn codecs(value: &Value) -> Vec<&str> {
    match value {
        Value::External(external) => vec![&external.codec],
        Value::Envelope(envelope) => match &envelope.body {
            Body::External(external) => vec![&external.codec],
            Body::Bytes(_) => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The value is what the error says, and nothing smaller was refused.
fn hold_refusal(value: &Value, refusal: &EncodeError, limits: &Limits) {
    let chain = match value {
        Value::Error(error) => error.chain().collect(),
        _ => Vec::new(),
    };
    let fields = || chain.iter().flat_map(|error| error.fields());
    let holds = match refusal {
        EncodeError::TooLong(excess) => {
            let usual = *limits == Limits::default();
            let too_many = fields().count() > limits.fields as usize;
            excess.actual > excess.most as usize && (!usual || too_many)
        }
        EncodeError::Json { .. } => {
            json_texts(value).into_iter().any(|(text, _)| !is_json(text, limits.depth as usize))
        }
        EncodeError::Nesting { limit } => {
            let deep = |(text, level): (&str, u32)| {
                let left = limit.checked_sub(level);
                left.is_none_or(|left| !is_json(text, left as usize))
            };
            *limit == limits.depth
                && (json_texts(value).into_iter().any(deep) || chain.len() > *limit as usize)
        }
        EncodeError::CauseChain { limit } => chain.len() - 1 > *limit as usize,
        EncodeError::FieldName { name } => {
            MEMBERS.contains(&name.as_str()) && fields().any(|(field, _)| field == name)
        }
        EncodeError::ReservedCodec { codec } => {
            RESERVED.contains(&codec.as_str()) && codecs(value).contains(&codec.as_str())
        }
        _ => false,
    };
    assert!(holds, "{refusal} of {value:?}, within {limits:?}");
}

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for file in of_kind("payload") {
        if file.json["value"].is_null() || text(&file.json, "verdict") != "canonical" {
            continue;
        }
        let mut output = Output::default();
        write_limits(&vector_files::limits(&file.json), &mut output);
        write_value(&vector_files::value(&file.json["value"]), &mut output);
        seeds.push(Seed::of_vector(&file, output.done()));
    }
    seeds
}
