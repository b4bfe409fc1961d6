//! Copies in and out of shared memory, against plain bytes.

use crate::corpus::Seed;
use crate::input::{Input, Output};
use knit_proto::{Span, WordOffset};
use knit_ring::{HeapMemory, SharedBytes, SharedMemory, SharedWord, SharedWordRmw};

/// Bytes of memory.
const LEN: u32 = 4096;
/// Most bytes of an access: some more than there are.
const MOST: usize = LEN as usize + 64;
/// Bytes beside a buffer that nobody may write.
const FENCE: usize = 64;
/// What stands there.
const FENCE_BYTE: u8 = 0xA5;

// Whole slices are copied and compared: in a loop, a fuzzer looks at each byte.
static UNTOUCHED: [u8; MOST] = [FENCE_BYTE; MOST];
static BYTES: [u8; MOST + 256] = {
    let mut bytes = [0; MOST + 256];
    let mut at = 0;
    while at < bytes.len() {
        // No power of two, so that what stands at another place is something else.
        bytes[at] = (at % 251) as u8;
        at += 1;
    }
    bytes
};

/// The part of a memory that is used, then accesses of it: snapshots, deposits, words.
///
/// What is read is what was written there last, a deposit ends with zeros up to the next word, an access is
/// refused exactly where it does not lie inside the part at a multiple of four, and nothing beside the memory,
/// the part or a buffer is written. AddressSanitizer does not see copies in inline assembly: this does.
///
/// # Panics
///
/// It is not.
pub fn memory(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (at, len) = (place(&mut input), place(&mut input));
    let memory = HeapMemory::zeroed(LEN).expect("a page");
    let all = memory.bytes(Span::new(0, LEN).expect("a page")).expect("all of it");
    let inside = u64::from(at) + u64::from(len) <= LEN.into();
    let part = Span::new(at, len).map(|span| memory.bytes(span));
    let part = match part {
        Some(Ok(part)) => part,
        Some(Err(_)) => return assert!(!inside, "{len} bytes at {at} are refused"),
        None => {
            return assert!(
                at % 4 != 0 || len % 4 != 0 || u64::from(at) + u64::from(len) > u32::MAX.into()
            );
        }
    };
    assert!(inside, "{len} bytes at {at} are given out");
    let mut model = vec![0; LEN as usize];
    for (fill, step) in (0_u8..).zip(
        input.some_steps(60, |input| (input.below(6), place(input), input.short() % MOST as u16)),
    ) {
        run(&part, &memory, &mut model, (at, len), step, fill);
    }
    let mut found = vec![0; LEN as usize];
    all.snapshot(0, &mut found).expect("all of it");
    assert!(found == model, "bytes beside those that were written have changed");
}

/// A place: mostly inside.
fn place(input: &mut Input<'_>) -> u32 {
    match input.short() {
        u16::MAX => input.word(),
        short => u32::from(short) % MOST as u32,
    }
}

fn run(
    part: &<HeapMemory as SharedMemory>::Bytes,
    memory: &HeapMemory,
    model: &mut [u8],
    (start, available): (u32, u32),
    (kind, at, len): (u8, u32, u16),
    fill: u8,
) {
    let len = usize::from(len);
    let words = len.div_ceil(4);
    // Where in the model an access of so many words is, if it is allowed.
    let place = |words: usize| {
        let end = u64::from(at) + 4 * words as u64;
        let allowed = at.is_multiple_of(4) && end <= available.into();
        allowed.then(|| {
            let first = (start + at) as usize;
            first..first + 4 * words
        })
    };
    match kind {
        0 => {
            let mut buffer = vec![FENCE_BYTE; len + 2 * FENCE];
            let found = part.snapshot(at, &mut buffer[FENCE..FENCE + len]);
            let place = place(words);
            assert_eq!(found.is_ok(), place.is_some(), "{found:?}");
            let (before, rest) = buffer.split_at(FENCE);
            let (found, after) = rest.split_at(len);
            match place {
                Some(place) => assert!(*found == model[place][..len], "{len} bytes at {at}"),
                None => assert!(*found == UNTOUCHED[..len]),
            }
            let fences = (before, after) == (&UNTOUCHED[..FENCE], &UNTOUCHED[..FENCE]);
            assert!(fences, "{len} bytes at {at}");
        }
        1 => {
            let from = &BYTES[usize::from(fill)..][..len];
            let done = part.deposit(at, from);
            assert_eq!(done.is_ok(), place(words).is_some(), "{done:?}");
            if let Some(place) = place(words) {
                model[place.clone()].fill(0);
                model[place.start..place.start + len].copy_from_slice(from);
            }
        }
        2 => {
            let mut into = vec![0; len / 4];
            let found = part.load_words(at, &mut into);
            let place = place(into.len());
            assert_eq!(found.is_ok(), place.is_some(), "{found:?}");
            let found: Vec<u8> = into.iter().flat_map(|word| word.to_ne_bytes()).collect();
            assert!(place.is_none_or(|place| found == model[place]), "{len} bytes at {at}");
        }
        3 => {
            let from = vec![u32::from(fill) * 0x0101_0101; len / 4];
            let done = part.store_words(at, &from);
            assert_eq!(done.is_ok(), place(from.len()).is_some(), "{done:?}");
            if let Some(place) = place(from.len()) {
                model[place].fill(fill);
            }
        }
        // A word of the memory, wherever the part is.
        _ => {
            let Some(offset) = WordOffset::new(at) else { return };
            let word = memory.word(offset);
            assert_eq!(word.is_ok(), u64::from(at) + 4 <= LEN.into());
            let Ok(word) = word else { return };
            let bytes = model[at as usize..].first_chunk_mut::<4>().expect("inside");
            assert_eq!(word.load_acquire().to_ne_bytes(), *bytes);
            let value = len as u32 * 0x0001_0003;
            if kind == 4 {
                word.store_release(value);
                *bytes = value.to_ne_bytes();
            } else {
                word.fetch_xor_release(value);
                *bytes = (u32::from_ne_bytes(*bytes) ^ value).to_ne_bytes();
            }
        }
    }
}

/// Lengths at which copies change what they do. There are no vectors of memory.
pub(crate) fn seeds() -> Vec<Seed> {
    let seed = |len: u16| {
        let mut output = Output::default();
        output.short(64).short(2048);
        for (kind, at) in
            [(1, 0), (0, 0), (1, 4), (0, 4), (3, 8), (2, 8), (4, 100), (5, 100), (0, 60)]
        {
            output.byte(kind).short(at).short(len);
        }
        Seed::new(format!("copies-of-{len}"), output.done())
    };
    [0, 1, 3, 4, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 257, 512, 1000, 2044, 2049]
        .map(seed)
        .into()
}
