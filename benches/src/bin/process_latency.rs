//! Latency between two processes: limits of the machine, the mailbox, and the usual ways.

use clap::Parser;
use knit_benches::machine::Machine;
use knit_benches::report::{CSV_HEADING, Line, Row, TABLE_HEADING, Time};
use knit_benches::{Failure, cases, run};
use knit_cli::floor::{Cpus, Floor, Plan};
use std::io::{self, Write};
use std::process::ExitCode;

/// Measures how long a message takes from one process to another and back.
///
/// Each case runs between two one-line ping-pongs, the least that an answer can cost, and is given
/// as time and as multiple of them. Figures of different runs cannot be compared, multiples can.
#[derive(Parser)]
struct Options {
    /// Repetitions of each case.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repetitions: u32,
    /// Most round trips of a repetition; slow cases make fewer, to keep to about a second.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Writes CSV rows to the standard output, and the table to the standard error.
    #[arg(long)]
    csv: bool,
    /// Only the cases whose name contains this.
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,
    /// Lists the cases and measures nothing.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    cases::serve_if_peer();
    match measure(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("process_latency: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), Failure> {
    let mut cases = cases::all();
    if let Some(only) = &options.only {
        cases.retain(|case| case.name.contains(only.as_str()));
    }
    let mut stdout = io::stdout();
    if options.list {
        for case in &cases {
            writeln!(stdout, "{}", case.name)?;
        }
        return Ok(());
    }
    let cpus = Cpus::choose()?;
    let plan =
        Plan { repetitions: options.repetitions, rounds: options.rounds, ..Plan::thorough(cpus) };
    let machine = Machine::describe();
    let mut table: Box<dyn Write> =
        if options.csv { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
    writeln!(table, "{}, Linux {}, commit {}", machine.processor, machine.kernel, machine.commit)?;
    match cpus.pair() {
        Some((here, there)) => {
            writeln!(table, "processes pinned to processors {here} and {there}")?
        }
        None => writeln!(table, "one processor: spinning cases take turns, figures mean little")?,
    }
    let limit = Floor::PingPong.measure(&plan)?;
    writeln!(
        table,
        "one cache line there and back (ping-pong): {}, from {} to {} in 98 % of the stretches\n",
        Time(limit.percentile(50.0)),
        Time(limit.percentile(1.0)),
        Time(limit.percentile(99.0)),
    )?;
    writeln!(table, "{TABLE_HEADING}")?;
    if options.csv {
        writeln!(stdout, "{CSV_HEADING}")?;
    }
    let mut written = Ok(());
    let outcomes = run::run(&cases, &plan, |outcome| {
        let line = writeln!(table, "{}", Line(outcome));
        let row = match options.csv {
            true => writeln!(stdout, "{}", Row { outcome, machine: &machine, cpus }),
            false => Ok(()),
        };
        if let Err(error) = line.and(row) {
            written = Err(error);
        }
    })?;
    written?;
    let noisy = outcomes.iter().filter(|outcome| outcome.ping_pong.differ()).count();
    if noisy > 0 {
        writeln!(
            table,
            "\n{noisy} of {} figures are noisy: the machine changed its pace while they were \
             measured. Run again when it is quiet.",
            outcomes.len()
        )?;
    }
    Ok(())
}
