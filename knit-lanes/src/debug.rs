//! Debug output: what pools and workers do, as events of `tracing` and, for [`DEBUG_ENV`], as lines on
//! standard error.
//!
//! | word | target | events |
//! | --- | --- | --- |
//! | `host` | [`HOST`] | calls: submitted, queued, handed to a lane, answered, failed, given up |
//! | `lifecycle` | [`LIFECYCLE`] | workers: started, ready, asked to end, ended, replaced, poisoned; the pool drains |
//! | `signals` | [`SIGNALS`] | wakes, parks, abort signals |
//! | `imports` | [`IMPORTS`] | what a worker has: tasks by name and id, limits, names of the variables of its environment |
//!
//! Workers that die or break the protocol are warnings. What happens for each call is of the level `TRACE`, the rest
//! `DEBUG`. Nothing is said for a poll.
//!
//! A program with a `tracing` subscriber of its own has these events there, filtered as it says. Without one,
//! `KNIT_DEBUG=host,lifecycle` or `KNIT_DEBUG=*` prints them, in the host and in its worker processes:
//!
//! ```text
//! knit 3.107 ms [host] lifecycle: worker started lane=0 epoch=1 pid=4711
//! knit 1.530 ms [lane 0 epoch 1] imports: task id=0 name="square" served=true
//! ```
//!
//! Both happen under the lock of a lane: a subscriber must not use the pool that it is told of, nor panic.
//!
//! The time is that since the start of the process that prints the line. The variable is read when the first pool of
//! the process starts, and when a worker process does.

use core::cell::Cell;
use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};
use core::time::Duration;
use rustix::time::{ClockId, clock_gettime};
use std::io::Write;
use std::sync::{LazyLock, Once, OnceLock};
use std::time::Instant;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::NoSubscriber;

/// Environment variable that turns lines on standard error on: words of the table above, with commas between
/// them, or `*` for all.
pub const DEBUG_ENV: &str = "KNIT_DEBUG";

/// Target of events of calls.
pub const HOST: &str = "knit::host";
/// Target of events of workers and of the pool.
pub const LIFECYCLE: &str = "knit::lifecycle";
/// Target of events of sleeping and waking.
pub const SIGNALS: &str = "knit::signals";
/// Target of events of what a worker has.
pub const IMPORTS: &str = "knit::imports";

/// The words of [`DEBUG_ENV`]; the position of one is its bit.
const WORDS: [(&str, &str); 4] =
    [("host", HOST), ("lifecycle", LIFECYCLE), ("signals", SIGNALS), ("imports", IMPORTS)];

/// The words that are printed. 0 for none, and before anybody has looked.
static PRINTED: AtomicU8 = AtomicU8::new(0);

/// Whom this process works for, if it is a worker process.
static PROCESS: OnceLock<Worker> = OnceLock::new();

thread_local! {
    /// Whom this thread works for, if it is a worker.
    static THREAD: Cell<Option<Worker>> = const { Cell::new(None) };
}

/// The lane that a worker serves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worker {
    pub(crate) lane: usize,
    pub(crate) epoch: u32,
}

/// Says something, once as an event and once as a line. Every value is shown as it displays.
macro_rules! say {
    ($level:ident, $target:ident, $text:literal $(, $field:ident = $value:expr)* $(,)?) => {
        // Evaluates each value once.
        match ($($value,)*) {
            ($($field,)*) => {
                tracing::event!(
                    target: $crate::debug::$target,
                    tracing::Level::$level,
                    $($field = $field,)*
                    $text
                );
                if $crate::debug::prints($crate::debug::$target) {
                    let line = format_args!(
                        concat!($text, $(" ", stringify!($field), "={}"),*) $(, $field)*
                    );
                    $crate::debug::print($crate::debug::$target, line);
                }
            }
        }
    };
}
pub(crate) use say;

/// Whether anybody might want to hear what happens for each call: to be asked before anything is prepared
/// for [`say`]. Two loads.
#[inline]
pub(crate) fn on() -> bool {
    // Relaxed: a flag for output.
    PRINTED.load(Ordering::Relaxed) != 0 || LevelFilter::current() >= LevelFilter::TRACE
}

/// Whether lines of this target are printed.
pub(crate) fn prints(target: &str) -> bool {
    let printed = PRINTED.load(Ordering::Relaxed);
    printed != 0
        && WORDS.iter().zip(0..).any(|(word, at)| word.1 == target && printed >> at & 1 == 1)
}

/// Prints a line, unless the program has a subscriber, which has been given the event.
#[cold]
pub(crate) fn print(target: &str, what: fmt::Arguments<'_>) {
    static SILENT: Once = Once::new();
    if !tracing::dispatcher::get_default(|dispatch| dispatch.is::<NoSubscriber>()) {
        SILENT.call_once(|| {
            let text = "this program has a tracing subscriber, which is given the events instead";
            write(format_args!("{DEBUG_ENV}: {text}"));
        });
        return;
    }
    let word = target.strip_prefix("knit::").unwrap_or(target);
    let ms = since_start().as_secs_f64() * 1e3;
    match THREAD.get().or_else(|| PROCESS.get().copied()) {
        None => write(format_args!("{ms:.3} ms [host] {word}: {what}")),
        Some(Worker { lane, epoch }) => {
            write(format_args!("{ms:.3} ms [lane {lane} epoch {epoch}] {word}: {what}"));
        }
    }
}

