//! Header lines, by the reading steps of `spec/payloads.md`.

use super::Fault;
use serde_json::{Value, json};

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

/// What words 0 to 6 of a header line say, as `header` of the files of `spec/vectors/slot`, or the first fault:
/// steps 2 to 5.
///
/// # Errors
///
/// The line is refused.
pub fn slot(words: [u32; 7], limits: SlotLimits) -> Result<Value, Fault> {
    let must = |holds: bool, fault: Fault| if holds { Ok(()) } else { Err(fault) };
    let [w0, call, tag, w3, w4, w5, w6] = words;
    let (signal, function) = (w0 / 65536, w0 % 65536);
    let mut header = json!({ "call": call, "tag": tag });
    if limits.request {
        must(signal <= limits.abort_capacity, "abort_signal")?;
        header["function"] = function.into();
        header["abort"] = signal.checked_sub(1).into();
    } else {
        must(w0 == 0 || w0 == 1, "answer_flags")?;
        header["rejected"] = (w0 == 1).into();
    }
    let form = match tag {
        3..=6 | 10 => "BARE",
        2 | 9 | 25 => "SCALAR",
        15 | 16 | 18 | 27 | 29 | 31..=35 | 37 | 39 | 45 | 46 | 54 => "INLINE",
        11 | 12 | 17 | 19..=24 | 26 | 28 | 36 | 38 | 44 | 53 => "ARENA",
        40 | 42 | 49 | 51 => "INLINE_HEAD",
        41 | 43 | 50 | 52 => "ARENA_HEAD",
        47 | 48 => return Err("local_tag"),
        _ => return Err("unassigned_tag"),
    };
    header["form"] = form.into();
    let in_arena = match form {
        "ARENA" => Some(u64::from(w5)),
        "INLINE_HEAD" => Some(u64::from(w4)),
        "ARENA_HEAD" => Some(u64::from(w4) + u64::from(w5)),
        _ => None,
    };
    if form.starts_with("INLINE") {
        must(w5 <= 512, "inline_length")?;
    }
    if let Some(len) = in_arena {
        must(len <= limits.max_payload, "payload_length")?;
        must(w3 % 64 == 0, "arena_alignment")?;
        must(u64::from(w3) + len <= limits.arena_bytes, "arena_bounds")?;
        header["block"] = (w6 % 32).into();
        header["start"] = w3.into();
    }
    match form {
        "SCALAR" => header["scalar"] = format!("{w4:08x}{w3:08x}").into(),
        "INLINE" | "ARENA" => header["len"] = w5.into(),
        "INLINE_HEAD" | "ARENA_HEAD" => {
            header["head"] = w5.into();
            header["body"] = w4.into();
        }
        _ => {}
    }
    Ok(header)
}
