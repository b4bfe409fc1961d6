//! Errors: the reader finds what a slow one finds, and hostile texts stay within their bounds.

use std::error::Error;
use std::fmt;

use knit_codec::{Cause, Decode, DecodeError, Encode, ErrorValue, Limits, Payload};
use knit_proto::Tag;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

const SEED: u64 = 0x6572_726F;
const MEMBERS: [&str; 4] = ["name", "message", "stack", "cause"];

fn config(cases: u32) -> ProptestConfig {
    println!("seed {SEED:#x}");
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(SEED),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn decode(text: &str, limits: &Limits) -> Result<ErrorValue, DecodeError> {
    ErrorValue::decode(Payload::bytes(Tag::ERROR, text.as_bytes()), limits)
}

/// The decoding steps of PAY-16 as the chapter has them: one pass of `serde_json` for each object.
mod slow {
    use super::*;

    pub(super) fn decode(text: &str, limits: &Limits) -> Option<ErrorValue> {
        serde_json::from_str::<IgnoredAny>(text).ok()?;
        let mut fields = 0;
        error(members(text)?, 0, &mut fields, limits)
    }

    type Members = Vec<(String, String)>;

    fn error(
        members: Members,
        causes: u32,
        fields: &mut u32,
        limits: &Limits,
    ) -> Option<ErrorValue> {
        if causes > limits.causes {
            return None;
        }
        let text = |name| last(&members, name).and_then(string);
        let mut error = ErrorValue::new(
            text("name").unwrap_or_else(|| "Error".into()),
            text("message").unwrap_or_default(),
        );
        if let Some(stack) = text("stack") {
            error = error.with_stack(stack);
        }
        let mut kept = Vec::<(&str, &str)>::new();
        for (name, value) in members.iter().filter(|(name, _)| !MEMBERS.contains(&&**name)) {
            *fields += 1;
            match kept.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = value,
                None => kept.push((name, value)),
            }
        }
        if *fields > limits.fields {
            return None;
        }
        for (name, value) in kept {
            error = error.with_field(name, value);
        }
        let Some(cause) = last(&members, "cause") else { return Some(error) };
        let inner = self::members(cause).filter(|members| {
            ["name", "message"].iter().all(|name| last(members, name).and_then(string).is_some())
        });
        Some(match inner {
            Some(inner) => error.with_cause(self::error(inner, causes + 1, fields, limits)?),
            None => error.with_cause(Cause::Value(cause.into())),
        })
    }

    fn last<'a>(members: &'a Members, name: &str) -> Option<&'a str> {
        members.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn members(text: &str) -> Option<Members> {
        serde_json::Deserializer::from_str(text).deserialize_map(MembersOf).ok()
    }

    fn string(text: &str) -> Option<String> {
        Text.deserialize(&mut serde_json::Deserializer::from_str(text)).ok()
    }

    struct MembersOf;

    impl<'a> Visitor<'a> for MembersOf {
        type Value = Members;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Members, A::Error> {
            let mut members = Vec::new();
            while let Some(name) = map.next_key_seed(Text)? {
                members.push((name, map.next_value::<&RawValue>()?.get().to_owned()));
            }
            Ok(members)
        }
    }

    /// A string, as bytes: `serde_json` gives unpaired surrogates as three bytes each there.
    struct Text;

    impl<'a> DeserializeSeed<'a> for Text {
        type Value = String;

        fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<String, D::Error> {
            from.deserialize_bytes(self)
        }
    }

    impl Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E>(self, mut bytes: &[u8]) -> Result<String, E> {
            let mut text = String::new();
            while let Err(fault) = std::str::from_utf8(bytes) {
                let (valid, rest) = bytes.split_at(fault.valid_up_to());
                text.push_str(std::str::from_utf8(valid).unwrap());
                text.push('\u{FFFD}');
                bytes = &rest[3..];
            }
            text.push_str(std::str::from_utf8(bytes).unwrap());
            Ok(text)
        }
    }
}

/// Text of objects with few names, so that members are equal, missing and of any type.
fn object() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        3 => "\"[a-c]{0,3}\"",
        1 => prop_oneof![
            Just("null"), Just("-0.5e1"), Just("[ ]"), Just("{ }"), Just(r#""\ud800""#),
            Just(r#""\ud83d\ude00\n""#), Just(r#"[{"name":"x","message":""}]"#),
        ].prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        let name = prop_oneof![
            4 => Just("cause"), 3 => Just("name"), 3 => Just("message"), 1 => Just("stack"),
            1 => Just(r"n\u0061me"), 1 => Just(r"caus\u0065"), 1 => Just("code"), 1 => Just("errors"),
            1 => Just(r"\ud800"), 1 => Just(r"\udc00"), 1 => Just(""),
        ];
        let space = prop_oneof![4 => Just(""), 1 => Just(" "), 1 => Just("\t\n")];
        vec((name, inner, space), 0..6).prop_map(|members| {
            let members: Vec<_> = members
                .iter()
                .map(|(name, value, space)| format!("{space}\"{name}\"{space}:{space}{value}{space}"))
                .collect();
            format!("{{{}}}", members.join(","))
        })
    })
}

