//! Limits of a codec: the usual ones, or some that are soon reached.

use crate::input::{Input, Output};
use knit_codec::Limits;

pub(crate) fn limits(input: &mut Input<'_>) -> Limits {
    let limits = Limits::default();
    if !input.flag() {
        return limits;
    }
    limits
        .with_payload(input.short().into())
        .with_depth(input.byte().into())
        .with_causes(input.byte().into())
        .with_fields(input.byte().into())
}

/// The same limits, as far as they fit.
pub(crate) fn write_limits(limits: &Limits, output: &mut Output) {
    if *limits == Limits::default() {
        output.byte(0);
        return;
    }
    let byte = |limit: u32| u8::try_from(limit).unwrap_or(u8::MAX);
    output
        .byte(1)
        .short(u16::try_from(limits.payload).unwrap_or(u16::MAX))
        .byte(byte(limits.depth))
        .byte(byte(limits.causes))
        .byte(byte(limits.fields));
}