/// One line in one piece, so that those of several processes do not mix. That standard error may be
/// closed does not matter.
fn write(line: fmt::Arguments<'_>) {
    let _ = std::io::stderr().write_all(format!("knit {line}\n").as_bytes());
}

/// Reads [`DEBUG_ENV`], once in a process.
pub(crate) fn begin() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let Some(wanted) = Wanted::from_env() else { return };
        if let Some(warning) = wanted.warning() {
            write(format_args!("{warning}"));
        }
        LazyLock::force(&START);
        PRINTED.store(wanted.bits, Ordering::Relaxed);
    });
}

/// As [`begin`], in a worker process.
pub(crate) fn begin_worker(worker: Worker) {
    // A process serves one lane in its life.
    let _ = PROCESS.set(worker);
    begin();
}

/// Tags the lines of the calling thread, which is a worker.
pub(crate) fn tag_thread(worker: Worker) {
    THREAD.set(Some(worker));
}

/// What [`DEBUG_ENV`] is to be for workers, where it must be another value: the host has warned of the wrong words.
pub(crate) fn for_workers() -> Option<String> {
    Wanted::from_env().filter(|wanted| !wanted.wrong.is_empty()).map(|wanted| wanted.words())
}

/// What a value of [`DEBUG_ENV`] asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    bits: u8,
    wrong: Vec<String>,
}

impl Wanted {
    fn from_env() -> Option<Self> {
        std::env::var_os(DEBUG_ENV).map(|text| Self::parse(&text.to_string_lossy()))
    }

    fn parse(text: &str) -> Self {
        let mut wanted = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match WORDS.iter().position(|(known, _)| *known == word) {
                Some(at) => wanted.bits |= 1 << at,
                None if word == "*" => wanted.bits = u8::MAX >> (8 - WORDS.len()),
                None => wanted.wrong.push(word.to_owned()),
            }
        }
        wanted
    }

    /// The words that are right.
    fn words(&self) -> String {
        let wanted = WORDS.iter().zip(0..).filter(|(_, at)| self.bits >> at & 1 == 1);
        wanted.map(|((word, _), _)| *word).collect::<Vec<_>>().join(",")
    }

    fn warning(&self) -> Option<String> {
        let wrong: Vec<_> = self.wrong.iter().map(|word| format!("{word:?}")).collect();
        let known: Vec<_> = WORDS.iter().map(|(word, _)| *word).collect();
        (!wrong.is_empty()).then(|| {
            let (wrong, known) = (wrong.join(", "), known.join(", "));
            format!("{DEBUG_ENV}: no such word: {wrong}; there are: {known}, and * for all")
        })
    }
}

/// A moment, and how old the process was then.
static START: LazyLock<(Instant, Duration)> = LazyLock::new(|| {
    // Both by the clock that counts from the start of the machine.
    let now = clock_gettime(ClockId::Boottime);
    let now = Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32);
    let ticks = crate::process::creator().start_time;
    let start = Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second());
    // Without `/proc` nobody knows when the process started: then its time begins here.
    let age = if ticks == 0 { Duration::ZERO } else { now.saturating_sub(start) };
    (Instant::now(), age)
});

/// Time since this process started. The start is known to a tick of the system, mostly 10 ms; differences are
/// exact.
fn since_start() -> Duration {
    let (at, age) = *START;
    age + at.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> (String, usize) {
        let wanted = Wanted::parse(text);
        (wanted.words(), wanted.wrong.len())
    }

    #[test]
    fn words_are_read_in_any_order_and_with_blanks() {
        assert_eq!(wanted(""), (String::new(), 0));
        assert_eq!(wanted(" imports , host,,host"), ("host,imports".to_owned(), 0));
        for all in ["*", "signals,*", "host,lifecycle,signals,imports"] {
            assert_eq!(wanted(all), ("host,lifecycle,signals,imports".to_owned(), 0));
        }
    }

    #[test]
    fn wrong_words_are_named_in_one_line_with_those_that_there_are() {
        assert_eq!(Wanted::parse("host").warning(), None);
        let wanted = Wanted::parse("Host,signals,a\nb");
        assert_eq!(wanted.words(), "signals");
        assert_eq!(
            wanted.warning().unwrap(),
            r#"KNIT_DEBUG: no such word: "Host", "a\nb"; there are: host, lifecycle, signals, imports, and * for all"#
        );
    }

    #[test]
    fn the_time_is_that_of_the_process_and_never_goes_back() {
        let times: Vec<_> = (0..100).map(|_| since_start()).collect();
        assert!(times.is_sorted());
        // This process has run for less than an hour, and the machine for longer than it.
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
        assert!(times[0] < Duration::from_secs(3600) && times[0].as_secs_f64() <= uptime + 1.0);
    }
}
