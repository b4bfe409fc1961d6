//! C19: a process that forks while another thread has the lock of a lane.
//!
//! Alone in its process: the facade asks once whether anybody listens to an event, and a thread that makes the first
//! of its kind in the moment in which this subscriber comes would answer for it.

mod pool_support;

use knit_lanes::CallError;
use knit_tests::fork::Child;
use pool_support::within_deadline;
use pool_support::worker::held;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

fn is_forked<T>(outcome: Result<T, CallError>) -> bool {
    matches!(outcome, Err(CallError::Forked))
}

/// Says when it is told of a call that a lane has been given, under the lock of the lane, and keeps the lock until it is let go.
struct Stuck {
    inside: Sender<()>,
    go: std::sync::Mutex<Receiver<()>>,
    once: AtomicU32,
}

impl Subscriber for Stuck {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == knit_lanes::debug::HOST
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Text(bool);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn core::fmt::Debug) {
                self.0 |= format!("{value:?}") == "handed to a lane";
            }
        }
        let mut text = Text(false);
        event.record(&mut text);
        if text.0 && self.once.swap(1, Ordering::Relaxed) == 0 {
            self.inside.send(()).unwrap();
            self.go.lock().unwrap().recv().unwrap();
        }
    }
}

/// The lock of the lane is taken when the process forks, by a thread that the child does not have.
#[test]
fn a_child_waits_for_no_lock_of_a_thread_that_it_does_not_have() {
    within_deadline(|| {
        let (pool, remote, [held], [entered]) = held();
        let pool = Arc::new(pool);
        let ((say, inside), (let_go, go)) = (channel(), channel());
        let stuck = Stuck { inside: say, go: std::sync::Mutex::new(go), once: AtomicU32::new(0) };
        let thread = std::thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                let call = || pool.call(remote.square, 3.0);
                tracing::subscriber::with_default(stuck, call).wait()
            }
        });
        inside.recv().unwrap();
        let (mut held, mut pool) = (Some(held), Some(pool));
        let child = Child::run(|| {
            let held = held.take().unwrap();
            held.abort();
            assert!(is_forked(held.wait()));
            // The thread's handle is there for ever, so this one is never the last: a child that drops the pool itself
            // is in the other tests.
            let pool = pool.take().unwrap();
            assert!(is_forked(pool.call(remote.square, 3.0).wait()));
            assert_eq!((pool.worker_ids(), pool.in_flight()), (Vec::new(), 0));
            assert!(pool.metrics().lanes.is_empty());
        });
        child.finish();
        let_go.send(()).unwrap();
        drop(entered);
        held.take().unwrap().wait().unwrap();
        assert_eq!(thread.join().unwrap().unwrap(), 9.0);
    });
}
