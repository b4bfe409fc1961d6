//! The corpora of `fuzz/`, and one input at a time without a fuzzer: `cargo xtask fuzz` uses it, and so do people.

use knit_fuzz_bodies::{TARGETS, Target, corpus, speed, target};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use std::{fs, io};

const USAGE: &str = "\
usage: knit-fuzz --list                        every target, and what it is about
       knit-fuzz --check                       compare the seeds with the vectors
       knit-fuzz --bless                       write them anew
       knit-fuzz --unpack TARGET FOLDER        a file for each input that is kept
       knit-fuzz --run TARGET FILE...          run these inputs
       knit-fuzz --keep TARGET NAME FILE       keep an input that has found something
       knit-fuzz --longest TARGET              bytes of the longest input that a fuzzer tries
       knit-fuzz --speed SECONDS [TARGET]      inputs in a second of processor time
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("knit-fuzz: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> io::Result<ExitCode> {
    match *arguments {
        ["--list"] => {
            for Target { name, about, .. } in TARGETS {
                println!("{name:20} {about}");
            }
        }
        ["--check"] => return check(),
        ["--bless"] => {
            corpus::bless()?;
            for target in TARGETS {
                println!("{:20} {} inputs are kept", target.name, corpus::kept(target)?.len());
            }
        }
        ["--unpack", name, folder] => {
            corpus::unpack(known(name)?, Path::new(folder))?;
        }
        ["--run", name, ref files @ ..] => {
            let target = known(name)?;
            for file in files {
                (target.body)(&fs::read(file)?);
                println!("{name}: {file} is fine");
            }
        }
        ["--keep", target, name, file] => {
            corpus::keep(known(target)?, name, &fs::read(file)?)?;
        }
        ["--longest", name] => println!("{}", known(name)?.longest),
        ["--speed", seconds, ref names @ ..] => {
            let time = seconds.parse().map(Duration::from_secs).map_err(io::Error::other)?;
            let all = || TARGETS.iter().map(|target| target.name).collect();
            for name in if names.is_empty() { all() } else { names.to_vec() } {
                println!("{name:20} {:>9.0} a second", speed(known(name)?, time)?);
            }
        }
        _ => {
            eprint!("{USAGE}");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn known(name: &str) -> io::Result<&'static Target> {
    target(name).ok_or_else(|| io::Error::other(format!("no target `{name}`; see --list")))
}

fn check() -> io::Result<ExitCode> {
    let stale = corpus::stale()?;
    for target in &stale {
        println!("differs  fuzz/corpus/{}/vectors.txt", target.name);
    }
    if stale.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("cargo xtask fuzz --bless writes the seeds anew");
    Ok(ExitCode::FAILURE)
}
