//! Integers of any size.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use knit_proto::Tag;

use crate::codec::{Placed, admit};
use crate::{
    Decode, DecodeError, Encode, EncodeError, LimitKind, Limits, Numeric, Payload, number,
};

pub(crate) const BIGINT: Placed = Placed::new(Tag::BIGINT_INLINE, Tag::BIGINT_ARENA);

/// An integer of any size, which JavaScript peers see as a bigint.
///
/// It carries integers; it does not calculate. Those of at most 128 bits convert to and from the
/// types of Rust, and with the feature `num-bigint` all of them to and from those of that crate.
/// Shows itself in decimal digits up to 128 bits and in hexadecimal ones beyond, because those take
/// time in proportion to its length.
///
/// # Examples
///
/// ```
/// use knit_codec::BigInt;
///
/// let small = BigInt::from(-7);
/// assert_eq!(i64::try_from(&small), Ok(-7));
///
/// let large = BigInt::from_le_magnitude(true, &[0, 0, 0, 0, 0, 0, 0, 0, 1]);
/// assert_eq!((large.is_negative(), large.bits()), (true, 65));
/// assert_eq!(i128::try_from(&large), Ok(-(1 << 64)));
/// assert!(i64::try_from(&large).is_err());
/// assert!(large < small);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BigInt(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Small(i64),
    /// What [`Tag::BIGINT_ARENA`] carries: a sign byte, then the magnitude, least significant byte
    /// first, without zero bytes at the end. Never a value that fits `Small`.
    Large(Vec<u8>),
}

impl BigInt {
    /// The integer with this sign and magnitude, least significant byte first. Zero bytes at its end
    /// mean nothing, and there is one zero.
    #[must_use]
    pub fn from_le_magnitude(negative: bool, magnitude: &[u8]) -> Self {
        let mut wire = Vec::with_capacity(1 + magnitude.len());
        wire.push(u8::from(negative));
        wire.extend_from_slice(magnitude);
        Self::from_wire(negative, wire)
    }

    /// The integer of a sign byte and a magnitude.
    fn from_wire(negative: bool, mut wire: Vec<u8>) -> Self {
        while wire.len() > 1 && wire.last() == Some(&0) {
            wire.pop();
        }
        let small = narrow(wire.get(1..).unwrap_or_default())
            .and_then(|magnitude| number::whole(negative, magnitude));
        match small {
            Some(value) => Self(Repr::Small(value)),
            None => Self(Repr::Large(wire)),
        }
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Repr::Small(value) => *value < 0,
            Repr::Large(wire) => wire.first() == Some(&1),
        }
    }

    /// What is left without the sign, least significant byte first, without zero bytes at the end;
    /// no bytes for zero.
    #[must_use]
    pub fn le_magnitude(&self) -> Cow<'_, [u8]> {
        match &self.0 {
            Repr::Small(value) => {
                let magnitude = value.unsigned_abs();
                let len = (u64::BITS - magnitude.leading_zeros()).div_ceil(8) as usize;
                Cow::Owned(magnitude.to_le_bytes().get(..len).unwrap_or_default().to_vec())
            }
            Repr::Large(wire) => Cow::Borrowed(wire.get(1..).unwrap_or_default()),
        }
    }

    /// Bits of the magnitude; 0 for zero.
    #[must_use]
    pub fn bits(&self) -> u64 {
        match &self.0 {
            Repr::Small(value) => (u64::BITS - value.unsigned_abs().leading_zeros()).into(),
            Repr::Large(wire) => bits(wire),
        }
    }

    /// The integer, in a form that fits an error message.
    pub(crate) fn numeric(&self) -> Numeric {
        match &self.0 {
            Repr::Small(value) => Numeric::BigInt(*value),
            Repr::Large(wire) => Numeric::Long { negative: self.is_negative(), bits: bits(wire) },
        }
    }

    /// Sign and magnitude of an integer of at most 128 bits.
    fn narrow(&self) -> Option<(bool, u128)> {
        Some((self.is_negative(), narrow(&self.le_magnitude())?))
    }
}

