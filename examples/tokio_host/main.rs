//! A host that drives a lane from tokio: callers are tasks, the worker's eventfd and pidfd stand in the runtime's
//! own epoll set. `docs/event-loops.md` says what is done when.
//!
//! ```sh
//! cargo run -q -p knit-examples --bin tokio_host -- --callers 8 --calls 1000
//! ```

mod async_lane;

use async_lane::{AsyncLane, CallError, DriveError};
use clap::Parser;
use knit_examples::{Function, StartError, tasks};
use std::io::{self, Write};
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};
use tokio::task::JoinError;

/// Lets several tasks call one worker process at the same time; then gives a call up, ends the worker in the
/// middle of a call, and calls the worker that takes its place.
#[derive(Debug, Parser)]
#[command(name = "tokio_host")]
struct Arguments {
    /// How many tasks call at the same time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    callers: u32,
    /// How many calls each of them makes, one after the other.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    calls: u32,
    /// When the call is given up that would take a minute, in milliseconds.
    #[arg(long, default_value_t = 100, value_name = "MILLISECONDS")]
    timeout: u64,
}

/// How long a worker that was asked to end may take for it.
const GRACE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    // A worker is this program once more. Before the runtime: a worker has none.
    tasks().serve_if_worker();
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let ran =
        runtime.map_err(HostError::from).and_then(|runtime| runtime.block_on(run(&arguments)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tokio_host: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), HostError> {
    let (lane, driver) = AsyncLane::start()?;
    let mut driver = tokio::spawn(driver.run());
    tokio::select! {
        called = call_all(&lane, arguments) => called?,
        // It ends before `close` only with an error.
        driven = &mut driver => {
            driven??;
            return Err(HostError::DriverEnded);
        }
    }
    let status = close(&lane, &mut driver).await?;
    let workers = lane.workers();
    writeln!(io::stdout(), "{workers} workers; the last one ended ({status})")?;
    Ok(())
}

async fn call_all(lane: &AsyncLane, arguments: &Arguments) -> Result<(), HostError> {
    let mut out = io::stdout();
    let Arguments { callers, calls, timeout } = *arguments;
    let begin = Instant::now();
    let caller = |number| tokio::spawn(sum_of_squares(lane.clone(), number, calls));
    let running: Vec<_> = (1..=callers).map(caller).collect();
    for (number, caller) in (1..).zip(running) {
        let sum = caller.await??;
        writeln!(out, "caller {number}: {calls} calls, sum {sum}")?;
    }
    let micros = begin.elapsed().as_secs_f64() * 1e6 / f64::from(callers) / f64::from(calls);
    writeln!(out, "{micros:.1} us for a call, {callers} callers at a time")?;

    // The future of the call is dropped, and the worker told that nobody waits.
    let minute = lane.call::<_, u32>(Function::Wait, 60_000);
    match tokio::time::timeout(Duration::from_millis(timeout), minute).await {
        Ok(answer) => writeln!(out, "wait: {} ms", answer?)?,
        Err(_) => writeln!(out, "wait: given up after {timeout} ms")?,
    }
    match lane.call::<_, u32>(Function::Exit, 7).await {
        Ok(_) => return Err(HostError::Survived),
        Err(error) => writeln!(out, "exit: {error}")?,
    }
    let square: f64 = lane.call(Function::Square, 9.0).await?;
    writeln!(out, "square: {square}")?;
    Ok(())
}

/// The squares of `calls` numbers from `first` on, added up by the host.
async fn sum_of_squares(lane: AsyncLane, first: u32, calls: u32) -> Result<f64, CallError> {
    let mut sum = 0.0;
    for n in 0..calls {
        sum += lane.call::<_, f64>(Function::Square, f64::from(first) + f64::from(n)).await?;
    }
    Ok(sum)
}

/// Asks the worker to end, and kills it when it does not.
async fn close(
    lane: &AsyncLane,
    driver: &mut tokio::task::JoinHandle<Result<ExitStatus, DriveError>>,
) -> Result<ExitStatus, HostError> {
    lane.close();
    match tokio::time::timeout(GRACE, &mut *driver).await {
        Ok(ended) => Ok(ended??),
        Err(_) => {
            lane.kill();
            Ok(driver.await??)
        }
    }
}

/// Why the program ends.
#[derive(Debug, thiserror::Error)]
enum HostError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Drive(#[from] DriveError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the driver ended while there were calls")]
    DriverEnded,
    #[error("the worker has answered a call that should have ended it")]
    Survived,
    #[error("a task of the host failed: {0}")]
    Join(#[from] JoinError),
    #[error(transparent)]
    System(#[from] io::Error),
}
