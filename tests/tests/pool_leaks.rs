//! What a pool leaves behind: nothing. One test, because it counts what the whole process has.

mod pool_support;

use pool_support::process::{is_gone, until_gone};
use pool_support::worker::{WORKER, pool};
use pool_support::{bytes, until, within_deadline};
use std::collections::BTreeSet;
use std::fs;

fn names(directory: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{directory}: {error}"));
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// Descriptors of this process that are memfds of the pool, pidfds, or the like.
fn descriptors() -> Vec<String> {
    let links = names("/proc/self/fd").into_iter().filter_map(|fd| {
        let link = fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
        Some(link.to_string_lossy().into_owned())
    });
    // The directory that is being read is among them.
    links.filter(|link| !link.starts_with("/proc/")).collect()
}

fn mappings() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("memfd:")).count()
}

fn children() -> Vec<u32> {
    pool_support::process::with_argument(WORKER)
        .into_iter()
        .filter(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.contains(&format!("PPid:\t{}\n", std::process::id()))
        })
        .collect()
}

#[test]
fn twenty_pools_leave_nothing_behind() {
    // KD-12, C4: no process, no name, no descriptor, no mapping, no thread.
    within_deadline(|| {
        let named = names("/dev/shm");
        let descriptors_before = descriptors();
        let threads = || names("/proc/self/task").len();
        let threads_before = threads();
        assert_eq!(mappings(), 0);
        let mut workers = Vec::new();
        for seed in 0..20 {
            let (pool, remote) = pool(2);
            workers.extend(pool.worker_ids());
            assert!(mappings() >= 2, "the count of mappings sees segments");
            let sent = bytes(seed, 4096);
            assert_eq!(pool.call(remote.bytes, sent.clone()).wait().unwrap(), sent);
            if seed % 3 == 0 {
                // The drop comes while the lane is without a worker, or has a new one.
                let worker = pool.worker_ids()[0];
                pool_support::process::kill(worker);
                until_gone(&[worker]);
            }
        }
        assert!(workers.into_iter().all(is_gone));
        assert_eq!(children(), [0; 0]);
        assert_eq!(descriptors(), descriptors_before);
        assert_eq!(mappings(), 0);
        // A thread that was joined leaves /proc a moment later.
        until("the pools' threads are gone", || threads() <= threads_before);
        let added: Vec<_> = names("/dev/shm").difference(&named).cloned().collect();
        assert!(!added.iter().any(|name| name.contains("knit")), "{added:?}");
    });
}
