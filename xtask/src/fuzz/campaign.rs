//! Several targets at a time, and what all of them came to.

use super::{Found, fuzz};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time between two lines that say how far the campaign is.
const BETWEEN_LINES: Duration = Duration::from_secs(30);

/// How far a target is while it runs.
#[derive(Debug, Default)]
pub(super) struct Progress {
    executions: AtomicU64,
}

impl Progress {
    /// Notes how many executions there were by now.
    pub(super) fn executed(&self, executions: u64) {
        // Relaxed: a number to be shown.
        self.executions.fetch_max(executions, Ordering::Relaxed);
    }
}

/// What the threads of a campaign share.
struct Campaign<'n> {
    state: Mutex<State<'n>>,
    /// Notified when a thread has nothing left to do.
    over: Condvar,
    /// In the order of the names.
    progress: Vec<Progress>,
    names: &'n [String],
}

struct State<'n> {
    /// Targets that nobody has begun with.
    waiting: VecDeque<(usize, &'n str)>,
    found: Vec<(usize, Found)>,
    running: usize,
}

/// Fuzzes each of these targets for so many seconds, `jobs` of them at a time, and says what came of it. No other
/// target begins once one has found something. Whether none did.
pub(super) fn run(names: &[String], seconds: u32, jobs: usize) -> bool {
    let waiting = names.iter().map(String::as_str).enumerate().collect();
    let jobs = jobs.clamp(1, names.len().max(1));
    let campaign = Campaign {
        state: Mutex::new(State { waiting, found: Vec::new(), running: jobs }),
        over: Condvar::new(),
        progress: names.iter().map(|_| Progress::default()).collect(),
        names,
    };
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| campaign.work(seconds));
        }
        campaign.watch(begin);
    });
    let mut state = campaign.lock();
    state.found.sort_unstable_by_key(|(at, _)| *at);
    let found: Vec<_> = state.found.drain(..).map(|(at, found)| (&*names[at], found)).collect();
    println!("{}", table(&found, names.len(), begin.elapsed()));
    found.len() == names.len() && found.iter().all(|(_, found)| found.fine)
}

impl<'n> Campaign<'n> {
    /// Fuzzes one target after the other, until there is none left or one has found something.
    fn work(&self, seconds: u32) {
        /// Says so also where the thread unwinds.
        struct Over<'c, 'n>(&'c Campaign<'n>);
        impl Drop for Over<'_, '_> {
            fn drop(&mut self) {
                self.0.lock().running -= 1;
                self.0.over.notify_all();
            }
        }
        let _over = Over(self);
        loop {
            let next = self.lock().waiting.pop_front();
            let Some((at, name)) = next else { return };
            let found = fuzz(name, seconds, false, &self.progress[at]);
            let mut state = self.lock();
            if !found.fine {
                state.waiting.clear();
            }
            state.found.push((at, found));
        }
    }

    /// Says now and then how far it is.
    fn watch(&self, begin: Instant) {
        let mut state = self.lock();
        loop {
            let running = |state: &mut State<'n>| state.running > 0;
            let waited = self.over.wait_timeout_while(state, BETWEEN_LINES, running);
            let (next, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = next;
            if !timeout.timed_out() {
                return;
            }
            let done = state.found.len();
            let executions: u64 =
                self.progress.iter().map(|one| one.executions.load(Ordering::Relaxed)).sum();
            let (of, seconds) = (self.names.len(), begin.elapsed().as_secs());
            println!(
                "fuzz: {seconds} s, {done} of {of} targets, {} executions",
                grouped(executions)
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<'n>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A row for each target and one for all.
fn table(found: &[(&str, Found)], of: usize, time: Duration) -> String {
    let mut text = String::new();
    let mut row = |name: &str, executions: &str, rate: &str, edges: &str, outcome: &str| {
        let _ = writeln!(
            text,
            "| {name:20} | {executions:>15} | {rate:>10} | {edges:>6} | {outcome:14} |"
        );
    };
    row("target", "executions", "a second", "edges", "outcome");
    row(&"-".repeat(20), "--------------:", "---------:", "-----:", &"-".repeat(14));
    let (mut all, mut bad) = (0, of - found.len());
    for (name, found) in found {
        let (executions, edges) = (found.executions, found.edges);
        all += executions;
        bad += usize::from(!found.fine);
        let outcome = if found.fine { "nothing found" } else { "FAILED" };
        let rate = per_second(executions, found.time);
        row(name, &grouped(executions), &rate, &edges.to_string(), outcome);
    }
    let outcome = if bad == 0 { "nothing found".to_owned() } else { format!("{bad} NOT FINE") };
    row("all", &grouped(all), &per_second(all, time), "", &outcome);
    text
}

fn per_second(count: u64, time: Duration) -> String {
    // A rate to be shown: what 53 bits do not hold does not matter.
    grouped((count as f64 / time.as_secs_f64().max(0.001)) as u64)
}

/// A number with spaces between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_summed_for_each_target_and_for_all() {
        let found =
            |executions, fine| Found { executions, edges: 7, fine, time: Duration::from_secs(10) };
        let rows = [("header", found(999_999_990, true)), ("boot", found(10, true))];
        let text = table(&rows, 2, Duration::from_secs(20));
        assert!(text.contains("| header               |     999 999 990 | 99 999 999 |"), "{text}");
        assert!(text.contains("| all                  |   1 000 000 000 | 50 000 000 |"), "{text}");
        assert_eq!(text.matches("nothing found").count(), 3, "{text}");
        // One that has found something, and one that was not begun.
        let text = table(&[("boot", found(10, false))], 2, Duration::from_secs(20));
        assert!(text.contains("FAILED") && text.contains("2 NOT FINE"), "{text}");
    }

    #[test]
    fn thousands_stand_apart() {
        let shown = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1 000", "1 234 567"]);
    }
}
