//! The same program without a pool: what a worker is compared with.

use crate::Failure;
use knit_cli::floor::leave;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::env;
use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Environment variable of such a process.
const VARIABLE: &str = "KNIT_BENCH_BARE";

/// How long it may take to reach `main`, in seconds.
const PATIENCE: i64 = 10;

/// A process of this program that has reached `main` and waits there. Dropping it ends it.
#[derive(Debug)]
pub struct Bare {
    child: Child,
    input: Option<ChildStdin>,
}

impl Bare {
    /// Forks, executes this program, and waits until it has reached `main`.
    ///
    /// # Errors
    ///
    /// The system refuses, or the process ends before.
    pub fn start() -> Result<Self, Failure> {
        let mut child = Command::new(env::current_exe()?)
            .env(VARIABLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take();
        let bare = Self { child, input };
        let mut output = output.ok_or("the process has no standard output")?;
        let mut wanted = [PollFd::new(&output, PollFlags::IN)];
        let limit = Timespec { tv_sec: PATIENCE, tv_nsec: 0 };
        if poll(&mut wanted, Some(&limit))? == 0 {
            return Err(format!("a process has not reached main after {PATIENCE} s").into());
        }
        output.read_exact(&mut [0; 1])?;
        Ok(bare)
    }

    /// Process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It ends with its input; the kill is for one that is stuck. Both fail only when it has ended.
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Plays that process when this one was started for it, and then does not return. Call it first in `main`.
pub fn serve_if_bare() {
    if env::var_os(VARIABLE).is_none() {
        return;
    }
    let said = io::stdout().write_all(b"+").and_then(|()| io::stdout().flush());
    // Until the other side is gone.
    leave(said.and_then(|()| io::stdin().read(&mut [0; 1]).map(drop)));
}
