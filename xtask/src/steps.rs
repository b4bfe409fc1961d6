//! The steps of `cargo xtask test`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// One command, and what it is for.
struct Step {
    purpose: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

const STEPS: &[Step] = &[
    Step::new("format", &["fmt", "--all", "--check"]),
    Step::new(
        "lints",
        &["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"],
    ),
    Step::new("tidy", &["run", "--quiet", "--package", "xtask", "--", "tidy"]),
    // Unit tests, integration tests with real processes, models, examples, documentation examples.
    Step::new("tests", &["test", "--workspace", "--all-features", "--no-fail-fast"]),
    Step::new("example", &["run", "--quiet", "--package", "knit-lanes", "--example", "square"]),
    // The crates that others embed, each as small as it gets.
    Step::new("knit-proto alone", &["check", "--quiet", "--package", "knit-proto"]),
    Step::new("knit-codec without features", &["check", "--quiet", "--package", "knit-codec"]),
    Step::new("knit-ring without features", &["check", "--quiet", "--package", "knit-ring"]),
    Step::new("knit-lanes without features", &["check", "--quiet", "--package", "knit-lanes"]),
    Step {
        purpose: "documentation",
        arguments: &["doc", "--quiet", "--workspace", "--no-deps", "--all-features"],
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
    },
    // Runs every bench once, as a test: benches that do not run rot.
    Step::new("benches run", &["test", "--quiet", "--package", "knit-benches", "--benches"]),
];

impl Step {
    const fn new(purpose: &'static str, arguments: &'static [&'static str]) -> Self {
        Self { purpose, arguments, environment: &[] }
    }

    fn command_line(&self) -> String {
        let environment = self.environment.iter().map(|(name, value)| format!("{name}='{value}' "));
        environment.chain([format!("cargo {}", self.arguments.join(" "))]).collect()
    }

    fn run(&self) -> bool {
        let status = Command::new(env!("CARGO"))
            .args(self.arguments)
            .envs(self.environment.iter().copied())
            .status();
        match status {
            Ok(status) => status.success(),
            Err(error) => {
                eprintln!("xtask: cannot run cargo: {error}");
                false
            }
        }
    }
}

/// Runs every step, in order, to the end; fails when one of them failed.
pub(crate) fn test() -> ExitCode {
    let mut report = Vec::new();
    for (number, step) in STEPS.iter().enumerate() {
        println!("\n[{}/{}] {}: {}", number + 1, STEPS.len(), step.purpose, step.command_line());
        let since = Instant::now();
        report.push((step, step.run(), since.elapsed()));
    }
    print_report(&report);
    if report.iter().all(|(_, passed, _)| *passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_report(report: &[(&Step, bool, Duration)]) {
    println!("\nsteps:");
    for (step, passed, time) in report {
        let verdict = if *passed { "passed" } else { "FAILED" };
        println!("  {verdict} {:7.1} s  {}", time.as_secs_f64(), step.purpose);
    }
    // Those tests say so too, and fail instead when `CI` is `true`.
    if recorded_vectors().exists() {
        println!("skipped: nothing");
    } else {
        println!(
            "skipped: bytes recorded from Knitting, {} is absent",
            recorded_vectors().display()
        );
    }
}

/// Bytes recorded from the existing implementation, beside the repository.
fn recorded_vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors")
}
