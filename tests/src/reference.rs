//! Slow readers of payloads, headers, header lines, control lines and messages that are easy to hold against
//! the chapters of `spec/`, for comparison with the crates, of which they use nothing.
//!
//! Values of payloads come out in the form that the files of `spec/vectors/payload` have, what lines and headers
//! say as plain numbers, faults by their names.

mod header;
mod json;
mod lane;
mod slot;
mod text;

pub use header::{Header, Reader, header};
pub use lane::{Line, Observer, channel};
pub use slot::{Slot, SlotLimits, slot};

use json::Node;
use serde_json::{Value, json};

/// Limits of a receiver.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest payload, in bytes.
    pub payload: usize,
    /// Deepest JSON text.
    pub depth: usize,
    /// Most causes that are errors.
    pub causes: usize,
    /// Most fields of an error and its causes: a limit that these crates have of their own.
    pub fields: usize,
    /// Longest text in bytes, that of errors aside.
    pub text: usize,
    /// Most elements of an array.
    pub elements: usize,
    /// Longest bigint in limbs of 64 bits.
    pub limbs: usize,
}

/// A payload in private memory: tag, words 4 and 3 as one number, all bytes, and how many of them are the
/// header of an envelope.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Word 2.
    pub tag: u32,
    /// Words 3 and 4, the former as the low half.
    pub scalar: u64,
    /// The bytes in the slot, then those in the arena.
    pub bytes: &'a [u8],
    /// Length of the header of an envelope.
    pub head: usize,
}

/// Name of a decode error.
pub type Fault = &'static str;

/// The value of a payload, or the first fault of it.
///
/// # Errors
///
/// The payload has no value. PAY-25 says which fault is the first.
pub fn decode(input: Input<'_>, limits: Limits) -> Result<Value, Fault> {
    let Input { tag, scalar, bytes, head } = input;
    let known = [2..=6, 9..=12, 15..=29, 31..=54].into_iter().any(|tags| tags.contains(&tag));
    if !known {
        return Err("unassigned_tag");
    }
    if tag == 47 || tag == 48 {
        return Err("local_tag");
    }
    if bytes.len() > limits.payload {
        return Err("too_long");
    }
    let most = limits.elements;
    let hex16 = |bits: u64| format!("{bits:016x}");
    Ok(match tag {
        2 => json!({ "type": "bigint", "value": (scalar as i64).to_string() }),
        3 => json!({ "type": "boolean", "value": true }),
        4 => json!({ "type": "boolean", "value": false }),
        5 => json!({ "type": "undefined" }),
        6 => json!({ "type": "number", "bits": "7ff8000000000000" }),
        9 => json!({ "type": "number", "bits": hex16(scalar) }),
        10 => json!({ "type": "null" }),
        11 | 15 => json!({ "type": "string", "value": text::read(bounded(bytes, limits)?)? }),
        12 | 16 => {
            let text = document(bounded(bytes, limits)?, limits)?.0;
            json!({ "type": "json", "text": text })
        }
        17 | 18 => json!({ "type": "bytes", "hex": hex(bytes) }),
        36 | 37 => json!({ "type": "array_buffer", "hex": hex(bytes) }),
        38 | 39 => json!({ "type": "node_buffer", "hex": hex(bytes) }),
        23 | 35 => json!({ "type": "data_view", "hex": hex(bytes) }),
        19 | 31 => {
            let values =
                elements(bytes, most, |element: [u8; 4]| json!(i32::from_le_bytes(element)))?;
            json!({ "type": "i32_array", "values": values })
        }
        21 | 33 => {
            let one = |element: [u8; 8]| json!(i64::from_le_bytes(element).to_string());
            json!({ "type": "i64_array", "values": elements(bytes, most, one)? })
        }
        22 | 34 => {
            let one = |element: [u8; 8]| json!(u64::from_le_bytes(element).to_string());
            json!({ "type": "u64_array", "values": elements(bytes, most, one)? })
        }
        20 | 32 | 53 | 54 => {
            let one = |element: [u8; 8]| json!(hex16(u64::from_le_bytes(element)));
            let kind = if tag == 20 || tag == 32 { "f64_array" } else { "numbers" };
            json!({ "type": kind, "values": elements(bytes, most, one)? })
        }
        24 => error(bytes, limits)?,
        25 => json!({ "type": "date", "bits": hex16(scalar) }),
        26 | 27 => json!({ "type": "symbol", "key": text::read(bounded(bytes, limits)?)? }),
        28 | 29 => bigint(bytes, limits)?,
        44 | 45 => {
            let (codec, metadata) = external(bytes, limits)?;
            json!({ "type": "external", "codec": codec, "metadata": metadata })
        }
        46 => {
            if bytes.len() != 32 {
                return Err("shared_buffer_length");
            }
            let words = elements(bytes, 8, |word: [u8; 4]| json!(u32::from_le_bytes(word)))?;
            json!({ "type": "shared_buffer", "words": words })
        }
        // 40 to 43 and 49 to 52.
        _ => {
            let (head, body) = bytes.split_at(head);
            let head = bounded(head, limits)?;
            let header = if [40, 41, 49, 50].contains(&tag) {
                json!({ "json": document(head, limits)?.0 })
            } else {
                json!({ "text": text::read(head)? })
            };
            let body = if tag >= 49 {
                let (codec, metadata) = external(body, limits)?;
                json!({ "external": { "codec": codec, "metadata": metadata } })
            } else {
                json!({ "hex": hex(body) })
            };
            json!({ "type": "envelope", "header": header, "body": body })
        }
    })
}

