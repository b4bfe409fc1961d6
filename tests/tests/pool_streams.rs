//! One task over many arguments, as a stream: any executor, and nothing stays behind.

mod pool_support;

use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use futures_core::{FusedStream, Stream};
use knit_lanes::{CallError, Inline, Pool, Position, QueuePolicy, Tasks};
use pool_support::futures::{block_on, join_all};
use pool_support::gate::Gate;
use pool_support::worker::{builder, pool, start};
use pool_support::{fresh_path, until, within_deadline};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Wake;
use std::time::Duration;

/// Counts how often it was woken.
#[derive(Default)]
struct Counted(AtomicU32);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Counted {
    fn wakes(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

async fn collect<S: Stream + Unpin>(mut stream: S) -> Vec<S::Item> {
    let mut items = Vec::new();
    while let Some(item) = next(&mut stream).await {
        items.push(item);
    }
    items
}

fn poll<S: Stream + Unpin>(stream: &mut S, counted: &Arc<Counted>) -> Poll<Option<S::Item>> {
    let waker = Waker::from(Arc::clone(counted));
    Pin::new(stream).poll_next(&mut Context::from_waker(&waker))
}

#[test]
fn outcomes_come_in_the_order_of_the_arguments() {
    within_deadline(|| {
        for spin in [Duration::from_micros(50), Duration::ZERO] {
            let (pool, remote) = start(builder(2).spin(spin));
            for window in [1, 3, 64, 10_000] {
                let map = pool.map(remote.square, (0..2000).map(f64::from)).window(window);
                let stream = map.into_stream();
                assert_eq!(stream.size_hint(), (2000, Some(2000)));
                let squares: Vec<_> =
                    block_on(collect(stream)).into_iter().map(|square| square.unwrap()).collect();
                let expected: Vec<_> = (0..2000).map(|n| f64::from(n * n)).collect();
                assert_eq!(squares, expected);
            }
            let mut none = pool.map(remote.square, []).into_stream();
            assert!(!none.is_terminated());
            assert!(block_on(next(&mut none)).is_none());
            assert!(none.is_terminated());
            assert!(block_on(next(&mut none)).is_none());
        }
    });
}

#[test]
fn every_argument_has_one_outcome_in_any_order() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        for window in [1, 3, 64, 10_000] {
            let mut seen = vec![false; 2000];
            let mut map = pool.map(remote.square, (0..2000).map(f64::from)).window(window);
            // Some are under way, in order, before they become a stream.
            assert_eq!(map.next().unwrap().unwrap(), 0.0);
            seen[0] = true;
            let mut stream = map.unordered().into_stream();
            assert_eq!(stream.size_hint(), (1999, Some(1999)));
            for (place, square) in block_on(collect(&mut stream)) {
                assert_eq!(square.unwrap(), (place * place) as f64);
                assert!(!std::mem::replace(&mut seen[place], true), "{place} twice");
            }
            assert!(stream.is_terminated());
            assert!(seen.into_iter().all(|seen| seen));
        }
    });
}

#[test]
fn no_more_arguments_are_taken_than_the_window_has_room_for() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let taken = Cell::new(0);
        let arguments = || {
            taken.set(0);
            (0..).map(|n| {
                taken.set(taken.get() + 1);
                f64::from(n)
            })
        };
        let mut ordered = pool.map(remote.square, arguments()).window(5).into_stream();
        assert_eq!(taken.get(), 0);
        for n in 0..10 {
            assert_eq!(block_on(next(&mut ordered)).unwrap().unwrap(), f64::from(n * n));
            assert_eq!(taken.get(), n + 5);
        }
        drop(ordered);
        let mut unordered =
            pool.map(remote.square, arguments()).window(5).unordered().into_stream();
        for n in 0..10 {
            block_on(next(&mut unordered)).unwrap().1.unwrap();
            assert_eq!(taken.get(), n + 5);
        }
    });
}

/// A stream that cannot go on is woken by the end of a call, once, and by nothing else.
#[test]
fn who_waits_is_woken_when_there_is_something_and_not_before() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let gates = [Gate::new(), Gate::new()];
        let mut stream =
            pool.map(remote.hold, gates.iter().map(Gate::path)).unordered().into_stream();
        let first = Arc::new(Counted::default());
        assert!(poll(&mut stream, &first).is_pending());
        let [held, other] = gates.each_ref().map(Gate::entered);
        // Only the waker of the last poll is woken.
        let counted = Arc::new(Counted::default());
        assert!(poll(&mut stream, &counted).is_pending());
        assert_eq!(counted.wakes(), 0);
        drop(other);
        until("the end of the second call wakes", || counted.wakes() == 1);
        let Poll::Ready(Some((1, outcome))) = poll(&mut stream, &counted) else {
            panic!("the second one has ended")
        };
        outcome.unwrap();
        // The other worker's calls are none of its business.
        assert!(poll(&mut stream, &counted).is_pending());
        assert_eq!(pool.in_flight(), 1);
        assert!(poll(&mut stream, &counted).is_pending());
        assert_eq!((first.wakes(), counted.wakes()), (0, 1));
        drop(held);
        until("the end of the first call wakes", || counted.wakes() == 2);
        assert!(matches!(poll(&mut stream, &counted), Poll::Ready(Some((0, Ok(_))))));
        assert!(matches!(poll(&mut stream, &counted), Poll::Ready(None)));
        assert_eq!((first.wakes(), counted.wakes()), (0, 2));
    });
}

