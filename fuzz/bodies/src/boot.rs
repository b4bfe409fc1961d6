//! Boot descriptions, of this project and of Knitting.

use crate::corpus::Seed;
use crate::input::{Input, Output};
use knit_lanes::knitting::{self, SharedObject};
use knit_lanes::{Boot, BootError};
use knit_proto::{Direction, Region};
use knit_tests::EDGES;
use knit_tests::knitting::{Places, boot as description};
use knit_tests::reference::is_json;
use serde_json::{Value as Json, json};
use std::sync::LazyLock;
use std::time::Duration;

const TEXT: u8 = 0;
const OURS: u8 = 1;
const KNITTINGS: u8 = 2;

/// Most changes of one description.
const MOST_CHANGES: usize = 12;
/// A description of more members is not changed any more.
const MOST_MEMBERS: usize = 500;

/// A text; or changes of a description of this project, or of one of Knitting.
///
/// A description is refused with an error that can be printed, or it is what its text says, every place of it
/// lies inside the memory and apart from the others, and every limit and wait is within bounds.
///
/// # Panics
///
/// It is not.
pub fn boot(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.below(3) {
        OURS => {
            static UNCHANGED: LazyLock<Json> = LazyLock::new(ours);
            hold_ours(&changed(UNCHANGED.clone(), &mut input).to_string());
        }
        KNITTINGS => {
            static UNCHANGED: LazyLock<Json> = LazyLock::new(knittings);
            hold_knittings(&changed(UNCHANGED.clone(), &mut input).to_string());
        }
        _ => {
            let text = String::from_utf8_lossy(input.rest());
            hold_ours(&text);
            hold_knittings(&text);
        }
    }
}

fn ours() -> Json {
    json!({
        "version": 1, "epoch": 3, "lane": 1, "host_pid": 100, "host_pid_namespace": 4_026_531_836_u64,
        "max_payload": 8 << 20, "max_causes": 16, "max_depth": 128, "spin_us": 50, "max_buffers": 256,
        "tasks": ["square", "grüße"],
    })
}

fn knittings() -> Json {
    description(&Places::new(4096, Some(258)), &["alpha", "square"], None)
}

/// How many parts a description has, of all levels.
fn parts(json: &Json) -> usize {
    let parts_of = |value: &Json| 1 + parts(value);
    match json {
        Json::Object(members) => members.values().map(parts_of).sum(),
        Json::Array(elements) => elements.iter().map(parts_of).sum(),
        _ => 0,
    }
}

/// Path of the part that has so many before it, a part coming after what is in it. `left` is what is left of
/// that number.
fn path(json: &Json, left: &mut usize) -> Option<String> {
    let mut path_in = |name: &dyn core::fmt::Display, value: &Json| {
        if let Some(below) = path(value, left) {
            return Some(format!("/{name}{below}"));
        }
        match left.checked_sub(1) {
            None => Some(format!("/{name}")),
            Some(less) => {
                *left = less;
                None
            }
        }
    };
    match json {
        Json::Object(members) => members.iter().find_map(|(name, value)| path_in(name, value)),
        Json::Array(elements) => {
            elements.iter().enumerate().find_map(|(index, value)| path_in(&index, value))
        }
        _ => None,
    }
}

fn changed(mut json: Json, input: &mut Input<'_>) -> Json {
    input.some_steps(MOST_CHANGES, |input| {
        let all = parts(&json);
        // Copies of parts double what there is.
        if all == 0 || all > MOST_MEMBERS {
            return;
        }
        let nth = |n: u16| path(&json, &mut (usize::from(n) % all)).expect("there are as many");
        let path = &*nth(input.short());
        let value = match input.below(9) {
            0 => {
                let (parent, name) = path.rsplit_once('/').expect("paths begin with one");
                if let Some(Json::Object(members)) = json.pointer_mut(parent) {
                    members.remove(name);
                }
                return;
            }
            1 => json!(input.word()),
            2 => json!(EDGES[usize::from(input.below(16))]),
            3 => json!(input.wide()),
            4 => json!(f64::from_bits(input.wide())),
            5 => json!(input.text()),
            6 => {
                let other = nth(input.short());
                json.pointer(&other).cloned().unwrap_or_default()
            }
            7 => match json.pointer(path).and_then(Json::as_u64) {
                Some(number) => json!(number.wrapping_add(input.word() as i32 as u64)),
                None => Json::Null,
            },
            _ => json!([input.flag()]),
        };
        *json.pointer_mut(path).expect("it is one of its paths") = value;
    });
    json
}

fn hold_ours(text: &str) {
    let boot = match Boot::from_json(text) {
        Ok(boot) => boot,
        Err(error) => {
            let malformed =
                matches!(error, BootError::Malformed { .. } | BootError::Version { .. });
            assert!(malformed && !error.to_string().is_empty());
            return;
        }
    };
    // What it says, read in another way. What that one cannot hold, such as 1e999, stands in members that nobody reads.
    match serde_json::from_str(text) {
        Ok(json) => hold_said(&boot, &json, text),
        Err(error) => assert!(is_json(text, usize::MAX), "{error}: {text}"),
    }
    match boot.to_json() {
        Ok(again) => assert_eq!(Boot::from_json(&again).as_ref(), Ok(&boot)),
        Err(BootError::TooLong { bytes, max }) => assert!(bytes > max),
        Err(error) => panic!("{error}: {boot:?}"),
    }
}

