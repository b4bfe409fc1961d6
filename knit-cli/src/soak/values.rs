//! Values of every kind that a call can carry.

use super::noise::{Random, fill};
use knit_lanes::codec::{
    ArrayBuffer, BigInt, DataView, Date, Envelope, External, Header, NodeBuffer, Numbers, Symbol,
};
use knit_lanes::{ErrorValue, Value};

/// Longest part of a value, in bytes.
const MOST: usize = 16 << 10;
/// How many kinds there are.
const KINDS: u64 = 21;

/// A value of any kind, of any size.
pub fn any(random: &mut Random) -> Value {
    let kind = random.below(KINDS);
    of_kind(kind, random)
}

fn of_kind(kind: u64, random: &mut Random) -> Value {
    match kind {
        0 => Value::Undefined,
        1 => Value::Null,
        2 => Value::Bool(random.below(2) == 0),
        3 => Value::Number(f64::from_bits(random.next())),
        4 => {
            let negative = random.below(2) == 0;
            Value::BigInt(BigInt::from_le_magnitude(negative, &bytes(random, 900)))
        }
        5 => Value::String(text(random)),
        6 => Value::from(Symbol::from(short_text(random).as_str())),
        7 => Value::Json(json(random)),
        8 => Value::from(Date::from_millis((random.next() >> 12) as f64 / 2.0)),
        9 => Value::Bytes(bytes(random, MOST)),
        10 => Value::from(ArrayBuffer(bytes(random, MOST))),
        11 => Value::from(NodeBuffer(bytes(random, MOST))),
        12 => Value::from(DataView(bytes(random, MOST))),
        13 => Value::I32Array(elements(random, i32::from_le_bytes)),
        14 => Value::F64Array(elements(random, f64::from_le_bytes)),
        15 => Value::I64Array(elements(random, i64::from_le_bytes)),
        16 => Value::U64Array(elements(random, u64::from_le_bytes)),
        17 => Value::from(Numbers(elements(random, f64::from_le_bytes))),
        18 => {
            let inner = ErrorValue::new("RangeError", short_text(random));
            let error = ErrorValue::new("Error", text(random)).with_stack(short_text(random));
            Value::Error(error.with_cause(inner))
        }
        19 => {
            let header = match random.below(2) {
                0 => Header::Text(short_text(random)),
                _ => Header::Json(json(random)),
            };
            Value::from(Envelope::new(header, bytes(random, MOST)))
        }
        _ => Value::from(External::new("soak.codec", json(random))),
    }
}

fn bytes(random: &mut Random, most: usize) -> Vec<u8> {
    let len = random.len(most);
    fill(random.next(), len)
}

/// Text with characters of one to four bytes.
fn text(random: &mut Random) -> String {
    let letters = ['a', '"', '\\', '\u{1}', 'é', '\u{feff}', '字', '🧶'];
    let bytes = bytes(random, MOST / 4);
    bytes.iter().map(|byte| letters[usize::from(byte % 8)]).collect()
}

fn short_text(random: &mut Random) -> String {
    text(random).chars().take(40).collect()
}

/// An array of numbers and texts without anything to escape.
fn json(random: &mut Random) -> String {
    let parts: Vec<_> = (0..random.len(600)).map(|_| random.below(1_000_000).to_string()).collect();
    format!("[{}]", parts.join(",\"é\","))
}

fn elements<const N: usize, T>(random: &mut Random, one: fn([u8; N]) -> T) -> Vec<T> {
    bytes(random, MOST).as_chunks().0.iter().copied().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use knit_lanes::{Decode, Encode, Limits};

    #[test]
    fn values_of_every_kind_are_themselves_again() {
        let (mut random, limits) = (Random::new(3), Limits::default());
        for round in 0..40 {
            for kind in 0..KINDS {
                let value = of_kind(kind, &mut random);
                let payload =
                    value.encode(&limits).unwrap_or_else(|e| panic!("{round} {kind}: {e}"));
                assert_eq!(Value::decode(payload, &limits).unwrap(), value, "kind {kind}");
            }
        }
    }
}
