//! What pools of this process say of their workers' lives, with the time of each event.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The warnings of the target `knit::lifecycle`, in their order.
#[derive(Clone, Debug, Default)]
pub struct Overheard(Arc<Mutex<Vec<(Instant, String)>>>);

impl Overheard {
    /// Listens from now on, until the process ends.
    ///
    /// # Panics
    ///
    /// The process has a subscriber already.
    #[must_use]
    pub fn listen() -> Self {
        let overheard = Self::default();
        let subscriber = Listener(overheard.clone());
        tracing::subscriber::set_global_default(subscriber).expect("the only subscriber");
        overheard
    }

    /// How many warnings began with this text.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        self.with(|said| said.iter().filter(|(_, line)| line.starts_with(text)).count())
    }

    /// When a warning that begins with this text was said first, at or after `since`.
    #[must_use]
    pub fn first_after(&self, since: Instant, text: &str) -> Option<Instant> {
        let wanted = |(at, line): &&(Instant, String)| *at >= since && line.starts_with(text);
        self.with(|said| said.iter().find(wanted).map(|(at, _)| *at))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Vec<(Instant, String)>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// No span is opened by what is listened to.
struct Listener(Overheard);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == knit_lanes::debug::LIFECYCLE && *metadata.level() == Level::WARN
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let (at, mut line) = (Instant::now(), Line::default());
        event.record(&mut line);
        self.0.with(|said| said.push((at, line.message + &line.fields)));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// An event as `message name=value ...`.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A string takes whatever is written.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
