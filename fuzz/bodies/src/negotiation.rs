//! Control lines as one side sees them, against the table of the chapter.

use crate::corpus::{Seed, of_kind};
use crate::input::{Input, Output};
use knit_proto::{Features, HeaderFields, Negotiation, Phase, RawControl};
use knit_tests::differential::hold_line;
use knit_tests::header_fields;
use knit_tests::reference::Observer;
use knit_tests::vector_files::{File, bits, flag, text, word};
use serde_json::Value as Json;

/// Which side looks, features required, offered besides and known, the epoch; then what it does: looks at a line,
/// looks at one because a request was taken, leaves, locks the features. Epochs and features of the lines are
/// differences, from the epoch and from the features required.
///
/// Each line is as fine, or breaks the same clause first, for the crate and for the slow reader; a violation
/// changes nothing; what was accepted never changes; a state never goes back.
///
/// # Panics
///
/// They differ.
pub fn negotiation(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let is_host = input.flag();
    let [required, optional, supported, epoch] = std::array::from_fn(|_| input.word());
    let features = Features::from_bits;
    let fields = HeaderFields {
        required: features(required),
        optional: features(optional),
        epoch,
        ..header_fields(0, 0)
    };
    let (mut side, mut observer) = if is_host {
        (Negotiation::of_host(&fields), Observer::host(required, optional, epoch))
    } else {
        let side = Negotiation::of_worker(&fields, features(supported));
        (side, Observer::worker(required, optional, supported, epoch))
    };
    let mut last = 0;
    input.steps(|input| match input.below(4) {
        0 | 1 => {
            let request = input.flag();
            let line = RawControl {
                state: input.word(),
                epoch: epoch ^ input.word(),
                features: required ^ input.word(),
            };
            let before = side;
            match hold_line(&mut side, &mut observer, line, request) {
                // LANE-9: the line itself is fine, what is missing is seen after it.
                Some(violation) if violation.name() == "not_locked" => {
                    assert_ne!(side.phase(), Phase::Locked);
                    last = line.state;
                }
                Some(_) => assert_eq!(side, before),
                None => {
                    assert!(line.state >= last);
                    last = line.state;
                    let kept = before.accepted().is_none_or(|was| side.accepted() == Some(was));
                    assert!(kept, "{before:?}, then {side:?}");
                }
            }
        }
        2 => {
            side.leave();
            observer.closing = true;
        }
        _ if is_host => {
            let locked = side.lock().map(Features::bits);
            assert_eq!(locked, observer.accepted());
            assert_eq!(side.phase() == Phase::Locked, locked.is_some());
        }
        _ => {}
    });
}

pub(crate) fn seeds() -> Vec<Seed> {
    of_kind("control").iter().map(seed).collect()
}

fn seed(file: &File) -> Seed {
    let json = &file.json;
    let mut output = Output::default();
    output.byte((text(json, "side") == "host").into());
    let [required, optional, supported] = ["required", "optional", "supported"]
        .map(|name| json[name].as_str().map_or(0, |_| bits(json, name)));
    output.words(&[required, optional, supported, word(json, "epoch")]);
    if flag(json, "closing") {
        output.byte(2);
    }
    let line = |output: &mut Output, line: &Json, request: bool| {
        let (epoch, features) = (word(line, "epoch"), bits(line, "features"));
        output.byte(0).byte(request.into()).word(word(line, "state"));
        output.word(epoch ^ word(json, "epoch")).word(features ^ required);
    };
    for observed in json["observed"].as_array().into_iter().flatten() {
        line(&mut output, observed, false);
        output.byte(3);
    }
    line(&mut output, &json["line"], flag(json, "request"));
    Seed::of_vector(file, output.done())
}
