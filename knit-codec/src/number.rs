//! Numbers and 64-bit bigints.
//!
//! A number is an `f64`. Integers of at most 32 bits are exact as one and encode so; `i64`, `u64`,
//! `isize` and `usize` encode as bigints, whatever their value, so that the type a peer sees does
//! not depend on it. Every integer type decodes from both: from a number that is integral and in
//! range (-0 is 0), and from a bigint in range.

use knit_proto::Tag;

use crate::codec::{admit, refusal};
use crate::{Decode, DecodeError, Encode, EncodeError, Limits, Numeric, Payload};

/// NaN has a tag of its own: its payload bits do not cross.
impl Encode for f64 {
    fn encode(&self, _: &Limits) -> Result<Payload<'_>, EncodeError> {
        Ok(if self.is_nan() {
            Payload::bare(Tag::NAN)
        } else {
            Payload::scalar(Tag::NUMBER, self.to_bits())
        })
    }
}

impl Decode for f64 {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        match numeric(&payload, Self::expected(), limits)? {
            Numeric::Number(number) => Ok(number),
            Numeric::BigInt(_) => Err(refusal(Self::expected(), payload.tag())),
        }
    }

    fn expected() -> &'static str {
        "a number"
    }
}

impl Encode for f32 {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        f64::from(*self).encode_owned(limits)
    }
}

/// The nearest `f32`: a number between two of them rounds to even, one beyond the largest becomes
/// infinite.
impl Decode for f32 {
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
            fn encode(&self, _: &Limits) -> Result<Payload<'_>, EncodeError> {
                bigint(*self)
            }
        }
    )*};
}

decode_integer! { i8 i16 i32 i64 isize u8 u16 u32 u64 usize }
encode_as_number! { i8 i16 i32 u8 u16 u32 }
encode_as_bigint! { i64 isize u64 usize }

/// An integer of at most 64 bits as a bigint.
fn bigint<T>(integer: T) -> Result<Payload<'static>, EncodeError>
where
    T: Copy + TryInto<i64> + TryInto<u64>,
{
    match (TryInto::<i64>::try_into(integer), TryInto::<u64>::try_into(integer)) {
        (Ok(value), _) => Ok(Payload::scalar(Tag::BIGINT_I64, value.cast_unsigned())),
        (Err(_), value) => Err(EncodeError::Range { value: value.unwrap_or(u64::MAX) }),
    }
}

/// The integer that a number or bigint stands for, in a type of at most 64 bits.
fn integer<T: TryFrom<i128>>(
    payload: &Payload<'_>,
    expected: &'static str,
    limits: &Limits,
) -> Result<T, DecodeError> {
    let found = numeric(payload, expected, limits)?;
    let whole = match found {
        Numeric::BigInt(value) => Some(i128::from(value)),
        // Any `f64` is in range: the cast saturates, and NaN gives 0. A value that does not
        // survive the way back is no integer. The saturated ends of `i128` do survive it; they are
        // in range of no type of 64 bits.
        Numeric::Number(number) => {
            let whole = number as i128;
            (whole as f64 == number).then_some(whole)
        }
    };
    whole.and_then(|whole| T::try_from(whole).ok()).ok_or(DecodeError::Range { expected, found })
}

/// The number or bigint in the payload.
pub(crate) fn numeric(
    payload: &Payload<'_>,
    expected: &'static str,
    limits: &Limits,
) -> Result<Numeric, DecodeError> {
    admit(payload, limits)?;
    match payload.tag() {
        Tag::NUMBER => Ok(Numeric::Number(f64::from_bits(payload.scalar_bits()))),
        Tag::NAN => Ok(Numeric::Number(f64::NAN)),
        Tag::BIGINT_I64 => Ok(Numeric::BigInt(payload.scalar_bits().cast_signed())),
        other => Err(refusal(expected, other)),
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
    fn u64_beyond_i64_names_the_range() {
        let value = 9_223_372_036_854_775_808_u64;
        let refused = value.encode(&LIMITS).unwrap_err();
        assert_eq!(refused, EncodeError::Range { value });
        assert_eq!(
            refused.to_string(),
            "integer 9223372036854775808 is beyond the range of a 64-bit bigint, -2^63 to 2^63-1"
        );
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
        assert!(u64::decode(number(1.701_411_834_604_692_3e38), &LIMITS).is_err());
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
