//! What a figure has to be read beside: machine, kernel, commit.

use std::fs;
use std::process::{Command, Stdio};

/// Where and of what the figures are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Processor.
    pub processor: String,
    /// Kernel release.
    pub kernel: String,
    /// Commit of the working directory, with a plus sign when files differ from it.
    pub commit: String,
}

impl Machine {
    /// What this machine and the working directory say; `unknown` where they say nothing.
    #[must_use]
    pub fn describe() -> Self {
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        Self { processor: processor().unwrap_or_else(unknown), kernel, commit: commit() }
    }
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn commit() -> String {
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else { return unknown() };
    match git(&["status", "--porcelain"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => commit + "+",
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}
