//! A host under test, with a villain among its workers.
//!
//! The host program is started once for each case. The last of its arguments are the command that it has to
//! start its workers with. What it does and says is the contract of `docs/villain.md`.

use crate::case::{Case, Expect, Role};
use crate::child::{Process, last_line, words};
use crate::names;
use crate::options::Options;
use crate::verdict::{Outcome, Verdict};
use crate::worker::{Traces, is_gone};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Rounds of calls that a host makes.
pub const ROUNDS: u32 = 3;
/// Calls of a round, all made before the first is waited for.
pub const CALLS: u32 = 64;
/// Length of every second text, in bytes: too long for a slot.
pub const LONG: usize = 700;

/// The text of a call.
#[must_use]
pub fn text(round: u32, call: u32) -> String {
    let start = format!("knit-{round}-{call}-");
    if call.is_multiple_of(2) { start } else { format!("{start:x<LONG$}") }
}

/// Runs a case against the host that `command` starts; its workers are started by `villain`.
#[must_use]
pub fn run(case: &Case, command: &[OsString], villain: &[OsString], options: &Options) -> Outcome {
    if case.role() != Role::Worker {
        return Outcome::new(Verdict::Skip, "this case needs a worker: `host`");
    }
    play(case, command, villain, options)
        .unwrap_or_else(|error| Outcome::new(Verdict::Skip, format!("cannot be run: {error}")))
}

fn play(
    case: &Case,
    command: &[OsString],
    villain: &[OsString],
    options: &Options,
) -> io::Result<Outcome> {
    let folder = Folder::new()?;
    let worker = ["worker".into(), case.id().into(), folder.0.clone().into_os_string()];
    let command: Vec<_> = command.iter().chain(villain).chain(&worker).cloned().collect();
    let mut process = match Process::start(&command, Stdio::null(), &[], Vec::new()) {
        Ok(process) => process,
        Err(error) => {
            return Ok(Outcome::new(Verdict::Fail, format!("the host cannot be started: {error}")));
        }
    };
    // Three rounds of calls, a start and an end.
    let deadline = options.deadline * 5;
    let Some(status) = process.ended_within(deadline) else {
        process.kill();
        let said = process.output().lines().count();
        let seen = format!("it has not ended within {deadline:?}, after {said} lines of output");
        return Ok(Outcome::new(Verdict::Wedged, seen));
    };
    let traces = Traces::read(&folder.0);
    if let Some(why) = traces.skip {
        return Ok(Outcome::new(Verdict::Skip, why));
    }
    let complaint = process.complaint();
    let fail = |what: String| Ok(Outcome::new(Verdict::Fail, what));
    if status.code() != Some(0) {
        return fail(format!("the host {}: {}", words(status), last_line(&complaint)));
    }
    if let Some(what) = traces.complaint {
        return fail(format!("the villain was told what no host may say: {what}"));
    }
    if !until(options.deadline, || is_gone(&folder.0)) {
        return fail("the host has ended and its worker has not".to_owned());
    }
    let report = match Report::read(&process.output()) {
        Ok(report) => report,
        Err(what) => return fail(what),
    };
    if !traces.came || !traces.acted {
        return fail("the villain was started, or called, too seldom to do anything".to_owned());
    }
    Ok(judge(case, &report, &traces, options))
}

/// What a host has said of its calls.
#[derive(Debug, Default)]
struct Report {
    /// Texts of errors, with the round of the call.
    failed: Vec<(u32, String)>,
    /// Rounds of the calls whose answer was another value.
    odd: Vec<u32>,
    /// Calls that were answered as they should be.
    right: u32,
    /// Why the pool did not start.
    start: Option<String>,
}

