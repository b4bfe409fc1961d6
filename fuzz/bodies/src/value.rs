//! Values as inputs.

use crate::input::{Input, Output};
use knit_codec::{
    ArrayBuffer, BigInt, Body, Cause, DataView, Date, Envelope, ErrorValue, External, Header,
    NodeBuffer, Numbers, SharedBufferRef, Symbol, Value,
};

/// Most errors below an error.
const MOST_CAUSES: u32 = 40;

pub(crate) fn value(input: &mut Input<'_>) -> Value {
    match input.below(22) {
        0 => Value::Undefined,
        1 => Value::Null,
        2 => Value::Bool(input.flag()),
        3 => Value::Number(f64::from_bits(input.wide())),
        4 => Value::BigInt(BigInt::from_le_magnitude(input.flag(), &input.bytes())),
        5 => Value::String(input.text()),
        6 => Value::from(Symbol(input.text())),
        7 => Value::Json(input.text()),
        8 => Value::from(Date::from_millis(f64::from_bits(input.wide()))),
        9 => Value::Bytes(input.bytes()),
        10 => Value::from(ArrayBuffer(input.bytes())),
        11 => Value::from(NodeBuffer(input.bytes())),
        12 => Value::from(DataView(input.bytes())),
        13 => Value::I32Array(elements(input, i32::from_le_bytes)),
        14 => Value::F64Array(elements(input, f64::from_le_bytes)),
        15 => Value::I64Array(elements(input, i64::from_le_bytes)),
        16 => Value::U64Array(elements(input, u64::from_le_bytes)),
        17 => Value::from(Numbers(elements(input, f64::from_le_bytes))),
        18 => Value::Error(error(input)),
        19 => {
            let text = if input.flag() { Header::Text } else { Header::Json };
            let header = text(input.text());
            let body =
                if input.flag() { external(input).into() } else { Body::Bytes(input.bytes()) };
            Value::from(Envelope::new(header, body))
        }
        20 => Value::External(external(input)),
        _ => Value::from(SharedBufferRef::from(std::array::from_fn(|_| input.word()))),
    }
}

fn elements<const N: usize, T>(input: &mut Input<'_>, one: fn([u8; N]) -> T) -> Vec<T> {
    input.bytes().as_chunks().0.iter().copied().map(one).collect()
}

/// JSON text, or what may be none. Space around it does not come back.
fn json(input: &mut Input<'_>) -> String {
    input.text().trim_matches([' ', '\t', '\n', '\r']).to_owned()
}

fn external(input: &mut Input<'_>) -> External {
    External::new(input.text(), json(input))
}

fn error(input: &mut Input<'_>) -> ErrorValue {
    // From the outermost one inwards, as they are read; joined from the innermost one outwards.
    let mut chain = Vec::new();
    let mut innermost = None;
    for _ in 0..=MOST_CAUSES {
        let mut error = ErrorValue::new(input.text(), input.text());
        if input.flag() {
            error = error.with_stack(input.text());
        }
        for _ in 0..input.below(8) {
            error = error.with_field(input.text(), json(input));
        }
        chain.push(error);
        match input.below(3) {
            0 => break,
            1 => {
                innermost = Some(Cause::Value(json(input)));
                break;
            }
            _ => {}
        }
    }
    let join = |inner: Option<Cause>, error: ErrorValue| {
        Some(Cause::from(match inner {
            Some(cause) => error.with_cause(cause),
            None => error,
        }))
    };
    match chain.into_iter().rev().fold(innermost, join) {
        Some(Cause::Error(error)) => *error,
        _ => unreachable!("there is at least one error"),
    }
}

