//! A worker program whose tasks are futures, for tests with real processes.

use knit_tests::{async_tasks, deadline_tasks};
use std::process::ExitCode;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let (mut tasks, _) = async_tasks::table();
    deadline_tasks::add(&mut tasks);
    tasks.serve_if_worker();
    eprintln!("knit-test-async-worker: not started as a worker");
    ExitCode::from(2)
}
