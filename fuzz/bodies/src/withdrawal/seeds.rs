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
        .map(|(name, how, history)| {
            Seed::new(*name, Output::default().byte(0).byte(*how).raw(&steps(history)).done())
        })
        .collect();
    // Every set of features that is in force, as the host or the worker wants it.
    let mixed = steps(HISTORIES[0].2);
    for without in 1..16_u8 {
        let features = if without.is_multiple_of(2) { without } else { without << 4 };
        let mut output = Output::default();
        let bytes = output.byte(features).byte(LIES * (without & 1)).raw(&mixed).done();
        seeds.push(Seed::new(format!("mixed-without-{without}"), bytes));
    }
    let tampered = steps(HISTORIES[HISTORIES.len() - 1].2);
    let bytes = Output::default().byte(15).byte(TAMPERS).raw(&tampered).done();
    seeds.push(Seed::new("words-tampered-without-any", bytes));
    seeds.extend(of_kind("withdrawal").iter().map(of_vector));
    seeds
}

/// What a step does, by the lower half of its first byte.
const NAMES: [&str; 16] = [
    "submit",
    "submit-until",
    "submits",
    "take",
    "takes",
    "answer",
    "lie",
    "withdraw",
    "withdraws",
    "settle",
    "abort",
    "expire",
    "collect",
    "collects",
    "look",
    "tamper",
];

/// Name, honesty, and steps as `Lane::step` reads them: what is done, after `/` how (the upper half), after `:` the bytes
/// behind the first one.
const HISTORIES: [(&str, u8, &str); 15] = [
    (
        "all-mixed",
        0,
        "submit submit-until:05 submit/3 submit-until:82 submits submits take withdraw:01 withdraw:02 settle look \
         abort:00 expire:05 look answer:00 collect takes lie:00 answer:00 answer:00 collects collect/2 \
         submit-until:c30908070605040302 withdraws:ffffffff take look answer:01 expire:ffffffffffffffffff collects/15 \
         look",
    ),
    (
        "behind-an-open-call",
        0,
        "submits/3 take withdraw:01 withdraw:03 withdraw:01 settle look answer:00 takes/3 answer:00 answer:00 answer:00 \
         collects/15",
    ),
    ("an-idle-lane", 0, "submit withdraw:00 settle look take look answer:00 collect"),
    ("since-begun", 0, "submit take withdraw:00 settle look answer/4:00 collect"),
    (
        "settled-later",
        0,
        "submits/2 withdraws:ffffffff settle take settle settle answer:00 takes/3 answer:00 answer:00 \
         withdraws/1:ffffffff collects/15 submit withdraws/1:ffffffff settle",
    ),
    (
        "a-place-again",
        0,
        "submit take answer:00 collect submit take answer/4:00 collect submit take answer/2:00 collect submits/2 look \
         take withdraws:06000000 settle look abort:00 answer:00 answer:00 takes/3 answer:00 answer:00 collects/3 submit \
         look take look",
    ),
    (
        "deadlines",
        0,
        "submit-until:05 submit-until:85 submit-until:ff0102030405060708 submit-until:03 takes/3 look expire:02 \
         expire:05 expire:05 look answer:00 answer:00 answer:00 answer:00 collects/15 submit submit submit-until:04 \
         takes/15 look submit-until/15:07 expire:bf",
    ),
    (
        "aborts",
        0,
        "submits/2 abort:00 abort:02 abort:02 takes/15 look answer:00 collect abort/1:00 submit take look answer:00 \
         answer:00 collects/15 look",
    ),
    ("without-signals", 1 << 3, "submits/2 abort:00 submit-until:01 expire:01 takes/15 look"),
    ("eight-signals", 2 << 3, "submits/11 abort:00 abort:07 abort:08 abort:0a takes/15 look"),
    (
        "full",
        3 << 3,
        "submit/3 submit/3 submit/3 submit/15 submits/15 submits/15 submits/15 withdraws:aaaaaaaa takes/15 takes/15 \
         answer/3:00 answer/3:01 answer/3:02 answer/15:03 settle answer/15:05 collects/15 submits/15",
    ),
    (
        "the-worker-dies",
        DIES,
        "submits/7 take withdraws:f0000000 takes/1 answer:00 answer:00 answer/3:00 answer/3:00 answer:00 collects \
         submits/3 take",
    ),
    (
        "the-worker-lies",
        LIES,
        "submits/7 withdraw:03 takes/1 lie:00 collect lie:00 collect takes/2 lie:00 lie:00 collects/15 look \
         withdraw:00 settle abort:00 expire:05 submit",
    ),
    (
        "journal-tampered",
        TAMPERS,
        "submits/3 take take tamper:0103000000 withdraws:06000000 tamper:0200000000 settle tamper:0201000000 look \
         tamper/12:03ffffffff tamper:0002000000 settle takes/15 collects/15",
    ),
    (
        "words-tampered",
        TAMPERS,
        "submits/3 tamper/1:0001000000 submit-until:09 tamper/12:0401020304 tamper/13:0002000000 tamper/14:0401020304 \
         tamper/10:0105000000 tamper/3:0003000000 takes/15 look abort:00 look answer:00 answer:00 collects/15 expire:09 \
         submits/2 look",
    ),
];

/// The bytes of a history.
fn steps(history: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for step in history.split_whitespace() {
        let (step, rest) = step.split_once(':').unwrap_or((step, ""));
        let (name, how) = step.split_once('/').unwrap_or((step, "0"));
        let what = NAMES.iter().position(|known| *known == name).expect("the name of a step");
        let how: u8 = how.parse().expect("a number below 16");
        bytes.push(how << 4 | what as u8);
        let (pairs, []) = rest.as_bytes().as_chunks::<2>() else {
            panic!("{rest}: two digits each")
        };
        let digit = |digit: u8| char::from(digit).to_digit(16).expect("a hex digit") as u8;
        bytes.extend(pairs.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)));
    }
    bytes
}

/// The calls of the vector are in flight, and the worker says of one of them what it may not say.
fn of_vector(file: &File) -> Seed {
    let json = &file.json;
    let (withdrawn, not_begun) = (bits(json, "withdrawn"), bits(json, "not_begun"));
    let (call, withdraws) = (word(json, "call"), word(json, "word0") == 2);
    let mut output = Output::default();
    // 32 calls. The worker has begun with those of which the vector's host is not certain, and with one in any case.
    output.byte(0).byte(LIES).raw(&steps("submits/15 submits/15"));
    for _ in 0..(Places::BITS - (withdrawn & !not_begun).leading_zeros()).max(1) {
        output.raw(&steps("take"));
    }
    let all = withdrawn.to_le_bytes().map(|byte| format!("{byte:02x}")).concat();
    let lies = withdraws != (withdrawn >> call & 1 == 1);
    let answer = if lies { "lie" } else { "answer" };
    let rest = format!("withdraws:{all} takes/15 takes/15 {answer}:{call:02x} collect");
    output.raw(&steps(&rest));
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
        for (name, how, history) in HISTORIES {
            let model = run(&[vec![0, how], steps(history)].concat());
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
