//! `cargo xtask fuzz`: the targets of `fuzz/` under cargo-fuzz, with AddressSanitizer.

mod campaign;
pub(crate) mod rustc;

use campaign::Progress;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::tree;

/// Toolchain that cargo-fuzz needs, for the sanitizer.
const TOOLCHAIN: &str = "nightly";
/// Longest time that one input may take, in seconds: work is bounded.
const LONGEST_INPUT: u32 = 10;
/// Lines of a failure that are shown when the run itself was not.
const SHOWN: usize = 60;

/// Where memory comes from is noted by few frames: that is done for each allocation, and who runs a found input
/// alone has them all. No `unsafe` of this project makes a pointer to a stack frame, and to look for one that was
/// kept takes a third of the time. Of memory that was freed, more is kept than one input frees, not 256 MiB.
const OPTIONS: &str = "malloc_context_size=2:detect_stack_use_after_return=0:quarantine_size_mb=16";

/// The names of all targets.
fn targets() -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(tree::root().join("fuzz/fuzz_targets"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".rs").map(ToOwned::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

/// What this machine lacks for fuzzing, and how to get it; `None`: nothing.
pub(crate) fn missing() -> Option<String> {
    let needs = [
        (nightly("rustc"), &["--version"][..], "`rustup toolchain install nightly` installs it"),
        (
            nightly("cargo"),
            &["fuzz", "--version"],
            "`cargo install cargo-fuzz --locked` installs it",
        ),
        (Command::new("c++"), &["--version"], "install a C++ compiler"),
    ];
    needs.into_iter().find_map(|(mut command, arguments, remedy)| {
        let output = command.args(arguments).stdin(Stdio::null()).output();
        if output.is_ok_and(|output| output.status.success()) {
            return None;
        }
        let words = [command.get_program()].into_iter().chain(command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        Some(format!("`{}` does not run: {remedy}", words.join(" ")))
    })
}

/// A program of the nightly toolchain.
fn nightly(program: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", TOOLCHAIN, program]);
    // What the cargo that runs this tool has set is about another toolchain.
    for name in ["CARGO", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH"] {
        command.env_remove(name);
    }
    command.current_dir(tree::root());
    command
}

/// Runs the program that keeps the corpora: `--list`, `--check`, `--bless`.
pub(crate) fn corpora(arguments: &[&str]) -> ExitCode {
    let status = keeper(arguments).status();
    if succeeded(status) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn keeper(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["run", "--quiet", "--package", "knit-fuzz-bodies", "--bin", "knit-fuzz", "--"])
        .args(arguments)
        .current_dir(tree::root());
    command
}

fn succeeded(status: std::io::Result<ExitStatus>) -> bool {
    status
        .inspect_err(|error| eprintln!("xtask: cannot run cargo: {error}"))
        .is_ok_and(|status| status.success())
}

/// Length of the longest input that is tried for a target, in bytes.
fn longest(name: &str) -> Option<u32> {
    let output = keeper(&["--longest", name]).stderr(Stdio::inherit()).output();
    let output = output.inspect_err(|error| eprintln!("xtask: cannot run cargo: {error}")).ok()?;
    let bytes = str::from_utf8(&output.stdout).ok().and_then(|text| text.trim().parse().ok());
    if bytes.is_none() {
        eprintln!("xtask: `knit-fuzz --longest {name}` does not say how long its inputs are");
    }
    bytes
}

/// Fuzzes one target, several that have commas between them, or `all` of them: `jobs` at a time, for so many
/// seconds each.
pub(crate) fn run(wanted: &str, seconds: &str, jobs: &str) -> ExitCode {
    let Ok(seconds) = seconds.parse::<u32>() else {
        eprintln!("xtask: `{seconds}` is no number of seconds");
        return ExitCode::from(2);
    };
    let Ok(jobs @ 1..) = jobs.parse::<usize>() else {
        eprintln!("xtask: `{jobs}` is no number of jobs");
        return ExitCode::from(2);
    };
    let mut names = match targets() {
        Ok(names) => names,
        Err(error) => {
            eprintln!("xtask: cannot list fuzz/fuzz_targets: {error}");
            return ExitCode::FAILURE;
        }
    };
    if wanted != "all" {
        let wanted: Vec<_> = wanted.split(',').collect();
        let unknown = wanted.iter().find(|wanted| !names.iter().any(|name| name == *wanted));
        if let Some(unknown) = unknown {
            eprintln!("xtask: no fuzz target `{unknown}`; `cargo xtask fuzz --list` has them");
            return ExitCode::from(2);
        }
        names.retain(|name| wanted.contains(&name.as_str()));
    }
    if let Some(missing) = missing() {
        eprintln!("xtask: cannot fuzz: {missing}");
        return ExitCode::FAILURE;
    }
    let Some(mut build) = cargo_fuzz("build") else { return ExitCode::FAILURE };
    if let [name] = &names[..] {
        build.arg(name);
    }
    if !build.status().is_ok_and(|status| status.success()) {
        eprintln!("xtask: the fuzz targets do not build");
        return ExitCode::FAILURE;
    }
    let fine = match &names[..] {
        [name] => fuzz(name, seconds, true, &Progress::default()).fine,
        names => campaign::run(names, seconds, jobs),
    };
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A task of cargo-fuzz, with AddressSanitizer everywhere and with edges counted in this tree alone.
fn cargo_fuzz(task: &str) -> Option<Command> {
    let this = std::env::current_exe()
        .inspect_err(|error| eprintln!("xtask: does not know its own path: {error}"))
        .ok()?;
    let mut command = nightly("cargo");
    command.env("RUSTC_WRAPPER", this).env(rustc::AS_RUSTC, "1");
    command.args(["fuzz", task, "--sanitizer", "address", "--target-dir"]);
    command.arg(in_target("fuzz-build"));
    Some(command)
}

/// What fuzzing a target came to.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    executions: u64,
    /// Edges of the program that were covered.
    edges: u64,
    /// Nothing was found.
    fine: bool,
    time: Duration,
}

/// Fuzzes a target. Its whole output is shown where it is `alone`.
fn fuzz(name: &str, seconds: u32, alone: bool, progress: &Progress) -> Found {
    let (begin, mut result) = (Instant::now(), Found::default());
    let found = folder(name);
    if !succeeded(keeper(&["--unpack", name, &found.to_string_lossy()]).status()) {
        return result;
    }
    let (Some(longest), Some(mut command)) = (longest(name), cargo_fuzz("run")) else {
        return result;
    };
    let child = command
        .env("ASAN_OPTIONS", OPTIONS)
        .arg(name)
        .arg(&found)
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={LONGEST_INPUT}"))
        .arg(format!("-max_len={longest}"))
        .arg("-print_final_stats=1")
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            eprintln!("xtask: cannot run rustup: {error}");
            return result;
        }
    };
    let mut tail = VecDeque::new();
    let output = BufReader::new(child.stderr.take().expect("it was piped"));
    // What is not UTF-8 is shown as far as it is.
    for line in output.split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        if alone {
            eprintln!("{line}");
        }
        if let Some(executions) = executed(&line) {
            result.executions = result.executions.max(executions);
            progress.executed(executions);
        }
        if let Some(edges) = after(&line, "cov: ").and_then(|word| word.parse().ok()) {
            result.edges = edges;
        }
        tail.push_back(line);
        if tail.len() > SHOWN {
            tail.pop_front();
        }
    }
    result.fine = child.wait().is_ok_and(|status| status.success());
    if result.fine && result.edges == 0 {
        eprintln!("xtask: no edges of {name} are counted: its inputs lead nowhere");
        result.fine = false;
    }
    result.time = begin.elapsed();
    if !result.fine && !alone {
        tail.iter().for_each(|line| eprintln!("{line}"));
    }
    let Found { executions, edges, fine, .. } = result;
    let outcome = if fine { "nothing found" } else { "FAILED" };
    println!("{name:20} {executions:>10} executions, {edges:>6} edges, {outcome}");
    if !fine {
        println!(
            "  run the file that stands above without a fuzzer, and keep it once it is understood:\n  \
             cargo run -p knit-fuzz-bodies --bin knit-fuzz -- --run {name} FILE\n  \
             cargo run -p knit-fuzz-bodies --bin knit-fuzz -- --keep {name} NAME FILE"
        );
    }
    result
}

