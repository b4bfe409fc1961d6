//! A host that drives a lane from its own event loop: epoll, no thread, no timer that polls. `docs/event-loops.md`
//! walks through it.
//!
//! ```sh
//! printf 'square 3\nwait 60000 within 200\nsquare 4\n' | cargo run -q -p knit-examples --bin epoll_host
//! ```

mod host;

use clap::Parser;
use host::{Host, HostError, Report, Times};
use knit_examples::{Function, LIMITS, LaneProcess, tasks};
use knit_lanes::Encode;
use knit_lanes::codec::Payload;
use rustix::io::Errno;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Reads calls from standard input, one on a line, and prints what became of each as soon as it is known.
///
/// The calls: `square NUMBER`; `wait MILLISECONDS`, a task that looks whether anybody waits for it; `hang
/// MILLISECONDS`, one that does not; `exit STATUS`, which ends the worker. With `within MILLISECONDS` behind it a call
/// has a time of its own. They run one after the other in one worker process. Exit status: 0, 1 when the worker cannot be used, 2 when something on the command line or a
/// line of the input is wrong.
#[derive(Debug, Parser)]
#[command(name = "epoll_host")]
struct Arguments {
    /// How long a call may take, in milliseconds, its time in the queue included.
    #[arg(long, value_name = "MILLISECONDS")]
    timeout: Option<u64>,
    /// How long the worker may keep a call whose time is over, in milliseconds, before it is killed.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000)]
    grace: u64,
    /// How long a worker may take to become ready, in milliseconds.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 10_000)]
    ready: u64,
    /// The program that the worker runs. By default this one.
    #[arg(long, value_name = "PATH", default_value = LaneProcess::THIS_PROGRAM, hide_default_value = true)]
    worker: PathBuf,
}

fn main() -> ExitCode {
    // A worker is this program once more.
    tasks().serve_if_worker();
    let arguments = Arguments::parse();
    // Without a timeout a call may take as long as it takes.
    let timeout = arguments.timeout.map_or(Duration::MAX, Duration::from_millis);
    let times = Times {
        grace: Duration::from_millis(arguments.grace),
        ready: Duration::from_millis(arguments.ready),
    };
    match run(arguments.worker, times, timeout) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("epoll_host: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(program: PathBuf, times: Times, timeout: Duration) -> Result<ExitCode, HostError> {
    let mut host = Host::start(program, times)?;
    let mut input = Input::start(&mut host, timeout)?;
    let mut out = io::stdout();
    let mut calls = 0;
    loop {
        host.work()?;
        for report in host.take_reports() {
            calls += 1;
            print(&mut out, &report)?;
        }
        if input.is_over && !host.is_busy() {
            host.close();
        }
        if let Some(status) = host.end() {
            let (workers, sleeps) = host.counts();
            let counts = format!("{calls} calls, {workers} workers, slept {sleeps} times");
            writeln!(out, "{counts}; the worker ended ({status})")?;
            break;
        }
        if host.wait()? {
            input.read(&mut host)?;
        }
    }
    Ok(if input.wrong_lines == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn print(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let Report { number, text, result } = report;
    match result {
        Ok(value) => writeln!(out, "{number}: {text} = {value}"),
        Err(failure) => writeln!(out, "{number}: {text}: {failure}"),
    }
}

/// The lines of standard input.
struct Input {
    is_over: bool,
    /// Of calls that say nothing else.
    timeout: Duration,
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
    lines: u64,
    wrong_lines: u64,
}

impl Input {
    fn start(host: &mut Host, timeout: Duration) -> Result<Self, HostError> {
        let mut input =
            Self { is_over: false, timeout, rest: Vec::new(), lines: 0, wrong_lines: 0 };
        match host.watch_input(io::stdin()) {
            Ok(()) => {}
            // A file is always readable, and epoll takes none: it is read at once.
            Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
                io::stdin().read_to_end(&mut input.rest)?;
                input.end(host);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(input)
    }

    /// Reads what is there.
    fn read(&mut self, host: &mut Host) -> Result<(), HostError> {
        let mut bytes = [0; 4096];
        // Not through the buffer of `io::stdin`: what lies there makes no descriptor readable.
        match rustix::io::read(io::stdin(), &mut bytes) {
            Ok(0) => {
                host.forget_input(io::stdin())?;
                self.end(host);
            }
            Ok(len) => {
                self.rest.extend_from_slice(&bytes[..len]);
                self.take_lines(host);
            }
            // Somebody else was faster, or a signal handler ran.
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }

    fn end(&mut self, host: &mut Host) {
        self.is_over = true;
        // The last line need not have an end.
        self.rest.push(b'\n');
        self.take_lines(host);
    }

    fn take_lines(&mut self, host: &mut Host) {
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        for line in String::from_utf8_lossy(&whole).lines().map(str::trim) {
            self.lines += 1;
            match parse(line) {
                _ if line.is_empty() => {}
                Ok((function, argument, timeout)) => {
                    let timeout = timeout.unwrap_or(self.timeout);
                    host.call(function, argument, timeout, line.to_owned());
                }
                Err(problem) => {
                    self.wrong_lines += 1;
                    eprintln!("epoll_host: line {}: {problem}", self.lines);
                }
            }
        }
    }
}

/// A call, as a line has it, and its time.
fn parse(line: &str) -> Result<(Function, Payload<'static>, Option<Duration>), String> {
    let (line, timeout) = match line.split_once(" within ") {
        None => (line, None),
        Some((line, time)) => {
            let time = time.trim().parse().map_err(|_| {
                format!("`within` takes a number of milliseconds, not `{}`", time.trim())
            })?;
            (line, Some(Duration::from_millis(time)))
        }
    };
    let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let argument = argument.trim();
    let Some(function) = Function::ALL.into_iter().find(|function| function.name() == name) else {
        let known = Function::ALL.map(Function::name).join(", ");
        return Err(format!("there is no task `{name}`; there are {known}"));
    };
    let encoded = match function {
        Function::Square => argument
            .parse::<f64>()
            .map_err(|_| format!("`{name}` takes a number, not `{argument}`"))?
            .encode(&LIMITS)
            .map(Payload::into_owned),
        Function::Wait | Function::Hang | Function::Exit => argument
            .parse::<u32>()
            .map_err(|_| format!("`{name}` takes a whole number from 0 on, not `{argument}`"))?
            .encode(&LIMITS)
            .map(Payload::into_owned),
    };
    Ok((function, encoded.map_err(|error| error.to_string())?, timeout))
}
