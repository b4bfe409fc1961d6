//! Texts, JSON and numbers in a shared buffer.
//!
//! | value | bytes at `at`, little-endian |
//! |---|---|
//! | text, JSON | length in bytes (4 bytes), then UTF-8 |
//! | number | a double (8 bytes) |
//! | numbers | the elements, one after the other |
//!
//! Every byte is copied out before it is looked at, so that what another party writes meanwhile cannot
//! change a text after its check.

use super::{BufferError, SharedBuffer};
use knit_codec::{
    Decode, DecodeError, Encode, EncodeError, Excess, JsonText, LimitKind, Limits, Payload,
};
use knit_proto::Tag;

/// Bytes of the length before a text.
const PREFIX: u32 = 4;
/// Elements that are copied at once, through a buffer of the stack.
const CHUNK: usize = 256;

impl SharedBuffer {
    /// Puts a text at `at`: its length, then its bytes. Returns how many bytes that takes.
    ///
    /// # Errors
    ///
    /// The text exceeds `limits`, or does not fit; nothing is written.
    ///
    /// # Examples
    ///
    /// ```
    /// use knit_lanes::{Limits, SharedBuffer};
    ///
    /// let (buffer, limits) = (SharedBuffer::new(64)?, Limits::default());
    /// let end = buffer.put_text(0, "grüße", &limits)?;
    /// assert_eq!((end, buffer.text(0, &limits)?.as_str()), (11, "grüße"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_text(&self, at: u32, text: &str, limits: &Limits) -> Result<u32, ValueError> {
        self.put_prefixed(at, text.encode(limits)?.as_bytes())
    }

    /// The text at `at`.
    ///
    /// # Errors
    ///
    /// The length is outside of the buffer or exceeds `limits`, or the bytes are not UTF-8.
    pub fn text(&self, at: u32, limits: &Limits) -> Result<String, ValueError> {
        Ok(String::decode(self.prefixed(at, Tag::STRING_ARENA, limits)?, limits)?)
    }

    /// Puts JSON text at `at`: its length, then its bytes. Returns how many bytes that takes.
    ///
    /// # Errors
    ///
    /// The text is not JSON, exceeds `limits`, or does not fit; nothing is written.
    pub fn put_json(&self, at: u32, json: &JsonText, limits: &Limits) -> Result<u32, ValueError> {
        self.put_prefixed(at, json.encode(limits)?.as_bytes())
    }

    /// The JSON text at `at`, checked.
    ///
    /// # Errors
    ///
    /// The length is outside of the buffer or exceeds `limits`, or the text is not JSON.
    pub fn json(&self, at: u32, limits: &Limits) -> Result<JsonText, ValueError> {
        Ok(JsonText::decode(self.prefixed(at, Tag::JSON_ARENA, limits)?, limits)?)
    }

    /// Puts any serde value at `at`, as [`Self::put_json`] does.
    ///
    /// # Errors
    ///
    /// The value has no JSON text, exceeds `limits`, or does not fit; nothing is written.
    #[cfg(feature = "serde")]
    pub fn put_value<T: serde::Serialize>(
        &self,
        at: u32,
        value: &T,
        limits: &Limits,
    ) -> Result<u32, ValueError> {
        self.put_prefixed(at, knit_codec::Json(value).encode(limits)?.as_bytes())
    }

    /// The serde value at `at`.
    ///
    /// # Errors
    ///
    /// As [`Self::json`], and when the text is none of `T`.
    #[cfg(feature = "serde")]
    pub fn value<T: serde::de::DeserializeOwned>(
        &self,
        at: u32,
        limits: &Limits,
    ) -> Result<T, ValueError> {
        let payload = self.prefixed(at, Tag::JSON_ARENA, limits)?;
        Ok(knit_codec::Json::<T>::decode(payload, limits)?.0)
    }

    /// Puts a number at `at`: eight bytes.
    ///
    /// # Errors
    ///
    /// They do not lie inside.
    pub fn put_number(&self, at: u32, number: f64) -> Result<(), BufferError> {
        self.write(at, &number.to_le_bytes())
    }

    /// The number at `at`.
    ///
    /// # Errors
    ///
    /// Its eight bytes do not lie inside.
    pub fn number(&self, at: u32) -> Result<f64, BufferError> {
        let mut bytes = [0; 8];
        self.read(at, &mut bytes)?;
        Ok(f64::from_le_bytes(bytes))
    }

    /// Puts numbers at `at`, one after the other.
    ///
    /// # Errors
    ///
    /// They do not fit; nothing is written.
    ///
    /// # Examples
    ///
    /// ```
    /// use knit_lanes::SharedBuffer;
    ///
    /// let buffer = SharedBuffer::new(64)?;
    /// buffer.put_numbers(8, &[1_i64, -2, 3])?;
    /// assert_eq!(buffer.numbers::<i64>(16, 2)?, [-2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_numbers<E: Element>(&self, at: u32, numbers: &[E]) -> Result<(), BufferError> {
        self.place(at, size_of_val(numbers))?;
        let mut bytes = [0; CHUNK * 8];
        let mut at = at;
        for chunk in numbers.chunks(CHUNK) {
            let bytes = &mut bytes[..size_of_val(chunk)];
            for (number, bytes) in chunk.iter().zip(bytes.chunks_exact_mut(size_of::<E>())) {
                number.put(bytes);
            }
            self.write(at, bytes)?;
            // At most `CHUNK * 8`, and inside.
            at += bytes.len() as u32;
        }
        Ok(())
    }

    /// The `count` numbers from `at` on.
    ///
    /// # Errors
    ///
    /// They do not lie inside; nothing is allocated then.
    pub fn numbers<E: Element>(&self, at: u32, count: u32) -> Result<Vec<E>, BufferError> {
        // Elements have at most eight bytes.
        let mut left = count as usize;
        self.place(at, left * size_of::<E>())?;
        let mut numbers = Vec::with_capacity(left);
        let mut bytes = [0; CHUNK * 8];
        let mut at = at;
        while left > 0 {
            let bytes = &mut bytes[..left.min(CHUNK) * size_of::<E>()];
            self.read(at, bytes)?;
            numbers.extend(bytes.chunks_exact(size_of::<E>()).map(E::get));
            left -= left.min(CHUNK);
            // As in `put_numbers`.
            at += bytes.len() as u32;
        }
        Ok(numbers)
    }

    fn put_prefixed(&self, at: u32, bytes: &[u8]) -> Result<u32, ValueError> {
        self.place(at, bytes.len().saturating_add(PREFIX as usize))?;
        // It lies inside, as just checked.
        let len = bytes.len() as u32;
        self.write(at, &len.to_le_bytes())?;
        self.write(at + PREFIX, bytes)?;
        Ok(PREFIX + len)
    }

    fn prefixed(&self, at: u32, tag: Tag, limits: &Limits) -> Result<Payload<'static>, ValueError> {
        let mut prefix = [0; PREFIX as usize];
        self.read(at, &mut prefix)?;
        let len = u32::from_le_bytes(prefix);
        self.place(at + PREFIX, len as usize)?;
        if len > limits.payload {
            let (limit, most) = (LimitKind::Payload, limits.payload);
            return Err(DecodeError::from(Excess { tag, limit, actual: len as usize, most }).into());
        }
        let mut bytes = vec![0; len as usize];
        self.read(at + PREFIX, &mut bytes)?;
        Ok(Payload::bytes(tag, bytes))
    }
}

/// A number that a shared buffer can hold many of.
pub trait Element: Copy + private::Element {}

mod private {
    pub trait Element: Sized {
        fn put(self, bytes: &mut [u8]);
        fn get(bytes: &[u8]) -> Self;
    }
}

macro_rules! elements {
    ($($element:ty),+) => {$(
        impl Element for $element {}
        impl private::Element for $element {
            fn put(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_le_bytes());
            }
            fn get(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().expect("chunks are as long as an element"))
            }
        }
    )+};
}

elements!(f64, i32, i64, u64);

/// Why a value could not be put into a shared buffer, or is not in it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// It does not lie inside.
    #[error(transparent)]
    Buffer(#[from] BufferError),
    /// The value has no encoding or exceeds a limit.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The bytes are not such a value.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}
