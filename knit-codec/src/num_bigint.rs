//! The integers of the crate `num-bigint`, as bigints.

use num_bigint::{BigUint, Sign};

use crate::{BigInt, Decode, DecodeError, Encode, EncodeError, IntegerRange, Limits, Payload};

impl From<&num_bigint::BigInt> for BigInt {
    fn from(value: &num_bigint::BigInt) -> Self {
        let (sign, magnitude) = value.to_bytes_le();
        Self::from_le_magnitude(sign == Sign::Minus, &magnitude)
    }
}

impl From<&BigInt> for num_bigint::BigInt {
    fn from(value: &BigInt) -> Self {
        let sign = if value.is_negative() { Sign::Minus } else { Sign::Plus };
        // The sign of no magnitude is set right there.
        Self::from_bytes_le(sign, &value.le_magnitude())
    }
}

impl From<&BigUint> for BigInt {
    fn from(value: &BigUint) -> Self {
        Self::from_le_magnitude(false, &value.to_bytes_le())
    }
}

impl TryFrom<&BigInt> for BigUint {
    type Error = IntegerRange;

    fn try_from(value: &BigInt) -> Result<Self, IntegerRange> {
        if value.is_negative() {
            return Err(IntegerRange { found: value.numeric() });
        }
        Ok(Self::from_bytes_le(&value.le_magnitude()))
    }
}

impl Encode for num_bigint::BigInt {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        BigInt::from(self).encode_owned(limits)
    }
}

impl Decode for num_bigint::BigInt {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        BigInt::decode(payload, limits).map(|value| Self::from(&value))
    }

    fn expected() -> &'static str {
        BigInt::expected()
    }
}

impl Encode for BigUint {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        BigInt::from(self).encode_owned(limits)
    }
}

impl Decode for BigUint {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        let value = BigInt::decode(payload, limits)?;
        Self::try_from(&value).map_err(|IntegerRange { found }| DecodeError::Range {
            expected: Self::expected(),
            found,
        })
    }

    fn expected() -> &'static str {
        "a bigint that is not negative"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits::DEFAULT;

    #[test]
    fn integers_of_any_size_survive() {
        for shift in [0, 1, 62, 63, 64, 127, 128, 500, 4096, 5000] {
            let power: num_bigint::BigInt = num_bigint::BigInt::from(1) << shift;
            for value in [power.clone(), -power.clone(), &power - 1, 1 - &power] {
                let payload = value.encode(&LIMITS).unwrap();
                assert_eq!(num_bigint::BigInt::decode(payload.clone(), &LIMITS), Ok(value.clone()));
                let unsigned = BigUint::decode(payload.clone(), &LIMITS);
                match BigUint::try_from(value.clone()) {
                    Ok(value) => {
                        assert_eq!(value.encode(&LIMITS).as_ref(), Ok(&payload));
                        assert_eq!(unsigned, Ok(value));
                    }
                    Err(_) => assert!(matches!(unsigned, Err(DecodeError::Range { .. }))),
                }
            }
        }
    }
}
