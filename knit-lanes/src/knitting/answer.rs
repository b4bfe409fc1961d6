//! What an answer to a Knitting host must not be.
//!
//! The host checks nothing of an answer, and one that it cannot decode ends its drain loop for good (KD-7,
//! KD-14). So what is wrong never leaves this process, and only a [`Fit`] is sent:
//!
//! | must not be sent | why it is not |
//! | --- | --- |
//! | tags 47, 48, unassigned tags | `Outbox::send` refuses tags that have no form or a local one |
//! | tag 46 and the codec ids that stand for buffers | [`check`]: a number of this process means nothing in the host, or another file (KD-15) |
//! | more than 512 bytes inline | `Outbox::send` deposits them in the slot, which refuses |
//! | an id that was not received | answers are sent by [`super::serve()`] with the id of the request that it has just taken, one each |
//! | `Start` outside, or not a multiple of 64; more than 32 blocks | the arena lends blocks; nobody else makes a place |
//! | more than the payload limit | `Outbox::send` |
//! | text that is not UTF-8 or not JSON, arrays of broken elements | [`check`] |
//! | flags other than 0 and 1, word 7 other than 0 | `Word0::Answer` has one flag; words from 7 on are never written |

use knit_codec::Payload;
use knit_proto::Tag;
use serde::de::IgnoredAny;

/// Codec ids that stand for memory of a process.
const BUFFERS: [&str; 3] =
    ["knitting.processSharedBuffer", "knitting.bufferReference", "knitting.sharedArrayBuffer"];

/// Why what a task returned is not sent to a Knitting host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Shared buffers of a worker mean nothing to its host.
    #[error("a shared buffer cannot be returned to a Knitting host")]
    Buffer,
    /// The payload is not what its tag says.
    #[error("the result is not a well-formed {tag}")]
    Malformed {
        /// The tag.
        tag: Tag,
    },
}

/// A payload that a host survives: what is not checked cannot be sent.
#[derive(Debug)]
pub(super) struct Fit<'p>(Payload<'p>);

impl<'p> Fit<'p> {
    /// Refuses payloads that a host would not survive, whoever encoded them.
    pub(super) fn check(payload: Payload<'p>) -> Result<Self, AnswerError> {
        check(&payload).map(|()| Self(payload))
    }

    /// The payload.
    pub(super) fn payload(&self) -> &Payload<'p> {
        &self.0
    }
}

fn check(payload: &Payload<'_>) -> Result<(), AnswerError> {
    let tag = payload.tag();
    let bytes = payload.as_bytes();
    let parts = || bytes.split_at_checked(payload.head_len() as usize);
    let text = |bytes| core::str::from_utf8(bytes).is_ok();
    let elements = |size| bytes.len().is_multiple_of(size);
    let well_formed = match tag {
        Tag::SHARED_BUFFER => return Err(AnswerError::Buffer),
        Tag::STRING_ARENA | Tag::STRING_INLINE | Tag::SYMBOL_ARENA | Tag::SYMBOL_INLINE => {
            text(bytes)
        }
        Tag::JSON_ARENA | Tag::JSON_INLINE | Tag::ERROR => json(bytes),
        Tag::I32_ARRAY_ARENA | Tag::I32_ARRAY_INLINE => elements(4),
        Tag::F64_ARRAY_ARENA
        | Tag::F64_ARRAY_INLINE
        | Tag::I64_ARRAY_ARENA
        | Tag::I64_ARRAY_INLINE
        | Tag::U64_ARRAY_ARENA
        | Tag::U64_ARRAY_INLINE
        | Tag::NUMBERS_ARENA
        | Tag::NUMBERS_INLINE => elements(8),
        Tag::BIGINT_ARENA | Tag::BIGINT_INLINE => matches!(bytes, [0 | 1, ..]),
        Tag::EXTERNAL_ARENA | Tag::EXTERNAL_INLINE => external(bytes)?,
        Tag::ENVELOPE_JSON_INLINE | Tag::ENVELOPE_JSON_ARENA => {
            parts().is_some_and(|(head, _)| json(head))
        }
        Tag::ENVELOPE_TEXT_INLINE | Tag::ENVELOPE_TEXT_ARENA => {
            parts().is_some_and(|(head, _)| text(head))
        }
        Tag::ENVELOPE_JSON_INLINE_EXTERNAL | Tag::ENVELOPE_JSON_ARENA_EXTERNAL => match parts() {
            Some((head, body)) => external(body)? && json(head),
            None => false,
        },
        Tag::ENVELOPE_TEXT_INLINE_EXTERNAL | Tag::ENVELOPE_TEXT_ARENA_EXTERNAL => match parts() {
            Some((head, body)) => external(body)? && text(head),
            None => false,
        },
        _ => true,
    };
    if well_formed { Ok(()) } else { Err(AnswerError::Malformed { tag }) }
}

