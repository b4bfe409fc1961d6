//! The hostile host: starts the worker under test once for each case.

mod orphan;
mod stage;
mod start;

pub use orphan::be as be_orphan;
pub use stage::Stage;
pub use start::{
    ABSENT, BootChange, ECHO, EPOCH, LIMIT, Lock, SEALS, SUM, Start, Stdin, TASKS, Third, memfd,
};

use crate::case::{Case, Course, Deed, End, Expect};
use crate::channel::Channel;
use crate::child::{Process, last_line, words};
use crate::line::{Line, Side};
use crate::names;
use crate::options::Options;
use crate::verdict::{Outcome, Verdict};
use crate::wire::{Fate, Forged};
use command_fds::FdMapping;
use knit_proto::LaneState;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;

/// Exit status of a worker whose host broke the protocol.
const BROKEN: i32 = 76;
/// Exit status of a worker that could not attach.
const REFUSED: i32 = 78;

/// Runs a case against the worker that `command` starts.
#[must_use]
pub fn run(case: &Case, command: &[OsString], options: &Options) -> Outcome {
    let outcome = match &case.deed {
        Deed::Host(start, course) => play(case, start, course, command, options),
        Deed::Request(forged) => {
            let forged = forged.clone();
            play(case, &Start::default(), &request(forged), command, options)
        }
        Deed::Orphan(_) => orphan::run(case, command, options),
        Deed::Worker(_) | Deed::Answer(_) => {
            return Outcome::new(Verdict::Skip, "this case needs a host: `against-host`");
        }
    };
    outcome.unwrap_or_else(|error| Outcome::new(Verdict::Skip, format!("cannot be run: {error}")))
}

/// The course of a case that is one message.
fn request(forged: Forged) -> Course {
    Box::new(move |stage| {
        let buffer = forged.clause == "PAY-22";
        let function = if buffer { SUM } else { ECHO };
        if forged.fate == Fate::Poison {
            return stage.offend(function, &forged.body);
        }
        // Before and after it there are others, so that neither end is at its start.
        stage.probe()?;
        let (call, raw) = stage.echo_of(&forged.body);
        stage.submit_as(function, call, &forged.body)?;
        match forged.fate {
            Fate::Passes => stage.expect_back(call, &raw),
            _ => stage.expect_failure(call),
        }
    })
}

fn play(
    case: &Case,
    start: &Start,
    course: &Course,
    command: &[OsString],
    options: &Options,
) -> io::Result<Outcome> {
    let (memory, layout) = start.segment()?;
    let (stdin, shadow) = start.stdin(&memory)?;
    let (channel, third) = third(start.third)?;
    let descriptors = third.map(|parent_fd| FdMapping { parent_fd, child_fd: 3 });
    let boot = [("KNIT_BOOT", start.description())];
    let mut process = match Process::start(command, stdin, &boot, descriptors.into_iter().collect())
    {
        Ok(process) => process,
        // Nothing under test has run.
        Err(error) => {
            return Ok(Outcome::new(
                Verdict::Fail,
                format!("the worker cannot be started: {error}"),
            ));
        }
    };
    let line = Line::new(&memory, &layout, Side::Host, LIMIT);
    let mut stage = Stage::new(line, channel, &mut process, options, case.expect);
    stage.shadow = shadow;
    let end = act(case.expect, &mut stage, start, course);
    Ok(judge(case, end, &mut process, options))
}

/// Plays the case. What comes back says how the lane ended.
fn act(expect: Expect, stage: &mut Stage<'_>, start: &Start, course: &Course) -> Ending {
    if start.state == LaneState::Closing.word() {
        stage.closed = true;
        let end = stage.until_gone().err().unwrap_or(End::Exited);
        return Ending { end, opened: false, closed: true };
    }
    if let Err(end) = stage.open(start.lock) {
        return Ending { end, opened: false, closed: false };
    }
    let end = course(stage).and_then(|()| match expect {
        Expect::Rejects => stage.until_refused(),
        Expect::Refuses => Err(End::Wrong("it attached".to_owned())),
        _ => {
            stage.probe()?;
            stage.probe_failure()?;
            stage.close()
        }
    });
    let end = end.err().unwrap_or(End::Exited);
    Ending { end, opened: true, closed: stage.closed }
}

/// How a lane ended.
struct Ending {
    end: End,
    /// Whether the worker was open.
    opened: bool,
    /// Whether the host had closed.
    closed: bool,
}

fn judge(case: &Case, ending: Ending, process: &mut Process, options: &Options) -> Outcome {
    let Ending { end, opened, closed } = ending;
    let status = match end {
        End::Exited => match process.ended_within(options.deadline) {
            Some(status) => status,
            None => return Outcome::new(Verdict::Wedged, "its process does not end"),
        },
        End::Skip(why) => return Outcome::new(Verdict::Skip, why),
        End::Late(what) => return Outcome::new(Verdict::Wedged, what),
        End::Wrong(what) => return Outcome::new(Verdict::Fail, what),
    };
    let complaint = process.complaint();
    let seen = match last_line(&complaint) {
        "" => words(status),
        line => format!("{}: {line}", words(status)),
    };
    let named = names::is_named(&complaint, case.clause);
    let verdict = match (status.code(), case.expect) {
        (Some(0), Expect::Carries | Expect::Fails | Expect::Survives) if closed => Verdict::Pass,
        (Some(REFUSED), Expect::Refuses | Expect::Survives) if !opened => Verdict::Reject,
        (Some(BROKEN), Expect::Rejects) if options.named && !named => {
            let seen = format!("{seen}: names neither {} nor its violation", case.clause);
            return Outcome::new(Verdict::Fail, seen);
        }
        (Some(BROKEN), Expect::Rejects | Expect::Survives) if opened => Verdict::Reject,
        _ => Verdict::Fail,
    };
    Outcome::new(verdict, seen)
}

/// The host's end of the channel, and what the worker inherits as descriptor 3.
fn third(third: Third) -> io::Result<(Option<Channel>, Option<OwnedFd>)> {
    Ok(match third {
        Third::Nothing | Third::Offered => (None, None),
        Third::Channel => {
            let (ours, theirs) = Channel::pair()?;
            (Some(ours), Some(theirs))
        }
        Third::Null => (None, Some(std::fs::File::open("/dev/null")?.into())),
        Third::Stream => {
            let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
            let (_, theirs) = rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
            (None, Some(theirs))
        }
    })
}
