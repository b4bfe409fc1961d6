//! Processes and threads, as `/proc` shows them.

use super::until;
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use std::fs;

/// State letter of a process, or of the thread `PID/task/TID`; `None` when there is none.
pub fn state(process: &str) -> Option<char> {
    stat(process)?.first()?.chars().next()
}

/// Processor time that a process, or the thread `PID/task/TID`, has used, in clock ticks.
pub fn ticks(process: &str) -> Option<u64> {
    // Fields 14 and 15 of proc_pid_stat(5); `stat` begins with field 3.
    let fields = stat(process)?;
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

fn stat(process: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The command may hold spaces and parentheses.
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// Whether no such process runs. One that waits to be reaped does not run.
pub fn is_gone(pid: u32) -> bool {
    matches!(state(&pid.to_string()), None | Some('Z' | 'X'))
}

/// Waits until none of these processes runs.
pub fn until_gone(pids: &[u32]) {
    until(&format!("processes {pids:?} are gone"), || pids.iter().all(|pid| is_gone(*pid)));
}

/// Waits until the process is stopped.
pub fn until_stopped(pid: u32) {
    until("the process is stopped", || state(&pid.to_string()) == Some('T'));
}

/// Sends a signal to a process that this test started.
pub fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("the id of a process");
    rustix::process::kill_process(pid, signal).unwrap_or_else(|error| panic!("{pid:?}: {error}"));
}

/// Ends a worker as the kernel does when memory runs out.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// As [`kill`], of a worker that may have ended and been reaped by now.
pub fn kill_if_there(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("the id of a process");
    match rustix::process::kill_process(pid, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => panic!("{pid:?}: {error}"),
    }
}

/// Name under which `/proc` has the calling thread.
pub fn this_thread() -> String {
    let link = fs::read_link("/proc/thread-self").expect("Linux has /proc");
    link.to_string_lossy().into_owned()
}

/// Waits until the thread sleeps.
pub fn until_asleep(thread: &str) {
    until("the thread sleeps", || state(thread) == Some('S'));
}

/// Ids of the processes whose command line has this text.
pub fn with_argument(text: &str) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("Linux has /proc");
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(text) && !is_gone(*pid)
        })
        .collect()
}
