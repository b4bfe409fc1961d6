//! Workers that are given a wrong boot description or a wrong segment: they end with status 78 and
//! one line that says what was wrong. H13, H14.

mod boot_support;
mod pool_support;

use boot_support::{
    NAMES, WORKER, boot, fields, file, geometry, hash, refusal, segment, segment_len, spawn,
};
use knit_lanes::{EXIT_BOOT_FAILED, HostLane};
use knit_proto::{
    ExtensionBytes, Features, Geometry, HEADER_BYTES, RawHeader, Span, Version, WordOffset, field,
    ready_word,
};
use knit_ring::{Mapping, SharedBytes, SharedMemory, SharedWord, create_segment};
use pool_support::process::state;
use pool_support::{fresh_path, until, within_deadline};
use rustix::fs::{MemfdFlags, SealFlags};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

/// Starts a worker that must refuse, with a status of 78 and a line that has all of `parts`.
#[track_caller]
fn refuses(boot: impl AsRef<OsStr>, stdin: impl Into<Stdio>, parts: &[&str]) {
    let output = spawn(boot, stdin).wait_with_output().unwrap();
    let text = refusal(&output, EXIT_BOOT_FAILED);
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

fn json() -> String {
    boot().to_json().unwrap()
}

/// LANE-6.
#[test]
fn a_good_segment_and_a_good_description_are_accepted() {
    within_deadline(|| {
        let (memory, layout) = segment();
        let mut child = spawn(json(), file(&memory));
        pool_support::until("the worker is ready", || {
            HostLane::connect(&memory, &layout, 1 << 17).unwrap().is_some()
        });
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn a_program_without_a_boot_description_is_no_worker() {
    within_deadline(|| {
        let output = Command::new(WORKER).stdin(Stdio::null()).output().unwrap();
        // `serve_if_worker` returned.
        assert_eq!(output.status.code(), Some(2));
    });
}

/// LANE-49.
#[test]
fn a_malformed_boot_description_is_refused() {
    within_deadline(|| {
        for text in ["", "{", "null", "[]", "{}", "\"x\"", "{\"version\":\"1\"}"] {
            refuses(text, Stdio::null(), &["KNIT_BOOT is malformed"]);
        }
        let not_utf8 = OsStr::from_bytes(b"{\"version\":\xff}");
        refuses(not_utf8, Stdio::null(), &["KNIT_BOOT is malformed", "UTF-8"]);
    });
}

/// LANE-49.
#[test]
fn a_field_that_is_missing_or_of_another_type_is_named() {
    within_deadline(|| {
        let whole: serde_json::Value = serde_json::from_str(&json()).unwrap();
        for name in whole.as_object().unwrap().keys() {
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove(name);
            // Those came later: hosts of before do not say them.
            let later = [
                "max_buffers",
                "max_text",
                "max_elements",
                "max_limbs",
                "max_fields",
                "new_privileges",
                "host_time_namespace",
                "socket",
            ];
            if !later.contains(&name.as_str()) {
                refuses(without.to_string(), Stdio::null(), &["KNIT_BOOT is malformed", name]);
            }
            let mut mistyped = whole.clone();
            mistyped[name] = serde_json::json!([-1.5]);
            refuses(mistyped.to_string(), Stdio::null(), &["KNIT_BOOT is malformed"]);
        }
    });
}

#[test]
fn a_boot_description_of_another_version_is_refused() {
    within_deadline(|| {
        let mut other: serde_json::Value = serde_json::from_str(&json()).unwrap();
        other["version"] = 2.into();
        other.as_object_mut().unwrap().remove("tasks");
        refuses(other.to_string(), Stdio::null(), &["KNIT_BOOT has version 2, expected 1"]);
    });
}

#[test]
fn a_host_that_has_ended_is_not_waited_for() {
    within_deadline(|| {
        let (memory, _) = segment();
        let mut ended = Command::new("/bin/true").spawn().unwrap();
        ended.wait().unwrap();
        let mut orphan: serde_json::Value = serde_json::from_str(&json()).unwrap();
        orphan["host_pid"] = ended.id().into();
        refuses(orphan.to_string(), file(&memory), &["has ended already", &ended.id().to_string()]);
        for pid in [0, u32::MAX] {
            orphan["host_pid"] = pid.into();
            refuses(orphan.to_string(), file(&memory), &["has ended already"]);
        }
    });
}

/// C2: a process that nobody has reaped has ended too.
#[test]
fn a_host_that_nobody_has_reaped_is_not_waited_for() {
    within_deadline(|| {
        let (memory, _) = segment();
        let mut ended = Command::new("/bin/true").spawn().unwrap();
        let id = ended.id().to_string();
        until("it waits to be reaped", || state(&id) == Some('Z'));
        let mut orphan: serde_json::Value = serde_json::from_str(&json()).unwrap();
        orphan["host_pid"] = ended.id().into();
        refuses(orphan.to_string(), file(&memory), &["has ended already", &id]);
        ended.wait().unwrap();
    });
}

/// A memfd of this length with these seals.
fn memfd(len: u64, seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create(c"knit-test", flags).unwrap();
    rustix::fs::ftruncate(&file, len).unwrap();
    rustix::fs::fcntl_add_seals(&file, seals).unwrap();
    file
}

/// SEG-24.
#[test]
fn standard_input_that_is_no_sealed_memfd_is_refused() {
    within_deadline(|| {
        let refused = ["standard input is not a segment", "not sealed"];
        refuses(json(), Stdio::null(), &refused);
        refuses(json(), Stdio::piped(), &refused);
        let path = fresh_path("segment");
        std::fs::write(&path, vec![0; segment_len() as usize]).unwrap();
        let plain = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        refuses(json(), plain, &refused);
        std::fs::remove_file(path).unwrap();
        let len = segment_len().into();
        let all = [SealFlags::SHRINK, SealFlags::GROW, SealFlags::SEAL];
        refuses(json(), memfd(len, SealFlags::empty()), &refused);
        for missing in all {
            let seals = all.into_iter().filter(|seal| *seal != missing).collect();
            refuses(json(), memfd(len, seals), &refused);
        }
    });
}

#[test]
fn a_memfd_of_another_length_is_refused() {
    within_deadline(|| {
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        refuses(json(), memfd(0, seals), &["standard input is not a segment", "0 bytes"]);
        refuses(json(), memfd(1 << 32, seals), &["4294967296 bytes"]);
        for len in [1, 4096, ExtensionBytes::MIN.lane_block_at() - 1] {
            let refused = [&*len.to_string(), "too few"];
            refuses(json(), memfd(len.into(), seals), &refused);
        }
        // A good header in a file of another length.
        for len in [ExtensionBytes::MIN.lane_block_at(), segment_len() - 64, segment_len() + 64] {
            let memory = Mapping::create(len).unwrap();
            write_header(&memory, RawHeader::encode(&fields()));
            refuses(json(), file(&memory), &[&segment_len().to_string(), &len.to_string()]);
        }
    });
}

#[test]
fn a_memfd_that_cannot_be_written_is_refused() {
    within_deadline(|| {
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL | SealFlags::WRITE;
        refuses(json(), memfd(segment_len().into(), seals), &["cannot map the segment"]);
    });
}

fn write_header(memory: &boot_support::Memory, header: RawHeader) {
    let page = memory.bytes(Span::new(0, HEADER_BYTES).unwrap()).unwrap();
    page.store_words(0, &header.0).unwrap();
}

#[test]
fn a_memfd_of_zeros_is_refused() {
    within_deadline(|| {
        let memory = Mapping::create(segment_len()).unwrap();
        refuses(json(), file(&memory), &["the segment is refused", "has not finished"]);
        let ready = WordOffset::new(field::READY as u32 * 4).unwrap();
        memory.word(ready).unwrap().store_release(ready_word(Version::CURRENT));
        refuses(json(), file(&memory), &["not a knit segment", "magic 0x00000000"]);
    });
}

/// SEG-12; and SEG-19: a segment that is not ready is not waited for.
#[test]
fn every_header_field_is_compared_never_obeyed() {
    // H13: what the header says of its own geometry decides nothing.
    let cases: [(usize, u32, &[&str]); 19] = [
        (field::MAGIC, 0x1234_5678, &["magic 0x12345678"]),
        (field::BYTE_ORDER, 0x0403_0201, &["byte-order mark 0x04030201"]),
        (field::MAJOR, 9, &["layout 9.0", "understands 1.0"]),
        (field::MAJOR, 0, &["layout 0.0", "understands 1.0"]),
        (field::MAJOR, 1 << 16, &["65536.0", "sixteen bits"]),
        (field::HEADER_BYTES, 512, &["header length is 512"]),
        (field::PAGE_BYTES, 16_384, &["page size is 16384"]),
        (field::SEGMENT_BYTES, 4096, &["states 4096 bytes"]),
        (field::SEGMENT_BYTES + 1, 1, &["bytes"]),
        (field::REQUIRED, 1 << 20, &["requires features", "0x00100000"]),
        (field::REQUIRED, Features::RECORDER.bits(), &["requires features", "recorder"]),
        (field::EPOCH, 0, &["epoch 0"]),
        (field::LANE_KIND, 9, &["lane kind 9"]),
        (field::SLOTS, 64, &["slot count is 64"]),
        (field::SLOT_STRIDE, 640, &["slot stride is 640"]),
        (field::INLINE_BYTES, 1024, &["inline length is 1024"]),
        (field::ABORT_CAPACITY, 1 << 20, &["1048576 abort signals"]),
        (field::REQUEST_RESERVED, u32::MAX, &["4294967295 bytes reserved"]),
        (field::READY, 0, &["has not finished"]),
    ];
    within_deadline(move || {
        for (index, value, parts) in cases {
            let (memory, _) = segment();
            let at = WordOffset::new(index as u32 * 4).unwrap();
            memory.word(at).unwrap().store_release(value);
            let refused: Vec<_> = ["the segment is refused"].iter().chain(parts).copied().collect();
            refuses(json(), file(&memory), &refused);
        }
        // Every word that gives a place: eight regions and two pages.
        for index in field::EXTENSION..field::REQUEST_RESERVED {
            let (memory, _) = segment();
            let word = memory.word(WordOffset::new(index as u32 * 4).unwrap()).unwrap();
            word.store_release(word.load_acquire() ^ 0x0100_0000);
            refuses(json(), file(&memory), &["the segment is refused"]);
        }
    });
}

#[test]
fn a_segment_of_another_incarnation_is_refused() {
    within_deadline(|| {
        let memory = Mapping::create(segment_len()).unwrap();
        let layout =
            create_segment(&memory, &knit_proto::HeaderFields { epoch: 7, ..fields() }).unwrap();
        HostLane::announce(&memory, &layout, std::process::id()).unwrap();
        refuses(json(), file(&memory), &["epoch 7", "says 1"]);
    });
}

/// LANE-7.
#[test]
fn a_segment_for_other_tasks_is_refused() {
    within_deadline(|| {
        for tasks in [0, hash(&["text", "square", "bytes", "missing"]), hash(&NAMES[..3])] {
            let memory = Mapping::create(segment_len()).unwrap();
            let fields = knit_proto::HeaderFields { tasks, ..fields() };
            let layout = create_segment(&memory, &fields).unwrap();
            HostLane::announce(&memory, &layout, std::process::id()).unwrap();
            refuses(json(), file(&memory), &["task names"]);
        }
    });
}

/// SEG-31: features that need more than a segment are accepted as optional ones alone.
#[test]
fn a_segment_that_requires_more_than_the_worker_has_is_refused() {
    within_deadline(|| {
        for (feature, name) in [
            (Features::EVENTFD, "eventfd"),
            (Features::BUFFER_HANDLES, "buffer handles"),
            (Features::WITHDRAW, "withdraw"),
            (Features::DEADLINES, "deadlines"),
        ] {
            let (memory, layout) = segment();
            let at = WordOffset::new(field::REQUIRED as u32 * 4).unwrap();
            memory.word(at).unwrap().store_release(Features::FUTEX_BELLS.or(feature).bits());
            refuses(json(), file(&memory), &["requires features", name]);
            let control = layout.worker_control();
            for word in [control.state, control.epoch, control.features] {
                assert_eq!(memory.word(word).unwrap().load_acquire(), 0, "{name}");
            }
        }
    });
}

/// SEG-9: a worker that can only sleep on bells does not begin where nobody rings.
#[test]
fn a_segment_without_bells_is_refused() {
    within_deadline(|| {
        let memory = Mapping::create(segment_len()).unwrap();
        let fields = knit_proto::HeaderFields { required: Features::NONE, ..fields() };
        let layout = create_segment(&memory, &fields).unwrap();
        HostLane::announce(&memory, &layout, 1).unwrap();
        refuses(json(), file(&memory), &["futex bells"]);
    });
}

/// LANE-5.
#[test]
fn a_host_that_has_not_announced_itself_is_refused() {
    within_deadline(|| {
        let memory = Mapping::create(segment_len()).unwrap();
        let layout = create_segment(&memory, &fields()).unwrap();
        refuses(json(), file(&memory), &["the segment is refused", "LANE-3", "value 0"]);
        HostLane::announce(&memory, &layout, std::process::id()).unwrap();
        memory.word(layout.host_control().epoch).unwrap().store_release(5);
        refuses(json(), file(&memory), &["LANE-4", "epoch 5"]);
        memory.word(layout.host_control().epoch).unwrap().store_release(1);
        memory.word(layout.host_control().state).unwrap().store_release(7);
        refuses(json(), file(&memory), &["LANE-3", "value 7"]);
    });
}

#[test]
fn a_segment_with_abort_signals_is_accepted() {
    within_deadline(|| {
        let geometry =
            Geometry::new(1 << 20, geometry().arena_bytes(knit_proto::Direction::Response), 258);
        let fields = knit_proto::HeaderFields { geometry: geometry.unwrap(), ..fields() };
        let memory =
            Mapping::create(ExtensionBytes::MIN.lane_block_at() + fields.geometry.block_bytes())
                .unwrap();
        let layout = create_segment(&memory, &fields).unwrap();
        HostLane::announce(&memory, &layout, std::process::id()).unwrap();
        let mut child = spawn(json(), file(&memory));
        pool_support::until("the worker is ready", || {
            HostLane::connect(&memory, &layout, 1 << 17).unwrap().is_some()
        });
        child.kill().unwrap();
        child.wait().unwrap();
    });
}