/// Bits of the magnitude in the bytes of a large integer.
fn bits(wire: &[u8]) -> u64 {
    let top = wire.last().map_or(0, |top| top.leading_zeros());
    (wire.len() as u64 - 1) * 8 - u64::from(top)
}

/// A magnitude of at most 128 bits.
fn narrow(magnitude: &[u8]) -> Option<u128> {
    let mut bytes = [0; 16];
    bytes.get_mut(..magnitude.len())?.copy_from_slice(magnitude);
    Some(u128::from_le_bytes(bytes))
}

impl Encode for BigInt {
    #[inline]
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        match &self.0 {
            Repr::Small(value) => Ok(Payload::scalar(Tag::BIGINT_I64, value.cast_unsigned())),
            Repr::Large(wire) => {
                limits.admit(LimitKind::Limbs, BIGINT.tag(wire.len()), limbs(wire))?;
                BIGINT.payload(wire.as_slice(), limits)
            }
        }
    }

    fn encode_owned(self, limits: &Limits) -> Result<Payload<'static>, EncodeError> {
        match self.0 {
            Repr::Large(wire) => {
                limits.admit(LimitKind::Limbs, BIGINT.tag(wire.len()), limbs(&wire))?;
                BIGINT.payload(wire, limits)
            }
            Repr::Small(_) => self.encode(limits).map(Payload::into_owned),
        }
    }
}

impl Decode for BigInt {
    #[inline]
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        if payload.tag() == Tag::BIGINT_I64 {
            admit(&payload, limits)?;
            return Ok(Self(Repr::Small(payload.scalar_bits().cast_signed())));
        }
        BIGINT.check(&payload, Self::expected(), limits)?;
        let negative = check_long(&payload, limits)?;
        Ok(Self::from_wire(negative, payload.into_bytes().into_owned()))
    }

    fn expected() -> &'static str {
        "a bigint"
    }
}

/// Checks a bigint of bytes before anything is made of it, and returns whether it is negative.
fn check_long(payload: &Payload<'_>, limits: &Limits) -> Result<bool, DecodeError> {
    limits.admit(LimitKind::Limbs, payload.tag(), limbs(payload.as_bytes()))?;
    match payload.as_bytes().first().copied() {
        Some(sign @ (0 | 1)) => Ok(sign == 1),
        found => Err(DecodeError::BigIntSign { found }),
    }
}

/// The integer of a bigint payload of bytes, if it is one of type `T`, or else what to say of it.
pub(crate) fn long_integer<T: TryFrom<i128> + TryFrom<u128>>(
    payload: &Payload<'_>,
    limits: &Limits,
) -> Result<Result<T, Numeric>, DecodeError> {
    let negative = check_long(payload, limits)?;
    let wire = payload.as_bytes();
    let len = wire.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let magnitude = narrow(wire.get(1..len).unwrap_or_default());
    let whole = magnitude.and_then(|magnitude| number::whole(negative, magnitude));
    let bits = || bits(wire.get(..len).unwrap_or_default());
    Ok(whole.ok_or_else(|| {
        let small = magnitude.and_then(|magnitude| number::whole(negative, magnitude));
        small.map_or_else(|| Numeric::Long { negative, bits: bits() }, Numeric::BigInt)
    }))
}

/// Limbs of 64 bits that the magnitude of a bigint of bytes takes.
fn limbs(wire: &[u8]) -> usize {
    wire.len().saturating_sub(1).div_ceil(8)
}

