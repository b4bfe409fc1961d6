//! Latency between two processes: limits of the machine, the mailbox, pools, and the usual ways. Then
//! what happens when a worker dies, and what an idle pool costs.

use clap::Parser;
use knit_benches::bars::Bars;
use knit_benches::case::Case;
use knit_benches::experiments::{self, death, idle};
use knit_benches::machine::Machine;
use knit_benches::report::{CSV_HEADING, Line, Row, TABLE_HEADING, Time};
use knit_benches::run::Outcome;
use knit_benches::{Failure, cases, run, work};
use knit_cli::floor::{Cpus, Floor, Plan};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Measures how long a message takes from one process to another and back.
///
/// Each case runs between two one-line ping-pongs, the least that an answer can cost, and is given
/// as time and as multiple of them. Figures of different runs cannot be compared, multiples can.
///
/// Two experiments follow: `death` kills a worker in the middle of calls, `idle` watches what a pool
/// without calls uses. The last lines compare with the bars of the project, for information.
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
    /// Only the cases and experiments whose name contains this.
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,
    /// How long the experiment `idle` watches.
    #[arg(long, value_name = "SECONDS", default_value_t = idle::SECONDS)]
    idle_seconds: u64,
    /// Lists the cases and experiments and measures nothing.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    work::serve_if_worker();
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
    let wanted = |name: &str| options.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let mut cases = cases::all();
    cases.retain(|case| wanted(&case.name));
    let experiments = experiments::NAMES.into_iter().filter(|name| wanted(name));
    let names: Vec<_> = cases.iter().map(|case| case.name.as_str()).chain(experiments).collect();
    if names.is_empty() {
        let only = options.only.as_deref().unwrap_or_default();
        return Err(format!("no case or experiment has {only:?} in its name; see --list").into());
    }
    if options.list {
        for name in names {
            writeln!(io::stdout(), "{name}")?;
        }
        return Ok(());
    }
    let cpus = Cpus::choose()?;
    let machine = Machine::describe();
    let mut table: Box<dyn Write> =
        if options.csv { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
    writeln!(table, "{}, Linux {}, commit {}", machine.processor, machine.kernel, machine.commit)?;
    let outcomes = match cases.is_empty() {
        true => Vec::new(),
        false => measure_cases(options, &cases, cpus, &machine, &mut table)?,
    };
    let deaths = if wanted(death::NAME) {
        let deaths = death::run(death::REPETITIONS)?;
        writeln!(table, "\n{deaths}")?;
        Some(deaths)
    } else {
        None
    };
    let idle = if wanted(idle::NAME) {
        let idle = idle::run(Duration::from_secs(options.idle_seconds))?;
        writeln!(table, "\n{idle}")?;
        Some(idle)
    } else {
        None
    };
    let bars = Bars { outcomes: &outcomes, deaths: deaths.as_ref(), idle: idle.as_ref() };
    if !bars.is_empty() {
        writeln!(table, "\n{bars}")?;
    }
    Ok(())
}

fn measure_cases(
    options: &Options,
    cases: &[Case],
    cpus: Cpus,
    machine: &Machine,
    table: &mut dyn Write,
) -> Result<Vec<Outcome>, Failure> {
    let mut stdout = io::stdout();
    let plan =
        Plan { repetitions: options.repetitions, rounds: options.rounds, ..Plan::thorough(cpus) };
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
    let outcomes = run::run(cases, &plan, |outcome| {
        let line = writeln!(table, "{}", Line(outcome));
        let row = match options.csv {
            true => writeln!(stdout, "{}", Row { outcome, machine, cpus }),
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
    Ok(outcomes)
}
