//! The `knit` command.
//!
//! This program is host and worker at once: workers, and the second processes of measurements, are
//! this executable started again. So before anything else `main` asks whether it is one of them.

mod demo;

use clap::{Parser, Subcommand};
use knit_cli::floor;
use std::process::ExitCode;

/// Calls into worker processes through shared memory.
#[derive(Debug, Parser)]
#[command(name = "knit", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Calls functions in worker processes, and measures what a call costs
    ///
    /// Starts worker processes, calls functions in them, splits work over them, shows how failures
    /// come back, and measures round trips beside a one-line ping-pong and a Unix socket. Takes
    /// about ten seconds. Every result is checked; the exit status is 1 when one is wrong.
    Demo(demo::Options),
}

fn main() -> ExitCode {
    floor::serve_if_peer();
    demo::serve_if_worker();

    let result = match Arguments::parse().command {
        Command::Demo(options) => demo::run(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("knit: {}", demo::one_line(&error));
            ExitCode::FAILURE
        }
    }
}
