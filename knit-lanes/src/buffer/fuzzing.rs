//! One side of a control channel, as fuzzers drive it.

use super::SharedBuffer;
use super::context::Buffer;
use super::link::Link;
use crate::GiveError;
use knit_codec::Payload;
use knit_proto::ProtocolViolation;
use knit_ring::SharedMemory;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// One side of a control channel with its book: what has been given either way.
#[derive(Debug)]
pub struct LinkEnd(Arc<Link>);

impl LinkEnd {
    /// A side with room for `limit` buffers each way, and the socket that the other side has.
    ///
    /// # Errors
    ///
    /// The system has no descriptors left.
    pub fn pair(limit: u32) -> io::Result<(Self, OwnedFd)> {
        let (link, theirs) = Link::pair(limit)?;
        Ok((Self(link), theirs))
    }

    /// Gives a buffer; false when the other side has to read first.
    ///
    /// # Errors
    ///
    /// It cannot be given.
    pub fn give(&self, buffer: &SharedBuffer) -> Result<bool, GiveError> {
        self.0.give(&Buffer::from(&buffer.object))
    }

    /// A message that names the buffer has been published.
    pub fn published(&self, buffer: &SharedBuffer) {
        self.0.published(&Buffer::from(&buffer.object));
    }

    /// The buffer that a payload names which was just taken.
    ///
    /// # Errors
    ///
    /// The other side broke the protocol.
    pub fn resolve(
        &self,
        payload: &Payload<'_>,
    ) -> Result<Option<SharedBuffer>, ProtocolViolation> {
        let found = self.0.resolve(payload)?;
        Ok(found.map(|buffer| {
            let len = buffer.object.memory.len();
            SharedBuffer { object: buffer.object, start: 0, len }
        }))
    }

    /// Reads what the other side has sent.
    ///
    /// # Errors
    ///
    /// The other side broke the protocol.
    pub fn drain(&self) -> Result<bool, ProtocolViolation> {
        self.0.drain()
    }

    /// How many buffers the other side has from this one, and this one from the other.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        self.0.counts()
    }
}

/// What payloads of this process call a buffer.
#[must_use]
pub fn number(buffer: &SharedBuffer) -> u32 {
    buffer.object.number
}
