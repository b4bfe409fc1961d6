//! Children of `fork` that run on without `exec`, for tests of what such a child must not do.

#![allow(unsafe_code, reason = "listed in ARCHITECTURE.md")]

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, waitpid};
use std::io::{PipeReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How long a child may take before it is killed, and the test fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// A child of this process.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    /// What went wrong in it.
    said: PipeReader,
}

impl Child {
    /// Forks. The child runs `body` and ends at once, without anything that a program does at its end; a panic of `body` is what
    /// [`Self::finish`] fails with.
    pub fn run(body: impl FnOnce()) -> Self {
        let (said, mut say) = std::io::pipe().expect("descriptors are left");
        let Some(pid) = fork() else {
            let status = match catch_unwind(AssertUnwindSafe(body)) {
                Ok(()) => 0,
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().map(String::as_str);
                    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                    // Without this the status alone tells.
                    let _ = say.write_all(text.unwrap_or("a panic without a text").as_bytes());
                    1
                }
            };
            end(status)
        };
        Self { pid, said }
    }

    /// Waits until the child has ended. Panics when something went wrong in it, or when it hangs: then it is killed.
    pub fn finish(mut self) {
        let status = self.end();
        let mut said = String::new();
        // The writing ends are gone with the child and with `run`.
        let _ = self.said.read_to_string(&mut said);
        assert_eq!(status.exit_status(), Some(0), "the child: {said} ({status:?})");
    }

    /// Kills the child.
    pub fn kill(self) {
        kill_process(self.pid, Signal::KILL).expect("it was not reaped yet");
        assert_eq!(self.end().terminating_signal(), Some(Signal::KILL.as_raw()));
    }

    fn end(&self) -> WaitStatus {
        let start = Instant::now();
        loop {
            if let Some((_, status)) =
                waitpid(Some(self.pid), WaitOptions::NOHANG).expect("it was not reaped yet")
            {
                return status;
            }
            if start.elapsed() > DEADLINE {
                kill_process(self.pid, Signal::KILL).expect("it was not reaped yet");
                let _ = waitpid(Some(self.pid), WaitOptions::empty());
                panic!("the child hangs: it did not end within {DEADLINE:?}");
            }
            std::thread::yield_now();
        }
    }
}

/// Forks; both processes return. The parent waits for the child, and returns the status with which that has ended; in the child the
/// value is -1.
pub fn and_come_back() -> i32 {
    match fork() {
        None => -1,
        Some(child) => {
            let waited = waitpid(Some(child), WaitOptions::empty());
            let (_, status) = waited.expect("it is our child").expect("it was waited for");
            status.exit_status().unwrap_or(-2)
        }
    }
}

/// The child's id in the parent, `None` in the child.
fn fork() -> Option<Pid> {
    // SAFETY: a child of a process with threads may only do what is safe in a signal handler, says POSIX. The C
    // libraries of Linux promise more, which is what programs that fork rely on: they bring their allocator into
    // order. Locks of Rust's library are not taken here, but for those of this test's own threads, which are at rest or
    // use the pool.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "the system lets nobody fork");
    Pid::from_raw(pid)
}

/// Ends the process and does nothing else: handlers at exit are the parent's.
fn end(status: i32) -> ! {
    // SAFETY: it takes any number and does not return.
    unsafe { libc::_exit(status) }
}
