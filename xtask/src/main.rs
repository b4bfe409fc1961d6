//! Project tasks: `cargo xtask test` runs every check that the project has, `cargo xtask tidy` the
//! ones that cargo does not know.

#![forbid(unsafe_code)]

mod steps;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <task>

tasks:
  test   everything: format, lints, tidy, tests, models, documentation, features, bench smoke
  tidy   only the checks that cargo does not know: where `unsafe` stands, clauses, edges, sizes
  help   this text
";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test"] => steps::test(),
        ["tidy"] => tidy::run(),
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
