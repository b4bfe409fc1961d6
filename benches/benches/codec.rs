//! Values of every tag to payloads and back.
//!
//! `encode` ends in a warm buffer. `decode` starts with private bytes: `owned` copies out of them what
//! the value owns, `borrowed` reads in place, `moved` takes them over. Where a payload has bytes the
//! throughput counts them.

#[path = "groups/codec.rs"]
mod groups;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use groups::{LIMITS, borrowed, borrowed_array, borrowed_documents, check, encode, owned, payload};
use knit_benches::samples::{self, LARGE, MIB, SMALL, ascii, bytes, mixed};
use knit_codec::{
    BigInt, Date, Decode, Encode, Envelope, ErrorValue, External, Header, Json, JsonText, Numbers,
    Symbol, Value,
};
use std::fmt::Debug;

criterion_group!(benches, scalars, texts, json, byte_strings, arrays, errors, composed);
criterion_main!(benches);

const ENCODE: &str = "codec/encode";
const OWNED: &str = "codec/decode/owned";
const BORROWED: &str = "codec/decode/borrowed";
const MOVED: &str = "codec/decode/moved";

/// Limbs of the big bigint, of eight bytes each.
const LIMBS: usize = 64;

fn scalars(criterion: &mut Criterion) {
    there_and_back(criterion, "null", &Value::Null);
    there_and_back(criterion, "undefined", &());
    there_and_back(criterion, "bool", &true);
    there_and_back(criterion, "f64", &0.1_f64);
    there_and_back(criterion, "date", &Date::from_millis(1_700_000_000_000.0));
    there_and_back(criterion, "bigint_60_bits", &-(1_i64 << 60));
    let big = BigInt::from_le_magnitude(true, &bytes(LIMBS * 8));
    there_and_back(criterion, "bigint_64_limbs", &big);
}

fn texts(criterion: &mut Criterion) {
    for (size, len) in [("11B", 11), ("1KiB", 1 << 10), ("1MiB", MIB)] {
        for (kind, text) in [("ascii", ascii(len)), ("mixed", mixed(len))] {
            let name = format!("string_{kind}_{size}");
            there_and_back(criterion, &name, &text);
            borrowed::<str>(criterion, BORROWED, &name, &text);
            moved(criterion, &name, &text);
        }
    }
    let symbol = Symbol(ascii(11));
    there_and_back(criterion, "symbol_11B", &symbol);
    moved(criterion, "symbol_11B", &symbol);
}

/// Text that is checked, and the same documents as values of a type.
fn json(criterion: &mut Criterion) {
    for (size, count) in [("1KiB", SMALL), ("100KiB", LARGE)] {
        let items = Json(samples::documents(count));
        let name = format!("json_text_{size}");
        let bytes = payload(&items).into_bytes().into_owned();
        let text = JsonText(String::from_utf8(bytes).expect("JSON is text"));
        there_and_back(criterion, &name, &text);
        moved(criterion, &name, &text);

        let name = format!("json_typed_{size}");
        there_and_back(criterion, &name, &items);
        borrowed_documents(criterion, BORROWED, &name, &items);
    }
}

/// `Vec<u8>`, which peers see as a `Uint8Array`: the typed array of `u8` too.
fn byte_strings(criterion: &mut Criterion) {
    for (size, len) in [("64B", 64), ("4KiB", 4 << 10), ("1MiB", MIB)] {
        let (name, bytes) = (format!("bytes_{size}"), bytes(len));
        there_and_back(criterion, &name, &bytes);
        borrowed::<[u8]>(criterion, BORROWED, &name, &bytes);
        moved(criterion, &name, &bytes);
    }
}

fn arrays(criterion: &mut Criterion) {
    let floats = samples::floats(MIB / 8);
    there_and_back(criterion, "f64_array_1MiB", &floats);
    borrowed_array(criterion, BORROWED, "f64_array_1MiB", &floats);
    let integers: Vec<i32> = (0..).take(MIB / 4).collect();
    there_and_back(criterion, "i32_array_1MiB", &integers);
    borrowed_array(criterion, BORROWED, "i32_array_1MiB", &integers);
    let integers: Vec<i64> = (0..).map(|at: i64| -at).take(MIB / 8).collect();
    there_and_back(criterion, "i64_array_1MiB", &integers);
    borrowed_array(criterion, BORROWED, "i64_array_1MiB", &integers);
    let integers: Vec<u64> = (1 << 63..).take(MIB / 8).collect();
    there_and_back(criterion, "u64_array_1MiB", &integers);
    borrowed_array(criterion, BORROWED, "u64_array_1MiB", &integers);
    there_and_back(criterion, "numbers_1MiB", &Numbers(floats));
}

fn errors(criterion: &mut Criterion) {
    there_and_back(criterion, "error", &ErrorValue::new("TypeError", "no such file"));
    there_and_back(criterion, "error_3_causes", &ErrorValue::from(&samples::fault(3)));
}

fn composed(criterion: &mut Criterion) {
    let header = || Header::Json(r#"{"id":7,"name":"picture","size":[640,480]}"#.into());
    for (size, len) in [("64B", 64), ("1MiB", MIB)] {
        let (name, envelope) = (format!("envelope_{size}"), Envelope::new(header(), bytes(len)));
        there_and_back(criterion, &name, &envelope);
        moved(criterion, &name, &envelope);
    }
    let external = External::new("app.point", r#"{"x":1.5,"y":-2}"#);
    there_and_back(criterion, "external", &external);
}

fn there_and_back<T: Encode + Decode + PartialEq + Debug>(
    criterion: &mut Criterion,
    name: &str,
    value: &T,
) {
    owned(criterion, OWNED, name, value);
    encode(criterion, ENCODE, name, value);
}

/// Decodes a payload that owns its bytes, as a lane hands it over.
fn moved<T: Encode + Decode + PartialEq + Debug>(criterion: &mut Criterion, name: &str, value: &T) {
    let (limits, payload) = (LIMITS(), payload(value));
    let decode = |payload| T::decode(payload, &limits).expect("it is what was sent");
    check(&decode(payload.clone()), value, name);
    // Values that are dropped after the clock, but not so many that they fill the memory.
    let at_a_time = BatchSize::NumIterations(if payload.len() > 64 << 10 { 16 } else { 1024 });
    let mut group = criterion.benchmark_group(MOVED);
    group.throughput(Throughput::BytesDecimal(payload.len() as u64));
    group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
        bencher.iter_batched(|| payload.clone(), decode, at_a_time);
    });
}
