//! The rows.

use super::{Bar, Row, Work};
use crate::samples::{self, Item, LARGE, MIB, SMALL, documents, fault};
use knit_codec::{
    Decode, DecodeBorrowed, Encode, ErrorValue, INLINE_BYTES, Json, Limits, Null, Numbers, Payload,
    Value,
};
use knit_proto::{Span, Tag};
use knit_ring::{HeapBlock, HeapMemory, Mapped, MappedBytes, SharedBytes, SharedMemory};
use std::borrow::Cow;
use std::fmt::Debug;
use std::hint::black_box;

const LIMITS: fn() -> Limits = Limits::default;

/// The bars, in the order of the report.
#[must_use]
pub fn all() -> Vec<Row> {
    let (ascii, mixed) = (samples::ascii(MIB), samples::mixed(MIB));
    let (bytes, floats) = (samples::bytes(MIB), samples::floats(MIB / 8));
    let integers: Vec<i32> = (0..MIB as i32 / 4).collect();
    let longs: Vec<i64> = (0..MIB as i64 / 8).map(|at| -at).collect();
    let unsigned: Vec<u64> = (0..MIB as u64 / 8).collect();
    let (small, large) = (documents(SMALL), documents(LARGE));
    vec![
        scalar("f64", 0.1_f64),
        scalar("bool", true),
        scalar("undefined", None::<bool>),
        scalar("null", Null),
        scalar("bigint", -(1_i64 << 60)),
        row("value_null", value_there_and_back(Value::Null), None, Bar::None),
        row("value_f64", value_there_and_back(Value::Number(0.1)), None, Bar::None),
        row("string_11B", short_text("hello world"), None, Bar::Nanoseconds(12.0)),
        row("string_11B/copied", copied_text("hello world"), None, Bar::None),
        encode("string_1MiB_ascii/encode", ascii.clone()),
        decode_text("string_1MiB_ascii/decode", ascii.clone()),
        owned_text("string_1MiB_ascii/owned", ascii),
        encode("string_1MiB_mixed/encode", mixed.clone()),
        decode_text("string_1MiB_mixed/decode", mixed.clone()),
        owned_text("string_1MiB_mixed/owned", mixed),
        encode("bytes_1MiB/encode", bytes.clone()),
        decode("bytes_1MiB/decode", &bytes, |payload| {
            black_box(<&[u8]>::decode_borrowed(payload, &LIMITS()).expect("bytes"));
        }),
        encode("f64_array_1MiB/encode", floats.clone()),
        decode("f64_array_1MiB/decode", &floats, |payload| {
            black_box(<Cow<'_, [f64]>>::decode_borrowed(payload, &LIMITS()).expect("an array"));
        }),
        encode("i32_array_1MiB/encode", integers.clone()),
        decode("i32_array_1MiB/decode", &integers, |payload| {
            black_box(<Cow<'_, [i32]>>::decode_borrowed(payload, &LIMITS()).expect("an array"));
        }),
        owned_array("f64_array_1MiB/owned", floats.clone()),
        encode("i64_array_1MiB/encode", longs.clone()),
        decode("i64_array_1MiB/decode", &longs, |payload| {
            black_box(<Cow<'_, [i64]>>::decode_borrowed(payload, &LIMITS()).expect("an array"));
        }),
        encode("u64_array_1MiB/encode", unsigned.clone()),
        decode("u64_array_1MiB/decode", &unsigned, |payload| {
            black_box(<Cow<'_, [u64]>>::decode_borrowed(payload, &LIMITS()).expect("an array"));
        }),
        encode("numbers_1MiB/encode", Numbers(floats)),
        json_encode("json_1KiB/encode", small.clone()),
        json_decode("json_1KiB/decode", small.clone()),
        json_both("json_1KiB/both", small),
        json_encode("json_100KiB/encode", large.clone()),
        json_decode("json_100KiB/decode", large.clone()),
        json_both("json_100KiB/both", large),
        row("error_3_causes", error(), None, Bar::Nanoseconds(3000.0)),
    ]
}

fn row(name: &'static str, figure: Work, reference: Option<(&'static str, Work)>, bar: Bar) -> Row {
    Row { name, figure, reference, bar }
}

fn repeat(mut work: impl FnMut() + 'static) -> Work {
    Box::new(move |times| (0..times).for_each(|_| work()))
}

/// A value that a header line carries: encoded, its tag and scalar handed over, decoded.
fn scalar<T: Encode + Decode + PartialEq + Debug + Copy + 'static>(
    name: &'static str,
    value: T,
) -> Row {
    let limits = LIMITS();
    let there_and_back = move || {
        let value = black_box(value);
        let payload = value.encode(&limits).expect("it can be sent");
        let (tag, bits) = (black_box(payload.tag()), black_box(payload.scalar_bits()));
        T::decode(Payload::scalar(tag, bits), &limits).expect("it is what was sent")
    };
    assert_eq!(there_and_back(), value, "{name}");
    let work = repeat(move || _ = black_box(there_and_back()));
    row(name, work, None, Bar::Nanoseconds(3.0))
}

fn value_there_and_back(value: Value) -> Work {
    let limits = LIMITS();
    let there_and_back = move |value: &Value| {
        let payload = value.encode(&limits).expect("it can be sent");
        let (tag, bits) = black_box((payload.tag(), payload.scalar_bits()));
        Value::decode(Payload::scalar(tag, bits), &limits).expect("it is what was sent")
    };
    assert_eq!(there_and_back(&value), value);
    repeat(move || _ = black_box(there_and_back(black_box(&value))))
}

/// A short string: encoded, and read in place on a private copy that is there.
fn short_text(text: &'static str) -> Work {
    let limits = LIMITS();
    let private = text.as_bytes().to_vec();
    let there_and_back = move |text: &str| {
        let payload = text.encode(&limits).expect("it can be sent");
        let (tag, _) = black_box((payload.tag(), payload.as_bytes()));
        let received = Payload::bytes(tag, black_box(private.as_slice()));
        let read = <&str>::decode_borrowed(&received, &limits).expect("it is text");
        black_box(read) as *const str
    };
    repeat(move || _ = black_box(there_and_back(black_box(text))))
}

/// The same, and the copy is made too.
fn copied_text(text: &'static str) -> Work {
    let limits = LIMITS();
    let mut private = [0; INLINE_BYTES];
    let mut there_and_back = move |text: &str| {
        let payload = text.encode(&limits).expect("it can be sent");
        let (tag, len) = black_box((payload.tag(), payload.len()));
        private[..len].copy_from_slice(payload.as_bytes());
        let received = Payload::bytes(tag, &black_box(&private)[..len]);
        let read = <&str>::decode_borrowed(&received, &limits).expect("it is text");
        black_box(read) as *const str
    };
    repeat(move || _ = black_box(there_and_back(black_box(text))))
}

/// A block of shared memory, warm, with a copy of `bytes` in it.
fn shared(bytes: &[u8]) -> MappedBytes<HeapBlock> {
    let len = u32::try_from(bytes.len().next_multiple_of(8)).expect("a mebibyte or so");
    let memory: Mapped<HeapBlock> = HeapMemory::zeroed(len).expect("there is memory");
    let span = Span::new(0, len).expect("a multiple of eight");
    let block = memory.bytes(span).expect("all of it");
    block.deposit(0, bytes).expect("it fits");
    block
}

/// Encoding and the copy into shared memory, beside `memcpy` of as many bytes.
fn encode<T: Encode + 'static>(name: &'static str, value: T) -> Row {
    let limits = LIMITS();
    let payload = value.encode(&limits).expect("it can be sent").into_owned();
    let block = shared(payload.as_bytes());
    let work = repeat(move || {
        let payload = black_box(&value).encode(&limits).expect("it can be sent");
        block.deposit(0, payload.as_bytes()).expect("it fits");
    });
    row(name, work, Some(("memcpy", memcpy(payload.as_bytes()))), Bar::AtLeast(0.9))
}

/// The copy out of shared memory into a warm private buffer, and what `read` makes of it.
fn decoding(payload: &Payload<'_>, read: impl Fn(&Payload<'_>) + 'static) -> Work {
    let (tag, bytes) = (payload.tag(), payload.as_bytes());
    let block = shared(bytes);
    let mut private = bytes.to_vec();
    repeat(move || {
        block.snapshot(0, &mut private).expect("it is there");
        read(&Payload::bytes(tag, private.as_slice()));
    })
}

