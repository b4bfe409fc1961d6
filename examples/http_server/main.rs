//! An HTTP server whose handlers leave the work to worker processes. A handler hands the body on while it is still
//! arriving (`Pool::call_when`): the call is made when the last byte is there, and until then no worker waits for a slow
//! client.
//!
//! ```sh
//! cargo run --release -p knit-examples --bin http_server -- --address 127.0.0.1:8080
//! curl --data-binary @README.md http://127.0.0.1:8080/words
//! curl --data-binary @README.md http://127.0.0.1:8080/crc32
//! curl --data '{"from": 1, "to": 100000}' http://127.0.0.1:8080/primes
//! curl http://127.0.0.1:8080/status
//! ```
//!
//! | file | what it shows |
//! | --- | --- |
//! | `work.rs` | the tasks; they know nothing of HTTP |
//! | `body.rs` | a body as a future of an argument, with its limits |
//! | `server.rs` | the handlers |
//! | `answer.rs` | which error of a call becomes which status |
//! | `counts.rs` | what `/status` tells |
//!
//! A client that leaves takes its call along: the task sees that it was aborted. After SIGTERM or ctrl-c nobody is let
//! in any more, those who are there get their answers, and then the workers end.

mod answer;
mod body;
mod counts;
mod server;
mod work;

use clap::Parser;
use knit_lanes::{Pool, Unfinished};
use server::{Limits, Server};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use work::Work;

/// Counts words, sums bytes up and finds primes over HTTP, on worker processes.
///
/// POST /words, /crc32 and /primes take a body, GET /status tells what goes on. Ends with SIGTERM or ctrl-c when those
/// requests have their answers that have begun; with a second one at once.
#[derive(Debug, Parser)]
#[command(name = "http_server")]
struct Arguments {
    /// Where to listen. With port 0 the system chooses one; the first line of output says which.
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: SocketAddr,
    /// How many worker processes. By default one for each core that this process may use.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Longest body, in bytes; status 413 above it.
    #[arg(long, default_value_t = 1 << 20, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=8 << 20))]
    max_body: u32,
    /// Longest time that a body may take to arrive, in milliseconds; status 408 after it.
    #[arg(long, default_value_t = 30_000, value_name = "MILLISECONDS")]
    body_timeout: u64,
    /// Longest time of a call, from the end of the body on, in milliseconds; status 504 after it.
    #[arg(long, default_value_t = 10_000, value_name = "MILLISECONDS")]
    timeout: u64,
    /// Most calls that wait when every worker has 32; status 503 above it.
    #[arg(long, default_value_t = 1024, value_name = "CALLS")]
    queue: usize,
    /// Longest time that the last requests and calls may take when the server ends, in milliseconds.
    #[arg(long, default_value_t = 10_000, value_name = "MILLISECONDS")]
    grace: u64,
}

fn main() -> ExitCode {
    let (tasks, work) = work::tasks();
    tasks.serve_if_worker(); // in a worker process this never returns
    match run(&Arguments::parse(), tasks, work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http_server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, tasks: knit_lanes::Tasks, work: Work) -> Result<(), Failure> {
    let workers = match arguments.workers {
        Some(workers) => workers.into(),
        None => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    // Before the runtime: workers are started by threads of the pool, which live as long as it does.
    let pool = Pool::builder().processes(workers).queue_limit(arguments.queue).start(tasks)?;
    let limits = Limits {
        body: arguments.max_body as usize,
        body_time: Duration::from_millis(arguments.body_timeout),
    };
    let work = work.with_timeout(Duration::from_millis(arguments.timeout));
    let server = Arc::new(Server::new(pool, work, limits)?);
    let grace = Duration::from_millis(arguments.grace);

    // One thread is enough: it moves bytes, the work is done elsewhere.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let end = runtime.block_on(serve(arguments.address, Arc::clone(&server), grace))?;
    let open = server.counts.open();
    // Drops the requests that were not over in time, and with them their calls.
    drop(runtime);
    let Some(server) = Arc::into_inner(server) else { unreachable!("the handlers are gone") };
    let calls = server.pool.shutdown(end.saturating_duration_since(Instant::now()));
    if open > 0 {
        return Err(Failure::Open { requests: open });
    }
    Ok(calls?)
}

/// Serves until a signal comes and those requests are over that have begun, at most for `grace`. Returns when that time
/// is over.
async fn serve(address: SocketAddr, server: Arc<Server>, grace: Duration) -> io::Result<Instant> {
    // Before the address is printed: from then on a signal finds them.
    let mut signals = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    let listener = TcpListener::bind(address).await?;
    writeln!(io::stdout(), "listening on http://{}", listener.local_addr()?)?;

    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let serving = axum::serve(listener, server::router(server))
        .with_graceful_shutdown(async move { stopped.notified().await });
    let mut serving = Box::pin(serving.into_future());
    tokio::select! {
        served = &mut serving => served?,
        () = any(&mut signals) => {}
    }
    stop.notify_one();
    let end = Instant::now() + grace;
    tokio::select! {
        served = &mut serving => served?,
        () = tokio::time::sleep_until(end.into()) => {}
        () = any(&mut signals) => return Ok(Instant::now()),
    }
    Ok(end)
}

/// Waits for one of two signals.
async fn any([first, second]: &mut [Signal; 2]) {
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
    }
}

/// Why the program ends with an error.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the workers cannot be started: {0}")]
    Pool(#[from] knit_lanes::Error),
    #[error(transparent)]
    Task(#[from] knit_lanes::UnknownTask),
    #[error("{requests} requests were not over in time")]
    Open { requests: u64 },
    #[error(transparent)]
    Calls(#[from] Unfinished),
    #[error(transparent)]
    System(#[from] io::Error),
}
