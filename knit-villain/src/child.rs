//! A process under test: started, watched, ended.

use command_fds::{CommandFdExt, FdMapping};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::MemfdFlags;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longest part of an output that is looked at, in bytes.
const MOST_OUTPUT: u64 = 4 << 20;

/// A process that is ended when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pidfd: OwnedFd,
    status: Option<ExitStatus>,
    out: File,
    error: File,
}

impl Process {
    /// Starts `command` with this standard input, these variables, and these descriptors besides.
    ///
    /// # Errors
    ///
    /// The program cannot be started.
    pub fn start(
        command: &[OsString],
        stdin: Stdio,
        variables: &[(&str, OsString)],
        descriptors: Vec<FdMapping>,
    ) -> io::Result<Self> {
        let (program, arguments) =
            command.split_first().ok_or_else(|| io::Error::other("no command to start"))?;
        let (out, error) = (output()?, output()?);
        let mut child = Command::new(program)
            .args(arguments)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(stdin)
            .stdout(out.try_clone()?)
            .stderr(error.try_clone()?)
            .fd_mappings(descriptors)
            .map_err(io::Error::other)?
            .spawn()?;
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self { child, pidfd, status: None, out, error }),
            Err(errno) => {
                // It is this process's child and not reaped yet.
                let _ = child.kill();
                let _ = child.wait();
                Err(errno.into())
            }
        }
    }

    /// Waits for the end of the process, for so long.
    pub fn ended_within(&mut self, timeout: Duration) -> Option<ExitStatus> {
        if self.status.is_some() {
            return self.status;
        }
        let end = Instant::now() + timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let left = Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
            match rustix::event::poll(&mut fds, Some(&left)) {
                Ok(0) => return None,
                Ok(_) => break,
                Err(_) if Instant::now() >= end => return None,
                // A signal came.
                Err(_) => {}
            }
        }
        self.status = self.child.wait().ok();
        self.status
    }

    /// Ends the process, if it has not ended.
    pub fn kill(&mut self) {
        if self.status.is_none() {
            // The only error is that it has ended already.
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
        }
    }

    /// What it has said on standard output.
    pub fn output(&mut self) -> String {
        text(&mut self.out)
    }

    /// What it has said on standard error.
    pub fn complaint(&mut self) -> String {
        text(&mut self.error)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A file in memory: a process never waits for somebody to read it.
fn output() -> io::Result<File> {
    Ok(rustix::fs::memfd_create(c"knit-villain-output", MemfdFlags::CLOEXEC)?.into())
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    // What cannot be read was not said.
    let _ = file.rewind().and_then(|()| file.take(MOST_OUTPUT).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The words for an exit status.
#[must_use]
pub fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// A line of its standard error, to be shown beside a verdict: the last one that says something.
#[must_use]
pub fn last_line(text: &str) -> &str {
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let end = (0..=line.len().min(300)).rev().find(|at| line.is_char_boundary(*at));
    &line[..end.unwrap_or_default()]
}
