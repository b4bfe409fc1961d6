//! Numbers, and the integer types of Rust.
//!
//! A number is an `f64`. Integers of at most 32 bits are exact as one and encode so; wider ones,
//! `isize` and `usize` included, encode as bigints, whatever their value, so that the type a peer
//! sees does not depend on it. Every integer type decodes from both: from a number that is integral
//! and in range (-0 is 0), and from a bigint in range.

use knit_proto::Tag;

use crate::bigint::{BIGINT, long_integer};
use crate::codec::{admit, refusal};
use crate::{BigInt, Decode, DecodeError, Encode, EncodeError, Limits, Numeric, Payload};

/// NaN has a tag of its own: its payload bits do not cross.
impl Encode for f64 {
    #[inline]
    fn encode(&self, _: &Limits) -> Result<Payload<'_>, EncodeError> {
        Ok(if self.is_nan() {
            Payload::bare(Tag::NAN)
        } else {
            Payload::scalar(Tag::NUMBER, self.to_bits())
        })
    }
}

impl Decode for f64 {
    #[inline]
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        admit(&payload, limits)?;
        float(&payload).ok_or_else(|| refusal(Self::expected(), payload.tag()))
    }

    fn expected() -> &'static str {
        "a number"
    }
}

impl Encode for f32 {
    #[inline]
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        f64::from(*self).encode_owned(limits)
    }
}

/// The nearest `f32`: a number between two of them rounds to even, one beyond the largest becomes
/// infinite.
impl Decode for f32 {
    #[inline]
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        // Any `f64` is in range: the cast rounds and saturates to an infinity.
        f64::decode(payload, limits).map(|number| number as Self)
    }

    fn expected() -> &'static str {
        f64::expected()
    }
}

macro_rules! decode_integer {
    ($($integer:ident)*) => {$(
        impl Decode for $integer {
            #[inline]
            fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
                integer(&payload, Self::expected(), limits)
            }

            fn expected() -> &'static str {
                concat!("an integer in the range of ", stringify!($integer))
            }
        }
    )*};
}

macro_rules! encode_as_number {
    ($($integer:ident)*) => {$(
        /// As a number.
        impl Encode for $integer {
            #[inline]
            fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
                f64::from(*self).encode_owned(limits)
            }
        }
    )*};
}

macro_rules! encode_as_bigint {
    ($($integer:ident)*) => {$(
        /// As a bigint.
        impl Encode for $integer {
            #[inline]
            fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
                match i64::try_from(*self) {
                    Ok(value) => Ok(Payload::scalar(Tag::BIGINT_I64, value.cast_unsigned())),
                    Err(_) => BigInt::from(*self).encode_owned(limits),
                }
            }
        }
    )*};
}

decode_integer! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }
encode_as_number! { i8 i16 i32 u8 u16 u32 }
encode_as_bigint! { i64 i128 isize u64 u128 usize }

/// The integer that a number or bigint stands for.
#[inline]
fn integer<T: TryFrom<i128> + TryFrom<u128>>(
    payload: &Payload<'_>,
    expected: &'static str,
    limits: &Limits,
) -> Result<T, DecodeError> {
    admit(payload, limits)?;
    let (whole, found) = match payload.tag() {
        Tag::BIGINT_I64 => {
            let value = payload.scalar_bits().cast_signed();
            (T::try_from(i128::from(value)).ok(), Numeric::BigInt(value))
        }
        Tag::NUMBER => {
            let number = f64::from_bits(payload.scalar_bits());
            (integral(number), Numeric::Number(number))
        }
        Tag::NAN => (None, Numeric::Number(f64::NAN)),
        tag if BIGINT.is(tag) => {
            let integer = long_integer(payload, limits)?;
            return integer.map_err(|found| DecodeError::Range { expected, found });
        }
        tag => return Err(refusal(expected, tag)),
    };
    whole.ok_or(DecodeError::Range { expected, found })
}

