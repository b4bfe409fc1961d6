//! A worker program whose tasks are futures, for tests with real processes.

use knit_tests::async_tasks;
use std::process::ExitCode;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let (tasks, _) = async_tasks::table();
    tasks.serve_if_worker();
    eprintln!("knit-test-async-worker: not started as a worker");
    ExitCode::from(2)
}
