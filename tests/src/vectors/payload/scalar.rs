//! Values that the tag says in full, numbers, bigints, dates.

use super::super::VectorFile;
use super::super::build::words;
use super::super::value::{NAN, bigint, boolean, date, digits, number, of_type};
use super::{Message, accepted, arena, bare, canonical, inline, scalar};

pub(super) fn vectors() -> Vec<VectorFile> {
    [bare_tags(), numbers(), small_bigints(), large_bigints(), odd_bigints(), dates()].concat()
}

fn bare_tags() -> Vec<VectorFile> {
    let clauses = &["PAY-9"];
    vec![
        canonical("true", clauses, "True.", boolean(true), bare(3)),
        canonical("false", clauses, "False.", boolean(false), bare(4)),
        canonical("undefined", clauses, "Undefined.", of_type("undefined"), bare(5)),
        canonical("null", clauses, "Null.", of_type("null"), bare(10)),
        accepted(
            "undefined-left-overs",
            &["MBX-6", "PAY-9"],
            "Words that a bare tag does not use mean nothing.",
            of_type("undefined"),
            Message { word3: 0xffff_ffff, word4: 0xffff_ffff, word5: 0xffff_ffff, ..bare(5) },
        ),
        accepted(
            "number-left-overs",
            &["MBX-6", "PAY-10"],
            "Word 5 does not belong to a scalar.",
            number(0x3fe0_0000_0000_0000),
            Message { word5: 0xffff_ffff, ..scalar(9, 0x3fe0_0000_0000_0000) },
        ),
    ]
}

fn numbers() -> Vec<VectorFile> {
    let numbers = [
        ("zero", "0.", 0),
        ("negative-zero", "-0 keeps its sign.", 0x8000_0000_0000_0000),
        ("one", "1.", 0x3ff0_0000_0000_0000),
        ("half", "0.5.", 0x3fe0_0000_0000_0000),
        ("minus-two-31", "-2147483648.", 0xc1e0_0000_0000_0000),
        ("largest-safe-integer", "9007199254740991.", 0x433f_ffff_ffff_ffff),
        ("epsilon", "2^-52.", 0x3cb0_0000_0000_0000),
        ("largest", "The largest finite number.", 0x7fef_ffff_ffff_ffff),
        ("most-negative", "The most negative finite number.", 0xffef_ffff_ffff_ffff),
        ("smallest-normal", "The smallest normal number.", 0x0010_0000_0000_0000),
        ("smallest", "The smallest number above zero.", 1),
        ("infinity", "Infinity.", 0x7ff0_0000_0000_0000),
        ("minus-infinity", "Minus infinity.", 0xfff0_0000_0000_0000),
        ("halves-differ", "Both halves of the bits count.", 0x4142_4344_0506_0708),
    ];
    let mut files: Vec<_> = numbers
        .into_iter()
        .map(|(words, doc, bits)| {
            canonical(&format!("number-{words}"), &["PAY-10"], doc, number(bits), scalar(9, bits))
        })
        .collect();
    let nan = "NaN has a tag of its own.";
    files.push(canonical("number-nan", &["PAY-10"], nan, number(NAN), bare(6)));
    for (words, bits) in [
        ("quiet", NAN),
        ("negative", 0xfff8_0000_0000_0000),
        ("signalling", 0x7ff0_0000_0000_0001),
        ("all-bits", u64::MAX),
    ] {
        files.push(accepted(
            &format!("number-nan-bits-{words}"),
            &["PAY-10"],
            "A NaN with tag 9 is the one NaN.",
            number(NAN),
            scalar(9, bits),
        ));
    }
    files
}

fn small_bigints() -> Vec<VectorFile> {
    [
        ("zero", "0", 0),
        ("one", "1", 1),
        ("minus-one", "-1", u64::MAX),
        ("two-32", "4294967296", 1 << 32),
        ("i64-max", "9223372036854775807", 0x7fff_ffff_ffff_ffff),
        ("i64-min", "-9223372036854775808", 0x8000_0000_0000_0000),
    ]
    .into_iter()
    .map(|(words, value, bits)| {
        canonical(
            &format!("bigint-{words}"),
            &["PAY-11"],
            &format!("The bigint {value}."),
            bigint(value),
            scalar(2, bits),
        )
    })
    .collect()
}

/// Sign byte and magnitude.
fn signed(sign: u8, magnitude: &[u8]) -> Vec<u8> {
    [&[sign], magnitude].concat()
}

/// Two to a power that is a multiple of eight.
fn power(exponent: usize) -> Vec<u8> {
    [vec![0; exponent / 8], vec![1]].concat()
}

