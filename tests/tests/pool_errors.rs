//! What goes wrong with one call or one setting is a typed error that says what was wrong and what
//! was expected. KD-30.

mod pool_support;

use knit_lanes::codec::{DecodeError, EncodeError};
use knit_lanes::{
    CallError, Error, ErrorValue, Limits, Pool, Restart, StartError, TaskFailure, Tasks,
};
use pool_support::within_deadline;
use pool_support::worker::{builder, only_worker, pool, start, tasks};
use std::time::Duration;

/// The failure and the error value of a call that a worker rejected.
#[track_caller]
fn task_error<T: core::fmt::Debug>(outcome: Result<T, CallError>) -> (TaskFailure, ErrorValue) {
    match outcome {
        Err(CallError::Task(task)) => (task.failure, task.error),
        other => panic!("expected an error of the task, found {other:?}"),
    }
}

/// What `error` says, then what each of its sources says.
fn told(error: &dyn std::error::Error) -> Vec<String> {
    let sources = core::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect()
}

#[test]
fn an_error_comes_back_with_its_causes() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let outcome = pool.call(remote.fail, ()).wait();
        // KD-30: what fails is an error, not a text.
        let error: Box<dyn std::error::Error + Send + Sync> = outcome.clone().unwrap_err().into();
        assert_eq!(told(&*error), ["the task failed: outer", "middle", "inner"]);
        let (failure, error) = task_error(outcome);
        assert_eq!(failure, TaskFailure::Returned);
        let messages: Vec<_> = error.chain().map(ErrorValue::message).collect();
        assert_eq!(messages, ["outer", "middle", "inner"]);
        assert_eq!(error.name(), "Error");
    });
}

#[test]
fn an_error_value_keeps_its_name() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let (failure, error) = task_error(pool.call(remote.fail_named, ()).wait());
        assert_eq!(failure, TaskFailure::Returned);
        let expected =
            ErrorValue::new("RangeError", "too far").with_cause(ErrorValue::new("Error", "why"));
        assert_eq!(error, expected);
    });
}

#[test]
fn a_panic_comes_back_and_the_worker_goes_on() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let worker = only_worker(&pool);
        let (failure, error) = task_error(pool.call(remote.panic_text, ()).wait());
        assert_eq!((failure, error.message()), (TaskFailure::Panicked, "a plain text"));
        let (failure, error) = task_error(pool.call(remote.panic_string, 7.0).wait());
        assert_eq!((failure, error.message()), (TaskFailure::Panicked, "formatted 7"));
        let (failure, error) = task_error(pool.call(remote.panic_other, ()).wait());
        assert_eq!(failure, TaskFailure::Panicked);
        assert!(error.message().contains("no text"), "{error}");
        assert_eq!(pool.call(remote.pid, ()).wait().unwrap(), worker);
        assert_eq!(pool.worker_ids(), [worker]);
    });
}

#[test]
fn a_task_that_the_worker_lacks_is_named_with_those_it_has() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let (failure, error) = task_error(pool.call(remote.missing, 1.0).wait());
        assert_eq!(failure, TaskFailure::Unknown);
        for part in ["`missing`", "square", "hold"] {
            assert!(error.message().contains(part), "{part}: {error}");
        }
        assert_eq!(pool.call(remote.square, 2.0).wait().unwrap(), 4.0);
    });
}

#[test]
fn a_task_that_the_pool_lacks_is_named_with_those_it_has() {
    within_deadline(|| {
        let (pool, _) = pool(1);
        let error = pool.task::<f64, f64>("cube").unwrap_err();
        assert_eq!(error.name, "cube");
        assert!(error.known.iter().any(|name| name == "square"));
        assert!(error.to_string().contains("`cube`"), "{error}");
    });
}

#[test]
fn an_argument_of_another_type_is_refused_by_the_worker() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let worker = only_worker(&pool);
        let square = pool.task::<String, f64>("square").unwrap();
        let (failure, error) = task_error(pool.call(square, "nine".to_owned()).wait());
        assert_eq!(failure, TaskFailure::Argument);
        for part in ["a number", "string"] {
            assert!(error.message().contains(part), "{part}: {error}");
        }
        // Out of the range of the task's type.
        let exit = pool.task::<f64, f64>("exit").unwrap();
        let (failure, error) = task_error(pool.call(exit, 0.5).wait());
        assert_eq!(failure, TaskFailure::Argument);
        assert!(error.message().contains("0.5"), "{error}");
        assert_eq!(pool.call(remote.pid, ()).wait().unwrap(), worker);
    });
}

#[test]
fn an_answer_of_another_type_is_an_error_of_the_call() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let square = pool.task::<f64, String>("square").unwrap();
        match pool.call(square, 2.0).wait() {
            Err(CallError::Answer(error @ DecodeError::WrongType { .. })) => {
                let text = error.to_string();
                assert!(text.contains("string") && text.contains("number"), "{text}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(pool.call(remote.square, 2.0).wait().unwrap(), 4.0);
    });
}

