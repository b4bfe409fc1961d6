//! What a call costs when many are queued, and in a pool of many lanes.

use crate::Failure;
use crate::cases;
use crate::ring_bars::{Bar, Measured, Reference, Row, Unit};
use knit_cli::floor::{Plan, Sample};
use knit_lanes::{Call, Pool};
use std::collections::VecDeque;

/// Most that a call may cost, in times of what it costs with one lane or one queued call.
pub const GROWTH: f64 = 1.25;

/// Calls that a lane takes; what is beyond them is queued.
const IN_FLIGHT: u32 = knit_proto::SLOTS;

/// Round trips between two readings of the clock where calls come in bursts: many bursts.
const STRETCH: u32 = 1024;

/// Numbers that calls take in turns.
const NUMBERS: u32 = 1000;

/// Rows and how many calls are queued in each.
const QUEUED: [(&str, u32); 7] = [
    ("scale/queued/1", 1),
    ("scale/queued/4", 4),
    ("scale/queued/16", 16),
    ("scale/queued/64", 64),
    ("scale/queued/256", 256),
    ("scale/queued/1024", 1024),
    ("scale/queued/4096", 4096),
];

/// Rows and how many lanes each pool has. One call at a time.
const LANES: [(&str, usize); 6] = [
    ("scale/lanes/1", 1),
    ("scale/lanes/2", 2),
    ("scale/lanes/4", 4),
    ("scale/lanes/8", 8),
    ("scale/lanes/16", 16),
    ("scale/lanes/32", 32),
];

/// The same with 32 calls in flight. All workers share a processor here, so that there is no bar.
const BUSY_LANES: [(&str, usize); 3] =
    [("scale/busy_lanes/1", 1), ("scale/busy_lanes/4", 4), ("scale/busy_lanes/32", 32)];

/// Rows and how many calls of an unordered map are under way in each. Who waits looks at one word for all of them.
const UNORDERED: [(&str, u32); 3] =
    [("scale/unordered/32", 32), ("scale/unordered/64", 64), ("scale/unordered/256", 256)];

/// Every row, in the order of the report.
#[must_use]
pub fn all() -> Vec<Row> {
    let queued = |calls| window(1, IN_FLIGHT + calls);
    let idle = |lanes| window(lanes, 1);
    let busy = |lanes| window(lanes, IN_FLIGHT);
    let mut rows = Vec::new();
    for (name, calls) in QUEUED {
        rows.push(row(name, queued(calls), "1 queued", queued(1), Bar::AtMost(GROWTH)));
    }
    for (name, lanes) in LANES {
        rows.push(row(name, idle(lanes), "1 lane", idle(1), Bar::AtMost(GROWTH)));
    }
    for (name, lanes) in BUSY_LANES {
        rows.push(row(name, busy(lanes), "1 lane", busy(1), Bar::None));
    }
    for (name, calls) in UNORDERED {
        rows.push(row(name, unordered(calls), "32 calls", unordered(32), Bar::None));
    }
    rows
}

fn row(
    name: &'static str,
    figure: Measured,
    beside: &'static str,
    reference: Measured,
    bar: Bar,
) -> Row {
    Row { name, figure, reference: Reference::Other(beside, reference), bar, unit: Unit::Time }
}

/// Calls with a number, so many of them in flight: as soon as the oldest is answered the next one begins.
fn window(lanes: usize, in_flight: u32) -> Measured {
    Measured::new(move |plan| Ok(measure(plan, lanes, in_flight)?.percentile(50.0)))
}

fn measure(plan: &Plan, lanes: usize, in_flight: u32) -> Result<Sample, Failure> {
    let (pool, work) = cases::start_pool(plan, Pool::builder().processes(lanes))?;
    let pinned = plan.cpus.pin_here()?;
    let stretch = if in_flight > 1 { Some(STRETCH) } else { plan.stretch };
    let plan = Plan { stretch, ..*plan };
    let mut calls = VecDeque::with_capacity(in_flight as usize);
    let mut numbers = (0..NUMBERS).map(f64::from).cycle();
    let mut call = || {
        let n = numbers.next().unwrap_or_default();
        (n, pool.call(work.square, n))
    };
    for _ in 1..in_flight {
        calls.push_back(call());
    }
    let sample = Sample::collect(&plan, |rounds| {
        for _ in 0..rounds {
            calls.push_back(call());
            finish(calls.pop_front())?;
        }
        Ok::<_, Failure>(())
    })?;
    while let Some(call) = calls.pop_front() {
        finish(Some(call))?;
    }
    drop(pinned);
    Ok(sample)
}

/// Calls of a map with a number, so many of them under way: the next one begins when any has ended.
fn unordered(in_flight: u32) -> Measured {
    Measured::new(move |plan| Ok(measure_unordered(plan, in_flight)?.percentile(50.0)))
}

fn measure_unordered(plan: &Plan, in_flight: u32) -> Result<Sample, Failure> {
    let (pool, work) = cases::start_pool(plan, Pool::builder().processes(1))?;
    let pinned = plan.cpus.pin_here()?;
    let plan = Plan { stretch: Some(STRETCH), ..*plan };
    let numbers = (0..NUMBERS).map(f64::from).cycle();
    let mut map = pool.map(work.square, numbers).window(in_flight as usize).unordered();
    let sample = Sample::collect(&plan, |rounds| {
        for _ in 0..rounds {
            let (place, square) = map.next().ok_or("the numbers have come to an end")?;
            check((place % NUMBERS as usize) as f64, square?)?;
        }
        Ok::<_, Failure>(())
    })?;
    drop(map);
    drop(pinned);
    Ok(sample)
}

/// Waits for the answer, which must be the square.
fn finish(call: Option<(f64, Call<f64>)>) -> Result<(), Failure> {
    let (n, call) = call.ok_or("nothing is in flight")?;
    check(n, call.wait()?)
}

fn check(n: f64, found: f64) -> Result<(), Failure> {
    if found == n * n {
        return Ok(());
    }
    Err(format!("wrong answer: {found}, expected {}", n * n).into())
}
