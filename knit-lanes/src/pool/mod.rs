//! The runtime: workers, calls, waiting, restarts.
//!
//! Who does what:
//!
//! - A thread that *calls* encodes the argument and submits it under the lane's lock; when no lane
//!   has room, the call waits in the pool's queue.
//! - A thread that *waits* polls its lane itself: no other thread is woken to hand over an answer.
//!   After a bounded spin one thread of each lane sleeps on the lane's bell; others that wait for
//!   the same lane sleep until their own call is done, or until it is their turn.
//! - The *driver* thread does the same for what nobody waits for in that way: futures, calls whose
//!   handle was dropped, the queue, and workers that start. While any call is with a worker it also
//!   looks at every lane now and then; with no call under way it sleeps.
//! - The driver also takes calls back that wait behind a long task while another lane is idle, and keeps the deadlines: calls with a timeout, and workers that do not let go of a call
//!   that was given up.
//! - A *supervisor* thread for each lane starts the worker, a process or a thread, sleeps until it
//!   ends, fails the calls that were with it, and starts another one.

mod balancer;
mod builder;
mod call;
mod call_async;
mod call_or;
mod call_when;
mod deadlines;
mod driver;
mod events;
mod forked;
mod incarnation;
mod inline;
mod lane;
mod map;
mod metrics;
mod restart;
mod room;
mod shared;
mod supervisor;
mod turn;
mod wait;
mod watch;

pub use balancer::Balancer;
pub use builder::Builder;
pub use call::Call;
pub(crate) use call::CallState;
pub use call_async::CallAsync;
pub use call_or::{CallOr, TaskOr};
pub use call_when::CallWhen;
pub use inline::{Inline, Position};
pub use map::{Map, Unordered};
#[cfg(feature = "stream")]
pub use map::{MapStream, UnorderedStream};
pub use metrics::{LaneMetrics, Latency, Metrics, QueueMetrics};
pub use restart::Restart;
pub use room::QueuePolicy;

use crate::debug::say;
use crate::error::{CallError, StartError};
use crate::tasks::{Task, Tasks, UnknownTask};
use call::Wakes;
use core::fmt;
use core::future::Future;
use core::time::Duration;
use knit_codec::{Decode, Encode, Limits};
use shared::Shared;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

/// A pool of workers: processes, threads, or both.
///
/// Calls can be made from many threads at once. Workers and the pool's threads inherit the processor
/// affinity of the thread that starts the pool.
///
/// A pool belongs to the process that started it. In a child of that process which was forked and runs on without `exec`, each call and
/// each handle of it says [`CallError::Forked`] at once, and dropping it changes nothing: neither its workers nor
/// the parent notice. The child may start a pool of its own.
///
/// Dropping the pool waits for the calls in flight and
/// in the queue, up to the builder's drain timeout, then ends the workers; no process is left behind. A waker of a
/// call that drops it, and a task that drops it in a worker thread or [inline](Builder::inline), does not wait: another thread does that.
pub struct Pool {
    shared: Arc<Shared>,
    /// Until it is closed.
    threads: Option<Threads>,
}

/// The threads of a pool.
#[derive(Default)]
struct Threads {
    supervisors: Vec<JoinHandle<()>>,
    /// Of a pool that has started.
    driver: Option<JoinHandle<()>>,
}

/// How long idle workers may take to end after they were asked to.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

