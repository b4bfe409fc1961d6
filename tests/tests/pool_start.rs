//! Worker programs that do not become workers: a clear error, and no process left.

mod pool_support;

use knit_lanes::{Error, Pool, StartError, Tasks, WorkerExit};
use pool_support::process::with_argument;
use pool_support::within_deadline;
use std::process::Command;
use std::time::{Duration, Instant};

/// For programs that never say that they are ready.
const SHORT: Duration = Duration::from_millis(300);
/// For those that end by themselves.
const ENOUGH: Duration = Duration::from_secs(60);

/// Why a pool of this program does not start.
#[track_caller]
fn start_error<const N: usize>(
    program: &str,
    arguments: [&str; N],
    ready_timeout: Duration,
) -> StartError {
    let builder = Pool::builder().command(program, arguments).processes(2);
    match builder.ready_timeout(ready_timeout).start(Tasks::new()) {
        Err(Error::Start(error)) => error,
        other => panic!("expected a pool that does not start, found {other:?}"),
    }
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    within_deadline(|| match start_error("/no/such/program", [], ENOUGH) {
        StartError::Spawn { program, error } => {
            assert_eq!(program, "/no/such/program");
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        }
        other => panic!("{other:?}"),
    });
}

#[test]
fn a_file_that_is_no_program_is_named() {
    within_deadline(|| {
        for file in ["/", "/proc/version"] {
            match start_error(file, [], ENOUGH) {
                StartError::Spawn { program, error } => {
                    assert_eq!(program, file);
                    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn a_program_that_ends_at_once_is_asked_for_serve_if_worker() {
    within_deadline(|| {
        let error = start_error("/bin/true", [], ENOUGH);
        assert!(matches!(error, StartError::Exited { exit: WorkerExit::Code(0) }), "{error:?}");
        assert!(error.to_string().contains("serve_if_worker"), "{error}");
    });
}

#[test]
fn the_exit_status_of_a_program_that_fails_is_told() {
    within_deadline(|| {
        let error = start_error("/bin/sh", ["-c", "exit 7"], ENOUGH);
        assert!(matches!(error, StartError::Exited { exit: WorkerExit::Code(7) }), "{error:?}");
        assert!(error.to_string().contains("status 7"), "{error}");
        let error = start_error("/bin/sh", ["-c", "kill -TERM $$"], ENOUGH);
        assert!(matches!(error, StartError::Exited { exit: WorkerExit::Signal(15) }), "{error:?}");
        assert!(error.to_string().contains("signal 15"), "{error}");
    });
}

#[test]
fn a_program_that_never_says_ready_is_ended() {
    within_deadline(|| {
        // The number tells the process from every other one.
        let seconds = format!("1000.{}", std::process::id());
        let start = Instant::now();
        let error = start_error("/bin/sleep", [&seconds], SHORT);
        match &error {
            StartError::NotReady { deadline, exit } => {
                assert_eq!(*deadline, SHORT);
                assert_eq!(*exit, WorkerExit::Signal(9));
            }
            other => panic!("{other:?}"),
        }
        assert!(error.to_string().contains("serve_if_worker"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert_eq!(with_argument(&seconds), [0; 0]);
    });
}

#[test]
fn a_signal_to_end_does_not_save_a_program_that_never_says_ready() {
    within_deadline(|| {
        let seconds = format!("1001.{}", std::process::id());
        let script = format!("trap '' TERM INT HUP; sleep {seconds} & exec sleep {seconds}");
        let error = start_error("/bin/sh", ["-c", &script], SHORT);
        assert!(matches!(error, StartError::NotReady { .. }), "{error:?}");
        // The script's child is no worker of ours: end it here.
        for pid in with_argument(&seconds) {
            pool_support::process::kill(pid);
        }
    });
}

#[test]
fn a_pool_inside_a_worker_is_refused() {
    within_deadline(|| {
        let error = start_error(env!("CARGO_BIN_EXE_knit-test-host"), ["nested"], ENOUGH);
        // 42 is how that program says that it was told `InsideWorker`.
        assert!(matches!(error, StartError::Exited { exit: WorkerExit::Code(42) }), "{error:?}");
    });
}

#[test]
fn one_lane_that_does_not_start_ends_the_others() {
    within_deadline(|| {
        let marker = pool_support::fresh_path("start");
        // Lane 0 says something that no worker may say, the others serve.
        let program = env!("CARGO_BIN_EXE_knit-test-villain");
        let builder = Pool::builder().command(program, ["open-state-7", &marker]).processes(4);
        let error = builder.start(Tasks::new()).unwrap_err();
        assert!(matches!(error, Error::Start(StartError::Violation(_))), "{error:?}");
        assert_eq!(with_argument(&marker), [0; 0]);
        let _ = std::fs::remove_file(marker);
    });
}

/// The standard library cannot wait then for the child that was to become the worker, and panics when that did not.
#[test]
fn a_host_that_ignores_its_children_learns_that_there_is_no_worker() {
    within_deadline(|| {
        let ignores = |program: &str| {
            let host = env!("CARGO_BIN_EXE_knit-test-host");
            let output =
                Command::new("env").args(["--ignore-signal=CHLD", host, "start", program]).output();
            let output = output.unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let worker = ignores(env!("CARGO_BIN_EXE_knit-test-worker"));
        assert!(worker.trim().parse::<u32>().is_ok(), "{worker}");
        let refused = ignores("/no/such/program");
        assert!(refused.contains("/no/such/program: it cannot be run"), "{refused}");
    });
}
