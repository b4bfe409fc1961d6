//! `knit-villain`: a hostile host, a hostile worker, and verdicts.

#![forbid(unsafe_code)]

use clap::{Args, Parser, Subcommand};
use knit_villain::case::{Case, Role};
use knit_villain::options::Options;
use knit_villain::run::{self, Done};
use knit_villain::verdict::Outcome;
use knit_villain::{against_host, cases, host, worker};
use serde_json::Value;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// A hostile peer for implementations of the knit protocol: docs/villain.md
#[derive(Parser)]
#[command(name = "knit-villain", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print every case: id, what the villain is, clause, what is expected, name
    List {
        /// As an array of JSON
        #[arg(long)]
        json: bool,
    },
    /// Play the hostile host: start WORKER once for each case
    Host {
        #[command(flatten)]
        how: How,
        /// Ids, ranges such as V0100-V0124, clauses, or parts of names; none: all
        cases: Vec<String>,
        /// The command that starts the worker under test
        #[arg(last = true, required = true)]
        worker: Vec<OsString>,
    },
    /// Start HOST once for each case, with this program as the command of its workers
    AgainstHost {
        #[command(flatten)]
        how: How,
        /// Ids, ranges such as V0100-V0124, clauses, or parts of names; none: all
        cases: Vec<String>,
        /// The command that starts the host under test
        #[arg(last = true, required = true)]
        host: Vec<OsString>,
    },
    /// Be the host of a case in which the host's process ends
    #[command(hide = true)]
    Orphan {
        /// Id of the case
        case: String,
        /// The command that starts the worker under test
        #[arg(last = true, required = true)]
        worker: Vec<OsString>,
    },
    /// Be a worker of the host under test: hostile if it is the first in FOLDER, else honest
    Worker {
        /// Id of the case
        case: String,
        /// An empty folder for the notes of the villain
        folder: PathBuf,
    },
}

/// How cases are run.
#[derive(Args)]
struct How {
    /// A line of JSON for each case, and one for the summary
    #[arg(long)]
    json: bool,
    /// A violation must be named: by its clause or its name, in the text of an error or on standard error
    #[arg(long)]
    named: bool,
    /// Print only what is neither PASS nor REJECT, and the summary
    #[arg(long)]
    quiet: bool,
    /// Seconds that the program under test may take for one step
    #[arg(long, default_value_t = 20)]
    deadline: u64,
    /// Cases at a time; 0: as many as there are processors
    #[arg(long, default_value_t = 0)]
    jobs: usize,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::List { json } => list(json),
        Command::Host { how, cases, worker } => {
            verdicts(Role::Host, &how, &cases, |case, options| host::run(case, &worker, options))
        }
        Command::AgainstHost { how, cases, host } => {
            let Ok(villain) = std::env::current_exe() else {
                return misuse("this program does not know its own path");
            };
            let villain = [villain.into_os_string()];
            verdicts(Role::Worker, &how, &cases, |case, options| {
                against_host::run(case, &host, &villain, options)
            })
        }
        Command::Orphan { case, worker } => {
            let Some(case) = cases::find(&case) else {
                return misuse(&format!("no case is called {case}"));
            };
            match host::be_orphan(&case, &worker, &Options::default()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(what) => {
                    eprintln!("{what}");
                    ExitCode::FAILURE
                }
            }
        }
        Command::Worker { case, folder } => match cases::find(&case) {
            Some(case) => std::process::exit(worker::serve(&case, &folder)),
            None => misuse(&format!("no case is called {case}")),
        },
    }
}

fn list(json: bool) -> ExitCode {
    let cases = cases::all();
    if json {
        println!("{}", Value::Array(cases.iter().map(Case::to_json).collect()));
    } else {
        cases.iter().for_each(|case| println!("{case}"));
    }
    ExitCode::SUCCESS
}

fn verdicts(
    role: Role,
    how: &How,
    wanted: &[String],
    run: impl Fn(&Case, &Options) -> Outcome + Sync,
) -> ExitCode {
    let mut cases = cases::all();
    for word in wanted {
        if !cases.iter().any(|case| is_meant(case, word)) {
            return misuse(&format!("no case is called {word}"));
        }
    }
    cases.retain(|case| {
        case.role() == role && (wanted.is_empty() || wanted.iter().any(|word| is_meant(case, word)))
    });
    let options = Options {
        deadline: Duration::from_secs(how.deadline.max(1)),
        named: how.named,
        villain: std::env::current_exe().ok().map(PathBuf::into_os_string),
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = if how.jobs == 0 { processors } else { how.jobs };
    let report = |done: &Done<'_>| match (how.json, how.quiet && is_good(done)) {
        (_, true) => {}
        (true, _) => println!("{}", done.to_json()),
        (false, _) => println!("{}", done.to_line()),
    };
    let done = run::all(&cases, jobs, |case| run(case, &options), report);
    if how.json {
        println!("{}", run::summary_json(&done));
    } else {
        println!("{}", run::summary_line(&done));
    }
    let bad = done.iter().any(|done| done.outcome.verdict.is_bad());
    if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn is_good(done: &Done<'_>) -> bool {
    use knit_villain::verdict::Verdict;
    matches!(done.outcome.verdict, Verdict::Pass | Verdict::Reject)
}

/// Whether `word` is the id of the case, a range around it, its clause, or a part of its name.
fn is_meant(case: &Case, word: &str) -> bool {
    let number = |id: &str| id.strip_prefix(['V', 'v'])?.parse::<u32>().ok();
    if let Some((from, to)) = word.split_once('-')
        && let (Some(from), Some(to)) = (number(from), number(to))
    {
        return (from..=to).contains(&case.number);
    }
    match number(word) {
        Some(number) => number == case.number,
        None => word == case.clause || case.name.contains(word),
    }
}

fn misuse(what: &str) -> ExitCode {
    eprintln!("knit-villain: {what}");
    ExitCode::from(2)
}
