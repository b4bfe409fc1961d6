//! Dates.

use core::fmt;

use knit_proto::Tag;

use crate::arrays::same_number;
use crate::codec::{admit, refusal};
use crate::{Decode, DecodeError, Encode, EncodeError, Limits, Payload};

/// A point in time as JavaScript has it: milliseconds since 1970-01-01T00:00:00Z, or the invalid
/// date. PAY-18.
///
/// With the feature `std`, `std::time::SystemTime` encodes as a date and decodes from one.
///
/// # Examples
///
/// ```
/// use knit_codec::{Date, Decode, Encode, Limits};
///
/// let limits = Limits::default();
/// let payload = Date::from_millis(-1.0).encode_owned(&limits)?;
/// assert_eq!(Date::decode(payload, &limits)?.millis(), Some(-1.0));
/// assert_eq!(Date::INVALID.millis(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct Date(f64);

impl Date {
    /// The invalid date.
    pub const INVALID: Self = Self(f64::from_bits(INVALID_BITS));

    /// The furthest that a date of JavaScript is from 1970 either way, in milliseconds (ECMA-262,
    /// section "Time Values and Time Range").
    pub const MAX_MILLIS: f64 = 8.64e15;

    /// The date so many milliseconds after 1970; NaN is the invalid date. Peers in JavaScript have
    /// whole milliseconds within [`Self::MAX_MILLIS`] only.
    #[must_use]
    pub const fn from_millis(millis: f64) -> Self {
        if millis.is_nan() { Self::INVALID } else { Self(millis) }
    }

    /// Milliseconds since 1970; `None` for the invalid date.
    #[must_use]
    pub const fn millis(self) -> Option<f64> {
        if self.0.is_nan() { None } else { Some(self.0) }
    }
}

impl PartialEq for Date {
    fn eq(&self, other: &Self) -> bool {
        same_number(self.0, other.0)
    }
}

impl Eq for Date {}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.millis() {
            Some(millis) => write!(f, "Date({millis:?} ms)"),
            None => f.write_str("Date(invalid)"),
        }
    }
}

impl Encode for Date {
    #[inline]
    fn encode(&self, _: &Limits) -> Result<Payload<'_>, EncodeError> {
        Ok(Payload::scalar(Tag::DATE, self.0.to_bits()))
    }
}

impl Decode for Date {
    #[inline]
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        if payload.tag() != Tag::DATE {
            return Err(refusal(Self::expected(), payload.tag()));
        }
        admit(&payload, limits)?;
        Ok(Self::from_millis(f64::from_bits(payload.scalar_bits())))
    }

    fn expected() -> &'static str {
        "a date"
    }
}

#[cfg(feature = "std")]
mod system_time {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::Date;
    use crate::{Decode, DecodeError, Encode, EncodeError, Limits, Payload};

    impl Date {
        /// The time in whole milliseconds, rounded down; `None` for one beyond [`Self::MAX_MILLIS`].
        #[must_use]
        pub fn from_system_time(time: SystemTime) -> Option<Self> {
            let millis = match time.duration_since(UNIX_EPOCH) {
                Ok(after) => i128::try_from(after.as_millis()).ok(),
                Err(before) => i128::try_from(before.duration().as_nanos().div_ceil(1_000_000))
                    .ok()
                    .map(|millis| -millis),
            };
            // Exact: 8.64e15 is below 2^53.
            let most = Self::MAX_MILLIS as i128;
            let millis = millis.filter(|millis| (-most..=most).contains(millis))?;
            Some(Self::from_millis(millis as f64))
        }

        /// The time that the date is; `None` for the invalid date, one beyond [`Self::MAX_MILLIS`], and one
        /// that this system has no time for. Parts of a millisecond are kept as far as they have digits.
        #[must_use]
        pub fn system_time(self) -> Option<SystemTime> {
            let millis = self.millis().filter(|millis| millis.abs() <= Self::MAX_MILLIS)?;
            let away = Duration::try_from_secs_f64(millis.abs() / 1e3).ok()?;
            // Whole milliseconds are exact, whatever the seconds were rounded to.
            let whole = millis.trunc() == millis;
            // In range: at most 8.64e15.
            let away = if whole { Duration::from_millis(millis.abs() as u64) } else { away };
            if millis < 0.0 { UNIX_EPOCH.checked_sub(away) } else { UNIX_EPOCH.checked_add(away) }
        }
    }

    /// As [`Date::from_system_time`].
    impl Encode for SystemTime {
        fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
            Date::from_system_time(*self).ok_or(EncodeError::DateRange)?.encode_owned(limits)
        }
    }

    /// As [`Date::system_time`].
    impl Decode for SystemTime {
        fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
            Date::decode(payload, limits)?.system_time().ok_or(DecodeError::DateRange)
        }

        fn expected() -> &'static str {
            Date::expected()
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        const LIMITS: Limits = Limits::DEFAULT;

        #[test]
        fn whole_milliseconds_survive_the_round_trip() {
            for millis in [0, 1, 999, 1_700_000_000_123, 8_640_000_000_000_000] {
                let away = Duration::from_millis(millis);
                for time in [UNIX_EPOCH + away, UNIX_EPOCH - away] {
                    let payload = time.encode(&LIMITS).unwrap();
                    assert_eq!(SystemTime::decode(payload, &LIMITS), Ok(time));
                }
            }
        }

        #[test]
        fn parts_of_a_millisecond_are_rounded_down() {
            let part = Duration::from_nanos(1_999_999);
            for (time, millis) in [(UNIX_EPOCH + part, 1.0), (UNIX_EPOCH - part, -2.0)] {
                let payload = time.encode(&LIMITS).unwrap();
                assert_eq!(Date::decode(payload, &LIMITS).unwrap().millis(), Some(millis));
            }
            let payload = Date::from_millis(0.5).encode_owned(&LIMITS).unwrap();
            let half = UNIX_EPOCH + Duration::from_micros(500);
            assert_eq!(SystemTime::decode(payload, &LIMITS), Ok(half));
        }

        #[test]
        fn what_is_out_of_range_is_refused_both_ways() {
            let beyond = UNIX_EPOCH + Duration::from_millis(8_640_000_000_000_001);
            assert_eq!(beyond.encode(&LIMITS), Err(EncodeError::DateRange));
            for millis in [f64::NAN, f64::INFINITY, -f64::INFINITY, 8.65e15, f64::MAX, f64::MIN] {
                let payload = Date::from_millis(millis).encode_owned(&LIMITS).unwrap();
                assert_eq!(SystemTime::decode(payload, &LIMITS), Err(DecodeError::DateRange));
            }
        }
    }
}

/// Bits of the invalid date. PAY-18.
const INVALID_BITS: u64 = 0x7ff8_0000_0000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    /// PAY-18.
    #[test]
    fn there_is_one_invalid_date() {
        let limits = Limits::default();
        for bits in [u64::MAX, 0x7ff0_0000_0000_0001, INVALID_BITS] {
            let date = Date::decode(Payload::scalar(Tag::DATE, bits), &limits).unwrap();
            assert_eq!(date, Date::INVALID);
            assert_eq!(date.encode(&limits), Ok(Payload::scalar(Tag::DATE, INVALID_BITS)));
        }
        let payload = Date::from_millis(-f64::NAN).encode_owned(&limits).unwrap();
        assert_eq!(payload.scalar_bits(), INVALID_BITS);
    }
}
