//! Arrays of numbers.
//!
//! Their bytes are those of the elements, little-endian. On a little-endian machine an array is its
//! own encoding: encoding borrows it, and decoding is one copy, or none where it borrows.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use knit_proto::Tag;

use crate::codec::{Placed, refusal};
use crate::{Decode, DecodeBorrowed, DecodeError, Encode, EncodeError, LimitKind, Limits, Payload};

pub(crate) const I32_ARRAY: Placed = Placed::new(Tag::I32_ARRAY_INLINE, Tag::I32_ARRAY_ARENA);
pub(crate) const I64_ARRAY: Placed = Placed::new(Tag::I64_ARRAY_INLINE, Tag::I64_ARRAY_ARENA);
pub(crate) const U64_ARRAY: Placed = Placed::new(Tag::U64_ARRAY_INLINE, Tag::U64_ARRAY_ARENA);
pub(crate) const F64_ARRAY: Placed = Placed::new(Tag::F64_ARRAY_INLINE, Tag::F64_ARRAY_ARENA);
pub(crate) const NUMBERS: Placed = Placed::new(Tag::NUMBERS_INLINE, Tag::NUMBERS_ARENA);

/// Numbers that JavaScript peers see as a plain array, where `Vec<f64>` is a `Float64Array` for
/// them.
///
/// Equal when the bits of all elements are, as those of [`Value`](crate::Value); all NaN are equal.
///
/// # Examples
///
/// ```
/// use knit_codec::{Decode, Encode, Limits, Numbers};
///
/// let limits = Limits::default();
/// let payload = Numbers(vec![1.0, -0.0]).encode_owned(&limits)?;
/// assert_eq!(Vec::<f64>::decode(payload, &limits)?, [1.0, -0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Numbers(pub Vec<f64>);

impl PartialEq for Numbers {
    fn eq(&self, other: &Self) -> bool {
        same_numbers(&self.0, &other.0)
    }
}

impl Eq for Numbers {}

impl From<Vec<f64>> for Numbers {
    fn from(numbers: Vec<f64>) -> Self {
        Self(numbers)
    }
}

impl Encode for Numbers {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        encode(&self.0, NUMBERS, limits)
    }
}

impl Decode for Numbers {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        Vec::<f64>::decode(payload, limits).map(Self)
    }

    fn expected() -> &'static str {
        f64::EXPECTED
    }
}

/// Whether two numbers are one on the wire: the same bits, or both NaN.
pub(crate) fn same_number(one: f64, other: f64) -> bool {
    one.to_bits() == other.to_bits() || (one.is_nan() && other.is_nan())
}

/// Whether two arrays are the same number by number.
pub(crate) fn same_numbers(one: &[f64], other: &[f64]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_number(*one, *other))
}

/// A number that arrays are made of.
trait Element: bytemuck::Pod {
    /// The kinds of arrays that decode as one of these; the first is what they encode as.
    const KINDS: &'static [Placed];
    const EXPECTED: &'static str;

    /// The same number with the other byte order where this machine is big-endian.
    fn little_endian(self) -> Self;
}

/// An array as a payload of `kind`.
#[inline]
fn encode<'a, E: Element>(
    array: &'a [E],
    kind: Placed,
    limits: &Limits,
) -> Result<Payload<'a>, EncodeError> {
    let bytes = size_of_val(array);
    limits.admit(LimitKind::Payload, kind.tag(bytes), bytes)?;
    limits.admit(LimitKind::Elements, kind.tag(bytes), array.len())?;
    let bytes = if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(array))
    } else {
        let swapped: Vec<E> = array.iter().map(|element| element.little_endian()).collect();
        Cow::Owned(bytemuck::cast_slice(&swapped).to_vec())
    };
    kind.payload(bytes, limits)
}

/// Checks that `payload` is an array of such elements, its length and its limits.
#[inline]
fn check<E: Element>(payload: &Payload<'_>, limits: &Limits) -> Result<(), DecodeError> {
    let Some(kind) = E::KINDS.iter().find(|kind| kind.is(payload.tag())) else {
        return Err(refusal(E::EXPECTED, payload.tag()));
    };
    kind.check(payload, E::EXPECTED, limits)?;
    let (tag, len, element) = (payload.tag(), payload.len(), size_of::<E>());
    // Limits come first. PAY-25.
    limits.admit(LimitKind::Elements, tag, len.div_ceil(element))?;
    if !len.is_multiple_of(element) {
        return Err(DecodeError::ElementSize { tag, len, element });
    }
    Ok(())
}

