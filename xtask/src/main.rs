//! Project tasks: `cargo xtask test` runs every check that the project has, `cargo xtask tidy` the
//! ones that cargo does not know, `cargo xtask gen` writes what follows from `spec/layout.toml`.

#![forbid(unsafe_code)]

mod clauses;
mod disk;
mod fuzz;
mod generate;
mod layout;
mod probes;
mod steps;
mod tidy;
mod tree;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <task>

tasks:
  test              everything: format, lints, tidy, tests, models, documentation, features, benches
  tidy              only the checks that cargo does not know: where `unsafe` stands, clauses and
                    their evidence, vectors, generated files, the code map, edges, sizes
  gen               write what follows from spec/layout.toml: spec/generated, tables of the chapters
  gen --check       fail when one of those is stale
  vectors           compare spec/vectors with what this project produces
  vectors --bless   rewrite them
  fuzz <targets> <seconds> [--jobs <n>]
                    fuzz one with cargo-fuzz and AddressSanitizer; several with commas between them, or
                    `all`: each so long, n at a time, with a table of their executions at the end
  fuzz --list       the targets
  fuzz --check      compare the seeds in fuzz/corpus with what the vectors imply
  fuzz --bless      rewrite them
  help              this text
";

fn main() -> ExitCode {
    if fuzz::rustc::is_meant() {
        return fuzz::rustc::run();
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test"] => steps::test(),
        ["tidy"] => tidy::run(),
        ["gen"] => generate::run(false),
        ["gen", "--check"] => generate::run(true),
        ["vectors"] => steps::vectors("--check"),
        ["vectors", "--bless"] => steps::vectors("--bless"),
        ["fuzz", mode @ ("--list" | "--check" | "--bless")] => fuzz::corpora(&[mode]),
        ["fuzz", target, seconds] => fuzz::run(target, seconds, "1"),
        ["fuzz", target, seconds, "--jobs", jobs] => fuzz::run(target, seconds, jobs),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        ref other => {
            eprint!("xtask: no task `{}`\n\n{USAGE}", other.join(" "));
            ExitCode::from(2)
        }
    }
}
