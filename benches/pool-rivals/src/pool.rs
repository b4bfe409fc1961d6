//! `knit_lanes::Pool`: what the others are compared with.

use crate::Failure;
use crate::caller::Caller;
use crate::jobs::{Bytes1M, Bytes4K, Bytes64, Document, F64, Job, Rejection, Text};
use knit_benches::work;
use knit_cli::floor::Cpus;
use knit_codec::ErrorValue;
use knit_lanes::{Call, CallError, Pool, Task, Tasks};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::collections::VecDeque;

/// A pool of one worker, whose calls are waited for one after the other.
pub struct PoolCaller<J: Job> {
    pool: Pool,
    task: Task<J::Value, J::Value>,
    calls: VecDeque<Call<J::Value>>,
}

/// Turns this process into a worker when a pool started it as one, and then does not return.
pub fn serve_if_worker() {
    tasks().serve_if_worker();
}

fn tasks() -> Tasks {
    let mut tasks = Tasks::new();
    add::<F64>(&mut tasks);
    add::<Bytes64>(&mut tasks);
    add::<Bytes4K>(&mut tasks);
    add::<Bytes1M>(&mut tasks);
    add::<Document>(&mut tasks);
    add::<Text>(&mut tasks);
    add::<Rejection>(&mut tasks);
    tasks
}

fn add<J: Job>(tasks: &mut Tasks) {
    tasks.add(J::NAME, J::run);
}

impl<J: Job> PoolCaller<J> {
    /// A pool as its builder makes it, except that it has one worker, which is pinned.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn start(cpus: &Cpus) -> Result<Self, Failure> {
        let pool = Pool::builder().processes(1).start(tasks())?;
        if let Some((_, there)) = cpus.pair() {
            let mut only = CpuSet::new();
            only.set(there);
            for id in pool.worker_ids() {
                sched_setaffinity(Some(work::pid(id)?), &only)?;
            }
        }
        let task = pool.task(J::NAME)?;
        Ok(Self { pool, task, calls: VecDeque::new() })
    }
}

impl<J: Job> Caller<J> for PoolCaller<J> {
    fn submit(&mut self, value: J::Value) -> Result<(), Failure> {
        self.calls.push_back(self.pool.call(self.task, value));
        Ok(())
    }

    fn take(&mut self) -> Result<Result<J::Value, ErrorValue>, Failure> {
        let call = self.calls.pop_front().ok_or("nothing is in flight")?;
        match call.wait() {
            Ok(value) => Ok(Ok(value)),
            Err(CallError::Task(failure)) => Ok(Err(failure.error)),
            Err(error) => Err(error.into()),
        }
    }
}
