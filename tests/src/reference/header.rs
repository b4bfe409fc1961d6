//! Segment headers, by the steps of `spec/segment.md`.

use super::Fault;

/// Who reads a header.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// Layout version, major and minor.
    pub version: (u32, u32),
    /// Bits of the features that it knows.
    pub features: u32,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Layout version, major and minor.
    pub version: (u64, u64),
    /// Features required and features offered besides.
    pub features: (u32, u32),
    /// Incarnation of the lane.
    pub epoch: u64,
    /// The creator: process, when it began, boot of the machine.
    pub creator: (u64, u128, u128),
    /// 1: process, 2: thread.
    pub lane_kind: u64,
    /// Abort signals of the lane.
    pub abort_capacity: u64,
    /// Hash of the table of task names.
    pub tasks: u128,
    /// Bytes of the extension.
    pub extension: u64,
    /// Bytes of the arena of requests and of that of responses.
    pub arenas: (u64, u64),
    /// Bytes of them that have memory from the start.
    pub reserved: (u64, u64),
    /// Name, place and length of each region of the lane block, in the order of SEG-5.
    pub regions: [(&'static str, u64, u64); 8],
    /// Bytes of the segment.
    pub len: u64,
}

/// What the 256 bytes of a header say, or the first fault. `mapped` is the length of the segment in bytes
/// according to the system.
///
/// # Errors
///
/// The header is refused.
pub fn header(bytes: &[u8; 256], reader: Reader, mapped: u64) -> Result<Header, Fault> {
    let u32_at = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| bytes[at + byte]));
    let u64_at = |at: usize| u128::from(u32_at(at)) + (u128::from(u32_at(at + 4)) << 32);
    let must = |holds: bool, fault: Fault| if holds { Ok(()) } else { Err(fault) };
    let word = |at: usize| u64::from(u32_at(at));

    let (major, minor) = (word(8), word(12));
    must(word(252) != 0, "not_ready")?;
    must(bytes[..4] == *b"KNIT", "magic")?;
    must(bytes[4..8] == [4, 3, 2, 1], "byte_order")?;
    must(major < 65536 && minor < 65536, "version_range")?;
    let (reader_major, reader_minor) = (u64::from(reader.version.0), u64::from(reader.version.1));
    must(major == reader_major && (major != 0 || minor == reader_minor), "version")?;
    must(word(252) == (1 << 31) + (major % 32768) * 65536 + minor, "ready_word")?;
    for (at, value) in [(16, 256), (20, 4096), (68, 32), (72, 576), (76, 512)] {
        must(word(at) == value, "fixed_field")?;
    }
    must(u32_at(32) & !reader.features == 0, "required_features")?;
    must(word(40) != 0, "epoch")?;
    must(word(64) == 1 || word(64) == 2, "lane_kind")?;
    let (extension, request, response) = (word(100), word(164), word(172));
    must((1..=4096).any(|pages| pages * 4096 == extension), "extension_length")?;
    for arena in [request, response] {
        must((128..=1 << 30).contains(&arena) && arena % 64 == 0, "arena_length")?;
    }
    let signals = word(80);
    must(signals <= 65534, "abort_capacity")?;

    // SEG-5, one region after the other.
    let block = 4096 + extension;
    let mut end = block;
    let regions = [
        ("signals", 192),
        ("request_sector", 256),
        ("response_sector", 256),
        ("request_slots", 32 * 576),
        ("response_slots", 32 * 576),
        ("abort_bits", signals.div_ceil(32) * 4),
        ("request_arena", request),
        ("response_arena", response),
    ]
    .map(|(name, len)| {
        let at = end.div_ceil(64) * 64;
        end = at + len;
        (name, at, len)
    });
    let pages = [("extension", 4096, extension), ("lane_block", block, end - block)];
    for (index, (_, at, len)) in pages.into_iter().chain(regions).enumerate() {
        must(word(96 + 8 * index) == at && word(100 + 8 * index) == len, "region")?;
    }
    must(u64_at(24) == end.into() && mapped == end, "segment_length")?;
    let (request_reserved, response_reserved) = (word(176), word(180));
    for (reserved, arena) in [(request_reserved, request), (response_reserved, response)] {
        must(reserved % 64 == 0 && reserved <= arena - 64, "reserved_bytes")?;
    }
    Ok(Header {
        version: (major, minor),
        features: (u32_at(32), u32_at(36)),
        epoch: word(40),
        creator: (word(44), u64_at(48), u64_at(56)),
        lane_kind: word(64),
        abort_capacity: signals,
        tasks: u64_at(88),
        extension,
        arenas: (request, response),
        reserved: (request_reserved, response_reserved),
        regions,
        len: end,
    })
}
