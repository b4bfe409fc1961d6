//! What is called: payloads, and what a worker does with them.

use crate::Failure;
use knit_benches::samples::{self, Item};
use knit_codec::{Decode, Encode, ErrorValue, Json};

/// One kind of call.
pub trait Job: Copy + Send + 'static {
    /// Name of the row, and of the task.
    const NAME: &'static str;
    /// Most bytes of a payload, either way.
    const LARGEST: usize;
    /// Argument and answer.
    type Value: Encode + Decode + Clone + PartialEq + Send + 'static;

    /// One of the arguments of a run; each `index` has another one.
    fn value(index: u32) -> Self::Value;

    /// What the worker does: gives the argument back.
    ///
    /// # Errors
    ///
    /// Where the error is the answer: one that names the argument.
    fn run(value: Self::Value) -> Result<Self::Value, ErrorValue> {
        Ok(value)
    }

    /// The argument that an answer belongs to.
    ///
    /// # Errors
    ///
    /// The answer is not what [`Self::run`] gives.
    fn argument_of(answer: Result<Self::Value, ErrorValue>) -> Result<Self::Value, Failure> {
        answer.map_err(|error| format!("an error instead of a value: {error}").into())
    }
}

/// Names of all jobs, in the order of the report.
pub const NAMES: [&str; 7] = [
    F64::NAME,
    Bytes64::NAME,
    Bytes4K::NAME,
    Bytes1M::NAME,
    Document::NAME,
    Text::NAME,
    Rejection::NAME,
];

/// Calls `$do::<Job>(…)` with the job of the name `$name`; an unknown name is an error.
#[macro_export]
macro_rules! with_job {
    ($name:expr, |$job:ident| $do:expr) => {
        match $name {
            name if name == <$crate::jobs::F64 as $crate::jobs::Job>::NAME => {
                type $job = $crate::jobs::F64;
                $do
            }
            name if name == <$crate::jobs::Bytes64 as $crate::jobs::Job>::NAME => {
                type $job = $crate::jobs::Bytes64;
                $do
            }
            name if name == <$crate::jobs::Bytes4K as $crate::jobs::Job>::NAME => {
                type $job = $crate::jobs::Bytes4K;
                $do
            }
            name if name == <$crate::jobs::Bytes1M as $crate::jobs::Job>::NAME => {
                type $job = $crate::jobs::Bytes1M;
                $do
            }
            name if name == <$crate::jobs::Document as $crate::jobs::Job>::NAME => {
                type $job = $crate::jobs::Document;
                $do
            }
            name if name == <$crate::jobs::Text as $crate::jobs::Job>::NAME => {
                type $job = $crate::jobs::Text;
                $do
            }
            name if name == <$crate::jobs::Rejection as $crate::jobs::Job>::NAME => {
                type $job = $crate::jobs::Rejection;
                $do
            }
            name => Err(format!("no job is called {name:?}").into()),
        }
    };
}

/// A number.
#[derive(Clone, Copy, Debug)]
pub struct F64;

impl Job for F64 {
    const NAME: &'static str = "f64";
    const LARGEST: usize = 0;
    type Value = f64;

    fn value(index: u32) -> f64 {
        f64::from(index) + 0.5
    }
}

/// Bytes, so many of them, each value shifted by its index.
macro_rules! bytes {
    ($job:ident, $name:literal, $len:expr) => {
        #[doc = concat!("Bytes: ", $name, ".")]
        #[derive(Clone, Copy, Debug)]
        pub struct $job;

        impl Job for $job {
            const NAME: &'static str = $name;
            const LARGEST: usize = $len;
            type Value = Vec<u8>;

            fn value(index: u32) -> Vec<u8> {
                let mut pattern = samples::bytes(251);
                pattern.rotate_left(index as usize % 251);
                let mut bytes = pattern.repeat(1 + $len / 251);
                bytes.truncate($len);
                // Exact, as a user's would be.
                bytes.shrink_to_fit();
                bytes
            }
        }
    };
}

bytes!(Bytes64, "bytes_64B", 64);
bytes!(Bytes4K, "bytes_4KiB", 4 << 10);
bytes!(Bytes1M, "bytes_1MiB", 1 << 20);

/// A list of structures: 894 bytes of JSON text, a few more with larger indexes.
#[derive(Clone, Copy, Debug)]
pub struct Document;

impl Job for Document {
    const NAME: &'static str = "json_1KiB";
    const LARGEST: usize = 1 << 10;
    type Value = Json<Vec<Item>>;

    fn value(index: u32) -> Self::Value {
        let mut items = samples::documents(samples::SMALL);
        items[0].id = index.into();
        Json(items)
    }
}

/// A text of eleven bytes.
#[derive(Clone, Copy, Debug)]
pub struct Text;

impl Job for Text {
    const NAME: &'static str = "string_11B";
    const LARGEST: usize = 64;
    type Value = String;

    fn value(index: u32) -> String {
        format!("hello {index:05}")
    }
}

/// A number that the worker refuses: the answer is an error whose message names it.
#[derive(Clone, Copy, Debug)]
pub struct Rejection;

/// What the message says after the number.
const REFUSAL: &str = " is out of range";

impl Job for Rejection {
    const NAME: &'static str = "error";
    const LARGEST: usize = 256;
    type Value = f64;

    fn value(index: u32) -> f64 {
        f64::from(index) + 0.5
    }

    fn run(value: f64) -> Result<f64, ErrorValue> {
        Err(ErrorValue::new("RangeError", format!("{value}{REFUSAL}")))
    }

    fn argument_of(answer: Result<f64, ErrorValue>) -> Result<f64, Failure> {
        match answer {
            Ok(value) => Err(format!("{value} instead of an error").into()),
            Err(error) => {
                let number = error.message().strip_suffix(REFUSAL).unwrap_or_default();
                let wrong = || format!("another error than the worker's: {error}");
                if error.name() != "RangeError" {
                    return Err(wrong().into());
                }
                Ok(number.parse().map_err(|_| wrong())?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use knit_codec::Limits;

    fn is_sound<J: Job>() -> Result<(), Failure> {
        let limits = Limits::default();
        for index in [0, 1, 99, 250] {
            let payload = J::value(index).encode_owned(&limits)?;
            assert!(payload.len() <= J::LARGEST, "{}: {} bytes", J::NAME, payload.len());
            let answer = J::run(J::value(index));
            if let Err(error) = &answer {
                assert!(error.encode(&limits)?.len() <= J::LARGEST, "{error}");
            }
            assert!(J::argument_of(answer)? == J::value(index), "{} {index}", J::NAME);
            assert!(J::value(index) != J::value(index + 1), "{}", J::NAME);
        }
        Ok(())
    }

    #[test]
    fn answers_name_their_arguments() {
        for name in NAMES {
            let sound: Result<(), Failure> = with_job!(name, |J| is_sound::<J>());
            sound.unwrap();
        }
        let unknown: Result<(), Failure> = with_job!("nothing", |J| is_sound::<J>());
        assert!(unknown.is_err());
    }

    #[test]
    fn another_answer_is_no_answer() {
        assert!(Rejection::argument_of(Ok(1.5)).is_err());
        assert!(Rejection::argument_of(Err(ErrorValue::new("RangeError", "no"))).is_err());
        assert!(F64::argument_of(Err(ErrorValue::new("RangeError", "no"))).is_err());
    }
}
