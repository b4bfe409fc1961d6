//! Runs a model over every schedule and holds its outcomes against a table.

use loom::model::Builder;
use std::any::Any;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How far a model is explored.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most times that a thread is interrupted although it could go on; `None` explores every
    /// schedule.
    pub preemptions: Option<usize>,
    /// Most decisions in one execution: more means that a loop waits for what never comes.
    pub branches: usize,
}

impl Bounds {
    /// Every schedule.
    pub const ALL: Self = Self { preemptions: None, branches: 2000 };

    /// Schedules with at most this many preemptions.
    #[must_use]
    pub const fn preemptions(preemptions: usize) -> Self {
        Self { preemptions: Some(preemptions), ..Self::ALL }
    }
}

/// What an exploration saw.
#[derive(Clone, Debug)]
pub struct Explored<T> {
    /// Executions in all.
    pub executions: u64,
    /// Each permitted outcome with the number of executions that had it.
    pub outcomes: Vec<(T, u64)>,
}

/// How a model failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Two accesses to payload or header bytes that nothing orders.
    Race,
    /// Every thread sleeps.
    Deadlock,
    /// An outcome that the table does not permit.
    Outcome,
}

/// Runs `run` in every schedule within `bounds`.
///
/// # Panics
///
/// Loom found a race or a deadlock; an outcome is not in `permitted`; an outcome of `permitted` was
/// never seen; or there was only one execution, which means that nothing was explored.
pub fn explore<T>(
    name: &str,
    bounds: Bounds,
    permitted: &[T],
    run: impl Fn() -> T + Send + Sync + 'static,
) -> Explored<T>
where
    T: PartialEq + Debug + Clone + Send + 'static,
{
    let executions = Arc::new(AtomicU64::new(0));
    let table: Vec<(T, u64)> = permitted.iter().map(|outcome| (outcome.clone(), 0)).collect();
    let table = Arc::new(Mutex::new(table));
    let mut builder = Builder::new();
    builder.preemption_bound = bounds.preemptions;
    builder.max_branches = bounds.branches;
    // An environment variable must not turn an exploration into a sample: loom ends without a word
    // when a limit is reached, and it looks at the limits only at its checkpoints.
    builder.max_permutations = None;
    builder.max_duration = None;
    builder.checkpoint_file = None;
    builder.check({
        let (executions, table) = (Arc::clone(&executions), Arc::clone(&table));
        let name = name.to_owned();
        move || {
            executions.fetch_add(1, Ordering::Relaxed);
            let outcome = run();
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            match table.iter_mut().find(|(permitted, _)| *permitted == outcome) {
                Some((_, count)) => *count += 1,
                None => panic!("{name}: {UNLISTED}: {outcome:?}"),
            }
        }
    });
    let executions = executions.load(Ordering::Relaxed);
    let outcomes = table.lock().unwrap_or_else(PoisonError::into_inner).clone();
    println!("{name}: {executions} executions");
    for (outcome, count) in &outcomes {
        println!("  {count:>8} x {outcome:?}");
    }
    assert!(executions > 1, "{name}: {executions} execution explores nothing");
    for (outcome, count) in &outcomes {
        assert!(*count > 0, "{name}: the outcome {outcome:?} is permitted but never happens");
    }
    Explored { executions, outcomes }
}

/// Runs a model that must fail, and says how it failed. The arguments are those of [`explore`].
///
/// # Panics
///
/// The model passed, or failed for a reason that has nothing to do with ordering.
pub fn reject<T>(
    name: &str,
    bounds: Bounds,
    permitted: &[T],
    run: impl Fn() -> T + Send + Sync + 'static,
) -> Rejection
where
    T: PartialEq + Debug + Clone + Send + 'static,
{
    let seen = Arc::new(AtomicU64::new(0));
    let counting = {
        let seen = Arc::clone(&seen);
        move || {
            seen.fetch_add(1, Ordering::Relaxed);
            run()
        }
    };
    let explored = catch_unwind(AssertUnwindSafe(|| explore(name, bounds, permitted, counting)));
    let reason = match explored {
        Ok(explored) => panic!("{name}: passed in {} executions", explored.executions),
        Err(payload) => text(payload.as_ref()),
    };
    let rejection = if reason.starts_with("Causality violation") || reason.contains("\nCausality") {
        Rejection::Race
    } else if reason.starts_with("deadlock; threads") {
        Rejection::Deadlock
    } else if reason.contains(UNLISTED) {
        Rejection::Outcome
    } else {
        panic!("{name}: failed, but not by its ordering: {reason}");
    };
    let executions = seen.load(Ordering::Relaxed);
    println!("{name}: rejected in execution {executions}: {rejection:?}: {}", first_line(&reason));
    rejection
}

fn text(payload: &(dyn Any + Send)) -> String {
    match (payload.downcast_ref::<String>(), payload.downcast_ref::<&str>()) {
        (Some(text), _) => text.trim_start().to_owned(),
        (None, Some(text)) => text.trim_start().to_string(),
        (None, None) => "a panic without a message".to_owned(),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

const UNLISTED: &str = "this outcome is not permitted";

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::atomic::AtomicU32;

    /// Two threads, two values: the reader sees either.
    fn race() -> u32 {
        let word = Arc::new(AtomicU32::new(0));
        let writer = Arc::clone(&word);
        let thread = loom::thread::spawn(move || writer.store(1, Ordering::Relaxed));
        let seen = word.load(Ordering::Relaxed);
        thread.join().unwrap();
        seen
    }

    #[test]
    fn a_complete_table_passes() {
        let explored = explore("both values", Bounds::ALL, &[0, 1], race);
        assert!(explored.executions > 1);
        assert!(explored.outcomes.iter().all(|(_, count)| *count > 0));
    }

    #[test]
    fn an_unlisted_outcome_is_a_rejection() {
        assert_eq!(reject("one value", Bounds::ALL, &[0], race), Rejection::Outcome);
    }

    #[test]
    #[should_panic(expected = "is permitted but never happens")]
    fn an_outcome_never_seen_fails() {
        explore("three values", Bounds::ALL, &[0, 1, 2], race);
    }

    #[test]
    #[should_panic(expected = "1 execution explores nothing")]
    fn a_single_execution_fails() {
        explore("nothing to explore", Bounds::ALL, &[7], || 7);
    }

    #[test]
    #[should_panic(expected = "passed in")]
    fn a_model_that_passes_is_no_rejection() {
        reject("nothing wrong", Bounds::ALL, &[0, 1], race);
    }

    #[test]
    #[should_panic(expected = "failed, but not by its ordering")]
    fn an_unrelated_panic_is_no_rejection() {
        reject("broken model", Bounds::ALL, &[0, 1], || -> u32 { panic!("broken") });
    }
}
