//! What a worker process does not get of its host's descriptors: all that nobody meant for it.

#![allow(unsafe_code, reason = "listed in ARCHITECTURE.md")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The first descriptor that is not a standard stream.
const FIRST: u32 = 3;

/// Makes every descriptor of the new process close-on-exec, the standard streams aside, whoever opened it and how. What is done to `command` after
/// this, such as mapping a descriptor, has its effect.
pub(crate) fn keep_from(command: &mut Command) {
    // SAFETY: the closure runs in the child of a process that may have threads, before `exec`: it may only do what is safe in a
    // signal handler. It makes one system call, allocates nothing, takes no lock, and the error that it may
    // return is a number. It has nothing of its environment, and closes nothing: descriptors that the
    // child still uses before `exec` stay open.
    unsafe { command.pre_exec(close_on_exec) };
}

fn close_on_exec() -> io::Result<()> {
    // SAFETY: `close_range` takes three numbers and no pointer; with this flag it marks descriptors and closes none.
    let done =
        unsafe { libc::syscall(libc::SYS_close_range, FIRST, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