/// The input that [`value`] reads as `value`, as far as it fits.
pub(crate) fn write_value(value: &Value, output: &mut Output) {
    match value {
        Value::Undefined => drop(output.byte(0)),
        Value::Null => drop(output.byte(1)),
        Value::Bool(value) => drop(output.byte(2).byte((*value).into())),
        Value::Number(value) => drop(output.byte(3).wide(value.to_bits())),
        Value::BigInt(value) => {
            output.byte(4).byte(value.is_negative().into()).bytes(&value.le_magnitude());
        }
        Value::String(text) => drop(output.byte(5).bytes(text.as_bytes())),
        Value::Symbol(Symbol(key)) => drop(output.byte(6).bytes(key.as_bytes())),
        Value::Json(text) => drop(output.byte(7).bytes(text.as_bytes())),
        Value::Date(date) => {
            output.byte(8).wide(date.millis().unwrap_or(f64::NAN).to_bits());
        }
        Value::Bytes(bytes) => drop(output.byte(9).bytes(bytes)),
        Value::ArrayBuffer(ArrayBuffer(bytes)) => drop(output.byte(10).bytes(bytes)),
        Value::NodeBuffer(NodeBuffer(bytes)) => drop(output.byte(11).bytes(bytes)),
        Value::DataView(DataView(bytes)) => drop(output.byte(12).bytes(bytes)),
        Value::I32Array(array) => write_elements(13, array, |n| n.to_le_bytes(), output),
        Value::F64Array(array) => write_elements(14, array, |n| n.to_le_bytes(), output),
        Value::I64Array(array) => write_elements(15, array, |n| n.to_le_bytes(), output),
        Value::U64Array(array) => write_elements(16, array, |n| n.to_le_bytes(), output),
        Value::Numbers(Numbers(array)) => {
            write_elements(17, array, |n| n.to_le_bytes(), output);
        }
        Value::Error(error) => {
            output.byte(18);
            write_error(error, output);
        }
        Value::Envelope(envelope) => {
            let (kind, text) = match &envelope.header {
                Header::Json(text) => (0, text),
                Header::Text(text) => (1, text),
            };
            output.byte(19).byte(kind).bytes(text.as_bytes());
            match &envelope.body {
                Body::Bytes(bytes) => drop(output.byte(0).bytes(bytes)),
                Body::External(external) => {
                    output.byte(1);
                    write_external(external, output);
                }
            }
        }
        Value::External(external) => {
            output.byte(20);
            write_external(external, output);
        }
        Value::SharedBuffer(buffer) => drop(output.byte(21).words(&buffer.words())),
        other => panic!("no input is {other:?}"),
    }
}

fn write_elements<const N: usize, T: Copy>(
    kind: u8,
    array: &[T],
    one: fn(T) -> [u8; N],
    output: &mut Output,
) {
    let bytes: Vec<u8> = array.iter().copied().flat_map(one).collect();
    output.byte(kind).bytes(&bytes);
}

fn write_external(external: &External, output: &mut Output) {
    output.bytes(external.codec.as_bytes()).bytes(external.metadata.as_bytes());
}

fn write_error(error: &ErrorValue, output: &mut Output) {
    for error in error.chain() {
        output.bytes(error.name().as_bytes()).bytes(error.message().as_bytes());
        output.byte(error.stack().is_some().into());
        if let Some(stack) = error.stack() {
            output.bytes(stack.as_bytes());
        }
        output.byte(u8::try_from(error.fields().len().min(7)).expect("at most 7"));
        for (name, json) in error.fields().take(7) {
            output.bytes(name.as_bytes()).bytes(json.as_bytes());
        }
        match error.cause() {
            None => drop(output.byte(0)),
            Some(Cause::Value(json)) => drop(output.byte(1).bytes(json.as_bytes())),
            Some(Cause::Error(_)) => drop(output.byte(2)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use knit_tests::vector_files::{self, folder};

    #[test]
    fn the_values_of_the_vectors_are_inputs() {
        let mut read = 0;
        for file in folder("payload") {
            let wanted = vector_files::value(&file.json["value"]);
            let mut output = Output::default();
            write_value(&wanted, &mut output);
            if value(&mut Input::new(&output.done())) == wanted {
                read += 1;
            } else {
                // Longer than an input has lengths for, or with space around JSON text.
                println!("{} is another value as an input", file.path);
            }
        }
        assert!(read > 220, "{read} values");
    }
}
