//! Errors as values: what a task failed with.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::any::Any;
use core::error::Error;
use core::fmt;

use knit_proto::Tag;

use crate::codec::{admit, refusal};
use crate::utf8::utf8_str;
use crate::{Decode, DecodeError, Encode, EncodeError, Limits, Payload, error_text};

/// An error that crosses: a name, a message, perhaps a stack, perhaps a cause, perhaps fields.
///
/// Shows itself as `name: message`; as the one of the two that is not empty; and as the message alone when
/// the name is `Error`.
///
/// # Examples
///
/// ```
/// use knit_codec::ErrorValue;
///
/// let error = ErrorValue::new("TypeError", "no such file")
///     .with_cause(ErrorValue::new("Error", "disk is gone"));
/// assert_eq!(error.to_string(), "TypeError: no such file");
///
/// let messages: Vec<_> = error.chain().map(ErrorValue::message).collect();
/// assert_eq!(messages, ["no such file", "disk is gone"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorValue {
    name: String,
    message: String,
    stack: Option<Box<str>>,
    cause: Option<Cause>,
    /// Boxed: most errors have none, and errors are parts of results.
    fields: Option<Box<Fields>>,
}

/// Names and JSON texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Fields(Vec<(String, String)>);

/// What an error names as its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Another error.
    Error(Box<ErrorValue>),
    /// JSON text of a cause that is no error. Encoding checks it. Text of an object with string
    /// members `name` and `message` decodes as [`Cause::Error`].
    Value(String),
}

impl ErrorValue {
    /// Name of an error that is a panic.
    pub const PANIC: &str = "knit.panic";

    /// An error without stack and cause.
    #[must_use]
    pub fn new(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self { name: name.into(), message: message.into(), stack: None, cause: None, fields: None }
    }

    /// The error and its [sources](Error::source), each with the name `Error` and its `Display`
    /// text as message; those that are `ErrorValue`s keep all they have. Sources beyond the
    /// default [`Limits::causes`] are left out.
    ///
    /// # Examples
    ///
    /// ```
    /// use knit_codec::ErrorValue;
    ///
    /// let error = "x".parse::<u8>().unwrap_err();
    /// let expected = ErrorValue::new("Error", "invalid digit found in string");
    /// assert_eq!(ErrorValue::from_error(&error), expected);
    /// ```
    #[must_use]
    pub fn from_error(error: &(dyn Error + 'static)) -> Self {
        Self::from_sources(error, &Limits::DEFAULT)
    }

    /// The error that a panic is: the name [`Self::PANIC`], and as message the text that it was raised
    /// with, of which at most 4 KiB are kept.
    ///
    /// # Examples
    ///
    /// ```
    /// use knit_codec::ErrorValue;
    ///
    /// let panic = std::panic::catch_unwind(|| panic!("no {}", 7)).unwrap_err();
    /// assert_eq!(ErrorValue::from_panic(&*panic), ErrorValue::new("knit.panic", "no 7"));
    /// ```
    #[must_use]
    pub fn from_panic(panic: &(dyn Any + Send)) -> Self {
        // A reference to what `catch_unwind` gives is one too, of a box with the panic in it.
        if let Some(inner) = panic.downcast_ref::<Box<dyn Any + Send>>() {
            return Self::from_panic(&**inner);
        }
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("the task panicked with a value that is no text");
        let (kept, _) = text.split_at(text.floor_char_boundary(PANIC_BYTES));
        Self::new(Self::PANIC, kept)
    }

    /// The error and as many of its sources as `limits` allow. An error may be its own source, so
    /// the walk counts.
    pub(crate) fn from_sources(error: &(dyn Error + 'static), limits: &Limits) -> Self {
        // Each is a level of the text, as the outermost is.
        let most = limits.cause_limit().min(limits.depth.saturating_sub(1)) as usize;
        let mut outermost = Self::from_one(error);
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(error) = source
            && causes.len() < most
        {
            causes.push(Self::from_one(error));
            source = error.source();
        }
        let nested = causes.into_iter().rev().reduce(|inner, outer| outer.with_cause(inner));
        if let Some(cause) = nested {
            outermost = outermost.with_cause(cause);
        }
        outermost
    }

    /// The error alone, without its sources.
    fn from_one(error: &(dyn Error + 'static)) -> Self {
        match error.downcast_ref::<Self>() {
            Some(value) => Self {
                name: value.name.clone(),
                message: value.message.clone(),
                stack: value.stack.clone(),
                cause: value
                    .cause
                    .as_ref()
                    .filter(|cause| matches!(cause, Cause::Value(_)))
                    .cloned(),
                fields: value.fields.clone(),
            },
            None => Self::new(DEFAULT_NAME, error.to_string()),
        }
    }

    /// The error with this cause.
    #[must_use]
    pub fn with_cause(self, cause: impl Into<Cause>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    /// The error with this stack trace.
    #[must_use]
    pub fn with_stack(self, stack: impl Into<String>) -> Self {
        Self { stack: Some(stack.into().into_boxed_str()), ..self }
    }

    /// The error with this field, in place of one of the same name: what else it has to say, as JSON
    /// text. Encoding checks the text, and that the name is not `name`, `message`, `stack` or `cause`.
    ///
    /// # Examples
    ///
    /// ```
    /// use knit_codec::ErrorValue;
    ///
    /// let error = ErrorValue::new("SystemError", "no such file").with_field("errno", "2");
    /// assert_eq!(error.field("errno"), Some("2"));
    /// ```
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>, json: impl Into<String>) -> Self {
        let (name, json) = (name.into(), json.into());
        let Fields(fields) = &mut **self.fields.get_or_insert_default();
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, value)) => *value = json,
            None => fields.push((name, json)),
        }
        self
    }

