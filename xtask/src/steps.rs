//! The steps of `cargo xtask test`.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::{disk, fuzz, probes, tree};

/// One command, and what it is for.
struct Step {
    purpose: &'static str,
    program: Program,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

/// What runs a step.
enum Program {
    /// The cargo that runs this tool.
    Cargo,
    /// A program on the `PATH`. Without it the step is skipped, except in continuous integration.
    Other(&'static str),
    /// An interpreter, and the program that its script needs on the `PATH`; the same rule.
    Script(&'static str, &'static str),
    /// This tool, for what it needs cargo-fuzz for. Where that does not run the step is skipped, in continuous
    /// integration too: not every machine has a nightly toolchain.
    Fuzzer,
}

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

const STEPS: &[Step] = &[
    Step::new("format", &["fmt", "--all", "--check"]),
    Step::new(
        "lints",
        &["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"],
    ),
    Step::new("generated files", &["run", "--quiet", "--package", "xtask", "--", "gen", "--check"]),
    Step::new("tidy", &["run", "--quiet", "--package", "xtask", "--", "tidy"]),
    Step::new(
        "vectors",
        &["run", "--quiet", "--package", "knit-tests", "--bin", "knit-vectors", "--", "--check"],
    ),
    // Unit tests, integration tests with real processes, models, examples, documentation examples.
    Step::new("tests", &["test", "--workspace", "--all-features", "--no-fail-fast"]),
    Step {
        purpose: "JavaScript implementation",
        program: Program::Other("node"),
        arguments: &["tests/interop/run.mjs"],
        environment: &[],
    },
    Step {
        purpose: "C constants",
        program: Program::Other("cc"),
        arguments: &[
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-fsyntax-only",
            "spec/generated/knit_layout_check.c",
        ],
        environment: &[],
    },
    Step {
        purpose: "Python constants",
        program: Program::Other("python3"),
        arguments: &["-B", "spec/generated/knit_layout.py"],
        environment: &[],
    },
    Step {
        purpose: "Promela models",
        program: Program::Script("bash", "spin"),
        arguments: &["spec/models/check.sh"],
        environment: &[],
    },
    Step {
        purpose: "fuzz targets, for a moment",
        program: Program::Fuzzer,
        arguments: &["run", "--quiet", "--package", "xtask", "--", "fuzz", "all", "10"],
        environment: &[],
    },
    Step::new("example", &["run", "--quiet", "--package", "knit-lanes", "--example", "square"]),
    // The crates that others embed, each as small as it gets.
    Step::new("knit-proto alone", &["check", "--quiet", "--package", "knit-proto"]),
    Step::new("knit-codec without features", &["check", "--quiet", "--package", "knit-codec"]),
    Step::new("knit-ring without features", &["check", "--quiet", "--package", "knit-ring"]),
    Step::new("knit-lanes without features", &["check", "--quiet", "--package", "knit-lanes"]),
    Step {
        purpose: "documentation",
        program: Program::Cargo,
        arguments: &["doc", "--quiet", "--workspace", "--no-deps", "--all-features"],
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
    },
    // Runs every bench once, as a test: benches that do not run rot.
    Step::new("benches run", &["test", "--quiet", "--package", "knit-benches", "--benches"]),
];

impl Step {
    const fn new(purpose: &'static str, arguments: &'static [&'static str]) -> Self {
        Self { purpose, program: Program::Cargo, arguments, environment: &[] }
    }

    fn command_line(&self) -> String {
        let environment = self.environment.iter().map(|(name, value)| format!("{name}='{value}' "));
        let command = format!("{} {}", self.program.name(), self.arguments.join(" "));
        environment.chain([command]).collect()
    }

    fn run(&self) -> Outcome {
        if let Program::Script(_, needed) = self.program
            && !on_path(needed)
        {
            return skip(needed);
        }
        if matches!(self.program, Program::Fuzzer)
            && let Some(missing) = fuzz::missing()
        {
            println!("skipped: {missing}");
            return Outcome::Skipped;
        }
        let status = Command::new(self.program.path())
            .args(self.arguments)
            .envs(self.environment.iter().copied())
            .current_dir(tree::root())
            .status();
        match status {
            Ok(status) if status.success() => Outcome::Passed,
            Ok(_) => Outcome::Failed,
            Err(error) => self.did_not_start(&error),
        }
    }

    fn did_not_start(&self, error: &std::io::Error) -> Outcome {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        if missing && !matches!(self.program, Program::Cargo | Program::Fuzzer) {
            return skip(self.program.name());
        }
        eprintln!("xtask: cannot run {}: {error}", self.program.name());
        Outcome::Failed
    }
}

/// What becomes of a step for which `program` is missing.
fn skip(program: &str) -> Outcome {
    if continuous_integration() {
        eprintln!("xtask: {program} is not on the PATH, and CI skips nothing");
        return Outcome::Failed;
    }
    println!("skipped: {program} is not on the PATH");
    Outcome::Skipped
}

fn on_path(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

impl Program {
    /// What a person would type.
    fn name(&self) -> &'static str {
        match self {
            Self::Cargo | Self::Fuzzer => "cargo",
            Self::Other(name) | Self::Script(name, _) => name,
        }
    }

    /// What there was not, where the step was skipped.
    fn needs(&self) -> &'static str {
        match self {
            Self::Fuzzer => "cargo-fuzz on a nightly toolchain",
            other => other.name(),
        }
    }