#[test]
fn an_ordered_stream_waits_for_its_first_call_alone() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let gates = [Gate::new(), Gate::new()];
        let mut stream = pool.map(remote.hold, gates.iter().map(Gate::path)).into_stream();
        let counted = Arc::new(Counted::default());
        assert!(poll(&mut stream, &counted).is_pending());
        let [first, second] = gates.each_ref().map(Gate::entered);
        drop(second);
        until("the second call has ended", || pool.in_flight() == 1);
        assert!(poll(&mut stream, &counted).is_pending());
        assert_eq!(counted.wakes(), 0);
        drop(first);
        until("the end of the first call wakes", || counted.wakes() == 1);
        // The second one has an answer already.
        assert!(matches!(poll(&mut stream, &counted), Poll::Ready(Some(Ok(_)))));
        assert!(matches!(poll(&mut stream, &counted), Poll::Ready(Some(Ok(_)))));
        assert!(matches!(poll(&mut stream, &counted), Poll::Ready(None)));
        assert_eq!(counted.wakes(), 1);
    });
}

#[test]
fn streams_share_a_thread_and_move_between_threads() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let squares = |from: u32| {
            let arguments = (from..from + 500).map(f64::from);
            pool.map(remote.square, arguments).window(8).unordered().into_stream()
        };
        for (from, outcomes) in (0..).zip(join_all((0..4).map(|from| collect(squares(from))))) {
            let mut places: Vec<_> = outcomes.iter().map(|(place, _)| *place).collect();
            places.sort_unstable();
            assert_eq!(places, (0..500).collect::<Vec<_>>());
            for (place, square) in outcomes {
                let n = from as f64 + place as f64;
                assert_eq!(square.unwrap(), n * n);
            }
        }
        // Each part of it on another thread.
        let mut stream = squares(0);
        let mut left = 500;
        while left > 0 {
            left -= 50;
            let part = async {
                for _ in 0..50 {
                    next(&mut stream).await.unwrap().1.unwrap();
                }
            };
            std::thread::scope(|scope| scope.spawn(|| block_on(part)).join().unwrap());
        }
        assert!(block_on(next(&mut stream)).is_none());
    });
}

#[test]
fn what_is_under_way_is_aborted_when_a_stream_is_dropped() {
    within_deadline(|| {
        for ordered in [true, false] {
            let (pool, remote) = pool(1);
            let gate = Gate::new();
            let path = fresh_path("stream");
            let long = pool.call(remote.hold, gate.path());
            let held = gate.entered();
            let counted = Arc::new(Counted::default());
            let map = pool.map(remote.count, std::iter::repeat(path.clone())).window(40);
            if ordered {
                let mut stream = map.into_stream();
                assert!(poll(&mut stream, &counted).is_pending());
                assert_eq!(pool.in_flight(), 41);
            } else {
                let mut stream = map.unordered().into_stream();
                assert!(poll(&mut stream, &counted).is_pending());
                assert_eq!(pool.in_flight(), 41);
            }
            // Nobody has the waker any more.
            assert_eq!(Arc::strong_count(&counted), 1, "ordered: {ordered}");
            drop(held);
            long.wait().unwrap();
            until("every place is free", || pool.in_flight() == 0);
            assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
            // None had begun, and none begins now.
            assert!(!std::path::Path::new(&path).exists(), "ordered: {ordered}");
        }
    });
}

#[test]
fn the_death_of_a_worker_fails_its_call_and_the_stream_goes_on() {
    within_deadline(|| {
        for ordered in [true, false] {
            let (pool, remote) = pool(1);
            // The task ends its worker's process; each one is replaced.
            let map = pool.map(remote.exit, [7, 8, 9]).window(2);
            let outcomes: Vec<_> = if ordered {
                block_on(collect(map.into_stream()))
            } else {
                let outcomes = block_on(collect(map.unordered().into_stream()));
                outcomes.into_iter().map(|(_, outcome)| outcome).collect()
            };
            assert_eq!(outcomes.len(), 3);
            for outcome in outcomes {
                let died =
                    matches!(&outcome, Err(CallError::WorkerDied { may_have_run: true, .. }));
                assert!(died, "{outcome:?}");
            }
            assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
        }
    });
}