/// Whether `text` is one JSON document that nests at most `depth` levels.
#[must_use]
pub fn is_json(text: &str, depth: usize) -> bool {
    json::check_depth(text, depth).and_then(|()| json::parse(text)).is_ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// PAY-15.
fn elements<const N: usize>(
    bytes: &[u8],
    most: usize,
    one: impl Fn([u8; N]) -> Value,
) -> Result<Vec<Value>, Fault> {
    if bytes.len() > most.saturating_mul(N) {
        return Err("too_long");
    }
    let mut values = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (element, others) = rest.split_first_chunk().ok_or("element_size")?;
        values.push(one(*element));
        rest = others;
    }
    Ok(values)
}

/// PAY-12: digits by long division.
fn bigint(bytes: &[u8], limits: Limits) -> Result<Value, Fault> {
    if bytes.len() > limits.limbs.saturating_mul(8).saturating_add(1) {
        return Err("too_long");
    }
    let (negative, magnitude) = match bytes {
        [0, magnitude @ ..] => (false, magnitude),
        [1, magnitude @ ..] => (true, magnitude),
        _ => return Err("bigint_sign"),
    };
    let mut number = magnitude.to_vec();
    let mut digits = String::new();
    while number.iter().any(|byte| *byte != 0) {
        let mut remainder = 0_u32;
        for byte in number.iter_mut().rev() {
            let dividend = remainder * 256 + u32::from(*byte);
            // Below 256: the remainder before was below ten.
            *byte = (dividend / 10) as u8;
            remainder = dividend % 10;
        }
        digits.insert(0, char::from_digit(remainder, 10).expect("below ten"));
    }
    if digits.is_empty() {
        digits.push('0');
    } else if negative {
        digits.insert(0, '-');
    }
    Ok(json!({ "type": "bigint", "value": digits }))
}

/// Bytes of text, if they are not too many.
fn bounded(bytes: &[u8], limits: Limits) -> Result<&[u8], Fault> {
    if bytes.len() > limits.text { Err("too_long") } else { Ok(bytes) }
}

/// The text of one JSON document, and what it is. PAY-8, PAY-14, PAY-13.
fn document(bytes: &[u8], limits: Limits) -> Result<(String, Node), Fault> {
    let text = text::read(bytes)?;
    json::check_depth(&text, limits.depth)?;
    let node = json::parse(&text)?;
    Ok((text, node))
}

/// PAY-21.
fn external(bytes: &[u8], limits: Limits) -> Result<(String, String), Fault> {
    let (text, node) = document(bounded(bytes, limits)?, limits)?;
    match node.elements() {
        Some([codec, metadata]) => match codec.string() {
            Some(codec) => Ok((codec, text[metadata.range()].to_owned())),
            None => Err("external_shape"),
        },
        _ => Err("external_shape"),
    }
}

/// The decoding steps of PAY-16, and PAY-17.
fn error(bytes: &[u8], limits: Limits) -> Result<Value, Fault> {
    let (text, node) = document(bytes, limits)?;
    let mut chain = vec![&node];
    node.members().ok_or("error_shape")?;
    let mut fields_of_all = 0;
    loop {
        let current = chain[chain.len() - 1];
        let members = current.members().into_iter().flatten();
        fields_of_all += members.filter(|(name, _)| is_field(name)).count();
        if fields_of_all > limits.fields {
            return Err("too_long");
        }
        let Some(cause) = current.member("cause") else { break };
        let is_string = |name| cause.member(name).is_some_and(|node| node.string().is_some());
        if !is_string("name") || !is_string("message") {
            break;
        }
        if chain.len() > limits.causes.min(256) {
            return Err("cause_chain");
        }
        chain.push(cause);
    }
    let mut inner: Option<Value> = None;
    for object in chain.into_iter().rev() {
        let string = |name| object.member(name).and_then(Node::string);
        let mut error = json!({
            "name": string("name").unwrap_or("Error".into()),
            "message": string("message").unwrap_or_default(),
        });
        if let Some(stack) = string("stack") {
            error["stack"] = stack.into();
        }
        if let Some(cause) = object.member("cause") {
            error["cause"] = match inner {
                Some(inner) => json!({ "error": inner }),
                None => json!({ "json": text[cause.range()].to_owned() }),
            };
        }
        let mut fields: Vec<Value> = Vec::new();
        for (name, value) in object.members().expect("errors are objects") {
            if !is_field(name) {
                continue;
            }
            let text = Value::from(text[value.range()].to_owned());
            match fields.iter_mut().find(|field| field["name"] == **name) {
                Some(field) => field["json"] = text,
                None => fields.push(json!({ "name": name, "json": text })),
            }
        }
        if !fields.is_empty() {
            error["fields"] = fields.into();
        }
        inner = Some(error);
    }
    let mut value = inner.expect("at least one");
    value["type"] = "error".into();
    Ok(value)
}

/// Whether a member of an error is a field.
fn is_field(name: &str) -> bool {
    !["name", "message", "stack", "cause"].contains(&name)
}