    fn path(&self) -> &'static str {
        match self {
            Self::Cargo | Self::Fuzzer => env!("CARGO"),
            Self::Other(name) | Self::Script(name, _) => name,
        }
    }
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}

/// Runs every step, in order, to the end; fails when one of them failed.
pub(crate) fn test() -> ExitCode {
    if !disk::report() {
        return ExitCode::FAILURE;
    }
    let mut report = Vec::new();
    for (number, step) in STEPS.iter().enumerate() {
        println!("\n[{}/{}] {}: {}", number + 1, STEPS.len(), step.purpose, step.command_line());
        let since = Instant::now();
        report.push((step, step.run(), since.elapsed()));
    }
    print_report(&report);
    disk::report();
    let failed = report.iter().any(|(_, outcome, _)| *outcome == Outcome::Failed);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Compares the vectors with what this project produces, or rewrites them: `--check`, `--bless`.
pub(crate) fn vectors(mode: &str) -> ExitCode {
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "knit-tests", "--bin", "knit-vectors", "--", mode])
        .current_dir(tree::root())
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: cannot run cargo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_report(report: &[(&Step, Outcome, Duration)]) {
    println!("\nsteps:");
    for (step, outcome, time) in report {
        println!("  {:7} {:7.1} s  {}", outcome.name(), time.as_secs_f64(), step.purpose);
    }
    let skipped = report.iter().filter(|(_, outcome, _)| *outcome == Outcome::Skipped);
    let mut skipped: Vec<_> = skipped
        .map(|(step, ..)| format!("{}, no {}", step.purpose, step.program.needs()))
        .collect();
    // Tests that need these fail instead when `CI` is `true`.
    let recorded = recorded_vectors();
    if !recorded.exists() {
        skipped.push(format!("bytes recorded from Knitting, {} is absent", recorded.display()));
    }
    // Tests that need what the system refuses pass without it, also then; where a program is missing that can be installed
    // they fail.
    skipped.extend(probes::skipped());
    let nothing = skipped.is_empty();
    println!("skipped: {}", if nothing { "nothing".to_owned() } else { skipped.join("; ") });
}

/// Whether nothing may be skipped.
fn continuous_integration() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// Bytes recorded from the existing implementation, beside the repository.
fn recorded_vectors() -> PathBuf {
    tree::root().join("../shared/vectors")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_skips_its_step_except_in_continuous_integration() {
        let program = Program::Other("knit-program-that-nobody-has");
        let step = Step { purpose: "none", program, arguments: &[], environment: &[] };
        let expected = if continuous_integration() { Outcome::Failed } else { Outcome::Skipped };
        assert!(step.run() == expected);
    }
}
