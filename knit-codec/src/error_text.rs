//! JSON text of an error and its cause chain.
//!
//! One object for each error, members in the order `name`, `message`, `stack` if there is one,
//! `cause` if there is one; a cause that is an error is an object of the same shape.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use knit_proto::Tag;
use serde_core::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::codec::fits;
use crate::error_value::DEFAULT_NAME;
use crate::json::{self, JsonFault};
use crate::json_string::JsonString;
use crate::{Cause, DecodeError, EncodeError, ErrorValue, Limits};

/// The text of `error`.
pub(crate) fn write(error: &ErrorValue, limits: &Limits) -> Result<String, EncodeError> {
    let mut text = String::new();
    let mut levels = 0_u32;
    for error in error.chain() {
        if levels > limits.cause_limit() {
            return Err(EncodeError::CauseChain { limit: limits.cause_limit() });
        }
        if levels == limits.depth {
            return Err(EncodeError::Nesting { limit: limits.depth });
        }
        text.push_str(if levels == 0 { "{\"name\":" } else { ",\"cause\":{\"name\":" });
        levels += 1;
        push_string(&mut text, error.name(), limits)?;
        text.push_str(",\"message\":");
        push_string(&mut text, error.message(), limits)?;
        if let Some(stack) = error.stack() {
            text.push_str(",\"stack\":");
            push_string(&mut text, stack, limits)?;
        }
        if let Some(Cause::Value(value)) = error.cause() {
            fits(Tag::ERROR, text.len().saturating_add(value.len()), limits)?;
            json::check(value, limits.depth - levels).map_err(|fault| match fault {
                JsonFault::Nesting { .. } => EncodeError::Nesting { limit: limits.depth },
                other => other.into(),
            })?;
            text.push_str(",\"cause\":");
            text.push_str(value);
        }
    }
    for _ in 0..levels {
        text.push('}');
    }
    fits(Tag::ERROR, text.len(), limits)?;
    Ok(text)
}

fn push_string(text: &mut String, part: &str, limits: &Limits) -> Result<(), EncodeError> {
    // Escapes only lengthen a string, so what does not fit now never will.
    fits(Tag::ERROR, text.len().saturating_add(part.len()), limits)?;
    text.push_str(&serde_json::to_string(part).map_err(JsonFault::from)?);
    Ok(())
}

/// The error in `text`.
///
/// Members that are missing or no strings are liberally replaced, as upstream does: the name by
/// `Error`, the message by nothing; a stack that is no string is left out. Unknown members are
/// ignored. Of equal members the last counts, as in JavaScript. Unpaired surrogates become U+FFFD.
pub(crate) fn parse(text: &str, limits: &Limits) -> Result<ErrorValue, DecodeError> {
    json::check(text, limits.depth)?;
    // Each error skips over the text of its cause, which is read next: the work is bounded by the
    // length of the text times the length of the chain.
    let mut members = Members::read(text)?.ok_or(DecodeError::ErrorShape)?;
    let mut errors = Vec::new();
    loop {
        let (error, cause) = members.error()?;
        errors.push(error);
        let Some(inner) = cause else { break };
        if errors.len() > limits.cause_limit() as usize {
            return Err(DecodeError::CauseChain { limit: limits.cause_limit() });
        }
        members = inner;
    }
    errors
        .into_iter()
        .rev()
        .reduce(|inner, outer| outer.with_cause(inner))
        .ok_or(DecodeError::ErrorShape)
}

/// Texts of the members of an error object.
#[derive(Default)]
struct Members<'a> {
    name: Option<&'a str>,
    message: Option<&'a str>,
    stack: Option<&'a str>,
    cause: Option<&'a str>,
}

impl<'a> Members<'a> {
    /// The members of the object in `text`; `None` for other JSON.
    fn read(text: &'a str) -> Result<Option<Self>, JsonFault> {
        if !text.trim_ascii_start().starts_with('{') {
            return Ok(None);
        }
        let mut from = serde_json::Deserializer::from_str(text);
        let members = from.deserialize_map(MembersVisitor)?;
        Ok(Some(members))
    }

