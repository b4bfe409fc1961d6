//! The arena: payloads that do not fit a slot.
//!
//! Up to 32 blocks are live at a time, each a whole number of 64-byte granules. Where a block is,
//! is the sender's private business; the wire knows its index, its start and two toggle words. The
//! sender flips a block's bit in *allocate* when the block becomes live, the receiver flips it in
//! *free* when it has read the block.
//!
//! Both ends lend: the sender fills a [`Loan`] in place and commits it when it is whole, and a
//! receiver reads a [`Held`] message in place and frees it by dropping it.
//!
//! ```text
//!            loan                commit                          free, drop of a hold
//!  free ──────────────► loaned ───────────► live (on the wire) ─────────────► freed ──► free
//!   ▲                     │ drop                                    the sender loads the free word
//!   └─────────────────────┘ nothing shared changed
//! ```

mod held;
mod loan;
mod places;
mod receiver;
mod sender;

pub use held::Held;
pub use loan::{Loan, OwnedLoan};
pub use receiver::{ArenaReceiver, SharedArenaReceiver};
pub use sender::{ArenaError, ArenaSender};
