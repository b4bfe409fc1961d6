//! Boot descriptions of Knitting hosts: real ones are read, wrong ones refused.

use knit_lanes::knitting::{Boot, BootError, SharedObject};
use knit_proto::{BareLayoutError, Region};
use knit_tests::knitting::{Argument, Host, Places, boot};
use serde_json::{Value as Json, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const WORKER: &str = env!("CARGO_BIN_EXE_knit-test-worker");
const RECORDED: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/knitting-boot.json");

fn places() -> Places {
    Places::new(1 << 20, Some(258))
}

fn good() -> Json {
    boot(&places(), &["alpha", "square"], None)
}

fn read(json: &Json) -> Result<Boot, BootError> {
    Boot::from_json(&json.to_string())
}

#[test]
fn recorded_descriptions_are_read() {
    if !Path::new(RECORDED).exists() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{RECORDED} is missing");
        println!("skipped: {RECORDED} is missing");
        return;
    }
    let file: Json = serde_json::from_str(&std::fs::read_to_string(RECORDED).unwrap()).unwrap();
    let boots = file["boots"].as_object().unwrap();
    assert_eq!(boots.len(), 4);
    for (host, json) in boots {
        let boot = read(json).unwrap_or_else(|error| panic!("{host}: {error}"));
        assert_eq!(boot.names(), ["alpha", "inc", "raw"], "{host}");
        assert_eq!((boot.len(), boot.max_payload()), (134_255_360, 8 << 20), "{host}");
        assert_eq!(boot.layout().abort_capacity(), 258);
        assert_eq!(boot.layout().region(Region::ResponseArena).at(), 67_146_496);
        assert_eq!(boot.spin(), Duration::from_micros(50));
        assert_eq!(boot.park(), Duration::from_millis(1));
        let named = SharedObject::Named("kpw_dxm_0_0_3utnt".into());
        let expected = if host == "deno_host_named" { named } else { SharedObject::Inherited };
        assert_eq!(*boot.object(), expected, "{host}");
    }
}

/// Paths of all members, those in arrays left out.
fn members(json: &Json, at: &str, into: &mut Vec<String>) {
    for (name, value) in json.as_object().into_iter().flatten() {
        let path = format!("{at}/{name}");
        members(value, &path, into);
        into.push(path);
    }
}

/// Members that hosts may leave out.
fn optional(path: &str) -> bool {
    path.starts_with("/workerData/workerOptions")
        || path == "/workerData/payloadConfig"
        || path.starts_with("/workerData/payloadConfig/") && !path.ends_with("maxPayloadBytes")
        || path == "/workerData/abortSignalSAB"
        || path.ends_with("/baseAddressMod64")
}

#[test]
fn every_field_that_is_missing_is_named() {
    let mut paths = Vec::new();
    members(&good(), "", &mut paths);
    let needed: Vec<_> = paths.iter().filter(|path| !optional(path)).collect();
    assert!(needed.len() > 100, "{}", needed.len());
    for path in needed {
        let (parent, name) = path.rsplit_once('/').unwrap();
        let mut json = good();
        json.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        let error = read(&json).unwrap_err().to_string();
        assert!(error.contains(name), "{path}: {error}");
    }
}

#[test]
fn every_field_of_another_type_is_refused() {
    let mut paths = Vec::new();
    members(&good(), "", &mut paths);
    // Not looked at: only there for JavaScript workers.
    let ignored =
        ["baseAddressMod64", "runtime", "mode", "payloadInitialBytes", "payloadMaxByteLength"];
    for path in &paths {
        if ignored.iter().any(|name| path.ends_with(name)) && !path.contains("descriptor/runtime") {
            continue;
        }
        let mut json = good();
        *json.pointer_mut(path).unwrap() = true.into();
        assert!(read(&json).is_err(), "{path}");
    }
    for text in ["", "{", "null", "[]", "7", "{}", "\u{feff}{}"] {
        assert!(matches!(Boot::from_json(text), Err(BootError::Malformed { .. })), "{text:?}");
    }
}

