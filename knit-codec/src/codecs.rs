//! Codecs of users: types of their own as external payloads.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use core::any::Any;
use core::fmt;

use crate::{Decode, DecodeError, Encode, EncodeError, External, JsonText, Limits, Payload};

/// A type of a user that crosses as an [`External`] payload: peers in any language know it by the id
/// of its codec.
///
/// # Examples
///
/// ```
/// use knit_codec::{Coded, Decode, Encode, ExternalCodec, JsonText, Limits};
///
/// struct Celsius(f64);
///
/// impl ExternalCodec for Celsius {
///     const ID: &'static str = "weather.celsius";
///
///     fn to_metadata(&self) -> Result<JsonText, String> {
///         Ok(JsonText(self.0.to_string()))
///     }
///
///     fn from_metadata(metadata: &JsonText) -> Result<Self, String> {
///         metadata.0.parse().map(Self).map_err(|error| format!("no temperature: {error}"))
///     }
/// }
///
/// let limits = Limits::default();
/// let payload = Coded(Celsius(21.5)).encode_owned(&limits)?;
/// assert_eq!(payload.as_bytes(), br#"["weather.celsius",21.5]"#);
/// assert_eq!(Coded::<Celsius>::decode(payload, &limits)?.0.0, 21.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ExternalCodec: Sized {
    /// The id of the codec. Those that begin with `knitting.` are taken.
    const ID: &'static str;

    /// JSON text that [`Self::from_metadata`] makes an equal value of.
    ///
    /// # Errors
    ///
    /// The value has no such text; why not.
    fn to_metadata(&self) -> Result<JsonText, String>;

    /// The value of a text that a peer has sent: any JSON document within the limits of the lane.
    ///
    /// # Errors
    ///
    /// The text is none of this codec; why not.
    fn from_metadata(metadata: &JsonText) -> Result<Self, String>;
}

/// A value of a type with a codec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coded<T>(pub T);

impl<T: ExternalCodec> Encode for Coded<T> {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        let failed = |reason| EncodeError::External { codec: T::ID, reason };
        let JsonText(metadata) = self.0.to_metadata().map_err(failed)?;
        External::new(T::ID, metadata).encode_owned(limits)
    }
}

impl<T: ExternalCodec> Decode for Coded<T> {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        let External { codec, metadata } = External::decode(payload, limits)?;
        if codec != T::ID {
            let expected = format!("codec `{}`", T::ID);
            return Err(DecodeError::Codec { expected, found: shortened(&codec) });
        }
        read(codec, metadata).map(Self)
    }

    fn expected() -> &'static str {
        External::expected()
    }
}

/// The codecs that a program knows, to make values of external payloads whose type is not known
/// beforehand.
///
/// # Examples
///
/// ```
/// use knit_codec::{Codecs, External, ExternalCodec, JsonText};
///
/// #[derive(Debug, PartialEq)]
/// struct Celsius(String);
/// # impl ExternalCodec for Celsius {
/// #     const ID: &'static str = "weather.celsius";
/// #     fn to_metadata(&self) -> Result<JsonText, String> { Ok(JsonText(self.0.clone())) }
/// #     fn from_metadata(metadata: &JsonText) -> Result<Self, String> {
/// #         Ok(Self(metadata.0.clone()))
/// #     }
/// # }
/// let codecs = Codecs::new().with::<Celsius>();
/// let value = codecs.decode(&External::new("weather.celsius", "21.5"))?;
/// assert_eq!(value.downcast_ref(), Some(&Celsius("21.5".into())));
/// assert!(codecs.decode(&External::new("weather.kelvin", "1")).is_err());
/// # Ok::<(), knit_codec::DecodeError>(())
/// ```
#[derive(Default)]
pub struct Codecs {
    decoders: BTreeMap<&'static str, Decoder>,
}

type Decoder = fn(&External) -> Result<Box<dyn Any + Send>, DecodeError>;

