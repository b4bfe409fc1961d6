//! Headers of segments that no reader may attach to.

use super::super::VectorFile;
use super::super::build::{hex, words};
use super::super::header::{Header, KNOWN, SMALL, reader};
use super::{Fault, fault};
use serde_json::{Value, json};

pub(super) fn vectors() -> Vec<VectorFile> {
    [first_words(), versions(), needs(), sizes(), places(), lengths(), reserved(), order()].concat()
}

/// What a current reader is shown: `words`, in a segment as long as the small one.
fn shown(words: &[u32]) -> Value {
    input(reader(1, 0, KNOWN), SMALL.segment_bytes().into(), words)
}

fn input(reader: Value, mapped: u64, content: &[u32]) -> Value {
    json!({ "reader": reader, "mapped": mapped, "bytes": hex(&words(content)) })
}

/// The small header with one word changed.
fn patched(at_byte: usize, word: u32) -> Vec<u32> {
    let mut words = SMALL.words();
    words[at_byte / 4] = word;
    words
}

/// A header whose words agree with each other, refused for what they say.
fn said(fault: Fault, words: &str, doc: &str, header: Header) -> VectorFile {
    let mapped = header.segment_bytes().into();
    fault.refuse("header", words, &[], doc, input(reader(1, 0, KNOWN), mapped, &header.words()))
}

/// The small header with the word at a byte changed to each of some values.
fn each(fault: Fault, at: usize, doc: &str, values: &[(&str, u32)]) -> Vec<VectorFile> {
    let one = |(words, word): &(&str, u32)| {
        fault.refuse("header", words, &[], doc, shown(&patched(at, *word)))
    };
    values.iter().map(one).collect()
}

fn first_words() -> Vec<VectorFile> {
    let mut unfinished = vec![0; 64];
    unfinished[0] = 0x5449_4e4b;
    let not_ready = fault("not_ready", "SEG-7");
    let mut files = vec![
        not_ready.refuse(
            "header",
            "all-zero",
            &[],
            "A new segment: nothing is written yet.",
            shown(&[0; 64]),
        ),
        not_ready.refuse(
            "header",
            "magic-only",
            &[],
            "The creator has only begun.",
            shown(&unfinished),
        ),
    ];
    let doc = "Everything is written but the ready word.";
    files.extend(each(not_ready, 252, doc, &[("complete", 0)]));
    let doc = "The first word is not the magic.";
    let magics = [("zero", 0), ("swapped", 0x4b4e_4954), ("one-bit", 0x5449_4e4a)];
    files.extend(each(fault("magic", "SEG-1"), 0, doc, &magics));
    let doc = "The second word is not the byte-order mark.";
    let marks = [("zero", 0), ("swapped", 0x0403_0201), ("halves", 0x0304_0102)];
    files.extend(each(fault("byte_order", "SEG-2"), 4, doc, &marks));
    let doc = "The ready word is that of another version, or none.";
    let ready = [
        ("one", 1),
        ("no-bit", 0x0001_0000),
        ("bit-alone", 0x8000_0000),
        ("other-minor", 0x8001_0001),
        ("other-major", 0x8002_0000),
        ("all-bits", u32::MAX),
    ];
    files.extend(each(fault("ready_word", "SEG-6"), 252, doc, &ready));
    files
}

fn versions() -> Vec<VectorFile> {
    let range = fault("version_range", "SEG-3");
    let doc = "A version number of more than sixteen bits.";
    let wide = [("65536", 1 << 16), ("right-low-half", 0x0001_0001), ("largest", u32::MAX)];
    let mut files = each(range, 8, doc, &wide);
    let renamed: Vec<_> =
        wide.iter().map(|(words, word)| (format!("minor-{words}"), *word)).collect();
    for (words, word) in &renamed {
        files.extend(each(range, 12, doc, &[(words, *word)]));
    }
    let other = fault("version", "SEG-3");
    let of = |words, doc, major, minor| said(other, words, doc, Header { major, minor, ..SMALL });
    files.push(of("next-major", "A segment of the next major version.", 2, 0));
    files.push(of("largest-major", "A segment of the largest major version.", 65_535, 0));
    files.push(of("draft", "A segment of a draft.", 0, 0));
    files.push(of("draft-newer", "A segment of another draft.", 0, 2));
    let draft = Header { major: 0, minor: 2, ..SMALL };
    for (words, doc, layout) in [
        ("draft-reader-other", "A draft reads its own minor version only.", (0, 1)),
        ("newer-reader", "A reader of a later major version.", (2, 0)),
    ] {
        let header = if layout.0 == 0 { draft } else { SMALL };
        let input = input(
            reader(layout.0, layout.1, KNOWN),
            header.segment_bytes().into(),
            &header.words(),
        );
        files.push(other.refuse("header", words, &[], doc, input));
    }
    files
}

