//! Pools of `knit-test-worker` and typed handles to its tasks.

use super::gate::{Gate, Held};
use super::{DEADLINE, until};
use knit_lanes::codec::JsonText;
use knit_lanes::{
    Balancer, Builder, Call, EnvelopedBuffer, Pool, SharedBuffer, Task, Tasks, Value,
};
use std::ffi::OsString;

/// The worker program.
pub const WORKER: &str = env!("CARGO_BIN_EXE_knit-test-worker");

/// Handles to the tasks of [`WORKER`].
#[derive(Clone, Copy, Debug)]
pub struct Remote {
    pub number: Task<f64, f64>,
    pub flag: Task<bool, bool>,
    pub unit: Task<(), ()>,
    pub bigint: Task<i64, i64>,
    pub text: Task<String, String>,
    pub bytes: Task<Vec<u8>, Vec<u8>>,
    pub option: Task<Option<String>, Option<String>>,
    pub json: Task<JsonText, JsonText>,
    pub value: Task<Value, Value>,
    pub square: Task<f64, f64>,
    pub filled: Task<u32, Vec<u8>>,
    pub pid: Task<(), u32>,
    /// Makes a file one byte longer.
    pub count: Task<String, ()>,
    /// Appends a line to a file: path, space, line.
    pub append: Task<String, ()>,
    /// Makes a file one byte longer, and returns 8 MiB.
    pub count_filled: Task<String, Vec<u8>>,
    /// Runs for as long as a `Gate` is held; returns the id of its process.
    pub hold: Task<String, u32>,
    /// Opens a `Gate` and runs until its call is aborted; returns whether it was.
    pub until_aborted: Task<String, bool>,
    /// Whether its call is aborted.
    pub is_aborted: Task<(), bool>,
    /// What is left of its call's time, in seconds.
    pub time_left: Task<(), Option<f64>>,
    /// Prints to both streams.
    pub shout: Task<String, ()>,
    /// Uses its processor without end.
    pub spin: Task<(), ()>,
    pub fail: Task<(), f64>,
    pub fail_named: Task<(), f64>,
    pub panic_text: Task<(), f64>,
    pub panic_string: Task<f64, f64>,
    pub panic_other: Task<(), f64>,
    pub exit: Task<i32, f64>,
    pub abort: Task<(), f64>,
    pub never: Task<(), f64>,
    /// Sum of the bytes.
    pub sum: Task<SharedBuffer, f64>,
    /// Adds one to every byte.
    pub bump: Task<SharedBuffer, ()>,
    pub buffer: Task<SharedBuffer, SharedBuffer>,
    /// Adds one to every byte and makes the header longer.
    pub enveloped: Task<EnvelopedBuffer, EnvelopedBuffer>,
    /// A buffer of so many sevens.
    pub new_buffer: Task<u32, SharedBuffer>,
    /// Keeps the buffer after the call.
    pub keep: Task<SharedBuffer, ()>,
    /// The buffer that was kept last.
    pub kept: Task<(), SharedBuffer>,
    pub forget: Task<(), ()>,
    /// Descriptors of the worker, and its mappings of memfds.
    pub resources: Task<(), Vec<i32>>,
    /// Descriptors of the worker, one in a line: number, space, what it is open on.
    pub descriptors: Task<(), String>,
    /// What is in a file.
    pub read_from: Task<String, String>,
    /// Forks; the child comes back from the task too. Returns the status with which it ended.
    pub fork: Task<(), i32>,
    /// A task that the worker does not have.
    pub missing: Task<f64, f64>,
}

/// The table of a host that calls [`WORKER`].
pub fn tasks() -> (Tasks, Remote) {
    let mut tasks = Tasks::new();
    let remote = Remote {
        number: tasks.declare("number"),
        flag: tasks.declare("flag"),
        unit: tasks.declare("unit"),
        bigint: tasks.declare("bigint"),
        text: tasks.declare("text"),
        bytes: tasks.declare("bytes"),
        option: tasks.declare("option"),
        json: tasks.declare("json"),
        value: tasks.declare("value"),
        // Not the worker's order: names count, positions do not.
        never: tasks.declare("never"),
        time_left: tasks.declare("time_left"),
        square: tasks.declare("square"),
        filled: tasks.declare("filled"),
        pid: tasks.declare("pid"),
        count: tasks.declare("count"),
        append: tasks.declare("append"),
        count_filled: tasks.declare("count_filled"),
        hold: tasks.declare("hold"),
        until_aborted: tasks.declare("until_aborted"),
        is_aborted: tasks.declare("is_aborted"),
        shout: tasks.declare("shout"),
        spin: tasks.declare("spin"),
        fail: tasks.declare("fail"),
        fail_named: tasks.declare("fail_named"),
        panic_text: tasks.declare("panic_text"),
        panic_string: tasks.declare("panic_string"),
        panic_other: tasks.declare("panic_other"),
        exit: tasks.declare("exit"),
        abort: tasks.declare("abort"),
        sum: tasks.declare("sum"),
        bump: tasks.declare("bump"),
        buffer: tasks.declare("buffer"),
        enveloped: tasks.declare("enveloped"),
        new_buffer: tasks.declare("new_buffer"),
        keep: tasks.declare("keep"),
        kept: tasks.declare("kept"),
        forget: tasks.declare("forget"),
        resources: tasks.declare("resources"),
        descriptors: tasks.declare("descriptors"),
        read_from: tasks.declare("read_from"),
        fork: tasks.declare("fork"),
        missing: tasks.declare("missing"),
    };
    (tasks, remote)
}

/// A builder of pools that run [`WORKER`].
pub fn builder(processes: usize) -> Builder {
    Pool::builder().command(WORKER, [] as [OsString; 0]).processes(processes)
}

/// A builder of pools whose threads look at a lane only when something happens: no look of the driver and none that ends the
/// time to get ready makes up for a wake-up that is lost.
pub fn unwatched(processes: usize) -> Builder {
    builder(processes).looks_every(10 * DEADLINE).ready_timeout(10 * DEADLINE)
}

/// A pool of [`WORKER`] with default settings.
pub fn pool(processes: usize) -> (Pool, Remote) {
    start(builder(processes))
}

/// Starts a pool that calls the tasks of [`WORKER`].
pub fn start(builder: Builder) -> (Pool, Remote) {
    let (tasks, remote) = tasks();
    let pool = builder.start(tasks).unwrap_or_else(|error| panic!("{error}"));
    (pool, remote)
}

/// A pool of [`WORKER`] that hands calls to its lanes in turn, and whose workers are each at a task that ends when the test drops its
/// [`Held`].
pub fn held<const N: usize>() -> (Pool, Remote, [Call<u32>; N], [Held; N]) {
    let (pool, remote) = start(builder(N).balancer(Balancer::RoundRobin));
    until("every worker is ready", || pool.worker_ids().len() == N);
    let gates = [(); N].map(|()| Gate::new());
    let calls = gates.each_ref().map(|gate| pool.call(remote.hold, gate.path()));
    let held = gates.each_ref().map(Gate::entered);
    (pool, remote, calls, held)
}

/// The one worker of a pool of one process.
pub fn only_worker(pool: &Pool) -> u32 {
    let ids = pool.worker_ids();
    assert_eq!(ids.len(), 1, "{ids:?}");
    ids[0]
}
