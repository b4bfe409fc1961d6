//! Names that hosts have left behind: found and removed when it is proven that their creator has ended.

use super::Name;
use super::name::world;
use crate::process::{has_ended, start_time};
use rustix::process::{Pid, geteuid};
use std::fs::{DirEntry, read_dir};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The paths in this directory that [`sweep`] would remove now.
///
/// Those are sockets of this user with a name that a pool has made ([`Builder::named_lanes`](crate::Builder::named_lanes)) whose process
/// has ended: no process has its id, or one that started at another time. Names of another pid or time namespace, of another boot of the machine or of
/// another machine are never among them, since nothing is known of their processes; neither is anything that cannot be told for sure, and no age matters.
/// Where `/proc` does not tell in which namespaces this process is there are none.
///
/// # Errors
///
/// The directory cannot be read.
pub fn stale(directory: impl AsRef<Path>) -> io::Result<Vec<PathBuf>> {
    let (world, user) = (world(), geteuid().as_raw());
    let Some(world) = world else {
        // A directory that cannot be read is said here too.
        return read_dir(directory).map(|_| Vec::new());
    };
    let mut found = Vec::new();
    for entry in read_dir(directory)? {
        let entry = entry?;
        if is_stale(&entry, world, user) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// What became of the names that a [`sweep`] has found stale.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Swept {
    /// Those that it has removed, in order.
    pub removed: Vec<PathBuf>,
    /// Those that are still there, in order, and why.
    pub left: Vec<(PathBuf, io::Error)>,
}

/// Removes what hosts that were killed have left in this directory: the paths of [`stale`]. One that cannot be removed keeps none of the others. May
/// run at any time, beside hosts at work and beside others that sweep: what those have removed is in neither list.
///
/// # Errors
///
/// The directory cannot be read. Nothing was removed.
pub fn sweep(directory: impl AsRef<Path>) -> io::Result<Swept> {
    let mut swept = Swept::default();
    // A name is never given out again: what is removed is what was looked at.
    for path in stale(directory)? {
        match std::fs::remove_file(&path) {
            Ok(()) => swept.removed.push(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => swept.left.push((path, error)),
        }
    }
    Ok(swept)
}

fn is_stale(entry: &DirEntry, world: u64, user: u32) -> bool {
    let name = entry.file_name();
    let Some(name) = name.to_str().and_then(Name::parse) else { return false };
    // Of the entry itself, not of what a link leads to. One that is gone is nobody's.
    let is_ours = |entry: &DirEntry| {
        entry.metadata().is_ok_and(|entry| entry.file_type().is_socket() && entry.uid() == user)
    };
    name.world == world && is_ours(entry) && creator_has_ended(&name)
}

fn creator_has_ended(name: &Name) -> bool {
    let Some(pid) = i32::try_from(name.pid).ok().and_then(Pid::from_raw) else { return false };
    // A creator that does not know its start may be whoever has its id.
    has_ended(pid) || name.start != 0 && start_time(name.pid).is_some_and(|now| now != name.start)
}
