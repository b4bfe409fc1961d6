//! A payload, decoded by the codec and by the reference, to any type.

use crate::corpus::{Seed, of_kind};
use crate::input::{Input, Output};
use crate::limits::{limits, write_limits};
use knit_codec::{
    ArrayBuffer, BigInt, DataView, Date, Decode, Envelope, ErrorValue, External, JsonText, Limits,
    NodeBuffer, Numbers, Payload, SharedBufferRef, Symbol, Value,
};
use knit_proto::{Form, Tag};
use knit_tests::differential::hold_payload;
use knit_tests::vector_files::{self, File, received};

/// The reference divides the digits of a bigint one by one: longer ones are decoded by the codec alone.
const LONGEST_BIGINT: usize = 200;

/// Limits, tag, the eight bytes of a scalar, the length of a head, then all bytes.
///
/// The codec gives the same value, or the same first fault, as the reference, and the same value again after it
/// was encoded. No type takes what is no value at all; what a type takes is the value.
///
/// # Panics
///
/// They differ.
pub fn payload_decode(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let limits = limits(&mut input);
    let (tag, scalar, head) = (Tag(input.word()), input.wide(), input.word());
    let bytes = input.rest();
    let payload = match tag.form() {
        Some(Form::Bare | Form::Scalar) => Payload::scalar(tag, scalar),
        Some(Form::InlineHead | Form::ArenaHead) => Payload::two_parts(tag, bytes.into(), head),
        _ => Payload::bytes(tag, bytes),
    };
    let is_bigint = tag == Tag::BIGINT_ARENA || tag == Tag::BIGINT_INLINE;
    let value = if is_bigint && bytes.len() > LONGEST_BIGINT {
        Value::decode(payload.clone(), &limits).ok()
    } else {
        hold_payload(&payload, &limits)
    };
    to_every_type(&payload, value.as_ref(), &limits);
}

fn to_every_type(payload: &Payload<'_>, value: Option<&Value>, limits: &Limits) {
    // These have a value of their own: what they take comes back as what it was.
    macro_rules! same {
        ($($kind:ty)*) => {$(
            if let Some(found) = decoded::<$kind>(payload, value, limits) {
                assert_eq!(Some(&Value::from(found)), value, "{payload:?}");
            }
        )*};
    }
    same! {
        String Symbol JsonText Date BigInt Vec<i32> Vec<i64> Vec<u64> ErrorValue Envelope External
        SharedBufferRef bool f64
    }
    // Bytes of one type may be taken as those of another one.
    let blocks = [
        decoded::<Vec<u8>>(payload, value, limits),
        decoded::<ArrayBuffer>(payload, value, limits).map(|block| block.0),
        decoded::<NodeBuffer>(payload, value, limits).map(|block| block.0),
        decoded::<DataView>(payload, value, limits).map(|block| block.0),
    ];
    for found in blocks.into_iter().flatten() {
        let bytes = match value {
            Some(Value::Bytes(bytes)) => bytes,
            Some(Value::ArrayBuffer(ArrayBuffer(bytes))) => bytes,
            Some(Value::NodeBuffer(NodeBuffer(bytes))) => bytes,
            Some(Value::DataView(DataView(bytes))) => bytes,
            other => panic!("bytes of {other:?}"),
        };
        assert_eq!((&found, &found[..]), (bytes, payload.as_bytes()));
    }
    // Both arrays of doubles take each other's.
    let doubles = decoded::<Vec<f64>>(payload, value, limits);
    assert_eq!(decoded::<Numbers>(payload, value, limits), doubles.clone().map(Numbers));
    if let Some(found) = doubles {
        let same = [Value::from(found.clone()), Value::from(Numbers(found))];
        assert!(same.iter().any(|same| Some(same) == value), "{payload:?}");
    }
    // These take several kinds of numbers, where they are whole and in range.
    macro_rules! whole {
        ($($kind:ty)*) => {$(
            if let Some(found) = decoded::<$kind>(payload, value, limits) {
                let found = i128::from(found);
                match value {
                    Some(Value::Number(number)) => assert_eq!(*number, found as f64),
                    Some(Value::BigInt(number)) => assert_eq!(*number, BigInt::from(found)),
                    other => panic!("{found} of {other:?}"),
                }
            }
        )*};
    }
    whole! { i8 u8 i16 u16 i32 u32 i64 u64 }
    if let Some(found) = decoded::<Option<String>>(payload, value, limits) {
        // Both null and undefined are none.
        let same = found.is_none() && value == Some(&Value::Null);
        assert!(same || Some(&Value::from(found)) == value, "{payload:?}");
    }
}

fn decoded<T: Decode>(payload: &Payload<'_>, value: Option<&Value>, limits: &Limits) -> Option<T> {
    match T::decode(payload.clone(), limits) {
        Ok(found) => {
            assert!(value.is_some(), "a type takes what is no value: {payload:?}");
            Some(found)
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.len() <= 2 * payload.len() + 400, "{text}");
            None
        }
    }
}

pub(crate) fn seeds() -> Vec<Seed> {
    let seed = |file: File| {
        let payload = received(&file.json);
        let mut output = Output::default();
        write_limits(&vector_files::limits(&file.json), &mut output);
        let bytes = output
            .word(payload.tag().0)
            .wide(payload.scalar_bits())
            .word(payload.head_len())
            .raw(payload.as_bytes())
            .done();
        Seed::of_vector(&file, bytes)
    };
    of_kind("payload").into_iter().map(seed).collect()
}
