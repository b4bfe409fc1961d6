//! Changes of inputs, for tests without a fuzzer.

use knit_tests::Noise;

/// Longest input that a change makes, in bytes.
const LONGEST: usize = 4096;

/// One to four changes of `input` as `noise` says: bits, bytes, words, parts that are left out, doubled, or from
/// `other`.
#[must_use]
pub fn change(noise: &mut Noise, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=noise.below(4) {
        change_once(noise, &mut bytes, other);
        bytes.truncate(LONGEST);
    }
    bytes
}

fn change_once(noise: &mut Noise, bytes: &mut Vec<u8>, other: &[u8]) {
    // Lengths are at most `LONGEST`, or those of a seed.
    let place = |noise: &mut Noise, len: usize| noise.below(len as u32 + 1) as usize;
    let at = place(noise, bytes.len());
    match noise.below(8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << noise.below(8),
        1 if at < bytes.len() => bytes[at] = noise.word() as u8,
        2 if at < bytes.len() => {
            bytes[at] = bytes[at].wrapping_add([1, 255][noise.below(2) as usize])
        }
        3 | 4 => {
            if let Some((word, _)) = bytes[at & !3..].split_first_chunk_mut::<4>() {
                *word = noise.tamper(u32::from_le_bytes(*word)).to_le_bytes();
            }
        }
        5 => drop(bytes.drain(at..(at + place(noise, 8)).min(bytes.len()))),
        6 => {
            let len = place(noise, (bytes.len() - at).min(40));
            let part = bytes[at..at + len].to_vec();
            bytes.splice(at..at, part);
        }
        _ => {
            let from = place(noise, other.len());
            let len = place(noise, (other.len() - from).min(40));
            bytes.splice(at..at, other[from..from + len].iter().copied());
        }
    }
}
