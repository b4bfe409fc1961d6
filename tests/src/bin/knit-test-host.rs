//! A host that does one thing and is watched by a test.
//!
//! - `serve WORKER`: starts a pool of two, prints the ids of the workers in one line, and then waits
//!   for ever with calls under way. The test ends it.
//! - `exit WORKER`: the same, but ends by `process::exit` without dropping the pool.
//! - `named DIRECTORY SCRIPT`: starts a pool of one whose worker, run by a shell's script, is handed its lane by name; prints the id of the
//!   worker and waits for ever.
//! - `start PROGRAM`: starts a pool of one worker of this program, prints the id of the worker or why there is none, and ends.
//! - `nested`: a worker program that starts a pool of its own instead of serving.

use knit_lanes::{Error, Pool, StartError, Tasks};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Status with which `nested` says that it was told what it did wrong.
const TOLD: u8 = 42;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next(), arguments.next()) {
        (Some("nested"), None, None) => nested(),
        (Some("named"), Some(directory), Some(script)) => named(&directory, &script),
        (Some("start"), Some(program), None) => start(&program),
        (Some(mode @ ("serve" | "exit")), Some(worker), None) => serve(&worker, mode == "exit"),
        _ => {
            eprintln!(
                "usage: knit-test-host serve WORKER | exit WORKER | start PROGRAM | named DIRECTORY SCRIPT | nested"
            );
            ExitCode::from(2)
        }
    }
}

fn serve(worker: &str, exit: bool) -> ExitCode {
    let mut tasks = Tasks::new();
    let never = tasks.declare::<(), f64>("never");
    let pool = Pool::builder().command(worker, [] as [OsString; 0]).processes(2).start(tasks);
    let pool = pool.expect("the worker program works");
    let calls: Vec<_> = (0..4).map(|_| pool.call(never, ())).collect();
    let ids: Vec<_> = pool.worker_ids().iter().map(ToString::to_string).collect();
    println!("{}", ids.join(" "));
    std::io::stdout().flush().expect("the test reads the line");
    if exit {
        std::process::exit(0);
    }
    for call in calls {
        let _ = call.wait();
    }
    ExitCode::FAILURE
}

fn start(program: &str) -> ExitCode {
    let mut tasks = Tasks::new();
    let pid = tasks.declare::<(), u32>("pid");
    match Pool::builder().command(program, [] as [OsString; 0]).processes(1).start(tasks) {
        Ok(pool) => println!("{}", pool.call(pid, ()).wait().expect("the worker lives")),
        Err(error) => println!("{error}"),
    }
    ExitCode::SUCCESS
}

fn named(directory: &str, script: &str) -> ExitCode {
    let mut tasks = Tasks::new();
    let pid = tasks.declare::<(), u32>("pid");
    let pool = Pool::builder().command("sh", ["-c", script]).processes(1).named_lanes(directory);
    let pool = pool.ready_timeout(Duration::from_secs(60)).start(tasks);
    let pool = pool.expect("the worker program works");
    println!("{}", pool.call(pid, ()).wait().expect("the worker lives"));
    loop {
        std::thread::park();
    }
}

fn nested() -> ExitCode {
    match Pool::builder().processes(1).start(Tasks::new()) {
        Err(Error::Start(StartError::InsideWorker)) => ExitCode::from(TOLD),
        _ => ExitCode::FAILURE,
    }
}
