//! A worker process answers a simulated Knitting host: every kind of payload, both ways.

#[allow(dead_code, unused_imports, reason = "each test program uses a part of it")]
mod vectors_support;

use knit_tests::knitting::{Answer, Argument, Host, Part, boot};
use knit_tests::vector_files::{bits, bytes, folder, text, word};
use std::process::Command;
use vectors_support::recorded;

const WORKER: &str = env!("CARGO_BIN_EXE_knit-test-worker");

/// Payload regions of upstream's default size.
const PAYLOAD: u32 = 64 << 20;

fn host(names: &[&str]) -> Host {
    let mut host = Host::new(PAYLOAD, Some(258));
    host.start(WORKER, names);
    host
}

/// What the words of an answer say, left-overs aside: tag, `w3` where it is no offset, `w4`, `w5`.
fn significant(words: [u32; 4]) -> [u32; 4] {
    let [tag, w3, w4, w5] = words;
    match Part::of(tag) {
        // Left-overs of tags that say it all.
        Some(Part::Words) if !matches!(tag, 2 | 9 | 25) => [tag, 0, 0, 0],
        Some(Part::Words) => [tag, w3, w4, 0],
        Some(Part::Static | Part::Dynamic) => [tag, 0, 0, w5],
        _ => [tag, 0, w4, w5],
    }
}

fn assert_same(name: &str, answer: &Answer, argument: &Argument) {
    assert!(!answer.rejected(), "{name}: {:?}", String::from_utf8_lossy(&answer.dynamic));
    let [_, _, tag, w3, w4, w5, ..] = answer.words;
    let words = significant([tag, w3, w4, w5]);
    assert_eq!(words, significant(argument.words), "{name}");
    assert_eq!((&answer.inline, &answer.dynamic), (&argument.inline, &argument.dynamic), "{name}");
}

/// KD-15: what stands for memory of a process is not answered.
fn stands_for_memory(argument: &Argument) -> bool {
    let bytes = [&argument.inline[..], &argument.dynamic].concat();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let codecs = ["processSharedBuffer", "bufferReference", "sharedArrayBuffer"];
    argument.words[0] == 46
        || matches!(argument.words[0], 44 | 45 | 49..=52)
            && codecs.iter().any(|codec| text.contains(&format!("\"knitting.{codec}\"")))
}

#[test]
fn every_payload_vector_is_echoed_with_its_own_words_and_bytes() {
    let mut host = host(&["value"]);
    let mut canonical = 0;
    for file in folder("payload") {
        let message = &file.json["message"];
        let argument = Argument {
            words: [
                word(message, "tag"),
                bits(message, "word3"),
                bits(message, "word4"),
                bits(message, "word5"),
            ],
            inline: bytes(message, "inline"),
            dynamic: bytes(message, "arena"),
        };
        let limits = &file.json["limits"];
        let default = ["max_payload", "max_depth", "max_causes"].map(|name| word(limits, name))
            == [8 << 20, 128, 16];
        let answer = host.call(0, 7, &argument);
        if stands_for_memory(&argument) {
            assert!(answer.rejected(), "{}", file.path);
        } else if text(&file.json, "verdict") == "canonical" && default {
            canonical += 1;
            assert_same(&file.path, &answer, &argument);
        } else {
            // Whatever limits say or another form gives: an answer that a host survives came.
            assert!(matches!(answer.words[0], 0 | 1), "{}", file.path);
        }
    }
    assert!(canonical > 150, "{canonical}");
}

#[test]
fn recorded_messages_are_echoed_with_the_recorded_words_and_bytes() {
    let Some(entries) = recorded() else { return };
    let mut host = host(&["aaa", "bbb", "ccc", "value"]);
    let mut echoed = 0;
    for (id, entry) in &entries {
        let words: Vec<u32> = entry["words"]
            .as_array()
            .unwrap()
            .iter()
            .map(|word| u32::try_from(word.as_u64().unwrap()).unwrap())
            .collect();
        // Local buffers never reach a process worker.
        if matches!(words[2], 47 | 48) {
            continue;
        }
        let part = |name: &str| match entry[name]["hex"].as_str() {
            Some(hex) => Some(unhex(hex)),
            None if entry[name].is_null() => Some(Vec::new()),
            // Long recordings are given by their ends. Those whose bytes differ are vectors too.
            None => uniform(&entry[name]),
        };
        let (Some(inline), Some(dynamic)) = (part("static"), part("dynamic")) else { continue };
        let words = [words[2], words[3], words[4], words[5]];
        let argument = Argument { words, inline, dynamic };
        let answer = host.call(3, 5, &argument);
        if stands_for_memory(&argument) {
            assert!(answer.rejected(), "{id}");
        } else {
            assert_same(id, &answer, &argument);
            echoed += 1;
        }
    }
    assert!(echoed > 70, "{echoed} of {}", entries.len());
}

