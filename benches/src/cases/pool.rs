//! Typed calls through a pool with one worker.

use crate::Failure;
use crate::case::Case;
use crate::work::{self, Work};
use knit_cli::floor::{Cpus, Plan, Sample};
use knit_lanes::{Builder, CallError, Pool};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::time::Duration;

/// A number call, both sides spinning: the case that has a bar.
pub const CALL: &str = "pool/call/f64";

/// The same, both sides sleeping: to be read beside `peer/futex`.
pub const BLOCKING: &str = "pool/call/f64/blocking";

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::round_trip(CALL, 0, |plan| numbers(plan, Pool::builder())),
        Case::round_trip("pool/call/f64/measured", 0, |plan| {
            numbers(plan, Pool::builder().measure_latency(true))
        }),
        Case::round_trip("pool/call/string_64B", 64, |plan| {
            echo(plan, "0123456789abcdef".repeat(4), |pool, work, text| {
                pool.call(work.text, text).wait()
            })
        }),
        bytes("pool/call/bytes_4KiB", 4 << 10),
        bytes("pool/call/bytes_1MiB", 1 << 20),
        Case::calls("pool/32_in_flight/f64", |plan| in_flight(plan, 32)),
        Case::calls("pool/100_in_flight/f64", |plan| in_flight(plan, 100)),
        Case::round_trip(BLOCKING, 0, |plan| numbers(plan, Pool::builder().spin(Duration::ZERO))),
    ]
}

/// Calls with so many bytes, one at a time.
fn bytes(name: &'static str, len: u32) -> Case {
    Case::round_trip(name, len, move |plan| {
        let bytes = (0..len).map(|at| (at % 251) as u8).collect();
        echo(plan, bytes, |pool, work, bytes| pool.call(work.bytes, bytes).wait())
    })
}

/// Calls with a number, one at a time.
fn numbers(plan: &Plan, builder: Builder) -> Result<Sample, Failure> {
    let (pool, work) = start(plan, builder.processes(1))?;
    let pinned = plan.cpus.pin_here()?;
    let mut numbers = (0..1000_u32).map(f64::from).cycle();
    let sample = Sample::collect(plan, |calls| {
        for n in numbers.by_ref().take(calls as usize) {
            let found = pool.call(work.square, n).wait()?;
            check(found, n * n)?;
        }
        Ok(())
    });
    drop(pinned);
    sample
}

/// Calls one at a time, each with the answer of the one before: nothing is copied here.
fn echo<T: Clone + PartialEq>(
    plan: &Plan,
    value: T,
    call: impl Fn(&Pool, Work, T) -> Result<T, CallError>,
) -> Result<Sample, Failure> {
    let (pool, work) = start(plan, Pool::builder().processes(1))?;
    let pinned = plan.cpus.pin_here()?;
    let mut answer = Some(value.clone());
    let sample = Sample::collect(plan, |calls| {
        for _ in 0..calls {
            let argument = answer.take().ok_or("a call has failed")?;
            answer = Some(call(&pool, work, argument)?);
        }
        Ok::<_, Failure>(())
    })?;
    drop(pinned);
    // It went through every call, so that it is the same only if all were right.
    if answer != Some(value) {
        return Err("the last answer is not what the first call was made with".into());
    }
    Ok(sample)
}

/// Calls with a number, `count` of them at a time: the next ones when all have ended.
fn in_flight(plan: &Plan, count: u32) -> Result<Sample, Failure> {
    let (pool, work) = start(plan, Pool::builder().processes(1))?;
    let pinned = plan.cpus.pin_here()?;
    let plan = Plan { stretch: Some(count), ..*plan };
    let mut calls = Vec::with_capacity(count as usize);
    let sample = Sample::collect(&plan, |rest| {
        for from in (0..rest).step_by(count as usize) {
            let numbers = (from..rest.min(from + count)).map(f64::from);
            calls.extend(numbers.clone().map(|n| pool.call(work.square, n)));
            for (call, n) in calls.drain(..).zip(numbers) {
                check(call.wait()?, n * n)?;
            }
        }
        Ok(())
    });
    drop(pinned);
    sample
}

/// A pool whose workers are on the second processor and answer rightly.
pub(crate) fn start(plan: &Plan, builder: Builder) -> Result<(Pool, Work), Failure> {
    let (pool, work) = work::start(builder)?;
    pin_workers(&pool, &plan.cpus)?;
    check(pool.call(work.square, 3.0).wait()?, 9.0)?;
    Ok((pool, work))
}

fn pin_workers(pool: &Pool, cpus: &Cpus) -> Result<(), Failure> {
    let Some((_, there)) = cpus.pair() else { return Ok(()) };
    let mut only = CpuSet::new();
    only.set(there);
    for id in pool.worker_ids() {
        sched_setaffinity(Some(work::pid(id)?), &only)?;
    }
    Ok(())
}

#[inline]
fn check(found: f64, expected: f64) -> Result<(), Failure> {
    if found == expected {
        return Ok(());
    }
    Err(format!("wrong answer: {found}, expected {expected}").into())
}
