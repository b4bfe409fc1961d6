//! What moves a call to another process and its answer back: a head and a body.

use crate::Failure;
use crate::jobs::Job;
use crate::peer;
use knit_cli::floor::{PATIENCE, Patience, Peer};
use knit_codec::{Decode, Encode, ErrorValue, Limits, Payload, Tag};
use knit_proto::Form;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

/// Bytes of a [`Head`].
pub const HEAD: usize = 32;

/// Longest sleep before a look whether the other side is alive.
pub const NAP: Duration = Duration::from_millis(200);

/// What stands before a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Which call; answers have the number of their call.
    pub id: u32,
    /// What it is.
    pub kind: Kind,
    /// What the payload is.
    pub tag: u32,
    /// Length of its first part.
    pub first: u32,
    /// Its scalar.
    pub scalar: u64,
    /// Bytes of the body.
    pub len: u64,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call, or its answer.
    Value,
    /// An answer that is an error.
    Rejected,
    /// The worker shall end.
    Stop,
}

/// One end of a way to another process and back. Both ends only poll, unless [`Link::sleep`] says otherwise.
pub trait Link {
    /// Whether a message with a body of `len` bytes can be sent now. Also finishes what is half sent: with
    /// `true` nothing is.
    ///
    /// # Errors
    ///
    /// The way is broken.
    fn room(&mut self, len: usize) -> Result<bool, Failure>;

    /// Sends a message that there is room for.
    ///
    /// # Errors
    ///
    /// The way is broken.
    fn send(&mut self, head: Head, body: Cow<'_, [u8]>) -> Result<(), Failure>;

    /// Takes the oldest message, if there is one, and hands it to `read`.
    ///
    /// # Errors
    ///
    /// The way is broken.
    fn receive<R>(
        &mut self,
        read: impl FnOnce(Head, Cow<'_, [u8]>) -> R,
    ) -> Result<Option<R>, Failure>;

    /// Sleeps until something may have changed, at most for a [`NAP`]. Links that are polled do not.
    ///
    /// # Errors
    ///
    /// The system refuses.
    fn sleep(&mut self) -> Result<Slept, Failure> {
        Ok(Slept::Never)
    }
}

/// How a sleep went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    /// There was none: the link is polled.
    Never,
    /// Something may have changed.
    Woken,
    /// Nothing has for a [`NAP`].
    Long,
}

/// The host's end: what calls.
pub struct Client<L> {
    link: L,
    peer: Peer,
    limits: Limits,
    /// Calls that there was no room for yet.
    waiting: VecDeque<(Head, Payload<'static>)>,
    next: u32,
    answered: u32,
}

impl<L: Link> Client<L> {
    /// The end of a link whose other one is with `peer`.
    pub fn new(link: L, peer: Peer) -> Self {
        let limits = Limits::default();
        Self { link, peer, limits, waiting: VecDeque::new(), next: 0, answered: 0 }
    }

    /// Sends a call, or keeps it until there is room: the window may be larger than what the link holds.
    pub(crate) fn begin<V: Encode>(&mut self, value: V) -> Result<(), Failure> {
        let payload = value.encode_owned(&self.limits)?;
        let head = Head::of(self.next, Kind::Value, &payload);
        self.next = self.next.wrapping_add(1);
        if self.waiting.is_empty() && self.link.room(payload.len())? {
            return self.link.send(head, payload.into_bytes());
        }
        self.waiting.push_back((head, payload));
        Ok(())
    }

    /// Takes the next answer, which must be that of the oldest call.
    pub(crate) fn finish<V: Decode>(&mut self) -> Result<Result<V, ErrorValue>, Failure> {
        let Self { link, limits, .. } = self;
        let read = |head: Head, body: Cow<'_, [u8]>| -> Result<_, Failure> {
            let payload = head.payload(body);
            Ok((
                head.id,
                match head.kind {
                    Kind::Value => Ok(V::decode(payload, limits)?),
                    _ => Err(ErrorValue::decode(payload, limits)?),
                },
            ))
        };
        let mut patience = Patience::relaxed();
        let mut silent = Duration::ZERO;
        let (id, answer) = loop {
            while let Some((_, payload)) = self.waiting.front()
                && link.room(payload.len())?
            {
                if let Some((head, payload)) = self.waiting.pop_front() {
                    link.send(head, payload.into_bytes())?;
                }
            }
            if self.waiting.is_empty() {
                // What is half sent goes on.
                link.room(0)?;
            }
            if let Some(answer) = link.receive(read)? {
                break answer?;
            }
            match link.sleep()? {
                Slept::Never => patience.spin(&mut self.peer)?,
                Slept::Woken => {}
                Slept::Long => {
                    self.peer.alive()?;
                    silent += NAP;
                    if silent > PATIENCE {
                        return Err(format!("the worker is silent for {PATIENCE:?}").into());
                    }
                }
            }
        };
        let expected = self.answered;
        self.answered = expected.wrapping_add(1);
        if id != expected {
            return Err(format!("the answer of call {id} came in place of {expected}").into());
        }
        Ok(answer)
    }

