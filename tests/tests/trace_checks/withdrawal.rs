//! The withdrawn word, and what a host finds in the journal of a living worker.

use super::{Access, Checked, Direction, Op, Place, Who, bits, wrong};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Tag of `undefined`.
const UNDEFINED: u32 = 5;

/// The calls in flight as the host knows them: from the publication of a request until its answer is loaded.
#[derive(Default)]
struct InFlight {
    sending: Option<u32>,
    calls: BTreeSet<u32>,
}

impl InFlight {
    /// The call that is published by this access.
    fn see(&mut self, access: &Access) -> Option<u32> {
        match (&access.place, access.op) {
            (Place::Line(Direction::Request, _, word), Op::Store) if word == "call" => {
                self.sending = Some(access.value);
            }
            (Place::Line(Direction::Response, _, word), Op::Load) if word == "call" => {
                self.calls.remove(&access.value);
            }
            (place, Op::Store) if place.is_sector(Direction::Request, "publish") => {
                let call = self.sending.take();
                self.calls.extend(call);
                return call;
            }
            _ => {}
        }
        None
    }

    fn has_bit(&self, bit: usize) -> bool {
        self.calls.iter().any(|call| *call as usize % 32 == bit)
    }
}

/// What a worker knows and owes.
#[derive(Default)]
struct Worker {
    /// Calls that were taken and are not answered; whether the bit of each was set.
    open: BTreeMap<u32, bool>,
    /// Taken, and not looked for yet.
    taken: Option<u32>,
    /// Whether there was an answer, and no fence since.
    answered: bool,
    /// Whether the look at the bits still needs a fence.
    unfenced: bool,
    answer: [Option<u32>; 3],
}

/// Bits are set of calls in flight, with a fence before the journal is loaded, and cleared when the call was answered; the
/// worker looks after it has stored *taken*, with a fence where it needs one, and answers accordingly. LANE-38, LANE-39,
/// LANE-40, LANE-42.
pub fn bits_and_fences(trace: &[Access]) -> Checked {
    if !trace.iter().any(|access| access.place == Place::Withdrawn) {
        return Ok(());
    }
    let (mut in_flight, mut worker) = (InFlight::default(), Worker::default());
    let (mut word, mut fenced) = (0, false);
    for (at, access) in trace.iter().enumerate() {
        if let Some(call) = in_flight.see(access)
            && word & 1 << (call % 32) != 0
        {
            return wrong(at, access, "the bit of the call is set");
        }
        match (&access.place, access.op, access.who) {
            (Place::Withdrawn, Op::Store, _) => {
                let (set, cleared) = (access.value & !word, word & !access.value);
                if bits(set).any(|bit| !in_flight.has_bit(bit)) {
                    return wrong(at, access, "of a call that is not in flight");
                }
                if bits(cleared).any(|bit| in_flight.has_bit(bit)) {
                    return wrong(at, access, "before the call was answered");
                }
                fenced &= set == 0;
                word = access.value;
            }
            (_, Op::Fence, Who::Host) => fenced = true,
            (Place::Journal(_), Op::Load, _) if word == 0 || !fenced => {
                return wrong(at, access, "no bit is set, or no fence after it");
            }
            _ if access.who == Who::Worker => worker.see(at, access)?,
            _ => {}
        }
    }
    Ok(())
}

