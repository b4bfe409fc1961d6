//! Shared-memory mailbox, arena and parking: how two parties that do not trust each other hand
//! messages over, one cache line at a time.
//!
//! Everything here but the memory files is safe code, generic over [`SharedMemory`]. The same
//! mailbox runs over a mapped segment, over the heap (threads, tests), and over the memories of the
//! models in `tests/` (all schedules, crash after every store, traces, hostile bytes).
//!
//! - [`Sender`] and [`Receiver`] are the two ends of a mailbox: claim, deposit, publish; pending,
//!   take, snapshot, release.
//! - [`ArenaSender`] and [`ArenaReceiver`] move payloads that do not fit a slot.
//! - [`AbortSender`] and [`AbortReceiver`] tell a worker which answers are not wanted any more.
//! - [`Relax`] is the moment between two polls; [`Notifier`] and [`Waiter`] put an idle side to sleep
//!   and wake it.
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
mod parking;
mod receiver;
mod relax;
mod segment;
mod sender;

#[cfg(feature = "mapped")]
pub use mem::{Mapping, MemfdError};
#[cfg(feature = "mapped")]
pub use parking::{FutexBell, FutexPair, MAX_BELLS};
pub use segment::{SegmentError, attach_segment, create_segment};

pub use abort::{AbortReceiver, AbortSender};
pub use arena::{ArenaError, ArenaReceiver, ArenaSender, Reserved};
pub use mailbox::{AttachError, Stamps};
pub use mem::{
    Backing, HeapBlock, HeapMemory, Mapped, MappedBytes, MappedWord, OutOfBounds, ReserveError,
    SharedBytes, SharedMemory, SharedWord, SharedWordRmw,
};
pub use parking::{Doorbell, Notifier, Ticket, Waiter, Woken};
pub use receiver::{Receiver, Taken};
pub use relax::Relax;
pub use sender::{Batch, BatchError, ClaimError, Claimed, Sender};
