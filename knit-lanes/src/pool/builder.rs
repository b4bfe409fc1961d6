//! Settings of a pool.

use crate::DEFAULT_MAX_BUFFERS;
use crate::Error;
use crate::Isolation;
use crate::error::StartError;
use crate::pool::{Balancer, Inline, Pool, QueuePolicy, Restart};
use crate::process::Program;
use crate::tasks::Tasks;
use core::time::Duration;
use knit_codec::Limits;
use knit_proto::{Direction, Geometry, LaneKind, SLOTS};
use std::ffi::OsString;
use std::path::PathBuf;

/// Settings of a pool. Each has a default.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `start`"]
pub struct Builder {
    /// How many were asked for.
    processes: Option<usize>,
    threads: usize,
    pub(super) inline: Option<Inline>,
    /// Whether a worker may start the pool.
    pub(super) inside_worker: bool,
    pub(super) balancer: Balancer,
    pub(super) queue_limit: usize,
    pub(super) queue_policy: QueuePolicy,
    pub(super) program: Option<Program>,
    pub(super) isolation: Isolation,
    pub(super) named_lanes: Option<PathBuf>,
    pub(super) limits: Limits,
    pub(super) arena: u32,
    pub(super) arena_reserved: u32,
    pub(super) max_buffers: u32,
    pub(super) spin: Duration,
    pub(super) retry: bool,
    pub(super) restart: Restart,
    pub(super) ready_timeout: Duration,
    pub(super) drain_timeout: Duration,
    pub(super) hard_timeout: Duration,
    pub(super) measure_latency: bool,
    pub(super) looks_every: Duration,
}

impl Default for Builder {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            processes: None,
            threads: 0,
            inline: None,
            inside_worker: false,
            balancer: Balancer::default(),
            queue_limit: usize::MAX,
            queue_policy: QueuePolicy::default(),
            program: None,
            isolation: Isolation::default(),
            named_lanes: None,
            limits: Limits::default(),
            arena: 64 << 20,
            arena_reserved: 64 << 10,
            max_buffers: DEFAULT_MAX_BUFFERS,
            // Spinning with one core would only keep the other side from running.
            spin: if cores > 1 { Duration::from_micros(50) } else { Duration::ZERO },
            retry: true,
            restart: Restart::default(),
            ready_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(30),
            hard_timeout: Duration::from_secs(10),
            measure_latency: false,
            looks_every: Duration::from_millis(10),
        }
    }
}

impl Builder {
    /// How many workers are processes. Default: one for each core that this thread may run on, or none
    /// when the pool has [threads](Self::threads).
    pub fn processes(mut self, count: usize) -> Self {
        self.processes = Some(count);
        self
    }

