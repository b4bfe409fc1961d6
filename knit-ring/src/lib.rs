//! Shared-memory mailbox, arena and parking: how two parties that do not trust each other hand
//! messages over, one cache line at a time.
//!
//! Everything here but the memory files is safe code, generic over [`SharedMemory`]. The same
//! mailbox runs over a mapped segment, over the heap (threads, tests), and over the memories of the
//! models in `tests/` (all schedules, crash after every store, traces, hostile bytes).
//!
//! - [`Sender`] and [`Receiver`] are the two ends of a mailbox: claim, deposit, publish; pending,
//!   take, snapshot, release.
//! - [`SharedSender`] is a sending end that threads of one process share; the receiver is the same.
//! - [`ArenaSender`] and [`ArenaReceiver`] move payloads that do not fit a slot. A [`Loan`] is filled
//!   in place, and a [`SharedArenaReceiver`] lets a [`Held`] message lie where it is.
//! - [`AbortSender`] and [`AbortReceiver`] tell a worker which answers are not wanted any more.
//! - [`ReceiverSet`] receives from several mailboxes in turn, and sleeps on the bells of all.
//! - [`Relax`] is the moment between two polls, and [`SpinBudget`] says when to stop polling.
//!   [`Notifier`] and [`Waiter`] put an idle side to sleep and wake it, over a [`Doorbell`];
//!   [`PeerDeath`] ends the waits for a peer that is no more.
//!
//! Ends belong to the process that made them: in a child of `fork`, which has the same segments mapped, none may be used or
//! dropped, since each word of a segment has one writing process. Nothing here looks for that at each operation; an
//! `Origin`, kept beside an end, tells for the price of a load.
//!
//! The happens-before edges that all of this rests on are listed in [`edges`].
//!
//! ```
//! use knit_proto::{MailboxLayout, SlotHeader, PayloadPlace, Span, Tag, Word0};
//! use knit_ring::{HeapMemory, Receiver, Sender, SharedMemory, Stamps};
//!
//! let memory = HeapMemory::zeroed(256 + 4 * 576)?;
//! let layout =
//!     MailboxLayout::new(Span::new(0, 256).unwrap(), Span::new(256, 4 * 576).unwrap()).unwrap();
//! let mut sender = Sender::new(&memory, layout, Stamps::On)?;
//! let mut receiver = Receiver::new(&memory, layout, Stamps::On)?;
//!
//! let claim = sender.claim()?;
//! claim.deposit(b"hello")?;
//! claim.publish(&SlotHeader {
//!     word0: Word0::Call { function: 0, abort: None },
//!     call: 7,
//!     tag: Tag::STRING_INLINE,
//!     place: PayloadPlace::Inline { len: 5 },
//! });
//!
//! let taken = receiver.take()?.expect("one message is pending");
//! let mut text = [0; 5];
//! taken.snapshot(&mut text)?;
//! assert_eq!(&text, b"hello");
//! taken.release();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![no_std]

extern crate alloc;
#[cfg(feature = "mapped")]
extern crate std;

mod abort;
mod arena;
pub mod edges;
mod mailbox;
mod mem;
#[cfg(feature = "mapped")]
mod origin;
mod parking;
mod receiver;
mod relax;
mod segment;
mod sender;
mod set;
mod shared_sender;
mod spin;
#[cfg(all(test, feature = "mapped"))]
mod wrap_tests;

#[cfg(feature = "mapped")]
pub use mem::{Mapping, MemfdError, inherited_descriptor};
#[cfg(feature = "mapped")]
pub use origin::Origin;
#[cfg(feature = "mapped")]
pub use parking::{EventfdBell, FutexBell, FutexPair, MAX_BELLS, SpinBell};
pub use segment::{SegmentError, attach_segment, create_segment};
#[cfg(feature = "mapped")]
pub use spin::SystemClock;

pub use abort::{AbortReceiver, AbortSender};
pub use arena::{
    ArenaError, ArenaReceiver, ArenaSender, Held, Loan, OwnedLoan, SharedArenaReceiver,
};
pub use mailbox::{AttachError, Stamps};
pub use mem::{
    Backing, CooperativeBytes, Copying, HeapBlock, HeapMemory, Mapped, MappedBytes, MappedWord,
    OutOfBounds, Plain, ReserveError, SharedBytes, SharedMemory, SharedWord, SharedWordRmw,
    Snapshot,
};
pub use parking::{Doorbell, Notifier, PeerDeath, Ticket, Until, Waiter, Woken};
pub use receiver::{Receiver, Taken};
pub use relax::Relax;
pub use sender::{Batch, BatchError, ClaimError, Claimed, Sender};
pub use set::{LaneTaken, LaneViolation, ReceiverSet, SetLane};
pub use shared_sender::{SHARED_SENDER_BYTES, SharedBatch, SharedClaim, SharedSender};
pub use spin::{Clock, SpinBudget};
