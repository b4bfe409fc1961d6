//! Bells and parked flags.

use super::{Access, Checked, Direction, Op, Place, Who, wrong};

const BOTH: [Who; 2] = [Who::Host, Who::Worker];

/// The accesses of one party, with where they stand in the trace.
fn of(who: Who, trace: &[Access]) -> Vec<(usize, &Access)> {
    trace.iter().enumerate().filter(|(_, access)| access.who == who).collect()
}

/// A bell is advanced by one, after a fence and a load of the other side's parked flag that is not 0,
/// or after a state; then whoever waits is woken. WAKE-2.
pub fn bells(trace: &[Access]) -> Checked {
    for who in BOTH {
        let (mut rung, mut stored) = (0, false);
        let mine = of(who, trace);
        for (index, (at, access)) in mine.iter().enumerate() {
            let before = index.checked_sub(1).map(|index| mine[index].1);
            let fenced = before.is_some_and(|access| access.op == Op::Fence);
            match (&access.place, access.op) {
                (Place::Control(_, word), Op::Load) if word == "parked" && !(stored && fenced) => {
                    return wrong(*at, access, "no store and then a fence before it");
                }
                (Place::Control(_, word), Op::Store) if word == "bell" => {
                    let parked = |access: &Access| {
                        matches!(&access.place, Place::Control(_, word) if word == "parked")
                            && (access.op, access.value != 0) == (Op::Load, true)
                    };
                    let announced = |access: &Access| {
                        access.place.is_control(who, "state") && access.op == Op::Store
                    };
                    let reason = before.is_some_and(|access| parked(access) || announced(access));
                    if !reason || access.value != rung + 1 {
                        return wrong(
                            *at,
                            access,
                            "nobody is parked, no state is new, or not the next",
                        );
                    }
                    rung = access.value;
                    if mine.get(index + 1).is_none_or(|(_, next)| next.op != Op::Wake) {
                        return wrong(*at, access, "nobody is woken after it");
                    }
                }
                (_, Op::Wake) => {
                    let bell = |access: &Access| access.place.is_control(who, "bell");
                    if !bell(access) || !before.is_some_and(bell) {
                        return wrong(*at, access, "its bell was not advanced");
                    }
                }
                _ => {}
            }
            stored |= access.stores();
        }
    }
    Ok(())
}

/// Bell, flag, fence, look; then a wait for the bell as it was loaded, or none; then the flag again.
/// WAKE-1, WAKE-3, MBX-18.
pub fn parking(trace: &[Access]) -> Checked {
    for (who, inbox) in [(Who::Host, Direction::Response), (Who::Worker, Direction::Request)] {
        let mine = of(who, trace);
        // The bell as it was loaded, once the flag is set.
        let mut parked = None;
        let mut looked = false;
        for (index, (at, access)) in mine.iter().enumerate() {
            let before = index.checked_sub(1).map(|index| mine[index].1);
            match (&access.place, access.op, parked) {
                (Place::Control(_, word), Op::Store, None) if word == "parked" => {
                    let bell = before.filter(|access| {
                        access.op == Op::Load
                            && matches!(&access.place, Place::Control(_, word) if word == "bell")
                    });
                    let (Some(bell), 1) = (bell, access.value) else {
                        return wrong(*at, access, "not 1, or the bell was not loaded before");
                    };
                    if mine.get(index + 1).is_none_or(|(_, next)| next.op != Op::Fence) {
                        return wrong(*at, access, "no fence after it");
                    }
                    (parked, looked) = (Some(bell.value), false);
                }
                (Place::Control(_, word), Op::Store, Some(_)) if word == "parked" => {
                    if access.value != 0 || !looked {
                        return wrong(*at, access, "not 0, or without a look before");
                    }
                    parked = None;
                }
                (place, Op::Load, Some(_)) if place.is_sector(inbox, "publish") => looked = true,
                (_, Op::Wait, _) => {
                    if parked != Some(access.value) || !looked {
                        return wrong(
                            *at,
                            access,
                            "another bell than was loaded, or no look before",
                        );
                    }
                    let retracts = |next: &Access| next.place.is_control(who, "parked");
                    if mine.get(index + 1).is_some_and(|(_, next)| !retracts(next)) {
                        return wrong(*at, access, "the flag is not 0 again after it");
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}
