//! JSON text of an error and its cause chain.
//!
//! One object for each error, members in the order `name`, `message`, `stack` if there is one,
//! `cause` if there is one, and the fields; a cause that is an error is an object of the same shape.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use knit_proto::Tag;

use crate::codec::fits;
use crate::error_value::DEFAULT_NAME;
use crate::json::{self, JsonFault};
use crate::json_cursor::Cursor;
use crate::json_depth::check_nesting;
use crate::json_string::{RawString, push_string};
use crate::{Cause, DecodeError, EncodeError, ErrorValue, LimitKind, Limits};

/// Members of the object that are no fields.
const MEMBERS: [&str; 4] = ["name", "message", "stack", "cause"];

/// The text of `error`.
pub(crate) fn write(error: &ErrorValue, limits: &Limits) -> Result<String, EncodeError> {
    let mut text = String::with_capacity(likely_len(error, limits));
    let mut errors = Vec::new();
    let (mut levels, mut fields) = (0_u32, 0);
    for error in error.chain() {
        if levels > limits.cause_limit() {
            return Err(EncodeError::CauseChain { limit: limits.cause_limit() });
        }
        if levels == limits.depth {
            return Err(EncodeError::Nesting { limit: limits.depth });
        }
        fields += error.fields().len();
        limits.admit(LimitKind::Fields, Tag::ERROR, fields)?;
        text.push_str(if levels == 0 { "{\"name\":" } else { ",\"cause\":{\"name\":" });
        levels += 1;
        errors.push((error, levels));
        push_bounded(&mut text, error.name(), limits)?;
        text.push_str(",\"message\":");
        push_bounded(&mut text, error.message(), limits)?;
        if let Some(stack) = error.stack() {
            text.push_str(",\"stack\":");
            push_bounded(&mut text, stack, limits)?;
        }
        if let Some(Cause::Value(value)) = error.cause() {
            text.push_str(",\"cause\":");
            push_json(&mut text, value, levels, limits)?;
        }
    }
    for (error, levels) in errors.into_iter().rev() {
        for (name, value) in error.fields() {
            if MEMBERS.contains(&name) {
                return Err(EncodeError::FieldName { name: name.into() });
            }
            text.push(',');
            push_bounded(&mut text, name, limits)?;
            text.push(':');
            push_json(&mut text, value, levels, limits)?;
        }
        text.push('}');
    }
    fits(Tag::ERROR, text.len(), limits)?;
    // A cause that is no error may read as one: as many levels and fields more.
    if error.chain().any(
        |error| matches!(error.cause(), Some(Cause::Value(value)) if looks_like_an_object(value)),
    ) {
        parse(&text, limits).map_err(|refused| match refused {
            DecodeError::TooLong(excess) => EncodeError::TooLong(excess),
            DecodeError::CauseChain { limit } => EncodeError::CauseChain { limit },
            other => EncodeError::Json { reason: other.to_string() },
        })?;
    }
    Ok(text)
}

fn looks_like_an_object(json: &str) -> bool {
    json.trim_ascii_start().starts_with('{')
}

/// About how long the text of `error` is, in bytes: room for most escapes, never more than a payload.
fn likely_len(error: &ErrorValue, limits: &Limits) -> usize {
    let len = |error: &ErrorValue| {
        let own = error.name().len() + error.message().len() + error.stack().map_or(0, str::len);
        own + own / 16 + 64
    };
    let errors = error.chain().take(limits.cause_limit() as usize + 1);
    errors.map(len).sum::<usize>().min(limits.payload as usize)
}

fn push_bounded(text: &mut String, part: &str, limits: &Limits) -> Result<(), EncodeError> {
    // Escapes only lengthen a string, so what does not fit now never will.
    fits(Tag::ERROR, text.len().saturating_add(part.len()), limits)?;
    push_string(text, part);
    Ok(())
}

/// Appends JSON text that stands below so many levels.
fn push_json(
    text: &mut String,
    value: &str,
    levels: u32,
    limits: &Limits,
) -> Result<(), EncodeError> {
    fits(Tag::ERROR, text.len().saturating_add(value.len()), limits)?;
    json::check(value, limits.depth - levels).map_err(|fault| match fault {
        JsonFault::Nesting { .. } => EncodeError::Nesting { limit: limits.depth },
        other => other.into(),
    })?;
    text.push_str(value);
    Ok(())
}

