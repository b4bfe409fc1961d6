//! Every case of `process_latency`.

mod floors;
mod knitting;
pub(crate) mod mailbox;
mod pool;

use crate::case::Case;

pub use floors::FUTEX;
pub use knitting::{CALL as KNITTING, FIRST as KNITTING_FIRST, NATIVE as UNSTAMPED};
pub use mailbox::HEADER;
pub(crate) use pool::start as start_pool;
pub use pool::{BLOCKING, CALL};

/// The cases, in the order of the report.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut cases = floors::cases();
    cases.extend(mailbox::cases());
    cases.extend(knitting::cases());
    cases.extend(pool::cases());
    cases.extend(floors::peers());
    cases
}

/// Plays the part of the second process of a case when this process was started for that, and then
/// does not return; otherwise does nothing. Call it first in `main`.
pub fn serve_if_peer() {
    knit_cli::floor::serve_if_peer();
    mailbox::serve_if_peer();
}
