//! Payloads through shared memory without a mailbox: what the copies alone cost.

use super::line::{LINES_BYTES as AREAS_AT, Lines};
use super::{Floor, FloorError, Plan, Sample, shared_memory, start_with_memory};
use knit_proto::Span;
use knit_ring::{Mapped, MappedBytes, Mapping, OutOfBounds, SharedBytes, SharedMemory};

/// Four copies for each round trip: private to shared and back, on both sides.
pub(super) fn measure(plan: &Plan, bytes: u32) -> Result<Sample, FloorError> {
    let floor = Floor::Copy { bytes };
    let bytes = bytes.next_multiple_of(64);
    let (memory, mut peer) = start_with_memory(floor, AREAS_AT + 2 * bytes, &plan.cpus)?;
    let (request, response) = areas(&memory)?;
    let mut lines = Lines::asking(&memory, 1)?;
    let question: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
    let mut answer = vec![0; question.len()];
    let mut round = |question: &[u8], answer: &mut [u8]| {
        request.deposit(0, question)?;
        lines.ask()?;
        lines.await_answer(&mut peer)?;
        response.snapshot(0, answer)?;
        Ok::<_, FloorError>(())
    };
    round(&question, &mut answer)?;
    if let Some(at) = (0..question.len()).find(|at| question[*at] != answer[*at]) {
        return Err(FloorError::WrongAnswer {
            expected: question[at].into(),
            found: answer[at].into(),
        });
    }
    Sample::collect(plan, |rounds| {
        for _ in 0..rounds {
            round(&question, &mut answer)?;
        }
        Ok(())
    })
}

pub(super) fn serve() -> Result<(), FloorError> {
    let memory = shared_memory()?;
    let (request, response) = areas(&memory)?;
    let mut lines = Lines::answering(&memory, 1)?;
    let mut private = vec![0; request.len() as usize];
    loop {
        let body = lines.await_question()?;
        request.snapshot(0, &mut private)?;
        response.deposit(0, &private)?;
        lines.send(&body)?;
    }
}

/// The areas for questions and answers: what is left of the memory, in two halves.
fn areas(
    memory: &Mapped<Mapping>,
) -> Result<(MappedBytes<Mapping>, MappedBytes<Mapping>), OutOfBounds> {
    let half = memory.len().saturating_sub(AREAS_AT) / 2 / 64 * 64;
    let area = |index: u32| Span::new(AREAS_AT + index * half, half).expect("inside the memory");
    Ok((memory.bytes(area(0))?, memory.bytes(area(1))?))
}
