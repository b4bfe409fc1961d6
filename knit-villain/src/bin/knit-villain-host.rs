//! The host of the contract in `docs/villain.md`, over these crates: a pool of two workers, three rounds of calls.
//!
//! `knit-villain-host WORKER ARGUMENT...`

#![forbid(unsafe_code)]

use knit_lanes::{Pool, Task, Tasks, Value};
use knit_villain::against_host::{CALLS, ROUNDS, text};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut worker = std::env::args_os().skip(1);
    let Some(program) = worker.next() else {
        eprintln!("usage: knit-villain-host WORKER ARGUMENT...");
        return ExitCode::from(2);
    };
    let mut tasks = Tasks::new();
    let echo: Task<String, Value> = tasks.declare("echo");
    let pool = match Pool::builder().command(program, worker).processes(2).start(tasks) {
        Ok(pool) => pool,
        Err(error) => {
            println!("start {}", line(&error.to_string()));
            return ExitCode::SUCCESS;
        }
    };
    for round in 1..=ROUNDS {
        let calls: Vec<_> = (0..CALLS).map(|n| (n, pool.call(echo, text(round, n)))).collect();
        for (n, call) in calls {
            match call.wait() {
                Ok(Value::String(found)) => println!("call {round} {n} ok {}", line(&found)),
                Ok(_) => println!("call {round} {n} odd"),
                Err(error) => println!("call {round} {n} failed {}", line(&error.to_string())),
            }
        }
    }
    drop(pool);
    println!("end");
    ExitCode::SUCCESS
}

/// A text in one line.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
