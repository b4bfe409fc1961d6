//! Workers in a sandbox: `bwrap` as the command before the worker's, the recipe of `docs/isolation.md`.

mod pool_support;

use knit_lanes::{CallError, Pool, SharedBuffer};
use knit_tests::skip;
use pool_support::gate::Gate;
use pool_support::process::{is_gone, kill, until_gone};
use pool_support::within_deadline;
use pool_support::worker::{Remote, WORKER, tasks};
use std::process::{Command, Stdio};

/// What stands in `docs/isolation.md`, before the program.
const RECIPE: [&str; 10] = [
    "--unshare-all",
    "--die-with-parent",
    "--new-session",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
];

/// Whether the sandbox runs here. Where there is none, or the system lets nobody make one, the tests say so and
/// test nothing.
fn is_there() -> bool {
    let status = Command::new("bwrap").args(RECIPE).arg("/bin/true").stderr(Stdio::null()).status();
    let runs = status.as_ref().is_ok_and(std::process::ExitStatus::success);
    if !runs {
        skip(&format!("bwrap cannot make a sandbox here ({status:?})"), &["bwrap"]);
    }
    runs
}

fn sandboxed() -> (Pool, Remote) {
    let (tasks, remote) = tasks();
    let arguments = RECIPE.into_iter().chain([WORKER]);
    let pool = Pool::builder().processes(1).command("bwrap", arguments).start(tasks);
    (pool.unwrap(), remote)
}

#[test]
fn the_recipe_is_that_of_the_documentation() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/isolation.md");
    let page = std::fs::read_to_string(page).unwrap();
    let words: Vec<_> = page.split_whitespace().map(|word| word.trim_matches(['"', ','])).collect();
    assert!(words.windows(RECIPE.len()).any(|words| words == RECIPE), "{RECIPE:?}");
}

#[test]
fn a_worker_in_a_sandbox_serves_calls_and_buffers() {
    if !is_there() {
        return;
    }
    within_deadline(|| {
        let (pool, remote) = sandboxed();
        for n in 0..100 {
            assert_eq!(pool.call(remote.square, f64::from(n)).wait().unwrap(), f64::from(n * n));
        }
        let large = vec![7; 5 << 20];
        assert_eq!(pool.call(remote.bytes, large.clone()).wait().unwrap(), large);
        let buffer = SharedBuffer::new(4).unwrap();
        buffer.write(0, &[1, 2, 3, 4]).unwrap();
        assert_eq!(pool.call(remote.sum, buffer).wait().unwrap(), 10.0);
        // It counts its processes from one, and knows nothing of those outside.
        assert!(pool.call(remote.pid, ()).wait().unwrap() < 10);
    });
}

#[test]
fn a_sandbox_that_is_killed_is_replaced() {
    if !is_there() {
        return;
    }
    within_deadline(|| {
        let (pool, remote) = sandboxed();
        let before = pool.worker_ids();
        let gate = Gate::new();
        let call = pool.call(remote.hold, gate.path());
        let behind = pool.call(remote.square, 2.0);
        let held = gate.entered();
        kill(before[0]);
        let error = call.wait().unwrap_err();
        let died = matches!(error, CallError::WorkerDied { lane: 0, may_have_run: true, .. });
        assert!(died, "{error}");
        // The worker ends after its sandbox. When that takes long, nobody knows.
        match behind.wait() {
            Ok(four) => assert_eq!(four, 4.0),
            Err(CallError::WorkerDied { may_have_run: true, .. }) => {}
            Err(error) => panic!("{error}"),
        }
        drop(held);
        until_gone(&before);
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
    });
}

#[test]
fn a_pool_leaves_no_sandbox_behind() {
    if !is_there() {
        return;
    }
    within_deadline(|| {
        let (pool, remote) = sandboxed();
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
        let workers = pool.worker_ids();
        drop(pool);
        assert!(workers.iter().all(|worker| is_gone(*worker)));
    });
}