    /// The error with these fields, whose names differ.
    pub(crate) fn with_new_fields(self, fields: Vec<(String, String)>) -> Self {
        let fields = (!fields.is_empty()).then(|| Box::new(Fields(fields)));
        Self { fields, ..self }
    }

    /// The error as one that stands for several, as `AggregateError` in JavaScript does: they are its
    /// field `errors`.
    ///
    /// # Errors
    ///
    /// [`EncodeError`], when one of them has no encoding.
    ///
    /// # Examples
    ///
    /// ```
    /// use knit_codec::ErrorValue;
    ///
    /// let errors = [ErrorValue::new("Error", "a"), ErrorValue::new("Error", "b")];
    /// let all = ErrorValue::new("AggregateError", "all failed").with_errors(&errors)?;
    /// assert_eq!(all.errors().as_deref(), Some(&errors[..]));
    /// # Ok::<(), knit_codec::EncodeError>(())
    /// ```
    pub fn with_errors<'a>(
        self,
        errors: impl IntoIterator<Item = &'a Self>,
    ) -> Result<Self, EncodeError> {
        let texts = errors.into_iter().map(|error| error_text::write(error, &Limits::DEFAULT));
        let texts = texts.collect::<Result<Vec<_>, _>>()?.join(",");
        Ok(self.with_field(ERRORS, ["[", &texts, "]"].concat()))
    }

    /// The errors that this one stands for: those of its field `errors`, where that is an array of
    /// errors, at most 1024, each within the default [`Limits`].
    #[must_use]
    pub fn errors(&self) -> Option<Vec<Self>> {
        error_text::parse_array(self.field(ERRORS)?)
    }

    /// Class of the error, such as `TypeError`; `Error` where nothing else is known.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What went wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Stack trace, as text of the language that made it.
    #[must_use]
    pub fn stack(&self) -> Option<&str> {
        self.stack.as_deref()
    }

    /// The cause, an error or not.
    #[must_use]
    pub const fn cause(&self) -> Option<&Cause> {
        self.cause.as_ref()
    }

    /// JSON text of the field with this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields().find(|(known, _)| *known == name).map(|(_, json)| json)
    }

    /// Names and JSON texts of the fields, in the order in which they are sent.
    #[must_use]
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let fields = self.fields.as_deref().map_or(&[][..], |Fields(fields)| fields);
        fields.iter().map(|(name, json)| (name.as_str(), json.as_str()))
    }

    /// This error, the error that caused it, and so on.
    #[must_use]
    pub const fn chain(&self) -> Chain<'_> {
        Chain { next: Some(self) }
    }

    fn cause_error(&self) -> Option<&Self> {
        match self.cause.as_ref()? {
            Cause::Error(error) => Some(error),
            Cause::Value(_) => None,
        }
    }
}

