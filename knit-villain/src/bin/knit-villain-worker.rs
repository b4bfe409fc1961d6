//! The worker of the contract in `docs/villain.md`, over these crates.

#![forbid(unsafe_code)]

use knit_lanes::{SharedBuffer, Tasks, Value};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut tasks = Tasks::new();
    tasks.add("echo", |value: Value| value);
    tasks
        .add("sum", |buffer: SharedBuffer| buffer.to_vec().into_iter().map(f64::from).sum::<f64>());
    tasks.serve_if_worker();
    eprintln!("knit-villain-worker: KNIT_BOOT is not set: `knit-villain host` has to start this");
    ExitCode::from(2)
}
