//! The bars of the ring: one table, one line for each.

use clap::Parser;
use knit_benches::machine::Machine;
use knit_benches::report::Time;
use knit_benches::ring_bars::{self, Run, Table};
use knit_benches::{Failure, cases};
use knit_cli::floor::{Cpus, Floor, Plan};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Measures the ring beside the limits that it is held to.
///
/// Calls run between two processes, streams between two threads, both pinned to two processors. Each
/// row is measured between one-line ping-pongs, and so is what it is compared with; rows take turns,
/// and figures are medians of the repetitions. A repetition whose ping-pongs differ by more than 15 %
/// is thrown away and measured again, up to three times. Rows that are NOISY even then, and rows whose
/// repetitions were made at TWO PACES of the machine, are to be compared with nothing. Run it when
/// nothing else runs.
///
/// Missed bars are information: the exit code says only whether everything could be measured.
#[derive(Parser)]
struct Options {
    /// Repetitions of each row.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repetitions: Option<u32>,
    /// A look in a few seconds: three short repetitions, too little to write down.
    #[arg(long)]
    quick: bool,
    /// Only repetitions whose ping-pongs take at most so long count; waits for such moments. For
    /// machines whose processors are near each other at times and far apart at others.
    #[arg(long, value_name = "NANOSECONDS")]
    pace: Option<f64>,
    /// Only the rows whose name contains this.
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,
    /// Lists the rows and their bars and measures nothing.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    cases::serve_if_peer();
    match measure(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ring_bars: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), Failure> {
    let mut out = io::stdout();
    let mut rows = ring_bars::all();
    if let Some(only) = &options.only {
        rows.retain(|row| row.name.contains(only.as_str()));
        if rows.is_empty() {
            return Err(format!("no row has {only:?} in its name; see --list").into());
        }
    }
    if options.list {
        for row in &rows {
            writeln!(out, "{:<24}{}", row.name, row.bar)?;
        }
        return Ok(());
    }
    let cpus = Cpus::choose()?;
    let Some((here, there)) = cpus.pair() else {
        return Err(
            "two processors are needed, and this process may use one only: with one, the two \
                    sides take turns, and no figure means anything"
                .into(),
        );
    };
    let plan = Plan { repetitions: 1, ..Plan::thorough(cpus) };
    let (repetitions, plan, limit) = match options.quick {
        true => (3, short(&plan, 20), short(&plan, 10)),
        false => (7, short(&plan, 120), short(&plan, 40)),
    };
    let repetitions = options.repetitions.unwrap_or(repetitions);
    let machine = Machine::describe();
    writeln!(out, "{}, Linux {}, commit {}", machine.processor, machine.kernel, machine.commit)?;
    writeln!(out, "pinned to processors {here} and {there}; medians of {repetitions} repetitions")?;
    let ping_pong = Floor::PingPong.measure(&plan)?;
    writeln!(
        out,
        "one cache line there and back (ping-pong): {}, from {} to {} in 98 % of the stretches\n",
        Time(ping_pong.percentile(50.0)),
        Time(ping_pong.percentile(1.0)),
        Time(ping_pong.percentile(99.0)),
    )?;
    let how = Run { repetitions, plan, limit, pace: options.pace };
    let findings = ring_bars::run(&rows, &how, |repetition| {
        eprintln!("repetition {} of {repetitions}", repetition + 1);
    })?;
    let table = Table { rows: &rows, findings: &findings };
    write!(out, "{table}")?;
    let (missed, noisy) = table.missed_and_noisy();
    let thrown_away: u32 = findings.iter().map(|found| found.thrown_away).sum();
    writeln!(
        out,
        "\n{missed} of {} rows missed their bar, {noisy} are noisy; {thrown_away} repetitions were \
         thrown away because their ping-pongs differed",
        rows.len(),
    )?;
    if options.quick {
        writeln!(out, "--quick: a look, not a figure to write down")?;
    }
    Ok(())
}

/// The same plan with so many milliseconds for each measurement.
fn short(plan: &Plan, milliseconds: u64) -> Plan {
    Plan { budget: Duration::from_millis(milliseconds), ..*plan }
}