    /// How many workers are threads of this process. They serve the same tasks through a segment of their own, and start in
    /// microseconds, but share the fate of this process: a task that aborts or corrupts memory takes it along. A thread cannot be killed.
    /// Where a process would be, it is let go of ([`WorkerExit::Abandoned`](crate::WorkerExit::Abandoned)): its calls fail, another thread takes its
    /// place, and it ends when its task returns. Their lanes come after those of processes. Default: none.
    ///
    /// ```
    /// use knit_lanes::{Pool, Tasks};
    ///
    /// # fn main() -> knit_lanes::Result<()> {
    /// let mut tasks = Tasks::new();
    /// let square = tasks.add("square", |n: f64| n * n);
    /// let pool = Pool::builder().threads(2).start(tasks)?;
    /// assert_eq!(pool.call(square, 3.0).wait()?, 9.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn threads(mut self, count: usize) -> Self {
        self.threads = count;
        self
    }

    /// Threads that wait for calls run some of them. Default: they do not.
    ///
    /// ```
    /// use knit_lanes::{Inline, Pool, Position, Tasks};
    ///
    /// # fn main() -> knit_lanes::Result<()> {
    /// let mut tasks = Tasks::new();
    /// let square = tasks.add("square", |n: f64| n * n);
    /// let inline = Inline { position: Position::Last, batch: 8, threshold: 2 };
    /// let pool = Pool::builder().threads(1).inline(inline).start(tasks)?;
    /// let sum: f64 = pool.map(square, (0..100).map(f64::from)).map(Result::unwrap).sum();
    /// assert_eq!(sum, 328_350.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn inline(mut self, inline: Inline) -> Self {
        self.inline = Some(inline);
        self
    }

    /// Whether the pool may be started in a worker of another one, from a task. A task that starts a pool for each call starts
    /// processes without end, so this is refused by default, with `StartError::InsideWorker`.
    pub fn inside_worker(mut self, allowed: bool) -> Self {
        self.inside_worker = allowed;
        self
    }

    /// Which lane gets a call. Default: [`Balancer::Warm`].
    pub fn balancer(mut self, balancer: Balancer) -> Self {
        self.balancer = balancer;
        self
    }

    /// Most calls that wait while every lane is full; one more fails with `CallError::QueueFull`, or waits for room
    /// ([`Self::queue_policy`]). Each holds its encoded argument. Default: as many as there is memory for.
    pub fn queue_limit(mut self, calls: usize) -> Self {
        self.queue_limit = calls;
        self
    }

    /// What becomes of a call that finds the queue full. Default: [`QueuePolicy::Fail`].
    ///
    /// ```
    /// use knit_lanes::{Pool, QueuePolicy, Tasks};
    ///
    /// # fn main() -> knit_lanes::Result<()> {
    /// let mut tasks = Tasks::new();
    /// let square = tasks.add("square", |n: f64| n * n);
    /// let builder = Pool::builder().threads(1).queue_limit(100).queue_policy(QueuePolicy::Wait);
    /// let pool = builder.start(tasks)?;
    /// // Never more than 32 with the worker and a hundred in the queue.
    /// let calls: Vec<_> = (0..1000).map(|n| pool.call(square, f64::from(n))).collect();
    /// for (n, call) in (0..).zip(calls) {
    ///     assert_eq!(call.wait()?, f64::from(n * n));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn queue_policy(mut self, policy: QueuePolicy) -> Self {
        self.queue_policy = policy;
        self
    }

    /// The program that workers run, with its arguments. It must call `Tasks::serve_if_worker`.
    /// Default: this program, without arguments.
    pub fn command<I>(mut self, program: impl Into<PathBuf>, arguments: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        let arguments = arguments.into_iter().map(Into::into).collect();
        self.program = Some(Program::new(program.into(), arguments));
        self
    }

    /// What workers are given of this process, and what they may do. Default: little, see [`Isolation`].
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Worker processes inherit no descriptors, and are handed their lanes over sockets in this directory: for containers, and for
    /// whatever else stands between host and worker and passes none on. Both sides must have the directory under this path, and the worker must run as
    /// the user of this process. What is handed over is the same sealed memory; the workers of other users can connect to nothing.
    ///
    /// A socket has its name until its worker has connected, or has ended without that. A host that is killed
    /// in between leaves the name behind; [`named::sweep`](crate::named::sweep) removes those. A worker ends with its host, whatever is between them.
    /// Default: they inherit descriptors.
    ///
    /// ```no_run
    /// use knit_lanes::{Pool, Tasks};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tasks = Tasks::new();
    /// let lanes = "/run/my-service";
    /// knit_lanes::named::sweep(lanes)?;
    /// let container = ["run", "--rm", "-v", "/run/my-service:/run/my-service", "-e", "KNIT_BOOT", "my-worker"];
    /// let pool = Pool::builder().named_lanes(lanes).command("podman", container).start(tasks)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn named_lanes(mut self, directory: impl Into<PathBuf>) -> Self {
        self.named_lanes = Some(directory.into());
        self
    }

    /// Limits of payloads. Default: 8 MiB for each, see [`Limits`]. The payload limit may be at most
    /// an eighth of the arena.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Length of each lane's two arenas, in bytes; a multiple of 64. Address space is reserved, memory
    /// is taken as it is used. Default: 64 MiB.
    pub fn arena_bytes(mut self, bytes: u32) -> Self {
        self.arena = bytes;
        self
    }

    /// Most shared buffers that each side of a lane has from the other one at a time. Each takes a descriptor and
    /// a mapping in both processes. Default: [`DEFAULT_MAX_BUFFERS`].
    pub fn max_buffers(mut self, count: u32) -> Self {
        self.max_buffers = count;
        self
    }

    /// How long a side that has nothing to do spins at most before it sleeps. A worker that mostly
    /// waits for longer than that spins less, down to an eighth. Default: 50 us, or nothing when the
    /// thread that makes the builder may run on one core only. At most a second.
    pub fn spin(mut self, limit: Duration) -> Self {
        self.spin = limit;
        self
    }

    /// Whether a call is made again when its worker has died before anything of its task happened: on another
    /// worker, without that its caller learns of it, unless eight workers in a row have died with that call before them. The pool keeps the encoded argument
    /// until the answer has come for that. Without it such a call fails with [`CallError::WorkerDied`](crate::CallError::WorkerDied), which says
    /// that the task did not run. Nor does it go to an idle lane when it is with a worker that is at a long task. [`Task::without_retry`](crate::Task::without_retry) is for one task. Default: true.
    pub fn retry(mut self, retry: bool) -> Self {
        self.retry = retry;
        self
    }

    /// When a worker that has ended is replaced, and when its lane is given up. Default: always, with pauses of up to a second where
    /// workers end early; given up after nine starts in a row that fail. See [`Restart`].
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How long a worker may take to say that it is ready. Default: 10 s.
    pub fn ready_timeout(mut self, limit: Duration) -> Self {
        self.ready_timeout = limit;
        self
    }

    /// How long dropping the pool waits for calls in flight. After that they fail and their workers
    /// are killed. Default: 30 s.
    pub fn drain_timeout(mut self, limit: Duration) -> Self {
        self.drain_timeout = limit;
        self
    }

    /// How long a worker may keep a call that was aborted or has timed out. After that it is killed,
    /// and replaced; other calls that it has are made again, see [`Self::retry`]. A worker
    /// that never lets go of a call would never take another one. `Duration::MAX` kills none. Default: 10 s.
    pub fn hard_timeout(mut self, limit: Duration) -> Self {
        self.hard_timeout = limit;
        self
    }

    /// Whether to measure how long calls take: [`LaneMetrics::latency`](crate::LaneMetrics::latency). It takes two looks at the
    /// clock for each call, some 50 ns, and 37 KiB for each lane. Default: no.
    pub fn measure_latency(mut self, measure: bool) -> Self {
        self.measure_latency = measure;
        self
    }

    /// Time between two looks of the driver at calls that somebody else is expected to look after: that nobody reads answers of, that
    /// wait behind a long task, that the inline lane has. A wake-up that were lost would only be late by that much, so tests that none
    /// is lost take minutes. Default: 10 ms.
    #[doc(hidden)]
    pub fn looks_every(mut self, pause: Duration) -> Self {
        self.looks_every = pause;
        self
    }

    /// Starts the workers and waits until all of them are ready.
    ///
    /// # Errors
    ///
    /// The first thing that went wrong; the workers that had started are ended.
    pub fn start(self, tasks: Tasks) -> Result<Pool, Error> {
        Ok(Pool::start(&self, tasks)?)
    }

    /// What runs the worker of each lane.
    pub(super) fn kinds(&self) -> impl Iterator<Item = LaneKind> {
        let processes = match self.processes {
            Some(count) => count,
            None if self.threads > 0 => 0,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let repeat = |kind, count| core::iter::repeat_n(kind, count);
        repeat(LaneKind::Process, processes).chain(repeat(LaneKind::Thread, self.threads))
    }

    /// The geometry of every lane, once all settings are known to work.
    pub(super) fn check(&self) -> Result<Geometry, StartError> {
        let refuse = |setting, problem| Err(StartError::Setting { setting, problem });
        if self.kinds().next().is_none() {
            return Err(StartError::NoWorkers);
        }
        let geometry = match Geometry::new(self.arena, self.arena, SLOTS) {
            Ok(geometry) => geometry,
            Err(error) => return refuse("arena_bytes", error.to_string()),
        };
        let most = geometry.arena_bytes(Direction::Request) / 8;
        let payload = self.limits.payload;
        if payload > most {
            return refuse(
                "limits",
                format!(
                    "payloads of {payload} bytes: an arena of {} bytes takes at most {most}",
                    self.arena
                ),
            );
        }
        if self.spin > Duration::from_secs(1) {
            return refuse("spin", format!("{:?}: at most 1s", self.spin));
        }
        if let Some(problem) = self.restart.problem() {
            return refuse("restart", problem.to_owned());
        }
        Ok(geometry)
    }
}