macro_rules! from_integer {
    ($($integer:ident)*) => {$(
        impl From<$integer> for BigInt {
            fn from(value: $integer) -> Self {
                match i64::try_from(value) {
                    Ok(small) => Self(Repr::Small(small)),
                    // A type of at most 64 bits and a sign never gets here with a sign.
                    Err(_) => {
                        #[allow(unused_comparisons, reason = "unsigned types have no sign")]
                        let negative = value < 0;
                        let magnitude = if negative {
                            // Never unsigned here.
                            (value as i128).unsigned_abs()
                        } else {
                            // Not negative: the value is kept.
                            value as u128
                        };
                        Self::from_le_magnitude(negative, &magnitude.to_le_bytes())
                    }
                }
            }
        }

        impl TryFrom<BigInt> for $integer {
            type Error = IntegerRange;

            fn try_from(value: BigInt) -> Result<Self, IntegerRange> {
                Self::try_from(&value)
            }
        }

        impl TryFrom<&BigInt> for $integer {
            type Error = IntegerRange;

            fn try_from(value: &BigInt) -> Result<Self, IntegerRange> {
                let whole = value.narrow().and_then(|(negative, magnitude)| {
                    number::whole(negative, magnitude)
                });
                whole.ok_or_else(|| IntegerRange { found: value.numeric() })
            }
        }
    )*};
}

from_integer! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }

/// A bigint is out of the range of an integer type.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{found} is out of range")]
pub struct IntegerRange {
    /// The bigint.
    pub found: Numeric,
}

impl Ord for BigInt {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Repr::Small(this), Repr::Small(other)) = (&self.0, &other.0) {
            return this.cmp(other);
        }
        let by_magnitude = || {
            let (this, other) = (self.le_magnitude(), other.le_magnitude());
            this.len().cmp(&other.len()).then_with(|| this.iter().rev().cmp(other.iter().rev()))
        };
        match (self.is_negative(), other.is_negative()) {
            (false, false) => by_magnitude(),
            (true, true) => by_magnitude().reverse(),
            (negative, _) => {
                if negative {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
        }
    }
}

