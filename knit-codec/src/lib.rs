//! Payload values and their encodings.
//!
//! A slot says what it carries by a [`Tag`](knit_proto::Tag); this crate turns the tag and its
//! bytes into Rust values and back. It knows no shared memory: every byte it parses is in a
//! [`Payload`], a private copy that nobody else can change.
//!
//! | Rust | on the wire |
//! |---|---|
//! | `()`, `None` | undefined |
//! | `bool` | true, false |
//! | `f64`, `f32`, integers of at most 32 bits | number |
//! | `i64`, `u64`, `isize`, `usize` | bigint |
//! | `String`, `&str`, `Box<str>`, `Cow<str>` | string |
//! | `Vec<u8>`, `&[u8]` | bytes (`Uint8Array`) |
//! | [`JsonText`], `Json<T>` (feature `serde`) | JSON |
//! | [`ErrorValue`] | error with its cause chain |
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

mod basic;
mod bytes;
mod codec;
mod error;
mod error_text;
mod error_value;
mod json;
mod limits;
mod number;
mod payload;
mod reply;
mod text;
#[cfg(feature = "serde")]
mod typed;
mod value;

pub use codec::{Decode, Encode};
pub use error::{DecodeError, EncodeError, Numeric};
pub use error_value::{Cause, Chain, ErrorValue};
pub use json::JsonText;
pub use limits::Limits;
pub use payload::{INLINE_BYTES, Payload};
pub use reply::{Reply, ReplyError};
#[cfg(feature = "serde")]
pub use typed::Json;
pub use value::Value;