impl Codecs {
    /// No codecs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// These and the codec of `T`, which takes the place of another one with the same id.
    #[must_use]
    pub fn with<T: ExternalCodec + Send + 'static>(mut self) -> Self {
        self.decoders.insert(T::ID, |External { codec, metadata }| {
            let value: T = read(codec.clone(), metadata.clone())?;
            Ok(Box::new(value))
        });
        self
    }

    /// Ids of the codecs, in alphabetical order.
    pub fn ids(&self) -> impl Iterator<Item = &'static str> {
        self.decoders.keys().copied()
    }

    /// Whether there is a codec with this id.
    #[must_use]
    pub fn knows(&self, codec: &str) -> bool {
        self.decoders.contains_key(codec)
    }

    /// The value that the codec of `external` makes of it.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Codec`] when there is no such codec here, [`DecodeError::External`] when it
    /// refuses the metadata.
    pub fn decode(&self, external: &External) -> Result<Box<dyn Any + Send>, DecodeError> {
        match self.decoders.get(external.codec.as_str()) {
            Some(decode) => decode(external),
            None => Err(DecodeError::Codec {
                expected: if self.decoders.is_empty() {
                    "none: no codec is registered".into()
                } else {
                    self.ids().collect::<alloc::vec::Vec<_>>().join(", ")
                },
                found: shortened(&external.codec),
            }),
        }
    }
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

fn read<T: ExternalCodec>(codec: String, metadata: String) -> Result<T, DecodeError> {
    T::from_metadata(&JsonText(metadata)).map_err(|reason| DecodeError::External { codec, reason })
}

/// The start of a codec id that a peer chose, for a message.
fn shortened(codec: &str) -> String {
    codec.get(..codec.floor_char_boundary(SHOWN_BYTES)).unwrap_or(codec).to_string()
}

/// Longest codec id in a message, in bytes.
const SHOWN_BYTES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Even(u32);

    impl ExternalCodec for Even {
        const ID: &'static str = "test.even";

        fn to_metadata(&self) -> Result<JsonText, String> {
            if self.0.is_multiple_of(2) {
                Ok(JsonText(self.0.to_string()))
            } else {
                Err("odd".into())
            }
        }

        fn from_metadata(metadata: &JsonText) -> Result<Self, String> {
            metadata.0.parse().map(Self).map_err(|_| "no number".into())
        }
    }

    #[test]
    fn a_codec_says_why_it_refuses() {
        let limits = Limits::default();
        let refused = Coded(Even(3)).encode(&limits).unwrap_err();
        assert_eq!(refused.to_string(), "codec `test.even`: odd");
        let payload = External::new("test.even", "null").encode_owned(&limits).unwrap();
        let refused = Coded::<Even>::decode(payload, &limits).unwrap_err();
        assert_eq!(refused.to_string(), "codec `test.even`: no number");
        let payload = External::new("x".repeat(300), "1").encode_owned(&limits).unwrap();
        let DecodeError::Codec { expected, found } =
            Coded::<Even>::decode(payload, &limits).unwrap_err()
        else {
            panic!()
        };
        assert_eq!((expected.as_str(), found.len()), ("codec `test.even`", 100));
    }

    #[test]
    fn a_registry_finds_the_codec_by_its_id() {
        let codecs = Codecs::new();
        let refused = codecs.decode(&External::new("a", "1")).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "external payload of codec `a`, expected none: no codec is registered"
        );
        let codecs = codecs.with::<Even>();
        assert!(codecs.knows("test.even") && !codecs.knows("a"));
        let value = codecs.decode(&External::new("test.even", "4")).unwrap();
        assert_eq!(value.downcast_ref(), Some(&Even(4)));
        let refused = codecs.decode(&External::new("a", "1")).unwrap_err();
        assert_eq!(refused.to_string(), "external payload of codec `a`, expected test.even");
    }
}
