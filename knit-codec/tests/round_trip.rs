//! Values survive the round trip; damaged payloads give a value or a typed error, never a panic.

use knit_codec::{
    Cause, Decode, DecodeError, Encode, EncodeError, ErrorValue, JsonText, Limits, Payload, Value,
};
use knit_proto::Tag;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const SEED: u64 = 0x6B6E_6974;

fn config(cases: u32) -> ProptestConfig {
    println!("seed {SEED:#x}");
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(SEED),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Text of 0 to some 1500 bytes, so that both placements occur.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![3 => ".{0,40}", 1 => "\\PC{120,400}", 1 => "[\\x00-\\x7f]{500,520}"]
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        text().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            vec((text(), inner), 0..4).prop_map(|members| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| {
                        format!("{}:{value}", serde_json::to_string(name).unwrap())
                    })
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn error() -> impl Strategy<Value = ErrorValue> {
    let one = || {
        (text(), text(), proptest::option::of(text())).prop_map(|(name, message, stack)| {
            let error = ErrorValue::new(name, message);
            match stack {
                Some(stack) => error.with_stack(stack),
                None => error,
            }
        })
    };
    let innermost = (one(), proptest::option::of(json())).prop_map(|(error, cause)| match cause {
        Some(cause) => error.with_cause(Cause::Value(cause)),
        None => error,
    });
    (innermost, vec(one(), 0..6)).prop_map(|(innermost, outer)| {
        outer.into_iter().fold(innermost, |cause, error| error.with_cause(cause))
    })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Undefined),
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<u64>().prop_map(|bits| Value::Number(f64::from_bits(bits))),
        any::<i64>().prop_map(Value::BigInt),
        text().prop_map(Value::String),
        json().prop_map(Value::Json),
        vec(any::<u8>(), 0..1200).prop_map(Value::Bytes),
        error().prop_map(Value::Error),
    ]
}

/// Decodes a payload as every type. What decodes as a value must encode again, to an equal value.
fn decode_as_everything(payload: &Payload<'_>, limits: &Limits) {
    if let Ok(value) = Value::decode(payload.clone(), limits) {
        // A text of an error in its shortest form can be longer: escapes, defaults.
        match value.encode(limits) {
            Ok(again) => assert_eq!(Value::decode(again, limits).as_ref(), Ok(&value)),
            Err(refused) => assert!(
                matches!(value, Value::Error(_)) && matches!(refused, EncodeError::TooLong { .. }),
                "{refused}"
            ),
        }
    }
    let _ = bool::decode(payload.clone(), limits);
    let _ = f32::decode(payload.clone(), limits);
    let _ = u8::decode(payload.clone(), limits);
    let _ = i64::decode(payload.clone(), limits);
    let _ = <()>::decode(payload.clone(), limits);
    let _ = Option::<String>::decode(payload.clone(), limits);
    let _ = Vec::<u8>::decode(payload.clone(), limits);
    let _ = JsonText::decode(payload.clone(), limits);
    let _ = ErrorValue::decode(payload.clone(), limits);
    #[cfg(feature = "serde")]
    let _ = knit_codec::Json::<Vec<Option<String>>>::decode(payload.clone(), limits);
}