/// The error in `text`.
///
/// Members that are missing or no strings are liberally replaced, as upstream does: the name by
/// `Error`, the message by nothing; a stack that is no string is left out. Of equal members the last
/// counts, as in JavaScript. Unpaired surrogates become U+FFFD.
pub(crate) fn parse(text: &str, limits: &Limits) -> Result<ErrorValue, DecodeError> {
    check_nesting(text.as_bytes(), limits.depth)?;
    let mut cursor = Cursor::new(text);
    if cursor.peek() != Some(b'{') {
        cursor.value()?;
        cursor.end()?;
        return Err(DecodeError::ErrorShape);
    }
    let outermost = read(&mut cursor, limits)?;
    cursor.end()?;
    finish(outermost, limits)
}

/// An object that may be an error: what is known of it when it has been read once.
#[derive(Default)]
struct Draft<'a> {
    /// Where it begins in the text.
    start: usize,
    name: Option<RawString<'a>>,
    message: Option<RawString<'a>>,
    stack: Option<RawString<'a>>,
    cause: Option<DraftCause<'a>>,
    /// As many as the limit allows and one more.
    fields: Vec<(Cow<'a, str>, &'a str)>,
}

enum DraftCause<'a> {
    Error(Box<Draft<'a>>),
    Value(&'a str),
}

/// Reads an object and the objects that are causes in it, each byte once.
///
/// Whether such an object is an error is known at its end. As many are kept as the limit of causes
/// allows, and one more, which tells that there are too many.
fn read<'a>(cursor: &mut Cursor<'a>, limits: &Limits) -> Result<Draft<'a>, JsonFault> {
    let deepest = limits.cause_limit() as usize + 1;
    let most_fields = limits.fields as usize;
    // The objects around the current one, outermost first.
    let mut around = Vec::new();
    let mut current = Draft { start: cursor.at(), ..Draft::default() };
    cursor.expect(b'{')?;
    let mut first = true;
    loop {
        let ends = if first { cursor.eat(b'}') } else { !cursor.eat(b',') };
        if ends {
            if !first {
                cursor.expect(b'}')?;
            }
            let Some(mut outer): Option<Draft<'_>> = around.pop() else { return Ok(current) };
            let text = cursor.since(current.start);
            outer.cause = Some(if current.is_error() {
                DraftCause::Error(Box::new(current))
            } else {
                DraftCause::Value(text)
            });
            (current, first) = (outer, false);
            continue;
        }
        first = false;
        let name = cursor.name()?.read();
        let next = cursor.peek();
        if name == "cause" && next == Some(b'{') && around.len() < deepest {
            let inner = Draft { start: cursor.at(), ..Draft::default() };
            around.push(core::mem::replace(&mut current, inner));
            cursor.expect(b'{')?;
            first = true;
            continue;
        }
        let part = match &*name {
            "name" => &mut current.name,
            "message" => &mut current.message,
            "stack" => &mut current.stack,
            "cause" => {
                current.cause = Some(DraftCause::Value(cursor.value()?));
                continue;
            }
            _ => {
                let value = cursor.value()?;
                if current.fields.len() <= most_fields {
                    current.fields.push((name, value));
                }
                continue;
            }
        };
        *part = if next == Some(b'"') {
            Some(cursor.string()?)
        } else {
            cursor.value()?;
            None
        };
    }
}

impl Draft<'_> {
    /// Whether an object that is a cause is an error.
    fn is_error(&self) -> bool {
        self.name.is_some() && self.message.is_some()
    }
}

/// The error of an object and its causes.
fn finish(outermost: Draft<'_>, limits: &Limits) -> Result<ErrorValue, DecodeError> {
    let mut errors = Vec::new();
    let mut fields = 0;
    let mut next = Some(outermost);
    while let Some(mut draft) = next {
        if errors.len() > limits.cause_limit() as usize {
            return Err(DecodeError::CauseChain { limit: limits.cause_limit() });
        }
        fields += draft.fields.len();
        limits.admit(LimitKind::Fields, Tag::ERROR, fields)?;
        let text = |part: Option<RawString<'_>>| part.map(|part| part.read().into_owned());
        let mut error = ErrorValue::new(
            text(draft.name).unwrap_or_else(|| DEFAULT_NAME.into()),
            text(draft.message).unwrap_or_default(),
        );
        if let Some(stack) = text(draft.stack) {
            error = error.with_stack(stack);
        }
        error = error.with_new_fields(last_of_equal_names(draft.fields));
        next = match draft.cause.take() {
            Some(DraftCause::Error(inner)) => Some(*inner),
            Some(DraftCause::Value(value)) => {
                error = error.with_cause(Cause::Value(value.into()));
                None
            }
            None => None,
        };
        errors.push(error);
    }
    let nested = errors.into_iter().rev().reduce(|inner, outer| outer.with_cause(inner));
    nested.ok_or(DecodeError::ErrorShape)
}

