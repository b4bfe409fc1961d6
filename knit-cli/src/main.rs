//! The `knit` command.
//!
//! This program is host and worker at once: workers, and the second processes of measurements, are
//! this executable started again. So before anything else `main` asks whether it is one of them.

mod demo;
mod soak;
mod sweep;

use clap::{Parser, Subcommand};
use core::error::Error;
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
    /// Calls for a long time, kills workers meanwhile, and accounts for every call
    ///
    /// Several threads make calls of every kind and size, wait for them by threads and by futures, abort some
    /// and give some too little time. Every outcome is held against what it has to be, and against a count of
    /// runs that the workers keep outside of the library. In the end a table says what became of the
    /// calls, and whether anything was left behind. The exit status is 1 when anything was wrong.
    Soak(soak::Options),
    /// Removes the names of lanes that killed hosts have left in a directory
    ///
    /// Only names that a pool has made for its workers (`Builder::named_lanes`), of this user, and whose process
    /// has ended for sure: hosts at work are not disturbed, and nothing else is touched.
    Sweep(sweep::Options),
}

fn main() -> ExitCode {
    floor::serve_if_peer();
    soak::serve_if_worker();
    demo::serve_if_worker();

    match Arguments::parse().command {
        Command::Demo(options) => end(demo::run(options), demo::DemoError::is_broken_pipe),
        Command::Soak(options) => end(soak::run(options), soak::SoakError::is_broken_pipe),
        Command::Sweep(options) => end(sweep::run(options), sweep::SweepError::is_broken_pipe),
    }
}

fn end<E: Error + 'static>(result: Result<(), E>, is_broken_pipe: fn(&E) -> bool) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("knit: {}", demo::one_line(&error));
            ExitCode::FAILURE
        }
    }
}