/// The elements of checked bytes, in a vector of their own.
#[inline]
fn copy<E: Element>(bytes: &[u8]) -> Vec<E> {
    let mut array = if let Ok(aligned) = bytemuck::try_cast_slice::<u8, E>(bytes) {
        aligned.to_vec()
    } else {
        bytemuck::pod_collect_to_vec(bytes)
    };
    if cfg!(target_endian = "big") {
        array.iter_mut().for_each(|element| *element = element.little_endian());
    }
    array
}

macro_rules! elements {
    ($($element:ident, $expected:literal, [$($kind:ident)*], $little:expr;)*) => {$(
        impl Element for $element {
            const KINDS: &'static [Placed] = &[$($kind),*];
            const EXPECTED: &'static str = $expected;

            fn little_endian(self) -> Self {
                $little(self)
            }
        }

        impl Encode for [$element] {
            #[inline]
            fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
                encode(self, $element::KINDS[0], limits)
            }
        }

        impl<const N: usize> Encode for [$element; N] {
            #[inline]
            fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
                self.as_slice().encode(limits)
            }
        }

        impl Encode for Vec<$element> {
            #[inline]
            fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
                self.as_slice().encode(limits)
            }
        }

        impl Encode for Box<[$element]> {
            fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
                (**self).encode(limits)
            }
        }

        impl Encode for Cow<'_, [$element]> {
            fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
                (**self).encode(limits)
            }
        }

        impl Decode for Vec<$element> {
            #[inline]
            fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
                check::<$element>(&payload, limits)?;
                Ok(copy(payload.as_bytes()))
            }

            fn expected() -> &'static str {
                $element::EXPECTED
            }
        }

        impl Decode for Box<[$element]> {
            fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
                Vec::<$element>::decode(payload, limits).map(Vec::into_boxed_slice)
            }

            fn expected() -> &'static str {
                $element::EXPECTED
            }
        }

        /// Always owned.
        impl Decode for Cow<'_, [$element]> {
            fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
                Vec::<$element>::decode(payload, limits).map(Cow::Owned)
            }

            fn expected() -> &'static str {
                $element::EXPECTED
            }
        }

        /// Borrowed where the bytes of the payload are aligned for it and the machine is
        /// little-endian.
        impl<'p> DecodeBorrowed<'p> for Cow<'p, [$element]> {
            #[inline]
            fn decode_borrowed(
                payload: &'p Payload<'_>,
                limits: &Limits,
            ) -> Result<Self, DecodeError> {
                check::<$element>(payload, limits)?;
                let bytes = payload.as_bytes();
                Ok(match bytemuck::try_cast_slice(bytes) {
                    Ok(array) if cfg!(target_endian = "little") => Cow::Borrowed(array),
                    _ => Cow::Owned(copy(bytes)),
                })
            }
        }
    )*};
}