/// The integer that a number is, if it is one of type `T`.
fn integral<T: TryFrom<i128> + TryFrom<u128>>(number: f64) -> Option<T> {
    // Any `f64` is in range: the cast saturates, and NaN gives 0. A value that does not survive the
    // way back is no integer; 2^128, the one that saturation lets survive, is out of range.
    let magnitude = number.abs() as u128;
    if magnitude as f64 != number.abs() || magnitude == u128::MAX {
        return None;
    }
    whole(number < 0.0, magnitude)
}

/// The integer of a sign and a magnitude, if it is one of type `T`.
pub(crate) fn whole<T: TryFrom<i128> + TryFrom<u128>>(
    negative: bool,
    magnitude: u128,
) -> Option<T> {
    if negative {
        T::try_from(0_i128.checked_sub_unsigned(magnitude)?).ok()
    } else {
        T::try_from(magnitude).ok()
    }
}

/// The number in the payload, if it is one. PAY-10.
#[inline]
pub(crate) fn float(payload: &Payload<'_>) -> Option<f64> {
    match payload.tag() {
        Tag::NUMBER => Some(f64::from_bits(payload.scalar_bits())),
        Tag::NAN => Some(f64::NAN),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    const LIMITS: Limits = Limits::DEFAULT;

    fn number(value: f64) -> Payload<'static> {
        Payload::scalar(Tag::NUMBER, value.to_bits())
    }

    fn big(value: i64) -> Payload<'static> {
        Payload::scalar(Tag::BIGINT_I64, value.cast_unsigned())
    }

    #[test]
    fn every_nan_encodes_as_the_nan_tag() {
        for bits in [0x7ff8_0000_0000_0000_u64, 0xfff8_dead_beef_0001, 0x7ff0_0000_0000_0001] {
            assert_eq!(f64::from_bits(bits).encode(&LIMITS), Ok(Payload::bare(Tag::NAN)));
        }
        assert!(f64::decode(Payload::bare(Tag::NAN), &LIMITS).unwrap().is_nan());
    }

    #[test]
    fn negative_zero_keeps_its_sign_as_a_number_and_is_zero_as_an_integer() {
        assert_eq!((-0.0_f64).encode(&LIMITS), Ok(Payload::scalar(Tag::NUMBER, 1 << 63)));
        assert!(f64::decode(number(-0.0), &LIMITS).unwrap().is_sign_negative());
        assert_eq!(u8::decode(number(-0.0), &LIMITS), Ok(0));
    }

    #[test]
    fn integers_up_to_32_bits_are_numbers_and_wider_ones_bigints() {
        assert_eq!(i32::MIN.encode(&LIMITS), Ok(number(-2_147_483_648.0)));
        assert_eq!(u32::MAX.encode(&LIMITS), Ok(number(4_294_967_295.0)));
        assert_eq!((-1_i64).encode(&LIMITS), Ok(big(-1)));
        assert_eq!(1_u64.encode(&LIMITS), Ok(big(1)));
        assert_eq!(1_usize.encode(&LIMITS), Ok(big(1)));
        assert_eq!((-1_isize).encode(&LIMITS), Ok(big(-1)));
    }

    #[test]
    fn integers_beyond_i64_are_long_bigints() {
        let value = 9_223_372_036_854_775_808_u64;
        let payload = value.encode(&LIMITS).unwrap();
        assert_eq!(payload.as_bytes(), [0, 0, 0, 0, 0, 0, 0, 0, 0x80]);
        assert_eq!(u64::decode(payload.clone(), &LIMITS), Ok(value));
        let found = Numeric::Long { negative: false, bits: 64 };
        let expected = "an integer in the range of i64";
        let refused = i64::decode(payload, &LIMITS).unwrap_err();
        assert_eq!(refused, DecodeError::Range { expected, found });
        assert_eq!(refused.to_string(), "bigint of 64 bits is not an integer in the range of i64");
        for value in [i128::MIN, i128::MAX, 0, -1] {
            let payload = value.encode(&LIMITS).unwrap();
            assert_eq!(i128::decode(payload, &LIMITS), Ok(value));
        }
        let payload = u128::MAX.encode(&LIMITS).unwrap();
        assert_eq!(u128::decode(payload.clone(), &LIMITS), Ok(u128::MAX));
        assert!(i128::decode(payload, &LIMITS).is_err());
        let long = BigInt::from_le_magnitude(false, &[1; 17]).encode_owned(&LIMITS).unwrap();
        assert!(matches!(
            u128::decode(long, &LIMITS),
            Err(DecodeError::Range { found: Numeric::Long { negative: false, bits: 129 }, .. })
        ));
    }

    #[test]
    fn integers_decode_from_numbers_and_bigints() {
        assert_eq!(u8::decode(number(255.0), &LIMITS), Ok(255));
        assert_eq!(u8::decode(big(255), &LIMITS), Ok(255));
        assert_eq!(i64::decode(number(-9_223_372_036_854_775_808.0), &LIMITS), Ok(i64::MIN));
        assert_eq!(u64::decode(number(18_446_744_073_709_549_568.0), &LIMITS), Ok(u64::MAX - 2047));
        assert_eq!(i64::decode(big(i64::MIN), &LIMITS), Ok(i64::MIN));
    }

    #[test]
    fn integer_out_of_range_carries_its_value() {
        let expected = "an integer in the range of u8";
        for (payload, found) in [
            (number(256.0), Numeric::Number(256.0)),
            (number(0.5), Numeric::Number(0.5)),
            (number(-1.0), Numeric::Number(-1.0)),
            (number(f64::INFINITY), Numeric::Number(f64::INFINITY)),
            (big(-1), Numeric::BigInt(-1)),
            (big(256), Numeric::BigInt(256)),
        ] {
            assert_eq!(u8::decode(payload, &LIMITS), Err(DecodeError::Range { expected, found }));
        }
        assert!(matches!(
            u8::decode(Payload::bare(Tag::NAN), &LIMITS),
            Err(DecodeError::Range { .. })
        ));
        assert_eq!(
            u8::decode(number(1e300), &LIMITS).unwrap_err().to_string(),
            "number 1e300 is not an integer in the range of u8"
        );
    }

    #[test]
    fn powers_of_two_at_the_ends_are_out_of_range() {
        assert!(i64::decode(number(9_223_372_036_854_775_808.0), &LIMITS).is_err());
        assert!(u64::decode(number(18_446_744_073_709_551_616.0), &LIMITS).is_err());
        // 2^127 and 2^128.
        assert!(u64::decode(number(1.701_411_834_604_692_3e38), &LIMITS).is_err());
        assert!(i128::decode(number(1.701_411_834_604_692_3e38), &LIMITS).is_err());
        assert_eq!(u128::decode(number(1.701_411_834_604_692_3e38), &LIMITS), Ok(1 << 127));
        assert!(u128::decode(number(3.402_823_669_209_385e38), &LIMITS).is_err());
        assert_eq!(i128::decode(number(-1.701_411_834_604_692_3e38), &LIMITS), Ok(i128::MIN));
        assert!(i64::decode(number(f64::MIN), &LIMITS).is_err());
    }

    #[test]
    fn f32_decodes_to_the_nearest() {
        assert_eq!(f32::decode(number(0.1), &LIMITS), Ok(0.1_f32));
        assert_eq!(f32::decode(number(1e300), &LIMITS), Ok(f32::INFINITY));
        assert_eq!(1.5_f32.encode(&LIMITS), Ok(number(1.5)));
    }

    #[test]
    fn bigint_is_not_a_number() {
        assert_eq!(
            f64::decode(big(1), &LIMITS),
            Err(DecodeError::WrongType { expected: "a number", found: Tag::BIGINT_I64 })
        );
    }
}
