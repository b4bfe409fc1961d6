//! The tasks of the measured pools.

use crate::Failure;
use knit_lanes::{Builder, Pool, Task, Tasks};
use rustix::process::Pid;
use std::thread;
use std::time::Duration;

/// Handles of the tasks.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// The square of a number: the least a typed task can do.
    pub square: Task<f64, f64>,
    /// The same text.
    pub text: Task<String, String>,
    /// The same bytes.
    pub bytes: Task<Vec<u8>, Vec<u8>>,
    /// Sleeps so many milliseconds.
    pub sleep: Task<f64, ()>,
}

/// Turns this process into a worker when a pool, or a host of Knitting, started it as one, and then does
/// not return. Call it first in `main`.
pub fn serve_if_worker() {
    let (tasks, _) = tasks();
    tasks.serve_if_worker();
    knit_lanes::knitting::serve_if_worker(&tasks);
}

/// Names of the tasks, in the order of their indexes; `square` is the first.
#[must_use]
pub fn names() -> Vec<String> {
    tasks().0.names().map(str::to_owned).collect()
}

/// Starts a pool whose workers are this program. Do so before the thread is pinned: the builder and
/// the workers take over the processors that the thread may use.
///
/// # Errors
///
/// The pool does not start.
pub fn start(builder: Builder) -> Result<(Pool, Work), Failure> {
    let (tasks, work) = tasks();
    Ok((builder.start(tasks)?, work))
}

/// The id of a process as system calls take it.
///
/// # Errors
///
/// It is no process id.
pub fn pid(id: u32) -> Result<Pid, Failure> {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| format!("{id} is no process id").into())
}

fn tasks() -> (Tasks, Work) {
    let mut tasks = Tasks::new();
    let work = Work {
        square: tasks.add("square", |n: f64| n * n),
        text: tasks.add("text", |text: String| text),
        bytes: tasks.add("bytes", |bytes: Vec<u8>| bytes),
        sleep: tasks
            .add("sleep", |ms: f64| thread::sleep(Duration::from_secs_f64(ms.max(0.0) / 1e3))),
    };
    (tasks, work)
}
