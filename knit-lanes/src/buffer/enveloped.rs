//! A shared buffer with a header.

use super::{SharedBuffer, context};
use knit_codec::{
    Body, Decode, DecodeError, Encode, EncodeError, Envelope, External, Header, Limits, Payload,
};

/// A shared buffer with a header that says what is in it: an [`Envelope`] whose body is the buffer, as an
/// argument or a result of a task.
///
/// # Examples
///
/// ```
/// use knit_lanes::codec::Header;
/// use knit_lanes::{EnvelopedBuffer, SharedBuffer, Tasks};
///
/// let mut tasks = Tasks::new();
/// tasks.add("mean", |samples: EnvelopedBuffer| {
///     assert_eq!(samples.header, Header::Json(r#"{"type":"u8"}"#.into()));
///     let bytes = samples.buffer.to_vec();
///     bytes.iter().copied().map(f64::from).sum::<f64>() / bytes.len() as f64
/// });
/// // A host calls it with
/// let header = Header::Json(r#"{"type":"u8"}"#.into());
/// let _samples = EnvelopedBuffer { header, buffer: SharedBuffer::new(4096)? };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct EnvelopedBuffer {
    /// What is in the buffer.
    pub header: Header,
    /// The buffer, or a part of one.
    pub buffer: SharedBuffer,
}

/// As [`SharedBuffer`]: the pool that sends it gives the memory to the worker first.
impl Encode for EnvelopedBuffer {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        let body = External::shared_buffer(&self.buffer.reference());
        let envelope = Envelope::new(self.header.clone(), body);
        let payload = envelope.encode_owned(limits)?;
        context::keep(&self.buffer.object);
        Ok(payload)
    }
}

/// An envelope whose body is a shared buffer that the other side of the lane has given. PAY-30.
impl Decode for EnvelopedBuffer {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        let tag = payload.tag();
        let expected = Self::expected();
        let Envelope { header, body } = Envelope::decode(payload, limits).map_err(|error| {
            let DecodeError::WrongType { found, .. } = error else { return error };
            DecodeError::WrongType { expected, found }
        })?;
        let body = match &body {
            Body::External(external) => external.as_shared_buffer(),
            Body::Bytes(_) => None,
        };
        let reference = body.ok_or(DecodeError::WrongType { expected, found: tag })?;
        Ok(Self { header, buffer: SharedBuffer::resolve(&reference)? })
    }

    fn expected() -> &'static str {
        "an envelope of a shared buffer"
    }
}
