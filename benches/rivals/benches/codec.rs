//! The codec beside formats of other crates: the same values, one run.
//!
//! A group for each value and direction. Encoding ends in a buffer that is there already. Rows of
//! decoding say whether the value is `owned`, with texts and bytes of its own, or `borrowed`, which
//! leaves them where they are. The throughput of all rows counts the bytes of knit's payload, so that it
//! compares as the time does.

#[path = "../../benches/groups/codec.rs"]
mod groups;

use criterion::{Criterion, criterion_group, criterion_main};
use groups::{check, payload, row};
use knit_benches::samples::{self, LARGE, MIB, SMALL};
use knit_codec::{Decode, Encode, ErrorValue, Json};
use knit_rivals::archives::{self, Archives};
use knit_rivals::formats::{Format, Lends, Postcard, RmpSerde, SerdeJson, room};
use rkyv::Archive;
use rkyv::api::high::{HighDeserializer, HighValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::Error;
use rkyv::util::AlignedVec;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use std::fmt::Debug;
use std::hint::black_box;

/// As the bench `rivals`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion_group!(benches, scalars, strings, bytes, array, documents, error);
criterion_main!(benches);

fn scalars(criterion: &mut Criterion) {
    let mut rows = Rows::new(criterion, "f64", 0);
    rows.knit(&0.1_f64);
    rows.serde_all(&0.1_f64);
    rows.rkyv(&0.1_f64);
    let mut rows = Rows::new(criterion, "bool", 0);
    rows.knit(&true);
    rows.serde_all(&true);
    rows.rkyv(&true);
}

fn strings(criterion: &mut Criterion) {
    for (name, len) in [("string_11B", 11), ("string_1MiB", MIB)] {
        let text = samples::ascii(len);
        let mut rows = Rows::new(criterion, name, len);
        rows.knit(&text);
        groups::borrowed::<str>(rows.criterion, &rows.decode, "knit/borrowed", &text);
        rows.serde_all(&text);
        rows.serde_all_borrowed(&text);
        rows.rkyv(&text);
    }
}

fn bytes(criterion: &mut Criterion) {
    for (name, len) in [("bytes_64B", 64), ("bytes_1MiB", MIB)] {
        let bytes = samples::bytes(len);
        let mut rows = Rows::new(criterion, name, len);
        rows.knit(&bytes);
        groups::borrowed::<[u8]>(rows.criterion, &rows.decode, "knit/borrowed", &bytes);
        let of_serde = ByteBuf::from(bytes.clone());
        rows.serde_all(&of_serde);
        rows.serde_all_borrowed(&of_serde);
        rows.rkyv(&bytes);
    }
}

fn array(criterion: &mut Criterion) {
    let floats = samples::floats(MIB / 8);
    let mut rows = Rows::new(criterion, "f64_array_1MiB", MIB);
    rows.knit(&floats);
    groups::borrowed_array(rows.criterion, &rows.decode, "knit/borrowed", &floats);
    rows.serde_all(&floats);
    rows.rkyv(&floats);
}

/// Values of a type with fields: knit sends them as JSON.
fn documents(criterion: &mut Criterion) {
    for (name, count) in [("documents_1KiB", SMALL), ("documents_100KiB", LARGE)] {
        let items = Json(samples::documents(count));
        let mut rows = Rows::new(criterion, name, payload(&items).len());
        rows.knit(&items);
        groups::borrowed_documents(rows.criterion, &rows.decode, "knit/borrowed", &items);
        rows.serde_all(&items.0);
        rows.serde_all_borrowed(&items.0);
        rows.rkyv(&items.0.iter().map(archives::Item::from).collect::<Vec<_>>());
    }
}

fn error(criterion: &mut Criterion) {
    let fault = samples::fault(3);
    let error = ErrorValue::from(&fault);
    let mut rows = Rows::new(criterion, "error_3_causes", payload(&error).len());
    rows.knit(&error);
    rows.serde_all(&fault);
    rows.serde_all_borrowed(&fault);
    rows.rkyv(&archives::Fault::from(&fault));
}

/// The rows of one value.
struct Rows<'c> {
    criterion: &'c mut Criterion,
    encode: String,
    decode: String,
    /// Bytes of knit's payload; zero where a header says it all.
    bytes: usize,
}

impl<'c> Rows<'c> {
    fn new(criterion: &'c mut Criterion, name: &str, bytes: usize) -> Self {
        let group = |what| format!("rivals/codec/{name}/{what}");
        Self { criterion, encode: group("encode"), decode: group("decode"), bytes }
    }

    fn knit<T: Encode + Decode + PartialEq + Debug>(&mut self, value: &T) {
        assert_eq!(payload(value).len(), self.bytes, "{}: bytes of the payload", self.encode);
        groups::owned(self.criterion, &self.decode, "knit/owned", value);
        groups::encode(self.criterion, &self.encode, "knit", value);
    }

    fn serde_all<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, value: &T) {
        self.serde::<SerdeJson, T>(value);
        self.serde::<Postcard, T>(value);
        self.serde::<RmpSerde, T>(value);
    }

    fn serde<F: Format, T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, value: &T) {
        let mut buffer = room(self.bytes);
        let written = F::encode(value, &mut buffer).to_vec();
        let decode = || F::decode::<T>(black_box(&written));
        check(&decode(), value, F::NAME);
        let name = format!("{}/owned", F::NAME);
        row(self.criterion, &self.decode, &name, self.bytes, decode);
        row(self.criterion, &self.encode, F::NAME, self.bytes, || {
            black_box(F::encode(black_box(value), &mut buffer)).len()
        });
    }

    fn serde_all_borrowed<T: Serialize + Lends>(&mut self, value: &T) {
        self.serde_borrowed::<SerdeJson, T>(value);
        self.serde_borrowed::<Postcard, T>(value);
        self.serde_borrowed::<RmpSerde, T>(value);
    }

    fn serde_borrowed<F: Format, T: Serialize + Lends>(&mut self, value: &T) {
        if T::IS_BYTES && !F::HAS_BYTES {
            return;
        }
        let written = F::encode(value, &mut room(self.bytes)).to_vec();
        let decode = || F::decode::<T::Borrowed<'_>>(black_box(&written));
        assert!(value.is(&decode()), "{}: another value came back", F::NAME);
        let name = format!("{}/borrowed", F::NAME);
        row(self.criterion, &self.decode, &name, self.bytes, decode);
    }

    fn rkyv<T>(&mut self, value: &T)
    where
        T: Archives + Archive + PartialEq + Debug,
        T::Archived: PartialEq<T>
            + for<'a> CheckBytes<HighValidator<'a, Error>>
            + rkyv::Deserialize<T, HighDeserializer<Error>>,
    {
        let mut buffer = AlignedVec::new();
        archives::encode(value, &mut buffer);
        let archived = buffer.clone();
        let access = || archives::access::<T::Archived>(black_box(&archived));
        assert!(*access() == *value, "rkyv: another value came back");
        row(self.criterion, &self.decode, "rkyv/borrowed", self.bytes, access);
        let decode = || archives::decode::<T>(black_box(&archived));
        check(&decode(), value, "rkyv");
        row(self.criterion, &self.decode, "rkyv/owned", self.bytes, decode);
        row(self.criterion, &self.encode, "rkyv", self.bytes, || {
            archives::encode(black_box(value), &mut buffer);
            black_box(&mut buffer).len()
        });
    }
}
