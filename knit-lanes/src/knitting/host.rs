//! The end of the host is the end of its worker.
//!
//! A Knitting host does not say who it is. It is the process that has the worker's memory mapped, since
//! it made that memory: mostly the parent, further up where the command prefix put a shell, a sandbox or a
//! tool that starts containers between them. Such a program may live on when the host is killed, and the
//! host when the program is, so that the worker watches both.
//!
//! The kernel's parent-death signal is not for this: it comes at the end of the *thread* that started
//! this process, and hosts may start workers from threads that end earlier.

use super::serve::ServeError;
use crate::EXIT_BOOT_FAILED;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getppid, pidfd_open};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};

/// Most ancestors that are looked at.
const MAX_ANCESTORS: usize = 32;
/// Inode of the namespace of process ids that a machine starts with: `PROC_PID_INIT_INO` of Linux. In
/// any other one the host may be outside, where nobody sees it.
const FIRST_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Makes this process end when its host does, or its parent, whatever its threads are at then.
///
/// # Errors
///
/// [`ServeError::HostGone`] when one of them has ended before: no other process has the memory mapped.
pub(super) fn end_with_host(memory: Object) -> Result<(), ServeError> {
    let Some(parent) = getppid() else {
        // The parent is outside of this namespace: nothing else is left to watch it by.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(ServeError::system("follow the parent process"))?;
        // One that ended before that line has left this process to another one, which has an id here.
        return if getppid().is_none() { Ok(()) } else { Err(ServeError::HostGone) };
    };
    let mut watched = vec![watch(parent)?];
    // It may have ended, and another process may have its id, since the line that asked for the id.
    if getppid() != Some(parent) {
        return Err(ServeError::HostGone);
    }
    match Proc::of_this_namespace(memory).map_or(Found::Unknown, |proc| find(&proc, parent)) {
        Found::Host(host) => watched.extend(host),
        Found::Nobody => return Err(ServeError::HostGone),
        Found::Unknown => {}
    }
    let thread = std::thread::Builder::new().name("knit-host-watch".to_owned());
    let thread = thread.spawn(move || {
        while !one_has_ended(&watched, None) {}
        // No destructor of the program runs beside a task: the host's end is not this program's.
        let this = Pid::from_raw(std::process::id().cast_signed());
        if let Some(this) = this {
            let _ = rustix::process::kill_process(this, Signal::KILL);
        }
        std::process::exit(EXIT_BOOT_FAILED)
    });
    thread
        .map(drop)
        .map_err(|error| ServeError::System { action: "watch the host's process", error })
}

fn watch(process: Pid) -> Result<OwnedFd, ServeError> {
    pidfd_open(process, PidfdFlags::empty()).map_err(|errno| match errno {
        Errno::SRCH => ServeError::HostGone,
        errno => ServeError::system("watch the host's process")(errno),
    })
}

/// Whether one of these processes has ended; waits for that at most so long. What cannot be asked counts
/// as ended.
fn one_has_ended(watched: &[OwnedFd], longest: Option<&Timespec>) -> bool {
    let mut polled: Vec<_> = watched.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    // Signals aside, only its end can happen to a process that is watched.
    !matches!(rustix::event::poll(&mut polled, longest), Ok(0) | Err(Errno::INTR))
}

/// Who the host is, as far as can be seen.
#[derive(Debug)]
enum Found<T> {
    /// This process, with what it is watched by; `None` for the parent, which is watched anyway.
    Host(Option<T>),
    /// The host has ended.
    Nobody,
    /// Some processes cannot be looked at.
    Unknown,
}

/// What of the other processes can be seen.
trait Processes {
    type Watch;
    /// Whether these are all processes of the machine.
    fn are_all(&self) -> bool;
    /// The processes that can be seen, without this one.
    fn ids(&self) -> Vec<i32>;
    /// The parent of a process; 0 where it has none, or none that has an id here.
    fn parent(&self, id: i32) -> Option<i32>;
    /// Whether a process has the memory mapped, and what it is watched by then. `None` where it cannot
    /// be looked at.
    fn maps(&self, id: i32) -> Option<Option<Self::Watch>>;
}

/// Looks for the host: among the ancestors first, and then, because a prefix may hand the worker over to a
/// service that starts it, among all processes.
fn find<P: Processes>(processes: &P, parent: Pid) -> Found<P::Watch> {
    let parent = parent.as_raw_pid();
    let mut ancestor = parent;
    let mut hidden = false;
    for _ in 0..MAX_ANCESTORS {
        match processes.maps(ancestor) {
            Some(Some(watch)) => return Found::Host((ancestor != parent).then_some(watch)),
            Some(None) => {}
            // The first process of a machine starts programs and is none.
            None => hidden |= ancestor != 1 || !processes.are_all(),
        }
        match processes.parent(ancestor) {
            Some(0) => break,
            Some(id) => ancestor = id,
            None => return Found::Unknown,
        }
    }
    if hidden {
        return Found::Unknown;
    }
    match processes.ids().into_iter().find_map(|id| processes.maps(id).flatten()) {
        Some(watch) => Found::Host(Some(watch)),
        None if processes.are_all() => Found::Nobody,
        None => Found::Unknown,
    }
}

/// A file, as `/proc/PID/maps` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Object {
    device: (u32, u32),
    inode: u64,
}

impl Object {
    pub(super) fn of(file: impl AsFd) -> Result<Self, ServeError> {
        let stat = rustix::fs::fstat(file);
        let stat = stat.map_err(ServeError::system("look at the shared memory"))?;
        let device = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
        Ok(Self { device, inode: stat.st_ino })
    }

