//! Making a segment and attaching to one.

use crate::{OutOfBounds, ReserveError, SharedBytes, SharedMemory, SharedWord};
use knit_proto::{
    Direction, ExtensionBytes, HEADER_BYTES, HEADER_WORDS, HeaderError, HeaderFields, Layout,
    RawHeader, Region, Span, field,
};

/// Writes the header of a new segment into zeroed memory and reserves what it promises: header,
/// extension, control part of the lane block, and the initial part of both arenas.
///
/// # Errors
///
/// The memory has another length than the layout, or cannot be reserved; the fields are such that no
/// reader would take them.
///
/// # Ordering
///
/// E5: the ready word is stored last, with release ordering.
pub fn create_segment<M: SharedMemory>(
    memory: &M,
    fields: &HeaderFields,
) -> Result<Layout, SegmentError> {
    let layout = Layout::new(*fields);
    if memory.len() != layout.len() {
        return Err(SegmentError::Length { memory: memory.len(), layout: layout.len() });
    }
    let arenas_at = layout.region(Region::RequestArena).at();
    memory.reserve(span(0, arenas_at))?;
    for (direction, bytes) in [
        (Direction::Request, fields.request_reserved),
        (Direction::Response, fields.response_reserved),
    ] {
        let data = layout.arena(direction).data();
        memory.reserve(span(data.at(), bytes.min(data.len())))?;
    }
    let header = RawHeader::encode(fields);
    // What this side would refuse, it does not write.
    header.parse(memory.len().into())?;
    let (ready, before) = header.0.split_last().expect("the header is not empty");
    memory.bytes(span(0, HEADER_BYTES))?.store_words(0, before)?;
    // E5: release store, pairs with the acquire load in `attach_segment`.
    ready_word(memory)?.store_release(*ready);
    Ok(layout)
}

/// Reads the header of a segment once and checks it against the length of the memory.
///
/// # Errors
///
/// [`HeaderError::NotReady`] while the creator has not finished: the header is not looked at then.
/// Otherwise the memory is too short to hold a header, or what the header says is not acceptable.
///
/// # Ordering
///
/// E5: the ready word is loaded first, with acquire ordering.
pub fn attach_segment<M: SharedMemory>(memory: &M) -> Result<Layout, SegmentError> {
    let needed = ExtensionBytes::MIN.lane_block_at();
    if memory.len() < needed {
        return Err(SegmentError::TooShort { bytes: memory.len(), needed });
    }
    // E5: acquire load, pairs with the release store in `create_segment`.
    let ready = ready_word(memory)?.load_acquire();
    if ready == 0 {
        return Err(HeaderError::NotReady.into());
    }
    let mut words = [0; HEADER_WORDS];
    let (last, before) = words.split_last_mut().expect("the header is not empty");
    memory.bytes(span(0, HEADER_BYTES))?.load_words(0, before)?;
    *last = ready;
    Ok(RawHeader(words).parse(memory.len().into())?)
}

/// Why a segment could not be made or attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// The memory is not the length that the layout has.
    #[error("{memory} bytes of memory for a segment of {layout} bytes")]
    Length {
        /// Bytes of memory.
        memory: u32,
        /// Bytes of the layout.
        layout: u32,
    },
    /// The memory cannot hold a segment.
    #[error("{bytes} bytes are too few for a segment: its header pages alone take {needed}")]
    TooShort {
        /// Bytes of memory.
        bytes: u32,
        /// Bytes that every segment has.
        needed: u32,
    },
    /// The header is not acceptable.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// There is no memory for the segment.
    #[error(transparent)]
    Reserve(#[from] ReserveError),
    /// The layout does not fit the memory.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
}

fn span(at: u32, len: u32) -> Span {
    Span::new(at, len & !3).expect("offsets of a layout are multiples of four below 4 GiB")
}

fn ready_word<M: SharedMemory>(memory: &M) -> Result<M::Word, OutOfBounds> {
    memory.word(span(0, HEADER_BYTES).word(field::READY as u32 * 4).expect("inside the header"))
}
