//! Criterion rows of codecs: one call measures one encoding or decoding. The bench `codec` of the package
//! `knit-rivals` uses this file too.
//!
//! Everything is in private memory: the copies to and from shared memory are measured by the bench
//! `mailbox` and by `codec_bars`.

use criterion::{BenchmarkId, Criterion, Throughput};
use knit_benches::samples::{Item, ItemRef};
use knit_codec::{Decode, DecodeBorrowed, Encode, Json, Limits, Payload};
use std::borrow::Cow;
use std::fmt::Debug;
use std::hint::black_box;

/// Limits of every row.
pub const LIMITS: fn() -> Limits = Limits::default;

/// A row of work on `bytes` bytes of payload; on one value where that is zero.
pub fn row<T>(
    criterion: &mut Criterion,
    group: &str,
    name: &str,
    bytes: usize,
    mut work: impl FnMut() -> T,
) {
    let mut group = criterion.benchmark_group(group);
    group.throughput(match bytes {
        0 => Throughput::Elements(1),
        bytes => Throughput::BytesDecimal(bytes as u64),
    });
    group.bench_function(BenchmarkId::from_parameter(name), |bencher| bencher.iter(&mut work));
}

/// Encodes `value` and copies its bytes, where it has some, to a buffer that is there already.
pub fn encode<T: Encode + ?Sized>(criterion: &mut Criterion, group: &str, name: &str, value: &T) {
    let limits = LIMITS();
    let mut buffer = payload(value).as_bytes().to_vec();
    row(criterion, group, name, buffer.len(), || {
        let payload = black_box(value).encode(&limits).expect("it can be sent");
        buffer.copy_from_slice(payload.as_bytes());
        black_box(&mut buffer);
        (payload.tag(), payload.scalar_bits(), payload.head_len())
    });
}

/// Decodes bytes that stay where they are to a value that owns what it has.
pub fn owned<T: Encode + Decode + PartialEq + Debug>(
    criterion: &mut Criterion,
    group: &str,
    name: &str,
    value: &T,
) {
    let (limits, payload) = (LIMITS(), payload(value));
    let decode = || T::decode(lent(black_box(&payload)), &limits).expect("it is what was sent");
    check(&decode(), value, name);
    row(criterion, group, name, payload.len(), decode);
}

/// Reads a text, or bytes, in place.
pub fn borrowed<T>(criterion: &mut Criterion, group: &str, name: &str, value: &T)
where
    T: Encode + PartialEq + Debug + ?Sized + 'static,
    for<'p> &'p T: DecodeBorrowed<'p>,
{
    let (limits, payload) = (LIMITS(), payload(value));
    let decode = || <&T>::decode_borrowed(black_box(&payload), &limits).expect("it was sent");
    check(&decode(), &value, name);
    row(criterion, group, name, payload.len(), decode);
}

/// Reads an array in place.
pub fn borrowed_array<E>(criterion: &mut Criterion, group: &str, name: &str, value: &[E])
where
    E: Clone + PartialEq + Debug + 'static,
    [E]: Encode,
    for<'p> Cow<'p, [E]>: DecodeBorrowed<'p>,
{
    let (limits, payload) = (LIMITS(), payload(value));
    let decode = || {
        let payload = black_box(&payload);
        <Cow<'_, [E]>>::decode_borrowed(payload, &limits).expect("it is what was sent")
    };
    check(decode().as_ref(), value, name);
    row(criterion, group, name, payload.len(), decode);
}

/// Reads documents, whose texts are left where they are.
pub fn borrowed_documents(
    criterion: &mut Criterion,
    group: &str,
    name: &str,
    items: &Json<Vec<Item>>,
) {
    let (limits, payload) = (LIMITS(), payload(items));
    let decode = || {
        let items = Json::<Vec<ItemRef<'_>>>::decode_borrowed(black_box(&payload), &limits);
        items.expect("it is what was sent").0
    };
    check(&decode(), &items.0, name);
    row(criterion, group, name, payload.len(), decode);
}

/// Ends the program when another value came back.
pub fn check<A: PartialEq<B> + Debug + ?Sized, B: Debug + ?Sized>(back: &A, sent: &B, name: &str) {
    assert!(back == sent, "{name}: another value came back");
}

/// The payload of `value`, with bytes of its own.
pub fn payload<T: Encode + ?Sized>(value: &T) -> Payload<'static> {
    value.encode(&LIMITS()).expect("it can be sent").into_owned()
}

/// The same payload over the same bytes.
fn lent<'a>(payload: &'a Payload<'_>) -> Payload<'a> {
    if payload.is_empty() {
        Payload::scalar(payload.tag(), payload.scalar_bits())
    } else {
        let bytes = Cow::Borrowed(payload.as_bytes());
        Payload::two_parts(payload.tag(), bytes, payload.head_len())
    }
}
