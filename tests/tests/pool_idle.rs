//! An idle pool sleeps. One test, because it looks at the threads of the whole process.

mod pool_support;

use pool_support::process::{state, ticks};
use pool_support::worker::pool;
use pool_support::{until, within_deadline};
use std::fs;
use std::time::Duration;

/// Names under `/proc` of this process's threads that belong to a pool.
fn pool_threads() -> Vec<String> {
    let own = std::process::id();
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| {
            let task = task.unwrap().file_name().to_string_lossy().into_owned();
            let name = fs::read_to_string(format!("/proc/self/task/{task}/comm")).ok()?;
            name.starts_with("knit-").then(|| format!("{own}/task/{task}"))
        })
        .collect()
}

#[test]
fn an_idle_pool_sleeps() {
    // KD-19: default pools with two threads kept both cores busy for ever.
    within_deadline(|| {
        let (pool, remote) = pool(2);
        for n in 0..100 {
            assert_eq!(pool.call(remote.square, f64::from(n)).wait().unwrap(), f64::from(n * n));
        }
        // A thread takes its name a moment after it was started.
        until("two supervisors and a driver have their names", || pool_threads().len() >= 3);
        let mut all = pool_threads();
        all.extend(pool.worker_ids().iter().map(ToString::to_string));
        for one in &all {
            until("a thread of an idle pool sleeps", || state(one) == Some('S'));
        }
        let used = || all.iter().map(|one| ticks(one).unwrap()).sum::<u64>();
        let before = used();
        // Not to synchronise: this is the time over which processor time is counted.
        std::thread::sleep(Duration::from_millis(500));
        // One that spins would use about 50 ticks of 10 ms.
        assert!(used() - before <= 3, "{} ticks in 500 ms", used() - before);
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
    });
}
