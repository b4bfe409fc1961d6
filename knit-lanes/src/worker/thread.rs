//! A worker that is a thread of the host's process.

use super::bell::Bell;
use super::{EXIT_BOOT_FAILED, EXIT_WARM_UP_FAILED, Memory, OpenError, Worker, complain};
use crate::buffer::link::Link;
use crate::debug;
use crate::error::StartError;
use crate::process::WorkerExit;
use crate::{Boot, Tasks};
use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use knit_ring::{FutexPair, Origin};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

thread_local! {
    /// The tasks that this thread serves, which are its pool's alone; null in a thread that is no worker.
    static SERVES: Cell<*const Tasks> = const { Cell::new(core::ptr::null()) };
}

/// Whether the calling thread is a worker of a pool.
pub(crate) fn is_worker_thread() -> bool {
    !SERVES.get().is_null()
}

/// Whether the calling thread is a worker of the pool that has these tasks.
pub(crate) fn serves_here(tasks: &Arc<Tasks>) -> bool {
    core::ptr::eq(SERVES.get(), Arc::as_ptr(tasks))
}

/// Exit status of a thread that panicked outside of any task, as a process would have it.
const EXIT_PANICKED: i32 = 101;

/// A worker thread. A thread cannot be killed: one that does not end is let go of, and ends as soon as its task returns.
#[derive(Debug)]
pub(crate) struct WorkerThread {
    end: Arc<ThreadEnd>,
    handle: Option<JoinHandle<()>>,
}

/// What a worker thread and its pool know of its end.
#[derive(Debug, Default)]
pub(crate) struct ThreadEnd {
    /// 1 once the pool has let go of the thread.
    abandoned: AtomicU32,
    bell: FutexPair,
    exit: Mutex<Option<WorkerExit>>,
    changed: Condvar,
}

impl ThreadEnd {
    #[inline]
    pub(crate) fn is_abandoned(&self) -> bool {
        // Acquire: with the release in `abandon`, although nothing is read on the strength of it.
        self.abandoned.load(Ordering::Acquire) != 0
    }

    /// Lets go of the thread: it takes no further call, and its lane is free of it now. Does nothing when it has ended.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(1, Ordering::Release);
        self.ended(WorkerExit::Abandoned);
        self.bell.ring_local();
    }

    fn ended(&self, how: WorkerExit) {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(how);
        self.changed.notify_all();
    }
}

/// Tells the pool that the thread is over, also when it unwinds.
struct Last {
    end: Arc<ThreadEnd>,
    status: i32,
    /// The process of the pool: in a child that a task has forked, nobody listens.
    origin: Origin,
}

impl Drop for Last {
    fn drop(&mut self) {
        if self.origin.is_here() {
            self.end.ended(WorkerExit::Code(self.status));
        }
    }
}

impl WorkerThread {
    /// Starts a thread that serves the segment. `channel` is its end of the control channel.
    pub(crate) fn start(
        memory: Memory,
        boot: Boot,
        channel: OwnedFd,
        tasks: Arc<Tasks>,
    ) -> Result<Self, StartError> {
        let end = Arc::new(ThreadEnd::default());
        let last = Last { end: Arc::clone(&end), status: EXIT_PANICKED, origin: Origin::here() };
        let run = move || {
            // Whole, and before the others: what is dropped last tells the pool that the thread has nothing of its lane any more.
            let mut last = last;
            let (memory, tasks) = (memory, tasks);
            SERVES.set(Arc::as_ptr(&tasks));
            last.status = serve(&memory, boot, channel, &tasks, &last.end);
        };
        let handle = std::thread::Builder::new()
            .name("knit-worker".to_owned())
            .spawn(run)
            .map_err(StartError::system("start a worker thread"))?;
        Ok(Self { end, handle: Some(handle) })
    }

    pub(crate) fn end(&self) -> Arc<ThreadEnd> {
        Arc::clone(&self.end)
    }

    /// Waits until the thread has ended or was let go of; `None` when `timeout` has passed before.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Option<WorkerExit> {
        let exit = self.end.exit.lock().unwrap_or_else(PoisonError::into_inner);
        let running = |exit: &mut Option<WorkerExit>| exit.is_none();
        let exit = match timeout {
            None => {
                *self.end.changed.wait_while(exit, running).unwrap_or_else(PoisonError::into_inner)
            }
            Some(timeout) => {
                let waited = self.end.changed.wait_timeout_while(exit, timeout, running);
                *waited.unwrap_or_else(PoisonError::into_inner).0
            }
        }?;
        if exit != WorkerExit::Abandoned
            && let Some(handle) = self.handle.take()
        {
            // It has said its last word. A panic was printed when it happened.
            let _ = handle.join();
        }
        Some(exit)
    }
}

impl Drop for WorkerThread {
    fn drop(&mut self) {
        // Of a thread whose supervisor unwound.
        self.end.abandon();
    }
}

fn serve(
    memory: &Memory,
    boot: Boot,
    channel: OwnedFd,
    tasks: &Tasks,
    end: &Arc<ThreadEnd>,
) -> i32 {
    debug::tag_thread(debug::Worker { lane: boot.lane, epoch: boot.epoch });
    let max_buffers = boot.max_buffers;
    let link = || Some(Link::over(channel, max_buffers));
    match Worker::open(memory, boot, link, Bell::new(Some(end.bell.clone())), tasks) {
        Ok(mut worker) => {
            worker.end = Some(Arc::clone(end));
            worker.serve()
        }
        Err(error) => {
            complain(&error);
            match error {
                OpenError::WarmUp(_) => EXIT_WARM_UP_FAILED,
                _ => EXIT_BOOT_FAILED,
            }
        }
    }
}
