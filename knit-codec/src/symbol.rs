//! Global symbols.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use knit_proto::Tag;

use crate::codec::{Placed, fits_text};
use crate::{Decode, DecodeError, Encode, EncodeError, INLINE_BYTES, Limits, Payload};

pub(crate) const SYMBOL: Placed = Placed::new(Tag::SYMBOL_INLINE, Tag::SYMBOL_ARENA);

/// A global symbol, by its key: what `Symbol.for(key)` makes in JavaScript. PAY-19.
///
/// # Examples
///
/// ```
/// use knit_codec::{Decode, Encode, Limits, Symbol};
///
/// let limits = Limits::default();
/// let payload = Symbol::from("app.token").encode_owned(&limits)?;
/// assert_eq!(Symbol::decode(payload, &limits)?.to_string(), "Symbol(app.token)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(pub String);

impl From<String> for Symbol {
    fn from(key: String) -> Self {
        Self(key)
    }
}

impl From<&str> for Symbol {
    fn from(key: &str) -> Self {
        Self(key.into())
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbol({})", self.0)
    }
}

impl Encode for Symbol {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        let tag = tag(&self.0, limits)?;
        Ok(Payload::bytes(tag, self.0.as_bytes()))
    }

    fn encode_owned(self, limits: &Limits) -> Result<Payload<'static>, EncodeError> {
        let tag = tag(&self.0, limits)?;
        Ok(Payload::bytes(tag, self.0.into_bytes()))
    }
}

impl Decode for Symbol {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        SYMBOL.text_of(payload, Self::expected(), limits).map(Cow::into_owned).map(Self)
    }

    fn expected() -> &'static str {
        "a symbol"
    }
}

/// The tag of a symbol with this key. PAY-7: three bytes count for each UTF-16 unit, whatever it
/// takes.
fn tag(key: &str, limits: &Limits) -> Result<Tag, EncodeError> {
    // Text has at least a third as many UTF-16 units as bytes: a long key need not be counted.
    let units = if key.len() <= INLINE_BYTES { key.encode_utf16().count() } else { key.len() };
    let tag = SYMBOL.tag(units.saturating_mul(3));
    fits_text(tag, key.len(), limits)?;
    Ok(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PAY-7.
    #[test]
    fn three_bytes_count_for_each_utf16_unit() {
        let limits = Limits::default();
        let tag = |key: String| Symbol(key).encode_owned(&limits).unwrap().tag();
        assert_eq!(tag("a".repeat(170)), Tag::SYMBOL_INLINE);
        assert_eq!(tag("a".repeat(171)), Tag::SYMBOL_ARENA);
        assert_eq!(tag("€".repeat(170)), Tag::SYMBOL_INLINE);
        assert_eq!(tag("€".repeat(171)), Tag::SYMBOL_ARENA);
        assert_eq!(tag("😀".repeat(85)), Tag::SYMBOL_INLINE);
        assert_eq!(tag("😀".repeat(86)), Tag::SYMBOL_ARENA);
        assert_eq!(tag(String::new()), Tag::SYMBOL_INLINE);
    }

    #[test]
    fn a_symbol_is_no_string() {
        let limits = Limits::default();
        let payload = Symbol::from("a").encode_owned(&limits).unwrap();
        let refused = DecodeError::WrongType { expected: "a string", found: Tag::SYMBOL_INLINE };
        assert_eq!(String::decode(payload.clone(), &limits), Err(refused));
        assert_eq!(Symbol::decode(payload, &limits), Ok(Symbol::from("a")));
    }
}
