//! The figures that the project holds itself to.

use crate::cases;
use crate::experiments::death::{self, Deaths};
use crate::experiments::idle::Idle;
use crate::run::Outcome;
use std::fmt;

/// Most that a header-only call through the mailbox may take, in ping-pongs.
pub const HEADER: f64 = 1.75;

/// Most that a typed call through a pool may take, in ping-pongs.
pub const CALL: f64 = 4.0;

/// Most that a call of a Knitting host may take, in calls through a lane without stamps.
pub const KNITTING: f64 = 1.3;

/// Most that the start of a worker for a Knitting host may take, to its first answer, in milliseconds.
pub const KNITTING_FIRST: f64 = 20.0;

/// What was measured, beside the bars. Information: nothing fails on it.
#[derive(Clone, Copy, Debug)]
pub struct Bars<'a> {
    /// The cases that were measured.
    pub outcomes: &'a [Outcome],
    /// The deaths, when that was measured.
    pub deaths: Option<&'a Deaths>,
    /// The idle pool, when that was measured.
    pub idle: Option<&'a Idle>,
}

impl Bars<'_> {
    /// Whether there is anything to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let has = |name| self.find(name).is_some();
        let cases =
            has(cases::HEADER) || has(cases::CALL) || has(cases::BLOCKING) && has(cases::FUTEX);
        let cases =
            cases || has(cases::KNITTING_FIRST) || has(cases::KNITTING) && has(cases::UNSTAMPED);
        !cases && self.deaths.is_none() && self.idle.is_none()
    }

    fn find(&self, name: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.name == name)
    }

    fn ratio(&self, f: &mut fmt::Formatter<'_>, what: &str, name: &str, most: f64) -> fmt::Result {
        let Some(outcome) = self.find(name) else { return Ok(()) };
        let ratio = outcome.ratio();
        let noisy = if outcome.ping_pong.differ() { " (noisy)" } else { "" };
        let figure = format!("{ratio:.2} x the ping-pong{noisy}");
        line(f, ratio <= most, what, &figure, &format!("{most} x"))
    }
}

impl fmt::Display for Bars<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bars:")?;
        self.ratio(f, "header-only call, mailbox", cases::HEADER, HEADER)?;
        self.ratio(f, "Pool::call with a number", cases::CALL, CALL)?;
        if let (Some(call), Some(futex)) = (self.find(cases::BLOCKING), self.find(cases::FUTEX)) {
            let ratio = call.sample.percentile(50.0) / futex.sample.percentile(50.0);
            write!(
                f,
                "\n    {:<5} {:<30}{ratio:.2} x peer/futex",
                "-", "Pool::call, both sides asleep"
            )?;
        }
        if let (Some(call), Some(native)) =
            (self.find(cases::KNITTING), self.find(cases::UNSTAMPED))
        {
            // Both in ping-pongs of their own: the machine changes its pace between cases.
            let ratio = call.ratio() / native.ratio();
            let figure = format!("{ratio:.2} x {}", cases::UNSTAMPED);
            line(
                f,
                ratio <= KNITTING,
                "call of a Knitting host",
                &figure,
                &format!("{KNITTING} x"),
            )?;
        }
        if let Some(first) = self.find(cases::KNITTING_FIRST) {
            let ms = first.sample.percentile(99.0) / 1e6;
            let (figure, bar) = (format!("{ms:.1} ms (p99)"), format!("{KNITTING_FIRST} ms"));
            line(f, ms <= KNITTING_FIRST, "its worker's first answer", &figure, &bar)?;
        }
        if let Some(deaths) = self.deaths {
            let longest = deaths.failed.last().map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
            let figure = format!(
                "{longest:.1} ms at most, {}, {}",
                if deaths.all_typed() { "all typed" } else { "NOT all typed" },
                if deaths.retried == 0 { "next call succeeds" } else { "next call FAILS" },
            );
            let bar = format!("{} ms", death::BAR.as_millis());
            line(f, deaths.passes(), "death in the middle of calls", &figure, &bar)?;
        }
        if let Some(idle) = self.idle {
            let figure =
                format!("{} ms of processor time at most for a process", idle.most().as_millis());
            line(
                f,
                idle.passes(),
                "idle pool",
                &figure,
                &format!("one tick, {} ms", idle.tick.as_millis()),
            )?;
        }
        Ok(())
    }
}

fn line(
    f: &mut fmt::Formatter<'_>,
    passes: bool,
    what: &str,
    figure: &str,
    bar: &str,
) -> fmt::Result {
    let verdict = if passes { "pass" } else { "FAIL" };
    write!(f, "\n    {verdict:<5} {what:<30}{figure}; bar: {bar}")
}