/// Whether a description without a member may have null in its place.
fn nullable(path: &str) -> bool {
    optional(path) && !path.ends_with("/timers") || path.ends_with("/abortSignalMax")
}

/// Arrays included, in which serde alone would look for the members of an object.
#[test]
fn every_field_of_any_other_kind_is_refused() {
    fn kind(json: &Json) -> u8 {
        match json {
            Json::Null => 0,
            Json::Bool(_) => 1,
            Json::Number(_) => 2,
            Json::String(_) => 3,
            Json::Array(_) => 4,
            Json::Object(_) => 5,
        }
    }
    let mut paths = Vec::new();
    members(&good(), "", &mut paths);
    let ignored = ["baseAddressMod64", "/mode", "payloadInitialBytes", "payloadMaxByteLength"];
    let mut refused = 0;
    for path in paths.iter().filter(|path| !ignored.iter().any(|name| path.ends_with(name))) {
        if path == "/workerData/workerOptions/runtime" {
            continue;
        }
        let found = good().pointer(path).unwrap().clone();
        // The members of an object in the order in which they stand, and in that of their names.
        let members: Vec<Json> = found
            .as_object()
            .map(|members| members.values().cloned().collect())
            .unwrap_or_default();
        let mut sorted: Vec<_> = found.as_object().into_iter().flatten().collect();
        sorted.sort_by_key(|(name, _)| name.as_str());
        let sorted: Vec<_> = sorted.into_iter().map(|(_, value)| value.clone()).collect();
        for other in [
            json!(null),
            json!(true),
            json!(7),
            json!("7"),
            json!([]),
            json!([7]),
            json!({}),
            json!(members),
            json!(sorted),
        ] {
            if kind(&other) == kind(&found) || other.is_null() && nullable(path) {
                continue;
            }
            let mut json = good();
            *json.pointer_mut(path).unwrap() = other.clone();
            let error = read(&json).expect_err(path);
            // All that is left out where it is null is the room for the signals.
            let named = matches!(error, BootError::Malformed { .. } | BootError::Field { .. });
            assert!(named, "{path} as {other}: {error}");
            refused += 1;
        }
    }
    assert!(refused > 800, "{refused}");
    for (list, element) in
        [("list", json!(1)), ("ids", json!("1")), ("names", json!(null)), ("at", json!([]))]
    {
        let mut json = good();
        json["workerData"][list] = json!([element]);
        assert!(matches!(read(&json), Err(BootError::Malformed { .. })), "{list}");
    }
    // The whole.
    let data = good()["workerData"].clone();
    for whole in [json!([1, data]), json!([data, 1]), json!([1])] {
        assert!(matches!(read(&whole), Err(BootError::Malformed { .. })));
    }
}

