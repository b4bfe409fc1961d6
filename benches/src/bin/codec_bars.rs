//! The bars of the codec: one table, one line for each.

use clap::Parser;
use knit_benches::Failure;
use knit_benches::codec_bars;
use knit_benches::machine::Machine;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Measures the codec beside the limits that it is held to.
///
/// One processor, private memory that is warm, and for payloads of 1 MiB the copy into or out of shared
/// memory besides. Each row and what it is compared with are measured one after the other; figures and
/// ratios are medians of the repetitions. Run it when nothing else runs.
///
/// Missed bars are information: the exit code says only whether everything could be measured.
#[derive(Parser)]
struct Options {
    /// Repetitions of each row.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repetitions: u32,
    /// A look in a second: too little to write down.
    #[arg(long)]
    quick: bool,
    /// Only the rows whose name contains this.
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,
    /// Lists the rows and their bars and measures nothing.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match measure(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("codec_bars: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), Failure> {
    let mut out = io::stdout();
    let mut rows = codec_bars::all();
    if let Some(only) = &options.only {
        rows.retain(|row| row.name.contains(only.as_str()));
        if rows.is_empty() {
            return Err(format!("no row has {only:?} in its name; see --list").into());
        }
    }
    if options.list {
        for row in &rows {
            writeln!(out, "{:<28}{}", row.name, row.bar)?;
        }
        return Ok(());
    }
    let (repetitions, budget) = if options.quick {
        (1, Duration::from_millis(2))
    } else {
        (options.repetitions, Duration::from_millis(30))
    };
    let machine = Machine::describe();
    writeln!(out, "{}, Linux {}, commit {}", machine.processor, machine.kernel, machine.commit)?;
    writeln!(out, "medians of {repetitions} repetitions\n")?;
    writeln!(out, "{:<28}{:>9}  {:<32}{:>7}  bar", "what", "measured", "beside", "ratio")?;
    let mut missed = 0;
    for row in &mut rows {
        let found = row.measure(repetitions, budget);
        missed += u32::from(row.is_met(&found) == Some(false));
        writeln!(out, "{}", row.line(&found))?;
    }
    writeln!(out, "\n{missed} of {} rows missed their bar", rows.len())?;
    if options.quick {
        writeln!(out, "--quick: a look, not a figure to write down")?;
    }
    Ok(())
}
