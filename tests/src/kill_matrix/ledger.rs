//! What really happened: tasks write it into a file, which outlives them.
//!
//! One entry is one `write` of twelve bytes to a file opened for appending. The kernel adds entries of
//! several processes one after the other, and keeps what was written when the writer is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Event {
    /// A worker has started; the call means nothing.
    Started = 1,
    /// The task of the call begins.
    Began,
    /// The task of the call is over.
    Over,
    /// The host has made the call.
    Made,
    /// The host has the answer.
    Finished,
    /// The host was told that the task did not run.
    NotRun,
    /// The host was told that the task may have run.
    MayHaveRun,
}

impl Event {
    const ALL: [Self; 7] = [
        Self::Started,
        Self::Began,
        Self::Over,
        Self::Made,
        Self::Finished,
        Self::NotRun,
        Self::MayHaveRun,
    ];
}

/// The writing end.
#[derive(Debug)]
pub struct Ledger(File);

impl Ledger {
    /// Opens the ledger, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().create(true).append(true).open(path).map(Self)
    }

    /// Adds an entry.
    ///
    /// # Panics
    ///
    /// The file cannot be written.
    pub fn note(&self, call: u32, event: Event) {
        let mut entry = [0; ENTRY];
        for (part, word) in entry.chunks_exact_mut(4).zip([call, event as u32, std::process::id()])
        {
            part.copy_from_slice(&word.to_le_bytes());
        }
        // One system call: a part of an entry never stands alone.
        (&self.0).write_all(&entry).expect("the ledger can be written");
    }
}

const ENTRY: usize = 12;

/// What a ledger says.
#[derive(Debug, Default)]
pub struct Truth {
    /// How often each event of a call was written, by its number.
    pub calls: BTreeMap<u32, BTreeMap<u32, u32>>,
    /// Ids of the worker processes that started.
    pub workers: BTreeSet<u32>,
    /// How many started.
    pub starts: u32,
}

impl Truth {
    /// Reads a ledger.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no ledger.
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut truth = Self::default();
        for entry in bytes.chunks(ENTRY) {
            let words: Vec<u32> = entry
                .chunks_exact(4)
                .map(|word| u32::from_le_bytes(word.try_into().expect("four bytes")))
                .collect();
            let [call, event, process] = words[..] else { return Err("half an entry".to_owned()) };
            if event == Event::Started as u32 {
                truth.workers.insert(process);
                truth.starts += 1;
            } else if Event::ALL.iter().any(|known| *known as u32 == event) {
                *truth.calls.entry(call).or_default().entry(event).or_default() += 1;
            } else {
                return Err(format!("event {event} of call {call}"));
            }
        }
        Ok(truth)
    }

    /// How often the event of the call was written.
    #[must_use]
    pub fn count(&self, call: u32, event: Event) -> u32 {
        let count = self.calls.get(&call).and_then(|events| events.get(&(event as u32)));
        count.copied().unwrap_or_default()
    }
}