/// Numbers of JSON that are no whole numbers, negative or too large for what they count.
#[test]
fn every_number_that_is_none_of_its_type_is_refused() {
    let mut paths = Vec::new();
    members(&good(), "", &mut paths);
    // Any number will do there.
    let free = ["startAt", "baseAddressMod64", "payloadInitialBytes", "payloadMaxByteLength"];
    let mut refused = 0;
    for path in paths.iter().filter(|path| !free.iter().any(|name| path.ends_with(name))) {
        if !good().pointer(path).unwrap().is_number() || path.ends_with("/parkMs") {
            continue;
        }
        for number in [json!(-1), json!(0.5), json!(1e300), json!(u64::MAX)] {
            let mut json = good();
            *json.pointer_mut(path).unwrap() = number.clone();
            assert!(read(&json).is_err(), "{path} as {number}");
            refused += 1;
        }
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn more_tasks_than_indexes_are_refused() {
    let names = vec!["a"; (1 << 16) + 1];
    let error = read(&boot(&places(), &names, None)).unwrap_err().to_string();
    assert!(error.contains("names"), "{error}");
    assert!(read(&boot(&places(), &names[1..], None)).is_ok());
}

#[test]
fn every_version_but_one_is_refused_wherever_it_stands() {
    let mut paths = Vec::new();
    members(&good(), "", &mut paths);
    let versions: Vec<_> = paths.iter().filter(|path| path.ends_with("/version")).collect();
    assert_eq!(versions.len(), 1 + 2 * 10);
    for path in versions {
        for version in [0, 2] {
            let mut json = good();
            *json.pointer_mut(path).unwrap() = version.into();
            let error = read(&json).unwrap_err();
            let BootError::Version { found, .. } = error else { panic!("{path}: {error}") };
            assert_eq!(found, version, "{path}");
        }
    }
}

/// The regions of a description, and what the layout calls them.
const REGIONS: [(&str, Region); 8] = [
    ("/workerData/sab", Region::Signals),
    ("/workerData/lock/lockSector", Region::RequestSector),
    ("/workerData/returnLock/lockSector", Region::ResponseSector),
    ("/workerData/lock/headers", Region::RequestSlots),
    ("/workerData/returnLock/headers", Region::ResponseSlots),
    ("/workerData/abortSignalSAB", Region::AbortBits),
    ("/workerData/lock/payload", Region::RequestArena),
    ("/workerData/returnLock/payload", Region::ResponseArena),
];

/// The description with another place of a region; the payload sector goes with its lock sector.
fn with_place(path: &str, member: &str, value: u64) -> Json {
    let mut json = good();
    json.pointer_mut(path).unwrap()[member] = value.into();
    if let Some(lock) = path.strip_suffix("/lockSector") {
        json.pointer_mut(&format!("{lock}/payloadSector")).unwrap()[member] = value.into();
    }
    json
}

#[test]
fn regions_outside_of_the_memory_and_unaligned_ones_are_refused() {
    for (path, region) in REGIONS {
        let size = u64::from(places().size);
        for at in [size, 1 << 32, u64::MAX - 63] {
            let error = read(&with_place(path, "byteOffset", at)).unwrap_err();
            assert!(
                matches!(error, BootError::Layout(BareLayoutError::Outside { region: r, .. }) if r == region),
                "{path} at {at}: {error}"
            );
        }
        let at = good().pointer(path).unwrap()["byteOffset"].as_u64().unwrap() + 4;
        let error = read(&with_place(path, "byteOffset", at)).unwrap_err();
        assert_eq!(error, BootError::Layout(BareLayoutError::Alignment { region, at }), "{path}");
        for bytes in [0, 3, 1 << 32, u64::MAX] {
            assert!(read(&with_place(path, "byteLength", bytes)).is_err(), "{path} of {bytes}");
        }
    }
}

#[test]
fn regions_that_overlap_are_refused() {
    let mut overlaps = 0;
    for (path, _) in REGIONS {
        for (other, _) in REGIONS.iter().filter(|(other, _)| *other != path) {
            let at = good().pointer(other).unwrap()["byteOffset"].as_u64().unwrap();
            let error = read(&with_place(path, "byteOffset", at)).unwrap_err();
            // A large region on top of the last ones ends outside.
            overlaps +=
                u32::from(matches!(error, BootError::Layout(BareLayoutError::Overlap { .. })));
        }
    }
    assert!(overlaps > 45, "{overlaps}");
}

#[test]
fn values_that_no_process_worker_has_are_refused() {
    let refused = |path: &str, value: Json| {
        let mut json = good();
        let (parent, name) = path.rsplit_once('/').unwrap();
        json.pointer_mut(parent).unwrap()[name] = value;
        read(&json).unwrap_err().to_string()
    };
    for (path, value, says) in [
        ("/workerData/lock/headerSlotStrideU32", json!(288), "144"),
        ("/workerData/returnLock/headerSlotStrideU32", json!(0), "144"),
        ("/workerData/lock/payloadSector/byteOffset", json!(448), "lock sector"),
        ("/workerData/lock/headers/descriptor/size", json!(64), "another object"),
        ("/workerData/returnLock/payload/descriptor/fd", json!(1), "another object"),
        ("/workerData/sab/descriptor/name", json!("x"), "another object"),
        ("/workerData/abortSignalMax", json!(65_535), "65534"),
        ("/workerData/abortSignalMax", json!(null), "abortSignalMax"),
        ("/workerData/payloadConfig/maxPayloadBytes", json!(1 << 21), "payload region"),
        ("/workerData/steal", json!({}), "steal"),
        ("/workerData/workerOptions/timers/parkMs", json!(-1), "parkMs"),
        ("/workerData/workerOptions/timers/spinMicroseconds", json!(-1), "spinMicroseconds"),
    ] {
        let error = refused(path, value);
        assert!(error.contains(says), "{path}: {error}");
    }
    for name in ["", "a/b", "..", ".", "a\0b", &"n".repeat(256)] {
        let error = read(&boot(&places(), &[], Some(name))).unwrap_err().to_string();
        assert!(error.contains("descriptor.name"), "{name:?}: {error}");
    }
    let everywhere = good().to_string().replace("\"fd\":0", "\"fd\":3");
    assert!(Boot::from_json(&everywhere).unwrap_err().to_string().contains("descriptor.fd"));
}

#[test]
fn waits_are_bounded_by_what_the_host_can_do() {
    let park = |ms: Json, runtime: &str| {
        let mut json = good();
        json["workerData"]["workerOptions"]["timers"]["parkMs"] = ms;
        json["workerData"]["workerOptions"]["processRuntime"] = runtime.into();
        read(&json).unwrap().park()
    };
    let ms = Duration::from_millis;
    assert_eq!(park(json!(10), "node"), ms(10));
    // Infinity is null in JSON.
    assert_eq!(park(json!(null), "node"), ms(50));
    assert_eq!(park(json!(1e300), "node"), ms(50));
    assert_eq!(park(json!(10), "deno"), ms(1));
    assert_eq!(park(json!(0), "bun"), Duration::from_micros(100));
}

/// How a worker process ends with this description, and what it says.
fn start(boot: Option<&str>, stdin: Stdio) -> (Option<i32>, String) {
    let mut command = Command::new(WORKER);
    command.env_remove("KNITTING_PROCESS_WORKER_BOOT").stdin(stdin);
    if let Some(boot) = boot {
        command.env("KNITTING_PROCESS_WORKER_BOOT", boot);
    }
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_worker_that_cannot_begin_says_why_and_ends_with_its_own_status() {
    let good = good().to_string();
    let short = tempfile(64);
    for (boot, stdin, says) in [
        ("{", Stdio::null(), "malformed"),
        (&good.replace("\"version\":1", "\"version\":9"), Stdio::null(), "version is 9"),
        // A Deno host passes something else as standard input. KD-11.
        (&good, Stdio::null(), "processSharedMemory: \"named\""),
        (&good, Stdio::piped(), "no shared memory"),
        (&good, Stdio::from(short), "64 bytes"),
        (
            &boot(&places(), &[], Some("knit-no-such-object")).to_string(),
            Stdio::null(),
            "open the named shared memory",
        ),
    ] {
        let (status, error) = start(Some(boot), stdin);
        assert_eq!(status, Some(knit_lanes::EXIT_BOOT_FAILED), "{error}");
        assert!(error.contains(says) && error.lines().count() == 1, "{says}: {error}");
    }
}

fn tempfile(len: u64) -> std::fs::File {
    let file = rustix::fs::memfd_create(c"short", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&file, len).unwrap();
    file.into()
}

/// A payload region whose length is no multiple of 64: its last bytes are used by requests.
#[test]
fn a_region_of_any_length_is_served_to_its_end() {
    let mut places = Places::new(8192, None);
    places.payloads[0].1 -= 24;
    places.payloads[1].1 -= 24;
    let mut boot = boot(&places, &["bytes"], None);
    boot["workerData"]["payloadConfig"]["maxPayloadBytes"] = (8192 - 64 - 24).into();
    let mut host = Host::new(8192, None);
    host.start_with(&mut Command::new(WORKER), &boot.to_string());
    let longest = vec![3; 8192 - 64 - 24];
    let answer = host.call(0, 1, &Argument::bytes(longest));
    // It has come in, and does not go out: the last granule is not the worker's.
    assert_eq!(answer.error()["name"], "knit.result");
}
