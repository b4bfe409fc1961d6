//! Limits of the machine, and the usual ways between processes.

use crate::case::Case;
use knit_cli::floor::Floor;

/// A futex each way, both sides sleeping.
pub const FUTEX: &str = "peer/futex";

/// What no mailbox can beat.
pub(super) fn cases() -> Vec<Case> {
    let copies = [4 << 10, 64 << 10, 1 << 20].map(|bytes| {
        (format!("limit/copies/{}", super::mailbox::size(bytes)), Floor::Copy { bytes })
    });
    [
        ("limit/two_lines".into(), Floor::TwoLines),
        ("limit/rotating_lines".into(), Floor::RotatingLines),
    ]
    .into_iter()
    .chain(copies)
    .map(|(name, floor)| case(name, floor))
    .collect()
}

/// What people use instead.
pub(super) fn peers() -> Vec<Case> {
    [("peer/unix_socket", Floor::UnixSocket), ("peer/pipe", Floor::Pipe), (FUTEX, Floor::Futex)]
        .map(|(name, floor)| case(name.into(), floor))
        .into()
}

fn case(name: String, floor: Floor) -> Case {
    Case::round_trip(name, floor.payload_bytes(), move |plan| Ok(floor.measure(plan)?))
}