impl PartialOrd for BigInt {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative() { "-" } else { "" };
        match self.narrow() {
            Some((_, magnitude)) => write!(f, "{sign}{magnitude}"),
            None => {
                write!(f, "{sign}0x")?;
                let magnitude = self.le_magnitude();
                let mut bytes = magnitude.iter().rev();
                if let Some(top) = bytes.next() {
                    write!(f, "{top:x}")?;
                }
                bytes.try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl fmt::Debug for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BigInt({self})")
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;

    const LIMITS: Limits = Limits::DEFAULT;

    fn long(bytes: &[u8]) -> Payload<'_> {
        Payload::bytes(Tag::BIGINT_INLINE, bytes)
    }

    /// PAY-11, PAY-12.
    #[test]
    fn the_form_follows_the_value() {
        for (value, tag) in [
            (BigInt::from(i64::MIN), Tag::BIGINT_I64),
            (BigInt::from(i64::MAX), Tag::BIGINT_I64),
            (BigInt::from(i128::from(i64::MIN) - 1), Tag::BIGINT_INLINE),
            (BigInt::from(1_u64 << 63), Tag::BIGINT_INLINE),
            (BigInt::from_le_magnitude(false, &[1; 511]), Tag::BIGINT_INLINE),
            (BigInt::from_le_magnitude(false, &[1; 512]), Tag::BIGINT_ARENA),
        ] {
            let payload = value.encode(&LIMITS).unwrap();
            assert_eq!(payload.tag(), tag);
            assert_eq!(value.clone().encode_owned(&LIMITS).as_ref(), Ok(&payload));
            assert_eq!(BigInt::decode(payload, &LIMITS), Ok(value));
        }
        let payload = BigInt::from(i128::from(i64::MIN) - 1).encode_owned(&LIMITS).unwrap();
        assert_eq!(payload.as_bytes(), [1, 1, 0, 0, 0, 0, 0, 0, 0x80]);
    }

    /// PAY-12.
    #[test]
    fn every_spelling_of_an_integer_decodes_to_it() {
        for (wire, value) in [
            (&[0][..], 0_i64),
            (&[1], 0),
            (&[1, 0, 0], 0),
            (&[0, 7, 0], 7),
            (&[1, 7], -7),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0], i64::MIN),
        ] {
            assert_eq!(BigInt::decode(long(wire), &LIMITS), Ok(BigInt::from(value)));
            assert_eq!(i64::decode(long(wire), &LIMITS), Ok(value));
        }
        for (wire, found) in [(&[][..], None), (&[2, 1], Some(2)), (&[255], Some(255))] {
            let refused = DecodeError::BigIntSign { found };
            assert_eq!(BigInt::decode(long(wire), &LIMITS), Err(refused.clone()));
            assert_eq!(u8::decode(long(wire), &LIMITS), Err(refused));
        }
    }

    #[test]
    fn limit_of_limbs_is_inclusive_both_ways() {
        let value = BigInt::from_le_magnitude(false, &[1; 16]);
        let two = LIMITS.with_limbs(2);
        let payload = value.encode(&two).unwrap();
        assert_eq!(BigInt::decode(payload.clone(), &two).as_ref(), Ok(&value));
        let one = LIMITS.with_limbs(1);
        let EncodeError::TooLong(excess) = value.encode(&one).unwrap_err() else { panic!() };
        assert_eq!((excess.actual, excess.most, excess.limit), (2, 1, LimitKind::Limbs));
        assert_eq!(BigInt::decode(payload, &one), Err(DecodeError::TooLong(excess)));
    }

    #[test]
    fn integers_of_128_bits_convert_and_longer_ones_are_out_of_range() {
        for value in [i128::MIN, -(1 << 64), -1, 0, 1, 1 << 64, i128::MAX] {
            let big = BigInt::from(value);
            assert_eq!(i128::try_from(&big), Ok(value));
            assert_eq!(big.to_string(), value.to_string());
            assert_eq!(u128::try_from(&big).ok(), u128::try_from(value).ok());
            assert_eq!(i64::try_from(&big).ok(), i64::try_from(value).ok());
        }
        assert_eq!(u128::try_from(&BigInt::from(u128::MAX)), Ok(u128::MAX));
        assert!(i128::try_from(&BigInt::from(u128::MAX)).is_err());
        let long = BigInt::from_le_magnitude(
            true,
            &[0xcd, 0xab, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5],
        );
        assert_eq!(long.to_string(), "-0x5".to_string() + &"0".repeat(28) + "abcd");
        assert_eq!(long.bits(), 131);
        assert_eq!(
            u128::try_from(&long).unwrap_err().to_string(),
            "negative bigint of 131 bits is out of range"
        );
    }

    #[test]
    fn order_is_that_of_the_integers() {
        let long =
            |negative, top| BigInt::from_le_magnitude(negative, &[vec![0; 20], vec![top]].concat());
        let sorted = [
            long(true, 2),
            long(true, 1),
            BigInt::from(i128::MIN),
            BigInt::from(i64::MIN),
            BigInt::from(-1),
            BigInt::from(0),
            BigInt::from(u64::MAX),
            BigInt::from(u128::MAX),
            long(false, 1),
            long(false, 2),
        ];
        assert!(sorted.is_sorted_by(|one, other| one < other));
        assert!(sorted.iter().all(|one| one == one && one.cmp(one) == Ordering::Equal));
    }

    #[test]
    fn magnitude_has_no_zero_on_top() {
        assert!(BigInt::from(0).le_magnitude().is_empty());
        assert_eq!(*BigInt::from(-256).le_magnitude(), [0, 1]);
        assert_eq!(*BigInt::from(i64::MIN).le_magnitude(), [0, 0, 0, 0, 0, 0, 0, 0x80]);
        assert!(BigInt::from_le_magnitude(false, &[0; 30]).le_magnitude().is_empty());
        assert_eq!(BigInt::from(0).bits(), 0);
        assert_eq!(BigInt::from(u64::MAX).bits(), 64);
    }
}
