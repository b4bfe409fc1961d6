//! What a caller sees when a task fails.

use super::error::{DemoError, call, check};
use super::screen::{Screen, checked};
use super::tasks::Demo;
use console::style;
use knit_lanes::{CallError, ErrorValue, Pool, TaskFailure};

/// Shows an error with its causes and a panic, and that the workers live on.
///
/// # Errors
///
/// The calls did not fail, or not as they should.
pub fn run(pool: &Pool, demo: &Demo, screen: &mut Screen) -> Result<(), DemoError> {
    let workers = pool.worker_ids();
    screen.heading(format_args!("Failures"))?;

    let settings = "workers = two".to_owned();
    let title = format!("configure({settings:?})");
    let result = pool.call(demo.configure, settings).wait();
    let error = failure("configure", result, TaskFailure::Returned)?;
    let messages: Vec<_> = error.chain().map(ErrorValue::message).collect();
    let expected = vec![
        "the settings cannot be used",
        "`workers` is not a number",
        "invalid digit found in string",
    ];
    check("error of `configure`", &messages, &expected)?;
    show(&title, TaskFailure::Returned, &error, screen)?;

    let error = failure("pick", pool.call(demo.pick, 7).wait(), TaskFailure::Panicked)?;
    check("panic of `pick`", &error.message().contains("out of bounds"), &true)?;
    show("pick(7)", TaskFailure::Panicked, &error, screen)?;

    let square = pool.call(demo.square, 1.5).wait().map_err(call("square"))?;
    check("square(1.5)", &square, &2.25)?;
    check("workers after the panic", &pool.worker_ids(), &workers)?;
    screen.line(format_args!("  the same processes go on: square(1.5) = {square}: {}", checked()))
}

/// The error value of a call that has to fail in this way.
fn failure(
    task: &'static str,
    result: Result<u32, CallError>,
    expected: TaskFailure,
) -> Result<ErrorValue, DemoError> {
    match result {
        Err(CallError::Task(task)) if task.failure == expected => Ok(task.error),
        Err(other) => Err(call(task)(other)),
        Ok(value) => Err(DemoError::Wrong {
            what: "a call that has to fail",
            found: value.to_string(),
            expected: expected.to_string(),
        }),
    }
}

fn show(
    title: &str,
    failure: TaskFailure,
    error: &ErrorValue,
    screen: &mut Screen,
) -> Result<(), DemoError> {
    screen.line(format_args!("  {title}: {}", style(failure).red()))?;
    for line in tree(error) {
        screen.line(format_args!("    {line}"))?;
    }
    Ok(())
}

/// A line for the error and for each of its causes, each hanging from the one before.
fn tree(error: &ErrorValue) -> impl Iterator<Item = String> {
    error.chain().enumerate().map(|(depth, error)| match depth {
        0 => error.message().to_owned(),
        _ => format!("{:indent$}└─ {}", "", error.message(), indent = 3 * (depth - 1)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_hang_from_what_they_caused() {
        let deepest = ErrorValue::new("Error", "c");
        let middle = ErrorValue::new("Error", "b").with_cause(deepest);
        let error = ErrorValue::new("Error", "a").with_cause(middle);
        assert_eq!(tree(&error).collect::<Vec<_>>(), ["a", "└─ b", "   └─ c"]);
    }
}