    /// The error, with its cause where that is no error, or else the members of its cause.
    fn error(&self) -> Result<(ErrorValue, Option<Members<'a>>), JsonFault> {
        let mut error = ErrorValue::new(
            read_string(self.name)?.unwrap_or_else(|| DEFAULT_NAME.to_string()),
            read_string(self.message)?.unwrap_or_default(),
        );
        if let Some(stack) = read_string(self.stack)? {
            error = error.with_stack(stack);
        }
        let Some(cause) = self.cause else { return Ok((error, None)) };
        match Members::read(cause)? {
            Some(inner) if is_string(inner.name) && is_string(inner.message) => {
                Ok((error, Some(inner)))
            }
            _ => Ok((error.with_cause(Cause::Value(cause.to_string())), None)),
        }
    }
}

struct MembersVisitor;

impl<'a> Visitor<'a> for MembersVisitor {
    type Value = Members<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
        let mut members = Members::default();
        while let Some(key) = map.next_key_seed(JsonString)? {
            let member = match key.as_str() {
                "name" => &mut members.name,
                "message" => &mut members.message,
                "stack" => &mut members.stack,
                "cause" => &mut members.cause,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *member = Some(map.next_value::<&RawValue>()?.get());
        }
        Ok(members)
    }
}

fn is_string(member: Option<&str>) -> bool {
    member.is_some_and(|text| text.starts_with('"'))
}