    /// Tells the worker to end, and waits until it has.
    ///
    /// # Errors
    ///
    /// It does not end, or not well.
    pub fn stop(mut self) -> Result<(), Failure> {
        let stop = Head { id: 0, kind: Kind::Stop, tag: 0, first: 0, scalar: 0, len: 0 };
        while !self.link.room(0)? {
            self.peer.alive()?;
        }
        // A link that is not polled leaves nothing of so short a message half sent.
        self.link.send(stop, Cow::Borrowed(&[]))?;
        peer::await_end(&mut self.peer)
    }
}

/// The worker's end: answers calls until it is told to stop.
///
/// # Errors
///
/// The way is broken, or a message is not what a host sends.
pub fn serve<J: Job>(mut link: impl Link) -> Result<(), Failure> {
    let limits = Limits::default();
    let read = |head: Head, body: Cow<'_, [u8]>| -> Result<_, Failure> {
        if head.kind == Kind::Stop {
            return Ok(None);
        }
        let (kind, payload) = match J::run(J::Value::decode(head.payload(body), &limits)?) {
            Ok(value) => (Kind::Value, value.encode_owned(&limits)?),
            Err(error) => (Kind::Rejected, error.encode_owned(&limits)?),
        };
        Ok(Some((Head::of(head.id, kind, &payload), payload)))
    };
    loop {
        let mut patience = Patience::relaxed();
        let answer = loop {
            match link.receive(read)? {
                Some(answer) => break answer?,
                None if link.sleep()? == Slept::Never => patience.spin_forever(),
                None => {}
            }
        };
        let Some((head, payload)) = answer else { return Ok(()) };
        await_room(&mut link, payload.len())?;
        link.send(head, payload.into_bytes())?;
        await_room(&mut link, 0)?;
    }
}

fn await_room(link: &mut impl Link, len: usize) -> Result<(), Failure> {
    let mut patience = Patience::relaxed();
    while !link.room(len)? {
        if link.sleep()? == Slept::Never {
            patience.spin_forever();
        }
    }
    Ok(())
}

impl Head {
    fn of(id: u32, kind: Kind, payload: &Payload<'_>) -> Self {
        Self {
            id,
            kind,
            tag: payload.tag().0,
            first: payload.head_len(),
            scalar: payload.scalar_bits(),
            len: payload.len() as u64,
        }
    }

    /// The payload of this head and its body.
    fn payload(self, body: Cow<'_, [u8]>) -> Payload<'_> {
        let tag = Tag(self.tag);
        match tag.form() {
            Some(Form::Scalar) => Payload::scalar(tag, self.scalar),
            _ => Payload::two_parts(tag, body, self.first),
        }
    }

    /// As bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEAD] {
        let kind = match self.kind {
            Kind::Value => 0_u32,
            Kind::Rejected => 1,
            Kind::Stop => 2,
        };
        let mut bytes = [0; HEAD];
        bytes[..4].copy_from_slice(&self.id.to_le_bytes());
        bytes[4..8].copy_from_slice(&kind.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.tag.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.first.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.scalar.to_le_bytes());
        bytes[24..].copy_from_slice(&self.len.to_le_bytes());
        bytes
    }

    /// From bytes.
    ///
    /// # Errors
    ///
    /// They are no head.
    pub fn from_bytes(bytes: &[u8; HEAD]) -> Result<Self, Failure> {
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let double = |at| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let kind = match word(4) {
            0 => Kind::Value,
            1 => Kind::Rejected,
            2 => Kind::Stop,
            kind => return Err(format!("{kind} is no kind of message").into()),
        };
        let (scalar, len) = (double(16), double(24));
        Ok(Self { id: word(0), kind, tag: word(8), first: word(12), scalar, len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_survives_its_bytes() {
        for kind in [Kind::Value, Kind::Rejected, Kind::Stop] {
            let head = Head { id: 1, kind, tag: 2, first: 3, scalar: u64::MAX - 4, len: 5 };
            assert_eq!(Head::from_bytes(&head.to_bytes()).unwrap(), head);
        }
        assert!(Head::from_bytes(&[7; HEAD]).is_err());
    }
}
