//! Bytes of a fuzzer as parts of a structured input, and back: seeds are written the way they are read.

use std::borrow::Cow;

/// Most steps of one input. Work is bounded by what a step may do.
pub(crate) const MAX_STEPS: usize = 400;

/// Bit of a length that says: one byte, so many times.
const REPEAT: u16 = 1 << 15;
/// Most bytes in a row: eight inline areas.
const MOST_BYTES: u16 = 4096;

/// What is read. Behind the end stand zeros.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(crate) fn short(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(crate) fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(crate) fn wide(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// One branch where there are enough bytes: under a fuzzer, each costs more than what it guards.
    #[inline(always)]
    fn array<const N: usize>(&mut self) -> [u8; N] {
        if let Some((first, rest)) = self.0.split_first_chunk() {
            self.0 = rest;
            return *first;
        }
        let mut array = [0; N];
        array[..self.0.len()].copy_from_slice(self.0);
        self.0 = &[];
        array
    }

    /// A byte below `limit`.
    pub(crate) fn below(&mut self, limit: u8) -> u8 {
        self.byte() % limit
    }

    /// Some bytes after their length.
    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        self.slice().into_owned()
    }

    /// As [`Self::bytes`], where they stand.
    pub(crate) fn slice(&mut self) -> Cow<'a, [u8]> {
        let short = self.short();
        let len = usize::from((short & !REPEAT).min(MOST_BYTES));
        if short & REPEAT != 0 {
            return vec![self.byte(); len].into();
        }
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        bytes.into()
    }

    /// As [`Self::bytes`], made text.
    pub(crate) fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// What is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Steps until the end of the input, at most [`MAX_STEPS`].
    pub(crate) fn steps<T>(&mut self, step: impl FnMut(&mut Self) -> T) -> Vec<T> {
        self.some_steps(MAX_STEPS, step)
    }

    /// Steps until the end of the input, at most so many.
    pub(crate) fn some_steps<T>(
        &mut self,
        most: usize,
        mut step: impl FnMut(&mut Self) -> T,
    ) -> Vec<T> {
        let mut steps = Vec::new();
        while !self.is_empty() && steps.len() < most {
            steps.push(step(self));
        }
        steps
    }
}

/// A seed under construction.
#[derive(Default)]
pub(crate) struct Output(Vec<u8>);

impl Output {
    pub(crate) fn byte(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    pub(crate) fn short(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(crate) fn word(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(crate) fn wide(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(crate) fn words(&mut self, values: &[u32]) -> &mut Self {
        for value in values {
            self.word(*value);
        }
        self
    }

    /// Some bytes after their length. Runs of one byte take three bytes, what is too long is cut off.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let bytes = &bytes[..bytes.len().min(MOST_BYTES.into())];
        // At most `MOST_BYTES`.
        let len = bytes.len() as u16;
        match bytes {
            [first, rest @ ..] if rest.len() > 3 && rest.iter().all(|byte| byte == first) => {
                self.short(len | REPEAT).byte(*first)
            }
            _ => self.short(len).raw(bytes),
        }
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn done(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let long = vec![7; 600];
        let mut output = Output::default();
        output.byte(1).short(2).word(3).wide(4).bytes(&long).bytes(b"abc").raw(b"rest");
        let seed = output.done();
        assert!(seed.len() < 40);
        let mut input = Input::new(&seed);
        assert_eq!((input.byte(), input.short(), input.word(), input.wide()), (1, 2, 3, 4));
        assert_eq!((input.bytes(), input.text()), (long, "abc".to_owned()));
        assert_eq!(input.rest(), b"rest");
    }

    #[test]
    fn behind_the_end_stand_zeros() {
        let mut input = Input::new(&[9]);
        assert_eq!((input.word(), input.wide(), input.bytes()), (9, 0, Vec::new()));
        // What is cut off is read as far as it is there.
        assert_eq!(Input::new(&[1, 2, 3]).word(), 0x0003_0201);
        assert!(input.is_empty());
    }
}
