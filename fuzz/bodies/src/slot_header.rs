//! Words 0 to 6 of a header line, read twice and written again.

use crate::corpus::{Seed, of_kind};
use crate::input::{Input, Output};
use knit_proto::{Direction, INLINE_BYTES, PayloadPlace, RawSlotHeader, SlotIndex, SlotRules};
use knit_tests::differential::hold_slot;
use knit_tests::vector_files::{File, slot_rules, words};

/// The seven words, then the rules of the receiver and the slot.
///
/// The words have the same header and the same first fault for the crate and for the slow reader; what is
/// written from the header is the same again; every stretch of bytes lies inside its area.
///
/// # Panics
///
/// They differ.
pub fn slot_header(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let raw = RawSlotHeader(std::array::from_fn(|_| input.word()));
    let rules = SlotRules {
        direction: if input.flag() { Direction::Response } else { Direction::Request },
        arena_bytes: input.word(),
        max_payload: input.word(),
        abort_capacity: input.word(),
    };
    let slot = SlotIndex::new(input.below(32).into()).expect("below 32");
    let Some(header) = hold_slot(&raw, &rules, slot) else { return };
    let (inline, arena) = match header.place {
        PayloadPlace::Bare | PayloadPlace::Scalar(_) => (0, None),
        PayloadPlace::Inline { len } => (len, None),
        PayloadPlace::Arena { start, len, .. } => (0, Some((start, u64::from(len)))),
        PayloadPlace::InlineHead { head, start, body, .. } => (head, Some((start, body.into()))),
        PayloadPlace::ArenaHead { head, start, body, .. } => {
            (0, Some((start, u64::from(head) + u64::from(body))))
        }
    };
    assert!(inline <= INLINE_BYTES);
    if let Some((start, len)) = arena {
        assert!(len <= rules.max_payload.into());
        assert!(u64::from(start) + len <= rules.arena_bytes.into() && start.is_multiple_of(64));
    }
}

pub(crate) fn seeds() -> Vec<Seed> {
    let seed = |file: File| {
        let (line, rules) = (words::<16>(&file.json, "bytes"), slot_rules(&file.json));
        let bytes = Output::default()
            .words(&line[..7])
            .byte((rules.direction == Direction::Response).into())
            .words(&[rules.arena_bytes, rules.max_payload, rules.abort_capacity])
            .byte(9)
            .done();
        Seed::of_vector(&file, bytes)
    };
    of_kind("slot").into_iter().map(seed).collect()
}
