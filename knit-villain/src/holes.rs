//! Holes in the file of a segment: its seals allow them.

use crate::case::End;
use crate::line::Line;
use knit_proto::Span;
use rustix::fs::{FallocateFlags, fallocate};

/// Takes the memory of `span` away. Its bytes read as zero, until somebody writes them.
///
/// # Errors
///
/// [`End::Skip`] where the system does no such thing.
pub(crate) fn punch(line: &Line, span: Span) -> Result<(), End> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let file = line.memory.backing().file();
    fallocate(file, flags, span.at().into(), span.len().into())
        .map_err(|error| End::Skip(format!("the system punches no holes into memfds: {error}")))
}