#[test]
fn calls_of_the_inline_lane_come_too() {
    within_deadline(|| {
        for position in [Position::First, Position::Last] {
            let mut tasks = Tasks::new();
            let square = tasks.add("square", |n: f64| n * n);
            let inline = Inline { position, batch: 4, threshold: 0 };
            let pool = Pool::builder().threads(1).inline(inline).start(tasks).unwrap();
            let arguments = || (0..300).map(f64::from);
            let check = |outcomes: Vec<(usize, Result<f64, CallError>)>| {
                assert_eq!(outcomes.len(), 300);
                for (place, square) in outcomes {
                    assert_eq!(square.unwrap(), (place * place) as f64);
                }
            };
            check(pool.map(square, arguments()).unordered().collect());
            check(block_on(collect(pool.map(square, arguments()).unordered().into_stream())));
            let ordered = block_on(collect(pool.map(square, arguments()).into_stream()));
            check(ordered.into_iter().enumerate().collect());
            assert_eq!(pool.in_flight(), 0);
        }
    });
}

#[test]
fn a_waker_that_panics_takes_no_thread_of_the_pool_along() {
    struct Panics(AtomicU32);
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
            panic!("a waker that panics");
        }
    }
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let gate = Gate::new();
        let mut stream = pool.map(remote.hold, [gate.path()]).unordered().into_stream();
        let panics = Arc::new(Panics(AtomicU32::new(0)));
        let waker = Waker::from(Arc::clone(&panics));
        let pending = Pin::new(&mut stream).poll_next(&mut Context::from_waker(&waker));
        assert!(pending.is_pending());
        drop(gate.entered());
        until("it is woken", || panics.0.load(Ordering::SeqCst) == 1);
        assert!(matches!(block_on(next(&mut stream)), Some((0, Ok(_)))));
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
    });
}

/// Where a full queue is waited for, the stream waits, and not the thread that polls it.
#[test]
fn a_full_queue_blocks_no_executor() {
    within_deadline(|| {
        for limit in [0, 3] {
            let arguments = || (0..200).map(f64::from);
            let waits = builder(1).queue_limit(limit).queue_policy(QueuePolicy::Wait);
            let (pool, remote) = start(waits);
            let fill = || {
                let gate = Gate::new();
                let long = pool.call(remote.hold, gate.path());
                (gate.entered(), long)
            };
            let waiting = || pool.metrics().queue.waiting;
            let counted = Arc::default();

            let (held, long) = fill();
            let mut ordered = pool.map(remote.square, arguments()).window(100).into_stream();
            for _ in 0..3 {
                assert!(poll(&mut ordered, &counted).is_pending());
                // What the lane and the queue have room for, and one more.
                assert_eq!((pool.in_flight(), waiting()), (33 + limit, 1));
            }
            drop(held);
            for (n, square) in block_on(collect(ordered)).into_iter().enumerate() {
                assert_eq!(square.unwrap(), (n * n) as f64);
            }
            long.wait().unwrap();

            let (held, long) = fill();
            let map = pool.map(remote.square, arguments()).window(100).unordered();
            let mut unordered = map.into_stream();
            assert!(poll(&mut unordered, &counted).is_pending());
            assert_eq!((pool.in_flight(), waiting()), (33 + limit, 1));
            drop(held);
            let squares = block_on(collect(unordered));
            assert_eq!(squares.len(), 200);
            for (place, square) in squares {
                assert_eq!(square.unwrap(), (place * place) as f64);
            }
            long.wait().unwrap();

            // Dropped while its last call is in the line, it leaves nobody there.
            let (held, long) = fill();
            let map = pool.map(remote.square, arguments()).window(100);
            let mut dropped = map.into_stream();
            assert!(poll(&mut dropped, &counted).is_pending());
            assert_eq!(waiting(), 1);
            drop(dropped);
            assert_eq!(waiting(), 0);
            drop(held);
            long.wait().unwrap();
            until("nothing is left", || pool.in_flight() == 0);
        }
    });
}

/// The first call takes long, and calls behind it leave the line one after the other: the stream is woken for each that has left it.
#[test]
fn a_stream_goes_on_when_its_call_comes_out_of_the_line() {
    within_deadline(|| {
        const WINDOW: u32 = 200;
        let ran = Arc::new(AtomicU32::new(0));
        let counts = Arc::clone(&ran);
        let mut tasks = Tasks::new();
        let first_waits = tasks.add_async("first-waits", move |n: u32| {
            let counts = Arc::clone(&counts);
            async move {
                counts.fetch_add(1, Ordering::SeqCst);
                if n == 0 {
                    core::future::pending::<()>().await;
                }
            }
        });
        let builder = Pool::builder().threads(1).queue_limit(1).queue_policy(QueuePolicy::Wait);
        let pool = builder.drain_timeout(Duration::ZERO).start(tasks).unwrap();
        let mut stream = pool.map(first_waits, 0..1000).window(WINDOW as usize).into_stream();
        let counted = Arc::default();
        assert!(poll(&mut stream, &counted).is_pending());
        let mut seen = 0;
        until("every call of the window has run", || {
            let wakes = counted.wakes();
            if wakes != core::mem::replace(&mut seen, wakes) {
                assert!(poll(&mut stream, &counted).is_pending());
            }
            ran.load(Ordering::SeqCst) == WINDOW
        });
        assert_eq!(stream.size_hint(), (1000, Some(1000)));
    });
}
