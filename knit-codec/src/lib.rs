//! Payload values and their encodings.
//!
//! A slot says what it carries by a [`Tag`]; this crate turns the tag and its
//! bytes into Rust values and back. It knows no shared memory: every byte it parses is in a
//! [`Payload`], a private copy that nobody else can change.
//!
//! | Rust | on the wire |
//! |---|---|
//! | `()`, `None` | undefined |
//! | [`Null`] | null |
//! | `bool` | true, false |
//! | `f64`, `f32`, integers of at most 32 bits | number |
//! | wider integers, `isize`, `usize`, [`BigInt`], those of `num-bigint` (feature) | bigint |
//! | `String`, `&str`, `Box<str>`, `Cow<str>` | string |
//! | [`Symbol`] | global symbol |
//! | [`JsonText`], `Json<T>` and tuples (feature `serde`) | JSON |
//! | [`Date`], `SystemTime` (feature `std`) | date |
//! | `Vec<u8>`, `&[u8]`, `Box<[u8]>`, `Cow<[u8]>` | bytes (`Uint8Array`) |
//! | [`ArrayBuffer`], [`NodeBuffer`], [`DataView`] | the same bytes under other types |
//! | `Vec<i32>`, `Vec<i64>`, `Vec<u64>`, `Vec<f64>`, slices, boxes and `Cow` of them | typed array |
//! | [`Numbers`] | plain array of numbers |
//! | [`ErrorValue`] | error with its cause chain |
//! | [`Envelope`] | header with a body |
//! | [`External`], [`Coded`] | value of a codec of users |
//! | [`SharedBufferRef`] | part of a shared buffer |
//! | [`Value`] | any of these |
//!
//! The bytes may come from a hostile peer. Every [`Decode`] gives a value or a typed error for any
//! payload: it does not panic, and its memory, its loops and its recursion are bounded by
//! [`Limits`].
//!
//! # Examples
//!
//! ```
//! use knit_codec::{Decode, Encode, Limits, Value};
//!
//! let limits = Limits::default();
//! let payload = "grüße".encode(&limits)?;
//! assert_eq!(payload.as_bytes(), "grüße".as_bytes());
//! assert_eq!(Value::decode(payload.clone(), &limits)?, Value::String("grüße".into()));
//! assert_eq!(String::decode(payload, &limits)?, "grüße");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod arrays;
mod basic;
mod bigint;
mod bytes;
mod codec;
mod codecs;
mod date;
mod envelope;
mod error;
mod error_text;
mod error_value;
mod external;
mod json;
mod json_cursor;
mod json_depth;
mod json_string;
#[cfg(feature = "serde")]
mod json_writer;
mod limits;
#[cfg(feature = "num-bigint")]
mod num_bigint;
mod number;
mod payload;
mod reply;
#[cfg(test)]
mod seeded;
mod shared_buffer;
mod symbol;
mod text;
#[cfg(feature = "serde")]
mod typed;
mod utf8;
mod value;

pub use arrays::Numbers;
pub use basic::Null;
pub use bigint::{BigInt, IntegerRange};
pub use bytes::{ArrayBuffer, DataView, NodeBuffer};
pub use codec::{Decode, DecodeBorrowed, Encode};
pub use codecs::{Codecs, Coded, ExternalCodec};
pub use date::Date;
pub use envelope::{Body, Envelope, Header};
pub use error::{DecodeError, EncodeError, Numeric};
pub use error_value::{Cause, Chain, ErrorValue};
pub use external::External;
pub use json::JsonText;
pub use limits::{Excess, LimitKind, Limits};
pub use payload::{INLINE_BYTES, Payload};
pub use reply::{Reply, ReplyError};
pub use shared_buffer::SharedBufferRef;
pub use symbol::Symbol;
// Part of `Payload` and of errors.
pub use knit_proto::Tag;
#[cfg(feature = "serde")]
pub use typed::{Json, decode_json, decode_json_borrowed, encode_json};
pub use value::Value;
