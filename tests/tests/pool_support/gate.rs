//! A task that runs until the test says so, without a clock: `hold` of the worker reads a FIFO.

use super::fresh_path;
use rustix::fs::{CWD, FileType, Mode};
use std::fs::{File, OpenOptions};

/// A FIFO for one call of the task `hold`.
#[derive(Debug)]
pub struct Gate {
    path: String,
}

/// The task runs until this is dropped.
#[must_use = "dropping it lets the task end"]
#[derive(Debug)]
pub struct Held {
    _writer: File,
}

impl Gate {
    pub fn new() -> Self {
        let path = fresh_path("gate");
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path }
    }

    /// The argument of `hold`.
    pub fn path(&self) -> String {
        self.path.clone()
    }

    /// Blocks until a worker runs the task, and keeps it in there.
    pub fn entered(&self) -> Held {
        let writer = OpenOptions::new().write(true).open(&self.path);
        Held { _writer: writer.unwrap_or_else(|error| panic!("{}: {error}", self.path)) }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // A file left behind in the build directory harms nobody.
        let _ = std::fs::remove_file(&self.path);
    }
}
