//! Header and control lines.

use super::{Access, Checked, Direction, Op, Place, Who, wrong};
use std::collections::BTreeSet;

/// The ready word is stored last and loaded first; every other word is stored once and loaded once.
/// SEG-4, SEG-7, SEG-10.
pub fn header(trace: &[Access]) -> Checked {
    let mut touched = BTreeSet::new();
    let (mut created, mut ready) = (false, false);
    for (at, access) in trace.iter().enumerate() {
        let Place::Header(word) = &access.place else { continue };
        if !touched.insert((access.stores(), word.clone())) {
            return wrong(at, access, "a second time");
        }
        match (access.op, word.as_str()) {
            (Op::Store, _) if created => return wrong(at, access, "after the ready word"),
            (Op::Store, "ready") => created = true,
            (Op::Load, "ready") => ready = access.value != 0,
            (Op::Load, _) if !ready => return wrong(at, access, "before the ready word"),
            _ => {}
        }
    }
    Ok(())
}

/// States grow, each after what it says is there: the epoch of the lane, the other side's state.
/// LANE-3, LANE-4, LANE-5, LANE-7, LANE-12.
pub fn states(trace: &[Access]) -> Checked {
    let mut state = [0; 2];
    let mut epoch = [None; 2];
    let mut features = [false; 2];
    // The host's state as the worker saw it last.
    let mut host_seen = 0;
    for (at, access) in trace.iter().enumerate() {
        let me = access.who.index();
        match (&access.place, access.op) {
            (Place::Control(Who::Host, word), Op::Load) if word == "state" => {
                host_seen = access.value;
            }
            (Place::Control(_, word), Op::Store) => {
                if access.who == Who::Worker && word != "parked" && host_seen == 0 {
                    return wrong(at, access, "before the host's state was seen");
                }
                match word.as_str() {
                    "epoch" | "pid" | "features" if state[me] > 0 && access.who == Who::Worker => {
                        return wrong(at, access, "after the state that it belongs to");
                    }
                    "epoch" if state[me] > 0 => return wrong(at, access, "after the state"),
                    "epoch" => epoch[me] = Some(access.value),
                    "features" => features[me] = true,
                    "state" => {
                        let early = epoch[me].is_none()
                            || access.who == Who::Worker && !features[me]
                            || access.who == Who::Worker && access.value > host_seen;
                        if access.value != state[me] + 1 || access.value > 2 || early {
                            return wrong(at, access, "too early, or no next state");
                        }
                        state[me] = access.value;
                    }
                    _ => {}
                }
            }
            (Place::Sector(direction, word), Op::Store)
                if word == "publish" && state[direction.sender().index()] == 2 =>
            {
                return wrong(at, access, "after its sender left");
            }
            _ => {}
        }
    }
    match epoch {
        [Some(host), Some(worker)] if host != worker => Err(format!("epochs {host} and {worker}")),
        _ => Ok(()),
    }
}

/// The host locks what the worker accepted before it sends; the worker looks before it answers.
/// LANE-8, LANE-9, SEG-9. Traces of a mailbox alone have no states and nothing to lock.
pub fn features(trace: &[Access]) -> Checked {
    let control = |access: &Access| access.place.is_control(Who::Host, "state");
    if !trace.iter().any(|access| control(access) && access.op == Op::Store) {
        return Ok(());
    }
    let (mut open, mut accepted) = (false, None);
    let (mut locked, mut checked) = (None, false);
    for (at, access) in trace.iter().enumerate() {
        match (&access.place, access.op) {
            (Place::Control(Who::Worker, word), Op::Load) if word == "state" => {
                open = access.value == 1 || open;
            }
            (Place::Control(Who::Worker, word), Op::Load) if word == "features" && open => {
                accepted = Some(access.value);
            }
            (Place::Control(Who::Host, word), Op::Store) if word == "features" => {
                if locked.is_some() || accepted != Some(access.value) {
                    return wrong(
                        at,
                        access,
                        "not what the open worker accepted, or a second time",
                    );
                }
                locked = Some(access.value);
            }
            (Place::Control(Who::Host, word), Op::Load) if word == "features" => {
                checked = access.value != 0 || checked;
            }
            (Place::Sector(Direction::Request, word), Op::Store)
                if word == "publish" && locked.is_none() =>
            {
                return wrong(at, access, "before the features are locked");
            }
            (Place::Sector(Direction::Response, word), Op::Store)
                if word == "publish" && !checked =>
            {
                return wrong(at, access, "before the worker saw the features locked");
            }
            _ => {}
        }
    }
    Ok(())
}
