//! Ends hosts and workers at every step of a call and in every way, thousands of times, and holds what the pool
//! says of each call against what the tasks wrote down.
//!
//! `knit-kill-matrix [--kills N] [--seed S] [--dir PATH]`: 1000 kills, seed 1, ledgers in the directory for temporary
//! files. With `--every-host-store` a host ends itself at each of its stores and in each way, with `--stop 30` a worker and a host
//! are stopped for so many seconds and must go on. Ends with status 1 when anything was wrong. Its other arguments are for itself: it is its own host and worker.

use knit_tests::kill_matrix::report::Report;
use knit_tests::kill_matrix::{Plan, Random, host, round, steps, stopped, worker};
use knit_tests::overheard::Overheard;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

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
        ["steps", ledger, stores, way] => {
            let way = steps::WAYS[number(way) as usize];
            steps::serve(Path::new(ledger), number(stores), way)
        }
        _ => match plan(&words) {
            Some(plan) => run(&plan),
            None => {
                eprintln!(
                    "usage: knit-kill-matrix [--kills N | --every-host-store | --stop SECONDS] [--seed S] [--dir PATH]"
                );
                ExitCode::from(2)
            }
        },
    }
}

fn plan(words: &[&str]) -> Option<Plan> {
    let directory = std::env::temp_dir();
    let mut plan = Plan { kills: 1000, seed: 1, directory, every_host_store: false, stop: None };
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "--kills" => plan.kills = words.next()?.parse().ok()?,
            "--seed" => plan.seed = words.next()?.parse().ok()?,
            "--dir" => plan.directory = PathBuf::from(words.next()?),
            "--every-host-store" => plan.every_host_store = true,
            "--stop" => plan.stop = Some(words.next()?.parse().ok()?),
            _ => return None,
        }
    }
    Some(plan)
}

fn run(plan: &Plan) -> ExitCode {
    let since = Instant::now();
    let overheard = Overheard::listen();
    let mut report = Report::default();
    let rounds = match plan {
        Plan { stop: Some(seconds), .. } => {
            stopped::run(plan, &mut report, &overheard, Duration::from_secs(*seconds))
        }
        Plan { every_host_store: true, .. } => every_host_store(plan, &mut report),
        _ => kills(plan, &mut report, &overheard, since),
    };
    report.unsure = overheard.count("the worker may live on");
    println!("{report}, {rounds} rounds in {:.1?}", since.elapsed());
    if report.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn every_host_store(plan: &Plan, report: &mut Report) -> u64 {
    let stores = steps::count(plan).unwrap_or_else(|error| {
        report.wrong.push(error);
        0
    });
    println!("a host makes {stores} stores");
    for store in 0..stores {
        for way in steps::WAYS {
            if report.wrong.is_empty() {
                steps::run(plan, report, store, way, stores);
            }
        }
    }
    stores
}

fn kills(plan: &Plan, report: &mut Report, overheard: &Overheard, since: Instant) -> u64 {
    let mut random = Random::new(plan.seed);
    let mut rounds = 0;
    let mut told = 0;
    println!("{} kills, seed {}", plan.kills, plan.seed);
    let host_stores = steps::count(plan).map_err(|error| report.wrong.push(error)).unwrap_or(1);
    while report.killed() < plan.kills && report.wrong.is_empty() {
        let seed = random.next() >> 16;
        match rounds % 6 {
            0..=2 => round::run(plan, report, overheard, seed, false),
            3 | 4 => round::run(plan, report, overheard, seed, true),
            _ => {
                (0..2).for_each(|n| host::run(plan, report, seed + n));
                let store = random.next() % host_stores;
                steps::run(plan, report, store, random.pick(&steps::WAYS), host_stores);
            }
        }
        rounds += 1;
        if report.killed() / PROGRESS > told {
            told = report.killed() / PROGRESS;
            println!("{} kills after {:.0?}", report.killed(), since.elapsed());
        }
    }
    rounds
}
