//! Compares `spec/vectors` with what this project produces, or rewrites it: `cargo xtask vectors`.

use knit_tests::vectors::disk::{Difference, bless, differences, root};
use knit_tests::vectors::{FOLDERS, all};
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        [] | ["--check"] => check(),
        ["--bless"] => rewrite(),
        _ => {
            eprintln!("usage: knit-vectors [--check | --bless]");
            return ExitCode::from(2);
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("{}: {error}", root().display());
        ExitCode::FAILURE
    })
}

fn check() -> io::Result<ExitCode> {
    let differences = differences()?;
    print(&differences);
    if differences.is_empty() {
        print_counts();
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} differences: cargo xtask vectors --bless rewrites the files", differences.len());
    Ok(ExitCode::FAILURE)
}

fn rewrite() -> io::Result<ExitCode> {
    print(&bless()?);
    print_counts();
    Ok(ExitCode::SUCCESS)
}

fn print(differences: &[Difference]) {
    for difference in differences {
        println!("{difference}");
    }
}

fn print_counts() {
    let files = all();
    for folder in FOLDERS {
        let prefix = format!("{folder}/");
        let count = files.iter().filter(|file| file.path.starts_with(&prefix)).count();
        println!("{folder:8} {count}");
    }
}
