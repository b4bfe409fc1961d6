//! The happens-before edges of the protocol. Every ordering in this crate names one of them.
//!
//! | edge | store | load | makes visible | model | mutant that the model rejects |
//! | --- | --- | --- | --- | --- | --- |
//! | E1 | publish word, release ([`Sender`]) | publish word, acquire ([`Receiver`]) | slot bytes and header of what was published | `loom_mailbox` | publish stored relaxed |
//! | E2 | release word, release ([`Receiver`]) | release word, acquire ([`Sender`]) | that the receiver is done reading the slot | `loom_mailbox` | release stored relaxed |
//! | E3 | stamp, release, after E1's store ([`Sender`]) | stamp, acquire ([`Receiver`]) | slot bytes, header, and E1's store | `loom_stamps` | stamp stored relaxed; stamp before toggle |
//! | E4 | free word, release ([`ArenaReceiver`]) | free word, acquire ([`ArenaSender`]) | that the receiver is done reading the block | `loom_arena` | free stored relaxed |
//! | E5 | ready word, release ([`create_segment`](crate::create_segment)) | ready word, acquire ([`attach_segment`](crate::attach_segment)) | the whole header | `loom_segment` | ready stored relaxed |
//! | E6 | state word of a control line, release | state word, acquire | epoch and accepted features beside it | `loom_segment` | state stored relaxed |
//! | F1 - F2 | publish, *full fence*, load `parked` ([`Notifier`]) | store `parked`, *full fence*, re-check ([`Waiter`]) | either the notifier sees the flag or the waiter sees the message | `loom_parking` | either fence missing; no re-check |
//!
//! The allocate word of an arena has no edge: nobody decides by it. It is stored before E1 for
//! upstream peers and for inspection.
//!
//! [`Sender`]: crate::Sender
//! [`Receiver`]: crate::Receiver
//! [`ArenaSender`]: crate::ArenaSender
//! [`ArenaReceiver`]: crate::ArenaReceiver
//! [`Notifier`]: crate::Notifier
//! [`Waiter`]: crate::Waiter
