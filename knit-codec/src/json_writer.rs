//! JSON text of types of `serde`, within limits.

use alloc::vec::Vec;
use std::io;

use knit_proto::Tag;
use serde_core::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::json::JsonFault;
use crate::json_depth::check_nesting;
use crate::{EncodeError, Excess, LimitKind, Limits};

/// The text of `value`, which nests within the limit of depth.
///
/// It may still be too long. Writing stops when what is known of its length, all but the digits of
/// numbers, exceeds a limit, so that at most some twenty times as much is ever allocated.
pub(crate) fn write<T: Serialize + ?Sized>(
    value: &T,
    limits: &Limits,
) -> Result<Vec<u8>, EncodeError> {
    let mut text = Vec::with_capacity(FIRST_BYTES.min(limits.payload as usize));
    let mut bounds = Bounds { level: 0, len: 0, limits, fault: None };
    let written = value.serialize(&mut Serializer::with_formatter(&mut text, &mut bounds));
    match (written, bounds.fault) {
        (Ok(()), _) => Ok(text),
        (Err(_), Some(fault)) => Err(fault),
        (Err(fault), None) => Err(JsonFault::from(fault).into()),
    }
}

/// Room for the first bytes, as `serde_json` has it.
const FIRST_BYTES: usize = 128;

/// What has been written, and what was wrong with it.
struct Bounds<'a> {
    /// Arrays and objects around the next value.
    level: u32,
    /// The text is at least so long, in bytes.
    len: usize,
    limits: &'a Limits,
    fault: Option<EncodeError>,
}

impl Bounds<'_> {
    #[inline]
    fn open(&mut self) -> io::Result<()> {
        if self.level == self.limits.depth {
            return self.refuse(EncodeError::Nesting { limit: self.limits.depth });
        }
        self.level += 1;
        self.grow(1)
    }

    #[inline]
    fn grow(&mut self, bytes: usize) -> io::Result<()> {
        self.len += bytes;
        if self.len > self.limits.payload.min(self.limits.text) as usize {
            return self.too_long();
        }
        Ok(())
    }

    #[cold]
    fn too_long(&mut self) -> io::Result<()> {
        let Limits { payload, text, .. } = *self.limits;
        let limit = if self.len > payload as usize { LimitKind::Payload } else { LimitKind::Text };
        let excess =
            Excess { tag: Tag::JSON_ARENA, limit, actual: self.len, most: payload.min(text) };
        self.refuse(EncodeError::TooLong(excess))
    }

    /// The error itself is kept here: what passes through `serde_json` is only that there is one.
    #[cold]
    fn refuse(&mut self, fault: EncodeError) -> io::Result<()> {
        self.fault = Some(fault);
        Err(io::ErrorKind::Other.into())
    }
}

/// Compact text, as the default of `serde_json`.
impl Formatter for &mut Bounds<'_> {
    #[inline]
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open()?;
        writer.write_all(b"[")
    }

    #[inline]
    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.level -= 1;
        writer.write_all(b"]")
    }

    #[inline]
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.grow(1)?;
        if first { Ok(()) } else { writer.write_all(b",") }
    }

    #[inline]
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open()?;
        writer.write_all(b"{")
    }

    #[inline]
    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.level -= 1;
        writer.write_all(b"}")
    }

    #[inline]
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        self.grow(fragment.len())?;
        writer.write_all(fragment.as_bytes())
    }

    /// Text that is JSON already nests too.
    fn write_raw_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        self.grow(fragment.len())?;
        if check_nesting(fragment.as_bytes(), self.limits.depth - self.level).is_err() {
            return self.refuse(EncodeError::Nesting { limit: self.limits.depth });
        }
        writer.write_all(fragment.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::collections::BTreeMap;
    use alloc::{vec, vec::Vec};

    use serde_json::value::RawValue;

    use super::*;

    const LIMITS: Limits = Limits::DEFAULT;

    #[derive(serde::Serialize)]
    enum Shape {
        Unit,
        Newtype(Vec<u8>),
        Tuple(u8, f64),
        Struct { name: &'static str },
    }

    #[test]
    fn writes_what_serde_json_writes() {
        let shapes = vec![
            Shape::Unit,
            Shape::Newtype(vec![]),
            Shape::Tuple(1, 0.1),
            Shape::Struct { name: "a\"\n\u{1}é" },
        ];
        let map = BTreeMap::from([(1, Some(true)), (2, None)]);
        let value = (shapes, map, "x", -0.0, u64::MAX, ());
        assert_eq!(write(&value, &LIMITS).unwrap(), serde_json::to_vec(&value).unwrap());
    }

    type Writes = Box<dyn Fn(&Limits) -> Result<Vec<u8>, EncodeError>>;

    /// PAY-14: what is written nests as deep as a reader counts.
    #[test]
    fn levels_are_counted_as_readers_count_them() {
        let values: [(Writes, u32); 5] = [
            (Box::new(|limits| write(&7, limits)), 0),
            (Box::new(|limits| write(&[[0; 2], [0; 2]], limits)), 2),
            (Box::new(|limits| write(&Shape::Newtype(vec![1]), limits)), 2),
            (Box::new(|limits| write(&Shape::Struct { name: "[[[" }, limits)), 2),
            (Box::new(|limits| write(&BTreeMap::from([("a", [(); 0])]), limits)), 2),
        ];
        for (write, levels) in values {
            let text = write(&LIMITS.with_depth(levels)).unwrap();
            assert!(check_nesting(&text, levels).is_ok());
            if let Some(fewer) = levels.checked_sub(1) {
                assert!(check_nesting(&text, fewer).is_err());
                let refused = write(&LIMITS.with_depth(fewer));
                assert_eq!(refused, Err(EncodeError::Nesting { limit: fewer }));
            }
        }
    }

    #[test]
    fn raw_text_counts() {
        let raw: Box<RawValue> = serde_json::from_str(r#"[[1],"[[["]"#).unwrap();
        let value = (&raw, &raw);
        assert_eq!(write(&value, &LIMITS.with_depth(3)).unwrap().len(), 25);
        let refused = write(&value, &LIMITS.with_depth(2));
        assert_eq!(refused, Err(EncodeError::Nesting { limit: 2 }));
    }

    #[test]
    fn endless_values_end() {
        struct Endless(bool);
        impl Serialize for Endless {
            fn serialize<S: serde_core::Serializer>(
                &self,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                if self.0 {
                    serializer.collect_seq(core::iter::repeat(0))
                } else {
                    serializer.collect_map(core::iter::repeat(("name", "value")))
                }
            }
        }
        for (limits, limit) in [
            (LIMITS.with_payload(1000), LimitKind::Payload),
            (LIMITS.with_text(1000), LimitKind::Text),
        ] {
            for endless in [Endless(true), Endless(false)] {
                let Err(EncodeError::TooLong(excess)) = write(&endless, &limits) else {
                    panic!("it ended")
                };
                assert_eq!((excess.limit, excess.most), (limit, 1000));
                assert!((1001..1010).contains(&excess.actual));
            }
        }
    }

    #[test]
    fn what_a_type_says_is_wrong_is_said() {
        let refused = write(&BTreeMap::from([(vec![1_u8], 1_u8)]), &LIMITS);
        let Err(EncodeError::Json { reason }) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("key"), "{reason}");
    }
}
