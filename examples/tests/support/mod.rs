//! An example as a process: lines in, lines out, each wait with a deadline.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long anything may take before a test fails instead of hanging.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A running example. Dropped, it is killed.
pub struct Program {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Program {
    /// Starts a program that reads standard input. Its standard error comes with [`Self::finish`].
    pub fn start(path: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { input: child.stdin.take(), child, lines }
    }

    /// Id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a line.
    pub fn send(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line of output.
    #[track_caller]
    pub fn line(&self) -> String {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("no line within {DEADLINE:?}"),
            Err(RecvTimeoutError::Disconnected) => panic!("the program has ended"),
        }
    }

    /// Waits for the end of a program whose input goes on: as [`Self::finish`].
    #[track_caller]
    pub fn finish_with_input_open(mut self) -> (Option<i32>, Vec<String>, String) {
        let input = self.input.take();
        let finished = self.finish();
        drop(input);
        finished
    }

    /// Ends the input and waits for the end of the program: exit status, the rest of its output, and standard error.
    #[track_caller]
    pub fn finish(mut self) -> (Option<i32>, Vec<String>, String) {
        self.input = None;
        until("the program has ended", || self.child.try_wait().unwrap().is_some());
        let mut error = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        (self.child.wait().unwrap().code(), self.lines.iter().collect(), error)
    }

    /// Kills the program.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end: exit status, lines of output, and standard error.
#[track_caller]
pub fn run(
    path: &str,
    arguments: &[&str],
    input: impl Into<Stdio>,
) -> (Option<i32>, Vec<String>, String) {
    let mut child = Command::new(path)
        .args(arguments)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What these programs print fits a pipe.
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() >= DEADLINE {
            child.kill().unwrap();
            panic!("not over within {DEADLINE:?}");
        }
        std::thread::yield_now();
    }
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let lines = String::from_utf8(stdout).unwrap().lines().map(str::to_owned).collect();
    (status.code(), lines, String::from_utf8(stderr).unwrap())
}

/// Looks at `condition` until it holds, and fails when it does not within [`DEADLINE`].
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        std::thread::yield_now();
    }
}

/// Ids of the running children of a process, as `/proc` shows them.
pub fn children(pid: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap();
    let ids = all.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    ids.filter(|id| {
        // Fields 3 and 4 of proc_pid_stat(5).
        stat(*id).is_some_and(|fields| fields[1] == pid.to_string() && is_running(&fields))
    })
    .collect()
}

/// Whether no such process runs. One that waits to be reaped does not run.
pub fn is_gone(pid: u32) -> bool {
    stat(pid).is_none_or(|fields| !is_running(&fields))
}

/// Whether a process sleeps.
pub fn is_asleep(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields[0] == "S")
}

/// Processor time that a process has used, in clock ticks.
pub fn ticks(pid: u32) -> u64 {
    let fields = stat(pid).unwrap();
    // Fields 14 and 15; `stat` begins with field 3.
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// How often a process has gone to sleep.
pub fn sleeps(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

fn is_running(fields: &[String]) -> bool {
    !matches!(fields[0].as_str(), "Z" | "X")
}

fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command may hold spaces and parentheses.
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}