impl Report {
    fn read(output: &str) -> Result<Self, String> {
        let mut report = Self::default();
        let mut seen = Vec::new();
        let mut ended = false;
        for line in output.lines() {
            let mut words = line.splitn(2, ' ');
            match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
                ("call", rest) => seen.push(report.call(rest).ok_or_else(|| not_understood(line))?),
                ("start", text) => report.start = Some(text.to_owned()),
                ("end", _) => ended = true,
                _ => {}
            }
        }
        if report.start.is_some() {
            return Ok(report);
        }
        seen.sort_unstable();
        let all = (1..=ROUNDS).flat_map(|round| (0..CALLS).map(move |call| (round, call)));
        if !ended {
            return Err("the host has not said `end`".to_owned());
        }
        if !seen.into_iter().eq(all) {
            return Err("the host has not said of each call, once, what became of it".to_owned());
        }
        Ok(report)
    }

    /// Notes `ROUND CALL ok TEXT`, `ROUND CALL failed TEXT` or `ROUND CALL odd`.
    fn call(&mut self, line: &str) -> Option<(u32, u32)> {
        let mut words = line.splitn(4, ' ');
        let (round, call) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        match (words.next()?, words.next().unwrap_or_default()) {
            ("ok", found) if found == text(round, call) => self.right += 1,
            ("ok" | "odd", _) => self.odd.push(round),
            ("failed", found) => self.failed.push((round, found.to_owned())),
            _ => return None,
        }
        Some((round, call))
    }
}

fn not_understood(line: &str) -> String {
    format!("the host says what the contract does not have: {}", last_line(line))
}

fn judge(case: &Case, report: &Report, traces: &Traces, options: &Options) -> Outcome {
    let outcome = Outcome::new;
    let texts = report.failed.iter().map(|(_, text)| text).chain(&report.start);
    let violation = texts.clone().find(|text| names::names_any(text)).cloned();
    let named = texts.clone().any(|text| names::is_named(text, case.clause));
    let count = report.failed.len();
    let seen = match (&report.start, report.failed.first()) {
        (Some(text), _) => format!("no start: {}", last_line(text)),
        (None, None) => format!("{} calls right", report.right),
        (None, Some((_, text))) => {
            format!("{} calls right, {count} failed: {}", report.right, last_line(text))
        }
    };
    let late = report.failed.iter().any(|(round, _)| *round == ROUNDS);
    let odd = report.odd.len();
    // Answers of a villain that may say anything: a host cannot know better.
    let liar = matches!(case.expect, Expect::Keeps | Expect::Survives);
    if odd > 0 && !liar {
        return outcome(Verdict::Fail, format!("{odd} calls have a wrong answer; {seen}"));
    }
    let fail = |what: &str| outcome(Verdict::Fail, format!("{what}; {seen}"));
    match case.expect {
        Expect::Rejects => {
            if late {
                return fail("calls of the last round fail");
            }
            if report.start.is_none() && (count == 0 || traces.closed) {
                return fail("the worker broke the protocol and was kept");
            }
            if options.named && !named {
                return fail(&format!("no error names {} or its violation", case.clause));
            }
            outcome(Verdict::Reject, seen)
        }
        Expect::Fails => match (violation, traces.closed) {
            (Some(_), _) => fail("a violation is named where there is none"),
            (None, false) => fail("the worker was not kept"),
            (None, true) if count != traces.bad as usize => {
                fail(&format!("{} calls were answered badly", traces.bad))
            }
            (None, true) => outcome(Verdict::Pass, seen),
        },
        Expect::Keeps if violation.is_some() => fail("a violation is named where there is none"),
        Expect::Keeps if !traces.closed => fail("the worker was not kept"),
        Expect::Keeps if count + odd > traces.bad as usize => {
            fail(&format!("{} calls were answered in an odd way", traces.bad))
        }
        Expect::Carries if count > 0 || report.start.is_some() || !traces.closed => {
            fail("the worker did nothing that a host may mind")
        }
        Expect::Dies if report.start.is_none() && count == 0 && traces.calls > 0 => {
            fail("no call fails, and one was with the worker when it ended")
        }
        Expect::Dies if late => fail("calls of the last round fail"),
        Expect::Dies if violation.is_some() => fail("a violation is named where there is none"),
        Expect::Refuses => fail("no such case has a worker"),
        Expect::Survives if late => fail("calls of the last round fail"),
        Expect::Survives if violation.is_some() => outcome(Verdict::Reject, seen),
        Expect::Carries | Expect::Keeps | Expect::Dies | Expect::Survives => {
            outcome(Verdict::Pass, seen)
        }
    }
}

/// A folder for one case, which goes when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Relaxed: a counter.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("knit-villain-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn remove(folder: &Path) {
    // What cannot be removed is left to whoever cleans the folder of temporary files.
    let _ = std::fs::remove_dir_all(folder);
}

fn until(deadline: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
