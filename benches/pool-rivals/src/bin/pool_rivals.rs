//! Calls to a worker process: the pool beside what else there is, in one table.

use clap::Parser;
use knit_benches::machine::Machine;
use knit_benches::report::Time;
use knit_cli::floor::{Floor, Plan};
use knit_pool_rivals::report::Report;
use knit_pool_rivals::run::{self, Run, implementations, rows};
use knit_pool_rivals::{Failure, rivals};
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

// What the others allocate with is not the question, and for large bytes it would be.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures calls to a worker and back: seven payloads, 1, 10 and 100 calls in flight, and each way to do so.
///
/// A row is PAYLOAD/IN_FLIGHT. When the oldest call is answered the next one begins, so that many are always in
/// flight. Host and worker are pinned to two processors. Each implementation is checked before each measurement:
/// every answer belongs to its call. Figures are medians of the repetitions, of the mean time of a call;
/// ratios are medians of the repetitions' ratios. A row is measured again, up to three times, when the one-line
/// ping-pongs around its figures differ by more than a quarter. Run it when nothing else runs: about ten minutes.
///
/// What is slower than something else is information: the exit code says only whether everything could be
/// measured.
#[derive(Parser)]
struct Options {
    /// Repetitions of each row.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repetitions: Option<u32>,
    /// A look: one short repetition, too little to write down.
    #[arg(long)]
    quick: bool,
    /// Only the rows whose name contains this.
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,
    /// Beside knit only the implementations whose name contains one of these.
    #[arg(long, value_name = "SUBSTRING,…", value_delimiter = ',')]
    beside: Vec<String>,
    /// Writes JSON to the standard output, and the table to the standard error.
    #[arg(long)]
    json: bool,
    /// Lists rows and implementations and measures nothing.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    rivals::serve_if_worker();
    match measure(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("pool_rivals: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether everything could be measured.
fn measure(options: &Options) -> Result<bool, Failure> {
    let mut rows = rows();
    if let Some(only) = &options.only {
        rows.retain(|row| row.name().contains(only.as_str()));
        if rows.is_empty() {
            return Err(format!("no row has {only:?} in its name; see --list").into());
        }
    }
    let implementations = implementations(&options.beside);
    if options.list {
        let names = rows.iter().map(|row| row.name());
        for name in names.chain(implementations.iter().map(|name| (*name).to_owned())) {
            writeln!(io::stdout(), "{name}")?;
        }
        return Ok(true);
    }
    let cpus = rivals::two_processors()?;
    let plan = Plan { repetitions: 1, rounds: u32::MAX, ..Plan::thorough(cpus) };
    let with = |milliseconds| Plan { budget: Duration::from_millis(milliseconds), ..plan };
    let (repetitions, tries, plan, limit) =
        if options.quick { (1, 1, with(10), with(10)) } else { (5, 3, with(100), with(25)) };
    let limit = Plan { rounds: 200_000, ..limit };
    let repetitions = options.repetitions.unwrap_or(repetitions);
    let machine = Machine::describe();
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').take(3).collect::<Vec<_>>().join(" ");
    let mut out: Box<dyn Write> =
        if options.json { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
    writeln!(out, "{}, Linux {}, commit {}", machine.processor, machine.kernel, machine.commit)?;
    writeln!(out, "load {load}; allocator mimalloc; medians of {repetitions} repetitions")?;
    let ping_pong = Floor::PingPong.measure(&limit)?;
    writeln!(
        out,
        "one cache line there and back (ping-pong): {}, from {} to {} in 98 % of the stretches\n",
        Time(ping_pong.percentile(50.0)),
        Time(ping_pong.percentile(1.0)),
        Time(ping_pong.percentile(99.0)),
    )?;
    out.flush()?;
    let how = Run { repetitions, plan, limit, tries, implementations };
    let (findings, broken) = run::run(&rows, &how, |repetition, row| {
        eprintln!("repetition {} of {repetitions}: {}", repetition + 1, row.name());
    })?;
    let report = Report {
        machine: &machine,
        load: &load,
        implementations: &how.implementations,
        rows: &rows,
        findings: &findings,
        broken: &broken,
    };
    write!(out, "{report}")?;
    let thrown_away: u32 = findings.iter().map(|found| found.thrown_away).sum();
    writeln!(
        out,
        "\n{thrown_away} repetitions of rows were thrown away: their ping-pongs differed"
    )?;
    if options.quick {
        writeln!(out, "--quick: a look, not a figure to write down")?;
    }
    if options.json {
        writeln!(io::stdout(), "{:#}", report.json())?;
    }
    Ok(broken.is_empty())
}
