//! A host, and its own worker, whose debug output a test reads.
//!
//! - `work`: a pool of one does something of everything, and is dropped. Prints `done`.
//! - `threads`: a pool of one thread answers a call.
//! - `poison VILLAIN MARKER`: calls a worker that breaks the protocol.
//! - `withdraw`: calls behind a long task move to another lane.
//! - `own`: as `work`, with a `tracing` subscriber that prints `TARGET` of each event to standard output.
//! - `late`: the same subscriber, set once the pool has started. Ends with status 1 when that cannot be.
//! - `worker-own`: a pool of one whose workers have the subscriber.

use knit_lanes::{Balancer, Builder, CallError, Pool, Task, TaskContext, Tasks};
use std::os::unix::process::parent_id;
use std::process::ExitCode;
use std::time::Duration;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::set_global_default;
use tracing::{Event, Metadata, Subscriber};

/// Set for workers that are to have the subscriber.
const OWN: &str = "KNIT_TEST_OWN";

fn main() -> ExitCode {
    if std::env::var_os(OWN).is_some() {
        set_global_default(Own).expect("nobody was before us");
    }
    let (tasks, handles) = tasks();
    tasks.serve_if_worker();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let builder = Pool::builder().processes(1).spin(Duration::ZERO);
    match arguments[..] {
        ["work"] => work(builder, tasks, handles),
        ["threads"] => {
            let pool = builder.processes(0).threads(1).start(tasks).expect("threads start");
            assert_eq!(pool.call(handles.square, 3.0).wait().expect("an answer"), 9.0);
        }
        ["poison", villain, marker] => poison(villain, marker),
        ["withdraw"] => withdraw(builder, tasks, handles),
        ["own"] => {
            set_global_default(Own).expect("nobody was before us");
            work(builder, tasks, handles);
        }
        ["late"] => {
            let pool = builder.start(tasks).expect("workers start");
            if set_global_default(Own).is_err() {
                return ExitCode::FAILURE;
            }
            assert_eq!(pool.call(handles.square, 3.0).wait().expect("an answer"), 9.0);
        }
        ["worker-own"] => {
            let isolation = knit_lanes::Isolation::default().env(OWN, "1");
            drop(builder.isolation(isolation).start(tasks).expect("workers start"));
        }
        _ => {
            eprintln!("usage: see the source");
            return ExitCode::from(2);
        }
    }
    println!("done");
    ExitCode::SUCCESS
}

#[derive(Clone, Copy)]
struct Handles {
    square: Task<f64, f64>,
    exit: Task<i32, ()>,
    until_aborted: Task<(), ()>,
    /// Runs until the host's main thread sleeps, so that its answer wakes it.
    until_host_sleeps: Task<(), ()>,
}

fn tasks() -> (Tasks, Handles) {
    let mut tasks = Tasks::new();
    let handles = Handles {
        square: tasks.add("square", |n: f64| n * n),
        exit: tasks.add("exit\nnow", |code: i32| -> () { std::process::exit(code) }),
        until_aborted: tasks.add_with_context(
            "until_aborted",
            |context: &TaskContext<'_>, (): ()| {
                while !context.is_aborted() {
                    std::thread::yield_now();
                }
            },
        ),
        until_host_sleeps: tasks.add("until_host_sleeps", |(): ()| until_asleep(parent_id())),
    };
    (tasks, handles)
}

/// Waits until the main thread of a process sleeps: that of the host for its answer, that of a worker for its next call.
fn until_asleep(process: u32) {
    let path = format!("/proc/{process}/stat");
    let sleeps = || {
        let stat = std::fs::read_to_string(&path).expect("it runs");
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('S'))
    };
    while !sleeps() {
        std::thread::yield_now();
    }
}

fn work(builder: Builder, tasks: Tasks, handles: Handles) {
    let pool = builder.start(tasks).expect("workers start");
    // Each call wakes a worker, and each answer the host.
    let wake = || {
        until_asleep(pool.worker_ids()[0]);
        pool.call(handles.until_host_sleeps, ()).wait().expect("an answer");
    };
    wake();
    let died = pool.call(handles.exit, 7).wait();
    assert!(matches!(died, Err(CallError::WorkerDied { .. })), "{died:?}");
    assert_eq!(pool.call(handles.square, 3.0).wait().expect("an answer"), 9.0);
    wake();
    // Nobody answers, so this thread sleeps.
    let first = pool.call(handles.until_aborted, ());
    let first = first.wait_timeout(Duration::from_millis(1)).expect_err("it runs until aborted");
    // 31 behind it are in the lane, the others in the queue.
    let others: Vec<_> = (0..40).map(|_| pool.call(handles.square, 2.0)).collect();
    first.abort();
    let aborted = first.wait();
    assert!(matches!(aborted, Err(CallError::Aborted { .. })), "{aborted:?}");
    for call in others {
        assert_eq!(call.wait().expect("an answer"), 4.0);
    }
}

fn withdraw(builder: Builder, tasks: Tasks, handles: Handles) {
    let builder = builder.processes(2).balancer(Balancer::RoundRobin);
    let pool = builder.start(tasks).expect("workers start");
    while pool.worker_ids().len() < 2 {
        std::thread::yield_now();
    }
    let [first, second] = [(); 2].map(|()| pool.call(handles.until_aborted, ()));
    let behind: Vec<_> = (0..10).map(|_| pool.call(handles.square, 2.0)).collect();
    second.abort();
    for call in behind {
        assert_eq!(call.wait().expect("an answer"), 4.0);
    }
    first.abort();
}

fn poison(villain: &str, marker: &str) {
    let mut tasks = Tasks::new();
    let text = tasks.declare::<String, String>("text");
    let builder = Pool::builder().command(villain, ["unknown-call", marker]).processes(1);
    let pool = builder.start(tasks).expect("workers start");
    let outcome = pool.call(text, "x".repeat(700)).wait();
    assert!(matches!(outcome, Err(CallError::Violation { .. })), "{outcome:?}");
}

/// A subscriber of the program: prints where each event comes from.
struct Own;

impl Subscriber for Own {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        println!("{}", event.metadata().target());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
