//! C19: a process that forks. In the child every use of the parent's pool is told at once that it is not the child's, and whatever the
//! child does, and whenever it ends, the parent does not notice.

mod pool_support;

use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use futures_core::Stream;
use knit_lanes::{
    CallError, GiveError, Inline, Pool, Position, QueuePolicy, SendError, SharedBuffer, Task,
    Tasks, Unfinished,
};
use knit_tests::fork::{self, Child};
use pool_support::futures::poll_once;
use pool_support::gate::Gate;
use pool_support::worker::{Remote, builder, held, only_worker, pool, start};
use pool_support::{until, within_deadline};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn is_forked<T>(outcome: Result<T, CallError>) -> bool {
    matches!(outcome, Err(CallError::Forked))
}

/// Everything that can be done with a pool and the handle of a call under way.
fn use_everything(pool: Pool, remote: Remote) {
    assert!(is_forked(pool.call(remote.square, 3.0).wait()));
    let call = pool.call(remote.square, 3.0);
    call.abort();
    assert!(call.is_done());
    assert!(is_forked(call.wait_timeout(Duration::from_secs(60)).unwrap()));
    assert!(matches!(
        poll_once(&mut pool.call(remote.square, 3.0)),
        Poll::Ready(Err(CallError::Forked))
    ));
    drop(pool.call(remote.square, 3.0).abort_on_drop());
    assert!(pool.map(remote.square, [1.0, 2.0, 3.0]).all(is_forked));
    let unordered: Vec<_> = pool.map(remote.square, [1.0, 2.0, 3.0]).unordered().collect();
    assert_eq!(unordered.len(), 3);
    assert!(unordered.into_iter().all(|(_, outcome)| is_forked(outcome)));
    let argument = async { Ok::<_, std::convert::Infallible>(3.0) };
    assert!(is_forked(pool.call_when(remote.square, argument).wait()));
    assert!(is_forked(pool.call(remote.square.with_timeout(Duration::ZERO), 3.0).wait()));
    assert_eq!((pool.worker_ids(), pool.in_flight()), (Vec::new(), 0));
    assert!(pool.metrics().lanes.is_empty());
    assert_eq!(pool.lanes(), 1);
    assert!(pool.task::<f64, f64>("square").is_ok());
    let shut = pool.shutdown(Duration::from_secs(60)).unwrap_err();
    assert!(matches!(shut, Unfinished { calls: 0, forked: true, .. }), "{shut}");
}

#[test]
fn every_use_in_a_child_says_so_and_the_parent_goes_on() {
    within_deadline(|| {
        let (pool, remote, [held], [inside]) = held();
        let worker = only_worker(&pool);
        let waiting: Vec<_> = (0..40).map(|n| pool.call(remote.number, f64::from(n))).collect();
        // Values move: the child has its own copy of each, and so has the parent.
        let (mut pool, mut held, mut waiting) = (Some(pool), Some(held), Some(waiting));
        let child = Child::run(|| {
            let mut calls = waiting.take().unwrap();
            let mut polled = calls.pop().unwrap();
            assert!(polled.is_done());
            assert!(matches!(poll_once(&mut polled), Poll::Ready(Err(CallError::Forked))));
            let mut aborting = calls.pop().unwrap();
            aborting = aborting.abort_on_drop();
            aborting.abort();
            drop(aborting);
            assert!(is_forked(calls.pop().unwrap().wait_timeout(Duration::MAX).unwrap()));
            assert!(calls.into_iter().all(|call| is_forked(call.wait())));
            assert!(is_forked(held.take().unwrap().wait()));
            use_everything(pool.take().unwrap(), remote);
        });
        child.finish();
        let pool = pool.take().unwrap();
        assert_eq!(only_worker(&pool), worker);
        drop(inside);
        assert_eq!(held.take().unwrap().wait().unwrap(), worker);
        for (n, call) in waiting.take().unwrap().into_iter().enumerate() {
            assert_eq!(call.wait().unwrap(), n as f64);
        }
        let total = pool.metrics().total();
        assert_eq!((total.calls, total.answers, total.given_up, total.restarts), (41, 41, 0, 0));
        pool.shutdown(Duration::from_secs(10)).unwrap();
    });
}

