//! What a task function may return.

use alloc::boxed::Box;
use core::error::Error;

use crate::{Encode, EncodeError, ErrorValue, Limits, Payload};

/// What a task function may return: a value, or a `Result` whose error becomes an error value.
///
/// # Examples
///
/// ```
/// use knit_codec::{ErrorValue, Limits, Reply, ReplyError};
///
/// fn half(number: u32) -> Result<u32, String> {
///     if number % 2 == 0 { Ok(number / 2) } else { Err(format!("{number} is odd")) }
/// }
///
/// let limits = Limits::default();
/// assert!(half(4).reply(&limits).is_ok());
/// assert_eq!(
///     half(3).reply(&limits),
///     Err(ReplyError::Rejected(ErrorValue::new("Error", "3 is odd")))
/// );
/// ```
pub trait Reply {
    /// Type of the value of a task that does not fail.
    type Value;

    /// The payload to send.
    ///
    /// # Errors
    ///
    /// [`ReplyError::Rejected`] when the task failed, [`ReplyError::Encode`] when its value has no
    /// encoding within `limits`.
    fn reply(self, limits: &Limits) -> Result<Payload<'static>, ReplyError>;
}

impl<T: Encode> Reply for T {
    type Value = T;

    fn reply(self, limits: &Limits) -> Result<Payload<'static>, ReplyError> {
        Ok(self.encode_owned(limits)?)
    }
}

/// An error that is an [`ErrorValue`] crosses as it is, others as [`ErrorValue::from_error`] tells,
/// with at most `limits.causes` sources.
impl<T, E> Reply for Result<T, E>
where
    T: Encode,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Value = T;

    fn reply(self, limits: &Limits) -> Result<Payload<'static>, ReplyError> {
        match self {
            Ok(value) => value.reply(limits),
            Err(error) => {
                let error: Box<dyn Error + Send + Sync> = error.into();
                Err(ReplyError::Rejected(ErrorValue::from_sources(&*error, limits)))
            }
        }
    }
}

/// Why a task has no value to send.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The task failed with this error.
    #[error(transparent)]
    Rejected(ErrorValue),
    /// The value of the task could not be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use core::num::ParseIntError;

    use knit_proto::Tag;

    use super::*;

    #[test]
    fn value_and_ok_reply_alike() {
        let limits = Limits::default();
        let expected = Ok(Payload::bare(Tag::UNDEFINED));
        assert_eq!(().reply(&limits), expected);
        assert_eq!(Ok::<(), ParseIntError>(()).reply(&limits), expected);
        assert_eq!(Ok::<Option<String>, &str>(None).reply(&limits), expected);
    }

    #[test]
    fn value_without_encoding_is_not_a_rejection() {
        let limits = Limits::default().with_payload(1);
        let refused = ReplyError::Encode("ab".encode(&limits).unwrap_err());
        assert_eq!("ab".reply(&limits), Err(refused.clone()));
        assert_eq!(Ok::<_, ParseIntError>("ab").reply(&limits), Err(refused));
    }

    #[test]
    fn error_value_is_rejected_as_it_is() {
        let error = ErrorValue::new("TypeError", "bad")
            .with_stack("at x")
            .with_cause(ErrorValue::new("Error", "deep"));
        assert_eq!(
            Err::<(), _>(error.clone()).reply(&Limits::default()),
            Err(ReplyError::Rejected(error))
        );
    }

    #[test]
    fn boxed_and_text_errors_are_accepted() {
        let limits = Limits::default();
        let rejected = Err(ReplyError::Rejected(ErrorValue::new("Error", "no")));
        let boxed: Box<dyn Error + Send + Sync> = "no".into();
        assert_eq!(Err::<(), _>(boxed).reply(&limits), rejected);
        assert_eq!(Err::<u8, _>("no").reply(&limits), rejected);
        assert_eq!(Err::<(), _>(String::from("no")).reply(&limits), rejected);
    }

    #[test]
    fn sources_stay_within_the_limits_given() {
        let error = ErrorValue::new("A", "").with_cause(ErrorValue::new("B", ""));
        let limits = Limits::default().with_causes(0);
        assert_eq!(
            Err::<(), _>(error).reply(&limits),
            Err(ReplyError::Rejected(ErrorValue::new("A", "")))
        );
    }
}
