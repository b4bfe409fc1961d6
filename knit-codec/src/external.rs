//! External payloads: values that only a codec known to both ends can make.

use alloc::format;
use alloc::string::String;
use knit_proto::Tag;

use crate::codec::{Placed, fits_text};
use crate::json::{self, JsonFault};
use crate::json_cursor::Cursor;
use crate::json_depth::check_nesting;
use crate::json_string::push_string;
use crate::{Decode, DecodeError, Encode, EncodeError, Limits, Payload, SharedBufferRef};

pub(crate) const EXTERNAL: Placed = Placed::new(Tag::EXTERNAL_INLINE, Tag::EXTERNAL_ARENA);

/// A value that stands for what a *codec* makes of it, code that both ends know by an id. PAY-21.
///
/// The codec id and the metadata are data until a codec is asked: [`Codecs`](crate::Codecs) holds
/// those of a program, [`Coded`](crate::Coded) is a value of one of them.
///
/// # Examples
///
/// ```
/// use knit_codec::{Decode, Encode, External, Limits};
///
/// let limits = Limits::default();
/// let payload = External::new("my.codec", r#"{"n":1}"#).encode_owned(&limits)?;
/// assert_eq!(payload.as_bytes(), br#"["my.codec",{"n":1}]"#);
/// assert_eq!(External::decode(payload, &limits)?.codec, "my.codec");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct External {
    /// Id of the codec.
    pub codec: String,
    /// What it is given: JSON text. Checked when it is encoded; what is decoded is always valid.
    pub metadata: String,
}

impl External {
    /// Codec id that stands for a shared buffer, where words do not: as the body of an envelope.
    pub const SHARED_BUFFER: &str = "knitting.processSharedBuffer";

    /// Codec ids that stand for values of their own, and are never sent with other ones.
    const RESERVED: [&str; 3] =
        [Self::SHARED_BUFFER, "knitting.bufferReference", "knitting.sharedArrayBuffer"];

    /// A value of this codec with this JSON text.
    #[must_use]
    pub fn new(codec: impl Into<String>, metadata: impl Into<String>) -> Self {
        Self { codec: codec.into(), metadata: metadata.into() }
    }