fn needs() -> Vec<VectorFile> {
    let mut files = Vec::new();
    for (name, at, values) in [
        ("header-bytes", 16, [0, 252, 512]),
        ("page-bytes", 20, [0, 4095, 16_384]),
        ("slots", 68, [0, 31, 64]),
        ("slot-stride", 72, [0, 512, 640]),
        ("inline-bytes", 76, [0, 511, 576]),
    ] {
        let doc = format!("The word at byte {at} is a constant of the layout.");
        for value in values {
            let words = format!("{name}-{value}");
            files.extend(each(fault("fixed_field", "SEG-21"), at, &doc, &[(&words, value)]));
        }
    }
    let required = fault("required_features", "SEG-8");
    for (words, doc, bits) in [
        ("recorder", "A feature is required that the reader does not know.", 0x4),
        ("write-split", "A segment whose pages have one writer each.", 0x100),
        ("highest", "The highest bit.", 0x8000_0000),
        ("one-of-many", "Known features and an unknown one.", 0x0d),
        ("all", "Every bit.", u32::MAX),
    ] {
        files.push(said(required, words, doc, Header { required: bits, ..SMALL }));
    }
    let offered = Header { required: 0x1, optional: KNOWN, ..SMALL };
    let input = input(reader(1, 0, 0), offered.segment_bytes().into(), &offered.words());
    let doc = "A reader that knows no feature. That the bit is optional too changes nothing.";
    files.push(required.refuse("header", "reader-without", &[], doc, input));
    files.push(said(
        fault("epoch", "SEG-18"),
        "0",
        "The epoch is zero.",
        Header { epoch: 0, ..SMALL },
    ));
    let kinds = [("0", 0), ("3", 3), ("largest", u32::MAX)];
    files.extend(each(
        fault("lane_kind", "SEG-20"),
        64,
        "A lane kind that is not assigned.",
        &kinds,
    ));
    files
}

fn sizes() -> Vec<VectorFile> {
    let extension = fault("extension_length", "SEG-25");
    let mut files: Vec<_> = [
        ("0", "No extension.", 0),
        ("4095", "Less than a page.", 4095),
        ("6144", "A page and a half.", 6144),
        ("above", "A page more than the longest.", (16 << 20) + 4096),
    ]
    .into_iter()
    .map(|(words, doc, extension_bytes)| {
        said(extension, words, doc, Header { extension: extension_bytes, ..SMALL })
    })
    .collect();
    let largest = [("largest", 0xffff_f000)];
    files.extend(each(extension, 100, "A length beyond every limit.", &largest));
    let arena = fault("arena_length", "SEG-16");
    let doc = "A length that no arena can have.";
    for (name, at) in [("request", 164), ("response", 172)] {
        for (words, len) in [
            ("0", 0),
            ("64", 64),
            ("127", 127),
            ("unaligned", 4100),
            ("above", (1 << 30) + 64),
            ("largest", 0xffff_ffc0),
        ] {
            files.extend(each(arena, at, doc, &[(&format!("{name}-{words}"), len)]));
        }
    }
    let signals = fault("abort_capacity", "SEG-17");
    let doc = "More abort signals than ids.";
    files.push(said(signals, "65535", doc, Header { abort_capacity: 65_535, ..SMALL }));
    files.extend(each(signals, 80, doc, &[("largest", u32::MAX)]));
    files
}

/// Name, byte of the start and of the length of everything that has a place.
const PLACES: [(&str, usize); 10] = [
    ("extension", 96),
    ("lane-block", 104),
    ("signals", 112),
    ("request-sector", 120),
    ("response-sector", 128),
    ("request-slots", 136),
    ("response-slots", 144),
    ("abort-bits", 152),
    ("request-arena", 160),
    ("response-arena", 168),
];