impl Pool {
    /// Settings of a pool to be started.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn start(builder: &Builder, tasks: Tasks) -> Result<Self, StartError> {
        if !builder.inside_worker && is_worker() {
            return Err(StartError::InsideWorker);
        }
        crate::debug::begin();
        let shared = Arc::new(Shared::new(builder, tasks)?);
        if builder.measure_latency {
            shared.lanes.iter().for_each(lane::Lane::measure_latency);
        }
        let mut pool = Self { shared: Arc::clone(&shared), threads: None };
        let threads = pool.threads.insert(Threads::default());
        for index in 0..shared.lanes.len() {
            let shared = Arc::clone(&shared);
            let name = format!("knit-lane-{index}");
            threads.supervisors.push(spawn(name, move || supervisor::run(&shared, index))?);
        }
        for lane in &shared.lanes {
            // An error drops the pool, which ends the other workers.
            lane.wait_until_started(&shared)?;
        }
        threads.driver = Some(spawn("knit-driver".to_owned(), move || driver::run(&shared))?);
        Ok(pool)
    }

    /// Calls a task. When every lane is full the call is queued. This blocks only when the queue has a limit, is full, and is to be waited for
    /// ([`QueuePolicy::Wait`]). What goes wrong is reported by the [`Call`].
    #[inline]
    pub fn call<In, Out>(&self, task: Task<In, Out>, argument: In) -> Call<Out>
    where
        In: Encode,
        Out: Decode,
    {
        Call::start(&self.shared, task, argument)
    }

    /// Calls a task as soon as the queue has room for the call ([`QueuePolicy::Wait`]), without blocking a thread. The future comes to
    /// the [`Call`], which is made when it is first polled and reports what goes wrong. Callers that wait come first served, with the
    /// threads that [`Self::call`] blocks.
    ///
    /// What reads requests before it calls awaits this, and takes no more of them than the pool can bear; what wants nothing but the
    /// value awaits both.
    ///
    /// ```
    /// use knit_lanes::{CallError, Pool, Task};
    ///
    /// async fn squares(pool: &Pool, square: Task<f64, f64>) -> Result<f64, CallError> {
    ///     let call = pool.call_async(square, 3.0).await;
    ///     call.await
    /// }
    /// ```
    pub fn call_async<In, Out>(&self, task: Task<In, Out>, argument: In) -> CallAsync<In, Out>
    where
        In: Encode,
        Out: Decode,
    {
        CallAsync::new(&self.shared, task, argument)
    }

    /// Calls a task as soon as its argument is there: the future of the argument is polled when the returned one is. So a handler
    /// can forward a body that is still arriving, and hand the call on.
    ///
    /// A timeout of the task begins with the call, not with the argument. A future that cannot fail is
    /// passed as `async { Ok::<_, std::convert::Infallible>(value.await) }`.
    ///
    /// ```
    /// use knit_lanes::{Pool, Tasks};
    ///
    /// # fn main() -> knit_lanes::Result<()> {
    /// let mut tasks = Tasks::new();
    /// let count = tasks.add("count", |body: Vec<u8>| body.len() as u32);
    /// let pool = Pool::builder().threads(1).start(tasks)?;
    /// let body = async { Ok::<_, std::io::Error>(vec![0_u8; 5]) };
    /// assert_eq!(pool.call_when(count, body).wait()?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn call_when<In, Out, F, E>(
        &self,
        task: Task<In, Out>,
        argument: F,
    ) -> CallWhen<'_, F, In, Out>
    where
        F: Future<Output = Result<In, E>>,
        In: Encode,
        E: Into<Box<dyn core::error::Error + Send + Sync>>,
        Out: Decode,
    {
        CallWhen::new(self, task, argument)
    }

    /// The handle of a task by its name, for callers that do not have it. The types are the caller's
    /// claim: an argument or answer of another type is an error of the call.
    ///
    /// # Errors
    ///
    /// The pool was started without a task of this name.
    pub fn task<In, Out>(&self, name: &str) -> Result<Task<In, Out>, UnknownTask> {
        let found = self.shared.names.iter().position(|known| known == name);
        match found.and_then(|index| u16::try_from(index).ok()) {
            Some(index) => Ok(Task::new(index, self.shared.table)),
            None => Err(UnknownTask { name: name.to_owned(), known: self.shared.names.clone() }),
        }
    }

    /// How many lanes the pool has, the [inline](Builder::inline) one aside.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.shared.lanes.len()
    }

    /// How many lanes have a worker or will have one: all of them, until one is [given up](Restart).
    #[must_use]
    pub fn lanes_alive(&self) -> usize {
        self.shared.lanes_alive()
    }

    /// Process ids of the worker processes that are ready, in the order of their lanes.
    #[must_use]
    pub fn worker_ids(&self) -> Vec<u32> {
        if !self.shared.origin.is_here() {
            return Vec::new();
        }
        self.shared.lanes.iter().filter_map(|lane| lane.worker_id()).collect()
    }

    /// How many calls are with workers or in the queue.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        if !self.shared.origin.is_here() {
            return 0;
        }
        self.shared.unfinished()
    }

    /// What the pool has done so far. Takes each lane's lock for the time of a copy, which with [`Builder::measure_latency`] is
    /// one of 36 KiB.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        if !self.shared.origin.is_here() {
            return Metrics::default();
        }
        self.shared.metrics()
    }

    /// The limits of payloads.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }
}