/// The child ends while it has everything: by itself, with what programs do at their end, or killed.
#[test]
fn the_end_of_a_child_is_its_own() {
    within_deadline(|| {
        let (pool, _, [held], [inside]) = held();
        let worker = only_worker(&pool);
        Child::run(|| {}).finish();
        Child::run(|| std::process::exit(0)).finish();
        Child::run(|| {
            loop {
                std::thread::park();
            }
        })
        .kill();
        drop(inside);
        assert_eq!(held.wait().unwrap(), worker);
        assert_eq!(only_worker(&pool), worker);
        // A child that outlives the pool holds nothing up: neither its end nor that of its worker.
        let child = Child::run(|| {
            loop {
                std::thread::park();
            }
        });
        drop(pool);
        until("the worker has ended", || pool_support::process::is_gone(worker));
        child.kill();
    });
}

/// A buffer that the worker has stays there when the child drops its copies of the handles.
#[test]
fn buffers_stay_with_the_worker_and_cannot_be_sent_by_the_child() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let buffer = SharedBuffer::new(64).unwrap();
        buffer.write(0, &[1; 64]).unwrap();
        pool.call(remote.keep, buffer.clone()).wait().unwrap();
        let mappings = || pool.call(remote.resources, ()).wait().unwrap()[1];
        let before = mappings();
        let mut given = Some(buffer);
        let child = Child::run(|| {
            let buffer = given.take().unwrap();
            assert_eq!(buffer.to_vec(), [1; 64]);
            buffer.write(0, &[2]).unwrap();
            let (own, remote) = pool_support::worker::pool(1);
            let error = own.call(remote.sum, buffer.clone()).wait().unwrap_err();
            let unsendable = SendError::from(GiveError::Forked);
            assert!(
                matches!(&error, CallError::Unsendable(error) if *error == unsendable),
                "{error}"
            );
            let fresh = SharedBuffer::new(8).unwrap();
            fresh.write(0, &[3; 8]).unwrap();
            assert_eq!(own.call(remote.sum, fresh).wait().unwrap(), 24.0);
            drop(buffer);
        });
        child.finish();
        assert_eq!(mappings(), before);
        assert_eq!(pool.call(remote.sum, given.take().unwrap()).wait().unwrap(), 65.0);
        assert_eq!(pool.call(remote.kept, ()).wait().unwrap().to_vec().len(), 64);
    });
}

/// Forks at any moment of calls by two threads: whatever they had locked, the child drops the pool and its calls and ends.
#[test]
fn a_child_forked_at_any_moment_lets_everything_go() {
    pool_support::within(Duration::from_secs(120), || {
        let (pool, remote) = pool(1);
        let stop = AtomicU32::new(0);
        // The child drops this copy as if it were the only one: the threads' borrows are not there any more.
        let mut pool = Some(pool);
        let shared: Arc<Pool> = Arc::new(pool_support::worker::pool(1).0);
        let mut made = 0;
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while stop.load(Ordering::Relaxed) == 0 {
                        assert_eq!(shared.call(remote_of(&shared), 3.0).wait().unwrap(), 9.0);
                    }
                });
            }
            for _ in 0..40 {
                let mut calls: Option<Vec<_>> =
                    Some((0..4).map(|_| pool.as_ref().unwrap().call(remote.square, 2.0)).collect());
                Child::run(|| {
                    assert!(is_forked(shared.call(remote_of(&shared), 3.0).wait()));
                    drop(calls.take());
                    use_everything(pool.take().unwrap(), remote);
                })
                .finish();
                for call in calls.take().unwrap() {
                    assert_eq!(call.wait().unwrap(), 4.0);
                    made += 1;
                }
            }
            stop.store(1, Ordering::Relaxed);
        });
        assert_eq!(pool.take().unwrap().metrics().total().answers, made);
    });
}

fn remote_of(pool: &Pool) -> Task<f64, f64> {
    pool.task("square").unwrap()
}