/// PAY-28.
#[test]
fn an_argument_over_the_limit_is_not_sent() {
    within_deadline(|| {
        let limits = Limits::default().with_payload(1000);
        let (pool, remote) = start(builder(1).limits(limits));
        assert_eq!(pool.limits().payload, 1000);
        let call = pool.call(remote.bytes, vec![0; 1001]);
        assert!(call.is_done());
        assert_eq!(pool.in_flight(), 0);
        match call.wait() {
            Err(CallError::Argument(EncodeError::TooLong(excess)))
                if (excess.actual, excess.most) == (1001, 1000) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(pool.call(remote.bytes, vec![1; 1000]).wait().unwrap(), [1; 1000]);
    });
}

/// PAY-28.
#[test]
fn a_result_over_the_limit_is_an_error_with_both_sizes() {
    within_deadline(|| {
        let limits = Limits::default().with_payload(1000);
        let (pool, remote) = start(builder(1).limits(limits));
        let worker = only_worker(&pool);
        let (failure, error) = task_error(pool.call(remote.filled, 1001).wait());
        assert_eq!(failure, TaskFailure::Result);
        assert!(error.message().contains("1001") && error.message().contains("1000"), "{error}");
        assert_eq!(pool.call(remote.filled, 1000).wait().unwrap().len(), 1000);
        assert_eq!(pool.call(remote.pid, ()).wait().unwrap(), worker);
    });
}

#[test]
fn an_error_over_the_limit_is_replaced_by_one_that_says_so() {
    within_deadline(|| {
        // Too few bytes for the error of `fail`, or for any text that would explain it.
        for limit in [16, 60, 150] {
            let limits = Limits::default().with_payload(limit);
            let (pool, remote) = start(builder(1).limits(limits));
            let (failure, _) = task_error(pool.call(remote.fail, ()).wait());
            assert_eq!(failure, TaskFailure::Returned, "limit {limit}");
            assert_eq!(pool.call(remote.square, 2.0).wait().unwrap(), 4.0);
        }
    });
}

#[test]
fn a_handle_of_another_table_is_refused() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let mut others = Tasks::new();
        let foreign = others.declare::<f64, f64>("square");
        assert!(matches!(pool.call(foreign, 2.0).wait(), Err(CallError::ForeignTask)));
        assert_eq!(pool.call(remote.square, 2.0).wait().unwrap(), 4.0);
    });
}

/// Why a pool with these settings does not start.
#[track_caller]
fn start_error(builder: knit_lanes::Builder, tasks: Tasks) -> StartError {
    match builder.start(tasks) {
        Err(Error::Start(error)) => error,
        other => panic!("expected a pool that does not start, found {other:?}"),
    }
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    within_deadline(|| {
        let none = start_error(builder(0), tasks().0);
        assert!(matches!(none, StartError::NoWorkers), "{none}");
        let cases = [
            (builder(1).arena_bytes(1 << 20), "limits", "8388608"),
            (builder(1).arena_bytes(100), "arena_bytes", "100"),
            (builder(1).arena_bytes(u32::MAX), "arena_bytes", "4294967295"),
            (builder(1).spin(Duration::from_secs(2)), "spin", "2s"),
            (builder(1).restart(Restart { factor: 0, ..Restart::default() }), "restart", "0"),
        ];
        for (builder, expected, value) in cases {
            match start_error(builder, tasks().0) {
                StartError::Setting { setting, problem } => {
                    assert_eq!(setting, expected);
                    assert!(problem.contains(value), "{problem}");
                }
                other => panic!("{other}"),
            }
        }
    });
}

#[test]
fn tables_that_cannot_work_are_refused() {
    within_deadline(|| {
        let mut twice = Tasks::new();
        let _ = twice.declare::<f64, f64>("a");
        let _ = twice.declare::<f64, f64>("b");
        let _ = twice.declare::<f64, f64>("a");
        match start_error(builder(1), twice) {
            StartError::DuplicateTask { name } => assert_eq!(name, "a"),
            other => panic!("{other}"),
        }
        let mut many = Tasks::new();
        for index in 0..=1 << 16 {
            let _ = many.declare::<(), ()>(index.to_string());
        }
        match start_error(builder(1), many) {
            StartError::TooManyTasks { tasks: 65_537, max: 65_536 } => {}
            other => panic!("{other}"),
        }
        let mut long = Tasks::new();
        let _ = long.declare::<(), ()>("x".repeat(1 << 17));
        match start_error(builder(1), long) {
            StartError::BootTooLong { bytes, max } => assert!(bytes > max),
            other => panic!("{other}"),
        }
    });
}

#[test]
fn pool_types_are_fit_for_threads_and_error_reports() {
    fn shared<T: Send + Sync>() {}
    fn error<T: std::error::Error + Send + Sync + 'static>() {}
    shared::<Pool>();
    shared::<knit_lanes::Call<f64>>();
    error::<CallError>();
    error::<StartError>();
    error::<Error>();
}
