//! The stage journal.

use super::{Access, Checked, Direction, Op, Place, Who, wrong};
use std::collections::BTreeMap;

/// In a trace with a journal, a call is *taken* after its slot was read, *done* before its answer is published,
/// and nobody loads the words of a living worker but for withdrawn calls. LANE-34, LANE-35, LANE-36.
pub fn stages(trace: &[Access]) -> Checked {
    if !trace.iter().any(|access| matches!(access.place, Place::Journal(_))) {
        return Ok(());
    }
    let withdraws = trace.iter().any(|access| access.place == Place::Withdrawn);
    // Ids that the worker has loaded from requests, and the stage of each since.
    let mut stages = BTreeMap::new();
    let mut answering = None;
    for (at, access) in trace.iter().enumerate() {
        match (&access.place, access.op, access.who) {
            (Place::Line(Direction::Request, _, word), Op::Load, Who::Worker) if word == "call" => {
                stages.insert(access.value, 0);
            }
            (Place::Journal(index), Op::Store, _) => {
                let stage = access.value % 32;
                let call = access.value - stage + *index as u32;
                if !(1..=2).contains(&stage) || stages.get(&call) != Some(&(stage - 1)) {
                    return wrong(at, access, "of another call, or not the next stage");
                }
                stages.insert(call, stage);
            }
            (Place::Journal(_), ..) if !withdraws => {
                return wrong(at, access, "while the worker lives");
            }
            (Place::Line(Direction::Response, _, word), Op::Store, _) if word == "call" => {
                answering = Some(access.value);
            }
            (Place::Sector(Direction::Response, word), Op::Store, _) if word == "publish" => {
                let call = answering.take();
                if call.and_then(|call| stages.remove(&call)) != Some(2) {
                    return wrong(at, access, "before the call was done");
                }
            }
            _ => {}
        }
    }
    Ok(())
}
