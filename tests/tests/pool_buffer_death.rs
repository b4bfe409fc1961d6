//! Shared buffers for a worker that is no more, or that has closed its channel.

mod pool_support;

use knit_lanes::{CallError, GiveError, Pool, SendError, SharedBuffer};
use pool_support::process::kill;
use pool_support::within;
use pool_support::worker::{WORKER, only_worker, pool, tasks};
use std::time::Duration;

/// The buffer finds no channel any more before the pool has noticed the death: the call was not begun, like one
/// without a buffer. Made again or not, it is not the call's fault.
#[test]
fn a_call_with_a_buffer_for_a_dead_worker_goes_to_the_next() {
    within(Duration::from_secs(120), || {
        for round in 0..40 {
            let (pool, remote) = pool(1);
            let worker = only_worker(&pool);
            let buffers: Vec<_> = (0..20).map(|_| SharedBuffer::new(4).unwrap()).collect();
            kill(worker);
            let sum = if round % 2 == 0 { remote.sum } else { remote.sum.without_retry() };
            // The first one comes when the process ends. A call that it was given before that is lost where it is not made again.
            let first = pool.call(remote.sum, buffers[0].clone());
            let calls: Vec<_> =
                buffers.iter().map(|buffer| pool.call(sum, buffer.clone())).collect();
            assert_eq!(first.wait().unwrap(), 0.0);
            for call in calls {
                match call.wait() {
                    Ok(sum) => assert_eq!(sum, 0.0),
                    Err(CallError::WorkerDied { may_have_run: false, .. }) => {
                        assert_eq!(round % 2, 1, "it was to be made again");
                    }
                    Err(error) => panic!("round {round}: {error}"),
                }
            }
        }
    });
}

/// Of such a worker nobody can tell whether it lives: it is replaced. One that is always like that is in the end an error of the call.
#[test]
fn a_worker_that_has_closed_its_channel_is_replaced_and_not_for_ever() {
    within(Duration::from_secs(120), || {
        let (tasks, remote) = tasks();
        let builder = Pool::builder().command(WORKER, ["hung-up"]).processes(1);
        let pool = builder.start(tasks).unwrap();
        let worker = only_worker(&pool);
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
        assert_eq!(pool.worker_ids(), [worker], "nothing has crossed the channel");
        let outcome = pool.call(remote.sum, SharedBuffer::new(4).unwrap()).wait();
        let closed = SendError::Buffer(GiveError::Closed);
        assert!(
            matches!(&outcome, Err(CallError::Unsendable(error)) if *error == closed),
            "{outcome:?}"
        );
        assert_ne!(only_worker(&pool), worker);
        assert_eq!(pool.metrics().lanes[0].restarts, 8);
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
    });
}
