//! Header lines, by the reading steps of `spec/payloads.md`.

use super::Fault;

/// What a receiver holds a header line against.
#[derive(Clone, Copy, Debug)]
pub struct SlotLimits {
    /// Whether it is the line of a request.
    pub request: bool,
    /// Length of the arena's data.
    pub arena_bytes: u64,
    /// Longest payload, in bytes.
    pub max_payload: u64,
    /// Abort signals of the lane.
    pub abort_capacity: u32,
}

/// What a header line says. Zero is what its form does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Word 1.
    pub call: u32,
    /// Word 2.
    pub tag: u32,
    /// Task and abort signal, of a request.
    pub request: Option<(u32, Option<u32>)>,
    /// Whether it is the line of an answer that is an error.
    pub rejected: bool,
    /// Name of the form.
    pub form: &'static str,
    /// Words 3 and 4, the former as the low half.
    pub scalar: u64,
    /// Length of the payload.
    pub len: u32,
    /// Length of the head.
    pub head: u32,
    /// Length of the body.
    pub body: u32,
    /// Where in the arena the block begins.
    pub start: u32,
    /// Index of the block.
    pub block: u32,
}

/// What words 0 to 6 of a header line say, or the first fault: steps 2 to 5.
///
/// # Errors
///
/// The line is refused.
pub fn slot(words: [u32; 7], limits: SlotLimits) -> Result<Slot, Fault> {
    let must = |holds: bool, fault: Fault| if holds { Ok(()) } else { Err(fault) };
    let [w0, call, tag, w3, w4, w5, w6] = words;
    let (signal, function) = (w0 / 65536, w0 % 65536);
    let mut slot = Slot { call, tag, ..Slot::default() };
    if limits.request {
        must(signal <= limits.abort_capacity, "abort_signal")?;
        slot.request = Some((function, signal.checked_sub(1)));
    } else {
        must(w0 == 0 || w0 == 1, "answer_flags")?;
        slot.rejected = w0 == 1;
    }
    slot.form = match tag {
        3..=6 | 10 => "BARE",
        2 | 9 | 25 => "SCALAR",
        15 | 16 | 18 | 27 | 29 | 31..=35 | 37 | 39 | 45 | 46 | 54 => "INLINE",
        11 | 12 | 17 | 19..=24 | 26 | 28 | 36 | 38 | 44 | 53 => "ARENA",
        40 | 42 | 49 | 51 => "INLINE_HEAD",
        41 | 43 | 50 | 52 => "ARENA_HEAD",
        47 | 48 => return Err("local_tag"),
        _ => return Err("unassigned_tag"),
    };
    let in_arena = match slot.form {
        "ARENA" => Some(u64::from(w5)),
        "INLINE_HEAD" => Some(u64::from(w4)),
        "ARENA_HEAD" => Some(u64::from(w4) + u64::from(w5)),
        _ => None,
    };
    if slot.form.starts_with("INLINE") {
        must(w5 <= 512, "inline_length")?;
    }
    if let Some(len) = in_arena {
        must(len <= limits.max_payload, "payload_length")?;
        must(w3 % 64 == 0, "arena_alignment")?;
        must(u64::from(w3) + len <= limits.arena_bytes, "arena_bounds")?;
        slot.block = w6 % 32;
        slot.start = w3;
    }
    match slot.form {
        "SCALAR" => slot.scalar = u64::from(w4) * (1 << 32) + u64::from(w3),
        "INLINE" | "ARENA" => slot.len = w5,
        "INLINE_HEAD" | "ARENA_HEAD" => (slot.head, slot.body) = (w5, w4),
        _ => {}
    }
    Ok(slot)
}
