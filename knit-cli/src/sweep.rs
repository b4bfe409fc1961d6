//! `knit sweep`: removes the names of lanes that hosts have left behind.

use clap::Args;
use knit_lanes::named;
use std::io::{self, Write};
use std::path::PathBuf;

/// What to sweep.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Directory of named lanes: what a pool was given as `Builder::named_lanes`
    directory: PathBuf,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Why the directory was not swept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SweepError {
    #[error("cannot sweep {directory}")]
    Sweep { directory: String, source: io::Error },
    #[error("{} could not be removed, see above", names(*.count))]
    Left { count: usize },
    #[error("cannot print")]
    Print(#[from] io::Error),
}

impl SweepError {
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Print(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Sweeps, and prints a line for each name. One that cannot be removed keeps none of the others.
pub(crate) fn run(options: Options) -> Result<(), SweepError> {
    let Options { directory, dry_run } = options;
    let swept = if dry_run {
        named::stale(&directory).map(|found| (found, Vec::new()))
    } else {
        named::sweep(&directory).map(|swept| (swept.removed, swept.left))
    };
    let (gone, left) = swept.map_err(|source| {
        let directory = directory.display().to_string();
        SweepError::Sweep { directory, source }
    })?;
    for (path, error) in &left {
        eprintln!("knit: cannot remove {}: {error}", path.display());
    }
    let mut out = io::stdout().lock();
    let verb = if dry_run { "would remove" } else { "removed" };
    for path in &gone {
        writeln!(out, "{verb} {}", path.display())?;
    }
    writeln!(out, "{verb} {} of hosts that have ended", names(gone.len()))?;
    if left.is_empty() { Ok(()) } else { Err(SweepError::Left { count: left.len() }) }
}

fn names(count: usize) -> String {
    format!("{count} name{}", if count == 1 { "" } else { "s" })
}
