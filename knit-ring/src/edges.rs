//! The happens-before edges of the protocol. Every ordering in this crate names one of them.
//!
//! | edge | store | load | makes visible | model | mutant that the model rejects |
//! | --- | --- | --- | --- | --- | --- |
//! | E1 | publish word, release ([`Sender`]) | publish word, acquire ([`Receiver`]) | slot bytes and header of what was published | `loom_mailbox` | publish stored relaxed |
//! | E2 | release word, release ([`Receiver`]) | release word, acquire ([`Sender`]) | that the receiver is done reading the slot | `loom_mailbox` | release stored relaxed |
//! | E3 | stamp, release, after E1's store ([`Sender`]) | stamp, acquire ([`Receiver`]) | slot bytes, header, and E1's store | `loom_stamps` | stamp stored relaxed; stamp before toggle |
//! | E4 | free word, release: stored by [`ArenaReceiver`], flipped by [`SharedArenaReceiver`] and [`Held`] | free word, acquire ([`ArenaSender`]) | that the receiver is done reading the block | `loom_arena` | free stored relaxed; flipped relaxed; loaded relaxed |
//! | E5 | ready word, release ([`create_segment`](crate::create_segment)) | ready word, acquire ([`attach_segment`](crate::attach_segment)) | the whole header | `loom_segment` | ready stored relaxed |
//! | E6 | state word of a control line, release | state word, acquire | epoch and accepted features beside it | `loom_segment` | state stored relaxed |
//! | E7 | bell, release ([`Notifier::advance`](crate::Notifier::advance)) | bell, acquire ([`Doorbell::ticket`](crate::Doorbell::ticket)) | the state that was stored before the bell was advanced | `loom_states` | bell stored relaxed; bell rung before the state |
//! | E8 | *taken* in the journal, release (worker) | the same, acquire (host that withdraws) | *taken* of the calls that were taken before | `loom_withdraw` | *taken* stored relaxed; loaded relaxed |
//! | P1 | owner word, release ([`SharedSender`]; private to the sending process) | owner word, acquire ([`SharedSender`]) | what the thread that had the slot before wrote: bytes, stamp, count | `loom_mpsc` | owner stored relaxed; publish flipped in two steps |
//! | F1 - F2 | publish, *full fence*, load `parked` ([`Notifier`]) | store `parked`, *full fence*, re-check ([`Waiter`]) | either the notifier sees the flag or the waiter sees the message | `loom_parking` | either fence missing; no re-check; eventfd cleared after the look |
//! | F1 - F2, several lanes | the same, in each lane ([`Notifier`]) | store every `parked`, *full fence*, re-check every lane ([`ReceiverSet`]) | each notifier sees its flag or the set sees its message | `loom_set` | any notifier's fence or the set's last fence missing; flag, re-check or bell of one lane left out |
//! | F3 - F4 | withdrawn word, *full fence*, load a journal word (host) | journal word, *full fence*, load the withdrawn word (worker) | either the host sees how far the worker is or the worker sees that the call is withdrawn | `loom_withdraw` | either fence missing; journal read first; word read first |
//!
//! The allocate word of an arena has no edge: nobody decides by it. It is stored before E1 for
//! upstream peers and for inspection.
//!
//! [`Sender`]: crate::Sender
//! [`Receiver`]: crate::Receiver
//! [`SharedSender`]: crate::SharedSender
//! [`ArenaSender`]: crate::ArenaSender
//! [`ArenaReceiver`]: crate::ArenaReceiver
//! [`SharedArenaReceiver`]: crate::SharedArenaReceiver
//! [`Held`]: crate::Held
//! [`Notifier`]: crate::Notifier
//! [`ReceiverSet`]: crate::ReceiverSet
//! [`Waiter`]: crate::Waiter
