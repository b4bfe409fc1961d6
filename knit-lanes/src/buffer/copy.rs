//! Copies at any byte of a shared buffer, that leave the bytes beside them alone.

use knit_proto::{Span, WordOffset};
use knit_ring::{Mapped, Mapping, SharedBytes, SharedMemory, SharedWord, SharedWordRmw};

pub(super) type Memory = Mapped<Mapping>;

/// How often a word that another party keeps changing is tried before it is changed without looking.
const TRIES: u32 = 64;

/// Says why an access cannot fail.
const INSIDE: &str = "the caller has checked the range, and buffers are whole words";

/// Copies the bytes from `at` on into private memory. They lie inside.
pub(super) fn read(memory: &Memory, at: u32, into: &mut [u8]) {
    let (head, body) = into.split_at_mut(head(at, into.len()));
    if !head.is_empty() {
        // At most three.
        let skew = (at % 4) as usize;
        let word = word(memory, at - at % 4).load_relaxed().to_ne_bytes();
        head.copy_from_slice(&word[skew..][..head.len()]);
    }
    if !body.is_empty() {
        let bytes = bytes(memory, at + head.len() as u32, body.len().next_multiple_of(4));
        bytes.snapshot(0, body).expect(INSIDE);
    }
}

/// Copies `from` into shared memory from `at` on. The bytes lie inside.
pub(super) fn write(memory: &Memory, at: u32, from: &[u8]) {
    let (head, rest) = from.split_at(head(at, from.len()));
    let (body, tail) = rest.split_at(rest.len() & !3);
    if !head.is_empty() {
        write_part(&word(memory, at - at % 4), (at % 4) as usize, head);
    }
    // Lengths of parts of a buffer fit 32 bits.
    let at = at + head.len() as u32;
    if !body.is_empty() {
        bytes(memory, at, body.len()).deposit(0, body).expect(INSIDE);
    }
    if !tail.is_empty() {
        write_part(&word(memory, at + body.len() as u32), 0, tail);
    }
}

/// How many of `len` bytes from `at` on stand before the first whole word.
fn head(at: u32, len: usize) -> usize {
    ((4 - at % 4) % 4).min(u32::try_from(len).unwrap_or(u32::MAX)) as usize
}

/// Changes the bytes from `skew` on, and no others, of a word of which others may be changing the rest.
///
/// It ends whatever the others do: where they change the word each time between the load and the
/// exchange, the difference is flipped in. That is exact for bytes that nobody else writes, and for those
/// that somebody does no value was promised.
fn write_part(word: &impl SharedWordRmw, skew: usize, from: &[u8]) {
    let with = |old: u32| {
        let mut bytes = old.to_ne_bytes();
        bytes[skew..][..from.len()].copy_from_slice(from);
        u32::from_ne_bytes(bytes)
    };
    // Relaxed: as all bytes of a buffer; calls order them. Acquire and release do no harm.
    let mut old = word.load_relaxed();
    for _ in 0..TRIES {
        match word.compare_exchange_acquire(old, with(old)) {
            Ok(()) => return,
            Err(found) => old = found,
        }
    }
    word.fetch_xor_release(old ^ with(old));
}

fn word(memory: &Memory, at: u32) -> <Memory as SharedMemory>::Word {
    memory.word(WordOffset::new(at).expect(INSIDE)).expect(INSIDE)
}

fn bytes(memory: &Memory, at: u32, len: usize) -> <Memory as SharedMemory>::Bytes {
    let span = u32::try_from(len).ok().and_then(|len| Span::new(at, len));
    memory.bytes(span.expect(INSIDE)).expect(INSIDE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU32, Ordering};

    fn filled(len: u32) -> Memory {
        let memory = Mapping::create(len).unwrap();
        write(&memory, 0, &vec![0xee; len as usize]);
        memory
    }

    #[test]
    fn every_start_and_length_changes_its_own_bytes_only() {
        for at in 0..9 {
            for len in 0..40 {
                let memory = filled(64);
                let sent: Vec<_> = (1..=len).collect();
                write(&memory, at, &sent);
                let mut all = [0; 64];
                read(&memory, 0, &mut all);
                let mut expected = [0xee; 64];
                expected[at as usize..][..sent.len()].copy_from_slice(&sent);
                assert_eq!(all, expected, "{len} bytes at {at}");
                let mut back = vec![0; sent.len()];
                read(&memory, at, &mut back);
                assert_eq!(back, sent, "{len} bytes at {at}");
            }
        }
    }

    /// KD-33: writes beside each other, in the same word, are no race that loses one.
    #[test]
    fn threads_that_write_bytes_of_one_word_lose_nothing() {
        let memory = filled(4);
        std::thread::scope(|scope| {
            for at in 0..4 {
                let memory = &memory;
                scope.spawn(move || {
                    for value in 0..20_000_u32 {
                        let value = value.to_le_bytes()[0];
                        write(memory, at, &[value]);
                        let mut back = [0];
                        read(memory, at, &mut back);
                        assert_eq!(back, [value], "byte {at}");
                    }
                });
            }
        });
    }

    /// A word whose last byte another party changes before every exchange.
    struct Restless(AtomicU32);

    impl SharedWord for Restless {
        fn load_relaxed(&self) -> u32 {
            self.0.load(Ordering::Relaxed)
        }
        fn load_acquire(&self) -> u32 {
            self.load_relaxed()
        }
        fn store_relaxed(&self, value: u32) {
            self.0.store(value, Ordering::Relaxed);
        }
        fn store_release(&self, value: u32) {
            self.store_relaxed(value);
        }
    }

    impl SharedWordRmw for Restless {
        fn fetch_xor_release(&self, bits: u32) {
            self.0.fetch_xor(bits, Ordering::Relaxed);
        }
        fn compare_exchange_acquire(&self, _: u32, _: u32) -> Result<(), u32> {
            let mut bytes = self.load_relaxed().to_ne_bytes();
            bytes[3] = bytes[3].wrapping_add(1);
            self.store_relaxed(u32::from_ne_bytes(bytes));
            Err(self.load_relaxed())
        }
    }

    #[test]
    fn a_party_that_keeps_changing_the_word_cannot_hold_a_write_up() {
        let word = Restless(AtomicU32::new(u32::from_ne_bytes([9, 8, 7, 0])));
        write_part(&word, 0, &[1, 2]);
        assert_eq!(word.load_relaxed().to_ne_bytes(), [1, 2, 7, TRIES.to_le_bytes()[0]]);
    }
}