/// A stream whose last call is in the line for the queue: nobody lets it in any more, and each argument has its outcome all the same.
#[test]
fn a_stream_in_a_child_has_an_outcome_for_each_argument() {
    within_deadline(|| {
        let (gate, waits) =
            (Gate::new(), builder(1).queue_limit(2).queue_policy(QueuePolicy::Wait));
        let (pool, remote) = start(waits);
        let long = pool.call(remote.hold, gate.path());
        let held = gate.entered();
        let map = || pool.map(remote.square, (0..100).map(f64::from)).window(100);
        let (mut ordered, mut unordered) = (map().into_stream(), map().unordered().into_stream());
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut ordered).poll_next(&mut context).is_pending());
        assert!(Pin::new(&mut unordered).poll_next(&mut context).is_pending());
        Child::run(|| {
            for _ in 0..100 {
                let mut context = Context::from_waker(Waker::noop());
                let next = Pin::new(&mut ordered).poll_next(&mut context);
                assert!(matches!(next, Poll::Ready(Some(Err(CallError::Forked)))));
                let next = Pin::new(&mut unordered).poll_next(&mut context);
                assert!(matches!(next, Poll::Ready(Some((_, Err(CallError::Forked))))));
            }
            assert!(Pin::new(&mut ordered).poll_next(&mut context).is_ready());
        })
        .finish();
        drop((ordered, unordered, held));
        long.wait().unwrap();
    });
}

/// A pool of the child's own is as good as any, and its own child's too.
#[test]
fn a_child_may_start_a_pool_of_its_own() {
    within_deadline(|| {
        let (parents, remote, [held], [inside]) = held();
        let worker = only_worker(&parents);
        Child::run(|| {
            let (own, theirs) = start(builder(2));
            assert_eq!(own.call(theirs.square, 3.0).wait().unwrap(), 9.0);
            Child::run(|| {
                assert!(is_forked(own.call(theirs.square, 3.0).wait()));
                assert!(is_forked(parents.call(remote.square, 3.0).wait()));
                let (third, last) = pool(1);
                assert_eq!(third.call(last.square, 4.0).wait().unwrap(), 16.0);
            })
            .finish();
            let workers = own.worker_ids();
            assert_eq!(workers.len(), 2);
            assert!(!workers.contains(&worker));
            assert_eq!(own.call(theirs.square, 5.0).wait().unwrap(), 25.0);
            drop(own);
            assert!(workers.iter().all(|pid| pool_support::process::is_gone(*pid)));
            assert!(is_forked(parents.call(remote.square, 3.0).wait()));
        })
        .finish();
        drop(inside);
        assert_eq!(held.wait().unwrap(), worker);
    });
}

/// A task that forks, and comes back in both processes: the child answers nothing and ends.
#[test]
fn a_child_that_comes_back_from_a_task_answers_nothing() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let worker = only_worker(&pool);
        for _ in 0..3 {
            assert_eq!(pool.call(remote.fork, ()).wait().unwrap(), 0);
            assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
        }
        assert_eq!(only_worker(&pool), worker);
        assert_eq!(pool.metrics().total().poisonings, 0);

        // The same in a thread of this process: the child's only thread ends, and with it the child.
        let mut tasks = Tasks::new();
        let task = tasks.add("fork", |(): ()| fork::and_come_back());
        let square = tasks.add("square", |n: f64| n * n);
        let pool = Pool::builder().threads(1).start(tasks).unwrap();
        assert_eq!(pool.call(task, ()).wait().unwrap(), 0);
        assert_eq!(pool.call(square, 3.0).wait().unwrap(), 9.0);
    });
}

/// The same in a thread that waits, and runs the call itself: the child is told that the pool is not its own.
#[test]
fn a_child_that_comes_back_to_a_wait_is_told() {
    within_deadline(|| {
        const ELSEWHERE: i32 = -3;
        // A child whose only thread ends, for whatever reason, ends with 0.
        const TOLD: i32 = 42;
        let (parent, caller) = (std::process::id(), std::thread::current().id());
        let mut tasks = Tasks::new();
        let task = tasks.add("fork", move |(): ()| {
            if std::thread::current().id() == caller { fork::and_come_back() } else { ELSEWHERE }
        });
        let inline = Inline { position: Position::First, batch: 1, threshold: 0 };
        let pool = Pool::builder().threads(1).inline(inline).start(tasks).unwrap();
        loop {
            let outcome = pool.call(task, ()).wait();
            if std::process::id() != parent {
                let told = is_forked(outcome) && is_forked(pool.call(task, ()).wait());
                drop(pool);
                std::process::exit(if told { TOLD } else { 1 });
            }
            // The driver may have given it to the worker.
            match outcome.unwrap() {
                ELSEWHERE => {}
                status => break assert_eq!(status, TOLD),
            }
        }
    });
}
