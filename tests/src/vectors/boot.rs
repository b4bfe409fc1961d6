//! Boot descriptions: what a worker reads in them, and which it refuses. LANE-49.

use super::VectorFile;
use super::build::Vector;
use serde_json::{Value, json};

/// Members in the order of the chapter, each with its value as JSON text.
type Members = Vec<(&'static str, &'static str)>;

pub(super) fn vectors() -> Vec<VectorFile> {
    [accepted(), refused()].concat()
}

/// Members that may not be absent.
const LEAST: [(&str, &str); 10] = [
    ("version", "1"),
    ("epoch", "7"),
    ("lane", "2"),
    ("host_pid", "77"),
    ("host_pid_namespace", "4026531836"),
    ("max_payload", "4096"),
    ("max_causes", "3"),
    ("max_depth", "20"),
    ("spin_us", "50"),
    ("tasks", r#"["square","greet"]"#),
];

/// The others.
const MORE: [(&str, &str); 9] = [
    ("host_time_namespace", "4026531834"),
    ("max_text", "1000"),
    ("max_elements", "200"),
    ("max_limbs", "30"),
    ("max_fields", "4"),
    ("max_buffers", "5"),
    ("new_privileges", "true"),
    ("eventfd", "4"),
    ("socket", r#""/run/knit/lane""#),
];

/// What a reader of [`LEAST`] knows: 64 bits as decimal strings.
fn least() -> Value {
    json!({
        "version": 1,
        "epoch": 7,
        "lane": "2",
        "host_pid": 77,
        "host_pid_namespace": "4026531836",
        "host_time_namespace": "0",
        "max_payload": 4096,
        "max_causes": 3,
        "max_depth": 20,
        "max_text": 4_294_967_295_u32,
        "max_elements": 4_294_967_295_u32,
        "max_limbs": 131_072,
        "max_fields": 64,
        "spin_us": 50,
        "max_buffers": 256,
        "new_privileges": false,
        "eventfd": null,
        "socket": null,
        "tasks": ["square", "greet"],
    })
}

/// The same where some members are others.
fn but(changes: Value) -> Value {
    let mut known = least();
    for (name, value) in changes.as_object().expect("an object") {
        known[name] = value.clone();
    }
    known
}

fn text(members: &[(&str, &str)]) -> String {
    let members: Vec<_> =
        members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn all() -> Members {
    LEAST.into_iter().chain(MORE).collect()
}

/// All members, one of them with another value.
fn with(name: &str, value: &'static str) -> String {
    let other =
        |member: (&'static str, _)| if member.0 == name { (member.0, value) } else { member };
    text(&all().into_iter().map(other).collect::<Vec<_>>())
}

/// The fewest members and others behind them.
fn and(more: Members) -> String {
    text(&LEAST.into_iter().chain(more).collect::<Vec<_>>())
}

fn vector(words: &str, doc: &str, text: &str) -> Vector {
    Vector::new("boot", words, &["LANE-49"], doc).with("text", text)
}

fn accepted() -> Vec<VectorFile> {
    let whole = json!({
        "host_time_namespace": "4026531834",
        "max_text": 1000,
        "max_elements": 200,
        "max_limbs": 30,
        "max_fields": 4,
        "max_buffers": 5,
        "new_privileges": true,
        "eventfd": 4,
        "socket": "/run/knit/lane",
    });
    let backwards: Members = all().into_iter().rev().collect();
    let (most, most_64) = ("4294967295", "18446744073709551615");
    let largest: Members = all()
        .into_iter()
        .map(|(name, value)| match name {
            "version" | "new_privileges" | "socket" | "tasks" => (name, value),
            "lane" | "host_pid_namespace" | "host_time_namespace" => (name, most_64),
            _ => (name, most),
        })
        .collect();
    let (word, wide) = (json!(4_294_967_295_u32), json!(most_64));
    let mut all_largest = whole.clone();
    for name in ["lane", "host_pid_namespace", "host_time_namespace"] {
        all_largest[name] = wide.clone();
    }
    for name in [
        "epoch",
        "host_pid",
        "max_payload",
        "max_causes",
        "max_depth",
        "max_text",
        "max_elements",
        "max_limbs",
        "max_fields",
        "spin_us",
        "max_buffers",
        "eventfd",
    ] {
        all_largest[name] = word.clone();
    }
    let zero: Members = LEAST
        .into_iter()
        .map(|(name, value)| match name {
            "version" => (name, value),
            "tasks" => (name, "[]"),
            _ => (name, "0"),
        })
        .collect();
    let zeros = json!({
        "epoch": 0, "lane": "0", "host_pid": 0, "host_pid_namespace": "0", "max_payload": 0,
        "max_causes": 0, "max_depth": 0, "spin_us": 0, "tasks": [],
    });
    let spaced = text(&LEAST).replace(':', " :\t").replace(',', "\n, ");
    [
        ("fewest-members", "Members that may be absent are.", text(&LEAST), json!({})),
        ("every-member", "Every member of the table.", text(&all()), whole.clone()),
        ("backwards", "Members come in any order.", text(&backwards), whole),
        ("largest-numbers", "Every number is the largest of its range.", text(&largest), all_largest),
        ("smallest-numbers", "Every number is zero: no limit has a smallest value.", text(&zero), zeros),
        ("white-space", "White space where JSON has it.", format!(" {spaced}\r\n"), json!({})),
        (
            "unknown-members",
            "Members that a reader does not know, whatever they are.",
            and(vec![("later", "[1.5e3,null,-0]"), ("", "{}"), ("Epoch", "8")]),
            json!({}),
        ),
        (
            "null-for-none",
            "Null says what absence says, of these two.",
            and(vec![("eventfd", "null"), ("socket", "null")]),
            json!({}),
        ),
        (
            "eventfd-3",
            "A descriptor that cannot be the eventfd is read as any number.",
            and(vec![("eventfd", "3")]),
            json!({ "eventfd": 3 }),
        ),
        (
            "escapes",
            "Names and strings are compared after their escapes are read.",
            text(&LEAST).replace("epoch", r"\u0065poch").replace("greet", r"gr\u00fc\ud83d\ude00\/"),
            json!({ "tasks": ["square", "grü😀/"] }),
        ),
        (
            "tasks-of-one-name",
            "Names of tasks are not looked at.",
            with("tasks", r#"["a","","a"]"#),
            json!({
                "host_time_namespace": "4026531834", "max_text": 1000, "max_elements": 200, "max_limbs": 30,
                "max_fields": 4, "max_buffers": 5, "new_privileges": true, "eventfd": 4,
                "socket": "/run/knit/lane", "tasks": ["a", "", "a"],
            }),
        ),
    ]
    .into_iter()
    .map(|(words, doc, text, changes)| {
        vector(words, doc, &text).with("verdict", "accepted").with("description", but(changes)).file()
    })
    .collect()
}

fn refused() -> Vec<VectorFile> {
    let refuse = |words: &str, doc: &str, text: &str| {
        vector(words, doc, text).with("verdict", "refused").file()
    };
    let slug = |name: &str| name.replace('_', "-");
    let mut files: Vec<_> = [
        ("empty", "No text at all.", String::new()),
        ("null", "JSON that is no object.", "null".to_owned()),
        ("array", "The values alone, in their order.", r#"[1,7,2]"#.to_owned()),
        ("array-of-one", "An object in an array.", format!("[{}]", text(&LEAST))),
        ("cut-off", "The last byte is missing.", text(&LEAST).trim_end_matches('}').to_owned()),
        ("two-documents", "Something behind the object.", text(&LEAST) + "{}"),
        ("byte-order-mark", "A byte-order mark before it.", format!("\u{feff}{}", text(&LEAST))),
        (
            "no-json",
            "A value that is no JSON, of a member that nobody knows.",
            and(vec![("later", "01")]),
        ),
        ("version-0", "Version 0.", with("version", "0")),
        ("version-2", "Version 2.", with("version", "2")),
        ("negative", "A number below its range.", with("epoch", "-1")),
        ("half", "A number that is not whole.", with("max_payload", "4096.5")),
        ("digits-in-a-string", "A string of digits.", with("host_pid", "\"77\"")),
        ("33-bits", "A number above its range.", with("max_buffers", "4294967296")),
        ("33-bits-of-an-eventfd", "A descriptor above its range.", with("eventfd", "4294967296")),
        (
            "65-bits",
            "A number above its range.",
            with("host_pid_namespace", "18446744073709551616"),
        ),
        ("null-limit", "Null is no number.", with("max_fields", "null")),
        ("null-privileges", "Null is no boolean.", with("new_privileges", "null")),
        ("boolean-as-a-number", "A number is no boolean.", with("new_privileges", "1")),
        ("task-without-a-name", "A name that is null.", with("tasks", r#"["a",null]"#)),
    ]
    .into_iter()
    .map(|(words, doc, text)| refuse(words, doc, &text))
    .collect();
    for (name, _) in LEAST {
        let without: Members = all().into_iter().filter(|member| member.0 != name).collect();
        files.push(refuse(
            &format!("without-{}", slug(name)),
            "A member that may not be absent is.",
            &text(&without),
        ));
    }
    for (name, _) in all() {
        let doc = "A member is an object, which none of them is.";
        files.push(refuse(&format!("{}-of-another-type", slug(name)), doc, &with(name, "{}")));
    }
    files
}
