//! Messages as raw words and bytes: what a forger writes into a slot, an arena, a header line.

use knit_proto::{SLOT_HEADER_WORDS, Tag};

/// What a villain knows of the lane that it misuses.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Longest payload that the boot description allows, in bytes.
    pub limit: u32,
    /// Bytes of data in the arena that the villain writes to.
    pub arena: u32,
}

/// A word of a header line, perhaps relative to what the lane has.
#[derive(Clone, Copy, Debug)]
pub enum At {
    /// This word.
    Word(u32),
    /// The limit of payloads, and so many bytes more.
    Limit(i32),
    /// The end of the arena's data, and so many bytes more.
    Arena(i32),
}

impl At {
    /// The word, modulo 2^32.
    #[must_use]
    pub fn word(self, room: Room) -> u32 {
        match self {
            Self::Word(word) => word,
            Self::Limit(more) => room.limit.wrapping_add_signed(more),
            Self::Arena(more) => room.arena.wrapping_add_signed(more),
        }
    }
}

/// The part of a message that says what it carries.
#[derive(Clone, Debug)]
pub enum Body {
    /// Words 2 to 6 of the header line as they are; nothing is written beside them.
    Words {
        /// Word 2.
        tag: u32,
        /// Word 3.
        start: At,
        /// Word 4.
        end: At,
        /// Word 5.
        len: At,
        /// Word 6, from which the index of the block that the forger would use is added.
        block: u32,
    },
    /// Bytes under the first tag, inline, where they fit, else under the second one in the arena.
    Bytes {
        /// Tag of the inline form, 0 where there is none.
        inline: u32,
        /// Tag of the form in the arena.
        arena: u32,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Two parts: a header inline and a body in the arena.
    Parts {
        /// A tag of the form `INLINE_HEAD`.
        tag: u32,
        /// The header.
        head: Vec<u8>,
        /// The body.
        body: Vec<u8>,
    },
}

impl Body {
    /// Words of a message without bytes.
    #[must_use]
    pub fn bare(tag: Tag) -> Self {
        Self::scalar(tag, 0)
    }

    /// Eight bytes in the header line.
    #[must_use]
    pub fn scalar(tag: Tag, bits: u64) -> Self {
        // The casts take the halves apart.
        let (start, end) = (At::Word(bits as u32), At::Word((bits >> 32) as u32));
        Self::Words { tag: tag.0, start, end, len: At::Word(0), block: 0 }
    }

    /// A text.
    #[must_use]
    pub fn text(bytes: impl Into<Vec<u8>>) -> Self {
        let (inline, arena) = (Tag::STRING_INLINE.0, Tag::STRING_ARENA.0);
        Self::Bytes { inline, arena, bytes: bytes.into() }
    }
}

/// What the receiver of a forged message has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Take it for a violation, which ends the lane.
    Poison,
    /// Fail this call and go on.
    Fails,
    /// Take it: it is odd, and right.
    Passes,
}

/// A message that a forger sends, as a row of a table.
#[derive(Clone, Debug)]
pub struct Forged {
    /// Name of the case.
    pub name: String,
    /// The clause that it breaks, or tries.
    pub clause: &'static str,
    /// What it carries.
    pub body: Body,
    /// What has to become of it.
    pub fate: Fate,
}

/// Header words and the bytes beside them.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    /// Words 0 to 6.
    pub words: [u32; SLOT_HEADER_WORDS],
    /// Bytes for the inline area.
    pub inline: Vec<u8>,
    /// Bytes for the arena, from the offset in word 3.
    pub arena: Vec<u8>,
    /// Whether a block of the arena is taken.
    pub live: bool,
}

impl Raw {
    /// The message of `body`, whose bytes go to `start` of the arena in block `block` if they go there.
    #[must_use]
    pub fn new(word0: u32, call: u32, body: &Body, room: Room, start: u32, block: u32) -> Self {
        // The bytes of a case are far below 4 GiB.
        let len = |bytes: &[u8]| bytes.len() as u32;
        match body {
            Body::Words { tag, start: w3, end, len, block: more } => Self {
                words: [
                    word0,
                    call,
                    *tag,
                    w3.word(room),
                    end.word(room),
                    len.word(room),
                    more.wrapping_add(block),
                ],
                live: needs_block(*tag),
                ..Self::default()
            },
            Body::Bytes { inline, bytes, .. } if *inline != 0 && bytes.len() <= 512 => Self {
                words: [word0, call, *inline, 0, 0, len(bytes), 0],
                inline: bytes.clone(),
                ..Self::default()
            },
            Body::Bytes { arena, bytes, .. } => Self {
                words: [word0, call, *arena, start, 0, len(bytes), block],
                arena: bytes.clone(),
                live: true,
                ..Self::default()
            },
            Body::Parts { tag, head, body } => Self {
                words: [word0, call, *tag, start, len(body), len(head), block],
                inline: head.clone(),
                arena: body.clone(),
                live: true,
            },
        }
    }
}

/// Whether a message of this tag names a block.
fn needs_block(tag: u32) -> bool {
    use knit_proto::Form;
    matches!(Tag(tag).form(), Some(Form::Arena | Form::InlineHead | Form::ArenaHead))
}