fn hold_said(boot: &Boot, json: &Json, text: &str) {
    let said = |name: &str, value: u64| {
        // The derived reader takes an array of the members in their order too.
        assert!(json.is_array() || json[name].as_u64() == Some(value), "{name} is {value}: {text}");
    };
    said("version", 1);
    said("epoch", boot.epoch.into());
    said("lane", boot.lane as u64);
    said("host_pid", boot.host_pid.into());
    said("host_pid_namespace", boot.host_pid_namespace);
    said("max_payload", boot.max_payload.into());
    said("max_causes", boot.max_causes.into());
    said("max_depth", boot.max_depth.into());
    said("spin_us", boot.spin_us.into());
    // No member and `null` are the same.
    let eventfd = boot.eventfd.map(u64::from);
    assert!(json.is_array() || json["eventfd"].as_u64() == eventfd, "eventfd: {text}");
    assert!(json.is_array() || json["socket"].as_str() == boot.socket.as_deref(), "socket: {text}");
    if let Some(tasks) = json["tasks"].as_array() {
        assert!(
            tasks.iter().map(Json::as_str).eq(boot.tasks.iter().map(|name| Some(name.as_str())))
        );
    }
}

fn hold_knittings(text: &str) {
    let boot = match knitting::Boot::from_json(text) {
        Ok(boot) => boot,
        Err(error) => {
            assert!(error != knitting::BootError::Missing && !error.to_string().is_empty());
            return;
        }
    };
    let layout = boot.layout();
    let spans = Region::ALL.map(|region| layout.region(region));
    for (at, span) in spans.iter().enumerate() {
        assert!(u64::from(span.at()) + u64::from(span.len()) <= boot.len().into(), "{span:?}");
        assert!(span.is_empty() || span.at().is_multiple_of(64), "{span:?}");
        for other in spans[..at].iter().filter(|other| !other.is_empty() && !span.is_empty()) {
            assert!(span.end() <= other.at() || other.end() <= span.at(), "{span:?}, {other:?}");
        }
    }
    let bits = u64::from(layout.region(Region::AbortBits).len()) * 8;
    assert!(u64::from(layout.abort_capacity()) <= bits);
    for direction in [Direction::Request, Direction::Response] {
        assert_eq!(layout.mailbox(direction).slot_count(), 32);
        // Of a region of payloads, 64 bytes are not for payloads, and as many may be left over.
        assert!(boot.max_payload() <= layout.arena(direction).data().len() + 128);
    }
    assert!(boot.spin() <= Duration::from_secs(1));
    assert!((Duration::from_micros(100)..=Duration::from_millis(50)).contains(&boot.park()));
    match boot.object() {
        SharedObject::Inherited => {}
        SharedObject::Named(name) => {
            let one = !name.is_empty() && !name.contains(['/', '\0']) && !name.starts_with("../");
            assert!(one && name.len() <= 255 && name != "." && name != "..", "{name:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// Descriptions that are read, as texts and to be changed. There are no vectors of them.
pub(crate) fn seeds() -> Vec<Seed> {
    let text = |json: Json| Output::default().byte(TEXT).raw(json.to_string().as_bytes()).done();
    let named = description(&Places::new(1 << 20, None), &["alpha"], Some("kpw_name"));
    vec![
        Seed::new("ours", text(ours())),
        Seed::new("knitting-inherited", text(knittings())),
        Seed::new("knitting-named", text(named)),
        Seed::new("ours-unchanged", vec![OURS]),
        Seed::new("knitting-unchanged", vec![KNITTINGS]),
        Seed::new("ours-field-missing", vec![OURS, 2, 0, 0]),
        Seed::new("knitting-place-moved", vec![KNITTINGS, 12, 0, 7, 64, 0, 0, 0]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_part_of_a_description_has_a_path_of_its_own() {
        for json in [ours(), knittings(), json!(7), json!([[], {}, [[1]]])] {
            let all = parts(&json);
            let paths: BTreeSet<_> =
                (0..all).map(|n| path(&json, &mut n.clone()).expect("a part")).collect();
            assert_eq!(paths.len(), all);
            assert!(paths.iter().all(|path| json.pointer(path).is_some()), "{paths:?}");
            assert_eq!(path(&json, &mut all.clone()), None);
        }
        // What is in a part comes before it.
        let json = json!({"a": [1, {"b": 2}], "c": 3});
        let all: Vec<_> = (0..5_usize).map(|n| path(&json, &mut n.clone()).unwrap()).collect();
        assert_eq!(all, ["/a/0", "/a/1/b", "/a/1", "/a", "/c"]);
    }
}
