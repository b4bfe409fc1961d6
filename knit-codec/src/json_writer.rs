//! JSON text of types of `serde`, within limits.

use alloc::vec::Vec;
use core::cell::Cell;
use std::io;

use serde_core::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::codec::{JSON, fits_text};
use crate::json::JsonFault;
use crate::json_depth::check_nesting;
use crate::{EncodeError, Limits};

/// The text of `value`, within the limits. What exceeds them is noticed before there is memory for it.
pub(crate) fn write<T: Serialize + ?Sized>(
    value: &T,
    limits: &Limits,
) -> Result<Vec<u8>, EncodeError> {
    let fault = Cell::new(None);
    let mut text = Bounded { text: Vec::with_capacity(FIRST_BYTES), limits, fault: &fault };
    let depth = limits.depth.min(MAX_DEPTH);
    let levels = Levels { left: depth, depth, fault: &fault };
    let written = value.serialize(&mut Serializer::with_formatter(&mut text, levels));
    // A fault counts even where the value went on after it.
    if let Some(fault) = fault.take() {
        return Err(fault);
    }
    written.map_err(JsonFault::from)?;
    fits_text(JSON.tag(text.text.len()), text.text.len(), limits)?;
    Ok(text.text)
}

/// Most levels of text that has a type: `serde_json` reads no more.
pub(crate) const MAX_DEPTH: u32 = 127;

/// Room for the first bytes, as `serde_json` has it.
const FIRST_BYTES: usize = 128;

/// What went wrong, kept here: what passes through `serde_json` is only that something did.
type Fault<'a> = &'a Cell<Option<EncodeError>>;

#[cold]
fn refuse(fault: Fault<'_>, error: EncodeError) -> io::Result<()> {
    fault.set(Some(error));
    Err(io::ErrorKind::Other.into())
}

/// Text that does not grow beyond the limits.
struct Bounded<'a> {
    text: Vec<u8>,
    limits: &'a Limits,
    fault: Fault<'a>,
}

impl Bounded<'_> {
    /// Makes room for more bytes. What there is room for is checked when all is written.
    #[cold]
    fn grow(&mut self, bytes: usize) -> io::Result<()> {
        let len = self.text.len().saturating_add(bytes);
        if let Err(error) = fits_text(JSON.tag(len), len, self.limits) {
            return refuse(self.fault, error);
        }
        self.text.reserve(bytes);
        Ok(())
    }
}

impl io::Write for Bounded<'_> {
    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.text.capacity() - self.text.len() {
            self.grow(bytes.len())?;
        }
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts levels. PAY-14.
struct Levels<'a> {
    /// How many more arrays and objects may open here.
    left: u32,
    depth: u32,
    fault: Fault<'a>,
}

impl Levels<'_> {
    #[inline]
    fn open(&mut self) -> io::Result<()> {
        let Some(left) = self.left.checked_sub(1) else {
            return refuse(self.fault, EncodeError::Nesting { limit: self.depth });
        };
        self.left = left;
        Ok(())
    }
}

/// Compact text, as the default of `serde_json`.
impl Formatter for Levels<'_> {
    #[inline]
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open()?;
        writer.write_all(b"[")
    }

    #[inline]
    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.left += 1;
        writer.write_all(b"]")
    }

    #[inline]
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open()?;
        writer.write_all(b"{")
    }

    #[inline]
    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.left += 1;
        writer.write_all(b"}")
    }

    /// Text that is JSON already nests too.
    fn write_raw_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if check_nesting(fragment.as_bytes(), self.left).is_err() {
            return refuse(self.fault, EncodeError::Nesting { limit: self.depth });
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
    use crate::LimitKind;

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
                assert!((1001..1100).contains(&excess.actual));
            }
        }
    }

    /// PAY-13.
    #[test]
    fn a_value_that_goes_on_after_a_fault_is_refused() {
        struct Deaf;
        impl Serialize for Deaf {
            fn serialize<S: serde_core::Serializer>(
                &self,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                use serde_core::ser::SerializeSeq;
                let mut seq = serializer.serialize_seq(None)?;
                let _ = seq.serialize_element(&[[1]]);
                let _ = seq.serialize_element("x");
                seq.end()
            }
        }
        assert_eq!(write(&Deaf, &LIMITS.with_depth(2)), Err(EncodeError::Nesting { limit: 2 }));
        assert_eq!(write(&Deaf, &LIMITS.with_depth(3)).as_deref(), Ok(&br#"[[[1]],"x"]"#[..]));
    }

    #[test]
    fn what_a_type_says_is_wrong_is_said() {
        let refused = write(&BTreeMap::from([(vec![1_u8], 1_u8)]), &LIMITS);
        let Err(EncodeError::Json { reason }) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("key"), "{reason}");
    }
}