impl Pool {
    /// Does what dropping the pool does, with another time than [`Builder::drain_timeout`]: waits until the calls under way have ended,
    /// at most for `timeout`, then ends the workers. In a waker of a call, and in a task that a thread of this
    /// process runs for the pool, it does not wait: another thread closes the pool, and the calls under way count as not ended.
    ///
    /// # Errors
    ///
    /// How many calls were under way when the time was over. They fail with [`CallError::Closed`]. Or that this process is a
    /// child of the one whose pool it is: then nothing has happened.
    pub fn shutdown(mut self, timeout: Duration) -> Result<(), Unfinished> {
        if !self.shared.origin.is_here() {
            return Err(Unfinished { calls: 0, forked: true });
        }
        self.shared.set_drain_timeout(timeout);
        match self.close_from_here() {
            0 => Ok(()),
            calls => Err(Unfinished { calls, forked: false }),
        }
    }

    /// As [`Self::close`], from any thread: one that runs a task of the pool cannot wait for itself, nor can one that runs a waker,
    /// be it the pool's or one that waits for another call. It has read the answer, and listens to the lane.
    fn close_from_here(&mut self) -> usize {
        if self.threads.is_none() || !(Wakes::run_here() || self.shared.runs_here()) {
            return self.close();
        }
        let unfinished = self.shared.unfinished();
        let (hand, handed) = std::sync::mpsc::channel::<Self>();
        // It closes the pool by dropping it.
        if spawn("knit-close".to_owned(), move || drop(handed.recv())).is_ok() {
            let pool = Self { shared: Arc::clone(&self.shared), threads: self.threads.take() };
            let _ = hand.send(pool);
            unfinished
        } else {
            self.close()
        }
    }

    /// Closes the pool. How many calls had not ended by themselves.
    fn close(&mut self) -> usize {
        let Some(threads) = self.threads.take() else { return 0 };
        let shared = &self.shared;
        // Without a driver the pool did not start, and has no calls.
        if let Some(driver) = threads.driver {
            say!(DEBUG, LIFECYCLE, "pool drains", calls = shared.unfinished());
            shared.set_draining();
            join(driver);
        }
        shared.set_closing();
        let unfinished = shared.unfinished();
        say!(DEBUG, LIFECYCLE, "workers are asked to end", unfinished = unfinished);
        for lane in &shared.lanes {
            lane.close();
        }
        let end = Instant::now() + if unfinished == 0 { CLOSE_GRACE } else { Duration::ZERO };
        for lane in &shared.lanes {
            lane.end(end.saturating_duration_since(Instant::now()));
        }
        for supervisor in threads.supervisors {
            join(supervisor);
        }
        shared.fail_queue(&CallError::Closed);
        unfinished
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.shared.origin.is_here() {
            self.close_from_here();
        } else {
            self.leave_to_parent();
        }
    }
}

/// Why a [shutdown](Pool::shutdown) did not let all calls end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.reason())]
#[non_exhaustive]
pub struct Unfinished {
    /// How many calls were still under way when its time was over.
    pub calls: usize,
    /// Whether the pool belongs to the process from which this one was forked: it was not shut down.
    pub forked: bool,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("lanes", &self.lanes()).finish_non_exhaustive()
    }
}

/// Whether this is a worker process, or a worker thread.
fn is_worker() -> bool {
    std::env::var_os(crate::BOOT_ENV).is_some() || crate::worker::is_worker_thread()
}

/// Waits until another thread of the pool has ended. A panic of it was printed when it happened.
fn join(thread: JoinHandle<()>) {
    if thread.thread().id() != std::thread::current().id() {
        let _ = thread.join();
    }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new()
        .name(name)
        .spawn(run)
        .map_err(StartError::system("start a thread of the pool"))
}
