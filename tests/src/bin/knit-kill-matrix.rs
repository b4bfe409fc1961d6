//! Ends hosts and workers at every step of a call and in every way, thousands of times, and holds what the pool
//! says of each call against what the tasks wrote down.
//!
//! `knit-kill-matrix [--kills N] [--seed S] [--dir PATH]`: 1000 kills, seed 1, ledgers in the directory for temporary
//! files. Ends with status 1 when anything was wrong. Its other arguments are for itself: it is its own host and worker.

use knit_tests::kill_matrix::report::Report;
use knit_tests::kill_matrix::{Plan, Random, host, round, worker};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Kills between two lines of progress.
const PROGRESS: u32 = 500;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().expect("a number");
    match words[..] {
        ["steady", ledger, _] => worker::steady(Path::new(ledger)),
        ["dying", ledger, seed] => worker::dying(Path::new(ledger), number(seed)),
        ["host", ledger, seed, end] => {
            host::serve(Path::new(ledger), number(seed), end.parse().expect("a number"))
        }
        _ => match plan(&words) {
            Some(plan) => run(&plan),
            None => {
                eprintln!("usage: knit-kill-matrix [--kills N] [--seed S] [--dir PATH]");
                ExitCode::from(2)
            }
        },
    }
}

fn plan(words: &[&str]) -> Option<Plan> {
    let mut plan = Plan { kills: 1000, seed: 1, directory: std::env::temp_dir() };
    for pair in words.chunks(2) {
        match *pair {
            ["--kills", kills] => plan.kills = kills.parse().ok()?,
            ["--seed", seed] => plan.seed = seed.parse().ok()?,
            ["--dir", path] => plan.directory = PathBuf::from(path),
            _ => return None,
        }
    }
    Some(plan)
}

fn run(plan: &Plan) -> ExitCode {
    let since = Instant::now();
    let mut random = Random::new(plan.seed);
    let mut report = Report::default();
    let mut rounds = 0;
    let mut told = 0;
    println!("{} kills, seed {}", plan.kills, plan.seed);
    while report.killed() < plan.kills && report.wrong.is_empty() {
        let seed = random.next() >> 16;
        match rounds % 6 {
            0..=2 => round::run(plan, &mut report, seed, false),
            3 | 4 => round::run(plan, &mut report, seed, true),
            _ => (0..2).for_each(|n| host::run(plan, &mut report, seed + n)),
        }
        rounds += 1;
        if report.killed() / PROGRESS > told {
            told = report.killed() / PROGRESS;
            println!("{} kills after {:.0?}", report.killed(), since.elapsed());
        }
    }
    println!("{report}, {rounds} rounds in {:.1?}", since.elapsed());
    if report.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
