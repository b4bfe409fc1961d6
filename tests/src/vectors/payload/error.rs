//! Errors and their causes.

use super::super::VectorFile;
use super::super::build::Verdict::Canonical;
use super::super::value::{caused_by, caused_by_json, error, error_value, with_fields, with_stack};
use super::{DEFAULTS, Limits, accepted, arena, canonical, file};
use serde_json::Value;

pub(super) fn vectors() -> Vec<VectorFile> {
    [plain(), causes(), fields(), read_liberally(), chains()].concat()
}

/// The stack of the recordings of the upstream system, and its text in JSON.
const STACK: &str = "Error: boom\n    at golden (file:///golden.ts:1:1)";
const STACK_TEXT: &str = r#""Error: boom\n    at golden (file:///golden.ts:1:1)""#;

fn sent(words: &str, doc: &str, members: Value, text: &str) -> VectorFile {
    let words = format!("error-{words}");
    canonical(&words, &["PAY-16"], doc, error_value(members), arena(24, text.as_bytes()))
}

fn read(words: &str, doc: &str, members: Value, text: &str) -> VectorFile {
    let words = format!("error-{words}");
    accepted(&words, &["PAY-16"], doc, error_value(members), arena(24, text.as_bytes()))
}

fn plain() -> Vec<VectorFile> {
    vec![
        sent(
            "with-stack",
            "Name, message and stack, in this order.",
            with_stack(error("Error", "boom"), STACK),
            &format!(r#"{{"name":"Error","message":"boom","stack":{STACK_TEXT}}}"#),
        ),
        sent(
            "without-stack",
            "No stack, no member. Short as it is, the text is in the arena.",
            error("Error", "nostack"),
            r#"{"name":"Error","message":"nostack"}"#,
        ),
        sent(
            "class",
            "A name that is not Error.",
            with_stack(error("MyErr", "custom"), "MyErr: custom\n    at z"),
            r#"{"name":"MyErr","message":"custom","stack":"MyErr: custom\n    at z"}"#,
        ),
        sent(
            "empty",
            "Name, message and stack are there and empty.",
            with_stack(error("", ""), ""),
            r#"{"name":"","message":"","stack":""}"#,
        ),
        sent(
            "unicode",
            "Characters beyond ASCII are not escaped.",
            with_stack(error("Erreur", "éé😀"), "Erreur: éé😀"),
            r#"{"name":"Erreur","message":"éé😀","stack":"Erreur: éé😀"}"#,
        ),
        sent(
            "escapes",
            "Every escape that a sender writes, and no other.",
            error("E", "\"\\\u{8}\u{c}\n\r\t\0\u{b}\u{1f}/\u{7f}\u{2028}"),
            "{\"name\":\"E\",\"message\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u000b\\u001f/\u{7f}\u{2028}\"}",
        ),
    ]
}

fn causes() -> Vec<VectorFile> {
    let stacked = |message: &str, cause: &str| {
        format!(r#"{{"name":"Error","message":"{message}","stack":{STACK_TEXT},"cause":{cause}}}"#)
    };
    let outer = |message| with_stack(error("Error", message), STACK);
    vec![
        sent(
            "worked-example",
            "The example of the chapter: an error caused by an error caused by a number.",
            caused_by(
                with_stack(error("TypeError", "bad \"x\""), "TypeError: bad\n    at f"),
                caused_by_json(error("Error", "inner"), "7"),
            ),
            concat!(
                r#"{"name":"TypeError","message":"bad \"x\"","stack":"TypeError: bad\n    at f","#,
                r#""cause":{"name":"Error","message":"inner","cause":7}}"#
            ),
        ),
        sent(
            "cause-number",
            "A number as cause.",
            caused_by_json(outer("c2"), "7"),
            &stacked("c2", "7"),
        ),
        sent(
            "cause-string",
            "A string as cause, as a sender makes it of a symbol.",
            caused_by_json(outer("c4"), r#""Symbol(q)""#),
            &stacked("c4", r#""Symbol(q)""#),
        ),
        sent(
            "cause-object",
            "An object as cause.",
            caused_by_json(outer("c6"), r#"{"a":[1,2]}"#),
            &stacked("c6", r#"{"a":[1,2]}"#),
        ),
        sent(
            "cause-null",
            "Null is a cause, not the lack of one.",
            caused_by_json(error("E", "m"), "null"),
            r#"{"name":"E","message":"m","cause":null}"#,
        ),
        sent(
            "cause-white-space",
            "White space in a cause that was given as text stays.",
            caused_by_json(error("E", "m"), "[ 1 , { } ]"),
            r#"{"name":"E","message":"m","cause":[ 1 , { } ]}"#,
        ),
        sent(
            "cause-half-an-error",
            "An object with a name and no message is no error.",
            caused_by_json(error("E", "m"), r#"{"name":"A"}"#),
            r#"{"name":"E","message":"m","cause":{"name":"A"}}"#,
        ),
        sent(
            "cause-message-no-string",
            "An object whose message is no string is no error.",
            caused_by_json(error("E", "m"), r#"{"name":"A","message":1}"#),
            r#"{"name":"E","message":"m","cause":{"name":"A","message":1}}"#,
        ),
        sent(
            "cause-of-cause-of-cause",
            "Three errors, then an array.",
            caused_by(
                error("A", "a"),
                caused_by(
                    with_stack(error("B", "b"), "s"),
                    caused_by_json(error("C", ""), "[null]"),
                ),
            ),
            concat!(
                r#"{"name":"A","message":"a","cause":{"name":"B","message":"b","stack":"s","#,
                r#""cause":{"name":"C","message":"","cause":[null]}}}"#
            ),
        ),
    ]
}

fn read_liberally() -> Vec<VectorFile> {
    vec![
        read(
            "no-members",
            "Without any member the name is Error and the message empty.",
            error("Error", ""),
            "{}",
        ),
        read(
            "no-name",
            "Without a name the name is Error.",
            error("Error", "m"),
            r#"{"message":"m"}"#,
        ),
        read(
            "no-message",
            "Without a message the message is empty.",
            error("A", ""),
            r#"{"name":"A"}"#,
        ),
        read(
            "wrong-types",
            "Members that are no strings count as missing.",
            error("Error", ""),
            r#"{"name":7,"message":null,"stack":{}}"#,
        ),
        read(
            "other-members",
            "Other members are fields, whatever is in them and wherever they stand.",
            with_fields(error("A", "m"), &[("code", "7"), ("errors", r#"[{"cause":1}]"#)]),
            r#"{"code":7,"name":"A","errors":[{"cause":1}],"message":"m"}"#,
        ),
        read(
            "other-order",
            "Members in another order.",
            caused_by_json(with_stack(error("A", "m"), "s"), "1"),
            r#"{"cause":1,"stack":"s","message":"m","name":"A"}"#,
        ),
        read(
            "white-space",
            "White space between the members, and none of it in the cause.",
            caused_by_json(error("A", "m"), "[ 1 ]"),
            " { \"name\" : \"A\" ,\n\"message\":\"m\",\"cause\": [ 1 ]\t} ",
        ),
        read(
            "equal-members",
            "Of equal members the last counts, names compared without their escapes.",
            error("B", "m"),
            r#"{"name":"A","message":"m","n\u0061me":"B"}"#,
        ),
        read(
            "last-member-no-string",
            "Of equal members the last counts, also when it is no string.",
            error("A", ""),
            r#"{"name":"A","message":"m","message":1}"#,
        ),
        read(
            "escaped-text",
            "Escapes that a sender would not write.",
            error("A/é", "😀"),
            r#"{"name":"\u0041\/\u00e9","message":"\ud83d\ude00"}"#,
        ),
        read(
            "lone-surrogates",
            "Unpaired surrogates become U+FFFD.",
            error("\u{fffd}", "a\u{fffd}\u{fffd}b"),
            r#"{"name":"\ud800","message":"a\udfff\ud800b"}"#,
        ),
        read(
            "cause-with-code",
            "A cause with string members name and message is an error, with its other members as fields.",
            caused_by(error("Error", "m"), with_fields(error("A", "n"), &[("code", "7")])),
            r#"{"message":"m","cause":{"message":"n","name":"A","code":7}}"#,
        ),
    ]
}

fn fields() -> Vec<VectorFile> {
    vec![
        sent(
            "fields",
            "Fields stand behind the cause, as JSON text.",
            with_fields(
                caused_by_json(with_stack(error("SystemError", "no file"), "s"), "1"),
                &[("errno", "2"), ("path", r#""/é\n""#), ("", "null"), ("x\"", "[ {} ]")],
            ),
            concat!(
                r#"{"name":"SystemError","message":"no file","stack":"s","cause":1,"errno":2,"#,
                r#""path":"/é\n","":null,"x\"":[ {} ]}"#
            ),
        ),
        sent(
            "cause-with-fields",
            "An error and its cause with fields each: those of the cause end before.",
            with_fields(
                caused_by(error("A", "a"), with_fields(error("B", "b"), &[("n", "{\"cause\":1}")])),
                &[("n", "1")],
            ),
            r#"{"name":"A","message":"a","cause":{"name":"B","message":"b","n":{"cause":1}},"n":1}"#,
        ),
        sent(
            "aggregate",
            "An error that stands for several has them in a field.",
            with_fields(
                error("AggregateError", "all"),
                &[(
                    "errors",
                    r#"[{"name":"A","message":"a"},{"name":"B","message":"b","cause":1}]"#,
                )],
            ),
            concat!(
                r#"{"name":"AggregateError","message":"all","errors":"#,
                r#"[{"name":"A","message":"a"},{"name":"B","message":"b","cause":1}]}"#
            ),
        ),
        read(
            "equal-fields",
            "Of fields with equal names the last counts, in the place of the first.",
            with_fields(error("A", "m"), &[("a", "3"), ("b", "2")]),
            r#"{"name":"A","message":"m","a":1,"b":2,"\u0061":3}"#,
        ),
        read(
            "equal-causes",
            "Of equal causes the last counts: nothing is left of the error that the first one is.",
            caused_by_json(error("E", "m"), r#"{"name":"F"}"#),
            concat!(
                r#"{"name":"E","message":"m","cause":{"name":"F","message":"n","code":1},"#,
                r#""cause":{"name":"F"}}"#
            ),
        ),
        read(
            "field-name-surrogates",
            "Unpaired surrogates in the names of fields become U+FFFD, and so equal names.",
            with_fields(error("A", "m"), &[("\u{fffd}", "2")]),
            r#"{"name":"A","message":"m","\ud800":1,"\udfff":2}"#,
        ),
    ]
}

fn chains() -> Vec<VectorFile> {
    let chain = |errors: usize| {
        let open = r#"{"name":"E","message":"","cause":"#.repeat(errors - 1);
        let text = open + r#"{"name":"E","message":""}"# + &"}".repeat(errors - 1);
        let value = (1..errors).fold(error("E", ""), |cause, _| caused_by(error("E", ""), cause));
        (error_value(value), arena(24, text.as_bytes()))
    };
    let at = |words, clauses: &[&str], doc, limits, (value, message)| {
        file(words, clauses, doc, Canonical, limits, value, message)
    };
    vec![
        at(
            "error-16-causes",
            &["PAY-17"],
            "As many causes as the default limit allows.",
            DEFAULTS,
            chain(17),
        ),
        at(
            "error-no-causes",
            &["PAY-17"],
            "An error without causes, with a limit of none.",
            Limits { causes: 0, ..DEFAULTS },
            chain(1),
        ),
        at(
            "error-cause-not-counted",
            &["PAY-17"],
            "A cause that is no error does not count.",
            Limits { causes: 0, ..DEFAULTS },
            (
                error_value(caused_by_json(error("E", "m"), "[]")),
                arena(24, br#"{"name":"E","message":"m","cause":[]}"#),
            ),
        ),
        at(
            "error-three-levels",
            &["PAY-14", "PAY-16"],
            "Each error is one level of depth, and so is each array in the last cause.",
            Limits { depth: 3, ..DEFAULTS },
            (
                error_value(caused_by(error("E", ""), caused_by_json(error("F", ""), "[]"))),
                arena(
                    24,
                    br#"{"name":"E","message":"","cause":{"name":"F","message":"","cause":[]}}"#,
                ),
            ),
        ),
    ]
}