/// The string that `member` is, if it is one.
fn read_string(member: Option<&str>) -> Result<Option<String>, JsonFault> {
    match member {
        Some(text) if text.starts_with('"') => {
            Ok(Some(JsonString.deserialize(&mut serde_json::Deserializer::from_str(text))?))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    const LIMITS: Limits = Limits::DEFAULT;

    fn nested(causes: usize) -> String {
        let open = r#"{"name":"Error","message":"m","cause":"#;
        open.repeat(causes) + r#"{"name":"Error","message":"m"}"# + &"}".repeat(causes)
    }

    #[test]
    fn members_are_written_in_order() {
        let error = ErrorValue::new("A", "a\n\u{1f}\"")
            .with_stack("at x")
            .with_cause(ErrorValue::new("B", "").with_cause(Cause::Value("[1,null]".into())));
        let text = concat!(
            r#"{"name":"A","message":"a\n\u001f\"","stack":"at x","#,
            r#""cause":{"name":"B","message":"","cause":[1,null]}}"#
        );
        assert_eq!(write(&error, &LIMITS).as_deref(), Ok(text));
        assert_eq!(parse(text, &LIMITS), Ok(error));
    }

    #[test]
    fn absent_members_have_defaults() {
        let unnamed = ErrorValue::new("Error", "");
        for text in ["{}", r#"{"name":7,"message":null,"stack":{},"extra":[{"cause":1}]}"#] {
            assert_eq!(parse(text, &LIMITS), Ok(unnamed.clone()));
        }
        assert_eq!(parse(r#"{"name":"","message":"m"}"#, &LIMITS), Ok(ErrorValue::new("", "m")));
    }

    #[test]
    fn last_of_equal_members_counts() {
        let text = r#"{"name":"A","message":"a","n\u0061me":"B","message":1}"#;
        assert_eq!(parse(text, &LIMITS), Ok(ErrorValue::new("B", "")));
    }

    #[test]
    fn cause_is_an_error_only_with_string_name_and_message() {
        for cause in ["7", "null", "{}", r#"{"name":"A"}"#, r#"{"name":"A","message":1}"#, "[ 1 ]"]
        {
            let text = format!(r#"{{"name":"E","message":"m","cause": {cause} }}"#);
            let expected = ErrorValue::new("E", "m").with_cause(Cause::Value(cause.into()));
            assert_eq!(parse(&text, &LIMITS), Ok(expected));
        }
        let text = r#"{"message":"m","cause":{"message":"n","name":"A","code":7}}"#;
        let expected = ErrorValue::new("Error", "m").with_cause(ErrorValue::new("A", "n"));
        assert_eq!(parse(text, &LIMITS), Ok(expected));
    }

    #[test]
    fn text_that_is_no_object_is_refused() {
        for text in ["7", "[]", "\"{}\"", "null"] {
            assert_eq!(parse(text, &LIMITS), Err(DecodeError::ErrorShape), "{text}");
        }
        for text in ["", "{", "boom", "{} x", r#"{"name":"A\u12"}"#] {
            assert!(matches!(parse(text, &LIMITS), Err(DecodeError::Json { .. })), "{text}");
        }
    }

    #[test]
    fn cause_chain_limit_is_inclusive_both_ways() {
        let longest = parse(&nested(16), &LIMITS).unwrap();
        assert_eq!(longest.chain().count(), 17);
        assert_eq!(write(&longest, &LIMITS), Ok(nested(16)));

        assert_eq!(parse(&nested(17), &LIMITS), Err(DecodeError::CauseChain { limit: 16 }));
        let longer = ErrorValue::new("Error", "m").with_cause(longest);
        assert_eq!(write(&longer, &LIMITS), Err(EncodeError::CauseChain { limit: 16 }));
    }

    #[test]
    fn a_mebibyte_of_nested_causes_is_refused_at_any_limits() {
        let unlimited = LIMITS.with_causes(u32::MAX).with_depth(u32::MAX);
        let open = r#"{"cause":"#.repeat((1 << 20) / 9);
        assert_eq!(parse(&open, &LIMITS), Err(DecodeError::Nesting { limit: 128 }));
        assert!(matches!(parse(&open, &unlimited), Err(DecodeError::Json { .. })));
        let closed = nested((1 << 20) / 40);
        assert_eq!(parse(&closed, &LIMITS), Err(DecodeError::Nesting { limit: 128 }));
        // Deep enough for the ceiling of the cause limit; each cause up to it costs a pass.
        let closed = nested(1 << 10);
        assert_eq!(parse(&closed, &unlimited), Err(DecodeError::CauseChain { limit: 256 }));
    }

    #[test]
    fn depth_of_a_cause_counts_from_the_outermost_error() {
        let limits = LIMITS.with_depth(3);
        let error = |cause: &str| ErrorValue::new("E", "m").with_cause(Cause::Value(cause.into()));
        let deepest = write(&error("[[]]"), &limits).unwrap();
        assert!(parse(&deepest, &limits).is_ok());
        assert_eq!(write(&error("[[[]]]"), &limits), Err(EncodeError::Nesting { limit: 3 }));
    }

    #[test]
    fn cause_that_is_not_json_is_refused() {
        for cause in ["", "{", "1,\"x\":2", "1}"] {
            let error = ErrorValue::new("E", "m").with_cause(Cause::Value(cause.into()));
            assert!(matches!(write(&error, &LIMITS), Err(EncodeError::Json { .. })), "{cause}");
        }
    }

    #[test]
    fn text_beyond_the_payload_limit_is_refused() {
        let error = ErrorValue::new("E", "12345");
        let exact = u32::try_from(write(&error, &LIMITS).unwrap().len()).unwrap();
        assert!(write(&error, &LIMITS.with_payload(exact)).is_ok());
        for limit in 0..exact {
            let refused = write(&error, &LIMITS.with_payload(limit));
            assert!(matches!(refused, Err(EncodeError::TooLong(_))), "{limit}: {refused:?}");
        }
    }

    #[test]
    fn unpaired_surrogates_are_replaced() {
        let text = r#"{"\udfff":1,"name":"\ud800","message":"a\ud83d\ude00\udc00\ud800\ud800b"}"#;
        let expected = ErrorValue::new("\u{FFFD}", "a😀\u{FFFD}\u{FFFD}\u{FFFD}b");
        assert_eq!(parse(text, &LIMITS), Ok(expected));
    }
}
