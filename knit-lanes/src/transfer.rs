//! Payloads in and out of a mailbox: which of its places a payload takes.

use crate::way::{Blocks, Way};
use knit_codec::Payload;
use knit_proto::{Form, PayloadPlace, ProtocolViolation, SlotHeader, SlotRules, Tag, Word0};
use knit_ring::{
    ArenaError, ArenaReceiver, ArenaSender, AttachError, ClaimError, OutOfBounds, Receiver,
    ReserveError, Sender, SharedArenaReceiver, SharedMemory, SharedWordRmw, Taken,
};

/// The sending side of one direction: mailbox and arena.
#[derive(Debug)]
pub(crate) struct Outbox<M: SharedMemory> {
    sender: Sender<M>,
    arena: ArenaSender<M>,
    max_payload: u32,
}

impl<M: SharedMemory> Outbox<M> {
    pub(crate) fn new(memory: &M, way: &Way) -> Result<Self, AttachError> {
        Ok(Self {
            sender: Sender::new(memory, way.mailbox, way.stamps)?,
            arena: ArenaSender::new(memory, &way.arena, way.reserved)?,
            max_payload: way.rules.max_payload,
        })
    }

    /// Publishes one message. On an error nothing is sent.
    #[inline]
    pub(crate) fn send(
        &mut self,
        word0: Word0,
        call: u32,
        payload: &Payload<'_>,
    ) -> Result<(), SendError> {
        let tag = payload.tag();
        let bytes = payload.as_bytes();
        let form = tag.form().ok_or(SendError::Tag(tag))?;
        let max = self.max_payload;
        let too_long = SendError::TooLong { len: bytes.len(), max };
        let len = u32::try_from(bytes.len()).map_err(|_| too_long)?;
        // PAY-5: the limit is for what is in the arena. A slot has a limit of its own.
        let in_arena = match form {
            Form::Arena | Form::ArenaHead => len,
            Form::InlineHead => len - split(payload, len)?,
            Form::Bare | Form::Scalar | Form::Inline | Form::Local => 0,
        };
        if in_arena > max {
            return Err(too_long);
        }
        let claim = self.sender.claim()?;
        let place = match form {
            Form::Bare => PayloadPlace::Bare,
            Form::Scalar => PayloadPlace::Scalar(payload.scalar_bits()),
            Form::Inline => {
                claim.deposit(bytes)?;
                PayloadPlace::Inline { len }
            }
            Form::Arena => {
                let mut room = self.arena.loan(len)?;
                room.deposit(0, bytes)?;
                let (block, start) = room.commit();
                PayloadPlace::Arena { block, start, len }
            }
            Form::InlineHead => {
                let (head, body) = bytes.split_at(split(payload, len)? as usize);
                claim.deposit(head)?;
                let body_len = in_arena;
                let mut room = self.arena.loan(body_len)?;
                room.deposit(0, body)?;
                let (block, start) = room.commit();
                PayloadPlace::InlineHead { head: payload.head_len(), block, start, body: body_len }
            }
            Form::ArenaHead => {
                let head = split(payload, len)?;
                let mut room = self.arena.loan(len)?;
                room.deposit(0, bytes)?;
                let (block, start) = room.commit();
                PayloadPlace::ArenaHead { head, block, start, body: len - head }
            }
            Form::Local => return Err(SendError::Tag(tag)),
        };
        claim.publish(&SlotHeader { word0, call, tag, place });
        Ok(())
    }
}

/// Where a two-part payload splits, checked.
fn split(payload: &Payload<'_>, len: u32) -> Result<u32, SendError> {
    let head = payload.head_len();
    if head > len {
        return Err(SendError::Tag(payload.tag()));
    }
    Ok(head)
}

/// Why a message was not sent. Nothing of it is visible to the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// 32 calls are in flight, or payloads fill the arena: try again when the other side has read
    /// something.
    #[error("the lane is full until the other side reads")]
    Full,
    /// The payload can never be sent through this lane.
    #[error("a payload of {len} bytes, the limit of this lane is {max}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: u32,
    },
    /// Payloads of this kind cannot cross processes.
    #[error("a {0} cannot be sent through a process lane")]
    Tag(Tag),
    /// The shared buffer that the payload names could not be given to the other side.
    #[error(transparent)]
    Buffer(#[from] crate::GiveError),
    /// The machine has no memory for the payload.
    #[error(transparent)]
    Reserve(#[from] ReserveError),
    /// The other side broke the protocol, now or earlier.
    #[error("the lane is poisoned: {0}")]
    Poisoned(#[from] ProtocolViolation),
}

impl From<ClaimError> for SendError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Violation(violation) => Self::Poisoned(violation),
            _ => Self::Full,
        }
    }
}

