//! Runs many cases, some at a time, and reports.

use crate::case::Case;
use crate::verdict::{Outcome, Verdict};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A case, what came of it, and how long it took.
#[derive(Debug)]
pub struct Done<'c> {
    /// The case.
    pub case: &'c Case,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

impl Done<'_> {
    /// The members of a report.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut value = self.case.to_json();
        value["verdict"] = self.outcome.verdict.name().into();
        value["seen"] = self.outcome.seen.clone().into();
        // Milliseconds of one case are far below 2^64.
        value["ms"] = (self.took.as_millis() as u64).into();
        value
    }

    /// A line of a report.
    #[must_use]
    pub fn to_line(&self) -> String {
        let Self { case, outcome, .. } = self;
        format!(
            "{:6} {} {:8} {}: {}",
            outcome.verdict,
            case.id(),
            case.clause,
            case.name,
            outcome.seen
        )
    }
}

/// Runs each of `cases`, `jobs` at a time. `report` gets each as soon as it is done, one at a time. A case is run on
/// one thread from start to end: some processes end with the thread that has started them.
pub fn all<'c>(
    cases: &'c [Case],
    jobs: usize,
    run: impl Fn(&Case) -> Outcome + Sync,
    report: impl FnMut(&Done<'c>) + Send,
) -> Vec<Done<'c>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new((Vec::new(), report));
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, 64) {
            scope.spawn(|| {
                // Relaxed: a counter.
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let start = Instant::now();
                    let outcome = run(case);
                    let finished = Done { case, outcome, took: start.elapsed() };
                    let mut done = done.lock().expect("no report panics");
                    (done.1)(&finished);
                    done.0.push(finished);
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no report panics").0;
    done.sort_by_key(|done| done.case.number);
    done
}

/// How many cases have each verdict.
#[must_use]
pub fn summary(done: &[Done<'_>]) -> BTreeMap<Verdict, usize> {
    let mut counts: BTreeMap<_, _> = Verdict::ALL.map(|verdict| (verdict, 0)).into();
    for done in done {
        *counts.entry(done.outcome.verdict).or_default() += 1;
    }
    counts
}

/// The summary as the last object of a report.
#[must_use]
pub fn summary_json(done: &[Done<'_>]) -> Value {
    let counts = summary(done).into_iter();
    let members = counts.map(|(verdict, count)| (verdict.name().to_owned(), count.into()));
    json!({ "summary": Value::Object(members.collect()) })
}

/// The summary as the last line of a report.
#[must_use]
pub fn summary_line(done: &[Done<'_>]) -> String {
    let counts = summary(done);
    let counts: Vec<_> =
        counts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
    format!("{} cases: {}", done.len(), counts.join(", "))
}
