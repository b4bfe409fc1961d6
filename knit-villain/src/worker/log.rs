//! What a villain tells the driver about itself, in a folder that both know.

use rustix::fs::FlockOperation;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Name of the file.
const NAME: &str = "villain";

/// The villain's file: locked for as long as the villain lives, a line for each note.
#[derive(Debug)]
pub struct Log(File);

impl Log {
    /// The file, when this process is the first one.
    ///
    /// # Errors
    ///
    /// The folder cannot be written.
    pub fn first(folder: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().append(true).create_new(true).open(path(folder));
        let file = match file {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(error),
        };
        rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
        Ok(Some(Self(file)))
    }

    /// Adds a line.
    pub fn note(&self, line: &str) {
        // A driver that does not find it says that the villain has not said it.
        let _ = (&self.0).write_all(format!("{line}\n").as_bytes());
    }
}

/// What a villain has left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Whether there was one.
    pub came: bool,
    /// Whether it has done what its case says.
    pub acted: bool,
    /// How many calls it has answered badly.
    pub bad: u32,
    /// How many calls it was given.
    pub calls: u32,
    /// Whether it has served until its host closed the lane.
    pub closed: bool,
    /// Why the case cannot be run.
    pub skip: Option<String>,
    /// What the host did wrong.
    pub complaint: Option<String>,
}

impl Traces {
    /// Reads the notes of a folder.
    #[must_use]
    pub fn read(folder: &Path) -> Self {
        let Ok(text) = std::fs::read_to_string(path(folder)) else { return Self::default() };
        let mut traces = Self { came: true, ..Self::default() };
        for line in text.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("acted", _) => traces.acted = true,
                ("bad", _) => traces.bad += 1,
                ("call", _) => traces.calls += 1,
                ("closed", _) => traces.closed = true,
                ("skip", what) => traces.skip = Some(what.to_owned()),
                ("host", what) => traces.complaint = Some(what.to_owned()),
                _ => {}
            }
        }
        traces
    }
}

/// Whether the villain of this folder, if there was one, has ended.
#[must_use]
pub fn is_gone(folder: &Path) -> bool {
    let Ok(file) = File::open(path(folder)) else { return true };
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}
