//! What a round trip costs: calls of `square`, beside a limit and a rival measured in the same run.
//!
//! One worker on one processor, the caller on another, as the two processes of the floors. Each way
//! is timed twice: for the mean the clock is read so rarely that it does not count, for percentiles
//! before and after every round trip, and what that adds is not taken off again.
//!
//! The limit is the floor that nothing on this machine can beat: with two processors a cache line
//! that goes there and back, with one a futex on which both sides block. A ping-pong that spins has
//! to wait for the scheduler there; it is shown all the same.

use super::DRAIN_TIMEOUT;
use super::error::{DemoError, call, check};
use super::screen::{self, Screen};
use super::table::{Row, Table, time};
use super::tasks::{self, Demo};
use core::time::Duration;
use knit_cli::floor::{Cpus, Floor, Plan, Sample};
use knit_lanes::{Call, Pool};
use rustix::thread::{CpuSet, Pid, sched_setaffinity};
use std::collections::VecDeque;
use std::time::Instant;

/// Calls at once in the second measurement of the pool.
const IN_FLIGHT: usize = 100;

/// Figures with a [`Figures::disturbance`] beyond this cannot be compared.
const CALM: f64 = 1.5;

/// Measures and shows the table.
///
/// # Errors
///
/// A call or a measurement failed.
pub fn run(quick: bool, screen: &mut Screen) -> Result<(), DemoError> {
    let cpus = Cpus::choose()?;
    let effort = if quick { Effort::quick(cpus) } else { Effort::full(cpus) };
    let bench = Bench::start(cpus)?;
    screen.heading(format_args!(
        "Round trips: square(n) with one worker, beside a limit and a rival"
    ))?;
    screen.line(format_args!("  {}", bench.place()))?;

    let mut figures = bench.measure(&effort)?;
    for _ in 1..effort.attempts {
        if figures.disturbance() < CALM {
            break;
        }
        let again = bench.measure(&effort)?;
        if again.disturbance() < figures.disturbance() {
            figures = again;
        }
    }
    show(&figures, screen)
}

/// How much is measured.
struct Effort {
    /// For calls.
    calls: Plan,
    /// For limit and rival.
    floors: Plan,
    /// How often all of it is measured when the machine is restless.
    attempts: u32,
}

impl Effort {
    fn full(cpus: Cpus) -> Self {
        let budget = Duration::from_millis(700);
        let calls = Plan { repetitions: 7, rounds: 100_000, budget, stretch: None, cpus };
        Self { calls, floors: Plan::quick(cpus), attempts: 2 }
    }

    fn quick(cpus: Cpus) -> Self {
        let budget = Duration::from_millis(60);
        let calls = Plan { repetitions: 3, rounds: 5_000, budget, stretch: None, cpus };
        Self { calls, floors: calls, attempts: 1 }
    }
}

/// The same, with every round trip timed on its own.
fn one_by_one(plan: &Plan) -> Plan {
    Plan { stretch: Some(1), ..*plan }
}

/// A pool with one worker on the second processor.
struct Bench {
    pool: Pool,
    demo: Demo,
    cpus: Cpus,
}

/// The same way to get an answer, timed for its mean and for its percentiles.
struct Figure {
    means: Sample,
    singles: Sample,
}

/// All that was measured.
struct Figures {
    /// The limit, before and after the rest.
    before: Figure,
    after: Sample,
    /// Spinning on one processor, when there is only one.
    one_processor: Option<Figure>,
    alone: Figure,
    in_flight: Sample,
    socket: Figure,
}

impl Bench {
    fn start(cpus: Cpus) -> Result<Self, DemoError> {
        let table = tasks::table();
        // Started before this thread is pinned: a pool takes what it may use from where it starts.
        let pool = Pool::builder()
            .processes(1)
            .drain_timeout(DRAIN_TIMEOUT)
            .start(table.tasks)
            .map_err(DemoError::Start)?;
        if let Some((_, there)) = cpus.pair() {
            let mut only = CpuSet::new();
            only.set(there);
            for id in pool.worker_ids() {
                let worker = i32::try_from(id).ok().and_then(Pid::from_raw);
                // Without an id the call would pin this thread.
                if worker.is_some() {
                    sched_setaffinity(worker, &only)
                        .map_err(|errno| DemoError::Pin(errno.into()))?;
                }
            }
        }
        Ok(Self { pool, demo: table.handles, cpus })
    }

    /// Where the two processes run.
    fn place(&self) -> String {
        let worker = screen::processes("worker", &self.pool.worker_ids());
        match self.cpus.pair() {
            Some((here, there)) => {
                format!("{worker}, on processor {there}; caller on processor {here}")
            }
            None => format!("{worker}; one processor for it and the caller"),
        }
    }