fn json(bytes: &[u8]) -> bool {
    core::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// Whether the bytes are an external payload; an error when it stands for memory.
fn external(bytes: &[u8]) -> Result<bool, AnswerError> {
    let pair = serde_json::from_slice::<(String, IgnoredAny)>(bytes);
    match pair {
        Ok((codec, _)) if BUFFERS.contains(&&*codec) => Err(AnswerError::Buffer),
        pair => Ok(pair.is_ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(tag: Tag, bytes: &'static [u8]) -> Result<(), AnswerError> {
        check(&Payload::bytes(tag, bytes))
    }

    /// KD-7, KD-14: each of these ends the drain loop of a host.
    #[test]
    fn texts_and_arrays_that_a_host_cannot_decode_are_refused() {
        let malformed = |tag| Err(AnswerError::Malformed { tag });
        for tag in [Tag::STRING_ARENA, Tag::SYMBOL_INLINE, Tag::JSON_INLINE, Tag::ERROR] {
            assert_eq!(bytes(tag, b"\"\xff\""), malformed(tag), "{tag}");
        }
        for tag in [Tag::JSON_ARENA, Tag::JSON_INLINE, Tag::ERROR] {
            assert_eq!(bytes(tag, b"{"), malformed(tag), "{tag}");
            assert_eq!(bytes(tag, b"{}"), Ok(()), "{tag}");
        }
        assert_eq!(bytes(Tag::F64_ARRAY_INLINE, &[0; 9]), malformed(Tag::F64_ARRAY_INLINE));
        assert_eq!(bytes(Tag::I32_ARRAY_ARENA, &[0; 6]), malformed(Tag::I32_ARRAY_ARENA));
        assert_eq!(bytes(Tag::BIGINT_INLINE, &[]), malformed(Tag::BIGINT_INLINE));
        assert_eq!(bytes(Tag::EXTERNAL_INLINE, b"[1]"), malformed(Tag::EXTERNAL_INLINE));
        let tag = Tag::ENVELOPE_JSON_INLINE;
        let envelope = |head| Payload::two_parts(tag, b"{}xx".as_slice().into(), head);
        assert_eq!(check(&envelope(2)), Ok(()));
        assert_eq!(check(&envelope(3)), malformed(tag));
    }

    /// KD-15.
    #[test]
    fn nothing_that_stands_for_memory_is_sent() {
        assert_eq!(bytes(Tag::SHARED_BUFFER, &[0; 32]), Err(AnswerError::Buffer));
        for text in [
            br#"["knitting.processSharedBuffer",{}]"#.as_slice(),
            br#" [ "\u006bnitting.bufferReference" , 1 ]"#,
            br#"["knitting.sharedArrayBuffer",[]]"#,
        ] {
            assert_eq!(bytes(Tag::EXTERNAL_INLINE, text), Err(AnswerError::Buffer));
            assert_eq!(bytes(Tag::EXTERNAL_ARENA, text), Err(AnswerError::Buffer));
            for tag in [Tag::ENVELOPE_TEXT_INLINE_EXTERNAL, Tag::ENVELOPE_JSON_ARENA_EXTERNAL] {
                let whole = [b"{}", text].concat();
                let payload = Payload::two_parts(tag, whole.into(), 2);
                assert_eq!(check(&payload), Err(AnswerError::Buffer));
            }
        }
        assert_eq!(bytes(Tag::EXTERNAL_INLINE, br#"["mine",{}]"#), Ok(()));
    }
}