/// Fields in the order in which their names come first, each with the text that comes last. In time
/// that grows with the number of fields, whatever their names are.
fn last_of_equal_names(fields: Vec<(Cow<'_, str>, &str)>) -> Vec<(String, String)> {
    let mut places: BTreeMap<Cow<'_, str>, usize> = BTreeMap::new();
    let mut kept: Vec<(String, &str)> = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        match places.get(&*name) {
            Some(place) => {
                if let Some((_, known)) = kept.get_mut(*place) {
                    *known = value;
                }
            }
            None => {
                kept.push((name.clone().into_owned(), value));
                places.insert(name, kept.len() - 1);
            }
        }
    }
    kept.into_iter().map(|(name, value)| (name, value.into())).collect()
}

/// Most errors that one error stands for.
pub(crate) const MAX_ERRORS: usize = 1024;

/// The errors in the text of an array; `None` when an element is no error, or there are too many. They
/// are read within the default limits.
pub(crate) fn parse_array(text: &str) -> Option<Vec<ErrorValue>> {
    let mut cursor = Cursor::new(text);
    let mut errors = Vec::new();
    cursor.expect(b'[').ok()?;
    if cursor.eat(b']') {
        return cursor.end().ok().map(|()| errors);
    }
    loop {
        if cursor.peek() != Some(b'{') || errors.len() == MAX_ERRORS {
            return None;
        }
        let draft = read(&mut cursor, &Limits::DEFAULT).ok()?;
        if !draft.is_error() {
            return None;
        }
        errors.push(finish(draft, &Limits::DEFAULT).ok()?);
        if !cursor.eat(b',') {
            cursor.expect(b']').ok()?;
            return cursor.end().ok().map(|()| errors);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::{format, vec};

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
        for text in ["{}", r#" { "name":7,"message":null,"stack":{"cause":{}}} "#] {
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
        let cause = ErrorValue::new("A", "n").with_field("code", "7");
        let expected = ErrorValue::new("Error", "m").with_cause(cause);
        assert_eq!(parse(text, &LIMITS), Ok(expected));
    }

    /// PAY-28: nobody sends what an equal receiver refuses.
    #[test]
    fn a_cause_that_reads_as_an_error_counts_as_one() {
        let members: String = (0..65).map(|n| format!(r#","m{n}":{n}"#)).collect();
        let many = Cause::Value(format!(r#"{{"name":"n","message":"m"{members}}}"#));
        let refused = write(&ErrorValue::new("E", "").with_cause(many.clone()), &LIMITS);
        let Err(EncodeError::TooLong(excess)) = refused else { panic!("{refused:?}") };
        assert_eq!((excess.limit, excess.actual, excess.most), (LimitKind::Fields, 65, 64));
        assert!(write(&ErrorValue::new("E", "").with_cause(many), &LIMITS.with_fields(65)).is_ok());
        let one = Cause::Value(r#" {"name":"n","message":"m"}"#.into());
        let chain = |causes: usize| {
            let inner = ErrorValue::new("E", "").with_cause(one.clone());
            (1..causes).fold(inner, |inner, _| ErrorValue::new("E", "").with_cause(inner))
        };
        assert!(write(&chain(16), &LIMITS).is_ok());
        assert_eq!(write(&chain(17), &LIMITS), Err(EncodeError::CauseChain { limit: 16 }));
    }

    /// H8: ten times as many fields do not take a hundred times as long, which a slow machine would show
    /// by hanging here.
    #[test]
    fn a_hundred_thousand_fields_are_read() {
        let members: String = (0..100_000).map(|n| format!(r#""m{n}":{n},"#)).collect();
        let text = format!(r#"{{{members}"m0":"last","message":"m"}}"#);
        let error = parse(&text, &LIMITS.with_fields(u32::MAX)).unwrap();
        assert_eq!(error.fields().len(), 100_000);
        assert_eq!(error.fields().next(), Some(("m0", "\"last\"")));
    }

    #[test]
    fn a_field_of_too_many_errors_is_none_of_errors() {
        let errors = |count: usize, end: &str| {
            let one = r#"{"name":"","message":""}"#;
            parse_array(&format!("[{}]{end}", vec![one; count].join(",")))
        };
        assert_eq!(errors(MAX_ERRORS, "").map(|errors| errors.len()), Some(MAX_ERRORS));
        assert_eq!(errors(MAX_ERRORS + 1, ""), None);
        assert_eq!((errors(0, " "), errors(0, "x"), errors(1, "]")), (Some(vec![]), None, None));
    }

    #[test]
    fn fields_follow_the_cause_and_keep_their_text() {
        let error = ErrorValue::new("A", "a")
            .with_field("code", "\"E\"")
            .with_cause(ErrorValue::new("B", "b").with_field("n", "[1, 2]"))
            .with_field("\n", "null");
        let text = concat!(
            r#"{"name":"A","message":"a","cause":{"name":"B","message":"b","n":[1, 2]},"#,
            r#""code":"E","\n":null}"#
        );
        assert_eq!(write(&error, &LIMITS).as_deref(), Ok(text));
        assert_eq!(parse(text, &LIMITS), Ok(error));
        let mixed = r#"{"n": [1 ] ,"message":"a","n":{"cause":{}},"name":"A","\ud800":0}"#;
        let expected = ErrorValue::new("A", "a")
            .with_field("n", r#"{"cause":{}}"#)
            .with_field("\u{FFFD}", "0");
        assert_eq!(parse(mixed, &LIMITS), Ok(expected));
    }

    #[test]
    fn field_limit_counts_those_of_all_errors() {
        let two = LIMITS.with_fields(2);
        let error = ErrorValue::new("A", "").with_field("a", "1").with_field("b", "2");
        let error = ErrorValue::new("B", "").with_cause(error);
        let text = write(&error, &two).unwrap();
        assert_eq!(parse(&text, &two).as_ref(), Ok(&error));
        let error = error.with_field("c", "3");
        let EncodeError::TooLong(excess) = write(&error, &two).unwrap_err() else { panic!() };
        assert_eq!((excess.limit, excess.actual, excess.most), (LimitKind::Fields, 3, 2));
        let text = write(&error, &LIMITS).unwrap();
        assert_eq!(parse(&text, &two), Err(DecodeError::TooLong(excess)));
        // Those of an object that is no error do not count.
        let plain = r#"{"name":"A","message":"","cause":{"a":1,"b":2,"c":3,"name":"x"}}"#;
        assert!(parse(plain, &two).is_ok());
        let many = "{".to_owned() + &r#""x":0,"#.repeat(1 << 17) + r#""y":1}"#;
        assert!(matches!(parse(&many, &LIMITS), Err(DecodeError::TooLong(_))));
    }

    #[test]
    fn a_field_cannot_be_named_like_a_member() {
        for name in MEMBERS {
            let refused = write(&ErrorValue::new("A", "").with_field(name, "1"), &LIMITS);
            assert_eq!(refused, Err(EncodeError::FieldName { name: name.into() }));
        }
        for value in ["", "{", "1,2", "1}"] {
            let refused = write(&ErrorValue::new("A", "").with_field("a", value), &LIMITS);
            assert!(matches!(refused, Err(EncodeError::Json { .. })), "{value}");
        }
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
        // Deep enough for the ceiling of the cause limit.
        let closed = nested(1 << 10);
        assert_eq!(parse(&closed, &unlimited), Err(DecodeError::CauseChain { limit: 256 }));
    }

    #[test]
    fn depth_of_a_cause_counts_from_the_outermost_error() {
        let limits = LIMITS.with_depth(3);
        let error = |cause: &str| ErrorValue::new("E", "m").with_cause(Cause::Value(cause.into()));
        let field = |value: &str| ErrorValue::new("E", "m").with_field("f", value);
        assert!(parse(&write(&field("[[]]"), &limits).unwrap(), &limits).is_ok());
        assert_eq!(write(&field("[[[]]]"), &limits), Err(EncodeError::Nesting { limit: 3 }));
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
        let expected =
            ErrorValue::new("\u{FFFD}", "a😀\u{FFFD}\u{FFFD}\u{FFFD}b").with_field("\u{FFFD}", "1");
        assert_eq!(parse(text, &LIMITS), Ok(expected));
    }
}