/// How many executions there were by a line of libFuzzer: one of its progress, or the last one.
fn executed(line: &str) -> Option<u64> {
    if let Some(number) = line.strip_prefix("stat::number_of_executed_units:") {
        return number.trim().parse().ok();
    }
    line.strip_prefix('#')?.split_whitespace().next()?.parse().ok()
}

/// The word after `name` in a line.
fn after(line: &str, name: &str) -> Option<String> {
    let (_, rest) = line.split_once(name)?;
    rest.split_whitespace().next().map(ToOwned::to_owned)
}

/// Where libFuzzer keeps the inputs of a target: those of the corpus, and what it finds.
fn folder(name: &str) -> PathBuf {
    in_target("fuzz-corpus").join(name)
}

fn in_target(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| tree::root().join("target")).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_targets_are_listed_and_no_other_is_run() {
        let names = targets().unwrap();
        assert!(names.len() > 10 && names.contains(&"header".to_owned()), "{names:?}");
        assert!(run("nobody", "1", "1") == ExitCode::from(2));
        assert!(run("header,nobody", "1", "1") == ExitCode::from(2));
        assert!(run("all", "soon", "1") == ExitCode::from(2));
        assert!(run("all", "1", "0") == ExitCode::from(2));
    }

    #[test]
    fn numbers_are_found_in_the_lines_of_libfuzzer() {
        let line = "#2\tINITED cov: 181 ft: 182 corp: 1/1b exec/s: 0 rss: 38Mb";
        assert_eq!(after(line, "cov: ").as_deref(), Some("181"));
        assert_eq!(after("stat::peak_rss_mb: 38", "cov: "), None);
        assert_eq!(executed(line), Some(2));
        assert_eq!(executed("stat::number_of_executed_units: 1234"), Some(1234));
        for other in ["INFO: 3 files found", "    #0 0x5581 in main", "stat::peak_rss_mb: 38", "#"]
        {
            assert_eq!(executed(other), None, "{other}");
        }
    }
}