/// The bytes of a long recording that are all the same, such as those of the longest payload.
fn uniform(part: &serde_json::Value) -> Option<Vec<u8>> {
    let ends = ["head_hex", "tail_hex"].map(|end| unhex(text(part, end))).concat();
    let byte = *ends.first().filter(|first| ends.iter().all(|byte| byte == *first))?;
    Some(vec![byte; part["len"].as_u64().unwrap().try_into().unwrap()])
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks_exact(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// KD-30: what is rejected is an error object.
#[test]
fn failures_are_error_objects_that_say_what_went_wrong() {
    let names = ["fail_named", "no_such_task", "number", "panic_text", "square"];
    let mut host = host(&names);
    let error = |host: &mut Host, function, argument: &Argument| {
        let error = host.call(function, 1, argument).error();
        (text(&error, "name").to_owned(), text(&error, "message").to_owned(), error)
    };
    let undefined = Argument { words: [5, 0, 0, 0], ..Argument::default() };
    let (name, message, error_value) = error(&mut host, 0, &undefined);
    assert_eq!((&*name, &*message), ("RangeError", "too far"));
    assert_eq!(error_value["cause"]["message"], "why");
    let (name, message, _) = error(&mut host, 1, &undefined);
    assert_eq!(name, "knit.unknown-task");
    assert!(message.contains("`no_such_task`") && message.contains("square"), "{message}");
    let (name, message, _) = error(&mut host, 2, &Argument::text("seven"));
    assert_eq!(name, "knit.argument", "{message}");
    let (name, message, _) = error(&mut host, 3, &undefined);
    assert_eq!((&*name, &*message), ("knit.panic", "a plain text"));
    // An index that the host itself has no name for.
    let (name, message, _) = error(&mut host, 5, &undefined);
    assert_eq!(name, "knit.unknown-task");
    assert!(message.contains("no task 5"), "{message}");
    // None of that ended the worker.
    assert_eq!(host.call(4, 2, &Argument::number(9.0)).number(), 81.0);
}

#[test]
fn a_result_over_the_hosts_limit_is_rejected_and_the_next_call_served() {
    let mut host = Host::new(64 << 10, None);
    host.start(WORKER, &["filled", "square"]);
    let error = host.call(0, 1, &Argument::number(8193.0)).error();
    assert_eq!(text(&error, "name"), "knit.result", "{error}");
    assert_eq!(host.call(0, 2, &Argument::number(8192.0)).dynamic, vec![7; 8192]);
    assert_eq!(host.call(1, 3, &Argument::number(-2.0)).number(), 4.0);
}

/// A host's limit is for what is in a payload region (KNITTING 9): what is in a slot is not counted.
#[test]
fn what_a_slot_holds_does_not_count_towards_the_hosts_limit() {
    let mut host = Host::new(64 << 10, None);
    host.start(WORKER, &["value"]);
    // An envelope whose body is as long as a payload may be, with a head besides.
    let mut envelope =
        Argument { words: [42, 0, 8192, 512], inline: vec![b'h'; 512], dynamic: vec![3; 8192] };
    assert_same("envelope", &host.call(0, 1, &envelope), &envelope);
    envelope.words[0] = 40;
    envelope.inline = [b"\"", &vec![b'h'; 510][..], b"\""].concat();
    assert_same("envelope of JSON", &host.call(0, 2, &envelope), &envelope);
    // The head in the region counts.
    let envelope = Argument {
        words: [43, 0, 8192 - 513, 513],
        inline: Vec::new(),
        dynamic: [vec![b'h'; 513], vec![3; 8192 - 513]].concat(),
    };
    assert_same("envelope in the region", &host.call(0, 3, &envelope), &envelope);
}

/// A limit so low that no error fits: the call is rejected all the same, and the worker goes on.
#[test]
fn a_host_with_the_lowest_limit_is_served() {
    for limit in [0, 1, 60] {
        let mut host = Host::new(64 << 10, None);
        let mut boot = boot(&host.places, &["panic_text", "square", "value"], None);
        boot["workerData"]["payloadConfig"]["maxPayloadBytes"] = limit.into();
        host.start_with(&mut Command::new(WORKER), &boot.to_string());
        let text = Argument::text(&"x".repeat(512));
        assert_same("text", &host.call(2, 1, &text), &text);
        let undefined = Argument { words: [5, 0, 0, 0], ..Argument::default() };
        let answer = host.call(0, 2, &undefined);
        assert!(answer.rejected() && answer.dynamic.len() <= limit, "{answer:?}");
        assert_eq!(host.call(1, 3, &Argument::number(3.0)).number(), 9.0);
    }
}

/// Shared buffers of this project have no control channel there.
#[test]
fn shared_buffers_are_rejected_both_ways() {
    let mut host = Host::new(1 << 20, None);
    host.start(WORKER, &["new_buffer", "square", "sum"]);
    let error = host.call(0, 1, &Argument::number(64.0)).error();
    assert_eq!(error["name"], "knit.result", "{error}");
    let buffer = Argument { words: [46, 0, 0, 32], inline: vec![0; 32], dynamic: Vec::new() };
    let error = host.call(2, 2, &buffer).error();
    assert_eq!(error["name"], "knit.argument", "{error}");
    assert_eq!(host.call(1, 3, &Argument::number(3.0)).number(), 9.0);
}

/// KD-7, KD-14, KD-15: none of these reaches the host, whose checks in `Host::poll` would fail.
#[test]
fn payloads_that_a_host_would_not_survive_are_rejected_in_the_worker() {
    let names = [
        "raw_json",
        "raw_local",
        "raw_long",
        "raw_move",
        "raw_number",
        "raw_reserved",
        "raw_text",
        "raw_unassigned",
        "square",
    ];
    let mut host = host(&names);
    let undefined = Argument { words: [5, 0, 0, 0], ..Argument::default() };
    for (function, name) in (0..8).zip(names) {
        let error = host.call(function, function, &undefined).error();
        assert_eq!(error["name"], "knit.result", "{name}: {error}");
    }
    assert_eq!(host.call(8, 8, &Argument::number(2.0)).number(), 4.0);
}

#[test]
fn named_memory_is_served_and_standard_input_left_alone() {
    use rustix::shm::{Mode, OFlags};
    let name = format!("kpw_test_{}", std::process::id());
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
    let file = rustix::shm::open(format!("/{name}"), flags, Mode::RUSR | Mode::WUSR).unwrap();
    let places = knit_tests::knitting::Places::new(1 << 20, None);
    let mut host = Host::over(file, places);
    let boot = knit_tests::knitting::boot(&places, &["square"], Some(&name));
    host.start_with(&mut Command::new(WORKER), &boot.to_string());
    let answer = host.call(0, 1, &Argument::number(5.0));
    rustix::shm::unlink(format!("/{name}")).unwrap();
    assert_eq!(answer.number(), 25.0);
}

#[test]
fn a_host_that_asks_for_the_version_gets_one_of_node() {
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(WORKER);
        command.args(arguments).env_remove("KNITTING_PROCESS_WORKER_BOOT");
        // A host that runs inside a worker has the variable of that one.
        if arguments.contains(&"inherited") {
            command.env("KNITTING_PROCESS_WORKER_BOOT", "{}");
        }
        let output = command.stdin(std::process::Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(ask(&["node", "--version"]), (Some(0), "v24.0.0\n".to_owned()));
    assert_eq!(ask(&["/opt/bin/node", "--version"]), (Some(0), "v24.0.0\n".to_owned()));
    assert_eq!(ask(&["inherited", "node", "--version"]), (Some(0), "v24.0.0\n".to_owned()));
    // One that is the program's own business, and none.
    assert_eq!(ask(&["--version"]), (Some(2), String::new()));
    assert_eq!(ask(&[]), (Some(2), String::new()));
}
