//! Segment headers that a reader takes.

use super::super::VectorFile;
use super::super::build::{Vector, Verdict, hex};
use super::{Header, KNOWN, SMALL, reader};
use serde_json::Value;

struct Case<'a> {
    words: &'a str,
    clauses: &'a [&'a str],
    doc: &'a str,
    verdict: Verdict,
    reader: Value,
    header: Header,
}

impl Case<'_> {
    fn file(self) -> VectorFile {
        Vector::new("header", self.words, self.clauses, self.doc)
            .with("verdict", self.verdict)
            .with("reader", self.reader)
            .with("mapped", self.header.segment_bytes())
            .with("bytes", hex(&self.header.bytes()))
            .with("fields", self.header.fields())
            .with("layout", self.header.layout())
            .file()
    }
}

pub(super) fn vectors() -> Vec<VectorFile> {
    [sizes(), values(), versions()].concat()
}

/// A header of 1.0 that this version's own reader reads.
fn current(words: &str, clauses: &[&str], doc: &str, header: Header) -> VectorFile {
    let (reader, verdict) = (reader(1, 0, KNOWN), Verdict::Canonical);
    Case { words, clauses, doc, verdict, reader, header }.file()
}

fn sizes() -> Vec<VectorFile> {
    let abort = |abort_capacity| Header { abort_capacity, ..SMALL };
    vec![
        current(
            "smallest",
            &["SEG-16", "SEG-5", "SEG-12"],
            "The smallest lane: arenas of 128 bytes, no abort signals.",
            Header { request_arena: 128, response_arena: 128, ..SMALL },
        ),
        current(
            "default-arenas",
            &["SEG-12", "SEG-5", "SEG-11"],
            "Arenas of 64 MiB and 258 abort signals, as the upstream system makes them.",
            Header {
                request_arena: 64 << 20,
                response_arena: 64 << 20,
                abort_capacity: 258,
                ..SMALL
            },
        ),
        current(
            "largest",
            &["SEG-16", "SEG-17", "SEG-25", "SEG-11"],
            "The largest lane: arenas of 1 GiB, 65534 abort signals, an extension of 16 MiB.",
            Header {
                request_arena: 1 << 30,
                response_arena: 1 << 30,
                abort_capacity: 65_534,
                extension: 16 << 20,
                ..SMALL
            },
        ),
        current(
            "arenas-differ",
            &["SEG-12", "SEG-16"],
            "The two arenas have lengths of their own.",
            Header { request_arena: 64 << 10, response_arena: 192, ..SMALL },
        ),
        current(
            "no-signals",
            &["SEG-17", "SEG-12"],
            "No abort signals: the region is empty.",
            abort(0),
        ),
        current(
            "one-signal",
            &["SEG-17", "SEG-12"],
            "One abort signal: one word of bits.",
            abort(1),
        ),
        current(
            "32-signals",
            &["SEG-17", "SEG-12"],
            "32 abort signals: one word of bits.",
            abort(32),
        ),
        current(
            "33-signals",
            &["SEG-17", "SEG-12"],
            "33 abort signals: two words of bits.",
            abort(33),
        ),
        current(
            "512-signals",
            &["SEG-17", "SEG-12"],
            "512 abort signals: 64 bytes of bits, no padding.",
            abort(512),
        ),
        current(
            "513-signals",
            &["SEG-17", "SEG-12"],
            "513 abort signals: 68 bytes of bits, the request arena 128 bytes after their start.",
            abort(513),
        ),
        current(
            "most-signals",
            &["SEG-17", "SEG-12"],
            "65534 abort signals: 2048 words of bits.",
            abort(65_534),
        ),
        current(
            "three-pages",
            &["SEG-25", "SEG-12"],
            "An extension of three pages: the lane block starts at 16384.",
            Header { extension: 3 * 4096, ..SMALL },
        ),
        current(
            "all-reserved",
            &["SEG-22"],
            "All of both arenas' data has memory behind it.",
            Header { request_reserved: 4032, response_reserved: 4032, ..SMALL },
        ),
        current(
            "part-reserved",
            &["SEG-22"],
            "One granule of the request arena has memory behind it, 1024 bytes of the response arena.",
            Header { request_reserved: 64, response_reserved: 1024, ..SMALL },
        ),
    ]
}

