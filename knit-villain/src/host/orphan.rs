//! A host that ends without a word: its worker has to end too.
//!
//! The host of such a case is a process of its own, which the driver ends once it has said which process its
//! worker is.

use super::{LIMIT, Start};
use crate::case::{Case, Course, Deed, End};
use crate::child::{Process, last_line, words};
use crate::host::Stage;
use crate::line::{Line, Side};
use crate::options::Options;
use crate::verdict::{Outcome, Verdict};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Runs the case against the worker that `command` starts.
pub(super) fn run(case: &Case, command: &[OsString], options: &Options) -> io::Result<Outcome> {
    let Some(villain) = &options.villain else {
        let why = "this case needs the path of knit-villain";
        return Ok(Outcome::new(Verdict::Skip, why));
    };
    let host = [villain.clone(), "orphan".into(), case.id().into(), "--".into()];
    let command: Vec<_> = host.into_iter().chain(command.iter().cloned()).collect();
    let mut host = Process::start(&command, Stdio::null(), &[], Vec::new())?;
    let end = Instant::now() + options.deadline * 2;
    let pid = loop {
        let ended = host.ended_within(Duration::from_millis(2));
        let output = host.output();
        // A line is whole when its end is there.
        if let Some(pid) = output.strip_prefix("worker ").and_then(|pid| pid.strip_suffix('\n')) {
            break pid.parse().ok().and_then(Pid::from_raw);
        }
        if let Some(status) = ended {
            let what = last_line(&host.complaint()).to_owned();
            return Ok(Outcome::new(Verdict::Fail, format!("its host {}: {what}", words(status))));
        }
        if Instant::now() >= end {
            return Ok(Outcome::new(Verdict::Wedged, "the worker did not come so far"));
        }
    };
    // Its host has not reaped it: the id is still its own.
    let Some(Ok(worker)) = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) else {
        return Ok(Outcome::new(Verdict::Fail, "the worker cannot be watched"));
    };
    host.kill();
    let deadline = Timespec {
        tv_sec: options.deadline.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: options.deadline.subsec_nanos().into(),
    };
    let ended = rustix::event::poll(&mut [PollFd::new(&worker, PollFlags::IN)], Some(&deadline))?;
    if ended == 0 {
        // It was started for this case, and nobody else would end it.
        let _ = pidfd_send_signal(&worker, Signal::KILL);
        let seen = format!("it lives {:?} after its host", options.deadline);
        return Ok(Outcome::new(Verdict::Wedged, seen));
    }
    Ok(Outcome::new(Verdict::Pass, "it ended when its host had ended"))
}

/// Is the host of a case: starts the worker, plays, says which process it is, and waits for the end.
///
/// # Errors
///
/// What went wrong before that.
pub fn be(case: &Case, command: &[OsString], options: &Options) -> Result<(), String> {
    let Deed::Orphan(course) = &case.deed else {
        return Err(format!("{} is no case of that kind", case.id()));
    };
    play(course, command, options).map_err(|error| error.to_string())?
}

fn play(
    course: &Course,
    command: &[OsString],
    options: &Options,
) -> io::Result<Result<(), String>> {
    let start = Start::default();
    let (memory, layout) = start.segment()?;
    let boot = [("KNIT_BOOT", start.description())];
    let mut process = Process::start(command, start.stdin(&memory)?.0, &boot, Vec::new())?;
    let id = process.id();
    let line = Line::new(&memory, &layout, Side::Host, LIMIT);
    let mut stage = Stage::new(line, None, &mut process, options, crate::case::Expect::Dies);
    let played =
        stage.open(start.lock).and_then(|()| stage.probe()).and_then(|()| course(&mut stage));
    match played {
        Ok(()) => {}
        Err(End::Late(what) | End::Wrong(what) | End::Skip(what)) => return Ok(Err(what)),
        Err(End::Exited) => return Ok(Err("the worker has ended".to_owned())),
    }
    println!("worker {id}");
    loop {
        std::thread::park();
    }
}
