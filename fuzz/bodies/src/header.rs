//! A segment header, read twice.

use crate::corpus::{Seed, of_kind};
use crate::input::{Input, Output};
use knit_proto::{Features, RawHeader, Reader, Version};
use knit_tests::differential::hold_header;
use knit_tests::vector_files::{File, number, reader_of, words};

/// The 64 words of a header, then how the length of the segment is known, and who reads: differences from the
/// reader of this version.
///
/// The header has the same fields, the same places and the same first fault for the crate and for the slow
/// reader; all places lie inside the segment.
///
/// # Panics
///
/// They differ.
pub fn header(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let raw = RawHeader(std::array::from_fn(|_| input.word()));
    // The length that the header states, or another one.
    let stated = u64::from(raw.0[7]) << 32 | u64::from(raw.0[6]);
    let mapped = if input.flag() { input.wide() } else { stated };
    let current = Reader::CURRENT;
    let reader = Reader {
        version: Version {
            major: current.version.major ^ input.short(),
            minor: current.version.minor ^ input.short(),
        },
        features: Features::from_bits(current.features.bits() ^ input.word()),
    };
    hold_header(&raw, reader, mapped);
}

pub(crate) fn seeds() -> Vec<Seed> {
    let seed = |file: File| {
        let (words, reader) = (words::<64>(&file.json, "bytes"), reader_of(&file.json));
        let current = Reader::CURRENT;
        let bytes = Output::default()
            .words(&words)
            .byte(1)
            .wide(number(&file.json, "mapped"))
            .short(current.version.major ^ reader.version.major)
            .short(current.version.minor ^ reader.version.minor)
            .word(current.features.bits() ^ reader.features.bits())
            .done();
        Seed::of_vector(&file, bytes)
    };
    of_kind("header").into_iter().map(seed).collect()
}