    /// The file of a line of `maps`: addresses, rights, offset, device, inode, name.
    fn of_line(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
        let (device, inode) = (fields.nth(3)?, fields.next()?);
        let (major, minor) = str::from_utf8(device).ok()?.split_once(':')?;
        let hex = |digits| u32::from_str_radix(digits, 16).ok();
        let inode = str::from_utf8(inode).ok()?.trim_end().parse().ok()?;
        Some(Self { device: (hex(major)?, hex(minor)?), inode })
    }
}

/// The processes of `/proc`.
struct Proc {
    object: Object,
}

impl Proc {
    /// None where `/proc` is absent, or counts processes otherwise than the system calls of this one do.
    fn of_this_namespace(object: Object) -> Option<Self> {
        let this = std::fs::read_link("/proc/self").ok()?;
        (this.to_str()?.parse() == Ok(std::process::id())).then_some(Self { object })
    }
}

impl Processes for Proc {
    type Watch = OwnedFd;

    fn are_all(&self) -> bool {
        crate::process::pid_namespace() == FIRST_NAMESPACE
    }

    fn ids(&self) -> Vec<i32> {
        let this = std::process::id().cast_signed();
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        ids.filter(|id| *id != this).collect()
    }

    fn parent(&self, id: i32) -> Option<i32> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name before it may hold spaces and parentheses. State and parent follow.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    }

    fn maps(&self, id: i32) -> Option<Option<OwnedFd>> {
        // Watched first: if that one has not ended after the look, the look was at it.
        let watched = [pidfd_open(Pid::from_raw(id)?, PidfdFlags::empty()).ok()?];
        let mut maps = BufReader::new(File::open(format!("/proc/{id}/maps")).ok()?);
        let mut line = Vec::new();
        let mut found = false;
        while !found && maps.read_until(b'\n', &mut line).ok()? > 0 {
            found = Object::of_line(&line) == Some(self.object);
            line.clear();
        }
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        if !found || one_has_ended(&watched, Some(&at_once)) {
            return Some(None);
        }
        let [watched] = watched;
        Some(Some(watched))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Parent, and whether the memory is mapped, of each process; whether these are all.
    struct Machine(BTreeMap<i32, (i32, Option<bool>)>, bool);

    impl Machine {
        fn new<const N: usize>(all: bool, processes: [(i32, i32, Option<bool>); N]) -> Self {
            let by_id = processes.map(|(id, parent, maps)| (id, (parent, maps)));
            Self(BTreeMap::from(by_id), all)
        }

        fn host(&self, parent: i32) -> Found<i32> {
            find(self, Pid::from_raw(parent).unwrap())
        }
    }

    impl Processes for Machine {
        type Watch = i32;

        fn are_all(&self) -> bool {
            self.1
        }

        fn ids(&self) -> Vec<i32> {
            self.0.keys().copied().collect()
        }

        fn parent(&self, id: i32) -> Option<i32> {
            Some(self.0.get(&id)?.0)
        }

        fn maps(&self, id: i32) -> Option<Option<i32>> {
            Some(self.0.get(&id)?.1?.then_some(id))
        }
    }

    const NO: Option<bool> = Some(false);
    const YES: Option<bool> = Some(true);

    #[test]
    fn the_host_is_who_has_the_memory_mapped() {
        for all in [true, false] {
            let machine = Machine::new(
                all,
                [(1, 0, NO), (10, 1, YES), (11, 10, NO), (12, 11, None), (20, 1, NO)],
            );
            // The parent itself, which is watched anyway; behind a program; behind a hidden one.
            assert!(matches!(machine.host(10), Found::Host(None)));
            assert!(matches!(machine.host(11), Found::Host(Some(10))));
            assert!(matches!(machine.host(12), Found::Host(Some(10))));
            // No ancestor: a service has started the worker.
            assert!(matches!(machine.host(20), Found::Host(Some(10))));
        }
    }

    #[test]
    fn the_host_has_ended_only_where_everybody_can_be_seen() {
        // Adopted by the first process, which nobody else may look at, or by another one.
        let orphan = |all, first| Machine::new(all, [(1, 0, first), (20, 1, NO)]);
        for first in [NO, None] {
            assert!(matches!(orphan(true, first).host(1), Found::Nobody));
            assert!(matches!(orphan(true, first).host(20), Found::Nobody));
            // The first process of a sandbox: its host is outside.
            assert!(matches!(orphan(false, first).host(1), Found::Unknown));
            assert!(matches!(orphan(false, first).host(20), Found::Unknown));
        }
        // A host that may not be looked at.
        let hidden = Machine::new(true, [(1, 0, NO), (10, 1, None), (11, 10, NO)]);
        assert!(matches!(hidden.host(10), Found::Unknown));
        assert!(matches!(hidden.host(11), Found::Unknown));
        // One that ends meanwhile, and a chain without an end.
        assert!(matches!(hidden.host(12), Found::Unknown));
        let circle = Machine::new(true, [(2, 3, NO), (3, 2, NO)]);
        assert!(matches!(circle.host(2), Found::Nobody));
    }

    #[test]
    fn a_mapped_file_is_known_by_its_line() {
        let line =
            b"7f00-7f01 rw-s 00000000 00:1a 4711                      /memfd:a b (deleted)\n";
        assert_eq!(Object::of_line(line), Some(Object { device: (0, 26), inode: 4711 }));
        let anonymous = b"7f00-7f01 rw-p 00000000 00:00 0 \n";
        assert_eq!(Object::of_line(anonymous), Some(Object { device: (0, 0), inode: 0 }));
        assert_eq!(Object::of_line(b"7f00-7f01 rw-p 00000000 00:00 0\n").unwrap().inode, 0);
        for line in ["", "\n", "a b c d e", "a b c 0:g 1", "a b c 0:0 x"] {
            assert_eq!(Object::of_line(line.as_bytes()), None, "{line:?}");
        }
    }
}