impl From<ArenaError> for SendError {
    fn from(error: ArenaError) -> Self {
        match error {
            ArenaError::TooLong { len, capacity } => {
                Self::TooLong { len: len as usize, max: capacity }
            }
            ArenaError::Reserve(error) => Self::Reserve(error),
            ArenaError::Violation(violation) => Self::Poisoned(violation),
            _ => Self::Full,
        }
    }
}

impl From<OutOfBounds> for SendError {
    fn from(error: OutOfBounds) -> Self {
        Self::TooLong { len: error.len as usize, max: error.available }
    }
}

/// The receiving side of one direction: mailbox and arena.
#[derive(Debug)]
pub(crate) struct Inbox<M: SharedMemory, A = ArenaReceiver<M>> {
    receiver: Receiver<M>,
    arena: A,
    rules: SlotRules,
    withdraw: bool,
}

/// A message whose bytes are in private memory. Slot and block are given back already.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) slot: knit_proto::SlotIndex,
    pub(crate) word0: Word0,
    pub(crate) call: u32,
    pub(crate) payload: Payload<'static>,
    /// Whether an arena block was given back, which the sender may be waiting for.
    pub(crate) freed: bool,
}

impl<M: SharedMemory> Inbox<M> {
    pub(crate) fn new(memory: &M, way: &Way) -> Result<Self, AttachError> {
        Ok(Self {
            receiver: Receiver::new(memory, way.mailbox, way.stamps)?,
            arena: ArenaReceiver::new(memory, &way.arena)?,
            rules: way.rules,
            withdraw: way.withdraw,
        })
    }

    /// The same, which frees blocks by flips: for a free word that the sender flips too.
    pub(crate) fn freeing_by_flips(self) -> Inbox<M, SharedArenaReceiver<M>>
    where
        M::Word: SharedWordRmw,
    {
        let Self { receiver, arena, rules, withdraw } = self;
        Inbox { receiver, arena: arena.into_shared(), rules, withdraw }
    }
}

impl<M: SharedMemory, A: Blocks> Inbox<M, A> {
    /// A message, if it is cheap to see one.
    #[inline]
    pub(crate) fn poll(&mut self) -> Result<Option<Received>, ProtocolViolation> {
        let Self { receiver, arena, rules, withdraw } = self;
        let Some(taken) = receiver.poll()? else { return Ok(None) };
        read(taken, arena, rules, *withdraw).map(Some)
    }

    /// A message, if there is one.
    #[inline]
    pub(crate) fn take(&mut self) -> Result<Option<Received>, ProtocolViolation> {
        let Self { receiver, arena, rules, withdraw } = self;
        let Some(taken) = receiver.take()? else { return Ok(None) };
        read(taken, arena, rules, *withdraw).map(Some)
    }

    pub(crate) fn is_pending(&mut self) -> Result<bool, ProtocolViolation> {
        self.receiver.is_pending()
    }
}

/// Copies a message out of shared memory, then gives its block and its slot back.
#[inline]
fn read<M: SharedMemory>(
    taken: Taken<'_, M>,
    arena: &mut impl Blocks,
    rules: &SlotRules,
    withdraw: bool,
) -> Result<Received, ProtocolViolation> {
    const INSIDE: &str = "parsing bounds every stretch of bytes";
    let slot = taken.slot();
    let header = taken.header();
    let message = match header.parse(rules, slot) {
        Ok(message) => message,
        Err(violation) => match header.parse_withdrawn().filter(|_| withdraw) {
            Some(message) => message,
            None => {
                taken.keep();
                return Err(violation);
            }
        },
    };
    let tag = message.tag;
    let payload = match message.place {
        PayloadPlace::Bare => Payload::bare(tag),
        PayloadPlace::Scalar(bits) => Payload::scalar(tag, bits),
        PayloadPlace::Inline { len } => Payload::bytes(tag, taken.to_vec(len).expect(INSIDE)),
        PayloadPlace::Arena { start, len, .. } => {
            Payload::bytes(tag, arena.to_vec(start, len).expect(INSIDE))
        }
        PayloadPlace::InlineHead { head, start, body, .. } => {
            let mut bytes = vec![0; (head + body) as usize];
            let (first, second) = bytes.split_at_mut(head as usize);
            taken.snapshot(first).expect(INSIDE);
            arena.snapshot(start, second).expect(INSIDE);
            Payload::two_parts(tag, bytes.into(), head)
        }
        PayloadPlace::ArenaHead { head, start, body, .. } => {
            let bytes = arena.to_vec(start, head + body).expect(INSIDE);
            Payload::two_parts(tag, bytes.into(), head)
        }
    };
    let block = message.place.block();
    if let Some(block) = block {
        arena.free(block);
    }
    taken.release();
    Ok(Received { slot, word0: message.word0, call: message.call, payload, freed: block.is_some() })
}