/// Decoding in place, beside `memcpy` of as many bytes.
fn decode(name: &'static str, value: &impl Encode, read: impl Fn(&Payload<'_>) + 'static) -> Row {
    let payload = value.encode(&LIMITS()).expect("it can be sent").into_owned();
    let memcpy = memcpy(payload.as_bytes());
    row(name, decoding(&payload, read), Some(("memcpy", memcpy)), Bar::AtLeast(0.9))
}

/// Decoding text in place, beside `memcpy` and a check by `simdutf8`.
fn decode_text(name: &'static str, text: String) -> Row {
    let limits = LIMITS();
    let payload = text.encode(&limits).expect("it can be sent").into_owned();
    let work = decoding(&payload, move |payload| {
        black_box(<&str>::decode_borrowed(payload, &limits).expect("it is text"));
    });
    row(name, work, Some(("memcpy + simdutf8", copy_and_check(text))), Bar::AtMost(1.2))
}

/// The same with a string of its own in the end: one allocation more, and one copy where it is not ASCII.
fn owned_text(name: &'static str, text: String) -> Row {
    let limits = LIMITS();
    let payload = text.encode(&limits).expect("it can be sent").into_owned();
    let (tag, block) = (payload.tag(), shared(payload.as_bytes()));
    let len = payload.len();
    let work = repeat(move || {
        let mut private = vec![0; len];
        block.snapshot(0, &mut private).expect("it is there");
        let payload = Payload::bytes(tag, private);
        black_box(String::decode(payload, &limits).expect("it is text"));
    });
    row(name, work, Some(("memcpy + simdutf8", copy_and_check(text))), Bar::None)
}

