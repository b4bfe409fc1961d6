//! Bytes of four kinds, arrays of numbers of five.

use super::super::VectorFile;
use super::super::build::pattern;
use super::super::value::{NAN, bytes, floats, i32_array, integers};
use super::{accepted, arena, canonical, inline};
use serde_json::Value;

pub(super) fn vectors() -> Vec<VectorFile> {
    [runs(), short_in_the_arena(), arrays(), odd_arrays()].concat()
}

/// Kind, what it begins its names with, inline tag, arena tag, first byte of the pattern.
const KINDS: [(&str, &str, u32, u32, u8); 4] = [
    ("bytes", "bytes", 18, 17, 0),
    ("node_buffer", "node-buffer", 39, 38, 1),
    ("array_buffer", "array-buffer", 37, 36, 2),
    ("data_view", "data-view", 35, 23, 3),
];

fn runs() -> Vec<VectorFile> {
    let mut files = Vec::new();
    for (kind, words, inline_tag, arena_tag, first) in KINDS {
        for (len, doc) in [
            (0, "No bytes."),
            (63, "63 bytes."),
            (512, "As many bytes as fit inline."),
            (513, "One byte more than fits inline."),
        ] {
            let content = pattern(first, len);
            let message =
                if len <= 512 { inline(inline_tag, &content) } else { arena(arena_tag, &content) };
            let words = format!("{words}-{len}");
            let clauses = if len < 512 { &["PAY-6", "PAY-2"] } else { &["PAY-6", "PAY-7"] };
            files.push(canonical(&words, clauses, doc, bytes(kind, &content), message));
        }
    }
    let long = pattern(0, 4096);
    files.push(canonical(
        "bytes-4096",
        &["PAY-6"],
        "4096 bytes.",
        bytes("bytes", &long),
        arena(17, &long),
    ));
    files
}

fn short_in_the_arena() -> Vec<VectorFile> {
    KINDS
        .into_iter()
        .map(|(kind, words, _, tag, first)| {
            accepted(
                &format!("{words}-short-arena"),
                &["PAY-23", "PAY-6"],
                "Bytes in the arena that would fit inline.",
                bytes(kind, &pattern(first, 3)),
                arena(tag, &pattern(first, 3)),
            )
        })
        .collect()
}

/// Arrays of no elements, of edge values, of as many as fit inline and of one more.
fn arrays() -> Vec<VectorFile> {
    let i32s = |values: &[i32]| {
        (i32_array(values), values.iter().flat_map(|value| value.to_le_bytes()).collect())
    };
    let i64s = |values: &[i64]| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        (integers("i64_array", values), bytes)
    };
    let u64s = |values: &[u64]| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        (integers("u64_array", values), bytes)
    };
    let f64s = |kind, values: &[u64]| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        (floats(kind, values), bytes)
    };
    // The values of the recordings of the upstream system. Casts of small numbers.
    let spread = |len| (0..len).map(|at| (-3.0 + 1.25 * at as f64).to_bits()).collect::<Vec<_>>();
    let eighths = |len| {
        let value = |at| if at == 0 { -0.0 } else { at as f64 / 8.0 };
        (0..len).map(|at| value(at).to_bits()).collect::<Vec<_>>()
    };
    let scrambled = |len: usize| {
        let words = pattern(4, len * 4);
        let words =
            words.chunks_exact(4).map(|word| i32::from_le_bytes(word.try_into().expect("4")));
        words.collect::<Vec<_>>()
    };
    let steps = |len: i64| (0..len).map(|at| -3 * at).collect::<Vec<_>>();
    let high = |len: u64| (0..len).map(|at| (1 << 63) + at).collect::<Vec<_>>();
    let edges = [0, 1 << 63, 1, 0x7fef_ffff_ffff_ffff, 0x7ff0_0000_0000_0000, NAN];
    [
        array(
            "i32",
            [31, 19],
            [&[][..], &[1, -2, i32::MAX, i32::MIN], &scrambled(128), &scrambled(129)].map(i32s),
        ),
        array(
            "i64",
            [33, 21],
            [&[][..], &[-2, i64::MAX, i64::MIN], &steps(64), &steps(65)].map(i64s),
        ),
        array("u64", [34, 22], [&[][..], &[1, u64::MAX], &high(64), &high(65)].map(u64s)),
        array(
            "f64",
            [32, 20],
            [&[][..], &edges, &spread(64), &spread(65)].map(|bits| f64s("f64_array", bits)),
        ),
        array(
            "numbers",
            [54, 53],
            [&[][..], &edges, &eighths(64), &eighths(65)].map(|bits| f64s("numbers", bits)),
        ),
    ]
    .concat()
}

/// One kind: no elements, edges, as many as fit inline, one more.
fn array(
    name: &str,
    [inline_tag, arena_tag]: [u32; 2],
    values: [(Value, Vec<u8>); 4],
) -> [VectorFile; 4] {
    let docs = [
        ("none", "No elements."),
        ("edges", "Values at the edges of the type."),
        ("inline-longest", "As many elements as fit inline."),
        ("arena-shortest", "One element more than fits inline."),
    ];
    let mut docs = docs.into_iter();
    values.map(|(value, bytes)| {
        let (words, doc) = docs.next().expect("one for each");
        let message =
            if bytes.len() <= 512 { inline(inline_tag, &bytes) } else { arena(arena_tag, &bytes) };
        canonical(&format!("{name}-array-{words}"), &["PAY-15", "PAY-7"], doc, value, message)
    })
}

fn odd_arrays() -> Vec<VectorFile> {
    let nan = 0xfff0_0000_0000_0001_u64.to_le_bytes();
    let two = [&nan[..], &[0; 8]].concat();
    vec![
        accepted(
            "f64-array-nan-bits",
            &["PAY-15"],
            "Which bits a NaN has is no part of the value.",
            floats("f64_array", &[NAN, 0]),
            inline(32, &two),
        ),
        accepted(
            "numbers-array-nan-bits",
            &["PAY-15"],
            "Which bits a NaN has is no part of the value.",
            floats("numbers", &[NAN, 0]),
            inline(54, &two),
        ),
        accepted(
            "i32-array-short-arena",
            &["PAY-23", "PAY-15"],
            "One element in the arena.",
            i32_array(&[-1]),
            arena(19, &[0xff; 4]),
        ),
        accepted(
            "u64-array-empty-arena",
            &["PAY-23", "PAY-15"],
            "No elements, in the arena.",
            integers::<u64>("u64_array", &[]),
            arena(22, &[]),
        ),
    ]
}
