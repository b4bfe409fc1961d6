//! Every implementation by its name.

use crate::Failure;
use crate::caller::{self, Caller};
use crate::jobs::Job;
use crate::links::iceoryx::{PublishSubscribe, RequestResponse};
use crate::links::ipc::IpcChannel;
use crate::links::shmem::SharedRing;
use crate::links::slots::EventSlots;
use crate::links::streams::{Pipe, PolledPipe, PolledSocket, Socket};
use crate::peer::{self, Rival, serve_if_worker_of};
use crate::pool::{self, PoolCaller};
use crate::threads::ThreadCaller;
use crate::with_job;
use knit_cli::floor::{self, Cpus, Plan};

/// What the others are compared with.
pub const KNIT: &str = "knit";

/// Every implementation, in the order of the columns.
pub const NAMES: [&str; 12] = [
    KNIT,
    "iox2_reqres",
    "iox2_pubsub",
    "ipc_channel",
    "socket",
    "socket/poll",
    "pipe",
    "pipe/poll",
    "shmem_ipc",
    "raw_sync",
    "tokio",
    "tokio/poll",
];

/// Does a worker's part when this process was started for that, and then does not return. Call it first
/// in `main`.
pub fn serve_if_worker() {
    pool::serve_if_worker();
    floor::serve_if_peer();
    serve_if_worker_of::<RequestResponse>();
    serve_if_worker_of::<PublishSubscribe>();
    serve_if_worker_of::<IpcChannel>();
    serve_if_worker_of::<Socket>();
    serve_if_worker_of::<PolledSocket>();
    serve_if_worker_of::<Pipe>();
    serve_if_worker_of::<PolledPipe>();
    serve_if_worker_of::<SharedRing>();
    serve_if_worker_of::<EventSlots>();
}

/// Starts an implementation, checks its answers, and measures it: mean nanoseconds of a call of `job` with
/// `window` of them in flight.
///
/// # Errors
///
/// It does not start, a call fails, or an answer is wrong.
pub fn measure(implementation: &str, job: &str, window: u32, plan: &Plan) -> Result<f64, Failure> {
    with_job!(job, |J| of_job::<J>(implementation, window, plan))
}

fn of_job<J: Job>(implementation: &str, window: u32, plan: &Plan) -> Result<f64, Failure> {
    match implementation {
        KNIT => here::<J>(PoolCaller::start(&plan.cpus)?, window, plan),
        "tokio" => here::<J>(ThreadCaller::start(&plan.cpus, false)?, window, plan),
        "tokio/poll" => here::<J>(ThreadCaller::start(&plan.cpus, true)?, window, plan),
        "iox2_reqres" => there::<J, _>(&RequestResponse, window, plan),
        "iox2_pubsub" => there::<J, _>(&PublishSubscribe, window, plan),
        "ipc_channel" => there::<J, _>(&IpcChannel, window, plan),
        "socket" => there::<J, _>(&Socket, window, plan),
        "socket/poll" => there::<J, _>(&PolledSocket, window, plan),
        "pipe" => there::<J, _>(&Pipe, window, plan),
        "pipe/poll" => there::<J, _>(&PolledPipe, window, plan),
        "shmem_ipc" => there::<J, _>(&SharedRing, window, plan),
        "raw_sync" => there::<J, _>(&EventSlots, window, plan),
        name => Err(format!("no implementation is called {name:?}").into()),
    }
}

/// A caller that ends when it is dropped.
fn here<J: Job>(mut caller: impl Caller<J>, window: u32, plan: &Plan) -> Result<f64, Failure> {
    let pinned = plan.cpus.pin_here()?;
    caller::check(&mut caller, window)?;
    let found = caller::measure(&mut caller, window, plan);
    drop(pinned);
    found
}

/// A client whose worker is told to end.
fn there<J: Job, R: Rival>(rival: &R, window: u32, plan: &Plan) -> Result<f64, Failure> {
    let pinned = plan.cpus.pin_here()?;
    let mut client = peer::client::<J, R>(rival, window, &plan.cpus)?;
    caller::check::<J>(&mut client, window)?;
    let found = caller::measure::<J>(&mut client, window, plan)?;
    client.stop()?;
    drop(pinned);
    Ok(found)
}

/// The processors of a run; an error where there is only one.
///
/// # Errors
///
/// This process may use one processor only: the two sides would take turns, and no figure mean anything.
pub fn two_processors() -> Result<Cpus, Failure> {
    let cpus = Cpus::choose()?;
    match cpus.pair() {
        Some(_) => Ok(cpus),
        None => Err("two processors are needed, and this process may use one only".into()),
    }
}
