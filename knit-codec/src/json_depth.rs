//! How deep JSON text nests, found before anything parses it. PAY-14.

#[cfg(feature = "simd")]
use wide::u8x16;

use crate::json::JsonFault;

/// Checks the nesting of `text`, which need not be valid JSON. H8.
///
/// Valid JSON has no bracket outside strings that does not nest, so the count is exact for it.
///
/// With the feature `simd`, blocks of 64 bytes become masks of a bit for each byte, and are counted
/// by their bits. Each byte is looked at only in blocks in which the level could pass the limit or
/// fall below zero, or a backslash stands outside strings.
pub(crate) fn check_nesting(text: &[u8], limit: u32) -> Result<(), JsonFault> {
    // No text is deeper than it has opening brackets, in strings or not: to count those is fastest,
    // and enough for most short text.
    if text.len() <= COUNTED_BYTES && opening_brackets(text) <= limit {
        return Ok(());
    }
    let mut scan = Scan { level: 0, limit, in_string: false, escaped: false };
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    for block in blocks {
        scan.block(block)?;
    }
    scan.bytes(rest)
}

/// How many brackets open in `text`, in strings or not.
fn opening_brackets(text: &[u8]) -> u32 {
    // Sums of bytes are what compilers turn into vector instructions.
    let sums = text.chunks(usize::from(u8::MAX)).map(|part| {
        let brackets = part.iter().map(|byte| u8::from(*byte | FOLD == b'{'));
        u32::from(brackets.fold(0_u8, u8::wrapping_add))
    });
    sums.sum()
}

/// Longest text whose brackets are counted first, in bytes.
const COUNTED_BYTES: usize = 8 << 10;

/// `[` and `{`, and `]` and `}`, differ in this bit only.
const FOLD: u8 = 0x20;

/// Bytes of a block: as many as a mask has bits.
const BLOCK: usize = 64;

/// The state of the counting steps between two bytes.
struct Scan {
    level: u32,
    limit: u32,
    in_string: bool,
    /// The byte before was an escape: this one says nothing.
    escaped: bool,
}

impl Scan {
    /// The counting steps of PAY-14, byte by byte.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), JsonFault> {
        for byte in bytes {
            if core::mem::take(&mut self.escaped) {
                continue;
            }
            match byte {
                b'"' => self.in_string = !self.in_string,
                b'\\' if self.in_string => self.escaped = true,
                b'[' | b'{' if !self.in_string => {
                    if self.level == self.limit {
                        return Err(JsonFault::Nesting { limit: self.limit });
                    }
                    self.level += 1;
                }
                b']' | b'}' if !self.in_string => self.level = self.level.saturating_sub(1),
                _ => {}
            }
        }
        Ok(())
    }

    #[cfg(not(feature = "simd"))]
    fn block(&mut self, block: &[u8; BLOCK]) -> Result<(), JsonFault> {
        self.bytes(block)
    }

    #[cfg(feature = "simd")]
    #[inline]
    fn block(&mut self, block: &[u8; BLOCK]) -> Result<(), JsonFault> {
        let masks = Masks::of(block);
        let (escaped, escapes_next) = escaped(masks.backslashes, self.escaped);
        // Bit n is set when an odd number of quotes that count stand at or before byte n.
        let mut within = masks.quotes & !escaped;
        for shift in [1, 2, 4, 8, 16, 32] {
            within ^= within << shift;
        }
        if self.in_string {
            within = !within;
        }
        // Outside strings a backslash is no escape. Where all are inside, the first was taken for what
        // it is, therefore the second, and so on.
        if masks.backslashes & !within != 0 {
            return self.bytes(block);
        }
        let (opening, closing) = (masks.opening & !within, masks.closing & !within);
        let (opens, closes) = (opening.count_ones(), closing.count_ones());
        if opens > self.limit - self.level || closes > self.level {
            return self.bytes(block);
        }
        self.level = self.level + opens - closes;
        self.in_string = within >> (BLOCK - 1) == 1;
        self.escaped = escapes_next;
        Ok(())
    }
}