/// Errors with fields, causes and errors that they stand for, nested.
fn error() -> impl Strategy<Value = ErrorValue> {
    let leaf = ("[a-z\"\u{0}é😀]{0,6}", ".{0,20}", proptest::option::of(".{0,60}")).prop_map(
        |(name, message, stack)| match stack {
            Some(stack) => ErrorValue::new(name, message).with_stack(stack),
            None => ErrorValue::new(name, message),
        },
    );
    leaf.prop_recursive(4, 24, 3, |inner| {
        let field = ("[a-zé\"]{0,2}", prop_oneof![Just("7"), Just("[ {} ]"), Just("\"\\ud800\"")]);
        let errors = proptest::option::of(vec(inner.clone(), 0..3));
        (inner.clone(), proptest::option::of(inner), vec(field, 0..3), errors).prop_map(
            |(error, cause, fields, errors)| {
                let error = fields
                    .into_iter()
                    .fold(error, |error, (name, json)| error.with_field(name, json));
                let error = match &errors {
                    Some(errors) => error.with_errors(errors).unwrap(),
                    None => error,
                };
                match cause {
                    Some(cause) => error.with_cause(cause),
                    None => error,
                }
            },
        )
    })
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn reader_finds_what_a_slow_one_finds(text in object(), causes in 0_u32..4, fields in 0_u32..6) {
        for limits in [Limits::default(), Limits::default().with_causes(causes).with_fields(fields)] {
            let found = decode(&text, &limits);
            prop_assert_eq!(found.ok(), slow::decode(&text, &limits), "{}", text);
        }
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn nested_errors_round_trip(error in error()) {
        let limits = Limits::default();
        let payload = error.encode(&limits).unwrap();
        let back = ErrorValue::decode(payload, &limits).unwrap();
        prop_assert_eq!(back.errors(), error.errors());
        prop_assert_eq!(back, error);
    }
}

/// An error with everything that one can have.
fn full() -> String {
    let inner = ErrorValue::new("C", "é\n").with_cause(Cause::Value("[1,{\"a\":null}]".into()));
    let middle = ErrorValue::new("B", "b").with_field("n", "-1.5e3").with_cause(inner);
    let all = ErrorValue::new("AggregateError", "\"").with_stack("at x").with_cause(middle.clone());
    let all = all.with_errors([&middle, &ErrorValue::new("D", "")]).unwrap();
    String::from_utf8(all.encode(&Limits::default()).unwrap().as_bytes().to_vec()).unwrap()
}

#[test]
fn every_truncation_is_a_typed_error() {
    let text = full();
    for end in 0..text.len() {
        let payload = Payload::bytes(Tag::ERROR, &text.as_bytes()[..end]);
        let refused = ErrorValue::decode(payload, &Limits::default()).unwrap_err();
        let expected = matches!(refused, DecodeError::Json { .. } | DecodeError::Utf8 { .. });
        assert!(expected, "{end}: {refused:?}");
    }
}

#[test]
fn every_changed_byte_gives_what_a_slow_reader_finds() {
    let limits = Limits::default();
    let text = full();
    for at in 0..text.len() {
        for byte in 0..=u8::MAX {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = byte;
            let found = ErrorValue::decode(Payload::bytes(Tag::ERROR, bytes.as_slice()), &limits);
            let slow =
                std::str::from_utf8(&bytes).ok().and_then(|text| slow::decode(text, &limits));
            assert_eq!(found.ok(), slow, "byte {at} as {byte:#04x}");
        }
    }
}

#[test]
fn errors_that_nest_in_errors_are_read_one_level_at_a_time() {
    let limits = Limits::default().with_depth(u32::MAX);
    let open = r#"{"name":"A","message":"","errors":["#.repeat(1 << 16);
    let text = open + &"]}".repeat(1 << 16);
    assert_eq!(decode(&text, &Limits::default()), Err(DecodeError::Nesting { limit: 128 }));
    let mut error = decode(&text, &limits).unwrap();
    for _ in 0..3 {
        let mut errors = error.errors().unwrap();
        assert_eq!(errors.len(), 1);
        error = errors.remove(0);
    }
    assert_eq!(error.chain().count(), 1);
}

#[test]
fn too_many_fields_are_refused_however_they_are_called() {
    let same = r#""x":0,"#.repeat(100_000);
    let distinct: String = (0..100_000).map(|n| format!("\"{n}\":0,")).collect();
    for members in [same, distinct] {
        let text = format!(r#"{{{members}"name":"A"}}"#);
        let refused = decode(&text, &Limits::default()).unwrap_err();
        assert!(matches!(refused, DecodeError::TooLong(_)), "{refused:?}");
        assert_eq!((refused.name(), refused.clause()), (Some("too_long"), Some("PAY-24")));
    }
}

#[test]
fn equal_members_without_end_leave_the_last() {
    let many = r#""name":"x","cause":{"name":"y","message":"z"},"#.repeat(100_000);
    let text = format!(r#"{{{many}"name":"A","message":"m","cause":7}}"#);
    let expected = ErrorValue::new("A", "m").with_cause(Cause::Value("7".into()));
    assert_eq!(decode(&text, &Limits::default()), Ok(expected));
}

#[test]
fn name_of_a_field_may_be_as_long_as_the_payload() {
    let name = "\u{1}é".repeat(1 << 19);
    let error = ErrorValue::new("A", "").with_field(name.clone(), "1");
    let payload = error.encode(&Limits::default()).unwrap();
    let back = ErrorValue::decode(payload, &Limits::default()).unwrap();
    assert_eq!(back.field(&name), Some("1"));
}

#[test]
fn sources_that_are_error_values_keep_their_fields() {
    #[derive(Debug)]
    struct Outer(ErrorValue);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    let inner = ErrorValue::new("B", "b").with_stack("at x").with_field("code", "7");
    let inner = inner.with_errors(&[ErrorValue::new("C", "c")]).unwrap();
    let found = ErrorValue::from_error(&Outer(inner.clone()));
    assert_eq!(found, ErrorValue::new("Error", "outer").with_cause(inner));
}
