//! Every case, with its number.
//!
//! Numbers are never given to another case: each file has a range of its own, or some, and a new row comes behind all
//! others of its range. `cases.txt` holds them fast.

mod actors;
mod boot;
mod channel;
mod control;
mod lane;
mod messages;
mod payloads;
mod segment;
mod trespass;
mod withdraw;

use crate::case::{Case, Course, Deed, Expect, Role};
use crate::wire::{Fate, Forged};

/// First number of the forged requests, below 800.
const REQUESTS: u32 = 500;
/// First number of the forged answers, below 1400.
const ANSWERS: u32 = 1100;

/// Every case, in the order of the numbers.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut cases = [boot::all(), segment::all(), control::all(), lane::all()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    cases.extend(
        (REQUESTS..)
            .zip(messages::all())
            .map(|(number, forged)| forged_case(number, Role::Host, forged)),
    );
    cases.extend(channel::of_host());
    cases.extend(channel::of_worker());
    cases.extend(actors::all());
    cases.extend(withdraw::of_host());
    cases.extend(withdraw::of_worker());
    cases.extend(
        (ANSWERS..)
            .zip(messages::all())
            .map(|(number, forged)| forged_case(number, Role::Worker, forged)),
    );
    cases.sort_by_key(|case| case.number);
    cases
}

/// The case with this id, such as `V0007` or `7`.
#[must_use]
pub fn find(id: &str) -> Option<Case> {
    let number: u32 = id.trim_start_matches(['V', 'v']).parse().ok()?;
    all().into_iter().find(|case| case.number == number)
}

fn forged_case(number: u32, role: Role, forged: Forged) -> Case {
    let expect = match (role, forged.fate) {
        (_, Fate::Poison) => Expect::Rejects,
        (_, Fate::Fails) => Expect::Fails,
        (Role::Host, Fate::Passes) => Expect::Carries,
        // A host whose caller wants a text fails the call; one that takes anything hands it out.
        (Role::Worker, Fate::Passes) => Expect::Keeps,
    };
    let (verb, deed) = match role {
        Role::Host => ("request", Deed::Request(forged.clone())),
        Role::Worker => ("answer", Deed::Answer(forged.clone())),
    };
    let name = format!("{verb}-{}", forged.name);
    Case { number, name, clause: forged.clause, expect, deed }
}

/// Nothing beside how the lane was started.
fn carries_on() -> Course {
    Box::new(|_| Ok(()))
}
