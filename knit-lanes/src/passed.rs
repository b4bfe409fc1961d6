//! Descriptors that a worker process gets under numbers of its own.
//!
//! That its program could not be run, a new process tells its parent through a pipe of the standard library. The pipe has some number that was
//! free, and what is put under that number in the new process takes the pipe's place: the news is lost, or goes to the user's file. So
//! each number is taken in the host while the worker starts, by the copy that the worker gets where it was free. Where it is that of
//! another descriptor, a thread of the host may close this one at the last moment, and the pipe may come there. The new process
//! therefore looks whether the number stands for the same as before, and otherwise says so: [`is_moved`].

#![allow(unsafe_code, reason = "listed in ARCHITECTURE.md")]

use command_fds::{CommandFdExt, FdMapping};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Copies of descriptors, and the numbers that they get in a new process.
#[derive(Debug)]
pub(crate) struct Passed {
    mappings: Vec<FdMapping>,
    /// Numbers that the host has in use for something else, and for what.
    others: Vec<(RawFd, Option<File>)>,
}

/// Device and inode.
type File = (libc::dev_t, libc::ino_t);

impl Passed {
    /// Copies of these files under these numbers, which ascend. The work is that of one copy for each, and the first time that of a table of
    /// descriptors up to the largest number, which a process keeps: half a MiB for 65535.
    pub(crate) fn new(files: &[(RawFd, BorrowedFd<'_>)]) -> Result<Self, Errno> {
        let mut mappings = Vec::with_capacity(files.len());
        // The last one first: a copy that does not get its number gets a higher one, and those that are wanted are taken by then.
        for (number, file) in files.iter().rev() {
            let copy = match fcntl_dupfd_cloexec(file, *number) {
                // None is free from this number on, so that it is not either.
                // Not a standard stream's: those are put in their places first.
                Err(Errno::MFILE) => fcntl_dupfd_cloexec(file, 3)?,
                copy => copy?,
            };
            mappings.push(FdMapping { parent_fd: copy, child_fd: *number });
        }
        let elsewhere = mappings.iter().filter(|copy| copy.parent_fd.as_raw_fd() != copy.child_fd);
        let others = elsewhere.map(|copy| (copy.child_fd, open_as(copy.child_fd))).collect();
        Ok(Self { mappings, others })
    }

    /// The process that this starts has them. For one start: of a second one the copies may be in the way.
    pub(crate) fn give_to(self, command: &mut Command) {
        let Self { mappings, others } = self;
        if !others.is_empty() {
            let look = move || {
                if others.iter().all(|(number, file)| open_as(*number) == *file) {
                    Ok(())
                } else {
                    Err(io::Error::from_raw_os_error(MOVED))
                }
            };
            // SAFETY: the closure runs in the child of a process that may have threads, before `exec`: it may only do what is safe in a
            // signal handler. It reads memory of its own and asks for the state of files with `fstat`, which is such a call. It
            // allocates nothing, takes no lock, and the error that it may return is a number.
            unsafe { command.pre_exec(look) };
        }
        // After the look.
        command
            .fd_mappings(mappings)
            .unwrap_or_else(|_| unreachable!("each number is there once: they ascend"));
    }
}

/// What a new process says whose numbers do not stand for what they stood for. The system says the same of a number that
/// another thread is just opening a file under.
const MOVED: i32 = libc::EBUSY;

/// Whether the start is to be tried again, with new copies.
pub(crate) fn is_moved(error: &io::Error) -> bool {
    error.raw_os_error() == Some(MOVED)
}

/// What a number stands for; `None` when it is free.
fn open_as(number: RawFd) -> Option<File> {
    let mut state = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: any number may be asked for. What is pointed to is valid for the write of one `stat`, and nothing else refers to it.
    if unsafe { libc::fstat(number, state.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: `fstat` has returned 0, and has filled it.
    let state = unsafe { state.assume_init() };
    Some((state.st_dev, state.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{MemfdFlags, memfd_create};
    use std::os::fd::{AsFd, OwnedFd};

    fn file() -> OwnedFd {
        memfd_create(c"passed-test", MemfdFlags::CLOEXEC).unwrap()
    }

    /// A command that succeeds when this number is open in its process.
    fn is_open(number: RawFd) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("[ -e /proc/self/fd/{number} ]")]);
        command
    }

    #[test]
    fn a_number_is_taken_in_the_host_until_the_process_has_it() {
        let file = file();
        // No other test comes that far, and processes may have 1024.
        let numbers = [900, 901, 910];
        let files = numbers.map(|number| (number, file.as_fd()));
        let passed = Passed::new(&files).unwrap();
        let places = passed.mappings.iter().map(|copy| copy.parent_fd.as_raw_fd());
        assert_eq!(places.rev().collect::<Vec<_>>(), numbers);
        assert_eq!(passed.others, []);
        let mut command = is_open(910);
        passed.give_to(&mut command);
        assert!(command.status().unwrap().success());
        drop(command);
        assert!(numbers.iter().all(|number| open_as(*number).is_none()));
    }

    /// The copy is elsewhere, and no number that is wanted lies in its way.
    #[test]
    fn a_number_that_the_host_uses_is_given_all_the_same() {
        let file = file();
        let used = fcntl_dupfd_cloexec(self::file(), 930).unwrap();
        assert_eq!(used.as_raw_fd(), 930);
        let passed = Passed::new(&[(930, file.as_fd()), (931, file.as_fd())]).unwrap();
        let places: Vec<_> =
            passed.mappings.iter().map(|copy| copy.parent_fd.as_raw_fd()).collect();
        assert_eq!(places, [931, 932]);
        assert_eq!(passed.others, [(930, open_as(930))]);
        let mut command = is_open(930);
        passed.give_to(&mut command);
        assert!(command.status().unwrap().success());
    }

    #[test]
    fn a_number_that_changes_hands_meanwhile_ends_the_start() {
        let file = file();
        let used = fcntl_dupfd_cloexec(self::file(), 960).unwrap();
        assert_eq!(used.as_raw_fd(), 960);
        let passed = Passed::new(&[(960, file.as_fd())]).unwrap();
        drop(used);
        let mut command = is_open(960);
        passed.give_to(&mut command);
        let error = command.spawn().unwrap_err();
        assert!(is_moved(&error), "{error}");
    }
}