/// `name: message`. The name `Error`, which every error has that chose no other, is left out.
impl fmt::Display for ErrorValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.as_str(), self.message.as_str()) {
            (name, "") => f.write_str(name),
            ("" | "Error", message) => f.write_str(message),
            (name, message) => write!(f, "{name}: {message}"),
        }
    }
}

impl Error for ErrorValue {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause_error().map(|error| error as _)
    }
}

impl From<ErrorValue> for Cause {
    fn from(error: ErrorValue) -> Self {
        Self::Error(Box::new(error))
    }
}

/// Errors of a cause chain, outermost first. Made by [`ErrorValue::chain`].
#[derive(Clone, Debug)]
pub struct Chain<'a> {
    next: Option<&'a ErrorValue>,
}

impl<'a> Iterator for Chain<'a> {
    type Item = &'a ErrorValue;

    fn next(&mut self) -> Option<Self::Item> {
        let error = self.next?;
        self.next = error.cause_error();
        Some(error)
    }
}

impl Encode for ErrorValue {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        let text = error_text::write(self, limits)?;
        Ok(Payload::bytes(Tag::ERROR, text.into_bytes()))
    }
}

impl Decode for ErrorValue {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        if payload.tag() != Tag::ERROR {
            return Err(refusal(Self::expected(), payload.tag()));
        }
        admit(&payload, limits)?;
        error_text::parse(utf8_str(payload.as_bytes())?, limits)
    }

    fn expected() -> &'static str {
        "an error"
    }
}

/// Any error: it and its sources, as [`ErrorValue::from_error`] tells. Sources beyond the limits of causes and
/// depth are left out.
impl Encode for Box<dyn Error + Send + Sync> {
    fn encode(&self, limits: &Limits) -> Result<Payload<'_>, EncodeError> {
        ErrorValue::from_sources(&**self, limits).encode_owned(limits)
    }
}

/// An [`ErrorValue`].
impl Decode for Box<dyn Error + Send + Sync> {
    fn decode(payload: Payload<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        Ok(ErrorValue::decode(payload, limits)?.into())
    }

    fn expected() -> &'static str {
        ErrorValue::expected()
    }
}

/// Name of the field with the errors that one stands for.
const ERRORS: &str = "errors";

/// Longest text of a panic that is kept, in bytes.
const PANIC_BYTES: usize = 4 << 10;

/// Name of an error that has none of its own.
pub(crate) const DEFAULT_NAME: &str = "Error";

#[cfg(test)]
mod tests {
    use super::*;

