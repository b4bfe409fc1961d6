//! Values, as the files have them.

use super::build::{bits64, hex};
use serde_json::{Value, json};

/// The NaN of the files.
pub(super) const NAN: u64 = 0x7ff8_0000_0000_0000;

pub(super) fn of_type(name: &str) -> Value {
    json!({ "type": name })
}

pub(super) fn boolean(value: bool) -> Value {
    json!({ "type": "boolean", "value": value })
}

pub(super) fn number(value: u64) -> Value {
    json!({ "type": "number", "bits": bits64(value) })
}

pub(super) fn date(value: u64) -> Value {
    json!({ "type": "date", "bits": bits64(value) })
}

pub(super) fn bigint(digits: &str) -> Value {
    json!({ "type": "bigint", "value": digits })
}

pub(super) fn string(text: &str) -> Value {
    json!({ "type": "string", "value": text })
}

pub(super) fn symbol(key: &str) -> Value {
    json!({ "type": "symbol", "key": key })
}

pub(super) fn json_text(text: &str) -> Value {
    json!({ "type": "json", "text": text })
}

/// Kinds that are bytes: `bytes`, `array_buffer`, `node_buffer`, `data_view`.
pub(super) fn bytes(kind: &str, bytes: &[u8]) -> Value {
    json!({ "type": kind, "hex": hex(bytes) })
}

pub(super) fn i32_array(values: &[i32]) -> Value {
    json!({ "type": "i32_array", "values": values })
}

/// `i64_array` and `u64_array`.
pub(super) fn integers<T: ToString>(kind: &str, values: &[T]) -> Value {
    let values: Vec<_> = values.iter().map(T::to_string).collect();
    json!({ "type": kind, "values": values })
}

/// `f64_array` and `numbers`.
pub(super) fn floats(kind: &str, values: &[u64]) -> Value {
    let values: Vec<_> = values.iter().copied().map(bits64).collect();
    json!({ "type": kind, "values": values })
}

/// The members of an error, without its type.
pub(super) fn error(name: &str, message: &str) -> Value {
    json!({ "name": name, "message": message })
}

pub(super) fn with_stack(mut error: Value, stack: &str) -> Value {
    error["stack"] = stack.into();
    error
}

pub(super) fn caused_by(mut error: Value, cause: Value) -> Value {
    error["cause"] = json!({ "error": cause });
    error
}

pub(super) fn caused_by_json(mut error: Value, text: &str) -> Value {
    error["cause"] = json!({ "json": text });
    error
}

/// Names and JSON texts.
pub(super) fn with_fields(mut error: Value, fields: &[(&str, &str)]) -> Value {
    let fields: Vec<_> =
        fields.iter().map(|(name, text)| json!({ "name": name, "json": text })).collect();
    error["fields"] = fields.into();
    error
}

/// An error as a value of its own.
pub(super) fn error_value(members: Value) -> Value {
    let mut value = of_type("error");
    let Value::Object(members) = members else { panic!("members of an error") };
    for (name, member) in members {
        value[name] = member;
    }
    value
}

pub(super) fn json_head(text: &str) -> Value {
    json!({ "json": text })
}

pub(super) fn text_head(text: &str) -> Value {
    json!({ "text": text })
}

pub(super) fn envelope(header: Value, body: &[u8]) -> Value {
    json!({ "type": "envelope", "header": header, "body": { "hex": hex(body) } })
}

pub(super) fn external_envelope(header: Value, codec: &str, metadata: &str) -> Value {
    let external = json!({ "codec": codec, "metadata": metadata });
    json!({ "type": "envelope", "header": header, "body": { "external": external } })
}

pub(super) fn external(codec: &str, metadata: &str) -> Value {
    json!({ "type": "external", "codec": codec, "metadata": metadata })
}

pub(super) fn shared_buffer(words: [u32; 8]) -> Value {
    json!({ "type": "shared_buffer", "words": words })
}

/// Decimal digits of a magnitude, least significant byte first.
pub(super) fn digits(magnitude: &[u8]) -> String {
    let mut rest = magnitude.to_vec();
    let mut digits = Vec::new();
    while rest.iter().any(|byte| *byte != 0) {
        let mut carry = 0_u32;
        for byte in rest.iter_mut().rev() {
            let part = carry << 8 | u32::from(*byte);
            // A quotient below 256, since the carry is below ten.
            *byte = (part / 10) as u8;
            carry = part % 10;
        }
        digits.push(char::from_digit(carry, 10).expect("a remainder below ten"));
    }
    if digits.is_empty() { "0".into() } else { digits.into_iter().rev().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_have_the_digits_of_their_numbers() {
        assert_eq!(digits(&[]), "0");
        assert_eq!(digits(&[0, 1, 0]), "256");
        assert_eq!(digits(&u64::MAX.to_le_bytes()), u64::MAX.to_string());
        assert_eq!(digits(&(u128::MAX / 7).to_le_bytes()), (u128::MAX / 7).to_string());
    }
}