fn places() -> Vec<VectorFile> {
    let region = fault("region", "SEG-12");
    let words = SMALL.words();
    let mut files = Vec::new();
    for (name, at) in PLACES {
        let moved = words[at / 4] + 64;
        let doc = "A start that the geometry does not imply.";
        files.extend(each(region, at, doc, &[(&format!("{name}-moved"), moved)]));
        // The lengths of extension and arenas are what the geometry is made of.
        if !matches!(name, "extension" | "request-arena" | "response-arena") {
            let longer = words[at / 4 + 1] + 4;
            let doc = "A length that the geometry does not imply.";
            files.extend(each(region, at + 4, doc, &[(&format!("{name}-longer"), longer)]));
        }
    }
    let doc = "Both arenas at the same place.";
    files.extend(each(region, 168, doc, &[("arenas-overlap", words[160 / 4])]));
    let doc = "A start far outside the segment.";
    files.extend(each(region, 136, doc, &[("request-slots-outside", 0xffff_ffc0)]));
    let doc = "One signal: the words are those of a lane without any.";
    files.extend(each(region, 80, doc, &[("signals-without-room", 1)]));
    let doc = "The extension is a page longer than the places of everything after it say.";
    files.extend(each(region, 100, doc, &[("extension-longer", 8192)]));
    let doc = "The request arena is longer than the places after it say.";
    files.extend(each(region, 164, doc, &[("request-arena-longer", 4160)]));
    files
}

fn lengths() -> Vec<VectorFile> {
    let length = fault("segment_length", "SEG-11");
    let bytes = SMALL.segment_bytes();
    let mapped = |words: &str, doc: &str, mapped: u64| {
        length.refuse("header", words, &[], doc, input(reader(1, 0, KNOWN), mapped, &SMALL.words()))
    };
    let mut files = vec![
        mapped("mapped-less", "Less is mapped than there is.", u64::from(bytes) - 4096),
        mapped("mapped-more", "More is mapped than there is.", u64::from(bytes) + 4096),
        mapped(
            "mapped-high",
            "The length differs in its high half only.",
            u64::from(bytes) + (1 << 32),
        ),
        mapped("mapped-header", "The header pages alone are mapped.", 8192),
    ];
    let doc = "The length that the header states is another.";
    for (words, at, word) in [
        ("stated-less", 24, bytes - 64),
        ("stated-more", 24, bytes + 1),
        ("stated-zero", 24, 0),
        ("stated-high", 28, 1),
    ] {
        files.extend(each(length, at, doc, &[(words, word)]));
    }
    files
}

fn reserved() -> Vec<VectorFile> {
    let backed = fault("reserved_bytes", "SEG-22");
    let mut files = Vec::new();
    for (name, at) in [("request", 176), ("response", 180)] {
        for (words, doc, bytes) in [
            ("above", "As many bytes as the arena has, its first 64 included.", 4096),
            ("odd", "No whole number of granules.", 63),
            ("largest", "More than any arena has.", 0xffff_ffc0),
        ] {
            files.extend(each(backed, at, doc, &[(&format!("{name}-{words}"), bytes)]));
        }
    }
    files
}

/// Several things are wrong: what is checked first is reported.
fn order() -> Vec<VectorFile> {
    let bad = |patches: &[(usize, u32)]| {
        let mut words = SMALL.words();
        for (at, word) in patches {
            words[at / 4] = *word;
        }
        shown(&words)
    };
    vec![
        fault("not_ready", "SEG-7").refuse(
            "header",
            "before-magic",
            &["SEG-1"],
            "The ready word is looked at before the magic.",
            bad(&[(252, 0), (0, 0)]),
        ),
        fault("byte_order", "SEG-2").refuse(
            "header",
            "before-version",
            &["SEG-3"],
            "The byte order is looked at before the version.",
            bad(&[(4, 0x0403_0201), (8, 0x0100_0000)]),
        ),
        fault("version", "SEG-3").refuse(
            "header",
            "before-ready-word",
            &["SEG-6"],
            "The version is looked at before the rest of the ready word.",
            bad(&[(8, 2), (252, 1)]),
        ),
        fault("ready_word", "SEG-6").refuse(
            "header",
            "before-fixed-field",
            &["SEG-21"],
            "The ready word is looked at before any other field of the version.",
            bad(&[(252, 1), (16, 0), (32, u32::MAX)]),
        ),
        fault("required_features", "SEG-8").refuse(
            "header",
            "before-geometry",
            &["SEG-12"],
            "Required features are looked at before the geometry, which they might change.",
            bad(&[(32, 0x100), (40, 0), (112, 0)]),
        ),
    ]
}