fn with_bytes(payload: &Payload<'_>, bytes: Vec<u8>) -> Payload<'static> {
    Payload::bytes(payload.tag(), bytes)
}

#[test]
fn every_value_round_trips() {
    let limits = Limits::default();
    proptest!(config(1000), |(value in value())| {
        let payload = value.encode(&limits).unwrap();
        let owned = value.clone().encode_owned(&limits).unwrap();
        prop_assert_eq!(&owned, &payload);
        prop_assert_eq!(Value::decode(payload, &limits), Ok(value.clone()));
        prop_assert_eq!(Value::decode(owned, &limits), Ok(value));
    });
}

#[test]
fn every_integer_round_trips() {
    let limits = Limits::default();
    fn round<T: Encode + Decode + Copy + PartialEq + std::fmt::Debug>(value: T, limits: &Limits) {
        let payload = value.encode(limits).unwrap();
        assert_eq!(T::decode(payload, limits), Ok(value));
    }
    proptest!(config(1000), |(bits in any::<u64>(), shift in 0_u32..64)| {
        let bits = bits >> shift;
        round(bits as u8, &limits);
        round(bits as i8, &limits);
        round(bits as u16, &limits);
        round(bits as i16, &limits);
        round(bits as u32, &limits);
        round(bits as i32, &limits);
        round(bits as i64, &limits);
        round(bits as isize, &limits);
        round(bits >> 1, &limits);
        round((bits >> 1) as usize, &limits);
        round(f32::from_bits((bits as u32) & 0x7f7f_ffff), &limits);
    });
}

#[test]
fn every_truncation_gives_a_value_or_a_typed_error() {
    let limits = Limits::default();
    proptest!(config(16), |(value in value())| {
        let payload = value.encode(&limits).unwrap();
        for len in 0..payload.len() {
            let truncated = payload.as_bytes()[..len].to_vec();
            decode_as_everything(&with_bytes(&payload, truncated), &limits);
        }
    });
}

#[test]
fn one_changed_byte_gives_a_value_or_a_typed_error() {
    let limits = Limits::default();
    proptest!(config(16), |(value in value(), change in 1_u8..)| {
        let payload = value.encode(&limits).unwrap();
        for at in 0..payload.len() {
            let mut bytes = payload.as_bytes().to_vec();
            bytes[at] ^= change;
            decode_as_everything(&with_bytes(&payload, bytes), &limits);
        }
    });
}

#[test]
fn every_change_of_one_byte_of_short_texts_gives_a_value_or_a_typed_error() {
    let limits = Limits::default();
    let error = ErrorValue::new("É", "a\"\u{1}")
        .with_stack("s")
        .with_cause(ErrorValue::new("B", "😀").with_cause(Cause::Value("[1e3,{}]".into())));
    for value in [
        Value::String("aé€😀\0".into()),
        Value::Json(r#"{"a":[-1.5e+3,true,null,"\u00e9\ud83d\ude00\n"]}"#.into()),
        Value::Error(error),
    ] {
        let payload = value.encode(&limits).unwrap();
        for at in 0..payload.len() {
            for byte in 0..=u8::MAX {
                let mut bytes = payload.as_bytes().to_vec();
                bytes[at] = byte;
                decode_as_everything(&with_bytes(&payload, bytes), &limits);
            }
        }
    }
}

#[test]
fn any_tag_with_any_bytes_gives_a_value_or_a_typed_error() {
    let limits = Limits::default();
    let bytes = prop_oneof![
        vec(any::<u8>(), 0..600),
        text().prop_map(String::into_bytes),
        json().prop_map(String::into_bytes),
    ];
    let tags = prop_oneof![0_u32..60, any::<u32>()];
    proptest!(config(1000), |(tag in tags, bits: u64, bytes in bytes, head: u32)| {
        let tag = Tag(tag);
        decode_as_everything(&Payload::bare(tag), &limits);
        decode_as_everything(&Payload::scalar(tag, bits), &limits);
        let two = Payload::two_parts(tag, bytes.as_slice().into(), head);
        decode_as_everything(&two, &limits);
        decode_as_everything(&two, &limits.with_payload(8).with_depth(1).with_causes(0));
    });
}

#[test]
fn what_small_limits_admit_to_encode_they_admit_to_decode() {
    let limits = (0_u32..600, 0_u32..8, 0_u32..6).prop_map(|(payload, depth, causes)| {
        Limits::default().with_payload(payload).with_depth(depth).with_causes(causes)
    });
    proptest!(config(1000), |(value in value(), limits in limits)| {
        if let Ok(encoded) = value.encode(&limits) {
            prop_assert!(encoded.len() <= limits.payload as usize);
            prop_assert_eq!(Value::decode(encoded, &limits), Ok(value));
        }
    });
}

#[test]
fn longest_payload_is_exactly_the_default_limit() {
    let limits = Limits::default();
    let longest = Value::Bytes(vec![7; 8 << 20]);
    let payload = longest.encode(&limits).unwrap();
    assert_eq!(Value::decode(payload, &limits).as_ref(), Ok(&longest));

    let actual = (8 << 20) + 1;
    let refused = vec![7_u8; actual].encode_owned(&limits).unwrap_err();
    assert_eq!(refused, EncodeError::TooLong { actual, limit: 8 << 20 });
    assert_eq!(refused.code(), Some("KNT_ERROR_3"));
    let payload = Payload::bytes(Tag::BYTES_ARENA, vec![7; actual]);
    assert_eq!(
        Value::decode(payload, &limits),
        Err(DecodeError::TooLong { actual, limit: 8 << 20 })
    );
}