elements! {
    i32, "an Int32Array", [I32_ARRAY], i32::to_le;
    i64, "a BigInt64Array", [I64_ARRAY], i64::to_le;
    u64, "a BigUint64Array", [U64_ARRAY], u64::to_le;
    f64, "a Float64Array or an array of numbers", [F64_ARRAY NUMBERS],
        |number: f64| f64::from_bits(number.to_bits().to_le());
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;
    use core::fmt::Debug;

    use super::*;

    const LIMITS: Limits = Limits::DEFAULT;

    fn round<E>(array: Vec<E>, tag: Tag, bytes: &[u8])
    where
        Vec<E>: Encode + Decode,
        [E]: Encode,
        E: Clone + Debug + PartialEq,
        for<'p> Cow<'p, [E]>: DecodeBorrowed<'p>,
    {
        let payload = array.encode(&LIMITS).unwrap();
        assert_eq!((payload.tag(), payload.as_bytes()), (tag, bytes));
        assert_eq!(array.as_slice().encode(&LIMITS).as_ref(), Ok(&payload));
        assert_eq!(<Cow<'_, [E]>>::decode_borrowed(&payload, &LIMITS).as_deref(), Ok(&*array));
        // At an odd address.
        let shifted = [&[0], bytes].concat();
        let odd = Payload::bytes(tag, &shifted[1..]);
        assert_eq!(<Cow<'_, [E]>>::decode_borrowed(&odd, &LIMITS).as_deref(), Ok(&*array));
        assert_eq!(Vec::<E>::decode(odd, &LIMITS).as_ref(), Ok(&array));
        assert_eq!(Vec::<E>::decode(payload.into_owned(), &LIMITS), Ok(array));
    }

    /// PAY-15.
    #[test]
    fn elements_are_little_endian() {
        round(vec![1_i32, -2], Tag::I32_ARRAY_INLINE, &[1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff]);
        round(vec![-2_i64], Tag::I64_ARRAY_INLINE, &[0xfe, 255, 255, 255, 255, 255, 255, 255]);
        round(vec![1_u64 << 63], Tag::U64_ARRAY_INLINE, &[0, 0, 0, 0, 0, 0, 0, 0x80]);
        round(vec![1.0_f64], Tag::F64_ARRAY_INLINE, &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        round(Vec::<i32>::new(), Tag::I32_ARRAY_INLINE, &[]);
        round(vec![0_i32; 129], Tag::I32_ARRAY_ARENA, &[0; 516]);
        round(vec![0_f64; 65], Tag::F64_ARRAY_ARENA, &[0; 520]);
    }

    /// PAY-15.
    #[test]
    fn a_part_of_an_element_is_refused() {
        for (tag, element) in [
            (Tag::I32_ARRAY_INLINE, 4),
            (Tag::F64_ARRAY_ARENA, 8),
            (Tag::I64_ARRAY_INLINE, 8),
            (Tag::U64_ARRAY_ARENA, 8),
            (Tag::NUMBERS_INLINE, 8),
        ] {
            let payload = Payload::bytes(tag, vec![0; element + 1]);
            let refused = crate::Value::decode(payload, &LIMITS).unwrap_err();
            assert_eq!(refused, DecodeError::ElementSize { tag, len: element + 1, element });
        }
        let payload = Payload::bytes(Tag::I32_ARRAY_INLINE, vec![0; 5]);
        let refused = Vec::<i32>::decode(payload, &LIMITS).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Int32Array (tag 31) of 5 bytes is no whole number of elements of 4 bytes"
        );
    }

    #[test]
    fn element_limit_is_inclusive_both_ways() {
        let two = LIMITS.with_elements(2);
        let payload = vec![1_i32, 2].encode_owned(&two).unwrap();
        assert_eq!(Vec::<i32>::decode(payload, &two), Ok(vec![1, 2]));
        let refused = [1_i32, 2, 3].encode(&two).unwrap_err();
        let EncodeError::TooLong(excess) = refused else { panic!("{refused}") };
        assert_eq!((excess.limit, excess.actual, excess.most), (LimitKind::Elements, 3, 2));
        let payload = [1_i32, 2, 3].encode(&LIMITS).unwrap();
        assert_eq!(Vec::<i32>::decode(payload, &two), Err(DecodeError::TooLong(excess)));
    }

    #[test]
    fn numbers_and_float64_arrays_are_two_kinds_for_peers_and_one_for_rust() {
        let numbers = Numbers(vec![1.0, f64::NAN]);
        let payload = numbers.encode(&LIMITS).unwrap();
        assert_eq!(payload.tag(), Tag::NUMBERS_INLINE);
        assert_eq!(Numbers::decode(payload.clone(), &LIMITS).as_ref(), Ok(&numbers));
        assert!(Vec::<f64>::decode(payload, &LIMITS).unwrap()[1].is_nan());
        let floats = vec![1.0_f64].encode_owned(&LIMITS).unwrap();
        assert_eq!(Numbers::decode(floats, &LIMITS), Ok(Numbers(vec![1.0])));
        assert_ne!(Numbers(vec![0.0]), Numbers(vec![-0.0]));
    }
}
