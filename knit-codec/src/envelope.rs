//! Envelopes: a header with a body.

use alloc::string::String;
use alloc::vec::Vec;

use knit_proto::Tag;

use crate::codec::{Placed, admit, fits, fits_text, refusal};
use crate::utf8::utf8;
use crate::{
    Decode, DecodeError, Encode, EncodeError, External, INLINE_BYTES, LimitKind, Limits, Payload,
    external, json,
};

/// A header, JSON or a string, with a body of bytes or of an external payload. PAY-20.
///
/// # Examples
///
/// ```
/// use knit_codec::{Body, Decode, Encode, Envelope, Header, Limits};
///
/// let limits = Limits::default();
/// let envelope = Envelope::new(Header::Json(r#"{"a":1}"#.into()), vec![1, 2, 3]);
/// let payload = envelope.encode(&limits)?;
/// assert_eq!((payload.head_len(), payload.len()), (7, 10));
/// assert_eq!(Envelope::decode(payload, &limits)?.body, Body::Bytes(vec![1, 2, 3]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What the body is about.
    pub header: Header,
    /// The body.
    pub body: Body,
}

/// Header of an [`Envelope`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// JSON text. Checked when it is encoded; what is decoded is always valid.
    Json(String),
    /// A string.
    Text(String),
}

/// Body of an [`Envelope`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Bytes, which JavaScript peers see as an `ArrayBuffer`.
    Bytes(Vec<u8>),
    /// A value of a codec. A shared buffer is one too: [`External::shared_buffer`].
    External(External),
}

impl Envelope {
    /// An envelope.
    #[must_use]
    pub fn new(header: Header, body: impl Into<Body>) -> Self {
        Self { header, body: body.into() }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<External> for Body {
    fn from(external: External) -> Self {
        Self::External(external)
    }
}

/// The four pairs of tags: what the header is, what the body is.
const KINDS: [(Placed, bool, bool); 4] = [
    (Placed::new(Tag::ENVELOPE_JSON_INLINE, Tag::ENVELOPE_JSON_ARENA), true, false),
    (Placed::new(Tag::ENVELOPE_TEXT_INLINE, Tag::ENVELOPE_TEXT_ARENA), false, false),
    (
        Placed::new(Tag::ENVELOPE_JSON_INLINE_EXTERNAL, Tag::ENVELOPE_JSON_ARENA_EXTERNAL),
        true,
        true,
    ),
    (
        Placed::new(Tag::ENVELOPE_TEXT_INLINE_EXTERNAL, Tag::ENVELOPE_TEXT_ARENA_EXTERNAL),
        false,
        true,
    ),
];

impl Encode for Envelope {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        let (header, is_json) = match &self.header {
            Header::Json(text) => (text.as_str(), true),
            Header::Text(text) => (text.as_str(), false),
        };
        let is_external = matches!(self.body, Body::External(_));
        let placed = KINDS
            .iter()
            .find(|(_, json, external)| (*json, *external) == (is_json, is_external))
            .map(|(placed, ..)| *placed);
        // There is one for each of the four.
        let placed = placed.unwrap_or(KINDS[0].0);
        let tag = placed.tag(header.len());
        fits_text(tag, header.len(), limits)?;
        if is_json {
            json::check(header, limits.depth)?;
        }
        let made;
        let body = match &self.body {
            Body::Bytes(bytes) => bytes.as_slice(),
            Body::External(external) => {
                made = external::body(external, limits, tag)?;
                made.as_bytes()
            }
        };
        fits(tag, header.len().saturating_add(body.len()), limits)?;
        // The header was found to fit a `u32`.
        let head = u32::try_from(header.len()).unwrap_or(u32::MAX);
        Ok(Payload::two_parts(tag, [header.as_bytes(), body].concat().into(), head))
    }
}

impl Decode for Envelope {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        let tag = payload.tag();
        let kind = KINDS.iter().find(|(placed, ..)| placed.is(tag));
        let Some((_, is_json, is_external)) = kind else {
            return Err(refusal(Self::expected(), tag));
        };
        admit(&payload, limits)?;
        // Never longer than the bytes (`Payload::two_parts`).
        let head = payload.head_len() as usize;
        limits.admit(LimitKind::Text, tag, head)?;
        let mut header = payload.into_bytes().into_owned();
        let body = header.split_off(head);
        let header = utf8(header.into())?.into_owned();
        let header = if *is_json {
            json::check(&header, limits.depth)?;
            Header::Json(header)
        } else {
            Header::Text(header)
        };
        let body = if *is_external {
            limits.admit(LimitKind::Text, tag, body.len())?;
            Body::External(external::parse(&utf8(body.into())?, limits)?)
        } else {
            Body::Bytes(body)
        };
        Ok(Self { header, body })
    }