fn large_bigints() -> Vec<VectorFile> {
    let beyond = |low: u32, high: u32| words(&[low, high]);
    let two_200 = "1606938044258990275541962092341162602522202993782792835301376";
    let longest = vec![0xff; 511];
    let first_arena = power(4088);
    let largest = [vec![0x39, 0x30], vec![0; 2498], vec![1]].concat();
    let clauses = &["PAY-12", "PAY-7"];
    vec![
        canonical(
            "bigint-i64-max-plus-1",
            clauses,
            "2^63, the first bigint above the range of tag 2.",
            bigint("9223372036854775808"),
            inline(29, &signed(0, &beyond(0, 0x8000_0000))),
        ),
        canonical(
            "bigint-i64-min-minus-1",
            clauses,
            "-2^63 - 1, the first bigint below the range of tag 2.",
            bigint("-9223372036854775809"),
            inline(29, &signed(1, &beyond(1, 0x8000_0000))),
        ),
        canonical(
            "bigint-u64-max",
            clauses,
            "2^64 - 1.",
            bigint("18446744073709551615"),
            inline(29, &signed(0, &beyond(u32::MAX, u32::MAX))),
        ),
        canonical(
            "bigint-minus-two-64",
            clauses,
            "-2^64: nine bytes of magnitude.",
            bigint("-18446744073709551616"),
            inline(29, &signed(1, &power(64))),
        ),
        canonical(
            "bigint-two-200",
            clauses,
            "2^200.",
            bigint(two_200),
            inline(29, &signed(0, &power(200))),
        ),
        canonical(
            "bigint-longest-inline",
            clauses,
            "2^4088 - 1: 511 bytes of magnitude and the sign byte fill the inline area.",
            bigint(&digits(&longest)),
            inline(29, &signed(0, &longest)),
        ),
        canonical(
            "bigint-first-arena",
            clauses,
            "2^4088: 512 bytes of magnitude and the sign byte do not fit inline.",
            bigint(&digits(&first_arena)),
            arena(28, &signed(0, &first_arena)),
        ),
        canonical(
            "bigint-20001-bits",
            clauses,
            "-(2^20000 + 12345), in the arena.",
            bigint(&format!("-{}", digits(&largest))),
            arena(28, &signed(1, &largest)),
        ),
    ]
}

fn odd_bigints() -> Vec<VectorFile> {
    let clauses = &["PAY-12"];
    let read =
        |words, doc, value: &str, message| accepted(words, clauses, doc, bigint(value), message);
    let two_63 = signed(0, &[0, 0, 0, 0, 0, 0, 0, 0x80]);
    vec![
        read(
            "bigint-zero-bytes-on-top",
            "Zero bytes at the most significant end add nothing.",
            "9223372036854775808",
            inline(29, &[&two_63[..], &[0, 0, 0]].concat()),
        ),
        read(
            "bigint-sign-alone",
            "A sign byte without a magnitude is zero.",
            "0",
            inline(29, &[0]),
        ),
        read(
            "bigint-minus-nothing",
            "A negative sign byte alone is zero too.",
            "0",
            inline(29, &[1]),
        ),
        read("bigint-minus-zero", "A negative zero is zero.", "0", inline(29, &[1, 0, 0])),
        read(
            "bigint-small-inline",
            "A value of tag 2 in the inline form.",
            "7",
            inline(29, &[0, 7]),
        ),
        read(
            "bigint-small-arena",
            "A value of tag 2 in the arena form.",
            "-256",
            arena(28, &[1, 0, 1]),
        ),
        read("bigint-i64-min-inline", "-2^63 as sign and magnitude.", "-9223372036854775808", {
            inline(29, &signed(1, &two_63[1..]))
        }),
        accepted(
            "bigint-short-arena",
            &["PAY-23", "PAY-12"],
            "Nine bytes that would fit inline.",
            bigint("9223372036854775808"),
            arena(28, &two_63),
        ),
    ]
}

fn dates() -> Vec<VectorFile> {
    let clauses = &["PAY-18"];
    vec![
        canonical("date-epoch", clauses, "1970-01-01.", date(0), scalar(25, 0)),
        canonical(
            "date-before-epoch",
            clauses,
            "One millisecond before 1970.",
            date(0xbff0_0000_0000_0000),
            scalar(25, 0xbff0_0000_0000_0000),
        ),
        canonical(
            "date-last",
            clauses,
            "8.64e15 ms, the last date that JavaScript has.",
            date(0x433e_b208_c2dc_0000),
            scalar(25, 0x433e_b208_c2dc_0000),
        ),
        canonical("date-invalid", clauses, "The invalid date.", date(NAN), scalar(25, NAN)),
        accepted(
            "date-nan-negative",
            clauses,
            "Every NaN is the invalid date.",
            date(NAN),
            scalar(25, 0xfff8_0000_0000_0000),
        ),
        accepted(
            "date-nan-all-bits",
            clauses,
            "Every NaN is the invalid date.",
            date(NAN),
            scalar(25, u64::MAX),
        ),
    ]
}