    fn measure(&self, effort: &Effort) -> Result<Figures, DemoError> {
        let floor = |floor: Floor| -> Result<Figure, DemoError> {
            let means = floor.measure(&effort.floors)?;
            Ok(Figure { means, singles: floor.measure(&one_by_one(&effort.floors))? })
        };
        let (limit, one_processor) = match self.cpus.pair() {
            Some(_) => (Floor::PingPong, None),
            None => (Floor::Futex, Some(floor(Floor::PingPong)?)),
        };
        let before = floor(limit)?;
        let pinned = self.cpus.pin_here()?;
        let alone = Figure {
            means: self.alone(&effort.calls)?,
            singles: self.alone(&one_by_one(&effort.calls))?,
        };
        let in_flight = self.in_flight(&effort.calls)?;
        drop(pinned);
        let socket = floor(Floor::UnixSocket)?;
        let after = limit.measure(&effort.floors)?;
        Ok(Figures { before, after, one_processor, alone, in_flight, socket })
    }

    /// One call at a time.
    fn alone(&self, plan: &Plan) -> Result<Sample, DemoError> {
        let mut number = 0.0;
        Sample::collect(plan, |rounds| {
            for _ in 0..rounds {
                number += 1.0;
                answer(number, self.pool.call(self.demo.square, number))?;
            }
            Ok(())
        })
    }

    /// The oldest of [`IN_FLIGHT`] calls is waited for, and another one made.
    fn in_flight(&self, plan: &Plan) -> Result<Sample, DemoError> {
        let mut number = 0.0;
        let mut calls = VecDeque::with_capacity(IN_FLIGHT);
        let sample = Sample::collect(plan, |rounds| {
            for _ in 0..rounds {
                if calls.len() == IN_FLIGHT
                    && let Some((number, oldest)) = calls.pop_front()
                {
                    answer(number, oldest)?;
                }
                number += 1.0;
                calls.push_back((number, self.pool.call(self.demo.square, number)));
            }
            Ok::<_, DemoError>(())
        })?;
        for (number, rest) in calls {
            answer(number, rest)?;
        }
        Ok(sample)
    }
}

fn answer(number: f64, square: Call<f64>) -> Result<(), DemoError> {
    let found = square.wait().map_err(call("square"))?;
    check("square", &found, &(number * number))
}

impl Figure {
    fn row(&self, name: &'static str) -> Row {
        Row {
            name,
            calls: self.means.rounds() + self.singles.rounds(),
            mean: self.means.median(),
            percentiles: Some([50.0, 99.0].map(|percent| self.singles.percentile(percent))),
        }
    }
}

impl Figures {
    /// How much something else has changed the figures, as a factor.
    ///
    /// Two things are seen: limits before and after that differ, because the processors have
    /// moved meanwhile; and a mean far above the median, because another process had the processor.
    fn disturbance(&self) -> f64 {
        self.drift().max(self.delay())
    }

    fn drift(&self) -> f64 {
        let (before, after) = (self.before.means.median(), self.after.median());
        before.max(after) / before.min(after)
    }

    fn delay(&self) -> f64 {
        self.alone.means.median() / self.alone.singles.percentile(50.0)
    }

    /// What was seen of something else that ran meanwhile, if anything.
    fn doubt(&self) -> Option<String> {
        if self.drift() >= CALM {
            let (before, after) = (self.before.means.median(), self.after.median());
            let (before, after) = (time(before), time(after));
            Some(format!("the limit took {before} before and {after} after the calls"))
        } else if self.delay() >= CALM {
            let (mean, median) = (self.alone.means.median(), self.alone.singles.percentile(50.0));
            let (mean, median) = (time(mean), time(median));
            Some(format!("half of the calls took at most {median}, but the mean is {mean}"))
        } else {
            None
        }
    }

    fn table(&self) -> Table {
        let reference = (self.before.means.median() + self.after.median()) / 2.0;
        let limit = self.before.row(match self.one_processor {
            None => "limit: one cache line, there and back",
            Some(_) => "limit: shared futex on one processor",
        });
        let in_flight = &self.in_flight;
        let mut rows = vec![
            self.alone.row("knit, one at a time"),
            Row {
                name: "knit, 100 in flight",
                calls: in_flight.rounds(),
                mean: in_flight.median(),
                percentiles: None,
            },
            Row { mean: reference, calls: limit.calls + self.after.rounds(), ..limit },
            self.socket.row("rival: Unix socket, 8 bytes, blocking"),
        ];
        if let Some(spinning) = &self.one_processor {
            rows.push(spinning.row("one cache line, spinning on one processor"));
        }
        Table { rows, reference }
    }
}

fn show(figures: &Figures, screen: &mut Screen) -> Result<(), DemoError> {
    screen.line(format_args!("{}", figures.table()))?;
    let clock = time(clock_reading());
    screen.line(format_args!(
        "  per call: mean, the clock read rarely; p50, p99: every round trip timed, {clock} of it\n  \
         for reading the clock; ratio: time per call to that of the limit"
    ))?;
    match figures.doubt() {
        None => Ok(()),
        Some(doubt) => screen.line(format_args!(
            "  Do not rely on these figures, run it again: something else ran meanwhile\n  ({doubt})."
        )),
    }
}

/// Nanoseconds that reading the clock takes.
fn clock_reading() -> f64 {
    const READINGS: u32 = 10_000;
    let start = Instant::now();
    let mut last = start;
    for _ in 0..READINGS {
        last = Instant::now();
    }
    last.duration_since(start).as_secs_f64() * 1e9 / f64::from(READINGS)
}