/// The bytes after a backslash that is not escaped itself, and whether the byte after the block is
/// one, with `first` for the first byte of the block.
///
/// A run of backslashes escapes the byte behind it when its length is odd. Adding to a run its first
/// bit carries to the bit behind it; runs that begin at odd and at even bits are told apart by which
/// of the two a carry falls on (Langdale and Lemire, Parsing Gigabytes of JSON per Second, 3.1.1).
#[cfg(feature = "simd")]
#[inline]
fn escaped(backslashes: u64, first: bool) -> (u64, bool) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let first = u64::from(first);
    let backslashes = backslashes & !first;
    let behind = backslashes << 1 | first;
    let odd_starts = backslashes & !EVEN & !behind;
    let (ends, carry) = odd_starts.overflowing_add(backslashes);
    ((EVEN ^ (ends << 1)) & behind, carry)
}

/// A bit for each byte of a block that is one of these.
#[cfg(feature = "simd")]
struct Masks {
    quotes: u64,
    backslashes: u64,
    opening: u64,
    closing: u64,
}

#[cfg(feature = "simd")]
impl Masks {
    #[inline]
    fn of(block: &[u8; BLOCK]) -> Self {
        let (lanes, _) = block.as_chunks::<16>();
        let lanes: [u8x16; 4] = core::array::from_fn(|lane| u8x16::new(lanes[lane]));
        let is = |byte: u8| mask(lanes.map(|lane| lane.simd_eq(u8x16::splat(byte))));
        let folded = lanes.map(|lane| lane | u8x16::splat(FOLD));
        let is_folded = |byte: u8| mask(folded.map(|lane| lane.simd_eq(u8x16::splat(byte))));
        Self {
            quotes: is(b'"'),
            backslashes: is(b'\\'),
            opening: is_folded(b'{'),
            closing: is_folded(b'}'),
        }
    }
}

/// The bits of four lanes, the first lowest.
#[cfg(feature = "simd")]
#[inline]
fn mask(lanes: [u8x16; 4]) -> u64 {
    lanes.iter().rev().fold(0, |mask, lane| mask << 16 | u64::from(lane.to_bitmask()))
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::seeded;

    /// The counting steps alone.
    fn by_bytes(text: &[u8], limit: u32) -> Result<(), JsonFault> {
        Scan { level: 0, limit, in_string: false, escaped: false }.bytes(text)
    }

    #[test]
    fn blocks_count_as_bytes_do() {
        let config = seeded::config(4000);
        // What decides, in every mixture, between what does not.
        let alphabets = ["\"\\[]{}a", "[{]}", "[]a", "\"[a", "[[[{\"\"a", "\\\"a]", "é[\"}"];
        let text = (0..alphabets.len(), prop::collection::vec(any::<u16>(), 0..400)).prop_map(
            |(alphabet, picks)| {
                let alphabet: Vec<char> = alphabets[alphabet].chars().collect();
                picks.iter().map(|pick| alphabet[usize::from(*pick) % alphabet.len()]).collect()
            },
        );
        let limit = prop_oneof![0_u32..8, 8_u32..200, Just(u32::MAX)];
        proptest!(config.clone(), |(text in text, limit in limit)| {
            let text: String = text;
            let text = text.as_bytes();
            prop_assert_eq!(check_nesting(text, limit), by_bytes(text, limit));
        });
        // Bytes that are no text at all: those of brackets, quotes and backslashes, and their
        // neighbours by a bit.
        let deciding =
            prop::sample::select(vec![0x22_u8, 0xA2, 0x5C, 0xDC, 0x5B, 0x7B, 0x7D, 0xFB]);
        let bytes = prop::collection::vec(prop_oneof![any::<u8>(), deciding], 0..400);
        proptest!(config, |(bytes in bytes, limit in 0_u32..40)| {
            prop_assert_eq!(check_nesting(&bytes, limit), by_bytes(&bytes, limit));
        });
    }

    #[test]
    fn every_place_of_a_block_counts() {
        for at in 0..200 {
            for (text, levels) in [("[", 1), ("{[", 2), ("\"[\"", 0), ("\"\\\"[\"{", 1), ("]", 0)] {
                let text = " ".repeat(at) + text + &" ".repeat(200 - at);
                for limit in 0..3 {
                    assert_eq!(
                        check_nesting(text.as_bytes(), limit).is_ok(),
                        levels <= limit,
                        "{text}"
                    );
                }
            }
        }
    }
}
