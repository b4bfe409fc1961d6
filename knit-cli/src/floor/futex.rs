//! A shared futex each way.

use super::{Floor, FloorError, PATIENCE, Plan, Sample, shared_memory, start_with_memory};
use knit_proto::WordOffset;
use knit_ring::{
    Doorbell, FutexBell, Mapped, MappedWord, Mapping, OutOfBounds, SharedMemory, SharedWord, Ticket,
};
use std::time::{Duration, Instant};

const PAGE_BYTES: u32 = 4096;
/// Longest sleep before a look whether the peer is alive.
const NAP: Duration = Duration::from_millis(200);

/// Each side advances its own word, wakes the other one, and sleeps on the other's word.
pub(super) fn measure(plan: &Plan) -> Result<Sample, FloorError> {
    let (memory, mut peer) = start_with_memory(Floor::Futex, PAGE_BYTES, &plan.cpus)?;
    let (question, answer) = words(&memory)?;
    let mut count = 0_u32;
    Sample::collect(plan, |rounds| {
        for _ in 0..rounds {
            let before = count;
            count = count.wrapping_add(1);
            // Release: pairs with the acquire load of the side that wakes.
            question.store_release(count);
            FutexBell.wake(&question);
            let found = match sleep(&answer, before, NAP) {
                Some(found) => found,
                None => {
                    let since = Instant::now();
                    loop {
                        peer.alive()?;
                        if since.elapsed() > PATIENCE {
                            return Err(peer.silent(PATIENCE));
                        }
                        if let Some(found) = sleep(&answer, before, NAP) {
                            break found;
                        }
                    }
                }
            };
            if found != count {
                let (expected, found) = (count.into(), found.into());
                return Err(FloorError::WrongAnswer { expected, found });
            }
        }
        Ok(())
    })
}

pub(super) fn serve() -> Result<(), FloorError> {
    let memory = shared_memory()?;
    let (question, answer) = words(&memory)?;
    let mut seen = 0;
    loop {
        let Some(found) = sleep(&question, seen, NAP) else { continue };
        seen = found;
        // Release: pairs with the acquire load of the side that wakes.
        answer.store_release(found);
        FutexBell.wake(&answer);
    }
}

/// Sleeps until `word` is no longer `before`, and returns what it is then; `None` when it is still
/// the same after `most`.
fn sleep(word: &MappedWord<Mapping>, before: u32, most: Duration) -> Option<u32> {
    FutexBell.wait(word, Ticket { bell: before, local: 0 }, Some(most));
    // Acquire: pairs with the release store of the side that advanced the word.
    let found = word.load_acquire();
    (found != before).then_some(found)
}

/// The word of each side, in lines of their own.
fn words(
    memory: &Mapped<Mapping>,
) -> Result<(MappedWord<Mapping>, MappedWord<Mapping>), OutOfBounds> {
    let word = |at| memory.word(WordOffset::new(at).expect("a multiple of four"));
    Ok((word(0)?, word(128)?))
}