/// An array with memory of its own in the end, as `memcpy` into fresh memory.
fn owned_array(name: &'static str, array: Vec<f64>) -> Row {
    let limits = LIMITS();
    let payload = array.encode(&limits).expect("it can be sent").into_owned();
    let work = decoding(&payload, move |payload| {
        let payload = Payload::bytes(payload.tag(), payload.as_bytes());
        black_box(<Vec<f64>>::decode(payload, &limits).expect("an array"));
    });
    row(name, work, Some(("memcpy", memcpy(payload.as_bytes()))), Bar::None)
}

fn memcpy(bytes: &[u8]) -> Work {
    let (from, mut into) = (bytes.to_vec(), bytes.to_vec());
    repeat(move || {
        into.copy_from_slice(black_box(&from));
        black_box(&mut into);
    })
}

fn copy_and_check(text: String) -> Work {
    let mut into = text.clone().into_bytes();
    repeat(move || {
        into.copy_from_slice(black_box(text.as_bytes()));
        black_box(simdutf8::basic::from_utf8(black_box(&into)).is_ok());
    })
}

fn json_encode(name: &'static str, items: Vec<Item>) -> Row {
    let reference = ("serde_json", serde_json_encode(items.clone()));
    row(name, knit_json_encode(items), Some(reference), Bar::AtMost(1.0))
}

fn json_decode(name: &'static str, items: Vec<Item>) -> Row {
    let reference = ("serde_json", serde_json_decode(&items));
    row(name, knit_json_decode(&items), Some(reference), Bar::AtMost(1.0))
}

/// Both, which is what a call costs.
fn json_both(name: &'static str, items: Vec<Item>) -> Row {
    let both = |mut one: Work, mut other: Work| -> Work {
        Box::new(move |times| {
            one(times);
            other(times);
        })
    };
    let reference = both(serde_json_encode(items.clone()), serde_json_decode(&items));
    let figure = both(knit_json_encode(items.clone()), knit_json_decode(&items));
    row(name, figure, Some(("serde_json", reference)), Bar::AtMost(1.0))
}

fn knit_json_encode(items: Vec<Item>) -> Work {
    let limits = LIMITS();
    let value = Json(items);
    repeat(move || _ = black_box(black_box(&value).encode(&limits).expect("it can be sent")))
}

fn knit_json_decode(items: &[Item]) -> Work {
    let limits = LIMITS();
    let payload = Json(items).encode(&limits).expect("it can be sent").into_owned();
    let decode = move || {
        let payload = Payload::bytes(Tag::JSON_ARENA, black_box(payload.as_bytes()));
        Json::<Vec<Item>>::decode(payload, &limits).expect("it is what was sent").0
    };
    assert_eq!(decode(), items);
    repeat(move || _ = black_box(decode()))
}

fn serde_json_encode(items: Vec<Item>) -> Work {
    repeat(move || _ = black_box(serde_json::to_vec(black_box(&items)).expect("it is JSON")))
}

/// From bytes, as they come: text that is not UTF-8 is found out here too.
fn serde_json_decode(items: &[Item]) -> Work {
    let text = serde_json::to_vec(items).expect("it is JSON");
    repeat(move || {
        black_box(serde_json::from_slice::<Vec<Item>>(black_box(&text)).expect("it is JSON"));
    })
}

/// An error and three causes, with a stack of some 500 bytes each, there and back.
fn error() -> Work {
    let limits = LIMITS();
    let error = ErrorValue::from(&fault(3));
    assert_eq!(error.chain().count(), 4);
    let there_and_back = move |error: &ErrorValue| {
        let payload = black_box(error).encode(&limits).expect("it can be sent");
        ErrorValue::decode(payload, &limits).expect("it is what was sent")
    };
    assert_eq!(there_and_back(&error), error);
    repeat(move || _ = black_box(there_and_back(&error)))
}