fn values() -> Vec<VectorFile> {
    vec![
        current(
            "thread",
            &["SEG-20"],
            "The worker is a thread of the host's process.",
            Header { kind: 2, ..SMALL },
        ),
        current(
            "every-optional-bit",
            &["SEG-14", "SEG-8"],
            "Every optional feature is offered, known or not.",
            Header { optional: u32::MAX, ..SMALL },
        ),
        current(
            "required-known",
            &["SEG-8"],
            "Features are required that the reader knows.",
            Header { required: KNOWN, ..SMALL },
        ),
        current(
            "required-and-optional",
            &["SEG-8", "SEG-14"],
            "One feature is required, others are offered, among them unknown ones.",
            Header { required: 0x8, optional: 0x8000_0403, ..SMALL },
        ),
        current(
            "creator",
            &["SEG-30", "LANE-7"],
            "Every field of 64 bits has eight different bytes.",
            Header {
                pid: 0x0102_0304,
                start: 0x1112_1314_1516_1718,
                boot: 0x2122_2324_2526_2728,
                tasks: 0x3132_3334_3536_3738,
                ..SMALL
            },
        ),
        current(
            "largest-numbers",
            &["SEG-30", "SEG-18", "LANE-7"],
            "Every number that may have any value has the largest.",
            Header {
                epoch: u32::MAX,
                pid: u32::MAX,
                start: u64::MAX,
                boot: u64::MAX,
                tasks: u64::MAX,
                ..SMALL
            },
        ),
        Case {
            words: "reader-without-features",
            clauses: &["SEG-14", "SEG-8"],
            doc: "A reader that knows no feature reads a segment that offers some and requires none.",
            verdict: Verdict::Canonical,
            reader: reader(1, 0, 0),
            header: Header { optional: KNOWN, ..SMALL },
        }
        .file(),
        Case {
            words: "reader-with-one-feature",
            clauses: &["SEG-8", "SEG-14"],
            doc: "A reader that knows one feature reads a segment that requires it and offers another.",
            verdict: Verdict::Canonical,
            reader: reader(1, 0, 0x8),
            header: Header { required: 0x8, optional: 0x1, ..SMALL },
        }
        .file(),
    ]
}

fn versions() -> Vec<VectorFile> {
    let newer = |minor| Header {
        minor,
        optional: 0x0f,
        extension: 2 * 4096,
        reserved_words: 0xa5a5_0000 | minor,
        ..SMALL
    };
    vec![
        Case {
            words: "newer-minor",
            clauses: &["SEG-3", "SEG-13", "SEG-15"],
            doc: "A segment of layout 1.1, which uses words that 1.0 reserves, read by 1.0.",
            verdict: Verdict::Accepted,
            reader: reader(1, 0, KNOWN),
            header: newer(1),
        }
        .file(),
        Case {
            words: "newest-minor",
            clauses: &["SEG-3", "SEG-13", "SEG-15"],
            doc: "A segment of layout 1.65535, which uses words that 1.0 reserves, read by 1.0.",
            verdict: Verdict::Accepted,
            reader: reader(1, 0, KNOWN),
            header: newer(65_535),
        }
        .file(),
        Case {
            words: "ready-word-of-a-large-major",
            clauses: &["SEG-6", "SEG-3"],
            doc: "Of a major version of 32768 and more the ready word has the low fifteen bits: its highest bit is \
                  always set.",
            verdict: Verdict::Canonical,
            reader: reader(0x8001, 3, KNOWN),
            header: Header { major: 0x8001, minor: 3, ..SMALL },
        }
        .file(),
        Case {
            words: "older-minor",
            clauses: &["SEG-3", "SEG-15"],
            doc: "A segment of layout 1.0 read by a reader of 1.1.",
            verdict: Verdict::Canonical,
            reader: reader(1, 1, 0x0f),
            header: Header { optional: KNOWN, ..SMALL },
        }
        .file(),
        Case {
            words: "older-minor-reserved-words",
            clauses: &["SEG-15", "SEG-13", "SEG-3"],
            doc: "A segment of layout 1.0 whose reserved words are not zero, read by a reader of 1.1: \
                  they have no meaning, whatever 1.1 makes of them.",
            verdict: Verdict::Accepted,
            reader: reader(1, 1, 0x0f),
            header: Header { reserved_words: u32::MAX, ..SMALL },
        }
        .file(),
        Case {
            words: "reserved-words",
            clauses: &["SEG-13"],
            doc: "Reserved words of 1.0 that are not zero have no meaning.",
            verdict: Verdict::Accepted,
            reader: reader(1, 0, KNOWN),
            header: Header { reserved_words: 0xdead_beef, ..SMALL },
        }
        .file(),
    ]
}
