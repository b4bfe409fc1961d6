//! Deadlines.

use super::memory::Memory;
use super::{Access, Checked, Direction, Op, Place, Who, wrong};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The bit of DEADLINES among the features.
const DEADLINES: u32 = 1 << 11;

/// The words of an entry change both or none, while no call in flight has that place, and the worker loads them from the
/// taking of the request until its answer; nobody does anything where the feature is not in force. LANE-46, LANE-47, LANE-48.
pub fn entries(trace: &[Access]) -> Checked {
    let mut in_force = false;
    // Of the host, from the publication of the request to the load of the answer; of the worker, between load and answer.
    let (mut in_flight, mut open) = (BTreeSet::new(), BTreeSet::new());
    let (mut sending, mut answering) = (None, None);
    let mut stored = BTreeMap::new();
    for (at, access) in trace.iter().enumerate() {
        match (&access.place, access.op, access.who) {
            (Place::Control(Who::Host, word), Op::Store, _) if word == "features" => {
                in_force = access.value & DEADLINES != 0;
            }
            (Place::Deadline(..), ..) if !in_force => {
                return wrong(at, access, "the feature is not in force");
            }
            (Place::Deadline(entry, half), Op::Store, _) => {
                if in_flight.contains(entry) {
                    return wrong(at, access, "while the call is in flight");
                }
                *stored.entry(*entry).or_insert(0) |= 1 << half;
            }
            (Place::Deadline(entry, _), Op::Load, _) if !open.contains(entry) => {
                return wrong(at, access, "before the request was taken, or after its answer");
            }
            (Place::Line(direction, _, word), op, _) if word == "call" => {
                let place = access.value as usize % 32;
                match (direction, op) {
                    (Direction::Request, Op::Store) => sending = Some(place),
                    (Direction::Request, _) => drop(open.insert(place)),
                    (Direction::Response, Op::Store) => answering = Some(place),
                    (Direction::Response, _) => drop(in_flight.remove(&place)),
                }
            }
            (place, Op::Store, _) if place.is_sector(Direction::Request, "publish") => {
                if stored.values().any(|halves| *halves != 3) {
                    return wrong(at, access, "half of a deadline was stored");
                }
                stored.clear();
                in_flight.extend(sending.take());
            }
            (place, Op::Store, _) if place.is_sector(Direction::Response, "publish") => {
                if let Some(place) = answering.take() {
                    open.remove(&place);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// When a call is published its entry says what the script says, or nothing where the feature is not in force; and a worker
/// that looks is told that. LANE-46. `steps` are those of the accesses.
pub fn told(script: &[Value], trace: &[Access], steps: &[usize]) -> Checked {
    let mut memory = Memory::default();
    let mut in_force = false;
    for (number, step) in script.iter().enumerate() {
        let mut published = None;
        for (access, _) in trace.iter().zip(steps).filter(|(_, of)| **of == number) {
            memory.store(access)?;
            if access.place.is_control(Who::Host, "features") && access.op == Op::Store {
                in_force = access.value & DEADLINES != 0;
            }
            if access.place.is_sector(Direction::Request, "publish") && access.op == Op::Store {
                published = Some(memory.words().clone());
            }
        }
        let (words, call, expected) = match step["do"].as_str() {
            Some("submit") => {
                let until = if in_force { &step["until"] } else { &Value::Null };
                (published, &step["result"]["call"], until)
            }
            Some("deadline") => (Some(memory.words().clone()), &step["call"], &step["result"]),
            _ => continue,
        };
        let (Some(words), Some(call)) = (words, call.as_u64()) else { continue };
        let word = |half| {
            let name = format!("extension.deadlines[{}]", call % 32 * 2 + half);
            u64::from(words.get(&name).copied().unwrap_or(0))
        };
        let stands = word(1) << 32 | word(0);
        let expected: u64 = match expected.as_str() {
            Some(text) => text.parse().map_err(|error| format!("`{text}`: {error}"))?,
            None => 0,
        };
        if stands != expected {
            return Err(format!("step {number}: call {call} until {stands}, not {expected}"));
        }
    }
    Ok(())
}