    /// An error that is its own source.
    #[derive(Debug)]
    struct Endless;

    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("again")
        }
    }

    impl Error for Endless {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }

    #[test]
    fn endless_sources_stop_at_the_cause_limit() {
        let value = ErrorValue::from_error(&Endless);
        assert_eq!(value.chain().count(), 1 + 16);
        assert!(value.encode(&Limits::default()).is_ok());
        let few = Limits::default().with_causes(0);
        assert_eq!(ErrorValue::from_sources(&Endless, &few), ErrorValue::new("Error", "again"));
        let all = Limits::default().with_causes(u32::MAX);
        let deep = all.with_depth(u32::MAX);
        assert_eq!(ErrorValue::from_sources(&Endless, &deep).chain().count(), 1 + 256);
        // Each takes a level.
        for limits in [all, Limits::default().with_depth(4), Limits::default().with_depth(1)] {
            let value = ErrorValue::from_sources(&Endless, &limits);
            assert_eq!(value.chain().count(), limits.depth as usize);
            assert!(value.encode(&limits).is_ok());
        }
    }

    #[test]
    fn error_value_survives_the_way_through_a_source() {
        let value = ErrorValue::new("TypeError", "bad")
            .with_stack("at x")
            .with_field("code", "7")
            .with_cause(ErrorValue::new("Error", "deep").with_cause(Cause::Value("[1]".into())));
        assert_eq!(ErrorValue::from_error(&value), value);
    }

    #[test]
    fn text_of_a_panic_is_cut_at_a_character() {
        let message =
            |panic: &(dyn Any + Send)| ErrorValue::from_panic(panic).message().to_string();
        assert_eq!(message(&"no"), "no");
        assert_eq!(message(&String::from("no")), "no");
        assert_eq!(message(&7_u8), "the task panicked with a value that is no text");
        let long = "x".to_string() + &"é".repeat(PANIC_BYTES);
        assert_eq!(message(&long).len(), PANIC_BYTES - 1);
    }

    #[test]
    fn any_boxed_error_crosses_with_its_sources() {
        let limits = Limits::default();
        let boxed: Box<dyn Error + Send + Sync> =
            ErrorValue::new("A", "a").with_cause(ErrorValue::new("B", "b")).into();
        let payload = boxed.encode(&limits).unwrap();
        let back = Box::<dyn Error + Send + Sync>::decode(payload, &limits).unwrap();
        assert_eq!(
            (back.to_string(), back.source().unwrap().to_string()),
            ("A: a".into(), "B: b".into())
        );
        let boxed: Box<dyn Error + Send + Sync> = "text".into();
        let payload = boxed.encode(&limits).unwrap();
        assert_eq!(ErrorValue::decode(payload, &limits), Ok(ErrorValue::new("Error", "text")));
    }

    #[test]
    fn errors_of_an_error_nest_and_anything_else_stays_a_field() {
        let inner = ErrorValue::new("AggregateError", "two")
            .with_errors(&[ErrorValue::new("A", "a").with_cause(ErrorValue::new("B", "b"))])
            .unwrap();
        let outer = ErrorValue::new("AggregateError", "one").with_errors([&inner]).unwrap();
        let limits = Limits::default();
        let back = ErrorValue::decode(outer.encode(&limits).unwrap(), &limits).unwrap();
        assert_eq!(back, outer);
        assert_eq!(back.errors().unwrap()[0].errors().unwrap()[0].chain().count(), 2);
        assert_eq!(ErrorValue::new("A", "").errors(), None);
        assert_eq!(ErrorValue::new("A", "").with_errors([]).unwrap().errors(), Some(Vec::new()));
        for other in [
            "7",
            "{}",
            "[1]",
            r#"[{"name":"A"}]"#,
            r#"[{"name":"A","message":""},null]"#,
            "[",
            "[{",
        ] {
            assert_eq!(
                ErrorValue::new("A", "").with_field("errors", other).errors(),
                None,
                "{other}"
            );
        }
    }

    #[test]
    fn source_walks_to_causes_that_are_errors() {
        let value = ErrorValue::new("A", "a").with_cause(ErrorValue::new("B", "b"));
        assert_eq!(value.source().unwrap().to_string(), "B: b");
        assert!(value.source().unwrap().source().is_none());
        let value = ErrorValue::new("A", "a").with_cause(Cause::Value("1".into()));
        assert!(value.source().is_none());
        assert!(value.cause().is_some());
    }

    #[test]
    fn display_leaves_out_empty_parts() {
        assert_eq!(ErrorValue::new("A", "b").to_string(), "A: b");
        assert_eq!(ErrorValue::new("A", "").to_string(), "A");
        assert_eq!(ErrorValue::new("", "b").to_string(), "b");
    }
}
