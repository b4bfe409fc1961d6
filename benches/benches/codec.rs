//! Values to payloads and back, beside JSON text where that can say the same.
//!
//! `encode` borrows the bytes of texts and byte strings, `decode` takes over those that the payload
//! owns: the copies to and from shared memory are measured by the bench `mailbox`.

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use knit_codec::{Decode, Encode, ErrorValue, Limits};
use std::fmt::Debug;
use std::hint::black_box;

criterion_group!(benches, codec);
criterion_main!(benches);

fn codec(criterion: &mut Criterion) {
    let text = |bytes: usize| "0123456789abcdef".repeat(bytes.div_ceil(16))[..bytes].to_owned();
    let bytes = |count: usize| -> Vec<u8> { (0..count).map(|at| (at % 251) as u8).collect() };
    let causes = ["the disk is gone", "the controller is gone", "no power"];
    let nested = causes.into_iter().rev().map(|message| ErrorValue::new("Error", message));
    let nested = nested.reduce(|inner, outer| outer.with_cause(inner)).expect("three causes");
    let error = ErrorValue::new("TypeError", "no such file").with_cause(nested);
    assert_eq!(error.chain().count(), 4, "an error and three causes");

    knit(criterion, "f64", &0.1_f64);
    json(criterion, "f64", &0.1_f64, serde_json::to_vec, |text| serde_json::from_slice(text));
    knit(criterion, "bool", &true);
    json(criterion, "bool", &true, serde_json::to_vec, |text| serde_json::from_slice(text));
    knit(criterion, "bigint", &-(1_i64 << 60));
    json(criterion, "bigint", &-(1_i64 << 60), serde_json::to_vec, |text| {
        serde_json::from_slice(text)
    });
    for (size, text) in [("11B", text(11)), ("1KiB", text(1 << 10)), ("1MiB", text(1 << 20))] {
        let name = format!("string_{size}");
        knit(criterion, &name, &text);
        json(criterion, &name, &text, serde_json::to_vec, |text| serde_json::from_slice(text));
    }
    knit(criterion, "bytes_1KiB", &bytes(1 << 10));
    knit(criterion, "bytes_1MiB", &bytes(1 << 20));
    knit(criterion, "error_3_causes", &error);
}

fn knit<T: Encode + Decode + PartialEq + Debug>(criterion: &mut Criterion, name: &str, value: &T) {
    let limits = Limits::default();
    let payload = value.encode(&limits).expect("it can be sent").into_owned();
    let back = T::decode(payload.clone(), &limits).expect("it is what was sent");
    assert!(back == *value, "{name}: another value came back");

    criterion
        .benchmark_group("codec/encode")
        .bench_function(BenchmarkId::new("knit", name), |bencher| {
            bencher.iter(|| black_box(value).encode(&limits))
        });
    let mut group = criterion.benchmark_group("codec/decode");
    let id = BenchmarkId::new("knit", name);
    if payload.is_empty() {
        // A scalar: its copy costs nothing.
        group.bench_function(id, |bencher| {
            bencher.iter(|| T::decode(black_box(&payload).clone(), &limits));
        });
    } else {
        let at_a_time = BatchSize::NumIterations(if payload.len() > 64 << 10 { 16 } else { 1024 });
        group.bench_function(id, |bencher| {
            let decode = |payload| T::decode(payload, &limits);
            bencher.iter_batched(|| payload.clone(), decode, at_a_time);
        });
    }
}

fn json<T: PartialEq + Debug>(
    criterion: &mut Criterion,
    name: &str,
    value: &T,
    encode: impl Fn(&T) -> serde_json::Result<Vec<u8>>,
    decode: impl Fn(&[u8]) -> serde_json::Result<T>,
) {
    let text = encode(value).expect("it is JSON");
    assert!(decode(&text).expect("it is JSON") == *value, "{name}: another value came back");
    let id = BenchmarkId::new("serde_json", name);
    let mut group = criterion.benchmark_group("codec/encode");
    group.bench_function(id.clone(), |bencher| bencher.iter(|| encode(black_box(value))));
    drop(group);
    let mut group = criterion.benchmark_group("codec/decode");
    group.bench_function(id, |bencher| bencher.iter(|| decode(black_box(&text))));
}
