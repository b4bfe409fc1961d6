//! Boot descriptions that no host writes.

use super::carries_on;
use crate::case::{Case, Deed, Expect};
use crate::host::{BootChange, Start};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// First number of these cases. They end below 100.
const FIRST: u32 = 1;

/// Members without which there is no description.
const NEEDED: [&str; 10] = [
    "version",
    "epoch",
    "lane",
    "host_pid",
    "host_pid_namespace",
    "max_payload",
    "max_causes",
    "max_depth",
    "spin_us",
    "tasks",
];
/// Members that have a default.
const OPTIONAL: [&str; 6] =
    ["max_text", "max_elements", "max_limbs", "max_fields", "max_buffers", "new_privileges"];

/// The cases. Rows are only ever added at the end.
pub(super) fn all() -> Vec<Case> {
    let mut rows = texts();
    rows.extend(members());
    rows.extend(values());
    rows.extend(accepted());
    (FIRST..)
        .zip(rows)
        .map(|(number, (name, expect, boot))| {
            let start = Start { boot: Some(boot), ..Start::default() };
            Case { number, name, clause: "LANE-22", expect, deed: Deed::Host(start, carries_on()) }
        })
        .collect()
}

type Row = (String, Expect, BootChange);

/// A description that is this text, whatever an honest host would say.
fn text(name: &str, expect: Expect, text: impl Into<Vec<u8>>) -> Row {
    let text = OsString::from_vec(text.into());
    (format!("boot-{name}"), expect, Box::new(move |_| text.clone()))
}

/// The honest description with one member changed; without it where there is no value.
fn member(name: String, expect: Expect, member: &'static str, value: Option<Value>) -> Row {
    let change = move |mut boot: Value| {
        let members = boot.as_object_mut().expect("an object");
        match &value {
            Some(value) => drop(members.insert(member.to_owned(), value.clone())),
            None => drop(members.shift_remove(member)),
        }
        boot.to_string().into()
    };
    (format!("boot-{name}"), expect, Box::new(change))
}

fn texts() -> Vec<Row> {
    use Expect::Refuses;
    let after = |name: &str, tail: &'static str| -> Row {
        let change = move |boot: Value| format!("{boot}{tail}").into();
        (format!("boot-{name}"), Refuses, Box::new(change))
    };
    vec![
        text("empty", Refuses, ""),
        text("open-brace", Refuses, "{"),
        text("null", Refuses, "null"),
        text("array", Refuses, "[]"),
        text("object", Refuses, "{}"),
        text("string", Refuses, "\"x\""),
        text("number", Refuses, "1"),
        text("not-utf8", Refuses, b"{\"version\":\xff}"),
        text("deep", Refuses, "[".repeat(100_000)),
        text("deep-objects", Refuses, "{\"a\":".repeat(20_000)),
        text("long", Refuses, vec![b' '; 120_000]),
        after("text-behind", "x"),
        after("two", "{}"),
    ]
}

fn members() -> Vec<Row> {
    let without = NEEDED.map(|name| member(format!("without-{name}"), Expect::Refuses, name, None));
    let mistyped = NEEDED.into_iter().chain(OPTIONAL).map(|name| {
        member(format!("{name}-is-an-object"), Expect::Refuses, name, Some(json!({"a": 1})))
    });
    let negative = NEEDED
        .into_iter()
        .filter(|name| *name != "tasks")
        .map(|name| member(format!("{name}-is-negative"), Expect::Refuses, name, Some(json!(-1))));
    without.into_iter().chain(mistyped).chain(negative).collect()
}

fn values() -> Vec<Row> {
    let refused = |name: &str, of, value| member(name.to_owned(), Expect::Refuses, of, Some(value));
    vec![
        refused("version-0", "version", json!(0)),
        refused("version-2", "version", json!(2)),
        refused("version-text", "version", json!("1")),
        refused("version-and-a-half", "version", json!(1.5)),
        refused("epoch-0", "epoch", json!(0)),
        refused("epoch-other", "epoch", json!(8)),
        refused("epoch-2-32", "epoch", json!((1_u64 << 32) + 7)),
        refused("host-0", "host_pid", json!(0)),
        refused("host-never-was", "host_pid", json!(u32::MAX)),
        refused("tasks-none", "tasks", json!([])),
        refused("tasks-other", "tasks", json!(["echo", "sum", "other"])),
        refused("tasks-in-another-order", "tasks", json!(["sum", "echo", "absent"])),
        refused("tasks-joined", "tasks", json!(["echosum", "absent"])),
        refused("tasks-one-more", "tasks", json!(["echo", "sum", "absent", ""])),
        refused("tasks-numbers", "tasks", json!([1, 2, 3])),
        refused("tasks-null", "tasks", json!(["echo", null, "absent"])),
    ]
}

fn accepted() -> Vec<Row> {
    let row = |name: String, expect, of, value| member(name, expect, of, Some(value));
    let carried = |name: &str, of, value| row(name.to_owned(), Expect::Carries, of, value);
    let mut rows: Vec<_> = OPTIONAL
        .into_iter()
        .map(|name| member(format!("without-{name}"), Expect::Carries, name, None))
        .collect();
    rows.push(carried("unknown-member", "no_such_member", json!([{"a": [1, 2]}])));
    rows.push(carried("lane-large", "lane", json!(u32::MAX)));
    rows.push(carried("another-namespace", "host_pid_namespace", json!(1)));
    rows.push(carried("no-causes", "max_causes", json!(0)));
    rows.push(carried("spins-for-long", "spin_us", json!(u32::MAX)));
    rows.push(carried("no-spin", "spin_us", json!(0)));
    rows.push(carried("no-buffers", "max_buffers", json!(0)));
    // Whether members may come twice, JSON does not say.
    let twice = |boot: Value| boot.to_string().replacen('{', "{\"epoch\":7,", 1).into();
    rows.push(("boot-epoch-twice".to_owned(), Expect::Survives, Box::new(twice)));
    let deep = |boot: Value| {
        let nested = ["[".repeat(20_000), "]".repeat(20_000)].concat();
        boot.to_string().replacen('{', &format!("{{\"unknown\":{nested},"), 1).into()
    };
    rows.push(("boot-unknown-member-deep".to_owned(), Expect::Survives, Box::new(deep)));
    rows
}