    /// The shared buffer as an external payload: the only form in which it can be the body of an
    /// envelope. Numbers of runtimes and types that have no name are left out.
    ///
    /// # Examples
    ///
    /// ```
    /// use knit_codec::{External, SharedBufferRef};
    ///
    /// let buffer = SharedBufferRef::whole(7, 4096);
    /// assert_eq!(External::shared_buffer(&buffer).as_shared_buffer(), Some(buffer));
    /// ```
    #[must_use]
    pub fn shared_buffer(buffer: &SharedBufferRef) -> Self {
        let SharedBufferRef { number, object_len, mapping_len, start, len, .. } = buffer;
        // The member names and their order are those of upstream.
        let mut text = format!(
            r#"{{"version":1,"descriptor":{{"version":1,"fd":{number},"size":{object_len},"byteLength":{mapping_len}"#
        );
        let mut name = |member: &str, names: &[&str], number: u32| {
            let known = usize::try_from(number).ok().and_then(|at| names.get(at));
            if let Some(known) = known.filter(|known| !known.is_empty()) {
                text.push_str(&format!(r#","{member}":"{known}""#));
            }
        };
        name("runtime", &RUNTIMES, buffer.runtime);
        name("kind", &KINDS, buffer.kind);
        if buffer.base_mod_64 != SharedBufferRef::NO_ADDRESS {
            text.push_str(&format!(r#","baseAddressMod64":{}"#, buffer.base_mod_64));
        }
        text.push_str(&format!(r#"}},"byteOffset":{start},"byteLength":{len}}}"#));
        Self::new(Self::SHARED_BUFFER, text)
    }

    /// The shared buffer that this payload stands for, if it is one of a number: claims of a peer, as
    /// those of tag 46. One of a name is none: names are never opened. PAY-30. A description of more than 1024 bytes is
    /// none either.
    #[must_use]
    pub fn as_shared_buffer(&self) -> Option<SharedBufferRef> {
        if self.codec != Self::SHARED_BUFFER || self.metadata.len() > LONGEST_DESCRIPTION {
            return None;
        }
        let text: serde_json::Value = serde_json::from_str(&self.metadata).ok()?;
        let descriptor = &text["descriptor"];
        let word = |value: &serde_json::Value| u32::try_from(value.as_u64()?).ok();
        if word(&text["version"])? != 1
            || word(&descriptor["version"])? != 1
            || descriptor.get("name").is_some()
        {
            return None;
        }
        let name = |member: &str, names: &[&str]| match descriptor.get(member) {
            Some(value) => names.iter().position(|known| *known == value && !known.is_empty()),
            None => Some(0),
        };
        Some(SharedBufferRef {
            number: word(&descriptor["fd"])?,
            object_len: word(&descriptor["size"])?,
            mapping_len: word(&descriptor["byteLength"])?,
            start: word(&text["byteOffset"])?,
            len: word(&text["byteLength"])?,
            runtime: u32::try_from(name("runtime", &RUNTIMES)?).ok()?,
            kind: u32::try_from(name("kind", &KINDS)?).ok()?,
            base_mod_64: match descriptor.get("baseAddressMod64") {
                Some(address) => word(address)?,
                None => SharedBufferRef::NO_ADDRESS,
            },
        })
    }

    fn reserved(&self) -> EncodeError {
        EncodeError::ReservedCodec { codec: self.codec.clone() }
    }
}

impl Encode for External {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        if Self::RESERVED.contains(&self.codec.as_str()) {
            return Err(self.reserved());
        }
        let text = text(self, limits, |len| EXTERNAL.tag(len))?;
        EXTERNAL.payload(text.into_bytes(), limits)
    }
}

impl Decode for External {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        let text = EXTERNAL.text_of(payload, Self::expected(), limits)?;
        parse(&text, limits)
    }

    fn expected() -> &'static str {
        "an external payload"
    }
}

/// The text of an external payload as the body of an envelope with this tag: a shared buffer may be
/// one.
pub(crate) fn body(external: &External, limits: &Limits, tag: Tag) -> Result<String, EncodeError> {
    let reserved = External::RESERVED.contains(&external.codec.as_str());
    if reserved && external.as_shared_buffer().is_none() {
        return Err(external.reserved());
    }
    text(external, limits, |_| tag)
}

/// The text of an external payload: `[codec id, metadata]`. `tag` is that of the payload with a text
/// of so many bytes.
fn text(
    external: &External,
    limits: &Limits,
    tag: impl Fn(usize) -> Tag,
) -> Result<String, EncodeError> {
    let External { codec, metadata } = external;
    // Escapes only lengthen the codec id, so what does not fit now never will.
    let fits = |codec: usize| {
        let len = codec.saturating_add(metadata.len()).saturating_add("[,]".len());
        fits_text(tag(len), len, limits)
    };
    fits(codec.len().saturating_add("\"\"".len()))?;
    let mut text = String::from("[");
    push_string(&mut text, codec);
    fits(text.len() - 1)?;
    let Some(depth) = limits.depth.checked_sub(1) else {
        return Err(EncodeError::Nesting { limit: limits.depth });
    };
    json::check(metadata, depth).map_err(|fault| match fault {
        JsonFault::Nesting { .. } => EncodeError::Nesting { limit: limits.depth },
        other => other.into(),
    })?;
    text.extend([",", metadata, "]"]);
    Ok(text)
}

/// The external payload of a text.
pub(crate) fn parse(text: &str, limits: &Limits) -> Result<External, DecodeError> {
    check_nesting(text.as_bytes(), limits.depth)?;
    // Text that is no JSON is refused as that, whatever its shape. PAY-25.
    let mut whole = Cursor::new(text);
    let mut pair = whole.clone();
    whole.value()?;
    whole.end()?;
    read(&mut pair).map_err(|_| DecodeError::ExternalShape)
}

/// An array of a string and one more element.
fn read(pair: &mut Cursor<'_>) -> Result<External, JsonFault> {
    pair.expect(b'[')?;
    let codec = pair.string()?.read().into_owned();
    pair.expect(b',')?;
    let metadata = pair.value()?.into();
    pair.expect(b']')?;
    Ok(External { codec, metadata })
}

/// Names of the numbers of [`SharedBufferRef::runtime`].
const RUNTIMES: [&str; 4] = ["", "node", "deno", "bun"];
/// Names of the numbers of [`SharedBufferRef::kind`].
const KINDS: [&str; 3] = ["", "shared-array-buffer", "external-array-buffer"];

/// Longest description of a shared buffer that is parsed, in bytes; those of upstream have some 250.
const LONGEST_DESCRIPTION: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits::DEFAULT;

    fn decode(text: &str) -> Result<External, DecodeError> {
        External::decode(Payload::bytes(Tag::EXTERNAL_INLINE, text.as_bytes()), &LIMITS)
    }

    /// PAY-21.
    #[test]
    fn a_pair_of_a_string_and_any_json_is_external() {
        assert_eq!(decode(r#" [ "a" , {"n": 1} ] "#), Ok(External::new("a", r#"{"n": 1}"#)));
        assert_eq!(decode(r#"["",null]"#), Ok(External::new("", "null")));
        assert_eq!(decode(r#"["\ud800",7]"#), Ok(External::new("\u{FFFD}", "7")));
        for text in
            ["{}", "7", "[]", r#"["a"]"#, r#"["a",1,2]"#, r#"[1,"a"]"#, "[null,1]", "[[97],1]"]
        {
            assert_eq!(decode(text), Err(DecodeError::ExternalShape), "{text}");
        }
        assert!(matches!(decode(r#"["a",1"#), Err(DecodeError::Json { .. })));
    }

    #[test]
    fn what_is_encoded_is_checked() {
        let encode = |codec: &str, metadata: &str, limits: &Limits| {
            External::new(codec, metadata).encode_owned(limits)
        };
        assert!(matches!(encode("a", "{", &LIMITS), Err(EncodeError::Json { .. })));
        assert!(matches!(encode("a", "1],[1", &LIMITS), Err(EncodeError::Json { .. })));
        let flat = LIMITS.with_depth(1);
        assert!(encode("a", "7", &flat).is_ok());
        assert_eq!(encode("a", "[]", &flat), Err(EncodeError::Nesting { limit: 1 }));
        let none = LIMITS.with_depth(0);
        assert_eq!(encode("a", "7", &none), Err(EncodeError::Nesting { limit: 0 }));
        // `["\n",7]`: eight bytes.
        assert!(encode("\n", "7", &LIMITS.with_payload(8)).is_ok());
        assert!(matches!(encode("\n", "7", &LIMITS.with_text(7)), Err(EncodeError::TooLong(_))));
        for codec in External::RESERVED {
            let refused = encode(codec, "{}", &LIMITS).unwrap_err();
            assert_eq!(refused, EncodeError::ReservedCodec { codec: codec.into() });
            assert_eq!(refused.code(), Some("KNT_ERROR_3"));
            let body =
                body(&External::new(codec, "{}"), &LIMITS, Tag::ENVELOPE_TEXT_ARENA_EXTERNAL);
            assert_eq!(body, Err(refused));
        }
        let buffer = External::shared_buffer(&SharedBufferRef::whole(7, 64));
        assert!(body(&buffer, &LIMITS, Tag::ENVELOPE_TEXT_ARENA_EXTERNAL).is_ok());
        assert!(buffer.encode(&LIMITS).is_err());
    }

    #[test]
    fn shared_buffers_survive_as_external_payloads() {
        for words in [
            [7, 4096, 4096, 64, 128, 1, 1, 0],
            [0, 1, 2, 3, 4, 0, 0, u32::MAX],
            [9, 1, 1, 0, 1, 3, 2, 63],
        ] {
            let buffer = SharedBufferRef::from(words);
            assert_eq!(External::shared_buffer(&buffer).as_shared_buffer(), Some(buffer));
        }
        let text = r#"{"version":1,"descriptor":{"version":1,"fd":7,"size":4096,"byteLength":4096,"runtime":"node","kind":"shared-array-buffer","baseAddressMod64":0},"byteOffset":64,"byteLength":128}"#;
        let buffer = SharedBufferRef::from([7, 4096, 4096, 64, 128, 1, 1, 0]);
        assert_eq!(External::shared_buffer(&buffer).metadata, text);
        // Names, other versions, other codecs, other types.
        for (from, into) in [
            (r#""fd":7"#, r#""fd":7,"name":"x""#),
            (r#"{"version":1,"d"#, r#"{"version":2,"d"#),
            (r#""fd":7"#, r#""fd":-7"#),
            (r#""fd":7"#, r#""fd":4294967296"#),
            (r#""node""#, r#""perl""#),
        ] {
            let other = External::new(External::SHARED_BUFFER, text.replace(from, into));
            assert_eq!(other.as_shared_buffer(), None, "{into}");
        }
        assert_eq!(External::new("other", text).as_shared_buffer(), None);
    }
}
