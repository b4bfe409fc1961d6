//! Histories of withdrawal by hand, and those that follow from the vectors.

use super::model::Places;
use super::{DIES, LIES, TAMPERS};
use crate::corpus::{Seed, of_kind};
use crate::input::Output;
use knit_tests::vector_files::{File, bits, text, word};

/// Histories of a few steps, and the words about withdrawal that are refused.
pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds: Vec<_> = HISTORIES
        .iter()
        .map(|(name, features, how, steps)| {
            let mut output = Output::default();
            Seed::new(*name, output.byte(*features).byte(*how).raw(steps).done())
        })
        .collect();
    // Every set of features that is in force, as the host or the worker wants it.
    let (_, _, _, mixed) = HISTORIES[0];
    for without in 1..16_u8 {
        let features = if without.is_multiple_of(2) { without } else { without << 4 };
        let mut output = Output::default();
        let bytes = output.byte(features).byte(LIES * (without & 1)).raw(mixed).done();
        seeds.push(Seed::new(format!("mixed-without-{without}"), bytes));
    }
    seeds.extend(of_kind("withdrawal").iter().map(of_vector));
    seeds
}

/// Name, features, honesty, and steps as `Lane::step` reads them: the lower digit says what is done.
const HISTORIES: [(&str, u8, u8, &[u8]); 14] = [
    (
        "all-mixed",
        0,
        0,
        // Calls with deadlines and without, one in the arena; the worker begins with the first.
        b"\x00\x01\x05\x30\x01\x82\x02\x02\x03\x07\x01\x07\x02\x09\x0e\x0a\x00\x0b\x05\x0e\
          \x05\x00\x0c\x04\x06\x00\x05\x00\x05\x00\x0d\x2c\x01\xc3\x09\x08\x07\x06\x05\x04\x03\x02\
          \x08\xff\xff\xff\xff\x03\x0e\x05\x01\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfd\x0e",
    ),
    ("behind-an-open-call", 0, 0, b"\x32\x03\x07\x01\x07\x03\x07\x01\x09\x0e\x05\x00\x34\x05\x00\x05\x00\x05\x00\xfd"),
    ("an-idle-lane", 0, 0, b"\x00\x07\x00\x09\x0e\x03\x0e\x05\x00\x0c"),
    ("since-begun", 0, 0, b"\x00\x03\x07\x00\x09\x0e\x45\x00\x0c"),
    ("settled-later", 0, 0, b"\x22\x08\xff\xff\xff\xff\x09\x03\x09\x09\x05\x00\x34\x05\x00\x05\x00\x18\xff\xff\xff\xff\xfd"),
    ("deadlines", 0, 0, b"\x01\x05\x01\x85\x01\xff\x01\x02\x03\x04\x05\x06\x07\x08\x01\x03\x34\x0e\x0b\x02\x0b\x05\x0b\x05\x0e\x05\x00\x05\x00\x05\x00\x05\x00\xfd\x00\x00\x01\x04\xf4\x0e\xf1\x07\x0b\xbf"),
    ("aborts", 0, 0, b"\x22\x0a\x00\x0a\x02\x0a\x02\xf4\x0e\x05\x00\x0c\x1a\x00\x00\x03\x0e\x05\x00\x05\x00\xfd\x0e"),
    ("without-signals", 0, 1 << 3, b"\x22\x0a\x00\x01\x01\x0b\x01\xf4\x0e"),
    ("eight-signals", 0, 2 << 3, b"\xb2\x0a\x00\x0a\x07\x0a\x08\x0a\x0a\xf4\x0e"),
    ("full", 0, 3 << 3, b"\x30\x30\x30\xf0\xf2\xf2\xf2\x08\xaa\xaa\xaa\xaa\xf4\xf4\x35\x00\x35\x01\x35\x02\xf5\x03\x09\xf5\x05\xfd\xf2"),
    ("the-worker-dies", 0, DIES, b"\x72\x03\x08\xf0\x00\x00\x00\x14\x05\x00\x05\x00\x35\x00\x35\x00\x05\x00\x0d\x32\x03"),
    ("the-worker-lies", 0, LIES, b"\x32\x07\x03\x14\x06\x00\x0c\x06\x00\x0c\xf4\x06\x00\x06\x00\xfd\x0e\x07\x00\x09\x0a\x00\x0b\x05\x00"),
    ("journal-tampered", 0, TAMPERS, b"\x32\x03\x03\x0f\x01\x03\x00\x00\x00\x08\x06\x00\x00\x00\x0f\x02\x00\x00\x00\x00\x09\x0f\x02\x01\x00\x00\x00\x0e\xcf\x03\xff\xff\xff\xff\x0f\x00\x02\x00\x00\x00\x09\xf4\xfd"),
    ("words-tampered", 0, TAMPERS, b"\x32\x1f\x00\x01\x00\x00\x00\x01\x09\xcf\x04\x01\x02\x03\x04\xdf\x00\x02\x00\x00\x00\xef\x04\x01\x02\x03\x04\xaf\x01\x05\x00\x00\x00\x3f\x00\x03\x00\x00\x00\xf4\x0e\x0a\x00\x0e\x05\x00\x05\x00\xfd\x0b\x09\x22\x0e"),
];

/// The calls of the vector are in flight, and the worker says of one of them what it may not say.
fn of_vector(file: &File) -> Seed {
    let json = &file.json;
    let (withdrawn, not_begun) = (bits(json, "withdrawn"), bits(json, "not_begun"));
    let (call, withdraws) = (word(json, "call"), word(json, "word0") == 2);
    let mut output = Output::default();
    // 32 calls. The worker has begun with those of which the vector's host is not certain, and with one in any case.
    output.byte(0).byte(LIES).raw(b"\xf2\xf2");
    for _ in 0..(Places::BITS - (withdrawn & !not_begun).leading_zeros()).max(1) {
        output.byte(3);
    }
    output.byte(8).word(withdrawn).raw(b"\xf4\xf4");
    let lies = withdraws != (withdrawn >> call & 1 == 1);
    output.byte(if lies { 6 } else { 5 }).byte(call as u8).byte(12);
    Seed::new(text(json, "name"), output.done())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::withdrawal::run;

    /// Seeds that show nothing are none.
    #[test]
    fn what_the_vectors_reject_is_seen_by_the_host() {
        let files = of_kind("withdrawal");
        assert!(files.len() >= 8, "{}", files.len());
        for file in files {
            let found = run(&of_vector(&file).bytes).violation.map(|violation| violation.name());
            assert_eq!(found, Some(text(&file.json, "error")), "{}", file.path);
        }
    }

    #[test]
    fn the_histories_have_a_violation_only_where_somebody_lies() {
        for (name, features, how, steps) in HISTORIES {
            let input = [&[features, how], steps].concat();
            let model = run(&input);
            println!("{name}: {} calls, {} ended", model.submitted, model.ended);
            assert!(model.submitted > 0);
            assert_eq!(model.violation.is_some(), how & (LIES | TAMPERS) != 0, "{name}");
            assert_eq!(
                model.submitted == model.ended,
                how & (LIES | TAMPERS | DIES) == 0,
                "{name}"
            );
        }
    }
}
