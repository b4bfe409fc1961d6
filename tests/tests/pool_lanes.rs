//! A pool of many lanes. One test, because it looks at the threads of the whole process.

mod pool_support;

use core::pin::Pin;
use core::task::{Context, Waker};
use knit_lanes::Limits;
use pool_support::gate::Gate;
use pool_support::process::until_asleep;
use pool_support::within_deadline;
use pool_support::worker::{start, unwatched};
use std::fs;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::Wake;

/// The thread of the only pool that looks after futures.
fn driver() -> String {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux has /proc");
    let thread = tasks.filter_map(Result::ok).map(|task| task.path()).find(|task| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "knit-driver")
    });
    let task = thread.expect("a pool has a driver");
    let name = task.file_name().expect("a thread id").to_string_lossy().into_owned();
    format!("{}/task/{name}", std::process::id())
}

/// KD-22: an answer of any lane wakes who waits, in no rotation of looks. KD-32: the arenas of 140 lanes are as large as was asked for.
#[test]
fn futures_of_more_lanes_than_one_wait_covers_are_woken() {
    // The kernel's wait for several words covers 128 of them.
    within_deadline(|| {
        const LANES: usize = 140;
        let limits = Limits::default().with_payload(64 << 10);
        let (pool, remote) = start(unwatched(LANES).limits(limits).arena_bytes(1 << 20));
        let gates: Vec<_> = (0..LANES).map(|_| Gate::new()).collect();
        let mut calls: Vec<_> =
            gates.iter().map(|gate| pool.call(remote.hold, gate.path())).collect();
        // Each in a process of its own, as none can begin a second one.
        let held: Vec<_> = gates.iter().map(Gate::entered).collect();
        // Every future is polled once and not again before it is woken.
        let (woken, wakes) = channel();
        for (number, call) in calls.iter_mut().enumerate() {
            let tell = Waker::from(Arc::new(Tell { woken: woken.clone(), number }));
            assert!(Pin::new(call).poll(&mut Context::from_waker(&tell)).is_pending());
        }
        // One at a time, the last lanes first, so that nothing else happens that could be the reason
        // why a future is woken.
        for (number, held) in held.into_iter().enumerate().rev() {
            until_asleep(&driver());
            drop(held);
            assert_eq!(wakes.recv().unwrap(), number);
        }
        let mut pids: Vec<_> = calls.into_iter().map(|call| call.wait().unwrap()).collect();
        pids.sort_unstable();
        pids.dedup();
        assert_eq!(pids.len(), LANES);
    });
}

/// Says which future was woken.
struct Tell {
    woken: Sender<usize>,
    number: usize,
}

impl Wake for Tell {
    fn wake(self: Arc<Self>) {
        let _ = self.woken.send(self.number);
    }
}
