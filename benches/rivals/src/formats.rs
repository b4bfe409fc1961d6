//! Formats of serde, each used as its documentation calls fastest: into a buffer that is there already,
//! from a slice, so that texts and bytes can be borrowed.

use knit_benches::samples::{Fault, FaultRef, Item, ItemRef};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes};

/// A format of serde.
pub trait Format {
    /// Its name in the report.
    const NAME: &'static str;

    /// Whether it has byte strings, which can be borrowed. JSON has arrays of numbers.
    const HAS_BYTES: bool = true;

    /// Writes `value` to the start of `buffer`, which has [`room`] for it, and tells what was written.
    ///
    /// # Panics
    ///
    /// The value cannot be written.
    fn encode<'b, T: Serialize + ?Sized>(value: &T, buffer: &'b mut Vec<u8>) -> &'b [u8];

    /// The value that `bytes` are.
    ///
    /// # Panics
    ///
    /// They are no such value.
    fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> T;
}

/// A value that can be read without a copy of its texts or bytes.
pub trait Lends {
    /// What borrows them.
    type Borrowed<'a>: Deserialize<'a>;

    /// Whether it is a byte string.
    const IS_BYTES: bool = false;

    /// Whether the two are equal.
    fn is(&self, borrowed: &Self::Borrowed<'_>) -> bool;
}

/// `serde_json`.
#[derive(Clone, Copy, Debug)]
pub struct SerdeJson;

/// `postcard`.
#[derive(Clone, Copy, Debug)]
pub struct Postcard;

/// `rmp-serde`, structures as arrays.
#[derive(Clone, Copy, Debug)]
pub struct RmpSerde;

/// A buffer with room for what any of the formats makes of so many bytes of payload: JSON writes up to
/// four for each.
#[must_use]
pub fn room(bytes: usize) -> Vec<u8> {
    vec![0; bytes * 4 + 64]
}

impl Format for SerdeJson {
    const NAME: &'static str = "serde_json";
    const HAS_BYTES: bool = false;

    fn encode<'b, T: Serialize + ?Sized>(value: &T, buffer: &'b mut Vec<u8>) -> &'b [u8] {
        buffer.clear();
        serde_json::to_writer(&mut *buffer, value).expect("it is JSON");
        buffer
    }

    fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> T {
        serde_json::from_slice(bytes).expect("it was written")
    }
}

impl Format for Postcard {
    const NAME: &'static str = "postcard";

    fn encode<'b, T: Serialize + ?Sized>(value: &T, buffer: &'b mut Vec<u8>) -> &'b [u8] {
        postcard::to_slice(value, buffer).expect("there is room")
    }

    fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> T {
        postcard::from_bytes(bytes).expect("it was written")
    }
}

impl Format for RmpSerde {
    const NAME: &'static str = "rmp-serde";

    fn encode<'b, T: Serialize + ?Sized>(value: &T, buffer: &'b mut Vec<u8>) -> &'b [u8] {
        buffer.clear();
        rmp_serde::encode::write(buffer, value).expect("it can be written");
        buffer
    }

    fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> T {
        rmp_serde::from_slice(bytes).expect("it was written")
    }
}

impl Lends for String {
    type Borrowed<'a> = &'a str;

    fn is(&self, borrowed: &&str) -> bool {
        self == borrowed
    }
}

impl Lends for ByteBuf {
    type Borrowed<'a> = &'a Bytes;
    const IS_BYTES: bool = true;

    fn is(&self, borrowed: &&Bytes) -> bool {
        ***self == ***borrowed
    }
}

impl Lends for Vec<Item> {
    type Borrowed<'a> = Vec<ItemRef<'a>>;

    fn is(&self, borrowed: &Vec<ItemRef<'_>>) -> bool {
        borrowed == self
    }
}

impl Lends for Fault {
    type Borrowed<'a> = FaultRef<'a>;

    fn is(&self, borrowed: &FaultRef<'_>) -> bool {
        borrowed == self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use knit_benches::samples;

    #[test]
    fn every_format_brings_back_what_it_wrote() {
        fn check<F: Format>() {
            let (mut buffer, fault) = (room(64 << 10), samples::fault(3));
            let written = F::encode(&fault, &mut buffer);
            assert_eq!(F::decode::<Fault>(written), fault, "{}", F::NAME);
            assert!(fault.is(&F::decode(written)), "{}", F::NAME);
            let items = samples::documents(samples::SMALL);
            let mut buffer = room(64 << 10);
            let written = F::encode(&items, &mut buffer);
            assert_eq!(F::decode::<Vec<Item>>(written), items, "{}", F::NAME);
            assert!(items.is(&F::decode(written)), "{}", F::NAME);
        }
        check::<SerdeJson>();
        check::<Postcard>();
        check::<RmpSerde>();
    }

    #[test]
    fn borrowed_values_that_differ_are_told_apart() {
        assert!(!"one".to_owned().is(&"two"));
        assert!(!ByteBuf::from([1, 2]).is(&Bytes::new(&[1, 3])));
        let (one, other) = (samples::fault(3), samples::fault(2));
        let text = serde_json::to_vec(&other).expect("it is JSON");
        assert!(!one.is(&SerdeJson::decode(&text)));
        let (one, other) = (samples::documents(2), samples::documents(3));
        let text = serde_json::to_vec(&other).expect("it is JSON");
        assert!(!one.is(&SerdeJson::decode(&text)));
    }
}
