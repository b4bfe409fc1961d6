//! What a thousand shared buffers leave behind, and hostile ones: nothing. One test, because it counts what the whole process
//! has.

mod pool_support;

use knit_lanes::{CallError, Pool, SharedBuffer, Tasks};
use pool_support::worker::pool;
use pool_support::{fresh_path, until, within_deadline};

const VILLAIN: &str = env!("CARGO_BIN_EXE_knit-test-villain");

/// Descriptors and mappings of shared buffers that this process has.
fn ours() -> (usize, usize) {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().filter(|entry| {
        let link = std::fs::read_link(entry.as_ref().unwrap().path());
        link.is_ok_and(|link| link.to_string_lossy().contains("knit-buffer"))
    });
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    (descriptors.count(), maps.lines().filter(|line| line.contains("knit-buffer")).count())
}

/// LANE-29.
#[test]
fn a_thousand_buffers_leave_no_descriptor_and_no_mapping_on_either_side() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let theirs = || pool.call(remote.resources, ()).wait().unwrap();
        let before = theirs();
        for number in 0..1000_u32 {
            let bytes = number.to_le_bytes();
            let argument = || {
                let buffer = SharedBuffer::new(4).unwrap();
                buffer.write(0, &bytes).unwrap();
                buffer
            };
            match number % 3 {
                0 => drop(pool.call(remote.sum, argument()).wait().unwrap()),
                1 => {
                    let back = pool.call(remote.buffer, argument()).wait().unwrap();
                    assert_eq!(back.to_vec(), bytes);
                }
                _ => drop(pool.call(remote.new_buffer, 64).wait().unwrap()),
            }
            assert!(ours().0 <= 4, "{:?} after {number}", ours());
        }
        let kept = pool.call(remote.new_buffer, 64).wait().unwrap();
        assert!(ours().0 >= 1 && ours().1 >= 1, "the counts see buffers");
        drop(kept);
        // What either side dropped last, the other one finds at its next look.
        until("the worker has what it had", || theirs() == before);
        until("the host has none", || {
            pool.call(remote.unit, ()).wait().unwrap();
            ours() == (0, 0)
        });
        drop(pool);
        // Descriptors that came with a message that is refused, and buffers that were given before.
        for mode in ["length", "kind", "two-files", "many-files", "unsealed", "twice", "flood"] {
            let marker = fresh_path("leaks");
            let mut tasks = Tasks::new();
            let text = tasks.declare::<String, String>("text");
            let mode = format!("channel-{mode}");
            let pool = Pool::builder().command(VILLAIN, [&mode, &marker]).processes(1);
            let pool = pool.start(tasks).unwrap();
            let refused = pool.call(text, String::new()).wait();
            assert!(matches!(refused, Err(CallError::Violation { .. })), "{mode}: {refused:?}");
            until("the host has nothing of the villain", || ours() == (0, 0));
            assert_eq!(pool.call(text, "next".into()).wait().unwrap(), "next");
        }
    });
}