impl Worker {
    fn see(&mut self, at: usize, access: &Access) -> Checked {
        match (&access.place, access.op) {
            (_, Op::Fence) => (self.answered, self.unfenced) = (false, false),
            (Place::Journal(index), Op::Store) if access.value % 32 == 1 => {
                self.taken = Some(access.value - 1 + *index as u32);
                self.unfenced = self.answered || !self.open.is_empty();
            }
            (Place::Withdrawn, _) => {
                let Some(call) = self.taken.take() else {
                    return wrong(at, access, "no call was taken before it");
                };
                if self.unfenced {
                    return wrong(at, access, "no fence since the call was taken");
                }
                self.open.insert(call, access.value & 1 << (call % 32) != 0);
            }
            (Place::Line(Direction::Response, _, word), Op::Store) => {
                let words = ["word0", "call", "tag"];
                if let Some(index) = words.iter().position(|known| known == word) {
                    self.answer[index] = Some(access.value);
                }
            }
            (place, Op::Store) if place.is_sector(Direction::Response, "publish") => {
                let [Some(word0), Some(call), Some(tag)] = std::mem::take(&mut self.answer) else {
                    return wrong(at, access, "without a header");
                };
                match self.open.remove(&call) {
                    None => {
                        return wrong(at, access, "before the worker looked for the call's bit");
                    }
                    Some(true) if (word0, tag) == (2, UNDEFINED) => {}
                    Some(false) if word0 < 2 => {}
                    Some(_) => return wrong(at, access, "not what the bit of the call asks for"),
                }
                self.answered = true;
            }
            _ => {}
        }
        Ok(())
    }
}

/// *Taken* is stored with release ordering, and the journal of a living worker loaded with acquire. LANE-40, LANE-41.
pub fn journal_orders(trace: &[Access]) -> Checked {
    if !trace.iter().any(|access| access.place == Place::Withdrawn) {
        return Ok(());
    }
    for (at, access) in trace.iter().enumerate() {
        let Place::Journal(_) = access.place else { continue };
        let needed = match access.op {
            Op::Load => "acquire",
            Op::Store if access.value % 32 == 1 => "release",
            _ => continue,
        };
        if access.order != needed {
            return wrong(at, access, &format!("{} and not {needed}", access.order));
        }
    }
    Ok(())
}

/// What a host says is not begun: the bit of the call is set; in the same step it has found some call in flight taken, and
/// after that the word that stood there before this call; and the call is given back in the end. LANE-41. `steps` are
/// those of the accesses.
pub fn not_begun(script: &[Value], trace: &[Access], steps: &[usize]) -> Checked {
    let mut in_flight = InFlight::default();
    let (mut word, mut before) = (0, BTreeMap::new());
    // Places of calls that some step has found taken, and what was loaded after that.
    let mut found = vec![(false, BTreeMap::new()); script.len()];
    let mut said = BTreeSet::new();
    for (number, step) in script.iter().enumerate() {
        for (access, _) in trace.iter().zip(steps).filter(|(_, of)| **of == number) {
            in_flight.see(access);
            let (taken, after) = &mut found[number];
            match (&access.place, access.op) {
                (Place::Withdrawn, Op::Store) => word = access.value,
                (Place::Line(Direction::Response, _, name), Op::Load) if name == "call" => {
                    before.insert(access.value % 32, access.value - access.value % 32 + 2);
                }
                (Place::Journal(index), Op::Load) => {
                    if *taken {
                        after.insert(*index as u32, access.value);
                    }
                    let call = (access.value + *index as u32).wrapping_sub(1);
                    *taken |= access.value % 32 == 1 && in_flight.calls.contains(&call);
                }
                _ => {}
            }
        }
        for call in step["result"]["not_begun"].as_array().into_iter().flatten() {
            let call = u32::try_from(call.as_u64().expect("a call id")).expect("32 bits");
            let place = call % 32;
            let expected = before.get(&place).copied().unwrap_or(0);
            if word & 1 << place == 0 || found[number].1.get(&place) != Some(&expected) {
                return Err(format!("step {number}: call {call} may have begun"));
            }
            if !said.insert(call) {
                return Err(format!("step {number}: call {call} was named before"));
            }
        }
        let result = &step["result"];
        let given_back = result["withdrawn"] == true;
        if step["do"] == "collect"
            && !given_back
            && result["call"].as_u64().is_some_and(|call| said.contains(&(call as u32)))
        {
            return Err(format!("step {number}: the call is answered with a result"));
        }
    }
    Ok(())
}
