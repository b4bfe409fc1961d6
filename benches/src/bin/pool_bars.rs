//! The bars of a pool: queue, lanes, start of a worker, memory of an idle lane.

use clap::Parser;
use knit_benches::machine::Machine;
use knit_benches::pool_bars::{NAMES, bare, memory, scaling, spawn};
use knit_benches::report::Time;
use knit_benches::ring_bars::{Row, Run, Table, run};
use knit_benches::{Failure, cases, work};
use knit_cli::floor::{Cpus, Floor, Plan};
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Measures what a pool is held to beside the time of a call.
///
/// Rows of `scale` are calls with a number, between two processors that host and workers are pinned to, beside the
/// same with one call in the queue or one lane; rows and repetitions are made as in `ring_bars`, between one-line
/// ping-pongs. `spawn` starts workers beside bare processes of this program, and `memory/idle_lane` looks at what
/// lanes hold that have nothing to do. Run it when nothing else runs.
///
/// Missed bars are information: the exit code says only whether everything could be measured.
#[derive(Parser)]
struct Options {
    /// Repetitions of each row.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repetitions: Option<u32>,
    /// A look in a few seconds: short repetitions, too little to write down.
    #[arg(long)]
    quick: bool,
    /// Only repetitions whose ping-pongs take at most so long count; waits for such moments.
    #[arg(long, value_name = "NANOSECONDS")]
    pace: Option<f64>,
    /// Only what has this in its name.
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,
    /// Lists what there is, with the bars of rows, and measures nothing.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    bare::serve_if_bare();
    work::serve_if_worker();
    cases::serve_if_peer();
    match measure(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pool_bars: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), Failure> {
    let mut out = io::stdout();
    let wanted = |name: &str| options.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let mut rows = scaling::all();
    rows.retain(|row| wanted(row.name));
    let others: Vec<_> = NAMES.into_iter().filter(|name| wanted(name)).collect();
    if rows.is_empty() && others.is_empty() {
        let only = options.only.as_deref().unwrap_or_default();
        return Err(format!("no row has {only:?} in its name; see --list").into());
    }
    if options.list {
        for row in &rows {
            writeln!(out, "{:<24}{}", row.name, row.bar)?;
        }
        for name in others {
            writeln!(out, "{name}")?;
        }
        return Ok(());
    }
    let machine = Machine::describe();
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').take(3).collect::<Vec<_>>().join(" ");
    writeln!(out, "{}, Linux {}, commit {}", machine.processor, machine.kernel, machine.commit)?;
    writeln!(out, "load {load}")?;
    // The first: what other pools of this process have freed would be used again.
    if wanted(memory::NAME) {
        eprintln!("{}", memory::NAME);
        writeln!(out, "\n{}", memory::run()?)?;
    }
    if !rows.is_empty() {
        writeln!(out)?;
        measure_rows(options, &rows, &mut out)?;
    }
    if wanted(spawn::NAME) {
        eprintln!("{}", spawn::NAME);
        let repetitions = if options.quick { 3 } else { spawn::REPETITIONS };
        writeln!(out, "\n{}", spawn::run(repetitions)?)?;
    }
    if options.quick {
        writeln!(out, "\n--quick: a look, not a figure to write down")?;
    }
    Ok(())
}

fn measure_rows(options: &Options, rows: &[Row], out: &mut impl Write) -> Result<(), Failure> {
    let cpus = Cpus::choose()?;
    let Some((here, there)) = cpus.pair() else {
        return Err(
            "two processors are needed, and this process may use one only: with one, the two \
                    sides take turns, and no figure means anything"
                .into(),
        );
    };
    let plan = Plan { repetitions: 1, ..Plan::thorough(cpus) };
    let with = |milliseconds| Plan { budget: Duration::from_millis(milliseconds), ..plan };
    let (repetitions, plan, limit) =
        if options.quick { (1, with(10), with(10)) } else { (7, with(120), with(40)) };
    let repetitions = options.repetitions.unwrap_or(repetitions);
    let ping_pong = Floor::PingPong.measure(&limit)?;
    writeln!(out, "pinned to processors {here} and {there}; medians of {repetitions} repetitions")?;
    writeln!(
        out,
        "one cache line there and back (ping-pong): {}, from {} to {} in 98 % of the stretches\n",
        Time(ping_pong.percentile(50.0)),
        Time(ping_pong.percentile(1.0)),
        Time(ping_pong.percentile(99.0)),
    )?;
    let how = Run { repetitions, plan, limit, pace: options.pace };
    let findings = run(rows, &how, |repetition| {
        eprintln!("repetition {} of {repetitions}", repetition + 1);
    })?;
    let table = Table { rows, findings: &findings };
    let (missed, noisy) = table.missed_and_noisy();
    write!(out, "{table}")?;
    writeln!(out, "\n{missed} of {} rows missed their bar, {noisy} are noisy", rows.len())?;
    Ok(())
}