    fn expected() -> &'static str {
        "an envelope"
    }
}

/// A header of this length is inline. PAY-7.
const _: () = assert!(KINDS[0].0.tag(INLINE_BYTES).0 == Tag::ENVELOPE_JSON_INLINE.0);

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const LIMITS: Limits = Limits::DEFAULT;

    fn header(json: bool, len: usize) -> Header {
        if json { Header::Json("7".repeat(len)) } else { Header::Text("x".repeat(len)) }
    }

    /// PAY-7, PAY-20.
    #[test]
    fn every_kind_and_form_round_trips() {
        let mut tags = vec![];
        for json in [true, false] {
            for body in [Body::Bytes(vec![1; 700]), External::new("c", "[1]").into()] {
                for len in [1, 512, 513] {
                    let envelope = Envelope { header: header(json, len), body: body.clone() };
                    let payload = envelope.encode(&LIMITS).unwrap();
                    assert_eq!(payload.head_len() as usize, len);
                    tags.push(payload.tag().0);
                    assert_eq!(Envelope::decode(payload.clone(), &LIMITS).as_ref(), Ok(&envelope));
                    assert_eq!(envelope.clone().encode_owned(&LIMITS), Ok(payload));
                }
            }
        }
        assert_eq!(tags, [40, 40, 41, 49, 49, 50, 42, 42, 43, 51, 51, 52]);
    }

    /// PAY-20: the fault of the header is the one to report.
    #[test]
    fn the_header_is_decoded_first() {
        let decode = |tag, bytes: &[u8], head| {
            Envelope::decode(Payload::two_parts(tag, bytes.to_vec().into(), head), &LIMITS)
        };
        let tag = Tag::ENVELOPE_JSON_INLINE_EXTERNAL;
        assert!(matches!(decode(tag, b"{[", 1), Err(DecodeError::Json { .. })));
        assert_eq!(decode(tag, b"{}{}", 2), Err(DecodeError::ExternalShape));
        assert_eq!(decode(tag, b"{}\xff", 2), Err(DecodeError::Utf8 { valid_up_to: 0 }));
        assert_eq!(
            decode(Tag::ENVELOPE_TEXT_ARENA, b"a\xff\xff", 2),
            Err(DecodeError::Utf8 { valid_up_to: 1 })
        );
        assert!(decode(Tag::ENVELOPE_TEXT_ARENA, b"a\xff\xff", 1).is_ok());
        assert!(matches!(decode(Tag::ENVELOPE_JSON_ARENA, b"", 0), Err(DecodeError::Json { .. })));
        assert!(decode(Tag::ENVELOPE_TEXT_ARENA, b"", 0).is_ok());
    }

    #[test]
    fn limits_hold_for_header_and_body_together() {
        let envelope = Envelope::new(header(false, 3), vec![0; 4]);
        let payload = envelope.encode(&LIMITS.with_payload(7)).unwrap();
        let six = LIMITS.with_payload(6);
        let EncodeError::TooLong(excess) = envelope.encode(&six).unwrap_err() else { panic!() };
        assert_eq!((excess.actual, excess.most), (7, 6));
        let text = LIMITS.with_text(2);
        assert!(envelope.encode(&text).is_err());
        for limits in [six, text] {
            assert!(matches!(
                Envelope::decode(payload.clone(), &limits),
                Err(DecodeError::TooLong(_))
            ));
        }
        assert!(Envelope::decode(payload, &LIMITS.with_text(3)).is_ok());
    }
}
