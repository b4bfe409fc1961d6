//! Operations on an arena, its free word honest or hostile.

use crate::corpus::{Seed, of_kind};
use crate::input::{Input, Output};
use knit_ring::HeapMemory;
use knit_tests::histories::{ArenaOp, HostileArenaOp, Then, run_arena, run_hostile_arena};
use knit_tests::vector_files::{File, bits, folder, text};
use knit_tests::{HostileMemory, Noise, arena_lane};
use serde_json::Value as Json;

const HONEST: u8 = 0;
const HOSTILE: u8 = 1;

/// Whether the receiver is honest, the capacity in granules, then operations. For a hostile one, before them: how
/// many of 256 loads return what was never stored, and a script of what they return.
///
/// No byte is in two blocks that are loaned or live, every block lies inside, room is found whenever there is
/// some; a block that is only loaned cannot be freed, and whatever else is flipped in the free word is named.
///
/// # Panics
///
/// The arena does something else.
pub fn arena(bytes: &[u8]) {
    let _ = run(bytes);
}

/// How many violations were named.
fn run(bytes: &[u8]) -> u32 {
    let mut input = Input::new(bytes);
    let kind = input.below(2);
    let capacity = 64 * (1 + u32::from(input.below(64)));
    if kind == HONEST {
        run_arena(capacity, &input.steps(honest));
        return 0;
    }
    let rate = input.byte().into();
    let noise = Noise::scripted(input.bytes(), input.wide());
    let lane = arena_lane(1, capacity);
    let memory = HeapMemory::zeroed(lane.bytes).expect("a few kilobytes");
    let hostile_memory = HostileMemory::driven(&memory, noise, rate);
    run_hostile_arena(&lane, &memory, &hostile_memory, input.steps(hostile)).violations
}

fn then(input: &mut Input<'_>) -> Then {
    [Then::Commit, Then::Drop, Then::Keep][usize::from(input.below(3))]
}

/// A length: mostly a short one.
fn len(input: &mut Input<'_>) -> u32 {
    match input.short() {
        u16::MAX => input.word(),
        short => short.into(),
    }
}

fn honest(input: &mut Input<'_>) -> ArenaOp {
    match input.below(4) {
        0 => ArenaOp::Loan(len(input), then(input)),
        1 => ArenaOp::Settle(input.byte().into(), input.flag()),
        2 => ArenaOp::Hold(input.byte().into()),
        _ => ArenaOp::Free(input.byte().into()),
    }
}

fn hostile(input: &mut Input<'_>) -> HostileArenaOp {
    match input.below(6) {
        0 => HostileArenaOp::Loan(len(input), then(input)),
        1 => HostileArenaOp::Settle(input.byte().into(), input.flag()),
        2 => HostileArenaOp::FreeLive(input.byte().into()),
        3 => HostileArenaOp::Flip(input.word()),
        4 => HostileArenaOp::Store(input.word()),
        _ => HostileArenaOp::Reclaim,
    }
}

/// The scripts of the traces, as far as they are about arenas, and the free words that are refused.
pub(crate) fn seeds() -> Vec<Seed> {
    let traces = folder("trace");
    let refused = of_kind("arena");
    traces.iter().filter_map(of_trace).chain(refused.iter().map(of_refusal)).collect()
}

fn of_trace(file: &File) -> Option<Seed> {
    let mut output = Output::default();
    output.byte(HONEST).byte(62);
    let mut steps = 0;
    for step in file.json["script"].as_array()? {
        // A block is named by its index, which is the order in which they were lent first.
        match text(step, "do") {
            "allocate" => drop(output.byte(0).short(text(step, "hex").len() as u16 / 2).byte(0)),
            "free" => drop(output.byte(3).byte(step["block"].as_u64()? as u8)),
            _ => continue,
        }
        steps += 1;
    }
    (steps > 0).then(|| Seed::of_vector(file, output.done()))
}

fn of_refusal(file: &File) -> Seed {
    let bits = |name: &str| bits(&file.json as &Json, name);
    let (mine, seen) = (bits("mine"), bits("seen"));
    let mut output = Output::default();
    output.byte(HOSTILE).byte(31).byte(0).bytes(&[]).wide(0);
    let lend = |output: &mut Output| {
        output.byte(0).short(1).byte(0);
    };
    // As many blocks as are named; some come back; those that are live a second time are flipped again.
    let blocks = u32::BITS - (mine | seen).leading_zeros();
    let first = u32::MAX.checked_shr(u32::BITS - blocks).unwrap_or(0);
    for _ in 0..blocks {
        lend(&mut output);
    }
    output.byte(4).word(seen).byte(5);
    for _ in 0..(first ^ mine).count_ones() {
        lend(&mut output);
    }
    Seed::of_vector(file, output.byte(4).word(bits("free")).byte(5).done())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeds that show nothing are none.
    #[test]
    fn the_free_words_that_the_vectors_reject_are_named() {
        let refused = of_kind("arena");
        assert!(refused.len() > 5);
        for seed in refused.iter().map(of_refusal) {
            assert_eq!(run(&seed.bytes), 1, "{}", seed.name);
        }
    }
}
